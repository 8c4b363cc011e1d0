//! A PIN pad, and an HSM with its store, that need no cryptography: `E(AUK, x) = x XOR AUK`, and a key block is text.

use std::{format, string::String, string::ToString, vec::Vec};

use wire::{Device, Frame, Kcv, Serial, Slot};

use crate::{
    Context, Loaded, Tdes, Transcript,
    tmk_download::{
        DownloadPad, Fault, PadRefusal,
        kms::{ExpectConfirm, ExpectReply, Hello, Reply},
        messages::{Rnd1, TkChallenge, TkHello, TkKey, TkReply},
    },
};

const AUK: [u8; 8] = [0x9D, 0x00, 0x64, 0xF7, 0xEB, 0xED, 0xD4, 0xA3];

pub(super) fn device() -> Device {
    Device::built_in(Serial::parse("SN-1001").unwrap())
}

pub(super) fn slot() -> Slot {
    Slot::new(3).unwrap()
}

pub(super) fn xor(random: [u8; 8]) -> [u8; 8] {
    core::array::from_fn(|at| random[at] ^ AUK[at])
}

fn block(place: &str, context: Context, key: [u8; 8]) -> String {
    format!("{place} {context} {:016X}", u64::from_be_bytes(key))
}

fn kcv(key: [u8; 8]) -> Kcv {
    Kcv::from_bytes(&key[..3]).unwrap()
}

/// The terminal's side.
pub(super) struct Pad {
    pub(super) next_rnd1: [u8; 8],
    pub(super) disk_is_full: bool,
    /// The new key, as a restart would find it.
    pub(super) disk: Option<[u8; 8]>,
    pub(super) calls: Vec<&'static str>,
    open: Option<(Slot, [u8; 8])>,
    transcript: Option<Transcript>,
}

impl Pad {
    pub(super) fn new() -> Pad {
        Pad {
            next_rnd1: [1, 2, 3, 4, 5, 6, 7, 8],
            disk_is_full: false,
            disk: None,
            calls: Vec::new(),
            open: None,
            transcript: None,
        }
    }

    pub(super) fn context(&self) -> Option<Context> {
        self.transcript.as_ref().map(Transcript::context)
    }

    fn open(&self) -> Result<(Slot, [u8; 8]), PadRefusal> {
        self.open.ok_or_else(|| PadRefusal::NotPermitted { why: "no download is open".to_string() })
    }
}

impl DownloadPad for Pad {
    fn start(&mut self, slot: Slot) -> Result<Rnd1, PadRefusal> {
        self.calls.push("start");
        let rnd1 = self.next_rnd1;
        self.next_rnd1[7] = self.next_rnd1[7].wrapping_add(1);
        self.open = Some((slot, rnd1));
        Ok(Rnd1(rnd1))
    }

    fn challenge(&mut self, hello: &Frame, challenge: &Frame) -> Result<TkReply, PadRefusal> {
        self.calls.push("challenge");
        let (_, rnd1) = self.open()?;
        let theirs = TkChallenge::read(challenge).unwrap();
        if <TkHello>::read(hello).unwrap().opening != Rnd1(rnd1) || theirs.crnd1 != xor(rnd1) {
            return Err(PadRefusal::ServerNotProven);
        }
        let mut transcript = Transcript::new();
        transcript.push(hello);
        transcript.push(challenge);
        // The reply is added here for `context`; a real PIN pad takes it from the frame that `key` gives it.
        let reply = TkReply { crnd2: xor(theirs.rnd2) };
        transcript.push(&reply.write().unwrap());
        self.transcript = Some(transcript);
        Ok(reply)
    }

    fn key(&mut self, _reply: &Frame, key: &Frame) -> Result<Loaded, PadRefusal> {
        self.calls.push("key");
        let (slot, _) = self.open()?;
        let refused = |why: &str| PadRefusal::KeyRefused { why: why.to_string() };
        let text = TkKey::read::<Tdes>(key).unwrap().block;
        let mut parts = text.split(' ');
        if parts.next() != Some(&format!("SN-1001/{slot}")) {
            return Err(refused("place"));
        }
        if parts.next().map(String::from) != self.context().map(|context| context.to_hex()) {
            return Err(refused("context"));
        }
        let key = parts.next().and_then(|hex| u64::from_str_radix(hex, 16).ok()).ok_or(refused("form"))?;
        if self.disk_is_full {
            return Err(PadRefusal::Failed { why: "disk full".to_string() });
        }
        self.disk = Some(key.to_be_bytes());
        Ok(Loaded::of([kcv(key.to_be_bytes())].into()))
    }

    fn done(&mut self, _confirm: &Frame, _done: &Frame) -> Result<(), PadRefusal> {
        self.calls.push("done");
        self.open = None;
        Ok(())
    }
}

/// The KMS's driver with HSM and store.
pub(super) struct Kms {
    pub(super) rnd2: [u8; 8],
    pub(super) tmk: [u8; 8],
}

impl Kms {
    pub(super) fn new() -> Kms {
        Kms { rnd2: [0x81, 2, 3, 4, 5, 6, 7, 8], tmk: [0xBA, 0x7B, 0xA3, 0xE0, 0x91, 0xF2, 0x6B, 0x58] }
    }

    pub(super) fn kcv(&self) -> Kcv {
        kcv(self.tmk)
    }

    pub(super) fn challenge(&mut self, hello: Hello) -> (Frame, ExpectReply) {
        self.rnd2[7] = self.rnd2[7].wrapping_add(1);
        let crnd1 = xor(hello.rnd1());
        hello.challenge(crnd1, self.rnd2).unwrap()
    }

    /// As the HSM does: checks Crnd2 and makes the block in one act.
    pub(super) fn deliver(&self, reply: Reply) -> Result<(Frame, ExpectConfirm), Fault> {
        if reply.crnd2() != xor(reply.rnd2()) {
            return Err(reply.wrong_crnd2());
        }
        let place = format!("{}/{}", reply.device().pin_pad(), reply.slot());
        let block = block(&place, reply.context(), self.tmk);
        reply.deliver(&block, self.kcv())
    }
}
