//! Fields that a row of section 3 does not allow.

use std::{vec, vec::Vec};

use wire::{Fields, Frame, Malformed, MessageType, Tag};

use super::fake::{Pad, Tms, key_download, start, until_challenge, until_proof};
use crate::{
    RefusalRecord,
    testing::{assert_malformed, frame, with},
    tms_session::{
        Fault,
        messages::{TmsChallenge, TmsHello, TmsKey, TmsProof},
        tms::{ExpectHello, Hello},
    },
};

const T_DATA: [u8; 10] = [0x5E, 0xAD, 0xBE, 0xEF, 0x26, 0x11, 0x20, 0x12, 0x34, 0x56];
const S_DATA: [u8; 10] = [0xCA, 0xFE, 0xF0, 0x0D, 0x26, 0x11, 0x20, 0x12, 0x34, 0x57];
const NAMED: [(Tag, &[u8]); 4] = [
    (Tag::VENDOR_ID, b"KF"),
    (Tag::MODEL_ID, b"SIM-1"),
    (Tag::SERIAL, b"SN-1001"),
    (Tag::TMS_VERSION, b"01.00"),
];

fn hello_with(tag: Tag, value: Option<&[u8]>) -> Result<Hello, Fault> {
    let more: [(Tag, &[u8]); 5] = [
        (Tag::SUITE, &[1]),
        (Tag::TRANSACTION_CODE, b"0001"),
        (Tag::STAGE, &[1]),
        (Tag::T_DATA, &T_DATA),
        (Tag::SLOT, &[3]),
    ];
    let good = [&NAMED[..], &more].concat();
    ExpectHello::new().on_frame(&with(MessageType::TmsHello, &good, tag, value))
}

fn challenge_with(tag: Tag, value: Option<&[u8]>) -> Result<(), Fault> {
    let more: [(Tag, &[u8]); 6] = [
        (Tag::DWK_MODE, &[1]),
        (Tag::STAGE, &[2]),
        (Tag::SRC, b"00"),
        (Tag::TAC_1, &[0; 4]),
        (Tag::S_DATA, &S_DATA),
        (Tag::DWK_1, b"B"),
    ];
    let good = [&NAMED[..], &more].concat();
    Ok(<TmsChallenge>::read(&with(MessageType::TmsChallenge, &good, tag, value)).map(drop)?)
}

fn proof_with(tag: Tag, value: Option<&[u8]>) -> Result<TmsProof, Fault> {
    let more: [(Tag, &[u8]); 6] = [
        (Tag::STAGE, &[3]),
        (Tag::SRC, b"00"),
        (Tag::RESULT, &[0]),
        (Tag::SAC_1, &[7; 4]),
        (Tag::OPERATOR_ID, b"op7"),
        (Tag::OPERATOR_PROOF, &[9; 32]),
    ];
    let good = [&NAMED[..], &more].concat();
    Ok(<TmsProof>::read(&with(MessageType::TmsProof, &good, tag, value))?)
}

fn key_with(tag: Tag, value: Option<&[u8]>) -> Result<TmsKey, Fault> {
    let more: [(Tag, &[u8]); 5] = [
        (Tag::TRANSACTION_CODE, b"0001"),
        (Tag::STAGE, &[4]),
        (Tag::SRC, b"00"),
        (Tag::KEY_BLOCK, b"B"),
        (Tag::KEY_ENTRY, &[0xDF, 0x40, 1, b'B']),
    ];
    let good = [&NAMED[..], &more].concat();
    Ok(<TmsKey>::read(&with(MessageType::TmsKey, &good, tag, value))?)
}

/// A field that must be there, and have this length.
#[track_caller]
fn assert_needed<T: core::fmt::Debug>(
    read: impl Fn(Tag, Option<&[u8]>) -> Result<T, Fault>,
    tag: Tag,
    length: Option<usize>,
) {
    assert_malformed(read(tag, None), Malformed::MissingField { tag });
    for found in length.into_iter().flat_map(|length| [length - 1, length + 1]) {
        assert_malformed(read(tag, Some(&vec![0x31; found])), Malformed::FieldLength { tag, found });
    }
}

fn value(tag: Tag) -> Malformed {
    Malformed::FieldValue { tag }
}

#[test]
fn hello_needs_every_field_of_its_row() {
    for tag in [Tag::VENDOR_ID, Tag::MODEL_ID, Tag::SERIAL] {
        assert_needed(hello_with, tag, None);
    }
    for (tag, length) in [
        (Tag::SUITE, 1),
        (Tag::TMS_VERSION, 5),
        (Tag::TRANSACTION_CODE, 4),
        (Tag::STAGE, 1),
        (Tag::T_DATA, 10),
        (Tag::SLOT, 1),
    ] {
        assert_needed(hello_with, tag, Some(length));
    }
    assert_malformed(hello_with(Tag::PIN_PAD_SERIAL, Some(b"SN-1001")), Malformed::PinPadEqualsTerminal);
    assert_malformed(hello_with(Tag::SLOT, Some(&[100])), Malformed::SlotRange { found: 100 });
}

#[test]
fn hello_with_values_that_cannot_be_is_0002() {
    for digits in [b"000A", b" 001", b"-001"] {
        assert_malformed(hello_with(Tag::TRANSACTION_CODE, Some(digits)), value(Tag::TRANSACTION_CODE));
    }
    assert_malformed(hello_with(Tag::TMS_VERSION, Some(b"1.000")), value(Tag::TMS_VERSION));
    for stage in [0, 2, 3, 4, 5] {
        assert_malformed(hello_with(Tag::STAGE, Some(&[stage])), value(Tag::STAGE));
    }
    assert_malformed(hello_with(Tag::T_DATA, Some(&S_DATA)), Malformed::TopBit { tag: Tag::T_DATA });
    assert_malformed(hello_with(Tag::T_DATA, Some(&[0x3A; 10])), Malformed::BcdTime);
}

#[test]
fn slot_is_of_the_key_download_alone() {
    let program = |slot: Option<&[u8]>| {
        let more: [(Tag, &[u8]); 4] = [
            (Tag::SUITE, &[1]),
            (Tag::TRANSACTION_CODE, b"0002"),
            (Tag::STAGE, &[1]),
            (Tag::T_DATA, &T_DATA),
        ];
        let good = [&NAMED[..], &more].concat();
        let hello =
            ExpectHello::new().on_frame(&with(MessageType::TmsHello, &good, Tag::SLOT, slot)).unwrap();
        hello.transaction().unwrap().slot()
    };
    assert_eq!((program(None), program(Some(&[3])), program(Some(&[200]))), (None, None, None));
    let key = hello_with(Tag::SLOT, Some(&[99])).unwrap();
    assert_eq!(key.transaction().unwrap().slot(), wire::Slot::new(99).ok());
}

#[test]
fn challenge_needs_every_field_of_its_row() {
    for tag in [Tag::VENDOR_ID, Tag::MODEL_ID, Tag::SERIAL, Tag::DWK_1] {
        assert_needed(challenge_with, tag, None);
    }
    for (tag, length) in [
        (Tag::TMS_VERSION, 5),
        (Tag::DWK_MODE, 1),
        (Tag::STAGE, 1),
        (Tag::SRC, 2),
        (Tag::TAC_1, 4),
        (Tag::S_DATA, 10),
    ] {
        assert_needed(challenge_with, tag, Some(length));
    }
}

#[test]
fn challenge_with_values_that_cannot_be_is_0002() {
    for stage in [1, 3, 4] {
        assert_malformed(challenge_with(Tag::STAGE, Some(&[stage])), value(Tag::STAGE));
    }
    // 02 says that the DWK is not encrypted: never in this suite.
    for mode in [0, 2] {
        assert_malformed(challenge_with(Tag::DWK_MODE, Some(&[mode])), value(Tag::DWK_MODE));
    }
    assert_malformed(challenge_with(Tag::SRC, Some(b"42")), value(Tag::SRC));
    assert_malformed(challenge_with(Tag::S_DATA, Some(&T_DATA)), Malformed::TopBit { tag: Tag::S_DATA });
    assert_malformed(challenge_with(Tag::DWK_1, Some(&[0xFF])), value(Tag::DWK_1));
    let found = 0;
    assert_malformed(
        challenge_with(Tag::DWK_1, Some(&[])),
        Malformed::FieldLength { tag: Tag::DWK_1, found },
    );
    assert!(challenge_with(Tag::OPERATOR_DEMANDED, Some(&[1])).is_ok());
    for no in [0, 2] {
        let result = challenge_with(Tag::OPERATOR_DEMANDED, Some(&[no]));
        assert_malformed(result, value(Tag::OPERATOR_DEMANDED));
    }
}

#[test]
fn proof_needs_every_field_of_its_row() {
    for tag in [Tag::VENDOR_ID, Tag::MODEL_ID, Tag::SERIAL] {
        assert_needed(proof_with, tag, None);
    }
    for (tag, length) in
        [(Tag::TMS_VERSION, 5), (Tag::STAGE, 1), (Tag::SRC, 2), (Tag::RESULT, 1), (Tag::SAC_1, 4)]
    {
        assert_needed(proof_with, tag, Some(length));
    }
    for (tag, other) in [(Tag::OPERATOR_ID, Tag::OPERATOR_PROOF), (Tag::OPERATOR_PROOF, Tag::OPERATOR_ID)] {
        assert_malformed(proof_with(tag, None), Malformed::MissingField { tag });
        assert!(proof_with(other, None).is_err(), "one does not stand without the other");
    }
    let short = proof_with(Tag::OPERATOR_PROOF, Some(&[9; 31]));
    assert_malformed(short, Malformed::FieldLength { tag: Tag::OPERATOR_PROOF, found: 31 });
    let long = proof_with(Tag::OPERATOR_ID, Some(&[b'a'; 17]));
    assert_malformed(long, Malformed::IdentifierLength { found: 17, max: 16 });
}

#[test]
fn failed_terminal_may_leave_sac_1_out() {
    let failed: [(Tag, &[u8]); 3] = [(Tag::STAGE, &[3]), (Tag::SRC, b"06"), (Tag::RESULT, &[1])];
    let failed = <TmsProof>::read(&frame(MessageType::TmsProof, &[&NAMED[..], &failed].concat())).unwrap();
    assert_eq!((failed.good, failed.proof, failed.operator), (false, None, None));
    assert_malformed(proof_with(Tag::RESULT, Some(&[2])), value(Tag::RESULT));
    assert_malformed(proof_with(Tag::STAGE, Some(&[4])), value(Tag::STAGE));
}

#[test]
fn key_needs_every_field_of_its_row() {
    for tag in [Tag::VENDOR_ID, Tag::MODEL_ID, Tag::SERIAL, Tag::KEY_BLOCK, Tag::KEY_ENTRY] {
        assert_needed(key_with, tag, None);
    }
    for (tag, length) in [(Tag::TMS_VERSION, 5), (Tag::TRANSACTION_CODE, 4), (Tag::STAGE, 1), (Tag::SRC, 2)] {
        assert_needed(key_with, tag, Some(length));
    }
    assert_malformed(key_with(Tag::STAGE, Some(&[3])), value(Tag::STAGE));
    assert_malformed(key_with(Tag::TRANSACTION_CODE, Some(b"0003")), value(Tag::TRANSACTION_CODE));
}

#[test]
fn key_brings_exactly_the_keys_of_its_transaction() {
    let tag = Tag::KEY_ENTRY;
    let unwanted = key_with(Tag::TRANSACTION_CODE, Some(b"0002"));
    assert_malformed(unwanted, Malformed::UnwantedField { tag });
    let beside = key_with(tag, Some(&[0xDF, 0x40, 1, b'B', 0xDF, 0x0B, 3, 1, 2, 3]));
    assert_malformed(beside, Malformed::Template { tag });
    let empty = key_with(tag, Some(&[0xDF, 0x0B, 3, 1, 2, 3]));
    assert_malformed(empty, Malformed::MissingField { tag: Tag::KEY_BLOCK });
    let mut twice = key_with(Tag::SUITE, None).unwrap().write().unwrap().message().unwrap().fields;
    twice.push(tag, &[0xDF, 0x40, 1, b'B']).unwrap();
    let twice = <TmsKey>::read(&Frame::new(MessageType::TmsKey, &twice).unwrap());
    assert_malformed(twice.map_err(Fault::from), Malformed::Template { tag });
}

#[test]
fn key_for_another_transaction_is_0002() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (terminal, proven, _) = until_proof(&mut pad, &mut tms, key_download());
    let (key, _) = tms.open_key(proven).unwrap();
    let mut message = <TmsKey>::read(&key).unwrap();
    let keys = message.answer.as_mut().unwrap();
    (keys.transaction, keys.tmk) = (wire::TransactionCode::ProgramDownload, None);
    let result = terminal.on_frame(&mut pad, &message.write().unwrap());
    assert_malformed(result, value(Tag::TRANSACTION_CODE));
    assert!(!pad.calls.contains(&"keys"));
}

#[test]
fn refusal_records_travel_in_hello_and_keep_their_order() {
    let record =
        |check: &str| RefusalRecord { check: check.into(), reading: "x".into(), when: None }.fields();
    let records = vec![record("lid"), record("voltage")];
    let begin = start(key_download()).with_refusals(records.clone());
    let (hello, _) = begin.begin(&mut Pad::default()).unwrap();
    assert_eq!(ExpectHello::new().on_frame(&hello).unwrap().refusals(), records);
    assert_malformed(
        hello_with(Tag::REFUSAL_RECORD, Some(&[])),
        Malformed::MissingField { tag: Tag::REFUSAL_CHECK },
    );
}

#[test]
fn messages_are_written_as_they_are_read() {
    let (mut pad, mut tms) = (Pad::default(), Tms { demands_operator: true, ..Tms::default() });
    let (_, _, [hello, challenge]) = until_challenge(&mut pad, &mut tms, key_download());
    assert_eq!(<TmsHello>::read(&hello).unwrap().write(), Ok(hello));
    assert_eq!(<TmsChallenge>::read(&challenge).unwrap().write(), Ok(challenge));
    let proof = proof_with(Tag::SUITE, None).unwrap();
    assert_eq!(<TmsProof>::read(&proof.write().unwrap()), Ok(proof));
    let key = key_with(Tag::SUITE, None).unwrap();
    assert_eq!(<TmsKey>::read(&key.write().unwrap()), Ok(key));
}

#[test]
fn fields_come_in_any_order() {
    let (mut pad, mut tms) = (Pad::default(), Tms::default());
    let (_, _, [hello, challenge]) = until_challenge(&mut pad, &mut tms, key_download());
    for sent in [hello, challenge] {
        let message = sent.message().unwrap();
        let mut reversed: Vec<_> = message.fields.iter().collect();
        reversed.reverse();
        let mut fields = Fields::new();
        for field in reversed {
            let wire::Value::Bytes(bytes) = field.value() else { panic!("no templates here") };
            fields.push(field.tag(), bytes).unwrap();
        }
        let turned = Frame::new(message.kind, &fields).unwrap();
        if message.kind == MessageType::TmsHello {
            assert_eq!(<TmsHello>::read(&turned), <TmsHello>::read(&sent));
        } else {
            assert_eq!(<TmsChallenge>::read(&turned), <TmsChallenge>::read(&sent));
        }
    }
}
