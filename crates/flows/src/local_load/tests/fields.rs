//! Fields that a row of section 3 does not allow, and what may be signed.

use std::{string::String, vec, vec::Vec};

use wire::{ErrorCode, Kcv, Malformed, MessageType, Suite, Tag};

use super::fake::{KLD_KEY, Pad, device, kcv, start, until_accept};
use crate::{
    PadRefusal,
    local_load::{
        Fault, Reason,
        kld::Accept,
        messages::{MAX_FACTOR, SignedFields},
        terminal::Connect,
    },
    testing::{assert_malformed, with},
};

fn connect_with(tag: Tag, value: Option<&[u8]>) -> Result<Connect, Fault> {
    let good: [(Tag, &[u8]); 2] = [(Tag::SUITE, &[1]), (Tag::CERTIFICATE, &[0x30, 0])];
    Connect::read(&with(MessageType::KldConnect, &good, tag, value))
}

#[test]
fn connect_needs_suite_and_certificate() {
    for tag in [Tag::SUITE, Tag::CERTIFICATE] {
        assert_malformed(connect_with(tag, None), Malformed::MissingField { tag });
        assert_malformed(connect_with(tag, Some(&[])), Malformed::FieldLength { tag, found: 0 });
    }
    let tag = Tag::INTERMEDIATES;
    assert!(connect_with(tag, Some(&[0x30, 0, 0x30, 0])).is_ok());
    assert_malformed(connect_with(tag, Some(&[0x30])), Malformed::FieldValue { tag });
    assert_malformed(connect_with(tag, Some(&[0x30, 0].repeat(9))), Malformed::FieldValue { tag });
    assert!(connect_with(tag, Some(&[0x30, 0].repeat(8))).is_ok());
}

#[test]
fn another_suite_is_0009_and_only_after_the_certificate() {
    let mut pad = Pad::new();
    let connect = connect_with(Tag::SUITE, Some(&[2])).unwrap();
    assert_eq!(connect.suite(), Suite::EC_AES);
    let fault = connect.accept(&mut pad, &device(), &KLD_KEY).unwrap_err();
    assert_eq!(fault.reason, Reason::SuiteNotSupported { suite: Suite::EC_AES });
    assert_eq!((fault.code, pad.calls.as_slice()), (ErrorCode::SuiteNotSupported, &[][..]));
    let refused = connect_with(Tag::SUITE, Some(&[2])).unwrap().refused("expired".into());
    assert_eq!(refused.code, ErrorCode::CertificateRefused);
}

fn accept_with(tag: Tag, value: Option<&[u8]>) -> Result<Accept, Fault> {
    let good: [(Tag, &[u8]); 2] = [(Tag::SERIAL, b"SN-1001"), (Tag::C_RND1_RND2, &[7; 256])];
    start().begin().unwrap().1.on_frame(&with(MessageType::KldAccept, &good, tag, value))
}

#[test]
fn accept_needs_a_serial_and_a_ciphertext_as_long_as_a_modulus() {
    for tag in [Tag::SERIAL, Tag::C_RND1_RND2] {
        assert_malformed(accept_with(tag, None), Malformed::MissingField { tag });
    }
    for (found, good) in [(0, false), (255, false), (256, true), (384, true), (512, true), (513, false)] {
        let tag = Tag::C_RND1_RND2;
        match accept_with(tag, Some(&[7; 513][..found])) {
            Ok(_) => assert!(good, "{found}"),
            refused => {
                assert!(!good, "{found}");
                assert_malformed(refused, Malformed::FieldLength { tag, found });
            }
        }
    }
    assert_malformed(accept_with(Tag::PIN_PAD_SERIAL, Some(b"SN-1001")), Malformed::PinPadEqualsTerminal);
    let external = accept_with(Tag::PIN_PAD_SERIAL, Some(b"PP-7")).unwrap();
    assert_eq!(external.device().pin_pad().as_str(), "PP-7");
}

#[test]
fn key_is_as_long_as_a_modulus_on_both_sides() {
    for (found, good) in [(0, false), (255, false), (256, true), (512, true), (513, false)] {
        let tag = Tag::C_CTMK_RND2;
        let signature = &[7; 513][..found];
        let accepted = until_accept(&mut Pad::new()).1;
        assert_eq!(accepted.deliver(signature, kcv(1)).is_ok(), good, "{found}");
        let frame = crate::testing::frame(MessageType::KldKey, &[(tag, signature)]);
        let mut pad = Pad::new();
        let fault = until_accept(&mut pad).0.on_frame(&mut pad, &frame).unwrap_err();
        if good {
            assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed, "read, and not proven");
        } else {
            assert_malformed(Err::<(), _>(fault), Malformed::FieldLength { tag, found });
        }
    }
}

#[test]
fn check_value_of_another_suite_is_not_waited_for() {
    let accepted = until_accept(&mut Pad::new()).1;
    assert_eq!(accepted.deliver(&[7; 256], Kcv::Aes([0; 5])).unwrap_err().code, ErrorCode::Internal);
}

#[test]
fn confirm_of_no_key_or_of_two_is_malformed() {
    let tag = Tag::KEY_ENTRY;
    let entry: &[u8] = &[0xDF, 0x0B, 3, 0xBA, 0xBA, 0xBA];
    for (entries, expected) in [
        (vec![], Malformed::MissingField { tag }),
        (vec![entry, entry], Malformed::Template { tag }),
        (vec![&[0xDF, 0x0B, 3, 0xBA, 0xBA, 0xBA, 0xDF, 0x40, 1, b'B'][..]], Malformed::Template { tag }),
        (vec![&[0xDF, 0x0B, 2, 0xBA, 0xBA][..]], Malformed::FieldLength { tag: Tag::KCV, found: 2 }),
        (vec![&[][..]], Malformed::MissingField { tag: Tag::KCV }),
    ] {
        let (_, loader) = until_accept(&mut Pad::new()).1.deliver(&[7; 256], kcv(0xBA)).unwrap();
        let fields: Vec<(Tag, &[u8])> = entries.into_iter().map(|entry| (tag, entry)).collect();
        let frame = crate::testing::frame(MessageType::KeyConfirm, &fields);
        assert_malformed(loader.on_frame(&frame), expected);
    }
}

const TMK: &str = "B0152K1TB00N0300";
const DIK2: &str = "B015212TN00N0300";
const RND2: (u16, &[u8]) = (0xDF06, &[0x81; 8]);

fn signed(fields: &[(u16, &[u8])]) -> Result<SignedFields, PadRefusal> {
    let tlv = |(tag, value): &(u16, &[u8])| {
        [&tag.to_be_bytes(), [u8::try_from(value.len()).unwrap()].as_slice(), value].concat()
    };
    SignedFields::read(&fields.iter().flat_map(tlv).collect::<Vec<u8>>())
}

fn why(result: Result<SignedFields, PadRefusal>) -> String {
    match result {
        Err(PadRefusal::ServerNotProven { why }) => why,
        other => panic!("{other:?} is not 0005"),
    }
}

#[test]
fn signed_fields_stand_in_their_order_to_the_last_byte() {
    let tmk: (u16, &[u8]) = (0xDF40, TMK.as_bytes());
    let dik2: (u16, &[u8]) = (0xDF40, DIK2.as_bytes());
    let factor: (u16, &[u8]) = (0xDF23, b"f");
    assert!(signed(&[tmk, RND2]).is_ok());
    assert!(signed(&[dik2, RND2, factor]).is_ok());
    for (wrong, reason) in [
        (&[][..], "missing"),
        (&[tmk], "DF06 (Rnd2) is missing"),
        (&[RND2, tmk], "may not stand here"),
        (&[RND2], "may not stand here"),
        (&[tmk, RND2, RND2], "twice"),
        (&[tmk, RND2, (0xDF7F, b"")], "may not stand here"),
        (&[tmk, (0xDF7F, b""), RND2], "may not stand here"),
        (&[dik2, factor, RND2], "may not stand here"),
        (&[dik2, RND2, factor, (0xDF05, b"")], "may not stand here"),
        (&[(0xDF40, b""), RND2], "0 bytes"),
        (&[(0xDF40, b"B\xFF"), RND2], "cannot have"),
        (&[tmk, (0xDF06, &[0x81; 7])], "7 bytes"),
        (&[tmk, (0xDF06, &[0x81; 9])], "9 bytes"),
    ] {
        let why = why(signed(wrong));
        assert!(why.contains(reason), "{why}");
    }
}

#[test]
fn byte_behind_the_signed_fields_is_refused() {
    let good = SignedFields { block: TMK.into(), rnd2: [0x81; 8], factor: None }.encode().unwrap();
    assert!(SignedFields::read(&good).is_ok());
    for after in [&[0][..], &[0xFF], &[0, 0], &[0xDF]] {
        why(SignedFields::read(&[&good, after].concat()));
    }
    for length in 0..good.len() {
        why(SignedFields::read(&good[..length]));
    }
}

#[test]
fn factor_stands_exactly_with_a_dik2_and_has_1_to_32_bytes() {
    let tmk: (u16, &[u8]) = (0xDF40, TMK.as_bytes());
    let dik2: (u16, &[u8]) = (0xDF40, DIK2.as_bytes());
    assert!(why(signed(&[dik2, RND2])).contains("without its factor"));
    assert!(why(signed(&[tmk, RND2, (0xDF23, b"f")])).contains("no DIK2"));
    for (length, good) in [(0, false), (1, true), (MAX_FACTOR, true), (MAX_FACTOR + 1, false)] {
        let factor = vec![b'f'; length];
        assert_eq!(signed(&[dik2, RND2, (0xDF23, &factor)]).is_ok(), good, "{length}");
    }
}
