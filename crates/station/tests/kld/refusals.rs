//! What a KLD refuses, by name, and what the terminal is told.

use std::net::TcpListener;

use custody::keyfile::KeyKind;
use flows::{ProtocolError, local_load::Reason};
use keyferry_station::{
    Checks, LinkLimits,
    kld::{Kld, KldError, LoadFailure, LoadFault, Run},
    link::{Link, LinkError},
};
use pki::{CertificateRefusal, Role};
use wire::{ErrorCode, Serial};

use crate::estate::{BOTH, Cards, ESTATE, now};
use crate::independent::{self, Got, Quirk};
use crate::world::{World, certify_within, load, load_expecting, open_run};

/// Loads the independent terminal SN-1 with this quirk.
fn quirky(kld: &mut Kld, run: &mut Run, quirk: Quirk) -> (LoadFailure, Got) {
    let (address, terminal) = independent::start("SN-1", None, quirk);
    let failure = load(kld, run, address).unwrap_err();
    (failure, terminal.join().unwrap())
}

/// A KLD with a run that loads a TMK and a DMK into SN-1, and SN-2 with an external PIN pad.
pub(crate) fn with_run() -> (World, Kld, Run) {
    let world = World::ready();
    let kld = world.kld();
    let run = open_run(&kld, "SN-1\nSN-2 PP-2", &["tmk:1", "dmk"]);
    (world, kld, run)
}

pub(crate) fn nothing_left(run: &Run, failure: &LoadFailure) {
    assert!(!failure.served, "{failure}");
    assert_eq!((run.status().failed.len(), run.status().missing.len()), (0, 2));
}

#[test]
fn a_serial_that_nobody_here_knows_is_0008() {
    let (_world, mut kld, mut run) = with_run();
    let (address, terminal) = independent::start("SN-9", None, Quirk::None);
    let failure = load(&mut kld, &mut run, address).unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::NotInRun { .. })), "{failure}");
    assert_eq!((terminal.join().unwrap().error, failure.fault.code().as_str()), (Some(0x0008), "0008"));
    nothing_left(&run, &failure);
    assert_eq!(run.status().refused, 1);
}

#[test]
fn a_serial_of_another_run_is_0008() {
    let world = World::ready();
    let mut kld = world.kld();
    open_run(&kld, "SN-9", &["dmk"]);
    kld.close_run(&BOTH.1).unwrap();
    let mut run = open_run(&kld, "SN-1\nSN-2", &["dmk"]);
    let (address, terminal) = independent::start("SN-9", None, Quirk::None);
    let failure = load(&mut kld, &mut run, address).unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::NotInRun { .. })), "{failure}");
    assert_eq!(terminal.join().unwrap().error, Some(0x0008));
    nothing_left(&run, &failure);
}

#[test]
fn a_listed_serial_with_another_pin_pad_is_0008() {
    for (sn, pin_pad) in [("SN-1", Some("PP-2")), ("SN-2", None), ("SN-2", Some("SN-1"))] {
        let (_world, mut kld, mut run) = with_run();
        let (address, terminal) = independent::start(sn, pin_pad, Quirk::None);
        let failure = load(&mut kld, &mut run, address).unwrap_err();
        assert!(matches!(*failure.fault, LoadFault::Flow(Reason::NotInRun { .. })), "{failure}");
        assert_eq!(terminal.join().unwrap().error, Some(0x0008), "{sn} {pin_pad:?}");
        nothing_left(&run, &failure);
    }
}

#[test]
fn a_serial_served_already_is_0008_and_stops_the_run() {
    let (_world, mut kld, mut run) = with_run();
    let (address, first) = independent::start("SN-1", None, Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert_eq!(first.join().unwrap().done, 2);

    let (failure, true_one) = quirky(&mut kld, &mut run, Quirk::None);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::AlreadyServed { .. })), "{failure}");
    assert_eq!((true_one.error, true_one.kcvs.len()), (Some(0x0008), 0));
    let status = run.status();
    assert!(status.stopped.is_some());
    assert_eq!((status.loaded, status.failed.len()), (0, 1), "its keys are compromised");

    // Nothing more, and nobody is even called.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let failure = load(&mut kld, &mut run, listener.local_addr().unwrap()).unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::Kld(KldError::RunStopped { .. })), "{failure}");
    assert!(listener.accept().is_err());
}

#[test]
fn a_pin_pad_served_already_stops_the_run_under_any_serial() {
    let (_world, mut kld, mut run) = with_run();
    let (address, first) = independent::start("SN-2", Some("PP-2"), Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    first.join().unwrap();
    let (address, second) = independent::start("SN-7", Some("PP-2"), Quirk::None);
    let failure = load(&mut kld, &mut run, address).unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::AlreadyServed { .. })), "{failure}");
    assert_eq!(second.join().unwrap().error, Some(0x0008));
}

#[test]
fn weak_or_unreadable_randoms_are_0002_and_the_terminal_may_come_again() {
    let (_world, mut kld, mut run) = with_run();
    for quirk in [Quirk::WeakRnd1, Quirk::Gibberish] {
        let (failure, got) = quirky(&mut kld, &mut run, quirk);
        assert!(matches!(*failure.fault, LoadFault::Flow(Reason::RandomsRefused { .. })), "{failure}");
        assert_eq!(got.error, Some(0x0002));
        nothing_left(&run, &failure);
    }
    let (address, terminal) = independent::start("SN-1", None, Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    assert_eq!(terminal.join().unwrap().done, 2);
}

#[test]
fn a_wrong_check_value_is_0007_and_the_key_does_not_count_as_loaded() {
    let (_world, mut kld, mut run) = with_run();
    let (failure, got) = quirky(&mut kld, &mut run, Quirk::WrongCheckValue);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::WrongCheckValue)), "{failure}");
    assert_eq!((got.error, got.done), (Some(0x0007), 0));
    assert!(failure.served);
    assert_eq!((run.status().loaded, run.status().failed.len()), (0, 1));
}

#[test]
fn a_terminal_that_refuses_the_key_is_not_answered_and_counts_as_served() {
    let (_world, mut kld, mut run) = with_run();
    let (failure, got) = quirky(&mut kld, &mut run, Quirk::RefuseKey);
    let LoadFault::Flow(Reason::Protocol(ProtocolError::Peer(message))) = &*failure.fault else {
        panic!("{failure}")
    };
    assert_eq!(message.known_code(), Some(ErrorCode::NotPermittedNow));
    assert_eq!(got.error, None);
    assert!(failure.served && failure.to_string().contains("another owner"), "{failure}");
}

#[test]
fn a_line_cut_before_the_key_costs_nothing_and_one_cut_after_it_counts_as_served() {
    let (_world, mut kld, mut run) = with_run();
    let (failure, _) = quirky(&mut kld, &mut run, Quirk::CutAfterConnect);
    assert!(matches!(*failure.fault, LoadFault::Link(LinkError::Closed)), "{failure}");
    nothing_left(&run, &failure);
    let (failure, _) = quirky(&mut kld, &mut run, Quirk::CutAfterKey);
    assert!(matches!(*failure.fault, LoadFault::Link(_)), "{failure}");
    assert!(failure.served && failure.to_string().contains("counts as served"));
    let (failure, _) = quirky(&mut kld, &mut run, Quirk::None);
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::AlreadyServed { .. })), "{failure}");
}

#[test]
fn another_message_than_expected_is_0003() {
    let (_world, mut kld, mut run) = with_run();
    let (failure, got) = quirky(&mut kld, &mut run, Quirk::OutOfOrder);
    assert_eq!((got.error, failure.fault.code().as_str()), (Some(0x0003), "0003"));
    nothing_left(&run, &failure);
}

#[test]
fn a_terminal_that_changes_its_serial_is_0008() {
    let (_world, mut kld, mut run) = with_run();
    let (failure, got) = quirky(&mut kld, &mut run, Quirk::ChangeSerial);
    assert!(matches!(*failure.fault, LoadFault::Changed { .. }), "{failure}");
    assert_eq!((got.error, got.done), (Some(0x0008), 1));
    assert_eq!((run.status().loaded, run.status().failed.len()), (0, 1));
}

#[test]
fn another_serial_than_the_one_expected_there_is_0004() {
    let (_world, mut kld, mut run) = with_run();
    let (address, terminal) = independent::start("SN-1", None, Quirk::None);
    let expected = Serial::parse("SN-2").unwrap();
    let failure = load_expecting(&mut kld, &mut run, address, Some(&expected)).unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::OtherSerial { .. }), "{failure}");
    assert_eq!(terminal.join().unwrap().error, Some(0x0004));
    nothing_left(&run, &failure);
}

#[test]
fn nothing_is_loaded_when_a_card_is_out() {
    for file in ["operator.pem", "administrator.pem"] {
        let (_world, mut kld, mut run) = with_run();
        let cards = Cards::good();
        let both = cards.open().unwrap();
        // Taken out when the terminal has been reached: asked again before the first key.
        let (address, terminal) = independent::start("SN-1", None, Quirk::None);
        let failure = kld
            .load(&mut run, &both, &ESTATE.checks(), None, || {
                cards.remove(file);
                Link::connect(&address.to_string(), LinkLimits::default()).map_err(LoadFault::Link)
            })
            .unwrap_err();
        assert!(matches!(*failure.fault, LoadFault::Cards(_)), "{failure}");
        assert_eq!(terminal.join().unwrap().kcvs.len(), 0);
        nothing_left(&run, &failure);
        // And before anything is connected.
        let failure = kld
            .load(&mut run, &both, &ESTATE.checks(), None, || panic!("nobody is called without both cards"))
            .unwrap_err();
        assert!(matches!(*failure.fault, LoadFault::Cards(_)), "{failure}");
    }
}

#[test]
fn nothing_is_loaded_under_a_certificate_that_ended_or_was_revoked() {
    let world = World::ready();
    let mut kld = world.kld();
    let request = kld.request(KeyKind::Rsa(2048)).unwrap();
    let brief = pki::issue::Validity { not_before: now() - 60, not_after: now() + 2 };
    let leaf = kld.install(&certify_within(&request, Role::Downloader, brief), &ESTATE.checks()).unwrap();
    let mut run = open_run(&kld, "SN-1", &["dmk"]);
    let mut refused = |checks: &Checks| {
        let failure = kld
            .load(&mut run, &BOTH.1, checks, None, || panic!("nobody is called without a certificate"))
            .unwrap_err();
        match *failure.fault {
            LoadFault::Kld(KldError::CertificateRefused(reason)) => reason,
            other => panic!("{other}"),
        }
    };
    assert!(matches!(refused(&ESTATE.checks_revoking(&[&leaf])), CertificateRefusal::Revoked { .. }));
    std::thread::sleep(std::time::Duration::from_secs(4));
    assert!(matches!(refused(&ESTATE.checks()), CertificateRefusal::Expired { .. }));
}
