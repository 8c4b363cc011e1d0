//! Both roles in memory, step by step. The cryptography is a toy (`fake`): the real one is tested where it lives.

mod attacks;
mod codes;
mod ec_aes;
mod fake;
mod fields;
mod forgetting;
mod operator;
mod order;
mod refusals;
mod vectors;

use fake::{Pad, TMK, Tms, identification, kcv, key_download, slot, start, until_confirm, when};
use wire::{Suite, TmsVersion};

use super::{
    Transaction,
    terminal::Keyed,
    tms::{Confirm, ExpectHello},
};

#[test]
fn program_download_opens_the_session() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (hello, terminal) = start(Transaction::ProgramDownload).begin(&mut pad).unwrap();
    let asked = ExpectHello::new().on_frame(&hello).unwrap();
    assert_eq!((asked.identification(), asked.suite()), (&identification(), Suite::TDES));
    assert_eq!(asked.version(), TmsVersion::CURRENT);
    assert_eq!((asked.transaction(), asked.frame()), (Ok(Transaction::ProgramDownload), &hello));
    assert_eq!(asked.t_data().when(), Some(when()));

    let (challenge, server) = tms.challenge(asked);
    let (proof, terminal) = terminal.on_frame(&mut pad, &challenge, None).unwrap();
    let proven = server.on_frame(&proof).unwrap();
    assert_eq!((proven.good(), proven.operator(), proven.operator_demanded()), (true, None, false));
    assert_eq!(proven.identification(), &identification());
    assert_eq!(proven.frames(), [hello.bytes(), challenge.bytes(), proof.bytes()].concat());

    let key = tms.open_program(proven).unwrap();
    let Keyed::Program(s_data) = terminal.on_frame(&mut pad, &key).unwrap() else {
        panic!("no key was asked")
    };
    assert_eq!(Some(s_data), tms.s_data);
    assert_eq!(pad.calls, ["begin", "prove", "keys"]);
    assert!(pad.dwk.is_some(), "the sealed phase needs it");
}

#[test]
fn key_download_brings_the_key_that_the_tms_holds() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (terminal, server, frames) = until_confirm(&mut pad, &mut tms);
    assert_eq!(pad.disk, Some(TMK), "the key is on disk before KEY_CONFIRM leaves");
    assert_eq!(terminal.kcv(), kcv(TMK));
    let Confirm::Opened(confirmed) = server.on_frame(frames.last().unwrap()).unwrap().compare() else {
        panic!("check value is right")
    };
    assert_eq!(confirmed.kcvs(), [kcv(TMK)]);
    let finished = terminal.on_frame(&mut pad, &confirmed.done().unwrap()).unwrap();
    assert_eq!((finished.slot(), finished.kcv(), Some(finished.s_data())), (slot(), kcv(TMK), tms.s_data));
    assert_eq!(pad.calls, ["begin", "prove", "keys", "done", "forget"]);
    assert_eq!(pad.dwk, None, "DONE ends the session");
}

#[test]
fn terminal_without_a_clock_sends_zeros() {
    let start = super::terminal::Start::new(identification(), key_download(), None);
    let (hello, _) = start.begin(&mut Pad::default()).unwrap();
    let asked = ExpectHello::new().on_frame(&hello).unwrap();
    assert_eq!((asked.t_data().when(), &asked.t_data().bytes()[4..]), (None, &[0; 6][..]));
    assert_eq!(asked.transaction(), Ok(key_download()));
}

#[test]
fn several_sessions_after_each_other_have_keys_of_their_own() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let mut seen = std::vec::Vec::new();
    for _ in 0..3 {
        let (terminal, proven, _) = fake::until_proof(&mut pad, &mut tms, Transaction::ProgramDownload);
        let key = tms.open_program(proven).unwrap();
        assert!(matches!(terminal.on_frame(&mut pad, &key), Ok(Keyed::Program(_))));
        assert!(!seen.contains(&pad.dwk));
        seen.push(pad.dwk);
    }
}
