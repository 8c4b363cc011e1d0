//! Somebody on the cable who has not the downloader's key, or one who has and should not be served.

use std::{vec, vec::Vec};

use wire::{Device, ErrorCode, Frame, Serial};

use super::fake::{KLD_KEY, Kld, OTHER_KEY, Pad, block, device, kcv, sealed, start, until_accept};
use crate::{
    PadRefusal, RefusalRecord, Tdes,
    local_load::{
        Fault, Reason,
        kld::Confirm,
        messages::{KldAccept, KldKey, SignedFields},
        terminal::{Connect, ExpectDone},
    },
};

#[track_caller]
fn assert_not_proven(result: Result<(Frame, ExpectDone), Fault>, why: &str) {
    let fault = result.unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(PadRefusal::ServerNotProven { why: why.into() }));
    assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed);
}

#[track_caller]
fn assert_key_refused(result: Result<(Frame, ExpectDone), Fault>, why: &str) {
    let fault = result.unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(PadRefusal::KeyRefused { why: why.into() }));
    assert_eq!(fault.code, ErrorCode::KeyRefused);
}

fn key_frame(signer: u8, signed: &SignedFields) -> Frame {
    KldKey { c_ctmk_rnd2: sealed(signer, &signed.encode().unwrap()) }.write().unwrap()
}

#[test]
fn foreign_certificate_is_000d_and_the_pin_pad_is_not_asked() {
    let (connect, _) = start().begin().unwrap();
    let fault = Connect::read(&connect).unwrap().refused("issued by another acquirer's root".into());
    assert_eq!(fault.code, ErrorCode::CertificateRefused);
    assert!(fault.answer().is_some());
}

#[test]
fn refusal_records_go_along_with_a_refusal() {
    let fault = Fault::from(Reason::NotPermitted { why: "wiped".into() });
    let record = RefusalRecord { check: "lid".into(), reading: "open".into(), when: None };
    let answer = fault.answer_with_refusals("wiped", &[record.fields()]).unwrap();
    let error = wire::ErrorMessage::read(&answer.message().unwrap().fields);
    assert_eq!(error.known_code(), Some(ErrorCode::NotPermittedNow));
    assert_eq!(RefusalRecord::read(&error.refusals[0]), Ok(record));
}

#[test]
fn kld_with_somebodys_certificate_and_another_key_is_not_proven() {
    let mut pad = Pad::new();
    let (terminal, accepted, _) = until_accept(&mut pad);
    let signed = Kld::new().signed(&accepted).unwrap();
    assert_not_proven(terminal.on_frame(&mut pad, &key_frame(OTHER_KEY, &signed)), "signature");
    assert_eq!(pad.disk, None);
}

#[test]
fn replayed_key_is_not_proven() {
    let mut pad = Pad::new();
    let (_, accepted, _) = until_accept(&mut pad);
    let (old, _) = Kld::new().deliver(accepted).unwrap();
    let (terminal, ..) = until_accept(&mut pad);
    assert_not_proven(terminal.on_frame(&mut pad, &old), "Rnd2");
    assert_eq!(pad.disk, None);
}

#[test]
fn old_block_signed_anew_is_refused() {
    // The KLD's key signs what a broken HSM might: this run's Rnd2 with an earlier run's block.
    let mut pad = Pad::new();
    let (_, accepted, _) = until_accept(&mut pad);
    let old = Kld::new().signed(&accepted).unwrap();
    let (terminal, accepted, _) = until_accept(&mut pad);
    // Another KLD_ACCEPT, another context.
    let mixed = SignedFields { block: old.block, ..Kld::new().signed(&accepted).unwrap() };
    assert_key_refused(terminal.on_frame(&mut pad, &key_frame(KLD_KEY, &mixed)), "context");
}

#[test]
fn key_given_twice_loads_once() {
    let mut pad = Pad::new();
    let (terminal, accepted, [connect, _]) = until_accept(&mut pad);
    let (key, _) = Kld::new().deliver(accepted).unwrap();
    let _ = terminal.on_frame(&mut pad, &key).unwrap();
    pad.disk = None;
    let (_, terminal) = Connect::read(&connect).unwrap().accept(&mut pad, &device(), &KLD_KEY).unwrap();
    assert_not_proven(terminal.on_frame(&mut pad, &key), "Rnd2");
    assert_eq!(pad.disk, None);
}

#[test]
fn loading_begun_again_ends_the_one_before() {
    let mut pad = Pad::new();
    let (first, accepted, _) = until_accept(&mut pad);
    let (key, _) = Kld::new().deliver(accepted).unwrap();
    let _second = until_accept(&mut pad);
    assert_not_proven(first.on_frame(&mut pad, &key), "another KLD_ACCEPT");
}

#[test]
fn key_for_another_place_or_time_is_refused() {
    let mut pad = Pad::new();
    let (terminal, accepted, _) = until_accept(&mut pad);
    let good = Kld::new().signed(&accepted).unwrap();
    let elsewhere = SignedFields { block: good.block.replace("/03", "/04"), ..good };
    assert_key_refused(terminal.on_frame(&mut pad, &key_frame(KLD_KEY, &elsewhere)), "place");

    let (terminal, accepted, _) = until_accept(&mut pad);
    let mut good = Kld::new().signed(&accepted).unwrap();
    good.block = block("K1", "SN-1001/03", crate::Transcript::new().context(), good.rnd2[0], 1);
    assert_key_refused(terminal.on_frame(&mut pad, &key_frame(KLD_KEY, &good)), "context");
}

#[test]
fn connect_changed_on_the_way_makes_a_key_that_the_terminal_refuses() {
    // The attacker takes the intermediates away: both sides go on, and the transcripts differ.
    let mut pad = Pad::new();
    let (sent, kld) = start().begin().unwrap();
    let mut changed = crate::local_load::messages::KldConnect::<Tdes>::read(&sent).unwrap();
    changed.chain.intermediates = Vec::new();
    let connect = Connect::read(&changed.write().unwrap()).unwrap();
    let (accept, terminal) = connect.accept(&mut pad, &device(), &KLD_KEY).unwrap();
    let (key, _) = Kld::new().deliver(kld.on_frame(&accept).unwrap()).unwrap();
    assert_key_refused(terminal.on_frame(&mut pad, &key), "context");
}

#[test]
fn accept_from_another_serial_makes_a_key_that_the_terminal_refuses() {
    // The attacker turns SN so that the run's list has it; the block is then for that place.
    let mut pad = Pad::new();
    let (connect, kld) = start().begin().unwrap();
    let (accept, terminal) = Connect::read(&connect).unwrap().accept(&mut pad, &device(), &KLD_KEY).unwrap();
    let mut changed = KldAccept::<Tdes>::read(&accept).unwrap();
    changed.device = Device::built_in(Serial::parse("SN-1002").unwrap());
    let accepted = kld.on_frame(&changed.write().unwrap()).unwrap();
    assert_eq!(accepted.device().sn().as_str(), "SN-1002");
    let (key, _) = Kld::new().deliver(accepted).unwrap();
    assert_key_refused(terminal.on_frame(&mut pad, &key), "place");
}

#[test]
fn another_owners_place_is_0008() {
    let mut pad = Pad::new();
    pad.foreign_owner = true;
    let (terminal, accepted, _) = until_accept(&mut pad);
    let (key, _) = Kld::new().deliver(accepted).unwrap();
    let fault = terminal.on_frame(&mut pad, &key).unwrap_err();
    assert_eq!(fault.code, ErrorCode::NotPermittedNow);
    assert_eq!(pad.disk, None);
}

#[test]
fn pin_pad_that_cannot_write_its_state_confirms_nothing() {
    let mut pad = Pad::new();
    pad.disk_is_full = true;
    let (terminal, accepted, _) = until_accept(&mut pad);
    let (key, _) = Kld::new().deliver(accepted).unwrap();
    assert_eq!(terminal.on_frame(&mut pad, &key).unwrap_err().code, ErrorCode::Internal);
}

#[test]
fn terminal_that_the_run_does_not_serve_is_refused_by_name() {
    let sn = device().sn().clone();
    let accepted = || until_accept(&mut Pad::new()).1;
    for (fault, reason, code) in [
        (
            accepted().unknown_terminal(),
            Reason::UnknownTerminal { sn: sn.clone() },
            ErrorCode::UnknownTerminal,
        ),
        (accepted().not_in_run(), Reason::NotInRun { sn: sn.clone() }, ErrorCode::NotPermittedNow),
        (accepted().already_served(), Reason::AlreadyServed { sn }, ErrorCode::NotPermittedNow),
    ] {
        assert_eq!((fault.code, fault.reason), (code, reason));
    }
}

#[test]
fn randoms_that_do_not_open_and_a_weak_rnd1_have_one_answer() {
    let accepted = || until_accept(&mut Pad::new()).1;
    let (bad, weak) = (accepted().randoms_refused("OAEP".into()), accepted().randoms_refused("weak".into()));
    assert_eq!(bad.answer(), weak.answer());
    assert_eq!(bad.code, ErrorCode::Malformed);
}

#[test]
fn wrong_check_value_is_an_alarm() {
    let mut pad = Pad::new();
    let (_, accepted, _) = until_accept(&mut pad);
    let (_, loader) = Kld::new().deliver(accepted).unwrap();
    let confirm = crate::KeyConfirm { kcvs: vec![kcv(0xBB)] }.write().unwrap();
    let Confirm::WrongCheckValue(fault) = loader.on_frame(&confirm).unwrap().compare() else {
        panic!("another check value was told")
    };
    assert_eq!((fault.code, fault.reason), (ErrorCode::KeyRefused, Reason::WrongCheckValue));
}
