//! A PIN pad and a host's HSM that need no cryptography: a key is one byte, a key block is text that names the key it is
//! under, and a MAC folds its input.

use std::{format, string::String, string::ToString, vec, vec::Vec};

use wire::{Device, Frame, Kcv, Serial, Slot};

use crate::{
    Context, PadRefusal, Tdes, Transcript,
    sign_in::{
        Fault, Reason, SignInPad,
        host::{Confirm, ExpectConfirm, ExpectSignIn, SignIn},
        messages::{self, Mac, Rnd1, SignInConfirm, SignedIn, WorkingKeys},
        terminal::{ExpectDone, ExpectKeys, Start},
    },
};

/// The newest TMK of the slot and the one before it.
pub(super) const NEW_TMK: u8 = 0xBA;
pub(super) const OLD_TMK: u8 = 0x7B;

pub(super) fn device() -> Device {
    Device::built_in(Serial::parse("SN-1001").unwrap())
}

pub(super) fn slot() -> Slot {
    Slot::new(3).unwrap()
}

pub(super) fn kcv(key: u8) -> Kcv {
    Kcv::Tdes([key; 3])
}

fn mac(mak: u8, word: &[u8], rnd1: [u8; 8], keys: &[u8]) -> Mac<8> {
    let mut mac = [mak; 8];
    let data = [word, &rnd1, keys].concat();
    data.iter().enumerate().for_each(|(at, byte)| mac[at % 8] = mac[at % 8].rotate_left(1) ^ byte);
    Mac(mac)
}

fn key_block(usage: &str, context: Context, tmk: u8, key: u8) -> String {
    format!("{usage} SN-1001/03 {context} {tmk:02X} {key:02X}")
}

/// The context of a block behind these in WORKING_KEYS.
fn context(sign_in: &Frame, before: &[String]) -> Context {
    let mut transcript = Transcript::new();
    transcript.push(sign_in);
    transcript.context_after(&before.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The terminal's side.
#[derive(Debug, Default)]
pub(super) struct Pad {
    pub(super) has_no_tmk: bool,
    pub(super) disk_is_full: bool,
    pub(super) counts_wrong: bool,
    /// The working keys in use, as a restart would find them.
    pub(super) disk: Vec<u8>,
    pub(super) calls: Vec<&'static str>,
    /// The new keys before DONE: what must not stay.
    pub(super) remembers: Vec<u8>,
    pub(super) runs: u8,
    pub(super) tmk: u8,
    pub(super) rnd1: [u8; 8],
}

impl SignInPad for Pad {
    fn sign_in_begin(&mut self, _slot: Slot, attempt: u8) -> Result<(Rnd1, Kcv), PadRefusal> {
        self.calls.push("begin");
        if self.has_no_tmk {
            return Err(PadRefusal::NotPermitted { why: "no TMK".to_string() });
        }
        self.runs += 1;
        self.rnd1 = [self.runs; 8];
        self.tmk = if attempt == 0 { NEW_TMK } else { OLD_TMK };
        Ok((Rnd1(self.rnd1), kcv(self.tmk)))
    }

    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<Mac<8>, PadRefusal> {
        self.calls.push("keys");
        let refused = |why: &str| PadRefusal::KeyRefused { why: why.to_string() };
        if <messages::SignIn>::read(sign_in).unwrap().fresh != Rnd1(self.rnd1) {
            return Err(PadRefusal::NotPermitted { why: "another SIGN_IN".to_string() });
        }
        let blocks = WorkingKeys::read::<Tdes>(keys).unwrap().blocks;
        let mut new = Vec::new();
        for (at, (block, usage)) in blocks.iter().zip(["P0", "M3", "D0"]).enumerate() {
            let time = context(sign_in, &blocks[..at]).to_hex();
            let parts: Vec<&str> = block.split(' ').collect();
            let [found_usage, place, found_time, under, key] = parts[..] else { return Err(refused("form")) };
            for (found, own, why) in [
                (found_usage, usage, "use"),
                (place, "SN-1001/03", "place"),
                (found_time, &time, "context"),
                (under, &format!("{:02X}", self.tmk), "MAC"),
            ] {
                if found != own {
                    return Err(refused(why));
                }
            }
            new.push(u8::from_str_radix(key, 16).map_err(|_| refused("key"))?);
        }
        self.remembers = new;
        Ok(mac(self.remembers[1], b"OK", self.rnd1, &self.remembers))
    }

    fn sign_in_done(&mut self, _confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
        self.calls.push("done");
        if <SignedIn>::read(done).unwrap().mac != mac(self.remembers[1], b"DONE", self.rnd1, &[]) {
            return Err(PadRefusal::ServerNotProven { why: "MAC of DONE".to_string() });
        }
        if self.disk_is_full {
            return Err(PadRefusal::Failed { why: "disk full".to_string() });
        }
        self.disk = core::mem::take(&mut self.remembers);
        let told = if self.counts_wrong { 1 } else { self.disk.len() };
        Ok(self.disk.iter().take(told).copied().map(kcv).collect())
    }

    fn sign_in_forget(&mut self) {
        self.calls.push("forget");
        self.remembers.clear();
    }
}

/// The host's driver with HSM and store.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) knows_nobody: bool,
    /// The TMKs that it holds for the slot.
    pub(super) tmks: Vec<u8>,
    pub(super) wants_a_track_key: bool,
    /// The keys of the last sign-in, and those in use.
    pub(super) pending: Vec<u8>,
    pub(super) active: Vec<u8>,
    pub(super) rnd1: [u8; 8],
    pub(super) runs: u8,
}

impl Host {
    pub(super) fn new() -> Host {
        let (pending, active) = (Vec::new(), Vec::new());
        let tmks = vec![OLD_TMK, NEW_TMK];
        Host { knows_nobody: false, tmks, wants_a_track_key: false, pending, active, rnd1: [0; 8], runs: 0 }
    }

    /// As HSM and store do: finds the TMK by its check value and makes keys that were never used.
    pub(super) fn blocks(&mut self, asked: &SignIn) -> Result<Vec<String>, Fault> {
        let (sn, slot) = (asked.device().sn().clone(), asked.slot());
        if self.knows_nobody {
            return Err(Reason::UnknownTerminal { sn }.into());
        }
        let held = self.tmks.iter().copied().find(|tmk| kcv(*tmk) == asked.kcv());
        let tmk = held.ok_or(Reason::OtherTmk { sn, slot })?;
        self.runs += 1;
        self.rnd1 = asked.rnd1();
        let count = if self.wants_a_track_key { 3 } else { 2 };
        self.pending = (0..count).map(|key| self.runs * 16 + key).collect();
        let mut blocks: Vec<String> = Vec::new();
        for (key, usage) in self.pending.iter().zip(["P0", "M3", "D0"]) {
            blocks.push(key_block(usage, context(asked.frame(), &blocks), tmk, *key));
        }
        Ok(blocks)
    }

    pub(super) fn deliver(&mut self, sign_in: &Frame) -> Result<(Frame, ExpectConfirm), Fault> {
        let asked = ExpectSignIn::new().on_frame(sign_in)?;
        let blocks = self.blocks(&asked)?;
        asked.deliver(&blocks)
    }

    /// As HSM and store do: checks the MAC, makes the keys active, makes DONE's MAC.
    pub(super) fn done(&mut self, confirm: Confirm) -> Result<Frame, Fault> {
        if confirm.mac() != mac(self.pending[1], b"OK", self.rnd1, &self.pending) {
            return Err(confirm.wrong_mac());
        }
        self.active.clone_from(&self.pending);
        confirm.done(mac(self.pending[1], b"DONE", self.rnd1, &[]))
    }
}

/// Both roles up to the point where WORKING_KEYS is to be taken.
pub(super) fn until_keys(pad: &mut Pad, host: &mut Host) -> (ExpectKeys, ExpectConfirm, [Frame; 2]) {
    let (sign_in, terminal) = Start::new(device(), slot(), 0).begin(pad).unwrap();
    let (keys, server) = host.deliver(&sign_in).unwrap();
    (terminal, server, [sign_in, keys])
}

/// Both roles up to the point where SIGN_IN_CONFIRM is to be taken.
pub(super) fn until_confirm(pad: &mut Pad, host: &mut Host) -> (ExpectDone, ExpectConfirm, [Frame; 3]) {
    let (terminal, server, [sign_in, keys]) = until_keys(pad, host);
    let (confirm, terminal) = terminal.on_frame(pad, &keys).unwrap();
    assert!(<SignInConfirm>::read(&confirm).is_ok());
    (terminal, server, [sign_in, keys, confirm])
}
