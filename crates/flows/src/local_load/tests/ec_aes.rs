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
    suite::{Part, Receipt},
    testing::{
        assert_malformed, der,
        ec_aes::{changed, ephemeral, fields_of, mac, signature},
        frame,
    },
};

/// What both sides' schedule gives, and both signing keys: toys of one byte.
pub(super) const RECEIPT_T: u8 = 0x53;
pub(super) const RECEIPT_S: u8 = 0x54;
pub(super) const KLD_KEY: u8 = 0x55;
pub(super) const DEVICE_KEY: u8 = 0x56;

pub(super) const TMK: &str = "D0144K1AB00N0300";
pub(super) const DIK2: &str = "D014412AN00N0200";

pub(super) fn kcv() -> Kcv {
    Kcv::Aes([0xBA; 5])
}

pub(super) fn said(frames: &[&Frame]) -> BoundTranscript {
    let mut said = BoundTranscript::new(FlowLetter::LocalLoad);
    frames.iter().for_each(|frame| said.push(frame));
    said
}

/// The terminal's side. It checks what a PIN pad checks, and knows nothing but the frames that it is shown.
#[derive(Debug)]
pub(super) struct Pad {
    transcript: BoundTranscript,
    kld: u8,
    pub(super) sent: Option<DeviceAnswer>,
    loaded: Option<SignedKey>,
    pub(super) finished: bool,
}

impl Pad {
    pub(super) fn new() -> Pad {
        Pad { transcript: said(&[]), kld: 0, sent: None, loaded: None, finished: false }
    }
}

pub(super) fn not_proven(why: &str) -> PadRefusal {
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

pub(super) fn begin() -> (Frame, ExpectAccept<EcAes>) {
    let chain = Chain { leaf: der(70), intermediates: vec![der(5)] };
    Start::<EcAes>::of(chain, ephemeral(1)).begin().unwrap()
}

/// As the KLD's HSM signs: over both frames as they are and its own, which it composes.
pub(super) fn signed(accept: &Accept<EcAes>, block: &str, factor: Option<&[u8]>) -> SignedKey {
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
pub(super) fn admit(accept: Accept<EcAes>) -> Result<Accept<EcAes>, Fault> {
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

pub(super) fn acknowledge(told: Told<EcAes>) -> Result<Frame, Fault> {
    let all = |bytes: &[u8]| Th::of(&[b"KF2B", bytes]);
    if told.told().0 != mac(RECEIPT_T, &all(told.said_before().bytes())) {
        return Err(told.wrong());
    }
    let receipt = Receipt(mac(RECEIPT_S, &all(told.said().bytes())));
    told.acknowledged(receipt).done()
}

pub(super) fn until_accept(pad: &mut Pad) -> (ExpectKey<EcAes>, Accept<EcAes>, [Frame; 2]) {
    let (connect, kld) = begin();
    let asked = Connect::<EcAes>::read_of(&connect).unwrap();
    let (accept, terminal) = asked.accept(pad, &device(), &KLD_KEY).unwrap();
    (terminal, kld.on_frame(&accept).unwrap(), [connect, accept])
}

pub(super) fn give(accept: Accept<EcAes>) -> (Frame, ExpectConfirm<EcAes>) {
    let key = signed(&accept, TMK, None);
    accept.give(&key, kcv()).unwrap()
}

pub(super) fn until_confirm(pad: &mut Pad) -> (Frame, ExpectDone<EcAes>, ExpectConfirm<EcAes>) {
    let (terminal, accept, _) = until_accept(pad);
    let (key, kld) = give(accept);
    let (confirm, terminal) = terminal.on_frame(pad, &key).unwrap();
    (confirm, terminal, kld)
}

#[track_caller]
pub(super) fn assert_signature_refused(result: Result<(Frame, ExpectDone<EcAes>), Fault>) {
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
