//! Suite 02: the same roles with a nonce, AES keys and MACs of 16 bytes. The cryptography is a toy: a MAC is a digest of
//! what it is over, behind the MAC key.

use std::{format, string::String, string::ToString, vec, vec::Vec};

use wire::{ErrorCode, Fields, Frame, Kcv, Malformed, MessageType, Slot, Tag};

use super::fake::{device, slot};
use crate::{
    EcAes, PadRefusal, Suite as _, Th,
    sign_in::{
        Fault, Reason, SignInPad,
        host::{ExpectConfirm, ExpectSignIn},
        messages::{Mac, Nonce, SignIn, SignInConfirm, SignedIn, WorkingKeys},
        terminal::{ExpectDone, ExpectKeys, Start},
    },
    testing::assert_malformed,
};

const TMK: Kcv = Kcv::Aes([0xBA; 5]);
/// Check values of the keys of a sign-in.
const PIK: Kcv = Kcv::Aes([0x10; 5]);
const MAK: Kcv = Kcv::Aes([0x11; 5]);

fn mac(word: &[u8], nonce: Nonce, kcvs: &[Kcv]) -> Mac<16> {
    let kcvs: Vec<u8> = kcvs.iter().flat_map(|kcv| kcv.as_bytes().to_vec()).collect();
    Mac(*Th::of(&[word, &nonce.0, &kcvs]).as_bytes().first_chunk().unwrap())
}

/// A terminal that takes keys made for its own nonce.
#[derive(Default)]
struct Pad {
    runs: u8,
    disk: Vec<Kcv>,
    forgot: bool,
}

impl Pad {
    fn nonce(&self) -> Nonce {
        Nonce([self.runs; 32])
    }
}

impl SignInPad<EcAes> for Pad {
    fn sign_in_begin(&mut self, _: Slot, _: u8) -> Result<(Nonce, Kcv), PadRefusal> {
        self.runs += 1;
        Ok((self.nonce(), TMK))
    }

    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<Mac<16>, PadRefusal> {
        assert_eq!(SignIn::<EcAes>::read(sign_in).unwrap().fresh, self.nonce());
        let blocks = WorkingKeys::read::<EcAes>(keys).unwrap().blocks;
        if blocks != self::blocks(self.nonce()) {
            return Err(PadRefusal::KeyRefused { why: "context".to_string() });
        }
        Ok(mac(b"OK", self.nonce(), &[PIK, MAK]))
    }

    fn sign_in_done(&mut self, _: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
        if SignedIn::<EcAes>::read(done).unwrap().mac != mac(b"DONE", self.nonce(), &[]) {
            return Err(PadRefusal::ServerNotProven { why: "MAC of DONE".to_string() });
        }
        self.disk = vec![PIK, MAK];
        Ok(self.disk.clone())
    }

    fn sign_in_forget(&mut self) {
        self.forgot = true;
    }
}

fn blocks(nonce: Nonce) -> Vec<String> {
    ["P0", "M6"].map(|usage| format!("{usage} {:02X}", nonce.0[0])).into()
}

fn until_keys(pad: &mut Pad) -> (ExpectKeys<EcAes>, ExpectConfirm<EcAes>, [Frame; 2]) {
    let (sign_in, terminal) = Start::<EcAes>::of(device(), slot(), 0).begin(pad).unwrap();
    let asked = ExpectSignIn::new().on_frame_of::<EcAes>(&sign_in).unwrap();
    assert_eq!((asked.suite(), asked.kcv()), (EcAes::ID, TMK));
    let blocks = blocks(Nonce(asked.nonce()));
    let (keys, server) = asked.deliver(&blocks).unwrap();
    (terminal, server, [sign_in, keys])
}

fn until_done(pad: &mut Pad) -> (ExpectDone<EcAes>, Frame) {
    let (terminal, server, [_, keys]) = until_keys(pad);
    let (confirm, terminal) = terminal.on_frame(pad, &keys).unwrap();
    let confirm = server.on_frame(&confirm).unwrap();
    assert_eq!(confirm.mac(), mac(b"OK", pad.nonce(), &[PIK, MAK]));
    (terminal, confirm.done(mac(b"DONE", pad.nonce(), &[])).unwrap())
}

#[test]
fn terminal_signs_in_with_a_nonce_and_macs_of_16_bytes() {
    let mut pad = Pad::default();
    let (terminal, done) = until_done(&mut pad);
    assert!(pad.disk.is_empty(), "the old keys stay in use");
    assert_eq!(terminal.on_frame(&mut pad, &done).unwrap().kcvs(), [PIK, MAK]);
    assert_eq!(done.payload().len(), 2 + 3 + 16);
}

fn sign_in_with(tag: Tag, value: Option<&[u8]>) -> Result<(), Fault> {
    let good: [(Tag, &[u8]); 5] = [
        (Tag::SUITE, &[2]),
        (Tag::SERIAL, b"SN-1001"),
        (Tag::SLOT, &[3]),
        (Tag::KCV, &[1; 5]),
        (Tag::NONCE, &[1; 32]),
    ];
    let mut fields = Fields::new();
    for (known, bytes) in good.iter().filter(|(known, _)| *known != tag) {
        fields.push(*known, bytes).unwrap();
    }
    if let Some(value) = value {
        fields.push(tag, value).unwrap();
    }
    let frame = EcAes::write(MessageType::SignIn, fields).unwrap();
    ExpectSignIn::new().on_frame_of::<EcAes>(&frame).map(drop)
}

#[test]
fn sign_in_needs_a_nonce_of_32_bytes_and_a_check_value_of_5() {
    for (tag, length) in [(Tag::SUITE, 1), (Tag::SLOT, 1), (Tag::NONCE, 32), (Tag::KCV, 5)] {
        assert_malformed(sign_in_with(tag, None), Malformed::MissingField { tag });
        for found in [length - 1, length + 1, 3, 8] {
            let result = sign_in_with(tag, Some(&vec![1; found]));
            assert_malformed(result, Malformed::FieldLength { tag, found });
        }
    }
    // Rnd1 does not stand in for the nonce.
    assert!(sign_in_with(Tag::RND1, Some(&[1; 8])).is_ok(), "it is skipped");
}

#[test]
fn macs_have_all_16_bytes() {
    let tag = Tag::MESSAGE_MAC;
    for found in [8, 15, 17] {
        let frame = |kind| {
            let mut fields = Fields::new();
            fields.push(tag, &vec![7; found]).unwrap();
            Frame::new(kind, &fields).unwrap()
        };
        let malformed = Malformed::FieldLength { tag, found };
        let confirm = SignInConfirm::<EcAes>::read(&frame(MessageType::SignInConfirm));
        assert_malformed(confirm.map_err(Fault::from), malformed);
        let done = SignedIn::<EcAes>::read(&frame(MessageType::Done));
        assert_malformed(done.map_err(Fault::from), malformed);
    }
}

#[test]
fn fields_in_another_order_are_0002() {
    let mut fields = Fields::new();
    fields.push(Tag::SERIAL, b"SN-1001").unwrap();
    fields.push(Tag::SUITE, &[2]).unwrap();
    let turned = Frame::new(MessageType::SignIn, &fields).unwrap();
    let result = ExpectSignIn::new().on_frame_of::<EcAes>(&turned).map(drop);
    assert_malformed(result, Malformed::FieldOrder { tag: Tag::SUITE });
}

#[test]
fn done_with_another_nonce_is_0005() {
    let mut pad = Pad::default();
    let (_, old) = until_done(&mut pad);
    let (terminal, _) = until_done(&mut pad);
    let fault = terminal.on_frame(&mut pad, &old).unwrap_err();
    assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed);
    assert!(pad.disk.is_empty() && pad.forgot);
}

#[test]
fn keys_of_another_sign_in_are_0007() {
    let mut pad = Pad::default();
    let (_, _, [_, old]) = until_keys(&mut pad);
    let (terminal, ..) = until_keys(&mut pad);
    assert_eq!(terminal.on_frame(&mut pad, &old).unwrap_err().code, ErrorCode::KeyRefused);
}

/// A SIGN_IN that says suite 01 in the form of suite 02 gets no keys.
#[test]
fn other_suite_gets_no_keys() {
    let (sign_in, _) = Start::<EcAes>::of(device(), slot(), 0).begin(&mut Pad::default()).unwrap();
    let other = SignIn { suite: wire::Suite::TDES, ..SignIn::<EcAes>::read(&sign_in).unwrap() };
    let asked = ExpectSignIn::new().on_frame_of::<EcAes>(&other.write().unwrap()).unwrap();
    let fault = asked.deliver(&["P".into(), "M".into()]).unwrap_err();
    assert_eq!(fault.reason, Reason::SuiteNotSupported { suite: wire::Suite::TDES });
    assert_eq!(ExpectSignIn::new().on_frame(&sign_in).unwrap_err().code, ErrorCode::Malformed);
}
