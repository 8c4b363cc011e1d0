//! A terminal of suite 02 written from 3-hardened.md alone: bytes, clear keys and a hash; no role of `flows`.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use paycrypto::{
    digest::sha256,
    ec::{
        AgreementKey, LoadedKey, Nonces, PublicPoint, Schedule, SigningKey, StaticSecret, TranscriptHash,
        VerifyingKey,
        blocks::{self, LoadCounter},
        keys::{Dik2, Dmk},
    },
};
use pki::Certificate;

use crate::independent::{error, field, fields, frame, send, value};
use crate::world_02::EC;

/// What it does otherwise than it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quirk {
    None,
    /// Its signature is of another KLD_CONNECT.
    OtherSignature,
    /// Its ephemeral key is no point of the curve.
    OffCurve,
    /// A receipt that is not one.
    WrongReceipt,
    /// Closes when KLD_KEY has come.
    CutAfterKey,
    /// Refuses KLD_KEY with 0007.
    RefuseKey,
    /// Shows another good certificate, and its key, at the second key.
    ChangeDevice,
    /// Answers as a terminal of suite 01 does.
    Suite01,
}

/// A terminal with its device key.
pub(crate) struct Terminal {
    pub(crate) sn: String,
    pub(crate) pin_pad: Option<String>,
    pub(crate) key: SigningKey,
    pub(crate) certificate: Certificate,
    /// The load counter of its slots.
    pub(crate) stored: u64,
}

/// What it got.
#[derive(Debug, Default)]
pub(crate) struct Got {
    /// Check values of the keys, in order.
    pub(crate) kcvs: Vec<[u8; 5]>,
    /// Load counters of TMKs.
    pub(crate) counters: Vec<u64>,
    /// The factor of a DIK2, and the DIK2.
    pub(crate) identity: Option<(Vec<u8>, [u8; 32])>,
    /// DONEs with the right receipt.
    pub(crate) done: usize,
    /// The code of the KLD's ERROR.
    pub(crate) error: Option<u16>,
}

impl Terminal {
    /// A terminal whose device certificate names its PIN pad.
    pub(crate) fn new(sn: &str, pin_pad: Option<&str>) -> Terminal {
        let key = SigningKey::generate().unwrap();
        let certificate = EC.device(pin_pad.unwrap_or(sn), &key.spki_der());
        Terminal { sn: sn.to_owned(), pin_pad: pin_pad.map(str::to_owned), key, certificate, stored: 0 }
    }

    fn serial(&self) -> &str {
        self.pin_pad.as_deref().unwrap_or(&self.sn)
    }

    /// Listens for one KLD; gives itself back with what it got.
    pub(crate) fn start(self, quirk: Quirk) -> (SocketAddr, JoinHandle<(Terminal, Got)>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let serve = move || {
            let mut terminal = self;
            let got = terminal.serve(&mut listener.accept().unwrap().0, quirk);
            (terminal, got)
        };
        (address, thread::spawn(serve))
    }

    fn serve(&mut self, stream: &mut TcpStream, quirk: Quirk) -> Got {
        let mut got = Got::default();
        while let Some(connect) = frame(stream) {
            if let Some(code) = error(&connect) {
                got.error = Some(code);
                break;
            }
            if quirk == Quirk::ChangeDevice && got.done == 1 {
                self.key = SigningKey::generate().unwrap();
                self.certificate = EC.device(self.serial(), &self.key.spki_der());
            }
            if !self.one_key(stream, &connect, quirk, &mut got) {
                break;
            }
        }
        got
    }

    /// From KLD_CONNECT to DONE; whether it came so far.
    fn one_key(&mut self, stream: &mut TcpStream, connect: &[u8], quirk: Quirk, got: &mut Got) -> bool {
        assert_eq!(&connect[2..4], [1, 0x21], "KLD_CONNECT");
        let asked = in_order(&connect[4..]);
        assert_eq!(value(&asked, 0xDF01), [2]);
        let kld = Certificate::from_der(value(&asked, 0xDF0C)).unwrap();
        let point = PublicPoint::from_bytes(value(&asked, 0xDF13)).unwrap();
        let opener: [u8; 32] = value(&asked, 0xDF14).try_into().unwrap();

        let ours = AgreementKey::generate().unwrap();
        let answerer = [0xA5; 32];
        let mut own = *ours.public();
        if quirk == Quirk::OffCurve {
            own[64] ^= 1;
        }
        let bare = self.accept(&own, &answerer, None);
        let th12 = th(&[connect, &frame_of(0x22, &bare)]);
        let signed = if quirk == Quirk::OtherSignature { th(&[&frame_of(0x22, &bare)]) } else { th12 };
        let signature = self.key.sign_transcript(&signed).unwrap();
        let accept = match quirk {
            Quirk::Suite01 => [field(0xDF02, self.sn.as_bytes()), field(0xDF10, &[0x42; 256])].concat(),
            _ => self.accept(&own, &answerer, Some(&signature)),
        };
        let accept = send(stream, 0x22, &accept);
        let Some(key) = frame(stream) else { return false };
        if let Some(code) = error(&key) {
            got.error = Some(code);
            return false;
        }
        match quirk {
            Quirk::CutAfterKey => return false,
            Quirk::RefuseKey => {
                send(stream, 0x7F, &field(0xDF60, &[0, 7]));
                return false;
            }
            _ => {}
        }
        assert_eq!(&key[2..4], [1, 0x23], "KLD_KEY");
        let z = ours.agree(&point).unwrap();
        let nonces = Nonces { opener: &opener, answerer: &answerer };
        let schedule = Schedule::new(&StaticSecret::LocalLoad, &z, &nonces, &th12);
        let loaded = self.take(&kld, &schedule, [connect, &accept, &key], got);

        let before = th(&[connect, &accept, &key]);
        let mut receipt = schedule.receipt_terminal().receipt(&before, &[loaded]);
        if quirk == Quirk::WrongReceipt {
            receipt[0] ^= 1;
        }
        let confirm = send(stream, 0x05, &field(0xDF17, &receipt));
        let Some(done) = frame(stream) else { return false };
        if let Some(code) = error(&done) {
            got.error = Some(code);
            return false;
        }
        assert_eq!(&done[2..4], [1, 0x06], "DONE");
        let heard = th(&[connect, &accept, &key, &confirm]);
        let receipt = schedule.receipt_server().receipt(&heard, &[loaded]);
        assert_eq!(value(&in_order(&done[4..]), 0xDF17), receipt, "the KLD's receipt");
        got.kcvs.push(loaded.kcv);
        got.done += 1;
        true
    }

    /// The fields of KLD_ACCEPT.
    fn accept(&self, point: &[u8; 65], nonce: &[u8; 32], signature: Option<&[u8; 64]>) -> Vec<u8> {
        let mut accept = field(0xDF02, self.sn.as_bytes());
        self.pin_pad.iter().for_each(|pin_pad| accept.extend(field(0xDF03, pin_pad.as_bytes())));
        accept.extend(field(0xDF13, point));
        accept.extend(field(0xDF14, nonce));
        signature.iter().for_each(|signature| accept.extend(field(0xDF16, *signature)));
        accept.extend(field(0xDF1A, self.certificate.der()));
        accept
    }

    /// Checks what the KLD signed and opens the block.
    fn take(
        &mut self,
        kld: &Certificate,
        schedule: &Schedule,
        [connect, accept, key]: [&[u8]; 3],
        got: &mut Got,
    ) -> LoadedKey {
        let given = in_order(&key[4..]);
        let factor = given.iter().find(|(tag, _)| *tag == 0xDF23).map(|(_, factor)| factor.clone());
        let mut bare = Vec::new();
        factor.iter().for_each(|factor| bare.extend(field(0xDF23, factor)));
        bare.extend(field(0xFF21, value(&given, 0xFF21)));
        let signed = th(&[connect, accept, &frame_of(0x23, &bare)]);
        let verifying = VerifyingKey::from_spki(kld.spki_der()).unwrap();
        assert!(verifying.verifies_transcript(&signed, value(&given, 0xDF16)), "the KLD's signature");

        let entry = fields(value(&given, 0xFF21));
        let block = std::str::from_utf8(value(&entry, 0xDF40)).unwrap().to_owned();
        let context: [u8; 16] = *sha256(&[connect, accept].concat()).first_chunk().unwrap();
        let place = |index: u8| format!("{}/{index:02}", self.serial());
        let kbpk = schedule.kbpk();
        let (index, kcv) = match &block[5..7] {
            "K1" => {
                let index: u8 =
                    block.split(&format!("{}/", self.serial())).nth(1).unwrap()[..2].parse().unwrap();
                let stored = LoadCounter::new(self.stored);
                let (tmk, counter) =
                    blocks::unwrap_tmk(&kbpk, &block, &place(index), &context, stored).unwrap();
                self.stored = counter.value();
                got.counters.push(counter.value());
                (index, tmk.kcv())
            }
            "11" => (0, blocks::unwrap::<Dmk, _>(&kbpk, &block, &place(0), &context).unwrap().kcv()),
            "12" => {
                let dik2: Dik2 = blocks::unwrap(&kbpk, &block, &place(0), &context).unwrap();
                got.identity = Some((factor.clone().unwrap(), *dik2.expose()));
                (0, dik2.kcv())
            }
            other => panic!("a block of usage {other}"),
        };
        assert_eq!(factor.is_some(), &block[5..7] == "12", "DF23 exactly with a DIK2");
        LoadedKey { index, kcv }
    }
}

/// TH of these frames.
fn th(frames: &[&[u8]]) -> TranscriptHash {
    sha256(&[b"KF2B", frames.concat().as_slice()].concat())
}

fn frame_of(kind: u8, fields: &[u8]) -> Vec<u8> {
    let mut frame = Vec::new();
    send(&mut frame, kind, fields);
    frame
}

/// The fields, which must be in ascending order.
fn in_order(bytes: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let fields = fields(bytes);
    assert!(fields.is_sorted_by_key(|(tag, _)| *tag), "ascending order");
    fields
}
