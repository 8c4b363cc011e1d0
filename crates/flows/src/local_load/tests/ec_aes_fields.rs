//! Suite 02: fields that a message may not have, and what reaches the PIN pad.

use std::{vec, vec::Vec};

use wire::{Device, ErrorCode, Frame, Kcv, Malformed, MessageType, Tag};

use super::{
    ec_aes::{
        DIK2, KLD_KEY, Pad, TMK, acknowledge, assert_signature_refused, begin, give, kcv, signed,
        until_accept, until_confirm,
    },
    fake::device,
};
use crate::{
    EcAes, Loaded, PadRefusal,
    local_load::{
        Fault, LoadPad, Reason,
        messages::{DeviceAnswer, SignedKey},
        terminal::{Connect, ExpectDone},
    },
    suite::Signature,
    testing::{assert_malformed, ec_aes::changed, frame},
};

/// The messages of a good run, and what a side that waits for each makes of one.
type Take = fn(&Frame) -> Result<(), Fault>;

fn messages() -> Vec<(Frame, Take)> {
    let mut pad = Pad::new();
    let (_, accept, [connect, accepted]) = until_accept(&mut pad);
    let (key, _) = give(accept);
    let (confirm, _, kld) = until_confirm(&mut pad);
    let done = acknowledge(kld.on_frame(&confirm).unwrap()).unwrap();
    vec![
        (connect, |frame| Connect::<EcAes>::read_of(frame).map(drop)),
        (accepted, |frame| begin().1.on_frame(frame).map(drop)),
        (key, |frame| {
            let mut pad = Pad::new();
            until_accept(&mut pad).0.on_frame(&mut pad, frame).map(drop)
        }),
        (confirm, |frame| until_confirm(&mut Pad::new()).2.on_frame(frame).map(drop)),
        (done, |frame| {
            let mut pad = Pad::new();
            until_confirm(&mut pad).1.on_frame(&mut pad, frame).map(drop)
        }),
    ]
}

#[test]
fn fields_out_of_order_are_refused_in_every_message() {
    for (good, take) in messages() {
        assert!(take(&good).is_ok(), "{:?}", good.kind());
        let turned = changed(&good, |fields| {
            fields.push((Tag::new(0xDF7F).unwrap(), vec![]));
            fields.push((Tag::new(0xDF7E).unwrap(), vec![]));
            fields.rotate_right(2);
        });
        assert_malformed(take(&turned), Malformed::FieldOrder { tag: Tag::new(0xDF7E).unwrap() });
    }
}

/// DF15, DF16 or DF17 in a message that has another of the three.
#[test]
fn another_proof_than_the_messages_own_is_malformed() {
    const PROOFS: [(Tag, usize); 3] =
        [(Tag::CONFIRMATION, 32), (Tag::TRANSCRIPT_SIGNATURE, 64), (Tag::RECEIPT, 32)];
    for (good, take) in messages() {
        let has = |tag: Tag| good.message().unwrap().fields.get(tag).is_some();
        let Some((own, _)) = PROOFS.into_iter().find(|(tag, _)| has(*tag)) else { continue };
        for (other, bytes) in PROOFS.into_iter().filter(|(tag, _)| *tag != own) {
            for beside in [true, false] {
                let frame = changed(&good, |fields| {
                    fields.retain(|(tag, _)| beside || *tag != own);
                    fields.push((other, vec![7; bytes]));
                    fields.sort_by_key(|(tag, _)| *tag);
                });
                assert_malformed(take(&frame), Malformed::UnwantedField { tag: other });
            }
        }
    }
}

#[test]
fn every_field_of_suite_02_has_its_one_length() {
    for (good, take) in messages() {
        for (tag, length) in
            [(Tag::EPHEMERAL_KEY, 65), (Tag::NONCE, 32), (Tag::TRANSCRIPT_SIGNATURE, 64), (Tag::RECEIPT, 32)]
        {
            if good.message().unwrap().fields.get(tag).is_none() {
                continue;
            }
            for found in [0, length - 1, length + 1] {
                let other = changed(&good, |fields| {
                    let own = fields.iter_mut().filter(|(own, _)| *own == tag);
                    own.for_each(|(_, value)| value.resize(found, 7));
                });
                assert_malformed(take(&other), Malformed::FieldLength { tag, found });
            }
            let missing = changed(&good, |fields| fields.retain(|(own, _)| *own != tag));
            assert_malformed(take(&missing), Malformed::MissingField { tag });
        }
    }
}

#[test]
fn accept_needs_a_device_certificate() {
    let (_, _, [_, good]) = until_accept(&mut Pad::new());
    let tag = Tag::DEVICE_CERTIFICATE;
    let missing = changed(&good, |fields| fields.retain(|(own, _)| *own != tag));
    assert_malformed(begin().1.on_frame(&missing), Malformed::MissingField { tag });
    let empty = changed(&good, |fields| {
        fields.iter_mut().filter(|(own, _)| *own == tag).for_each(|(_, value)| value.clear());
    });
    assert_malformed(begin().1.on_frame(&empty), Malformed::FieldLength { tag, found: 0 });
}

/// A KLD_KEY of this block and factor, as its fields are.
fn key_of(block: &str, factor: Option<&[u8]>) -> Frame {
    let entry = [&[0xDF, 0x40, u8::try_from(block.len()).unwrap()], block.as_bytes()].concat();
    let mut fields: Vec<(Tag, &[u8])> = vec![(Tag::TRANSCRIPT_SIGNATURE, &[7; 64])];
    fields.extend(factor.map(|factor| (Tag::FACTOR, factor)));
    fields.push((Tag::KEY_ENTRY, &entry));
    frame(MessageType::KldKey, &fields)
}

fn take_key(key: &Frame) -> Result<(Frame, ExpectDone<EcAes>), Fault> {
    let mut pad = Pad::new();
    until_accept(&mut pad).0.on_frame(&mut pad, key)
}

#[test]
fn factor_stands_exactly_with_a_dik2_and_has_1_to_32_bytes() {
    let tag = Tag::FACTOR;
    assert_malformed(take_key(&key_of(DIK2, None)), Malformed::MissingField { tag });
    assert_malformed(take_key(&key_of(TMK, Some(b"f"))), Malformed::UnwantedField { tag });
    for found in [0, 33] {
        assert_malformed(
            take_key(&key_of(DIK2, Some(&[7; 33][..found]))),
            Malformed::FieldLength { tag, found },
        );
    }
    // What is well formed reaches the PIN pad, which finds the signature wrong.
    for good in [key_of(DIK2, Some(&[7])), key_of(DIK2, Some(&[7; 32])), key_of(TMK, None)] {
        assert_signature_refused(take_key(&good));
    }
    // Nor does a KLD write it.
    for (block, factor) in [(DIK2, None), (TMK, Some(&b"f"[..]))] {
        let accept = until_accept(&mut Pad::new()).1;
        let key = SignedKey {
            factor: factor.map(<[u8]>::to_vec),
            block: block.into(),
            signature: Signature([7; 64]),
        };
        assert_eq!(accept.give(&key, kcv()).unwrap_err().code, ErrorCode::Internal);
    }
}

#[test]
fn key_holds_one_block_and_nothing_beside_it() {
    let tag = Tag::KEY_ENTRY;
    let signature: (Tag, &[u8]) = (Tag::TRANSCRIPT_SIGNATURE, &[7; 64]);
    let block: (Tag, &[u8]) = (tag, &[0xDF, 0x40, 1, b'D']);
    let with_kcv: (Tag, &[u8]) = (tag, &[0xDF, 0x0B, 1, 1, 0xDF, 0x40, 1, b'D']);
    for (fields, expected) in [
        (&[signature][..], Malformed::MissingField { tag }),
        (&[signature, block, block], Malformed::Template { tag }),
        (&[signature, with_kcv], Malformed::Template { tag }),
        (&[signature, (tag, &[])], Malformed::Template { tag }),
        (&[signature, (tag, &[0xDF, 0x0B, 1, 1])], Malformed::MissingField { tag: Tag::KEY_BLOCK }),
    ] {
        assert_malformed(take_key(&frame(MessageType::KldKey, fields)), expected);
    }
}

#[test]
fn another_suite_is_0009_and_the_pin_pad_is_not_asked() {
    let (connect, _) = begin();
    let other = changed(&connect, |fields| fields[0].1 = vec![3]);
    let mut pad = Pad::new();
    let fault = Connect::<EcAes>::read_of(&other).unwrap().accept(&mut pad, &device(), &KLD_KEY).unwrap_err();
    assert_eq!(fault.reason, Reason::SuiteNotSupported { suite: wire::Suite::new(3) });
    assert!(pad.sent.is_none());
}

#[test]
fn check_value_of_another_suite_is_not_waited_for() {
    let accept = until_accept(&mut Pad::new()).1;
    let key = signed(&accept, TMK, None);
    assert_eq!(accept.give(&key, Kcv::Tdes([1; 3])).unwrap_err().code, ErrorCode::Internal);
}

#[test]
fn pin_pad_that_gives_no_check_value_or_two_confirms_nothing() {
    struct Wrong(Pad, usize);
    impl LoadPad<EcAes> for Wrong {
        type Key = u8;

        fn accept(&mut self, key: &u8, connect: &Frame, device: &Device) -> Result<DeviceAnswer, PadRefusal> {
            self.0.accept(key, connect, device)
        }

        fn load(&mut self, accept: &Frame, key: &Frame) -> Result<Loaded<EcAes>, PadRefusal> {
            Ok(Loaded { kcvs: vec![kcv(); self.1], ..self.0.load(accept, key)? })
        }

        fn loaded(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
            self.0.loaded(confirm, done)
        }
    }
    for count in [0, 2] {
        let mut pad = Wrong(Pad::new(), count);
        let (connect, kld) = begin();
        let asked = Connect::<EcAes>::read_of(&connect).unwrap();
        let (accept, terminal) = asked.accept(&mut pad, &device(), &KLD_KEY).unwrap();
        let (key, _) = give(kld.on_frame(&accept).unwrap());
        let fault = terminal.on_frame(&mut pad, &key).unwrap_err();
        assert_eq!(fault.code, ErrorCode::Internal);
    }
}
