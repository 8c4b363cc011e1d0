//! A terminal written from 2-wire.md alone: it shares no code with the product but TDES, RSA and key blocks, which have
//! their own outside vectors.

use std::{
    io::{Read, Write},
    net::SocketAddr,
};

use keyblock::{Kbpk, Version};
use paycrypto::{TdesKey, rsa::PublicKey};
use sha2::{Digest, Sha256};

use super::{
    line::{End, Line, connect},
    tlv::{self, Message, field, frame},
};

/// A collected terminal with its TK.
pub(crate) struct Raw {
    pub(crate) sn: String,
    pub(crate) pin_pad: Option<String>,
    pub(crate) tek: Vec<u8>,
    pub(crate) auk: Vec<u8>,
}

/// A TMK as the terminal holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Tmk {
    pub(crate) key: Vec<u8>,
    pub(crate) kcv: [u8; 3],
    /// The block that it came in.
    pub(crate) block: String,
}

/// A download up to TK_CHALLENGE.
pub(crate) struct Asked {
    pub(crate) slot: u8,
    pub(crate) rnd1: [u8; 8],
    pub(crate) rnd2: [u8; 8],
    pub(crate) crnd1: [u8; 8],
    /// All frames so far.
    pub(crate) transcript: Vec<u8>,
}

fn random_key() -> Vec<u8> {
    TdesKey::generate24().unwrap().expose().to_vec()
}

/// Rnd1: random, top bit 0.
pub(crate) fn rnd1() -> [u8; 8] {
    let mut random = [0; 8];
    paycrypto::random::fill(&mut random).unwrap();
    random[0] &= 0x7F;
    random
}

/// TDES of one block.
pub(crate) fn encrypt(key: &[u8], block: [u8; 8]) -> [u8; 8] {
    TdesKey::from_bytes(key).unwrap().encrypt_block(block)
}

pub(crate) fn check_value(key: &[u8]) -> [u8; 3] {
    encrypt(key, [0; 8])[..3].try_into().unwrap()
}

impl Raw {
    pub(crate) fn new(sn: &str) -> Raw {
        Raw { sn: sn.to_owned(), pin_pad: None, tek: random_key(), auk: random_key() }
    }

    pub(crate) fn with_pin_pad(sn: &str, pin_pad: &str) -> Raw {
        Raw { pin_pad: Some(pin_pad.to_owned()), ..Raw::new(sn) }
    }

    /// The same serials with another TK: what somebody has who knows the serials only.
    pub(crate) fn impostor(&self) -> Raw {
        Raw { pin_pad: self.pin_pad.clone(), ..Raw::new(&self.sn) }
    }

    /// TEK ‖ AUK ‖ SHA-256(TEK ‖ AUK).
    pub(crate) fn clear(&self) -> Vec<u8> {
        let keys = [&self.tek[..], &self.auk].concat();
        [&keys[..], &Sha256::digest(&keys)].concat()
    }

    /// Ctk_Pu under a work key's SubjectPublicKeyInfo.
    pub(crate) fn ciphertext(&self, spki: &[u8]) -> Vec<u8> {
        PublicKey::from_spki(spki).unwrap().oaep_encrypt(&self.clear()).unwrap()
    }

    pub(crate) fn hello_fields(&self, slot: u8, rnd1: [u8; 8]) -> Vec<u8> {
        let mut fields = field(tlv::SUITE, &[1]);
        fields.extend(field(tlv::SN, self.sn.as_bytes()));
        if let Some(pin_pad) = &self.pin_pad {
            fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
        }
        fields.extend(field(tlv::SLOT, &[slot]));
        fields.extend(field(tlv::RND1, &rnd1));
        fields
    }

    pub(crate) fn hello(&self, slot: u8, rnd1: [u8; 8]) -> Vec<u8> {
        frame(tlv::HELLO, &self.hello_fields(slot, rnd1))
    }

    /// TK_HELLO and what comes back; nothing is checked but its form.
    pub(crate) fn ask<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Asked, End> {
        self.ask_with(line, slot, rnd1())
    }

    pub(crate) fn ask_with<S: Read + Write>(
        &self,
        line: &mut Line<S>,
        slot: u8,
        rnd1: [u8; 8],
    ) -> Result<Asked, End> {
        let hello = self.hello(slot, rnd1);
        line.send(&hello);
        let challenge = line.expect(tlv::CHALLENGE)?;
        assert_eq!(challenge.shape(), (tlv::CHALLENGE, vec![(tlv::CRND1, 8), (tlv::RND2, 8)]));
        let rnd2: [u8; 8] = challenge.get(tlv::RND2).try_into().unwrap();
        assert_eq!(rnd2[0] & 0x80, 0x80, "the top bit of Rnd2 is 1");
        let crnd1 = challenge.get(tlv::CRND1).try_into().unwrap();
        Ok(Asked { slot, rnd1, rnd2, crnd1, transcript: [hello, challenge.frame].concat() })
    }

    /// Checks Crnd1 and answers with TK_REPLY; TK_KEY is to come. Gives the context that its block must have.
    pub(crate) fn prove<S: Read + Write>(&self, line: &mut Line<S>, asked: &Asked) -> String {
        assert_eq!(asked.crnd1, encrypt(&self.auk, asked.rnd1), "the server holds AUK");
        let reply = frame(tlv::REPLY, &field(tlv::CRND2, &encrypt(&self.auk, asked.rnd2)));
        line.try_send(&reply);
        let digest = Sha256::digest([&asked.transcript[..], &reply].concat());
        digest[..16].iter().map(|byte| format!("{byte:02X}")).collect()
    }

    /// Opens TK_KEY: every character of the block's header is as section 4 has it.
    pub(crate) fn open(&self, key: &Message, slot: u8, context: &str) -> Tmk {
        assert_eq!(key.shape().1.len(), 1);
        let block = String::from_utf8(key.get(tlv::KEY_BLOCK).to_vec()).unwrap();
        let serial = self.pin_pad.as_ref().unwrap_or(&self.sn);
        let place = format!("{serial}/{slot:02}");
        let mut bound = format!("10{:02X}{place}1124{context}", 4 + place.len());
        // PB fills the optional blocks up to whole cipher blocks, where they are not.
        let padded = bound.len() % 8 != 0;
        bound.push_str(if padded { "PB" } else { "" });
        assert_eq!(block[..5], format!("B{:04}", block.len()));
        assert_eq!(block[5..16], *(if padded { "K1TB00N0300" } else { "K1TB00N0200" }));
        assert_eq!(block[16..16 + bound.len()], bound);
        let opened = Kbpk::new(Version::B, &self.tek).unwrap().unwrap(&block).unwrap();
        let key = opened.key.to_vec();
        assert_eq!(key.len(), 24);
        assert!(key.iter().all(|byte| byte.count_ones() % 2 == 1), "odd parity");
        assert!(key[..8] != key[8..16] && key[8..16] != key[16..] && key[..8] != key[16..], "equal parts");
        Tmk { kcv: check_value(&key), key, block }
    }

    /// Everything up to TK_KEY.
    pub(crate) fn fetch<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Tmk, End> {
        let asked = self.ask(line, slot)?;
        let context = self.prove(line, &asked);
        let key = line.expect(tlv::KEY)?;
        Ok(self.open(&key, slot, &context))
    }

    /// Asks and answers with its own AUK, whatever the server's Crnd1 was: how the server ends it.
    pub(crate) fn intrude(&self, address: SocketAddr, slot: u8) -> End {
        let mut line = connect(address);
        let asked = match self.ask(&mut line, slot) {
            Ok(asked) => asked,
            Err(end) => return end,
        };
        line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &encrypt(&self.auk, asked.rnd2))));
        line.end()
    }

    /// The whole download on an open connection.
    pub(crate) fn download_on<S: Read + Write>(&self, line: &mut Line<S>, slot: u8) -> Result<Tmk, End> {
        let tmk = self.fetch(line, slot)?;
        line.send(&confirm(&tmk.kcv));
        let done = line.expect(tlv::DONE)?;
        assert_eq!(done.frame, [0, 2, 1, 6]);
        Ok(tmk)
    }

    /// The whole download on a connection of its own.
    pub(crate) fn download(&self, address: SocketAddr, slot: u8) -> Result<Tmk, End> {
        self.download_on(&mut connect(address), slot)
    }
}

/// KEY_CONFIRM.
pub(crate) fn confirm(kcv: &[u8]) -> Vec<u8> {
    frame(tlv::CONFIRM, &field(tlv::KEY_ENTRY, &field(tlv::KCV, kcv)))
}
