//! The seal: numbers, directions, limits.

use paycrypto::ec::{FrameServer, FrameTerminal};

use super::*;
use crate::softpad::seal::EcSeal;
use crate::softpad::tms_ec::EcTmsSession;

#[test]
fn a_session_is_opened_and_sealed_both_ways() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let (mut sealer, mut opener) = sealed(pad);
    for number in 0..3_u8 {
        let question = pad.tms_seal(&[number; 20]).unwrap();
        assert_eq!(opener.open(&question).unwrap().as_slice(), [number; 20]);
        let answer = sealer.seal(&[number; 30]).unwrap();
        assert_eq!(pad.tms_open(&answer).unwrap(), [number; 30]);
    }
    // A block more than the text has: 3 and 3 for each pair.
    assert_eq!(pad.tms_blocks_left(), (1 << 34) - 18);
    pad.tms_forget();
    assert_ended(pad);
}

/// Origin: `frame` of vectors/ec-suite.json.
#[test]
fn the_worked_frame_passes_through_the_pad() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/ec-suite.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let file = &file["frame"];
    let hex = |name: &str| -> Vec<u8> {
        let digits = file[name].as_str().unwrap();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    };
    assert_eq!((&file["counter"], &file["direction"]), (&0.into(), &0.into()));
    let key: [u8; 32] = hex("key").try_into().unwrap();
    let sealer = FrameTerminal::from_bytes(&key).sealing(0).unwrap();
    let opener = FrameServer::from_bytes(&key).opening(0).unwrap();
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    pad.session = Session::TmsEc(Box::new(EcTmsSession::Sealed(EcSeal::with(sealer, opener))));
    assert_eq!(pad.tms_seal(&hex("inner")).unwrap(), hex("df4a"));
    // Under the same key, the direction alone refuses it.
    assert!(is_0005(pad.tms_open(&hex("df4a"))));
}

#[test]
fn a_message_of_the_other_direction_repeated_skipped_cut_or_spliced_is_0005_and_ends_the_session() {
    type Make = fn(&mut SoftPad, &mut FrameSealer) -> Vec<u8>;
    let cases: [(&str, Make); 6] = [
        ("reflected", |pad, _| pad.tms_seal(b"question").unwrap()),
        ("repeated", |pad, tms| {
            let answer = tms.seal(b"answer").unwrap();
            pad.tms_open(&answer).unwrap();
            answer
        }),
        ("skipped", |_, tms| {
            tms.seal(b"one").unwrap();
            tms.seal(b"two").unwrap()
        }),
        ("cut", |_, tms| {
            let mut sealed = tms.seal(b"answer").unwrap();
            sealed.pop();
            sealed
        }),
        ("seal-extension", |_, tms| [tms.seal(b"one").unwrap(), tms.seal(b"two").unwrap()].concat()),
        ("changed", |_, tms| {
            let mut sealed = tms.seal(b"answer").unwrap();
            sealed[0] ^= 1;
            sealed
        }),
    ];
    for (name, make) in cases {
        let mut terminal = managed();
        let pad = terminal.pad_mut();
        let (mut sealer, _) = sealed(pad);
        let message = make(pad, &mut sealer);
        assert!(is_0005(pad.tms_open(&message)), "{name}");
        assert_eq!(pad.refusals().newest().unwrap().check, "SEALED 0005", "{name}");
        assert_ended(pad);
    }
}

#[test]
fn r20_the_keys_of_a_session_protect_no_more_than_2_34_blocks() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    sealed(pad);
    let Session::TmsEc(session) = &mut pad.session else { panic!("no session") };
    let EcTmsSession::Sealed(seal) = session.as_mut() else { panic!("not sealed") };
    seal.set_blocks((1 << 34) - 2);
    pad.tms_seal(&[7; 16]).unwrap();
    assert_eq!(pad.tms_blocks_left(), 0);
    assert!(is_0008(pad.tms_seal(b"")));
    assert_ended(pad);
}
