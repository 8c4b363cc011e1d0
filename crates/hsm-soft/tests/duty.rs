//! An HSM refuses what is not of its duty, before it looks at anything else.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use hsm::{
    KeyBlock, Refusal,
    commands::{Load, LoadTerminal, MakeDik1, MakeDownloaderKey, Request, Status},
};
use keyferry_hsm_soft::{Duty, SoftHsm, create};

const PASSPHRASE: &str = "only for this test";

fn hsm() -> (tempfile::TempDir, SoftHsm) {
    let folder = tempfile::tempdir().unwrap();
    create(folder.path(), PASSPHRASE).unwrap();
    let hsm = SoftHsm::open(folder.path(), PASSPHRASE, vec![]).unwrap();
    (folder, hsm)
}

fn make_downloader_key() -> Request {
    let make = MakeDownloaderKey { bits: 2048, subject: "KLD".into(), owner: "ACQ".into() };
    Request::MakeDownloaderKey(make)
}

#[test]
fn a_servers_hsm_never_plays_the_kld() {
    let (_folder, hsm) = hsm();
    let load = LoadTerminal {
        work_key: KeyBlock::from_text(String::new()),
        c_rnd1_rnd2: vec![],
        pin_pad: "SN-1".into(),
        owner: "ACQ".into(),
        context: [0; 16],
        load: Load::Dmk { held: None },
        escrow_under: None,
    };
    for request in [make_downloader_key(), Request::LoadTerminal(load)] {
        let name = request.name().to_owned();
        let refused = Refusal::NotOnDuty { command: name, duty: "server".into() };
        assert_eq!(hsm.handle(request).err(), Some(refused));
    }
}

#[test]
fn a_klds_hsm_does_no_work_of_a_server() {
    let (_folder, hsm) = hsm();
    let hsm = hsm.on_duty(Duty::Kld);
    let make = MakeDik1 { owner: "ACQ".into(), label: "batch".into() };
    let outcome = hsm.handle(Request::MakeDik1(make));
    assert!(matches!(outcome, Err(Refusal::NotOnDuty { .. })), "{outcome:?}");
    hsm.handle(Request::Status(Status {})).unwrap();
    hsm.handle(make_downloader_key()).unwrap();
}
