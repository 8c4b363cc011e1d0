//! Somebody on the line who holds no key, or a TMS or terminal that is not who it says.

use std::vec::Vec;

use wire::{ErrorCode, Frame, Kcv, Src, Suite, TData};

use super::fake::{
    Pad, TMK, Tms, identification, kcv, key_download, until_challenge, until_confirm, until_proof,
};
use crate::{
    KeyConfirm, PadRefusal, Tdes,
    tms_session::{
        Fault, Reason, Transaction,
        messages::{Sac1, TmsChallenge, TmsHello, TmsKey, TmsProof},
        tms::{Confirm, ExpectHello},
    },
};

#[track_caller]
fn assert_not_proven<T: core::fmt::Debug>(result: Result<T, Fault>) {
    let fault = result.unwrap_err();
    assert!(matches!(fault.reason, Reason::Pad(PadRefusal::ServerNotProven { .. })), "{fault:?}");
    assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed);
    assert!(fault.answer().is_some(), "the TMS hears 0005");
}

#[track_caller]
fn assert_key_refused<T: core::fmt::Debug>(result: Result<T, Fault>, why: &str) {
    let fault = result.unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(PadRefusal::KeyRefused { why: why.into() }));
    assert_eq!(fault.code, ErrorCode::KeyRefused);
}

/// A challenge changed on the way.
fn changed(change: impl FnOnce(&mut TmsChallenge)) -> Result<(), Fault> {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (terminal, _, [_, challenge]) = until_challenge(&mut pad, &mut tms, key_download());
    let mut message = <TmsChallenge>::read(&challenge).unwrap();
    change(&mut message);
    terminal.on_frame(&mut pad, &message.write().unwrap(), None).map(drop)
}

#[test]
fn false_tms_is_0005_whether_the_block_or_tac_1_is_wrong() {
    assert_not_proven(changed(|message| message.answer.as_mut().unwrap().proof.tac_1[3] ^= 1));
    assert_not_proven(changed(|message| message.answer.as_mut().unwrap().proof.dwk_1.push('0')));
    assert_not_proven(changed(|message| {
        let challenge = message.answer.as_mut().unwrap();
        challenge.proof.dwk_1 = challenge.proof.dwk_1.replace("SN-1001/00", "SN-1002/00");
    }));
}

#[test]
fn replayed_challenge_is_0005() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (_, _, [_, old]) = until_challenge(&mut pad, &mut tms, key_download());
    let (terminal, ..) = until_challenge(&mut pad, &mut tms, key_download());
    assert_not_proven(terminal.on_frame(&mut pad, &old, None));
}

#[test]
fn hello_changed_on_the_way_makes_a_challenge_that_the_terminal_refuses() {
    let changes: [fn(&mut TmsHello); 3] = [
        |hello| hello.suite = Suite::EC_AES,
        |hello| hello.transaction = Ok(Transaction::ProgramDownload),
        |hello| hello.t_data = TData::new([1; 4], None),
    ];
    for change in changes {
        let (mut pad, mut tms) = (Pad::default(), Tms::default());
        let (terminal, _, [hello, _]) = until_challenge(&mut pad, &mut tms, key_download());
        let mut message = <TmsHello>::read(&hello).unwrap();
        change(&mut message);
        let asked = ExpectHello::new().on_frame(&message.write().unwrap()).unwrap();
        let (challenge, _) = tms.challenge(asked);
        assert_not_proven(terminal.on_frame(&mut pad, &challenge, None));
    }
}

/// S_DATA of the challenge is not in TAC_1, but it is in SAC_1 and in the contexts of the keys.
#[test]
fn s_data_changed_on_the_way_gets_no_key() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (terminal, server, [_, challenge]) =
        until_challenge(&mut pad, &mut tms, Transaction::ProgramDownload);
    let mut message = <TmsChallenge>::read(&challenge).unwrap();
    message.answer.as_mut().unwrap().s_data = wire::SData::new([9; 4], None);
    let (proof, terminal) = terminal.on_frame(&mut pad, &message.write().unwrap(), None).unwrap();
    let key = tms.open_program(server.on_frame(&proof).unwrap()).unwrap();
    let fault = terminal.on_frame(&mut pad, &key).unwrap_err();
    assert_eq!(fault.reason, Reason::ReturnCode { src: Src::AuthenticationFailed });
}

/// To a stranger everything until TMS_PROOF has the same form, and what comes then is the same answer.
#[test]
fn stranger_gets_a_challenge_of_the_same_form_and_src_06() {
    let mut sizes = Vec::new();
    let mut answers = Vec::new();
    for knows_nobody in [false, true] {
        let mut tms = Tms { knows_nobody, ..Tms::default() };
        let (_, server, [hello, challenge]) =
            until_challenge(&mut Pad::default(), &mut tms, Transaction::ProgramDownload);
        sizes.push(challenge.bytes().len());
        let named = <TmsHello>::read(&hello).unwrap().named();
        let guess = TmsProof::<Tdes> { named, good: true, proof: Some(Sac1([0; 4])), operator: None }
            .write()
            .unwrap();
        answers.push(tms.open_program(server.on_frame(&guess).unwrap()).unwrap());
    }
    assert_eq!((sizes[0], &answers[0]), (sizes[1], &answers[1]));
    assert_eq!(<TmsKey>::read(&answers[0]).unwrap().answer, Err(Src::AuthenticationFailed));
}

#[test]
fn replayed_proof_gets_src_06() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (_, _, [.., old]) = until_proof(&mut pad, &mut tms, Transaction::ProgramDownload);
    let (_, server, _) = until_challenge(&mut pad, &mut tms, Transaction::ProgramDownload);
    let key = tms.open_program(server.on_frame(&old).unwrap()).unwrap();
    assert_eq!(<TmsKey>::read(&key).unwrap().answer, Err(Src::AuthenticationFailed));
}

#[test]
fn reflected_data_is_refused_for_its_top_bit() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (terminal, _, [hello, challenge]) = until_challenge(&mut pad, &mut tms, key_download());
    let t_data = <TmsHello>::read(&hello).unwrap().t_data.bytes();
    let s_data = <TmsChallenge>::read(&challenge).unwrap().answer.unwrap().s_data.bytes();
    let swap = |frame: &Frame, from: [u8; 10], to: [u8; 10]| {
        let at = frame.payload().windows(10).position(|window| window == from).unwrap();
        let mut payload = frame.payload().to_vec();
        payload[at..at + 10].copy_from_slice(&to);
        Frame::from_payload(&payload).unwrap()
    };
    let result = terminal.on_frame(&mut pad, &swap(&challenge, s_data, t_data), None);
    crate::testing::assert_malformed(result, wire::Malformed::TopBit { tag: wire::Tag::S_DATA });
    let result = ExpectHello::new().on_frame(&swap(&hello, t_data, s_data));
    crate::testing::assert_malformed(result, wire::Malformed::TopBit { tag: wire::Tag::T_DATA });
}

#[test]
fn replayed_key_is_refused_and_the_old_one_stays() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (_, proven, _) = until_proof(&mut pad, &mut tms, key_download());
    let (old, _) = tms.open_key(proven).unwrap();
    let (terminal, ..) = until_proof(&mut pad, &mut tms, key_download());
    assert_key_refused(terminal.on_frame(&mut pad, &old), "context");
    assert_eq!(pad.disk, None);
}

#[test]
fn blocks_of_one_answer_stay_together() {
    let change = |change: &dyn Fn(&mut crate::tms_session::messages::SessionKeys)| {
        let (mut pad, mut tms) = (Pad::default(), Tms::default());
        let (terminal, proven, _) = until_proof(&mut pad, &mut tms, key_download());
        let (key, _) = tms.open_key(proven).unwrap();
        let mut message = <TmsKey>::read(&key).unwrap();
        change(message.answer.as_mut().unwrap());
        let result = terminal.on_frame(&mut pad, &message.write().unwrap());
        assert_eq!(pad.disk, None);
        result
    };
    assert_key_refused(change(&|keys| core::mem::swap(&mut keys.key.0, keys.tmk.as_mut().unwrap())), "place");
    assert_key_refused(change(&|keys| keys.tmk = Some(keys.key.0.clone())), "place");
    assert_key_refused(
        change(&|keys| keys.tmk = keys.tmk.take().map(|tmk| tmk.replace("/03", "/04"))),
        "place",
    );
}

#[test]
fn terminal_that_failed_gets_no_key_even_if_the_driver_forgets_to_look() {
    let mut tms = Tms::default();
    let (_, server, [hello, _]) =
        until_challenge(&mut Pad::default(), &mut tms, Transaction::ProgramDownload);
    let named = <TmsHello>::read(&hello).unwrap().named();
    let failed =
        TmsProof::<Tdes> { named, good: false, proof: Some(Sac1([0; 4])), operator: None }.write().unwrap();
    let fault = server.on_frame(&failed).unwrap().open_program("B").unwrap_err();
    assert_eq!(fault.reason, Reason::TerminalFailed);
}

#[test]
fn other_suite_is_0009_to_a_proven_terminal_only() {
    let mut tms = Tms::default();
    let (hello, _) = super::fake::start(Transaction::ProgramDownload).begin(&mut Pad::default()).unwrap();
    let asked = TmsHello::<Tdes> { suite: Suite::EC_AES, ..TmsHello::read(&hello).unwrap() };
    let named = asked.named();
    let (_, server) = tms.challenge(ExpectHello::new().on_frame(&asked.write().unwrap()).unwrap());
    let proof =
        TmsProof::<Tdes> { named, good: true, proof: Some(Sac1([0; 4])), operator: None }.write().unwrap();
    let fault = server.on_frame(&proof).unwrap().open_program("B").unwrap_err();
    assert_eq!(fault.code, ErrorCode::SuiteNotSupported);
}

#[test]
fn wrong_check_value_is_an_alarm_and_no_confirmation() {
    let (_, server, _) = until_confirm(&mut Pad::default(), &mut Tms::default());
    let confirm = KeyConfirm { kcvs: [kcv(TMK ^ 1)].into() }.write().unwrap();
    let Confirm::WrongCheckValue(fault) = server.on_frame(&confirm).unwrap().compare() else {
        panic!("it is wrong")
    };
    assert_eq!((fault.code, fault.reason), (ErrorCode::KeyRefused, Reason::WrongCheckValue));
}

#[test]
fn check_value_of_another_suite_is_0001() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (_, proven, _) = until_proof(&mut pad, &mut tms, key_download());
    let fault = proven.open_key("B", "B", Kcv::Aes([1; 5])).unwrap_err();
    assert_eq!(fault.code, ErrorCode::Internal);
}

/// Nothing that a TMS says in TMS_CHALLENGE, TMS_PROOF and TMS_KEY may be of another terminal.
#[test]
fn other_identification_is_0002_in_every_message() {
    let mut other = identification();
    other.vendor = "KG".parse().unwrap();
    let start = crate::tms_session::terminal::Start::new(other, key_download(), None);
    let (other_hello, _) = start.begin(&mut Pad::default()).unwrap();
    let named = <TmsHello>::read(&other_hello).unwrap().named();
    let expected = wire::Malformed::FieldValue { tag: wire::Tag::VENDOR_ID };

    let result = changed(|message| message.named = named.clone());
    crate::testing::assert_malformed(result, expected);

    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (_, server, _) = until_challenge(&mut pad, &mut tms, key_download());
    let proof =
        TmsProof::<Tdes> { named: named.clone(), good: true, proof: Some(Sac1([0; 4])), operator: None };
    crate::testing::assert_malformed(server.on_frame(&proof.write().unwrap()), expected);

    let (terminal, proven, _) = until_proof(&mut pad, &mut tms, key_download());
    let (key, _) = tms.open_key(proven).unwrap();
    let key = TmsKey::<Tdes> { named, ..<TmsKey>::read(&key).unwrap() };
    crate::testing::assert_malformed(terminal.on_frame(&mut pad, &key.write().unwrap()), expected);
}
