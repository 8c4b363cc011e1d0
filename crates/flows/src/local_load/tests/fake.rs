//! A PIN pad and a KLD's HSM that need no cryptography: a ciphertext is clear text that names its key in the first byte,
//! and a key block is text.

use std::{format, string::String, string::ToString, vec, vec::Vec};

use wire::{Device, Frame, Kcv, Serial};

use crate::{
    Context, Loaded, PadRefusal, Tdes, Transcript,
    local_load::{
        Fault, LoadPad,
        kld::{Accept, ExpectConfirm, Start},
        messages::{KldAccept, KldKey, RND1, RND2, Randoms, SignedFields},
        terminal::Connect,
    },
    testing::der,
};

/// The KLD's key, and one of another acquirer.
pub(super) const KLD_KEY: u8 = 0xA1;
pub(super) const OTHER_KEY: u8 = 0xB2;

pub(super) fn device() -> Device {
    Device::built_in(Serial::parse("SN-1001").unwrap())
}

pub(super) fn start() -> Start {
    Start::new(der(70), vec![der(5), der(6)])
}

/// As long as a modulus of 2048 bits: the key's name, the length, the text.
pub(super) fn sealed(key: u8, clear: &[u8]) -> Vec<u8> {
    let length = u16::try_from(clear.len()).unwrap().to_be_bytes();
    let mut sealed = [&[key], length.as_slice(), clear].concat();
    sealed.resize(256, 0);
    sealed
}

fn opened(key: u8, sealed: &[u8]) -> Option<&[u8]> {
    match sealed {
        [name, high, low, rest @ ..] if *name == key => {
            rest.get(..usize::from(u16::from_be_bytes([*high, *low])))
        }
        _ => None,
    }
}

/// The block of a key: what looks like the start of a header, then place, context, protection key and key.
pub(super) fn block(usage: &str, place: &str, context: Context, rnd1: u8, key: u8) -> String {
    format!("B0064{usage}TB00N0200 {place} {context} {rnd1:02X} {key:02X}")
}

pub(super) fn kcv(key: u8) -> Kcv {
    Kcv::Tdes([key; 3])
}

/// The terminal's side.
#[derive(Debug)]
pub(super) struct Pad {
    pub(super) next: u8,
    pub(super) foreign_owner: bool,
    pub(super) disk_is_full: bool,
    /// The new key's usage, value and factor, as a restart would find them.
    pub(super) disk: Option<(String, u8, Option<Vec<u8>>)>,
    pub(super) calls: Vec<&'static str>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    key: u8,
    random: u8,
    sent: Vec<u8>,
    transcript: Transcript,
}

impl Pad {
    pub(super) fn new() -> Pad {
        Pad { next: 1, foreign_owner: false, disk_is_full: false, disk: None, calls: Vec::new(), open: None }
    }

    pub(super) fn context(&self, accept: &Frame) -> Context {
        let mut transcript = self.open.as_ref().unwrap().transcript.clone();
        transcript.push(accept);
        transcript.context()
    }
}

impl LoadPad for Pad {
    type Key = u8;

    fn accept(&mut self, key: &u8, connect: &Frame, _: &Device) -> Result<Randoms, PadRefusal> {
        self.calls.push("accept");
        let random = self.next;
        self.next += 1;
        let sent = sealed(*key, &[vec![random; RND1], vec![random; RND2]].concat());
        let mut transcript = Transcript::new();
        transcript.push(connect);
        self.open = Some(Open { key: *key, random, sent: sent.clone(), transcript });
        Ok(Randoms { c_rnd1_rnd2: sent })
    }

    fn load(&mut self, accept: &Frame, key: &Frame) -> Result<Loaded, PadRefusal> {
        self.calls.push("load");
        let not_proven = |why: &str| PadRefusal::ServerNotProven { why: why.to_string() };
        let refused = |why: &str| PadRefusal::KeyRefused { why: why.to_string() };
        let Open { key: of, random, sent, mut transcript } =
            self.open.take().ok_or(PadRefusal::NotPermitted { why: "no loading is open".to_string() })?;
        if KldAccept::<Tdes>::read(accept).unwrap().answer.c_rnd1_rnd2 != sent {
            return Err(not_proven("another KLD_ACCEPT"));
        }
        transcript.push(accept);
        let signed = KldKey::read(key).unwrap().c_ctmk_rnd2;
        let signed = SignedFields::read(opened(of, &signed).ok_or(not_proven("signature"))?)?;
        if signed.rnd2 != [random; RND2] {
            return Err(not_proven("Rnd2"));
        }
        let usage = signed.usage().unwrap().to_string();
        let index = if usage == "K1" { "03" } else { "00" };
        let parts: Vec<&str> = signed.block.split(' ').collect();
        let [_, place, context, rnd1, value] = parts.as_slice() else { return Err(refused("form")) };
        for (found, own, why) in [
            (place.to_string(), format!("SN-1001/{index}"), "place"),
            (context.to_string(), transcript.context().to_hex(), "context"),
            (rnd1.to_string(), format!("{random:02X}"), "MAC"),
        ] {
            if found != own {
                return Err(refused(why));
            }
        }
        if self.foreign_owner {
            return Err(PadRefusal::NotPermitted { why: "owner".to_string() });
        }
        if self.disk_is_full {
            return Err(PadRefusal::Failed { why: "disk full".to_string() });
        }
        let value = u8::from_str_radix(value, 16).unwrap();
        self.disk = Some((usage, value, signed.factor));
        Ok(Loaded::of(vec![kcv(value)]))
    }

    fn loaded(&mut self, _confirm: &Frame, _done: &Frame) -> Result<(), PadRefusal> {
        self.calls.push("loaded");
        Ok(())
    }
}

/// The KLD's driver with its HSM.
pub(super) struct Kld {
    pub(super) usage: &'static str,
    pub(super) factor: Option<Vec<u8>>,
    pub(super) key: u8,
}

impl Kld {
    pub(super) fn new() -> Kld {
        Kld { usage: "K1", factor: None, key: 0xBA }
    }

    pub(super) fn signed(&self, accept: &Accept) -> Result<SignedFields, Fault> {
        let Some([random, ..]) = opened(KLD_KEY, accept.c_rnd1_rnd2()) else {
            return Err(Fault::from(crate::local_load::Reason::RandomsRefused {
                why: "it does not open".into(),
            }));
        };
        let index = if self.usage == "K1" { "03" } else { "00" };
        let place = format!("{}/{index}", accept.device().pin_pad());
        let block = block(self.usage, &place, accept.context(), *random, self.key);
        Ok(SignedFields { block, rnd2: [*random; RND2], factor: self.factor.clone() })
    }

    pub(super) fn deliver(&self, accept: Accept) -> Result<(Frame, ExpectConfirm), Fault> {
        let signed = self.signed(&accept)?.encode().unwrap();
        accept.deliver(&sealed(KLD_KEY, &signed), kcv(self.key))
    }
}

/// Both roles up to the point where KLD_KEY is to come.
pub(super) fn until_accept(pad: &mut Pad) -> (crate::local_load::terminal::ExpectKey, Accept, [Frame; 2]) {
    let (connect, kld) = start().begin().unwrap();
    let (accept, terminal) = Connect::read(&connect).unwrap().accept(pad, &device(), &KLD_KEY).unwrap();
    let accepted = kld.on_frame(&accept).unwrap();
    (terminal, accepted, [connect, accept])
}
