//! Flow F written from 2-wire.md section 4 alone: the terminal's side of a sign-in, and its PIN blocks and MACs.

use std::io::{Read, Write};

use keyblock::{Kbpk, Version};
use paycrypto::{
    TdesKey,
    mac::{Padding, iso9797_alg3},
};
use pinblock::{Format, Pan, Pin};
use sha2::{Digest, Sha256};

use super::{
    line::{End, Line},
    raw::{Raw, Tmk, check_value},
    tlv::{self, Message, field, frame},
};

pub(crate) const SIGN_IN: u8 = 0x41;
pub(crate) const WORKING_KEYS: u8 = 0x42;
pub(crate) const SIGN_IN_CONFIRM: u8 = 0x43;
pub(crate) const MESSAGE_MAC: u16 = 0xDF52;

/// The working keys that a terminal has opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Working {
    pub(crate) slot: u8,
    pub(crate) rnd1: [u8; 8],
    pub(crate) pik: Vec<u8>,
    pub(crate) mak: Vec<u8>,
    pub(crate) tdk: Option<Vec<u8>>,
}

/// A SIGN_IN's fields, as a terminal that holds `kcv` writes them.
pub(crate) fn sign_in_frame(raw: &Raw, suite: u8, slot: u8, rnd1: [u8; 8], kcv: &[u8]) -> Vec<u8> {
    let mut fields = raw.hello_fields(slot, rnd1);
    fields[3] = suite;
    fields.extend(field(tlv::KCV, kcv));
    frame(SIGN_IN, &fields)
}

/// Opens WORKING_KEYS: every character of each block's header is as section 4 has it.
pub(crate) fn open(
    raw: &Raw,
    tmk: &Tmk,
    (slot, rnd1): (u8, [u8; 8]),
    sign_in: &[u8],
    answer: &Message,
) -> Working {
    assert_eq!(answer.kind, WORKING_KEYS);
    let place = format!("{}/{slot:02}", raw.pin_pad.as_ref().unwrap_or(&raw.sn));
    let mut said = sign_in.to_vec();
    let mut keys = Vec::new();
    for ((tag, entry), head) in answer.fields.iter().zip(["P0TE", "M3TC", "D0TE"]) {
        assert_eq!(*tag, tlv::KEY_ENTRY);
        let entry = Message::read(&frame(WORKING_KEYS, entry));
        assert_eq!(entry.fields.len(), 1, "DF40 alone");
        let block = str::from_utf8(entry.get(tlv::KEY_BLOCK)).unwrap();
        let context: String = Sha256::digest(&said)[..16].iter().map(|byte| format!("{byte:02X}")).collect();
        let bound = format!("10{:02X}{place}1124{context}", 4 + place.len());
        let padded = bound.len() % 8 != 0;
        assert_eq!(block[..5], format!("B{:04}", block.len()));
        assert_eq!(block[5..16], format!("{head}00N0{}00", if padded { 3 } else { 2 }));
        assert_eq!(block[16..16 + bound.len()], bound);
        said.extend_from_slice(block.as_bytes());
        let opened = Kbpk::new(Version::B, &tmk.key).unwrap().unwrap(block).unwrap();
        assert!(opened.key.iter().all(|byte| byte.count_ones() % 2 == 1), "odd parity");
        keys.push(opened.key.to_vec());
    }
    assert_eq!(answer.fields.len(), keys.len());
    let mut keys = keys.into_iter();
    let (pik, mak) = (keys.next().unwrap(), keys.next().unwrap());
    assert_eq!(mak.len(), 16);
    Working { slot, rnd1, pik, mak, tdk: keys.next() }
}

impl Working {
    /// The check values, in the order of the message.
    pub(crate) fn kcvs(&self) -> Vec<[u8; 3]> {
        [&self.pik, &self.mak].into_iter().chain(&self.tdk).map(|key| check_value(key)).collect()
    }

    /// MAC(MAK, "OK" ‖ Rnd1 ‖ KCV of each key in order).
    pub(crate) fn confirm(&self) -> Vec<u8> {
        let said = [b"OK", &self.rnd1[..], self.kcvs().as_flattened()].concat();
        frame(SIGN_IN_CONFIRM, &field(MESSAGE_MAC, &self.mac(&said)))
    }

    /// MAC(MAK, "DONE" ‖ Rnd1).
    pub(crate) fn done(&self) -> Vec<u8> {
        frame(tlv::DONE, &field(MESSAGE_MAC, &self.mac(&[b"DONE", &self.rnd1[..]].concat())))
    }

    /// ISO 9797-1 algorithm 3, padding method 2.
    pub(crate) fn mac(&self, data: &[u8]) -> [u8; 8] {
        iso9797_alg3(&TdesKey::from_bytes(&self.mak).unwrap(), Padding::Two, data).unwrap()
    }

    /// A PIN block under PIK.
    pub(crate) fn pin_block(&self, format: Format, pin: &str, pan: &str) -> [u8; 8] {
        let (pin, pan) = (Pin::new(pin).unwrap(), Pan::new(pan).unwrap());
        let clear = pinblock::encode(format, &pin, Some(&pan)).unwrap();
        TdesKey::from_bytes(&self.pik).unwrap().encrypt_block(*clear.expose())
    }
}

impl Raw {
    /// SIGN_IN and its answer, opened.
    pub(crate) fn ask_working<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        slot: u8,
        tmk: &Tmk,
    ) -> Result<Working, End> {
        let rnd1 = super::raw::rnd1();
        let sign_in = sign_in_frame(self, 1, slot, rnd1, &tmk.kcv);
        line.send(&sign_in);
        let answer = line.expect(WORKING_KEYS)?;
        Ok(open(self, tmk, (slot, rnd1), &sign_in, &answer))
    }

    /// A whole sign-in.
    pub(crate) fn sign_in<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        slot: u8,
        tmk: &Tmk,
    ) -> Result<Working, End> {
        let working = self.ask_working(line, slot, tmk)?;
        line.send(&working.confirm());
        let done = line.expect(tlv::DONE)?;
        assert_eq!(done.frame, working.done(), "the host holds MAK");
        Ok(working)
    }
}
