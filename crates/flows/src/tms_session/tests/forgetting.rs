//! DWK and session key are gone at every bad end that the terminal's role sees.

use wire::{ErrorCode, Fields, Frame, MessageType, error_frame};

use super::fake::{Pad, Tms, key_download, start, until_challenge, until_confirm, until_proof};

#[track_caller]
fn assert_forgotten(pad: &Pad) {
    assert_eq!((pad.dwk, pad.calls.last()), (None, Some(&"forget")));
}

#[test]
fn refused_frame_leaves_nothing_behind_in_any_state() {
    let wrong = Frame::new(MessageType::TkHello, &Fields::new()).unwrap();
    let broken = Frame::from_payload(&[1, 0x07]).unwrap();
    for bad in [wrong, broken, error_frame(ErrorCode::Busy, "")] {
        let (mut pad, mut tms) = (Pad::default(), Tms::default());
        let (terminal, ..) = until_challenge(&mut pad, &mut tms, key_download());
        assert!(terminal.on_frame(&mut pad, &bad, None).is_err());
        assert_forgotten(&pad);

        let (terminal, ..) = until_proof(&mut pad, &mut tms, key_download());
        assert!(pad.dwk.is_some());
        assert!(terminal.on_frame(&mut pad, &bad).is_err());
        assert_forgotten(&pad);

        let (terminal, ..) = until_confirm(&mut pad, &mut tms);
        assert!(pad.dwk.is_some());
        assert!(terminal.on_frame(&mut pad, &bad).is_err());
        assert_forgotten(&pad);
    }
}

#[test]
fn refusal_of_the_pin_pad_leaves_nothing_behind() {
    let mut pad = Pad { has_no_dmk: true, ..Pad::default() };
    let fault = start(key_download()).begin(&mut pad).unwrap_err();
    assert_eq!(fault.code, ErrorCode::NotPermittedNow);
    assert_forgotten(&pad);

    for (pad, code) in [
        (Pad { foreign_owner: true, ..Pad::default() }, ErrorCode::NotPermittedNow),
        (Pad { disk_is_full: true, ..Pad::default() }, ErrorCode::Internal),
        (Pad { loads_nothing: true, ..Pad::default() }, ErrorCode::Internal),
    ] {
        let (mut pad, mut tms) = (pad, Tms::default());
        let (terminal, proven, _) = until_proof(&mut pad, &mut tms, key_download());
        let (key, _) = tms.open_key(proven).unwrap();
        assert_eq!(terminal.on_frame(&mut pad, &key).unwrap_err().code, code);
        assert_eq!(pad.disk, None);
        assert_forgotten(&pad);
    }
}
