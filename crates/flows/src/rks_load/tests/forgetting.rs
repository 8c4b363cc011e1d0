//! AT, TK and the server's key are gone at every end that the device's role sees.

use wire::{ErrorCode, Fields, Frame, MessageType, error_frame};

use super::fake::{Pad, RKS_KEY, Rks, device, slot, until_cert, until_proof, until_token};
use crate::rks_load::device::Start;

#[track_caller]
fn assert_forgotten(pad: &Pad) {
    assert!(pad.remembers.is_none());
    assert_eq!(pad.calls.last(), Some(&"forget"));
}

/// A good end.
#[test]
fn done_leaves_nothing_behind() {
    let (mut pad, mut rks) = (Pad::default(), Rks::new());
    let (terminal, proven, _) = until_proof(&mut pad, &mut rks);
    let (keys, _) = rks.deliver(proven, false).unwrap();
    let (_, terminal) = terminal.on_frame(&mut pad, &keys).unwrap();
    assert!(pad.remembers.is_some(), "until DONE the download is open");
    terminal.on_frame(&mut pad, &crate::Done.write().unwrap()).unwrap();
    assert_forgotten(&pad);
}

/// A bad end in each state: the wrong message, a broken one, and the server's ERROR.
#[test]
fn refused_frame_leaves_nothing_behind_in_any_state() {
    let wrong = Frame::new(MessageType::TkHello, &Fields::new()).unwrap();
    let broken = Frame::from_payload(&[1, 0x07]).unwrap();
    for bad in [wrong, broken, error_frame(ErrorCode::Busy, "")] {
        let (mut pad, mut rks) = (Pad::default(), Rks::new());
        let (_, terminal) = Start::new(device(), slot()).begin(&mut pad).unwrap();
        assert!(terminal.on_frame(&mut pad, &bad).is_err());
        assert_forgotten(&pad);

        let (terminal, ..) = until_token(&mut pad, &mut rks);
        assert!(pad.remembers.is_some());
        assert!(terminal.on_frame(&mut pad, &bad).is_err());
        assert_forgotten(&pad);

        let (terminal, ..) = until_proof(&mut pad, &mut rks);
        assert!(pad.remembers.is_some());
        assert!(terminal.on_frame(&mut pad, &bad).is_err());
        assert_forgotten(&pad);

        let (terminal, proven, _) = until_proof(&mut pad, &mut rks);
        let (keys, _) = rks.deliver(proven, false).unwrap();
        let (_, terminal) = terminal.on_frame(&mut pad, &keys).unwrap();
        assert!(terminal.on_frame(&mut pad, &bad).is_err());
        assert_forgotten(&pad);
    }
}

#[test]
fn refusal_of_the_pin_pad_leaves_nothing_behind() {
    let mut rks = Rks::new();
    let mut pad = Pad { has_no_identity: true, ..Pad::default() };
    let fault = Start::new(device(), slot()).begin(&mut pad).unwrap_err();
    assert_eq!(fault.code, ErrorCode::NotPermittedNow);
    assert_forgotten(&pad);

    rks.knows_nobody = true;
    let mut pad = Pad::default();
    let (terminal, _, [.., token]) = until_token(&mut pad, &mut rks);
    assert!(terminal.on_frame(&mut pad, &token).is_err());
    assert_forgotten(&pad);

    rks.knows_nobody = false;
    let mut pad = Pad { foreign_owner: true, ..Pad::default() };
    let (terminal, proven, _) = until_proof(&mut pad, &mut rks);
    let (keys, _) = rks.deliver(proven, false).unwrap();
    assert!(terminal.on_frame(&mut pad, &keys).is_err());
    assert_forgotten(&pad);
}

#[test]
fn refused_certificate_leaves_nothing_behind() {
    let (mut pad, rks) = (Pad::default(), Rks::new());
    let (offered, ..) = until_cert(&mut pad, &rks);
    let fault = offered.refused(&mut pad, "it has the role KMS work".into());
    assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed);
    assert_forgotten(&pad);
    let (offered, ..) = until_cert(&mut pad, &rks);
    assert!(offered.factor(&mut pad, &RKS_KEY).is_ok());
    assert!(pad.remembers.is_some());
}
