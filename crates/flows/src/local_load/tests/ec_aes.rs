//! Suite 02: both roles in memory with real transcripts and toy keys, and what each side refuses.

use std::{vec, vec::Vec};

use wire::{Device, ErrorCode, Frame, Kcv, Malformed, MessageType, Proof, Serial, Tag};

use super::fake::device;
use crate::{
    BoundTranscript, Chain, EcAes, FlowLetter, Loaded, PadRefusal, Th,
    local_load::{
        Fault, LoadPad, Reason,
        kld::{Accept, ExpectAccept, ExpectConfirm, Start, Told},
        messages::{DeviceAnswer, KldAccept, SignedKey},
        terminal::{Connect, ExpectDone, ExpectKey},
    },
    suite::{Part, Receipt, Signature},
    testing::{
        assert_malformed, der,
        ec_aes::{changed, ephemeral, fields_of, mac, signature},
        frame,
    },
};

/// What both sides' schedule gives, and both signing keys: toys of one byte.
const RECEIPT_T: u8 = 0x53;
const RECEIPT_S: u8 = 0x54;
const KLD_KEY: u8 = 0x55;
const DEVICE_KEY: u8 = 0x56;

const TMK: &str = "D0144K1AB00N0300";
const DIK2: &str = "D014412AN00N0200";

fn kcv() -> Kcv {
    Kcv::Aes([0xBA; 5])
}

fn said(frames: &[&Frame]) -> BoundTranscript {
    let mut said = BoundTranscript::new(FlowLetter::LocalLoad);
    frames.iter().for_each(|frame| said.push(frame));
    said
}

/// The terminal's side. It checks what a PIN pad checks, and knows nothing but the frames that it is shown.
#[derive(Debug)]
struct Pad {
    transcript: BoundTranscript,
    kld: u8,
    sent: Option<DeviceAnswer>,
    loaded: Option<SignedKey>,
    finished: bool,
}

impl Pad {
    fn new() -> Pad {
        Pad { transcript: said(&[]), kld: 0, sent: None, loaded: None, finished: false }
    }
}

fn not_proven(why: &str) -> PadRefusal {
    PadRefusal::ServerNotProven { why: why.into() }
}

impl LoadPad<EcAes> for Pad {
    type Key = u8;

    fn accept(&mut self, key: &u8, connect: &Frame, device: &Device) -> Result<DeviceAnswer, PadRefusal> {
        *self = Pad::new();
        self.kld = *key;
        self.transcript.push(connect);
        let certificate = der(9);
        let bare = DeviceAnswer::bare(device, &ephemeral(2), &certificate).unwrap();
        let signature = signature(DEVICE_KEY, &self.transcript.th_before_proof(&bare));
        let answer = DeviceAnswer { ephemeral: ephemeral(2), certificate, signature };
        self.sent = Some(answer.clone());
        Ok(answer)
    }

    fn load(&mut self, accept: &Frame, key: &Frame) -> Result<Loaded<EcAes>, PadRefusal> {
        if Some(KldAccept::<EcAes>::read(accept).unwrap().answer) != self.sent.take() {
            return Err(PadRefusal::NotPermitted { why: "another KLD_ACCEPT".into() });
        }
        self.transcript.push(accept);
        let signed = SignedKey::read(&key.message()?.fields)?;
        if signed.signature != signature(self.kld, &self.transcript.th_without(key, Proof::Signature)?) {
            return Err(not_proven("signature"));
        }
        self.transcript.push(key);
        self.loaded = Some(signed);
        Ok(Loaded { kcvs: vec![kcv()], confirmation: Receipt(mac(RECEIPT_T, &self.transcript.th())) })
    }

    fn loaded(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        self.transcript.push(confirm);
        if Receipt::read(&done.message()?.fields)?.0 != mac(RECEIPT_S, &self.transcript.th()) {
            return Err(not_proven("receipt"));
        }
        self.finished = true;
        Ok(())
    }
}

fn begin() -> (Frame, ExpectAccept<EcAes>) {
    let chain = Chain { leaf: der(70), intermediates: vec![der(5)] };
    Start::<EcAes>::of(chain, ephemeral(1)).begin().unwrap()
}

/// As the KLD's HSM signs: over both frames as they are and its own, which it composes.
fn signed(accept: &Accept<EcAes>, block: &str, factor: Option<&[u8]>) -> SignedKey {
    let factor = factor.map(<[u8]>::to_vec);
    let entry = [&[0xDF, 0x40, u8::try_from(block.len()).unwrap()], block.as_bytes()].concat();
    let fields: Vec<(Tag, &[u8])> = factor
        .iter()
        .map(|factor| (Tag::FACTOR, factor.as_slice()))
        .chain([(Tag::KEY_ENTRY, entry.as_slice())])
        .collect();
    let bare = frame(MessageType::KldKey, &fields);
    let th = said(&[accept.connect(), accept.accept()]).th_before_proof(&bare);
    SignedKey { factor, block: block.into(), signature: signature(KLD_KEY, &th) }
}

/// What a KLD checks before its HSM makes anything.
fn admit(accept: Accept<EcAes>) -> Result<Accept<EcAes>, Fault> {
    let th = said(&[accept.connect()]).th_before_proof(&accept.accept_bare()?);
    let text = accept.signed()?;
    assert_eq!(text[..4], *b"KF2B");
    assert_eq!(text[4..], [accept.connect().bytes(), accept.accept_bare()?.bytes()].concat());
    if accept.answer().signature == signature(DEVICE_KEY, &th) {
        Ok(accept)
    } else {
        Err(accept.not_proven())
    }
}

fn acknowledge(told: Told<EcAes>) -> Result<Frame, Fault> {
    let all = |bytes: &[u8]| Th::of(&[b"KF2B", bytes]);
    if told.told().0 != mac(RECEIPT_T, &all(told.said_before().bytes())) {
        return Err(told.wrong());
    }
    let receipt = Receipt(mac(RECEIPT_S, &all(told.said().bytes())));
    told.acknowledged(receipt).done()
}

fn until_accept(pad: &mut Pad) -> (ExpectKey<EcAes>, Accept<EcAes>, [Frame; 2]) {
    let (connect, kld) = begin();
    let asked = Connect::<EcAes>::read_of(&connect).unwrap();
    let (accept, terminal) = asked.accept(pad, &device(), &KLD_KEY).unwrap();
    (terminal, kld.on_frame(&accept).unwrap(), [connect, accept])
}

fn give(accept: Accept<EcAes>) -> (Frame, ExpectConfirm<EcAes>) {
    let key = signed(&accept, TMK, None);
    accept.give(&key, kcv()).unwrap()
}

fn until_confirm(pad: &mut Pad) -> (Frame, ExpectDone<EcAes>, ExpectConfirm<EcAes>) {
    let (terminal, accept, _) = until_accept(pad);
    let (key, kld) = give(accept);
    let (confirm, terminal) = terminal.on_frame(pad, &key).unwrap();
    (confirm, terminal, kld)
}

#[track_caller]
fn assert_signature_refused(result: Result<(Frame, ExpectDone<EcAes>), Fault>) {
    let fault = result.unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(not_proven("signature")));
    assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed);
}

#[test]
fn terminal_gets_the_key_that_the_kld_holds() {
    for (block, factor) in [(TMK, None), (DIK2, Some(&b"KLD-7/20261120/B042"[..]))] {
        let mut pad = Pad::new();
        let (terminal, accept, _) = until_accept(&mut pad);
        assert_eq!((accept.device(), accept.peer()), (&device(), &ephemeral(2)));
        assert_eq!(accept.answer().certificate, der(9));
        let accept = admit(accept).unwrap();
        let key = signed(&accept, block, factor);
        let (key, kld) = accept.give(&key, kcv()).unwrap();
        let (confirm, terminal) = terminal.on_frame(&mut pad, &key).unwrap();
        let loaded = pad.loaded.as_ref().unwrap();
        assert_eq!((loaded.block.as_str(), loaded.factor.as_deref()), (block, factor));
        let done = acknowledge(kld.on_frame(&confirm).unwrap()).unwrap();
        assert_eq!(terminal.on_frame(&mut pad, &done).unwrap().kcv(), kcv());
        assert!(pad.finished);
    }
}

#[test]
fn false_terminal_that_signs_with_another_key_is_not_proven() {
    let (_, accept, [connect, good]) = until_accept(&mut Pad::new());
    assert!(admit(accept).is_ok());
    let other = changed(&good, |fields| {
        let at = fields.iter().position(|(tag, _)| *tag == Tag::TRANSCRIPT_SIGNATURE).unwrap();
        let bare = good.without(Proof::Signature).unwrap();
        fields[at].1 = signature(0x66, &said(&[&connect]).th_before_proof(&bare)).0.to_vec();
    });
    let fault = admit(begin().1.on_frame(&other).unwrap()).unwrap_err();
    assert_eq!(
        (fault.code, fault.reason),
        (ErrorCode::TerminalAuthenticationFailed, Reason::DeviceNotProven)
    );
}

/// Another serial, another ephemeral key or certificate, a field that nobody reads: each is in what the device signed.
#[test]
fn accept_changed_on_the_way_is_not_proven() {
    let (_, _, [_, good]) = until_accept(&mut Pad::new());
    for tag in [Tag::SERIAL, Tag::EPHEMERAL_KEY, Tag::NONCE, Tag::DEVICE_CERTIFICATE] {
        let other = changed(&good, |fields| {
            fields.iter_mut().filter(|(own, _)| *own == tag).for_each(|(_, value)| {
                if let Some(last) = value.last_mut() {
                    *last ^= 1;
                }
            });
        });
        let fault = admit(begin().1.on_frame(&other).unwrap()).unwrap_err();
        assert_eq!(fault.reason, Reason::DeviceNotProven, "{tag}");
    }
    let more = changed(&good, |fields| fields.push((Tag::new(0xDF7F).unwrap(), vec![])));
    assert_eq!(admit(begin().1.on_frame(&more).unwrap()).unwrap_err().reason, Reason::DeviceNotProven);
}

#[test]
fn borrowed_certificate_and_a_point_off_the_curve_have_their_codes() {
    let accept = || until_accept(&mut Pad::new()).1;
    let fault = accept().certificate_refused("it names SN-1002".into());
    assert_eq!(fault.code, ErrorCode::CertificateRefused);
    let fault = accept().point_refused("not on the curve".into());
    assert_eq!(
        (fault.code, fault.reason),
        (ErrorCode::Malformed, Reason::PointRefused { why: "not on the curve".into() })
    );
}

#[test]
fn kld_with_somebodys_certificate_and_another_key_is_not_proven() {
    let mut pad = Pad::new();
    let (terminal, accept, _) = until_accept(&mut pad);
    let mut key = signed(&accept, TMK, None);
    key.signature.0[0] ^= 1;
    let (key, _) = accept.give(&key, kcv()).unwrap();
    assert_signature_refused(terminal.on_frame(&mut pad, &key));
    assert!(pad.loaded.is_none());
}

#[test]
fn signature_over_another_transcript_is_not_proven() {
    // The key of another loading, with another KLD_ACCEPT.
    let mut pad = Pad::new();
    let (terminal, ..) = until_accept(&mut pad);
    let pair = Device::new(device().sn().clone(), Some(Serial::parse("PP-7").unwrap())).unwrap();
    let (connect, kld) = begin();
    let asked = Connect::<EcAes>::read_of(&connect).unwrap();
    let (other, _) = asked.accept(&mut Pad::new(), &pair, &KLD_KEY).unwrap();
    let (key, _) = give(kld.on_frame(&other).unwrap());
    assert_signature_refused(terminal.on_frame(&mut pad, &key));
}

/// Block and factor are in what the KLD signed.
#[test]
fn key_changed_on_the_way_is_not_proven() {
    for tag in [Tag::FACTOR, Tag::KEY_ENTRY] {
        let mut pad = Pad::new();
        let (terminal, accept, _) = until_accept(&mut pad);
        let key = signed(&accept, DIK2, Some(b"factor"));
        let (key, _) = accept.give(&key, kcv()).unwrap();
        let other = changed(&key, |fields| {
            fields.iter_mut().filter(|(own, _)| *own == tag).for_each(|(_, value)| {
                if let Some(last) = value.last_mut() {
                    *last ^= 1;
                }
            });
        });
        assert_signature_refused(terminal.on_frame(&mut pad, &other));
    }
}

#[test]
fn wrong_receipt_of_the_terminal_is_an_alarm_and_no_done() {
    let (_, _, kld) = until_confirm(&mut Pad::new());
    let confirm = frame(MessageType::KeyConfirm, &[(Tag::RECEIPT, &[7; 32])]);
    let fault = acknowledge(kld.on_frame(&confirm).unwrap()).unwrap_err();
    assert_eq!((fault.code, fault.reason), (ErrorCode::KeyRefused, Reason::WrongCheckValue));
}

#[test]
fn wrong_receipt_of_the_kld_is_not_proven_and_ends_nothing() {
    let mut pad = Pad::new();
    let (confirm, terminal, _) = until_confirm(&mut pad);
    // The terminal's own receipt, sent back.
    let done = frame(MessageType::Done, &[(Tag::RECEIPT, &fields_of(&confirm)[0].1)]);
    let fault = terminal.on_frame(&mut pad, &done).unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(not_proven("receipt")));
    assert!(!pad.finished);
}

#[test]
fn done_without_a_receipt_never_reaches_the_pin_pad() {
    let mut pad = Pad::new();
    let (_, terminal, _) = until_confirm(&mut pad);
    let result = terminal.on_frame(&mut pad, &crate::Done.write().unwrap());
    assert_malformed(result, Malformed::MissingField { tag: Tag::RECEIPT });
    assert!(!pad.finished);
}

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
