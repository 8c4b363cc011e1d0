//! Fields that a row of section 3 does not allow, one test each.

use std::vec::Vec;

use wire::{Device, ErrorCode, Fields, Frame, Kcv, Malformed, MessageType, Serial, Slot, Suite, Tag};

use super::{
    answered, assert_protocol,
    fake::{Kms, Pad, device, slot, xor},
};
use crate::{
    HasCode,
    tmk_download::{
        Fault, PadRefusal, Reason,
        kms::{Confirm, ExpectConfirm, ExpectHello, Hello, Reply},
        messages::TkReply,
        terminal::{ExpectKey, Start},
    },
};

/// The fields of a good TK_HELLO, with one replaced or, with no value, left out.
fn hello_with(tag: Tag, value: Option<&[u8]>) -> Result<Hello, Fault> {
    let good: [(Tag, &[u8]); 4] = [
        (Tag::SUITE, &[1]),
        (Tag::SERIAL, b"SN-1001"),
        (Tag::SLOT, &[3]),
        (Tag::RND1, &[1, 2, 3, 4, 5, 6, 7, 8]),
    ];
    let mut fields = Fields::new();
    for (known, bytes) in good.into_iter().filter(|(known, _)| *known != tag) {
        fields.push(known, bytes).unwrap();
    }
    if let Some(value) = value {
        fields.push(tag, value).unwrap();
    }
    ExpectHello::new().on_frame(&Frame::new(MessageType::TkHello, &fields).unwrap())
}

#[track_caller]
fn assert_malformed<T: core::fmt::Debug>(result: Result<T, Fault>, expected: Malformed) {
    let fault = result.unwrap_err();
    assert_protocol(&fault, &expected.into());
    assert_eq!(answered(&fault).known_code(), Some(ErrorCode::Malformed));
}

#[test]
fn hello_without_a_field_that_it_must_have() {
    for tag in [Tag::SUITE, Tag::SERIAL, Tag::SLOT, Tag::RND1] {
        assert_malformed(hello_with(tag, None), Malformed::MissingField { tag });
    }
}

#[test]
fn hello_with_a_field_of_a_wrong_length() {
    for (tag, lengths) in [(Tag::SUITE, [0, 2]), (Tag::SLOT, [0, 2]), (Tag::RND1, [7, 9])] {
        for found in lengths {
            assert_malformed(hello_with(tag, Some(&[0; 9][..found])), Malformed::FieldLength { tag, found });
        }
    }
    assert_malformed(hello_with(Tag::SERIAL, Some(b"")), Malformed::IdentifierLength { found: 0, max: 32 });
    let long = [b'A'; 33];
    assert!(hello_with(Tag::SERIAL, Some(&long[..32])).is_ok());
    assert_malformed(
        hello_with(Tag::SERIAL, Some(&long)),
        Malformed::IdentifierLength { found: 33, max: 32 },
    );
}

#[test]
fn hello_for_slot_100_is_malformed() {
    assert_eq!(hello_with(Tag::SLOT, Some(&[99])).unwrap().slot(), Slot::new(99).unwrap());
    assert_malformed(hello_with(Tag::SLOT, Some(&[100])), Malformed::SlotRange { found: 100 });
}

#[test]
fn hello_with_pin_pad_serial_equal_to_terminal_serial_is_malformed() {
    assert_malformed(hello_with(Tag::PIN_PAD_SERIAL, Some(b"SN-1001")), Malformed::PinPadEqualsTerminal);
    let external = hello_with(Tag::PIN_PAD_SERIAL, Some(b"PP-7")).unwrap();
    assert_eq!(external.device().pin_pad().as_str(), "PP-7");
}

#[test]
fn hello_with_wrong_top_bit_of_rnd1_is_malformed() {
    assert!(hello_with(Tag::RND1, Some(&[0x7F; 8])).is_ok());
    assert_malformed(hello_with(Tag::RND1, Some(&[0x80; 8])), Malformed::TopBit { tag: Tag::RND1 });
}

/// A refusal record with fields of these lengths.
fn record(check: usize, reading: usize, when: usize) -> Fields {
    let mut record = Fields::new();
    record.push(Tag::REFUSAL_CHECK, &[b'a'; 40][..check]).unwrap();
    record.push(Tag::REFUSAL_READING, &[b'b'; 70][..reading]).unwrap();
    record.push(Tag::REFUSAL_WHEN, &[0x26; 7][..when]).unwrap();
    record
}

#[test]
fn refusal_records_travel_in_hello_and_keep_their_order() {
    let records = [record(32, 64, 6), record(1, 0, 6)];
    let start = Start::new(device(), slot()).with_refusals(records.to_vec());
    let (hello, _) = start.begin(&mut Pad::new()).unwrap();
    assert_eq!(ExpectHello::new().on_frame(&hello).unwrap().refusals(), records);
}

#[test]
fn refusal_record_with_a_wrong_length_is_malformed() {
    for (tag, found, bad) in [
        (Tag::REFUSAL_CHECK, 33, record(33, 0, 6)),
        (Tag::REFUSAL_READING, 65, record(0, 65, 6)),
        (Tag::REFUSAL_WHEN, 5, record(0, 0, 5)),
        (Tag::REFUSAL_WHEN, 7, record(0, 0, 7)),
    ] {
        let value = bad.encode().unwrap();
        assert_malformed(
            hello_with(Tag::REFUSAL_RECORD, Some(&value)),
            Malformed::FieldLength { tag, found },
        );
    }
}

/// A terminal that waits for TK_CHALLENGE gets one of these fields.
fn challenge_with(crnd1: &[u8], rnd2: &[u8]) -> Result<ExpectKey, Fault> {
    let mut pad = Pad::new();
    let (_, terminal) = Start::new(device(), slot()).begin(&mut pad).unwrap();
    let mut fields = Fields::new();
    fields.push(Tag::CRND1, crnd1).unwrap();
    fields.push(Tag::RND2, rnd2).unwrap();
    let frame = Frame::new(MessageType::TkChallenge, &fields).unwrap();
    terminal.on_frame(&mut pad, &frame).map(|(_, next)| next)
}

#[test]
fn challenge_with_fields_of_a_wrong_length_is_malformed() {
    for found in [7, 9] {
        let bytes = &[0x80; 9][..found];
        assert_malformed(
            challenge_with(bytes, &[0x80; 8]),
            Malformed::FieldLength { tag: Tag::CRND1, found },
        );
        assert_malformed(challenge_with(&[0; 8], bytes), Malformed::FieldLength { tag: Tag::RND2, found });
    }
}

#[test]
fn challenge_with_wrong_top_bit_of_rnd2_is_malformed() {
    let crnd1 = xor([1, 2, 3, 4, 5, 6, 7, 8]);
    assert!(challenge_with(&crnd1, &[0x80; 8]).is_ok());
    assert_malformed(challenge_with(&crnd1, &[0x7F; 8]), Malformed::TopBit { tag: Tag::RND2 });
}

#[test]
fn wrong_crnd1_is_0005() {
    let fault = challenge_with(&[0; 8], &[0x80; 8]).unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(PadRefusal::ServerNotProven));
    assert_eq!(answered(&fault).known_code(), Some(ErrorCode::ServerAuthenticationFailed));
}

/// The KMS after TK_REPLY, for a terminal that asked for this suite.
fn replied(suite: u8) -> Reply {
    let hello = hello_with(Tag::SUITE, Some(&[suite])).unwrap();
    assert_eq!(hello.suite(), Suite::new(suite));
    let (_, server) = Kms::new().challenge(hello);
    let crnd2 = xor([0x81, 2, 3, 4, 5, 6, 7, 9]);
    server.on_frame(&TkReply { crnd2 }.write().unwrap()).unwrap()
}

#[test]
fn wrong_crnd2_is_0006() {
    let (_, server) = Kms::new().challenge(hello_with(Tag::SUITE, Some(&[1])).unwrap());
    let reply = server.on_frame(&TkReply { crnd2: [0; 8] }.write().unwrap()).unwrap();
    let fault = Kms::new().deliver(reply).unwrap_err();
    assert_eq!(fault.reason, Reason::WrongCrnd2);
    assert_eq!(answered(&fault).known_code(), Some(ErrorCode::TerminalAuthenticationFailed));
}

#[test]
fn another_suite_is_0009_only_to_a_proven_terminal() {
    // Until Crnd2 is proved, the other suite looks like the right one.
    let fault = Kms::new().deliver(replied(2)).unwrap_err();
    assert_eq!(fault.reason, Reason::SuiteNotSupported { suite: Suite::EC_AES });
    assert_eq!(answered(&fault).known_code(), Some(ErrorCode::SuiteNotSupported));
    assert!(Kms::new().deliver(replied(1)).is_ok());
}

#[test]
fn random_numbers_of_this_side_with_a_wrong_top_bit_never_leave() {
    let mut pad = Pad::new();
    pad.next_rnd1 = [0x80; 8];
    let fault = Start::new(device(), slot()).begin(&mut pad).unwrap_err();
    assert_eq!(fault.code, ErrorCode::Internal);
    let hello = hello_with(Tag::SUITE, Some(&[1])).unwrap();
    assert_eq!(hello.challenge([0; 8], [0x7F; 8]).unwrap_err().code, ErrorCode::Internal);
}

#[test]
fn check_value_of_another_suite_is_not_waited_for() {
    let fault = replied(1).deliver("B0000", Kcv::Aes([0; 5])).unwrap_err();
    assert_eq!(fault.code, ErrorCode::Internal);
}

#[test]
fn key_that_cannot_be_written_is_this_sides_fault() {
    let long = "B".repeat(70_000);
    assert_eq!(replied(1).deliver(&long, Kcv::Tdes([0; 3])).unwrap_err().code, ErrorCode::Internal);
}

#[test]
fn key_block_that_is_no_ascii_text_is_malformed() {
    let tag = Tag::KEY_BLOCK;
    for (value, expected) in [
        (&b""[..], Malformed::FieldLength { tag, found: 0 }),
        (b"B\xFF", Malformed::FieldValue { tag }),
        ("B\u{E9}".as_bytes(), Malformed::FieldValue { tag }),
    ] {
        let mut pad = Pad::new();
        let (_, terminal) = Start::new(device(), slot()).begin(&mut pad).unwrap();
        let hello = hello_with(Tag::SUITE, Some(&[1])).unwrap();
        let (challenge, _) = Kms::new().challenge(hello);
        let (_, terminal) = terminal.on_frame(&mut pad, &challenge).unwrap();
        let mut fields = Fields::new();
        fields.push(tag, value).unwrap();
        let frame = Frame::new(MessageType::TkKey, &fields).unwrap();
        assert_malformed(terminal.on_frame(&mut pad, &frame), expected);
    }
}

fn expect_confirm() -> ExpectConfirm {
    Kms::new().deliver(replied(1)).unwrap().1
}

/// KEY_CONFIRM with these templates FF21, each given by its encoded fields.
fn confirm_with(entries: &[&[u8]]) -> Result<Confirm, Fault> {
    let mut fields = Fields::new();
    entries.iter().for_each(|entry| fields.push(Tag::KEY_ENTRY, entry).unwrap());
    let confirm = Frame::new(MessageType::KeyConfirm, &fields).unwrap();
    expect_confirm().on_frame(&confirm).map(crate::Told::compare)
}

/// DF0B with `length` bytes, the first three those of the right check value.
fn df0b(length: u8) -> Vec<u8> {
    let right = [0xBA, 0x7B, 0xA3, 0, 0];
    [&[0xDF, 0x0B, length], &right[..usize::from(length)]].concat()
}

#[test]
fn confirm_has_exactly_one_entry_with_exactly_a_check_value_of_three_bytes() {
    assert!(matches!(confirm_with(&[&df0b(3)]), Ok(Confirm::Opened(_))));
    let entry = Tag::KEY_ENTRY;
    assert_malformed(confirm_with(&[]), Malformed::MissingField { tag: entry });
    assert_malformed(confirm_with(&[&df0b(3), &df0b(3)]), Malformed::Template { tag: entry });
    assert_malformed(confirm_with(&[&[]]), Malformed::MissingField { tag: Tag::KCV });
    let more = [df0b(3).as_slice(), &[0xDF, 0x40, 0]].concat();
    assert_malformed(confirm_with(&[&more]), Malformed::Template { tag: entry });
    for found in [0, 2, 4, 5] {
        let expected = Malformed::FieldLength { tag: Tag::KCV, found: usize::from(found) };
        assert_malformed(confirm_with(&[&df0b(found)]), expected);
    }
}

#[test]
fn wrong_check_value_in_confirm_is_0007_and_keeps_the_key_pending() {
    let Ok(Confirm::WrongCheckValue(fault)) = confirm_with(&[&[0xDF, 0x0B, 3, 0xBA, 0x7B, 0xA2]]) else {
        panic!("a wrong check value must not confirm");
    };
    assert_eq!(fault.reason, Reason::WrongCheckValue);
    assert_eq!(answered(&fault).known_code(), Some(ErrorCode::KeyRefused));
}

#[test]
fn pad_that_cannot_store_the_key_lets_no_confirm_leave() {
    let mut pad = Pad::new();
    let (hello, terminal) = Start::new(device(), slot()).begin(&mut pad).unwrap();
    let mut kms = Kms::new();
    let (challenge, server) = kms.challenge(ExpectHello::new().on_frame(&hello).unwrap());
    let (reply, terminal) = terminal.on_frame(&mut pad, &challenge).unwrap();
    let (key, _) = kms.deliver(server.on_frame(&reply).unwrap()).unwrap();
    pad.disk_is_full = true;
    let fault = terminal.on_frame(&mut pad, &key).unwrap_err();
    assert_eq!((fault.code, pad.disk), (ErrorCode::Internal, None));
    assert!(fault.reason.protocol().is_none());
}

#[test]
fn external_pin_pad_is_told_in_hello() {
    let sn = Serial::parse("SN-1").unwrap();
    let external = Device::new(sn, Some(Serial::parse("PP-1").unwrap())).unwrap();
    let (hello, _) = Start::new(external.clone(), slot()).begin(&mut Pad::new()).unwrap();
    assert_eq!(ExpectHello::new().on_frame(&hello).unwrap().device(), &external);
}
