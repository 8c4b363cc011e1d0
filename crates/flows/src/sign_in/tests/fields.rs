//! Fields that a row of section 3 does not allow.

use std::vec;

use wire::{Fields, Frame, Malformed, MessageType, Tag};

use crate::{
    Tdes,
    sign_in::{
        Fault,
        host::{ExpectSignIn, SignIn},
        messages::{Mac, SignInConfirm, SignedIn, WorkingKeys},
    },
    testing::{assert_malformed, with},
};

fn sign_in_with(tag: Tag, value: Option<&[u8]>) -> Result<SignIn, Fault> {
    let good: [(Tag, &[u8]); 5] = [
        (Tag::SUITE, &[1]),
        (Tag::SERIAL, b"SN-1001"),
        (Tag::SLOT, &[3]),
        (Tag::RND1, &[1; 8]),
        (Tag::KCV, &[1, 2, 3]),
    ];
    ExpectSignIn::new().on_frame(&with(MessageType::SignIn, &good, tag, value))
}

fn keys(entries: &[&[u8]]) -> Result<WorkingKeys, Fault> {
    let mut fields = Fields::new();
    entries.iter().for_each(|entry| fields.push(Tag::KEY_ENTRY, entry).unwrap());
    Ok(WorkingKeys::read::<Tdes>(&Frame::new(MessageType::WorkingKeys, &fields).unwrap())?)
}

#[test]
fn sign_in_needs_every_field_of_its_row() {
    for (tag, length) in [(Tag::SUITE, 1), (Tag::SLOT, 1), (Tag::RND1, 8), (Tag::KCV, 3)] {
        assert_malformed(sign_in_with(tag, None), Malformed::MissingField { tag });
        for found in [length - 1, length + 1] {
            let result = sign_in_with(tag, Some(&vec![1; found]));
            assert_malformed(result, Malformed::FieldLength { tag, found });
        }
    }
    let tag = Tag::SERIAL;
    assert_malformed(sign_in_with(tag, None), Malformed::MissingField { tag });
    assert_malformed(sign_in_with(Tag::PIN_PAD_SERIAL, Some(b"SN-1001")), Malformed::PinPadEqualsTerminal);
    assert_malformed(sign_in_with(Tag::SLOT, Some(&[100])), Malformed::SlotRange { found: 100 });
}

/// Only flow A gives Rnd1 a top bit: a sign-in has no second challenge that it could be reflected as.
#[test]
fn rnd1_of_a_sign_in_may_have_any_top_bit() {
    assert_eq!(sign_in_with(Tag::RND1, Some(&[0xFF; 8])).unwrap().rnd1(), [0xFF; 8]);
}

#[test]
fn external_pin_pad_is_named() {
    let asked = sign_in_with(Tag::PIN_PAD_SERIAL, Some(b"PP-7")).unwrap();
    assert_eq!(asked.device().pin_pad().as_str(), "PP-7");
}

#[test]
fn working_keys_are_two_or_three_entries_of_exactly_a_block() {
    let tag = Tag::KEY_ENTRY;
    let block: &[u8] = &[0xDF, 0x40, 1, b'B'];
    assert_malformed(keys(&[]), Malformed::MissingField { tag });
    assert_malformed(keys(&[block]), Malformed::Template { tag });
    assert_eq!(keys(&[block; 2]).unwrap().blocks.len(), 2);
    assert_eq!(keys(&[block; 3]).unwrap().blocks.len(), 3);
    assert_malformed(keys(&[block; 4]), Malformed::Template { tag });
    let beside: &[u8] = &[0xDF, 0x40, 1, b'B', 0xDF, 0x0B, 3, 1, 2, 3];
    assert_malformed(keys(&[block, beside]), Malformed::Template { tag });
    assert_malformed(keys(&[block, &[]]), Malformed::MissingField { tag: Tag::KEY_BLOCK });
    let (tag, found) = (Tag::KEY_BLOCK, 0);
    assert_malformed(keys(&[block, &[0xDF, 0x40, 0]]), Malformed::FieldLength { tag, found });
    assert_malformed(keys(&[block, &[0xDF, 0x40, 1, 0xFF]]), Malformed::FieldValue { tag });
}

#[test]
fn macs_have_all_8_bytes() {
    let tag = Tag::MESSAGE_MAC;
    for kind in [MessageType::SignInConfirm, MessageType::Done] {
        let read = |value: Option<&[u8]>| -> Result<Mac<8>, Fault> {
            let frame = with(kind, &[], tag, value);
            Ok(match kind {
                MessageType::Done => <SignedIn>::read(&frame)?.mac,
                _ => <SignInConfirm>::read(&frame)?.mac,
            })
        };
        assert_eq!(read(Some(&[7; 8])).unwrap(), Mac([7; 8]));
        assert_malformed(read(None), Malformed::MissingField { tag });
        for found in [4, 7, 9] {
            assert_malformed(read(Some(&vec![7; found])), Malformed::FieldLength { tag, found });
        }
    }
}
