//! A TMS and a host written from 2-wire.md alone: bytes, `paycrypto` and a hash, and no role of `flows`.

use paycrypto::blocks::{self, BlockKey, Protects};
use paycrypto::digest::sha256;
use paycrypto::keys::{Dmk, Dwk, Mak, Pik, SessionKey, Tdk, Tmk};
use paycrypto::seal::{self, Direction};
use wire::Frame;

use super::peers::{frame, load, tlv, value};
use crate::Terminal;

/// S_DATA of a TMS whose random number and clock stand still.
pub(crate) const S_DATA: [u8; 10] = [0xCA, 0xFE, 0xF0, 0x0D, 0x26, 0x11, 0x20, 0x12, 0x34, 0x57];

/// The first 16 bytes of SHA-256 over what was said and the texts of the blocks before.
pub(crate) fn context(said: &[u8], before: &[&str]) -> [u8; 16] {
    let mut bytes = said.to_vec();
    before.iter().for_each(|text| bytes.extend(text.as_bytes()));
    *sha256(&bytes).first_chunk().unwrap()
}

/// The fields that every message of the TMS session repeats.
fn identification() -> Vec<u8> {
    [tlv(0xDF30, b"KF"), tlv(0xDF31, b"SIM-1"), tlv(0xDF02, b"SN-1001"), tlv(0xDF32, b"01.00")].concat()
}

/// TMS_HELLO of the test terminal; with a slot it is transaction 0001.
pub(crate) fn hello(t_data: &[u8; 10], slot: Option<u8>) -> Frame {
    let code: &[u8] = if slot.is_some() { b"0001" } else { b"0002" };
    let slot = slot.map(|slot| tlv(0xDF04, &[slot])).unwrap_or_default();
    frame(
        0x31,
        &[
            tlv(0xDF01, &[1]),
            identification(),
            tlv(0xDF33, code),
            tlv(0xDF3A, &[1]),
            tlv(0xDF34, t_data),
            slot,
        ],
    )
}

/// A TMS in the middle of a session.
pub(crate) struct Tms {
    pub(crate) dmk: Dmk,
    pub(crate) dwk: Dwk,
    pub(crate) session: SessionKey,
    pub(crate) said: Vec<u8>,
    pub(crate) sent: u32,
    pub(crate) received: u32,
}

impl Tms {
    /// The TMS of a terminal with this DMK.
    pub(crate) fn new(dmk: &Dmk) -> Tms {
        Tms {
            dmk: copy(dmk),
            dwk: Dwk::generate().unwrap(),
            session: SessionKey::generate().unwrap(),
            said: Vec::new(),
            sent: 0,
            received: 0,
        }
    }

    /// A fresh DMK, loaded into this terminal by a KLD, and the TMS that knows it.
    pub(crate) fn of(terminal: &mut Terminal) -> Tms {
        let tms = Tms::new(&Dmk::generate().unwrap());
        load(terminal, &tms.dmk, "SN-1001/00", None).unwrap();
        tms
    }

    /// DWK's block for this place, after what was said.
    pub(crate) fn dwk_1(&self, place: &str) -> String {
        blocks::wrap(&self.dmk, &self.dwk, place, &context(&self.said, &[])).unwrap()
    }

    /// TMS_CHALLENGE to this hello.
    pub(crate) fn challenge(&mut self, hello: &Frame) -> Frame {
        self.said = hello.bytes().to_vec();
        let tac_1 = self.dwk.mac(&value(hello, 0xDF34));
        let challenge = challenge_of(&tac_1, &self.dwk_1("SN-1001/00"));
        self.said.extend(challenge.bytes());
        challenge
    }

    /// TMS_PROOF as the terminal says it, which is as the TMS wants it.
    pub(crate) fn proof(&mut self, sac_1: &[u8; 4]) -> Frame {
        assert_eq!(*sac_1, self.dwk.mac(&S_DATA), "SAC_1");
        let proof = proof_of(sac_1, &[]);
        self.said.extend(proof.bytes());
        proof
    }

    /// The session key's block.
    pub(crate) fn session_block(&self) -> String {
        blocks::wrap(&self.dwk, &self.session, "SN-1001/00", &context(&self.said, &[])).unwrap()
    }

    /// A TMK's block for this place, behind the session key's.
    pub(crate) fn tmk_block(&self, tmk: &Tmk, place: &str, session: &str) -> String {
        blocks::wrap(&self.dwk, tmk, place, &context(&self.said, &[session])).unwrap()
    }

    /// TMS_KEY of transaction 0002.
    pub(crate) fn program_key(&self) -> Frame {
        key_of(&self.session_block(), None)
    }

    /// TMS_KEY of transaction 0001.
    pub(crate) fn tmk_key(&self, tmk: &Tmk, place: &str) -> Frame {
        let session = self.session_block();
        let tmk = self.tmk_block(tmk, place, &session);
        key_of(&session, Some(&tmk))
    }

    /// The next message to the terminal, sealed.
    pub(crate) fn seal(&mut self, inner: &[u8]) -> Vec<u8> {
        let sealed = seal::seal(&self.session, &self.dwk, Direction::FromTms, self.sent, inner).unwrap();
        self.sent += 1;
        sealed
    }

    /// Opens the next message of the terminal.
    pub(crate) fn open(&mut self, sealed: &[u8]) -> Vec<u8> {
        let opened =
            seal::open(&self.session, &self.dwk, Direction::FromTerminal, self.received, sealed).unwrap();
        self.received += 1;
        opened.to_vec()
    }
}

/// TMS_CHALLENGE of these values.
pub(crate) fn challenge_of(tac_1: &[u8; 4], dwk_1: &str) -> Frame {
    challenge_with(tac_1, dwk_1, &[])
}

/// As [`challenge_of`], with more fields.
pub(crate) fn challenge_with(tac_1: &[u8; 4], dwk_1: &str, more: &[Vec<u8>]) -> Frame {
    frame(
        0x32,
        &[
            identification(),
            tlv(0xDF39, &[1]),
            tlv(0xDF3A, &[2]),
            tlv(0xDF3B, b"00"),
            tlv(0xDF36, tac_1),
            tlv(0xDF35, &S_DATA),
            tlv(0xDF37, dwk_1.as_bytes()),
            more.concat(),
        ],
    )
}

/// TMS_PROOF of these values.
pub(crate) fn proof_of(sac_1: &[u8; 4], more: &[Vec<u8>]) -> Frame {
    let good = [tlv(0xDF3A, &[3]), tlv(0xDF3B, b"00"), tlv(0xDF3C, &[0]), tlv(0xDF38, sac_1)];
    frame(0x33, &[identification(), good.concat(), more.concat()])
}

/// TMS_KEY of these blocks.
pub(crate) fn key_of(session: &str, tmk: Option<&str>) -> Frame {
    let code: &[u8] = if tmk.is_some() { b"0001" } else { b"0002" };
    let tmk = tmk.map(|tmk| tlv(0xFF21, &tlv(0xDF40, tmk.as_bytes()))).unwrap_or_default();
    frame(
        0x34,
        &[
            identification(),
            tlv(0xDF33, code),
            tlv(0xDF3A, &[4]),
            tlv(0xDF3B, b"00"),
            tlv(0xDF40, session.as_bytes()),
            tmk,
        ],
    )
}

/// Another key of the same bytes.
pub(crate) fn copy<K: BlockKey>(key: &K) -> K {
    K::from_key(paycrypto::TdesKey::from_bytes(key.key().expose()).unwrap()).unwrap()
}

/// SIGN_IN of the test terminal.
pub(crate) fn sign_in(slot: u8, rnd1: &[u8; 8], kcv: &[u8]) -> Frame {
    frame(
        0x41,
        &[
            tlv(0xDF01, &[1]),
            tlv(0xDF02, b"SN-1001"),
            tlv(0xDF04, &[slot]),
            tlv(0xDF05, rnd1),
            tlv(0xDF0B, kcv),
        ],
    )
}

/// A host that knows one TMK, and the working keys that it has made.
pub(crate) struct Host {
    pub(crate) tmk: Tmk,
    pub(crate) pik: Pik,
    pub(crate) mak: Mak,
    pub(crate) tdk: Option<Tdk>,
}

impl Host {
    /// Makes working keys under this TMK.
    pub(crate) fn new(tmk: &Tmk) -> Host {
        Host {
            tmk: copy(tmk),
            pik: Pik::generate().unwrap(),
            mak: Mak::generate().unwrap(),
            tdk: Some(Tdk::generate().unwrap()),
        }
    }

    /// A working key's block for this place, after SIGN_IN and these blocks.
    pub(crate) fn block<K: BlockKey>(&self, key: &K, place: &str, sign_in: &Frame, before: &[&str]) -> String
    where
        Tmk: Protects<K>,
    {
        blocks::wrap(&self.tmk, key, place, &context(sign_in.bytes(), before)).unwrap()
    }

    /// WORKING_KEYS to this SIGN_IN, for this place.
    pub(crate) fn working_keys(&self, sign_in: &Frame, place: &str) -> Frame {
        let pik = self.block(&self.pik, place, sign_in, &[]);
        let mak = self.block(&self.mak, place, sign_in, &[&pik]);
        let tdk = self.tdk.as_ref().map(|tdk| self.block(tdk, place, sign_in, &[&pik, &mak]));
        let blocks: Vec<&str> = [&pik, &mak].into_iter().chain(&tdk).map(String::as_str).collect();
        working_keys_of(&blocks)
    }

    /// What SIGN_IN_CONFIRM's DF52 must be.
    pub(crate) fn confirmed(&self, sign_in: &Frame) -> [u8; 8] {
        let mut text = [b"OK", &value(sign_in, 0xDF05)[..]].concat();
        text.extend(self.pik.kcv());
        text.extend(self.mak.kcv());
        text.extend(self.tdk.iter().flat_map(Tdk::kcv));
        self.mak.mac(&text).unwrap()
    }

    /// DONE after this SIGN_IN.
    pub(crate) fn done(&self, sign_in: &Frame) -> Frame {
        let text = [b"DONE", &value(sign_in, 0xDF05)[..]].concat();
        frame(0x06, &[tlv(0xDF52, &self.mak.mac(&text).unwrap())])
    }

    /// Check values in the order of WORKING_KEYS.
    pub(crate) fn kcvs(&self) -> Vec<wire::Kcv> {
        let two = [self.pik.kcv(), self.mak.kcv()];
        two.into_iter().chain(self.tdk.iter().map(Tdk::kcv)).map(wire::Kcv::Tdes).collect()
    }
}

/// WORKING_KEYS with these blocks.
pub(crate) fn working_keys_of(blocks: &[&str]) -> Frame {
    let fields: Vec<_> = blocks.iter().map(|block| tlv(0xFF21, &tlv(0xDF40, block.as_bytes()))).collect();
    frame(0x42, &fields)
}

/// SIGN_IN_CONFIRM.
pub(crate) fn confirm(mac: &[u8; 8]) -> Frame {
    frame(0x43, &[tlv(0xDF52, mac)])
}
