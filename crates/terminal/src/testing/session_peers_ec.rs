//! A TMS and a host of suite 02 written from 3-hardened.md alone: bytes, `paycrypto` and a hash, and no role of `flows`.

use paycrypto::digest::sha256;
use paycrypto::ec::blocks::{self, BlockKey, LoadCounter, Protects};
use paycrypto::ec::keys::{Dmk, Mak, Pik, Tdk, Tmk};
use paycrypto::ec::{
    AgreementKey, FrameOpener, FrameSealer, LoadedKey, Nonces, PublicPoint, Schedule, StaticSecret,
};
use wire::{Frame, Kcv};

use super::peers::{frame, tlv, value};
use super::session_peers::{S_DATA, context};

/// TH of flow E.
fn th(said: &[u8], last: &Frame) -> [u8; 32] {
    sha256(&[b"KF2E", said, last.bytes()].concat())
}

/// TMS_HELLO of the test terminal; with a slot it is transaction 0001.
pub(crate) fn hello(t_data: &[u8; 10], point: &[u8; 65], nonce: &[u8; 32], slot: Option<u8>) -> Frame {
    let code: &[u8] = if slot.is_some() { b"0001" } else { b"0002" };
    let slot = slot.map(|slot| tlv(0xDF04, &[slot])).unwrap_or_default();
    frame(
        0x31,
        &[
            tlv(0xDF01, &[2]),
            tlv(0xDF02, b"SN-1001"),
            slot,
            tlv(0xDF13, point),
            tlv(0xDF14, nonce),
            identification(),
            tlv(0xDF33, code),
            tlv(0xDF34, t_data),
            tlv(0xDF3A, &[1]),
        ],
    )
}

/// DF30 to DF32.
fn identification() -> Vec<u8> {
    [tlv(0xDF30, b"KF"), tlv(0xDF31, b"SIM-1"), tlv(0xDF32, b"01.00")].concat()
}

/// A TMS in the middle of a session.
pub(crate) struct EcTms {
    pub(crate) dmk: Dmk,
    key: AgreementKey,
    nonce: [u8; 32],
    schedule: Option<Schedule>,
    pub(crate) said: Vec<u8>,
}

impl EcTms {
    /// The TMS of a terminal with this DMK; a fresh key and nonce for one session.
    pub(crate) fn new(dmk: &[u8; 32]) -> EcTms {
        let mut nonce = [0; 32];
        paycrypto::random::fill(&mut nonce).unwrap();
        let key = AgreementKey::generate().unwrap();
        EcTms { dmk: Dmk::from_bytes(dmk), key, nonce, schedule: None, said: Vec::new() }
    }

    /// DF13 of its TMS_CHALLENGE.
    pub(crate) fn point(&self) -> &[u8; 65] {
        self.key.public()
    }

    pub(crate) fn schedule(&self) -> &Schedule {
        self.schedule.as_ref().unwrap()
    }

    /// TMS_CHALLENGE to this hello.
    pub(crate) fn challenge(&mut self, hello: &Frame) -> Frame {
        self.challenge_with(hello, 2, &[])
    }

    /// As [`EcTms::challenge`], with this DF39 and more fields of higher tags.
    pub(crate) fn challenge_with(&mut self, hello: &Frame, mode: u8, more: &[Vec<u8>]) -> Frame {
        let of = |confirmation: Vec<u8>| {
            frame(
                0x32,
                &[
                    tlv(0xDF02, b"SN-1001"),
                    tlv(0xDF13, self.key.public()),
                    tlv(0xDF14, &self.nonce),
                    confirmation,
                    identification(),
                    tlv(0xDF35, &S_DATA),
                    tlv(0xDF39, &[mode]),
                    tlv(0xDF3A, &[2]),
                    tlv(0xDF3B, b"00"),
                    more.concat(),
                ],
            )
        };
        let th12 = th(hello.bytes(), &of(Vec::new()));
        let peer = PublicPoint::from_bytes(&value(hello, 0xDF13)).unwrap();
        let opener: [u8; 32] = value(hello, 0xDF14).try_into().unwrap();
        let nonces = Nonces { opener: &opener, answerer: &self.nonce };
        let z = self.key.agree(&peer).unwrap();
        let schedule = Schedule::new(&StaticSecret::TmsSession(&self.dmk), &z, &nonces, &th12);
        let challenge = of(tlv(0xDF15, &schedule.server_confirm().confirm(&th12)));
        self.schedule = Some(schedule);
        self.said = [hello.bytes(), challenge.bytes()].concat();
        challenge
    }

    /// TMS_PROOF as the terminal says it, which is as the TMS wants it.
    pub(crate) fn proof(&mut self, confirmation: &[u8; 32], more: &[Vec<u8>]) -> Frame {
        let of = |confirmation: Vec<u8>| {
            frame(
                0x33,
                &[
                    tlv(0xDF02, b"SN-1001"),
                    confirmation,
                    identification(),
                    tlv(0xDF3A, &[3]),
                    tlv(0xDF3B, b"00"),
                    tlv(0xDF3C, &[0]),
                    more.concat(),
                ],
            )
        };
        let th = th(&self.said, &of(Vec::new()));
        assert!(self.schedule().terminal_confirm().confirms(&th, confirmation), "MAC_T");
        let proof = of(tlv(0xDF15, confirmation));
        self.said.extend(proof.bytes());
        proof
    }

    /// A TMK's block for this place, with this load counter.
    pub(crate) fn tmk_block(&self, tmk: &Tmk, place: &str, counter: u64) -> String {
        let (kbpk, context) = (self.schedule().kbpk(), context(&self.said, &[]));
        blocks::wrap_tmk(&kbpk, tmk, place, &context, LoadCounter::new(counter)).unwrap()
    }

    /// TMS_KEY, with a TMK's block in transaction 0001.
    pub(crate) fn key(&mut self, tmk: Option<&str>) -> Frame {
        self.key_with(tmk, None, &[])
    }

    /// As [`EcTms::key`], with this receipt in place of the right one, and with more fields between DF3B and FF21.
    pub(crate) fn key_with(
        &mut self,
        tmk: Option<&str>,
        receipt: Option<[u8; 32]>,
        more: &[Vec<u8>],
    ) -> Frame {
        let code: &[u8] = if tmk.is_some() { b"0001" } else { b"0002" };
        let entry = tmk.map(|tmk| tlv(0xFF21, &tlv(0xDF40, tmk.as_bytes()))).unwrap_or_default();
        let of = |receipt: Vec<u8>| {
            frame(
                0x34,
                &[
                    tlv(0xDF02, b"SN-1001"),
                    receipt,
                    identification(),
                    tlv(0xDF33, code),
                    tlv(0xDF3A, &[4]),
                    tlv(0xDF3B, b"00"),
                    more.concat(),
                    entry.clone(),
                ],
            )
        };
        let right = self.schedule().receipt_server().receipt(&th(&self.said, &of(Vec::new())), &[]);
        let key = of(tlv(0xDF17, &receipt.unwrap_or(right)));
        self.said.extend(key.bytes());
        key
    }

    /// KEY_CONFIRM as the terminal says it, which is as the TMS wants it.
    pub(crate) fn confirm(&mut self, receipt: &[u8; 32], slot: u8, tmk: &Tmk) -> Frame {
        let th = sha256(&[b"KF2E", self.said.as_slice()].concat());
        let loaded = [LoadedKey { index: slot, kcv: tmk.kcv() }];
        assert!(self.schedule().receipt_terminal().acknowledges(&th, &loaded, receipt), "KEY_CONFIRM");
        let confirm = frame(0x05, &[tlv(0xDF17, receipt)]);
        self.said.extend(confirm.bytes());
        confirm
    }

    /// DONE.
    pub(crate) fn done(&self, slot: u8, tmk: &Tmk) -> Frame {
        let th = sha256(&[b"KF2E", self.said.as_slice()].concat());
        let loaded = [LoadedKey { index: slot, kcv: tmk.kcv() }];
        frame(0x06, &[tlv(0xDF17, &self.schedule().receipt_server().receipt(&th, &loaded))])
    }

    /// The seal of its messages, and what opens the terminal's.
    pub(crate) fn seal(&self) -> (FrameSealer, FrameOpener) {
        let sealer = self.schedule().frame_server().sealing(0).unwrap();
        (sealer, self.schedule().frame_terminal().opening(0).unwrap())
    }
}

/// SIGN_IN of the test terminal.
pub(crate) fn sign_in(slot: u8, nonce: &[u8; 32], kcv: &[u8]) -> Frame {
    let fields = [
        tlv(0xDF01, &[2]),
        tlv(0xDF02, b"SN-1001"),
        tlv(0xDF04, &[slot]),
        tlv(0xDF0B, kcv),
        tlv(0xDF14, nonce),
    ];
    frame(0x41, &fields)
}

/// A host that knows one TMK, and the working keys that it has made.
pub(crate) struct EcHost {
    pub(crate) tmk: Tmk,
    pub(crate) pik: Pik,
    pub(crate) mak: Mak,
    pub(crate) tdk: Tdk,
}

impl EcHost {
    /// Makes working keys under this TMK.
    pub(crate) fn new(tmk: &Tmk) -> EcHost {
        EcHost {
            tmk: Tmk::from_bytes(tmk.expose().try_into().unwrap()),
            pik: Pik::generate().unwrap(),
            mak: Mak::generate().unwrap(),
            tdk: Tdk::generate().unwrap(),
        }
    }

    /// A working key's block for this place, after SIGN_IN and these blocks.
    pub(crate) fn block<K: BlockKey>(&self, key: &K, place: &str, sign_in: &Frame, before: &[&str]) -> String
    where
        Tmk: Protects<K>,
    {
        blocks::wrap(&self.tmk, key, place, &context(sign_in.bytes(), before)).unwrap()
    }

    /// The blocks of WORKING_KEYS to this SIGN_IN, for this place.
    pub(crate) fn blocks(&self, sign_in: &Frame, place: &str) -> [String; 3] {
        let pik = self.block(&self.pik, place, sign_in, &[]);
        let mak = self.block(&self.mak, place, sign_in, &[&pik]);
        let tdk = self.block(&self.tdk, place, sign_in, &[&pik, &mak]);
        [pik, mak, tdk]
    }

    /// What SIGN_IN_CONFIRM's DF52 must be.
    pub(crate) fn confirmed(&self, nonce: &[u8; 32]) -> [u8; 16] {
        let kcvs = [self.pik.kcv(), self.mak.kcv(), self.tdk.kcv()].concat();
        self.mak.mac(&[b"OK", &nonce[..], &kcvs].concat())
    }

    /// DONE after the SIGN_IN with this nonce.
    pub(crate) fn done(&self, nonce: &[u8; 32]) -> Frame {
        frame(0x06, &[tlv(0xDF52, &self.mak.mac(&[b"DONE", &nonce[..]].concat()))])
    }

    /// Check values in the order of WORKING_KEYS.
    pub(crate) fn kcvs(&self) -> Vec<Kcv> {
        [self.pik.kcv(), self.mak.kcv(), self.tdk.kcv()].map(Kcv::Aes).into()
    }
}
