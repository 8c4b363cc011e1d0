//! The person at the terminal.

use wire::{ErrorCode, OperatorId, Src};

use super::fake::{PASSWORD, Pad, Tms, until_challenge};
use crate::tms_session::{Fault, OperatorPassword, Reason, Transaction, terminal::Keyed};

/// A whole session of a terminal at which this person works.
fn session(tms: &mut Tms, pad: &mut Pad, operator: Option<(&str, &[u8])>) -> Result<Keyed, Fault> {
    let (terminal, server, [_, challenge]) = until_challenge(pad, tms, Transaction::ProgramDownload);
    let operator =
        operator.map(|(id, password)| OperatorPassword { id: OperatorId::parse(id).unwrap(), password });
    let (proof, terminal) = terminal.on_frame(pad, &challenge, operator.as_ref())?;
    let key = tms.open_program(server.on_frame(&proof).unwrap()).unwrap();
    terminal.on_frame(pad, &key)
}

#[test]
fn demanded_operator_with_the_right_password_opens_the_session() {
    let mut tms = Tms { demands_operator: true, ..Tms::default() };
    assert!(matches!(session(&mut tms, &mut Pad::default(), Some(("op7", PASSWORD))), Ok(Keyed::Program(_))));
}

#[test]
fn wrong_password_and_unknown_operator_are_src_07() {
    for (id, password) in [("op7", &b"wrong"[..]), ("op8", PASSWORD)] {
        let mut tms = Tms { demands_operator: true, ..Tms::default() };
        let fault = session(&mut tms, &mut Pad::default(), Some((id, password))).unwrap_err();
        assert_eq!(fault.reason, Reason::ReturnCode { src: Src::OperatorRefused });
    }
}

#[test]
fn terminal_without_the_demanded_operator_ends_the_session_itself() {
    let (mut tms, mut pad) = (Tms { demands_operator: true, ..Tms::default() }, Pad::default());
    let fault = session(&mut tms, &mut pad, None).unwrap_err();
    assert_eq!((&fault.reason, fault.code), (&Reason::OperatorDemanded, ErrorCode::NotPermittedNow));
    assert_eq!(pad.calls, ["begin", "forget"], "nothing is proven to anyone");
}

/// A proof that nobody asked for would only help whoever guesses passwords.
#[test]
fn proof_leaves_only_when_it_is_demanded() {
    let (mut tms, mut pad) = (Tms::default(), Pad::default());
    let (terminal, server, [_, challenge]) =
        until_challenge(&mut pad, &mut tms, Transaction::ProgramDownload);
    let operator = OperatorPassword { id: OperatorId::parse("op7").unwrap(), password: PASSWORD };
    let (proof, _) = terminal.on_frame(&mut pad, &challenge, Some(&operator)).unwrap();
    assert_eq!(server.on_frame(&proof).unwrap().operator(), None);
}

#[test]
fn pin_pad_that_answers_for_nobody_is_0001() {
    let mut tms = Tms { demands_operator: true, ..Tms::default() };
    let mut pad = Pad { answers_for_nobody: true, ..Pad::default() };
    let fault = session(&mut tms, &mut pad, Some(("op7", PASSWORD))).unwrap_err();
    assert_eq!(fault.code, ErrorCode::Internal);
}

#[test]
fn debug_shows_the_id_and_not_the_password() {
    let operator = OperatorPassword { id: OperatorId::parse("op7").unwrap(), password: PASSWORD };
    assert_eq!(std::format!("{operator:?}"), "OperatorPassword(op7)");
}
