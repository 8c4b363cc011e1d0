//! Fields that a row of section 3 does not allow.

use std::{string::String, vec, vec::Vec};

use wire::{ErrorCode, Fields, Frame, Kcv, Malformed, MessageType, Suite, Tag};

use super::fake::{Pad, Rks, device, kcv, slot, until_cert, until_proof, until_token};
use crate::{
    RefusalRecord, Tdes,
    rks_load::{
        Fault, Reason,
        device::{ExpectDone, Start},
        messages::RksAuth,
        rks::{Auth, ExpectAuth, Proof},
    },
    testing::{assert_malformed, der, frame, with},
};

fn auth_with(tag: Tag, value: Option<&[u8]>) -> Result<Auth, Fault> {
    let good: [(Tag, &[u8]); 3] = [(Tag::SUITE, &[1]), (Tag::SERIAL, b"SN-1001"), (Tag::SLOT, &[3])];
    ExpectAuth::new().on_frame(&with(MessageType::RksAuth, &good, tag, value))
}

#[test]
fn auth_needs_suite_serial_and_slot() {
    for tag in [Tag::SUITE, Tag::SERIAL, Tag::SLOT] {
        assert_malformed(auth_with(tag, None), Malformed::MissingField { tag });
    }
    for tag in [Tag::SUITE, Tag::SLOT] {
        for found in [0, 2] {
            assert_malformed(auth_with(tag, Some(&[1; 2][..found])), Malformed::FieldLength { tag, found });
        }
    }
    assert!(auth_with(Tag::SLOT, Some(&[99])).is_ok());
    assert_malformed(auth_with(Tag::SLOT, Some(&[100])), Malformed::SlotRange { found: 100 });
    assert_malformed(auth_with(Tag::PIN_PAD_SERIAL, Some(b"SN-1001")), Malformed::PinPadEqualsTerminal);
}

#[test]
fn refusal_records_travel_in_auth_and_keep_their_order() {
    let record =
        |check: &str| RefusalRecord { check: check.into(), reading: "x".into(), when: None }.fields();
    let records = vec![record("lid"), record("voltage")];
    let start = Start::new(device(), slot()).with_refusals(records.clone());
    let (auth, _) = start.begin(&mut Pad::default()).unwrap();
    assert_eq!(ExpectAuth::new().on_frame(&auth).unwrap().refusals(), records);
    let bad = RefusalRecord { check: "c".into(), reading: "r".into(), when: None };
    let mut fields = Fields::new();
    fields.push(Tag::REFUSAL_CHECK, bad.check.as_bytes()).unwrap();
    let value = fields.encode().unwrap();
    assert_malformed(
        auth_with(Tag::REFUSAL_RECORD, Some(&value)),
        Malformed::MissingField { tag: Tag::REFUSAL_READING },
    );
}

#[test]
fn certificate_is_there_and_its_intermediates_are_cut_apart() {
    let cert = |fields: &[(Tag, &[u8])]| {
        let mut pad = Pad::default();
        let (_, terminal) = Start::new(device(), slot()).begin(&mut pad).unwrap();
        terminal.on_frame(&mut pad, &frame(MessageType::RksCert, fields))
    };
    let leaf: (Tag, &[u8]) = (Tag::CERTIFICATE, &[0x30, 0]);
    assert!(cert(&[leaf]).is_ok());
    assert_malformed(cert(&[]), Malformed::MissingField { tag: Tag::CERTIFICATE });
    let cut = cert(&[leaf, (Tag::INTERMEDIATES, &[0x30, 1])]);
    assert_malformed(cut, Malformed::FieldValue { tag: Tag::INTERMEDIATES });
}

#[test]
fn ciphertexts_are_as_long_as_a_modulus() {
    let bytes = vec![7; 513];
    for (found, good) in [(0, false), (255, false), (256, true), (512, true), (513, false)] {
        let value = &bytes[..found];
        let factor = frame(MessageType::RksFactor, &[(Tag::FACTOR_CIPHERTEXT, value)]);
        let (_, server, _) = until_cert(&mut Pad::default(), &Rks::new());
        let factor = server.on_frame(&factor);
        let proof = frame(MessageType::RksProof, &[(Tag::AT_TK2_TK_SHA2, value)]);
        let (_, server, _) = until_token(&mut Pad::default(), &mut Rks::new());
        let proof = server.on_frame(&proof);
        if good {
            assert_eq!((factor.unwrap().df20(), proof.unwrap().df22()), (value, value));
        } else {
            assert_malformed(factor, Malformed::FieldLength { tag: Tag::FACTOR_CIPHERTEXT, found });
            assert_malformed(proof, Malformed::FieldLength { tag: Tag::AT_TK2_TK_SHA2, found });
        }
    }
}

#[test]
fn token_is_ascii_text() {
    let tag = Tag::AT_TK1;
    for (value, expected) in
        [(&b""[..], Malformed::FieldLength { tag, found: 0 }), (b"B\xFF", Malformed::FieldValue { tag })]
    {
        let mut pad = Pad::default();
        let (terminal, ..) = until_token(&mut pad, &mut Rks::new());
        assert_malformed(
            terminal.on_frame(&mut pad, &frame(MessageType::RksToken, &[(tag, value)])),
            expected,
        );
    }
}

/// A device that waits for RKS_KEYS gets one of these fields.
fn keys_with(fields: &[(Tag, &[u8])]) -> Result<(Frame, ExpectDone), Fault> {
    let mut pad = Pad::default();
    let (terminal, ..) = until_proof(&mut pad, &mut Rks::new());
    terminal.on_frame(&mut pad, &frame(MessageType::RksKeys, fields))
}

#[test]
fn keys_hold_one_block_or_more_and_more_is_01() {
    let entry: (Tag, &[u8]) = (Tag::KEY_ENTRY, &[0xDF, 0x40, 1, b'B']);
    let tag = Tag::KEY_ENTRY;
    assert_malformed(keys_with(&[]), Malformed::MissingField { tag });
    assert_malformed(keys_with(&[(Tag::MORE, &[1])]), Malformed::MissingField { tag });
    let no_block = keys_with(&[entry, (tag, &[0xDF, 0x0B, 3, 1, 2, 3])]);
    assert_malformed(no_block, Malformed::MissingField { tag: Tag::KEY_BLOCK });
    for value in [0, 2, 0xFF] {
        assert_malformed(
            keys_with(&[entry, (Tag::MORE, &[value])]),
            Malformed::FieldValue { tag: Tag::MORE },
        );
    }
    for found in [0, 2] {
        let more = (Tag::MORE, &[1; 2][..found]);
        assert_malformed(keys_with(&[entry, more]), Malformed::FieldLength { tag: Tag::MORE, found });
    }
    // What is well formed reaches the PIN pad, which refuses the toy block.
    for good in [&[entry][..], &[entry, entry], &[entry, (Tag::MORE, &[1])]] {
        assert_eq!(keys_with(good).unwrap_err().code, ErrorCode::KeyRefused);
    }
}

/// The RKS after the proof of a device that asked for this suite.
fn proven(suite: Suite) -> Proof {
    let auth = RksAuth::<Tdes> { suite, device: device(), slot: slot(), opening: (), refusals: Vec::new() }
        .write()
        .unwrap();
    let bytes = [7; 256];
    let (_, server) = ExpectAuth::new().on_frame(&auth).unwrap().certificate(der(5), vec![]).unwrap();
    let factor = frame(MessageType::RksFactor, &[(Tag::FACTOR_CIPHERTEXT, &bytes)]);
    let (_, server) = server.on_frame(&factor).unwrap().token("B".into()).unwrap();
    server.on_frame(&frame(MessageType::RksProof, &[(Tag::AT_TK2_TK_SHA2, &bytes)])).unwrap()
}

#[test]
fn another_suite_is_0009_only_to_a_proven_device() {
    // Until RKS_PROOF the other suite looks like the right one.
    let fault = proven(Suite::EC_AES).deliver(&[("B".into(), kcv(1))], false).unwrap_err();
    assert_eq!(fault.reason, Reason::SuiteNotSupported { suite: Suite::EC_AES });
    assert_eq!(fault.code, ErrorCode::SuiteNotSupported);
    let stranger = proven(Suite::EC_AES).not_proven("AT".into());
    assert_eq!(stranger.code, ErrorCode::TerminalAuthenticationFailed);
}

#[test]
fn delivery_that_cannot_be_is_this_sides_fault() {
    let long: Vec<(String, Kcv)> = vec![("B".repeat(40_000), kcv(1)), ("B".repeat(40_000), kcv(2))];
    for keys in [&[][..], &[("B".into(), kcv(1)), ("B".into(), Kcv::Aes([0; 5]))], &long] {
        assert_eq!(proven(Suite::TDES).deliver(keys, false).unwrap_err().code, ErrorCode::Internal);
    }
    assert!(proven(Suite::TDES).deliver(&long[..1], false).is_ok());
}

#[test]
fn confirm_of_another_number_of_keys_is_malformed() {
    for count in [1, 3] {
        let keys = [("B".into(), kcv(1)), ("C".into(), kcv(1))];
        let (_, server) = proven(Suite::TDES).deliver(&keys, false).unwrap();
        let confirm = crate::KeyConfirm { kcvs: vec![kcv(1); count] }.write().unwrap();
        assert_malformed(server.on_frame(&confirm), Malformed::Template { tag: Tag::KEY_ENTRY });
    }
}
