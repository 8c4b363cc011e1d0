//! A PIN pad and an RKS's HSM that need no cryptography: a ciphertext is clear text that names its key in the first byte,
//! a key block is text, and `TK = TK1 XOR TK2` on one byte each.

use std::{format, string::String, string::ToString, vec, vec::Vec};

use wire::{Device, Frame, Kcv, Serial, Slot};

use crate::{
    Context, Loaded, PadRefusal, Tdes, Transcript,
    rks_load::{
        Fault, IdentityPad,
        device::{Cert, ExpectToken, Start},
        messages::{RksFactor, RksKeys, RksProof, RksToken},
        rks::{ExpectAuth, ExpectConfirm, ExpectFactor, ExpectProof, Factor, Proof},
    },
    testing::der,
};

/// The RKS's key.
pub(super) const RKS_KEY: u8 = 0xA1;
/// DIK2 of SN-1001 and of nobody.
const DIK2: u8 = 0x0F;
const NOBODYS_DIK2: u8 = 0xEE;
/// The registered factor.
const FACTOR: &[u8] = b"KLD-7/20261120/B042";

pub(super) fn device() -> Device {
    Device::built_in(Serial::parse("SN-1001").unwrap())
}

pub(super) fn slot() -> Slot {
    Slot::new(3).unwrap()
}

/// As long as a modulus of 2048 bits: the key's name, the length, the text.
pub(super) fn sealed(key: u8, clear: &[u8]) -> Vec<u8> {
    let length = u8::try_from(clear.len()).unwrap();
    let mut sealed = [&[key, length], clear].concat();
    sealed.resize(256, 0);
    sealed
}

fn opened(sealed: &[u8]) -> Option<&[u8]> {
    match sealed {
        [RKS_KEY, length, rest @ ..] => rest.get(..usize::from(*length)),
        _ => None,
    }
}

fn token_block(dik2: u8, context: Context, at: u8, tk1: u8) -> String {
    format!("SN-1001/00 {context} {dik2:02X} {at:02X}{tk1:02X}")
}

pub(super) fn key_block(place: &str, context: Context, tk: u8, key: u8) -> String {
    format!("{place} {context} {tk:02X} {key:02X}")
}

pub(super) fn kcv(key: u8) -> Kcv {
    Kcv::Tdes([key; 3])
}

/// The device's side.
#[derive(Debug, Default)]
pub(super) struct Pad {
    pub(super) has_no_identity: bool,
    pub(super) foreign_owner: bool,
    pub(super) disk_is_full: bool,
    pub(super) confirms_too_few: bool,
    /// The new keys by place, as a restart would find them.
    pub(super) disk: Vec<(String, u8)>,
    pub(super) calls: Vec<&'static str>,
    /// AT, TK1, TK2 or TK and the server's key: what must not stay.
    pub(super) remembers: Option<Secrets>,
    pub(super) runs: u8,
    pub(super) transcript: Transcript,
    pub(super) sent: Vec<u8>,
}

#[derive(Debug, Default)]
pub(super) struct Secrets {
    server_key: u8,
    tk: u8,
}

impl Pad {
    fn secrets(&mut self) -> Result<&mut Secrets, PadRefusal> {
        self.remembers.as_mut().ok_or(PadRefusal::NotPermitted { why: "no download is open".to_string() })
    }
}

/// The parts of a toy block.
fn parts<const N: usize>(block: &str) -> Option<[&str; N]> {
    block.split(' ').collect::<Vec<_>>().try_into().ok()
}

impl IdentityPad for Pad {
    type Key = u8;

    fn begin(&mut self, _slot: Slot) -> Result<(), PadRefusal> {
        self.calls.push("begin");
        if self.has_no_identity {
            return Err(PadRefusal::NotPermitted { why: "no DIK2".to_string() });
        }
        self.runs += 1;
        Ok(())
    }

    fn factor(&mut self, key: &u8, auth: &Frame, cert: &Frame) -> Result<RksFactor, PadRefusal> {
        self.calls.push("factor");
        self.transcript = Transcript::new();
        self.transcript.push(auth);
        self.transcript.push(cert);
        self.remembers = Some(Secrets { server_key: *key, tk: 0 });
        // Made anew in each run.
        self.sent = sealed(*key, &[&[self.runs], FACTOR].concat());
        Ok(RksFactor { factor_ciphertext: self.sent.clone() })
    }

    fn proof(&mut self, factor: &Frame, token: &Frame) -> Result<RksProof, PadRefusal> {
        self.calls.push("proof");
        let not_proven = |why: &str| PadRefusal::ServerNotProven { why: why.to_string() };
        if RksFactor::read(factor).unwrap().factor_ciphertext != self.sent {
            return Err(not_proven("another RKS_FACTOR"));
        }
        self.transcript.push(factor);
        let context = self.transcript.context().to_hex();
        let text = RksToken::read(token).unwrap().at_tk1;
        let Some([place, time, under, clear]) = parts(&text) else { return Err(not_proven("form")) };
        for (found, own, why) in [
            (place, "SN-1001/00", "place"),
            (time, &context, "context"),
            (under, &format!("{DIK2:02X}"), "MAC"),
        ] {
            if found != own {
                return Err(not_proven(why));
            }
        }
        let [at, tk1] = u16::from_str_radix(clear, 16).unwrap().to_be_bytes();
        let tk2 = 0x50 + self.runs;
        self.transcript.push(token);
        let secrets = self.secrets()?;
        secrets.tk = tk1 ^ tk2;
        let sent = sealed(secrets.server_key, &[at, tk2, !secrets.tk]);
        self.sent = sent.clone();
        Ok(RksProof { proof_ciphertext: sent })
    }

    fn keys(&mut self, proof: &Frame, keys: &Frame) -> Result<Loaded, PadRefusal> {
        self.calls.push("keys");
        let refused = |why: &str| PadRefusal::KeyRefused { why: why.to_string() };
        if RksProof::read(proof).unwrap().proof_ciphertext != self.sent {
            return Err(PadRefusal::NotPermitted { why: "another RKS_PROOF".to_string() });
        }
        self.transcript.push(proof);
        let tk = format!("{:02X}", self.secrets()?.tk);
        let blocks = RksKeys::read::<Tdes>(keys).unwrap().blocks;
        let mut new = Vec::new();
        for (index, block) in blocks.iter().enumerate() {
            let before: Vec<&str> = blocks[..index].iter().map(String::as_str).collect();
            let context = self.transcript.context_after(&before).to_hex();
            let Some([place, time, under, key]) = parts(block) else { return Err(refused("form")) };
            if !place.starts_with("SN-1001/") {
                return Err(refused("place"));
            }
            for (found, own, why) in [(time, &context, "context"), (under, &tk, "MAC")] {
                if found != own {
                    return Err(refused(why));
                }
            }
            new.push((place.to_string(), u8::from_str_radix(key, 16).unwrap()));
        }
        if self.foreign_owner {
            return Err(PadRefusal::NotPermitted { why: "owner".to_string() });
        }
        if self.disk_is_full {
            return Err(PadRefusal::Failed { why: "disk full".to_string() });
        }
        let told = if self.confirms_too_few { 1 } else { new.len() };
        let kcvs = new.iter().take(told).map(|(_, key)| kcv(*key)).collect();
        self.disk = new;
        Ok(Loaded::of(kcvs))
    }

    fn done(&mut self, _confirm: &Frame, _done: &Frame) -> Result<(), PadRefusal> {
        self.calls.push("done");
        Ok(())
    }

    fn forget(&mut self) {
        self.calls.push("forget");
        self.remembers = None;
    }
}

/// The RKS's driver with HSM and store.
#[derive(Debug)]
pub(super) struct Rks {
    pub(super) knows_nobody: bool,
    pub(super) keys: Vec<(&'static str, u8)>,
    at: u8,
    tk1: u8,
    counts: bool,
}

impl Rks {
    pub(super) fn new() -> Rks {
        let keys = vec![("SN-1001/03", 0xBA), ("SN-1001/04", 0x7B)];
        Rks { knows_nobody: false, keys, at: 0x20, tk1: 0x30, counts: false }
    }

    pub(super) fn certificate(&self, auth: &Frame) -> (Frame, ExpectFactor) {
        ExpectAuth::new().on_frame(auth).unwrap().certificate(der(70), vec![der(5)]).unwrap()
    }

    /// As the HSM does: opens the factor and seals AT ‖ TK1, in the same form whatever it found.
    pub(super) fn token(&mut self, factor: Factor) -> (Frame, ExpectProof) {
        self.at += 1;
        self.tk1 += 1;
        let right = opened(factor.df20()).and_then(|clear| clear.split_first()).map(|(_, factor)| factor);
        self.counts = right == Some(FACTOR) && !self.knows_nobody;
        let dik2 = if self.counts { DIK2 } else { NOBODYS_DIK2 };
        let block = token_block(dik2, factor.context(), self.at, self.tk1);
        factor.token(block).unwrap()
    }

    /// As the HSM does: checks AT and the hash and makes the blocks in one act.
    pub(super) fn blocks(&self, proof: &Proof) -> Option<Vec<(String, Kcv)>> {
        let &[at, tk2, hash] = opened(proof.df22())? else { return None };
        let tk = self.tk1 ^ tk2;
        if !self.counts || at != self.at || hash != !tk {
            return None;
        }
        let mut made: Vec<(String, Kcv)> = Vec::new();
        for (place, key) in &self.keys {
            let before: Vec<&str> = made.iter().map(|(block, _)| block.as_str()).collect();
            made.push((key_block(place, proof.context_after(&before), tk, *key), kcv(*key)));
        }
        Some(made)
    }

    pub(super) fn deliver(&self, proof: Proof, more: bool) -> Result<(Frame, ExpectConfirm), Fault> {
        match self.blocks(&proof) {
            Some(made) => proof.deliver(&made, more),
            None => Err(proof.not_proven("AT, hash or token".into())),
        }
    }
}

/// Both roles up to the point where RKS_FACTOR is to come, the device having looked at the certificate.
pub(super) fn until_cert(pad: &mut Pad, rks: &Rks) -> (Cert, ExpectFactor, [Frame; 2]) {
    let (auth, device) = Start::new(device(), slot()).begin(pad).unwrap();
    let (cert, server) = rks.certificate(&auth);
    (device.on_frame(pad, &cert).unwrap(), server, [auth, cert])
}

/// Both roles up to the point where RKS_TOKEN is to come.
pub(super) fn until_token(pad: &mut Pad, rks: &mut Rks) -> (ExpectToken, ExpectProof, [Frame; 4]) {
    let (device, server, [auth, cert]) = until_cert(pad, rks);
    let (factor, device) = device.factor(pad, &RKS_KEY).unwrap();
    let (token, server) = rks.token(server.on_frame(&factor).unwrap());
    (device, server, [auth, cert, factor, token])
}

/// Both roles up to the point where RKS_KEYS is to come.
pub(super) fn until_proof(
    pad: &mut Pad,
    rks: &mut Rks,
) -> (crate::rks_load::device::ExpectKeys, Proof, [Frame; 5]) {
    let (device, server, [auth, cert, factor, token]) = until_token(pad, rks);
    let (proof, device) = device.on_frame(pad, &token).unwrap();
    let proven = server.on_frame(&proof).unwrap();
    (device, proven, [auth, cert, factor, token, proof])
}
