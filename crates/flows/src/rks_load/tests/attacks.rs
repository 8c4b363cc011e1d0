//! Somebody on the line who holds no key, or an RKS or device that is not who it says.

use std::{string::ToString, vec, vec::Vec};

use wire::{Device, ErrorCode, Frame, Serial};

use super::fake::{Pad, RKS_KEY, Rks, device, kcv, sealed, slot, until_cert, until_proof, until_token};
use crate::{
    KeyConfirm, PadRefusal, Tdes,
    rks_load::{
        Fault, Reason,
        device::{ExpectDone, Start},
        messages::{RksAuth, RksFactor, RksKeys, RksProof, RksToken},
        rks::{Confirm, Proof},
    },
};

#[track_caller]
fn assert_not_proven<T: core::fmt::Debug>(result: Result<T, Fault>, why: &str) {
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

#[test]
fn refused_certificate_is_0005_and_the_factor_stays() {
    let mut pad = Pad::default();
    let (offered, ..) = until_cert(&mut pad, &Rks::new());
    let fault = offered.refused(&mut pad, "expired".into());
    assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed);
    assert!(!pad.calls.contains(&"factor"));
}

#[test]
fn token_that_does_not_open_is_0005() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    rks.knows_nobody = true;
    let (terminal, _, [.., token]) = until_token(&mut pad, &mut rks);
    assert_not_proven(terminal.on_frame(&mut pad, &token), "MAC");
}

#[test]
fn replayed_token_is_0005() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (_, _, [.., old]) = until_token(&mut pad, &mut rks);
    let (terminal, ..) = until_token(&mut pad, &mut rks);
    assert_not_proven(terminal.on_frame(&mut pad, &old), "context");
}

/// To a stranger everything until RKS_PROOF has the same form, and what comes then is the same answer.
#[test]
fn stranger_wrong_factor_and_bad_ciphertext_get_a_token_of_the_same_form_and_0006() {
    let mut answers = Vec::new();
    let mut sizes = Vec::new();
    let good = sealed(RKS_KEY, b"\x01KLD-7/20261120/B042");
    let wrong = sealed(RKS_KEY, b"\x01another factor");
    let bad = sealed(0xB2, b"\x01KLD-7/20261120/B042");
    for (known, df20) in [(true, &good), (false, &good), (true, &wrong), (true, &bad)] {
        let mut rks = Rks::new();
        rks.knows_nobody = !known;
        let (_, server, _) = until_cert(&mut Pad::default(), &rks);
        let factor = RksFactor { factor_ciphertext: df20.clone() }.write().unwrap();
        let (token, server) = rks.token(server.on_frame(&factor).unwrap());
        sizes.push(token.bytes().len());
        let proof = RksProof { proof_ciphertext: vec![0; 256] }.write().unwrap();
        let fault = rks.deliver(server.on_frame(&proof).unwrap(), false).unwrap_err();
        answers.push(fault.answer());
    }
    assert!(sizes.iter().all(|size| *size == sizes[0]));
    let stranger = Fault::from(Reason::UnknownTerminal { sn: device().sn().clone() });
    assert_eq!(stranger.code, ErrorCode::TerminalAuthenticationFailed);
    assert!(answers.iter().all(|answer| *answer == stranger.answer()));
}

#[test]
fn replayed_proof_gets_no_key() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (_, _, [.., old]) = until_proof(&mut pad, &mut rks);
    let (_, server, _) = until_token(&mut pad, &mut rks);
    let fault = rks.deliver(server.on_frame(&old).unwrap(), false).unwrap_err();
    assert_eq!(fault.code, ErrorCode::TerminalAuthenticationFailed);
    assert!(matches!(fault.reason, Reason::NotProven { .. }));
}

#[test]
fn replayed_keys_are_refused() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (_, proven, _) = until_proof(&mut pad, &mut rks);
    let (old, _) = rks.deliver(proven, false).unwrap();
    let (terminal, ..) = until_proof(&mut pad, &mut rks);
    assert_key_refused(terminal.on_frame(&mut pad, &old), "context");
    assert_eq!(pad.disk, []);
}

/// Keys left out, put in another order or mixed: all of the message is refused.
#[test]
fn keys_of_one_answer_stay_together_and_in_order() {
    let change = |change: &dyn Fn(&mut RksKeys)| {
        let (mut pad, mut rks) = (Pad::default(), Rks::new());
        let (terminal, proven, _) = until_proof(&mut pad, &mut rks);
        let (keys, _) = rks.deliver(proven, false).unwrap();
        let mut changed = RksKeys::read::<Tdes>(&keys).unwrap();
        change(&mut changed);
        let result = terminal.on_frame(&mut pad, &changed.write::<Tdes>().unwrap());
        assert_eq!(pad.disk.is_empty(), result.is_err(), "all or none");
        result
    };
    assert_key_refused(change(&|keys| keys.blocks.swap(0, 1)), "context");
    assert_key_refused(change(&|keys| drop(keys.blocks.remove(0))), "context");
    assert_key_refused(change(&|keys| keys.blocks.push(keys.blocks[0].clone())), "context");
    assert_key_refused(
        change(&|keys| keys.blocks[1] = keys.blocks[1].replace("SN-1001", "SN-1002")),
        "place",
    );
    // The last ones of a message can be cut off: the device itself knows which keys it wants.
    assert!(change(&|keys| drop(keys.blocks.pop())).is_ok());
}

#[test]
fn cut_answer_is_not_confirmed_at_the_rks() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (terminal, proven, _) = until_proof(&mut pad, &mut rks);
    let (keys, server) = rks.deliver(proven, false).unwrap();
    let mut cut = RksKeys::read::<Tdes>(&keys).unwrap();
    cut.blocks.pop();
    let (confirm, _) = terminal.on_frame(&mut pad, &cut.write::<Tdes>().unwrap()).unwrap();
    assert_eq!(server.on_frame(&confirm).unwrap_err().code, ErrorCode::Malformed);
}

#[test]
fn auth_changed_on_the_way_makes_a_token_that_the_device_refuses() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (sent, terminal) = Start::new(device(), slot()).begin(&mut pad).unwrap();
    let mut changed = RksAuth::<Tdes>::read(&sent).unwrap();
    changed.slot = wire::Slot::new(4).unwrap();
    let (cert, server) = rks.certificate(&changed.write().unwrap());
    let offered = terminal.on_frame(&mut pad, &cert).unwrap();
    let (factor, terminal) = offered.factor(&mut pad, &RKS_KEY).unwrap();
    let (token, _) = rks.token(server.on_frame(&factor).unwrap());
    assert_not_proven(terminal.on_frame(&mut pad, &token), "context");
}

#[test]
fn field_that_nobody_reads_still_changes_the_context() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (terminal, server, _) = until_cert(&mut pad, &rks);
    let (factor, terminal) = terminal.factor(&mut pad, &RKS_KEY).unwrap();
    let more = Frame::from_payload(&[factor.payload(), &[0xDF, 0x7F, 0]].concat()).unwrap();
    let (token, _) = rks.token(server.on_frame(&more).unwrap());
    assert_not_proven(terminal.on_frame(&mut pad, &token), "context");
}

#[test]
fn token_for_another_place_is_refused() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (terminal, _, [.., token]) = until_token(&mut pad, &mut rks);
    let at_tk1 = RksToken::read(&token).unwrap().at_tk1.replace("SN-1001/00", "SN-1001/03");
    assert_not_proven(terminal.on_frame(&mut pad, &RksToken { at_tk1 }.write().unwrap()), "place");
}

#[test]
fn another_owners_slot_is_0008_and_nothing_is_kept() {
    let (mut pad, mut rks) = (Pad { foreign_owner: true, ..Pad::default() }, Rks::new());
    let (terminal, proven, _) = until_proof(&mut pad, &mut rks);
    let (keys, _) = rks.deliver(proven, false).unwrap();
    let fault = terminal.on_frame(&mut pad, &keys).unwrap_err();
    assert_eq!((fault.code, pad.disk), (ErrorCode::NotPermittedNow, Vec::new()));
}

#[test]
fn pin_pad_that_cannot_write_or_count_confirms_nothing() {
    for pad in
        [Pad { disk_is_full: true, ..Pad::default() }, Pad { confirms_too_few: true, ..Pad::default() }]
    {
        let (mut pad, mut rks) = (pad, Rks::new());
        let (terminal, proven, _) = until_proof(&mut pad, &mut rks);
        let (keys, _) = rks.deliver(proven, false).unwrap();
        assert_eq!(terminal.on_frame(&mut pad, &keys).unwrap_err().code, ErrorCode::Internal);
    }
}

#[test]
fn one_wrong_check_value_among_several_is_an_alarm_for_all() {
    for wrong in [[0xBA, 0x7C], [0xBB, 0x7B], [0x7B, 0xBA]] {
        let (mut pad, mut rks) = (Pad::default(), Rks::new());
        let (_, proven, _) = until_proof(&mut pad, &mut rks);
        let (_, server) = rks.deliver(proven, false).unwrap();
        let confirm = KeyConfirm { kcvs: wrong.map(kcv).to_vec() }.write().unwrap();
        let Confirm::WrongCheckValue(fault) = server.on_frame(&confirm).unwrap().compare() else {
            panic!("{wrong:02X?} was told")
        };
        assert_eq!((fault.code, fault.reason), (ErrorCode::KeyRefused, Reason::WrongCheckValue));
    }
}

#[test]
fn proven_device_without_a_key_hears_000c() {
    let proven: Proof = until_proof(&mut Pad::default(), &mut Rks::new()).1;
    let fault = proven.no_key();
    assert_eq!(
        (fault.code, fault.reason.to_string()),
        (ErrorCode::NoKeyForSlot, "no key for slot 03".into())
    );
}

#[test]
fn external_pin_pad_is_named_to_the_rks() {
    let pair = Device::new(Serial::parse("SN-1001").unwrap(), Some(Serial::parse("PP-7").unwrap())).unwrap();
    let (auth, _) = Start::new(pair.clone(), slot()).begin(&mut Pad::default()).unwrap();
    let asked = crate::rks_load::rks::ExpectAuth::new().on_frame(&auth).unwrap();
    assert_eq!(asked.device(), &pair);
}
