//! Flow F of suite 02 written from 3-hardened.md alone: the terminal's side of a sign-in, and its PIN blocks and MACs.

use std::io::{Read, Write};

use paycrypto::{AesKey, mac::cmac_aes};
use pinblock::{Format4Key, Pan, Pin, encode_format4};

use super::{
    ec::{self, EcKeyReceived, NONCE, random},
    line::{End, Line},
    rks_ec::EcDevice,
    sign_in::{MESSAGE_MAC, SIGN_IN, SIGN_IN_CONFIRM, WORKING_KEYS},
    tlv::{self, Message, field, frame},
};

/// The working keys that a terminal has opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct EcWorking {
    pub(crate) nonce: [u8; 32],
    pub(crate) keys: Vec<EcKeyReceived>,
}

/// SIGN_IN of a terminal that holds a TMK with this check value.
pub(crate) fn sign_in_frame(device: &EcDevice, slot: u8, nonce: &[u8; 32], kcv: &[u8]) -> Vec<u8> {
    let mut fields = [field(tlv::SUITE, &[2]), field(tlv::SN, device.sn.as_bytes())].concat();
    if let Some(pin_pad) = &device.pin_pad {
        fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
    }
    fields.extend(field(tlv::SLOT, &[slot]));
    fields.extend(field(tlv::KCV, kcv));
    fields.extend(field(NONCE, nonce));
    frame(SIGN_IN, &fields)
}

/// Opens WORKING_KEYS.
pub(crate) fn open(
    device: &EcDevice,
    tmk: &EcKeyReceived,
    nonce: [u8; 32],
    sign_in: &[u8],
    answer: &Message,
) -> EcWorking {
    assert_eq!(answer.kind, WORKING_KEYS);
    let (mut said, mut keys) = (sign_in.to_vec(), Vec::new());
    for ((tag, entry), usage) in answer.fields.iter().zip(["P0", "M6", "D0"]) {
        assert_eq!(*tag, tlv::KEY_ENTRY);
        let entry = Message::read(&frame(WORKING_KEYS, entry));
        assert_eq!(entry.fields.len(), 1, "DF40 alone");
        let block = str::from_utf8(entry.get(tlv::KEY_BLOCK)).unwrap();
        let key = ec::open_block(&tmk.key, block, device.serial(), &said);
        assert_eq!((key.usage.as_str(), key.slot), (usage, tmk.slot));
        said.extend_from_slice(block.as_bytes());
        keys.push(key);
    }
    assert_eq!(answer.fields.len(), keys.len());
    EcWorking { nonce, keys }
}

impl EcWorking {
    /// CMAC(MAK, "OK" ‖ DF14 ‖ KCV of each key in order).
    pub(crate) fn confirm(&self) -> Vec<u8> {
        let mut said = [b"OK", &self.nonce[..]].concat();
        self.keys.iter().for_each(|key| said.extend(key.kcv));
        frame(SIGN_IN_CONFIRM, &field(MESSAGE_MAC, &self.mac(&said)))
    }

    /// CMAC(MAK, "DONE" ‖ DF14).
    pub(crate) fn done(&self) -> Vec<u8> {
        frame(tlv::DONE, &field(MESSAGE_MAC, &self.mac(&[b"DONE", &self.nonce[..]].concat())))
    }

    /// CMAC, all 16 bytes.
    pub(crate) fn mac(&self, data: &[u8]) -> [u8; 16] {
        cmac_aes(&AesKey::from_bytes(&self.keys[1].key).unwrap(), data)
    }

    /// A PIN block of format 4 under PIK.
    pub(crate) fn pin_block(&self, pin: &str, pan: &str) -> [u8; 16] {
        let key = Format4Key::new(&self.keys[0].key).unwrap();
        encode_format4(&Pin::new(pin).unwrap(), &Pan::new(pan).unwrap(), &key).unwrap()
    }

    /// Check values, hex, in the order of the message.
    pub(crate) fn kcvs(&self) -> Vec<String> {
        self.keys.iter().map(|key| super::rks::hex(&key.kcv)).collect()
    }
}

impl EcDevice {
    /// SIGN_IN and its answer, opened.
    pub(crate) fn ask_working<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        tmk: &EcKeyReceived,
    ) -> Result<EcWorking, End> {
        let nonce = random();
        let sign_in = sign_in_frame(self, tmk.slot, &nonce, &tmk.kcv);
        line.send(&sign_in);
        let answer = line.expect(WORKING_KEYS)?;
        Ok(open(self, tmk, nonce, &sign_in, &answer))
    }

    /// A whole sign-in.
    pub(crate) fn sign_in<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        tmk: &EcKeyReceived,
    ) -> Result<EcWorking, End> {
        let working = self.ask_working(line, tmk)?;
        line.send(&working.confirm());
        assert_eq!(line.expect(tlv::DONE)?.frame, working.done(), "the host holds MAK");
        Ok(working)
    }
}
