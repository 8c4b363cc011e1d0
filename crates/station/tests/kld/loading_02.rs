//! Whole runs of suite 02 with an independent terminal over TCP.

use flows::local_load::Reason;
use hsm_soft::components::Target;
use keyblock::{Kbpk, Version};
use keyferry_station::kld::{Kld, KldError, LoadFailure, LoadFault, Place, Run};
use paycrypto::ec::{derive_dik2, keys::Tmk};
use pki::Role;
use serde_json::Value;
use wire::{Kcv, Serial, Slot, Suite};

use crate::estate::BOTH;
use crate::independent_02::{Got, Quirk, Terminal};
use crate::world::{World, files};
use crate::world_02::{EC, combine, exported_dik1, load, load_with, open_run, ready};

/// A KLD with a run that loads a TMK and a DMK into SN-1, and SN-2 with an external PIN pad.
fn with_run() -> (World, Kld, Run) {
    let (world, _) = ready();
    let kld = world.kld();
    let run = open_run(&kld, "SN-1\nSN-2 PP-2", &["tmk:1", "dmk"]);
    (world, kld, run)
}

fn refused(kld: &mut Kld, run: &mut Run, terminal: Terminal, quirk: Quirk) -> (LoadFailure, Got) {
    let (address, thread) = terminal.start(quirk);
    let failure = load(kld, run, address).unwrap_err();
    (failure, thread.join().unwrap().1)
}

fn nothing_left(run: &Run, failure: &LoadFailure) {
    assert!(!failure.served, "{failure}");
    assert_eq!((run.status().failed.len(), run.status().missing.len()), (0, 2));
    assert!(run.status().stopped.is_none());
}

#[test]
fn tmks_a_dmk_and_a_dik2_are_loaded_and_reported_under_the_aes_exchange_key() {
    let (world, exchange) = ready();
    let mut kld = world.kld();
    let (dik1, block) = exported_dik1(&exchange, "B042");
    kld.import_dik1(&BOTH.1, &block, "B042").unwrap();
    let mut run = open_run(&kld, "SN-2 PP-2", &["tmk:99", "dmk", "dik2"]);
    assert_eq!(run.suite(), Suite::EC_AES);
    let (address, thread) = Terminal::new("SN-2", Some("PP-2")).start(Quirk::None);
    let loaded = load(&mut kld, &mut run, address).unwrap();
    let (_, got) = thread.join().unwrap();
    let ours: Vec<_> = loaded.keys.iter().map(|(_, kcv)| *kcv).collect();
    assert_eq!(ours, got.kcvs.iter().map(|kcv| Kcv::Aes(*kcv)).collect::<Vec<_>>());
    assert_eq!((got.done, got.error), (3, None));
    let (factor, dik2) = got.identity.unwrap();
    assert_eq!(*derive_dik2(&dik1, "SN-2", &factor).unwrap().expose(), dik2);
    assert_eq!((run.status().loaded, run.status().missing.len()), (1, 0));

    let report = kld.close_run(&BOTH.1).unwrap();
    let package = pki::cms::open(&std::fs::read(&report.path).unwrap()).unwrap();
    assert_eq!(package.only_signer().unwrap().certificate.role(), Some(Role::Operator));
    let report: Value = serde_json::from_slice(&package.content).unwrap();
    assert_eq!(report["exchange_key"], "KLD-7-AES");
    let keys = &report["terminals"][0]["keys"];
    let kbpk = Kbpk::new(Version::D, exchange.expose()).unwrap();
    let open = |text: &Value| kbpk.unwrap(text.as_str().unwrap()).unwrap();
    let tmk = open(&keys[0]["block"]);
    assert_eq!(tmk.header.optional[0].text(), "PP-2/99", "bound to its place");
    assert_eq!(Tmk::from_bytes(tmk.key.as_slice().try_into().unwrap()).kcv(), got.kcvs[0]);
    assert_eq!(keys[0]["load_counter"], got.counters[0]);
    assert_eq!(keys[0]["kcv"], Kcv::Aes(got.kcvs[0]).to_string());
    assert_eq!((&keys[1]["kind"], keys[1].get("load_counter")), (&"dmk".into(), None));
    assert_eq!(open(&keys[2]["factor"]).key.as_slice(), factor);
}

#[test]
fn a_load_counter_only_rises_over_runs_and_stays_within_what_a_terminal_takes() {
    let (world, _) = ready();
    let mut kld = world.kld();
    let mut terminal = Terminal::new("SN-1", None);
    let mut counters = Vec::new();
    for _ in 0..3 {
        let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
        // Meanwhile the KMS sent some, counting on from the report.
        terminal.stored += 1_000;
        let (address, thread) = terminal.start(Quirk::None);
        load(&mut kld, &mut run, address).unwrap();
        let got;
        (terminal, got) = thread.join().unwrap();
        counters.extend(got.counters);
        kld.close_run(&BOTH.1).unwrap();
    }
    assert!(counters.is_sorted_by(|one, next| one < next), "{counters:?}");
    // A run in which the terminal refused counts as well.
    let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
    refused(&mut kld, &mut run, terminal, Quirk::RefuseKey);
    kld.close_run(&BOTH.1).unwrap();
    let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
    let mut again = Terminal::new("SN-1", None);
    again.stored = counters[2] + 1_024;
    let (address, thread) = again.start(Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert!(thread.join().unwrap().1.counters[0] > counters[2] + 1_024);
}

/// A terminal takes a counter that is at most 65 536 above the one it stored: loadings that never reached it must not carry
/// the KLD out of its reach, for it never comes back.
#[test]
fn loadings_that_failed_do_not_lock_a_terminal_out() {
    let (world, _) = ready();
    let mut kld = world.kld();
    for _ in 0..4 {
        let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
        refused(&mut kld, &mut run, Terminal::new("SN-1", None), Quirk::RefuseKey);
        kld.close_run(&BOTH.1).unwrap();
    }
    let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
    let (address, thread) = Terminal::new("SN-1", None).start(Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert_eq!(thread.join().unwrap().1.counters.len(), 1);
}

#[test]
fn a_key_that_was_given_for_the_place_is_loaded_once_and_forgotten() {
    let (world, exchange) = ready();
    let mut kld = world.kld();
    let header = keyblock::Header::new(
        Version::D,
        keyblock::Usage::KEY_BLOCK_PROTECTION,
        keyblock::Algorithm::AES,
        keyblock::Mode::BOTH,
        keyblock::Exportability::NOT_EXPORTABLE,
    )
    .with_optional("10", "SN-1/05")
    .unwrap();
    let tmk = Tmk::generate().unwrap();
    let block = Kbpk::new(Version::D, exchange.expose()).unwrap().wrap(&header, tmk.expose()).unwrap();
    let place = Place { pin_pad: Serial::parse("SN-1").unwrap(), slot: Some(Slot::new(5).unwrap()) };
    assert_eq!(kld.import_key(&BOTH.1, &place, &block).unwrap(), Kcv::Aes(tmk.kcv()));
    let mut run = open_run(&kld, "SN-1\nSN-2", &["tmk:5"]);
    let (address, thread) = Terminal::new("SN-1", None).start(Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert_eq!(thread.join().unwrap().1.kcvs, [tmk.kcv()]);
    assert!(kld.keys().iter().all(|(what, _)| !what.starts_with("TMK")), "{:?}", kld.keys());
}

/// `false-terminal`, `borrowed-certificate`.
#[test]
fn r11_a_terminal_without_its_own_device_certificate_and_key_gets_nothing() {
    let (_world, mut kld, mut run) = with_run();
    let other = Terminal::new("SN-9", None);
    let with = |certificate: &pki::Certificate| {
        let mut terminal = Terminal::new("SN-1", None);
        terminal.certificate = certificate.clone();
        terminal
    };
    // Another terminal's certificate with this serial; an operator's; one of a root that nobody here trusts.
    let operator = EC.leaf(
        Role::Operator,
        &crate::estate::name("Olga"),
        &Terminal::new("SN-1", None).key.spki_der(),
        crate::estate::valid(),
    );
    for certificate in [&other.certificate, &operator, &crate::estate::ESTATE.root] {
        let (failure, got) = refused(&mut kld, &mut run, with(certificate), Quirk::None);
        let reason = matches!(*failure.fault, LoadFault::Flow(Reason::CertificateRefused { .. }));
        assert!(reason && failure.to_string().contains("device"), "{failure}");
        assert_eq!((got.error, failure.fault.code().as_str()), (Some(0x000D), "000D"));
        nothing_left(&run, &failure);
    }
    // Its own serial's certificate, which it recorded, without the key.
    let true_one = Terminal::new("SN-1", None);
    let (failure, got) = refused(&mut kld, &mut run, with(&true_one.certificate), Quirk::None);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::DeviceNotProven)), "{failure}");
    assert_eq!(got.error, Some(0x0006));
    nothing_left(&run, &failure);
    // A signature over another opening: `kld-in-the-middle`, `replay`.
    let (failure, got) = refused(&mut kld, &mut run, true_one, Quirk::OtherSignature);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::DeviceNotProven)), "{failure}");
    assert_eq!(got.error, Some(0x0006));
    nothing_left(&run, &failure);
    // Then the true terminal is served.
    let (address, thread) = Terminal::new("SN-1", None).start(Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert_eq!(thread.join().unwrap().1.done, 2);
}

#[test]
fn r11_r22_a_revoked_device_gets_nothing() {
    let (_world, mut kld, mut run) = with_run();
    let terminal = Terminal::new("SN-1", None);
    let checks = EC.checks_revoking(&[&terminal.certificate]);
    let (address, thread) = terminal.start(Quirk::None);
    let failure = load_with(&mut kld, &mut run, &checks, address).unwrap_err();
    assert!(failure.to_string().contains("revoked"), "{failure}");
    assert_eq!(thread.join().unwrap().1.error, Some(0x000D));
    nothing_left(&run, &failure);
}

#[test]
fn a_device_that_the_run_does_not_list_is_0008() {
    for (sn, pin_pad) in [("SN-9", None), ("SN-1", Some("PP-2")), ("SN-2", None)] {
        let (_world, mut kld, mut run) = with_run();
        let (failure, got) = refused(&mut kld, &mut run, Terminal::new(sn, pin_pad), Quirk::None);
        assert!(matches!(*failure.fault, LoadFault::Flow(Reason::NotInRun { .. })), "{failure}");
        assert_eq!(got.error, Some(0x0008));
        nothing_left(&run, &failure);
    }
}

#[test]
fn a_point_off_the_curve_is_0002_and_the_terminal_may_come_again() {
    let (_world, mut kld, mut run) = with_run();
    let (failure, got) = refused(&mut kld, &mut run, Terminal::new("SN-1", None), Quirk::OffCurve);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::PointRefused { .. })), "{failure}");
    assert_eq!(got.error, Some(0x0002));
    nothing_left(&run, &failure);
}

#[test]
fn a_wrong_receipt_is_0007_and_the_key_does_not_count_as_loaded() {
    let (_world, mut kld, mut run) = with_run();
    let (failure, got) = refused(&mut kld, &mut run, Terminal::new("SN-1", None), Quirk::WrongReceipt);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::WrongCheckValue)), "{failure}");
    assert_eq!((got.error, got.done), (Some(0x0007), 0));
    assert!(failure.served);
    assert_eq!((run.status().loaded, run.status().failed.len()), (0, 1));
}

/// `downgrade`.
#[test]
fn an_answer_of_suite_01_is_refused() {
    let (_world, mut kld, mut run) = with_run();
    let (failure, got) = refused(&mut kld, &mut run, Terminal::new("SN-1", None), Quirk::Suite01);
    assert_eq!(got.error, Some(0x0002), "{failure}");
    nothing_left(&run, &failure);
}

#[test]
fn another_device_in_the_middle_of_a_loading_is_refused() {
    let (_world, mut kld, mut run) = with_run();
    let (failure, got) = refused(&mut kld, &mut run, Terminal::new("SN-1", None), Quirk::ChangeDevice);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::DeviceNotProven)), "{failure}");
    assert_eq!((got.done, got.error), (1, Some(0x0006)));
}

#[test]
fn the_same_device_again_is_0008_and_stops_nothing() {
    let (_world, mut kld, mut run) = with_run();
    let (address, thread) = Terminal::new("SN-1", None).start(Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    let (terminal, _) = thread.join().unwrap();
    let (failure, got) = refused(&mut kld, &mut run, terminal, Quirk::None);
    assert!(matches!(*failure.fault, LoadFault::CameAgain { .. }), "{failure}");
    assert_eq!((got.error, got.kcvs.len()), (Some(0x0008), 0));
    assert!(failure.served && run.status().stopped.is_none());
    assert_eq!((run.status().loaded, run.status().failed.len()), (1, 0), "its keys are as good as before");
}

#[test]
fn another_device_key_under_a_served_serial_stops_the_run_and_a_stranger_does_not() {
    let (_world, mut kld, mut run) = with_run();
    let (address, thread) = Terminal::new("SN-1", None).start(Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    thread.join().unwrap();
    // Whoever only says the serial, or has its certificate without the key, stops nothing.
    let mut stranger = Terminal::new("SN-1", None);
    stranger.certificate = Terminal::new("SN-1", None).certificate;
    let (failure, _) = refused(&mut kld, &mut run, stranger, Quirk::None);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::DeviceNotProven)), "{failure}");
    assert!(run.status().stopped.is_none());
    // Two device keys, both certified for one PIN pad: somebody is false.
    let (failure, got) = refused(&mut kld, &mut run, Terminal::new("SN-1", None), Quirk::None);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::AlreadyServed { .. })), "{failure}");
    assert_eq!(got.error, Some(0x0008));
    assert!(run.status().stopped.is_some());
    assert_eq!((run.status().loaded, run.status().failed.len()), (0, 1), "its keys are compromised");
}

/// A device certificate proves a PIN pad, and no serial beside it: that one the application says.
#[test]
fn another_pin_pad_that_says_a_served_serial_stops_nothing() {
    let (_world, mut kld, mut run) = with_run();
    let (address, thread) = Terminal::new("SN-1", None).start(Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    thread.join().unwrap();
    let (failure, got) = refused(&mut kld, &mut run, Terminal::new("SN-1", Some("PP-9")), Quirk::None);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::NotInRun { .. })), "{failure}");
    assert_eq!((got.error, got.kcvs.len()), (Some(0x0008), 0));
    assert!(run.status().stopped.is_none());
    assert_eq!((run.status().loaded, run.status().failed.len()), (1, 0), "its keys are as good as before");
}

#[test]
fn a_line_cut_after_the_key_counts_as_served_also_after_a_restart() {
    let (world, mut kld, mut run) = with_run();
    let (failure, _) = refused(&mut kld, &mut run, Terminal::new("SN-1", None), Quirk::CutAfterKey);
    assert!(failure.served && matches!(*failure.fault, LoadFault::Link(_)), "{failure}");
    let before = run.status();
    drop((run, kld));
    let mut kld = world.kld();
    let mut run = kld.current_run().unwrap();
    assert_eq!((run.status(), run.suite()), (before, Suite::EC_AES));
    let (failure, _) = refused(&mut kld, &mut run, Terminal::new("SN-1", None), Quirk::None);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::AlreadyServed { .. })), "{failure}");
}

#[test]
fn each_suite_has_its_own_pair_and_exchange_key() {
    let world = World::ready();
    let mut kld = world.kld();
    let open = |kld: &Kld| {
        let (listed, what) = (crate::world::listed("SN-1"), crate::world::what(&["dmk"]));
        kld.open_run(Suite::EC_AES, &BOTH.1, &EC.checks(), &listed, &what).map(drop)
    };
    assert!(matches!(open(&kld), Err(KldError::NoKeyPair)));
    let request = kld.request(custody::keyfile::KeyKind::P256).unwrap();
    assert!(matches!(open(&kld), Err(KldError::NoCertificate)));
    kld.install(&EC.certify(&request, Role::Downloader), &EC.checks()).unwrap();
    assert!(matches!(open(&kld), Err(KldError::NoExchangeKey { suite: Suite::EC_AES })));
    let (key, exchange) = combine(&world, &Target::ExchangeAes, "KLD-7-AES");
    kld.take_exchange_key(&BOTH.1, key).unwrap();
    open(&kld).unwrap();
    kld.close_run(&BOTH.1).unwrap();
    for suite in [Suite::TDES, Suite::EC_AES] {
        assert!(kld.certificate(suite).unwrap().is_some(), "suite {suite}");
    }
    // A DIK1 of suite 02 serves no run of suite 01.
    kld.import_dik1(&BOTH.1, &exported_dik1(&exchange, "A").1, "A").unwrap();
    let (listed, what) = (crate::world::listed("SN-1"), crate::world::what(&["dik2"]));
    let refused = kld.open_run(Suite::TDES, &BOTH.1, &EC.checks(), &listed, &what);
    assert!(matches!(refused, Err(KldError::NoDik1 { .. })), "{refused:?}");
    let other = kld.open_run(Suite::new(3), &BOTH.1, &EC.checks(), &listed, &what);
    assert!(matches!(other, Err(KldError::Suite { .. })));
    let names: Vec<_> = kld.keys().into_iter().map(|(what, _)| what).collect();
    assert_eq!(names, ["exchange key KLD-7", "exchange key KLD-7-AES", "DIK1 A"]);
}

#[test]
fn no_file_of_the_kld_holds_a_key_that_a_terminal_got() {
    let (world, exchange) = ready();
    let mut kld = world.kld();
    let (dik1, block) = exported_dik1(&exchange, "B");
    kld.import_dik1(&BOTH.1, &block, "B").unwrap();
    let mut run = open_run(&kld, "SN-1", &["dik2"]);
    let (address, thread) = Terminal::new("SN-1", None).start(Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    kld.close_run(&BOTH.1).unwrap();
    let (factor, dik2) = thread.join().unwrap().1.identity.unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let all = files(world.folder.path());
    for secret in [dik2.as_slice(), factor.as_slice(), dik1.expose(), exchange.expose()] {
        let (part, text) = (&secret[..8], hex(&secret[..8]));
        for (path, bytes) in &all {
            let lower: Vec<u8> = bytes.iter().map(u8::to_ascii_lowercase).collect();
            assert!(!bytes.windows(8).any(|window| window == part), "{}", path.display());
            assert!(!lower.windows(16).any(|window| window == text.as_bytes()), "{}", path.display());
        }
    }
}
