//! A KLD and an RKS written from 2-wire.md alone: bytes, `paycrypto` and a hash, and no role of `flows`.

use paycrypto::TdesKey;
use paycrypto::blocks::{self, BlockKey, Protects};
use paycrypto::derive::derive_dik2;
use paycrypto::digest::sha256;
use paycrypto::keys::{Dik2, RksTk, Rnd1};
use paycrypto::rks::AtTk1;
use pki::{Certificate, Role};
use wire::Frame;

use super::{Estate, estate, name, validity};
use crate::board::SharedBoard;
use crate::certificate::{self, LOADING};
use crate::{CheckedKey, NewTerminal, Terminal, TrustedRoot};

impl Estate {
    /// As `new_terminal`, believing this estate's root for every role that a terminal knows.
    pub(crate) fn new_full_terminal(&self) -> NewTerminal {
        let roles =
            vec![Role::KmsWork, Role::Mtms, Role::Downloader, Role::RksWork, Role::RepairAuthorisation];
        let root = TrustedRoot { certificate: self.root.clone(), roles };
        NewTerminal { roots: vec![root], ..self.new_terminal() }
    }

    /// Such a terminal, and its environment.
    pub(crate) fn full_terminal(&self) -> (Terminal, SharedBoard) {
        let mut terminal = Terminal::in_memory(self.new_full_terminal()).unwrap();
        let board = SharedBoard::default();
        terminal.set_board(board.clone());
        (terminal, board)
    }
}

/// The key of the estate's certificate in this role, as the terminal's check gives it.
pub(crate) fn checked(terminal: &Terminal, role: Role) -> CheckedKey {
    let chain = flows::Chain { leaf: estate().certificate(role).der().to_vec(), intermediates: Vec::new() };
    certificate::checked(&chain, role, LOADING, &terminal.device, estate().now).unwrap().0
}

/// A root of somebody else and its certificate of the estate's work key.
pub(crate) fn foreign(role: Role) -> (Certificate, Certificate) {
    let key = super::Key(paycrypto::rsa::PrivateKey::generate(2048).unwrap());
    let dates = validity(estate().now - super::DAY, 30);
    let root = pki::issue::root(&name("Other acquirer"), &key, dates, 1).unwrap();
    let issuer = pki::issue::Issuer::new(&root, &key).unwrap();
    let leaf =
        pki::issue::leaf(&issuer, role, &name("Foreign"), estate().work_key.spki_der(), dates).unwrap();
    (root, leaf)
}

/// One field.
pub(crate) fn tlv(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut field = tag.to_be_bytes().to_vec();
    match u8::try_from(value.len()).unwrap_or(u8::MAX) {
        length @ ..=127 => field.push(length),
        length @ 128..=254 => field.extend([0x81, length]),
        _ => {
            field.push(0x82);
            field.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        }
    }
    field.extend(value);
    field
}

/// A frame of this type with these fields.
pub(crate) fn frame(kind: u8, fields: &[Vec<u8>]) -> Frame {
    let mut payload = vec![1, kind];
    payload.extend(fields.concat());
    Frame::from_payload(&payload).unwrap()
}

/// The value of a field of a message without templates before it.
pub(crate) fn value(frame: &Frame, tag: u16) -> Vec<u8> {
    frame.message().unwrap().fields.get(wire::Tag::new(tag).unwrap()).unwrap().to_vec()
}

pub(crate) fn done() -> Frame {
    frame(0x06, &[])
}

fn context(said: &[u8], before: &[&str]) -> [u8; 16] {
    let mut bytes = said.to_vec();
    before.iter().for_each(|text| bytes.extend(text.as_bytes()));
    *sha256(&bytes).first_chunk().unwrap()
}

/// A KLD in the middle of a loading.
pub(crate) struct Kld {
    pub(crate) connect: Frame,
    said: Vec<u8>,
    rnd1: Option<Rnd1>,
    pub(crate) rnd2: Vec<u8>,
}

impl Kld {
    pub(crate) fn new(certificate: &Certificate) -> Kld {
        let connect = frame(0x21, &[tlv(0xDF01, &[1]), tlv(0xDF0C, certificate.der())]);
        Kld { said: connect.bytes().to_vec(), connect, rnd1: None, rnd2: Vec::new() }
    }

    /// Takes KLD_ACCEPT.
    pub(crate) fn accept(&mut self, accept: &Frame) {
        self.said.extend(accept.bytes());
        let clear = estate().work_key.oaep_decrypt(&value(accept, 0xDF10)).unwrap();
        assert_eq!(clear.len(), 32);
        let (rnd1, rnd2) = clear.split_at(24);
        self.rnd1 = Some(Rnd1::from_key(TdesKey::from_bytes(rnd1).unwrap()).unwrap());
        self.rnd2 = rnd2.to_vec();
    }

    pub(crate) fn rnd1(&self) -> &Rnd1 {
        self.rnd1.as_ref().unwrap()
    }

    pub(crate) fn context(&self) -> [u8; 16] {
        context(&self.said, &[])
    }

    /// The block of a key for this place.
    pub(crate) fn block<K: BlockKey>(&self, key: &K, place: &str) -> String
    where
        Rnd1: Protects<K>,
    {
        blocks::wrap(self.rnd1(), key, place, &self.context()).unwrap()
    }

    /// What is signed: block, Rnd2' and the factor of a DIK2.
    pub(crate) fn fields(&self, block: &str, factor: Option<&[u8]>) -> Vec<u8> {
        let factor = factor.map(|factor| tlv(0xDF23, factor)).unwrap_or_default();
        [tlv(0xDF40, block.as_bytes()), tlv(0xDF06, &self.rnd2), factor].concat()
    }
}

/// KLD_KEY over these bytes.
pub(crate) fn kld_key(signed: &[u8]) -> Frame {
    frame(0x23, &[tlv(0xDF11, &estate().work_key.type1_sign(signed).unwrap())])
}

/// KEY_CONFIRM of these check values.
pub(crate) fn key_confirm(kcvs: &[wire::Kcv]) -> Frame {
    let entries: Vec<_> = kcvs.iter().map(|kcv| tlv(0xFF21, &tlv(0xDF0B, kcv.as_bytes()))).collect();
    frame(0x05, &entries)
}

/// An RKS in the middle of a download.
pub(crate) struct Rks {
    pub(crate) dik1: TdesKey,
    pub(crate) said: Vec<u8>,
    token: Option<AtTk1>,
    tk: Option<RksTk>,
}

impl Rks {
    pub(crate) fn new() -> Rks {
        Rks { dik1: TdesKey::generate24().unwrap(), said: Vec::new(), token: None, tk: None }
    }

    /// DIK2 of the test terminal with this factor.
    pub(crate) fn dik2(&self, factor: &[u8]) -> Dik2 {
        derive_dik2(&self.dik1, "SN-1001", factor).unwrap()
    }

    pub(crate) fn cert(&mut self, auth: &Frame, certificate: &Certificate) -> Frame {
        let cert = frame(0x12, &[tlv(0xDF0C, certificate.der())]);
        self.said = [auth.bytes(), cert.bytes()].concat();
        cert
    }

    pub(crate) fn token(&mut self, factor: &Frame) -> Frame {
        self.said.extend(factor.bytes());
        let clear = estate().work_key.oaep_decrypt(&value(factor, 0xDF20)).unwrap();
        let token = AtTk1::generate().unwrap();
        let dik2 = self.dik2(&clear);
        let block = blocks::wrap_token(&dik2, &token, "SN-1001/00", &context(&self.said, &[])).unwrap();
        self.token = Some(token);
        let frame = frame(0x14, &[tlv(0xDF21, block.as_bytes())]);
        self.said.extend(frame.bytes());
        frame
    }

    pub(crate) fn prove(&mut self, proof: &Frame) {
        self.said.extend(proof.bytes());
        let clear = estate().work_key.oaep_decrypt(&value(proof, 0xDF22)).unwrap();
        self.tk = Some(self.token.as_ref().unwrap().check(&clear).unwrap());
    }

    /// The block of a key for a slot, behind these in one message.
    pub(crate) fn block<K: BlockKey>(&self, key: &K, place: &str, before: &[&str]) -> String
    where
        RksTk: Protects<K>,
    {
        blocks::wrap(self.tk.as_ref().unwrap(), key, place, &context(&self.said, before)).unwrap()
    }
}

/// RKS_KEYS with these blocks.
pub(crate) fn rks_keys(blocks: &[&str], more: bool) -> Frame {
    let mut fields: Vec<_> = blocks.iter().map(|block| tlv(0xFF21, &tlv(0xDF40, block.as_bytes()))).collect();
    if more {
        fields.push(tlv(0xDF24, &[1]));
    }
    frame(0x16, &fields)
}

/// A whole loading of a key by this KLD into a terminal in memory.
pub(crate) fn load<K: BlockKey>(
    terminal: &mut Terminal,
    key: &K,
    place: &str,
    factor: Option<&[u8]>,
) -> Result<wire::Kcv, flows::PadRefusal>
where
    Rnd1: Protects<K>,
{
    use crate::testing::suite_01::Suite01;
    let (kld, accept) = accepted(terminal)?;
    let signed = kld.fields(&kld.block(key, place), factor);
    let kcv = Suite01::load(terminal.pad_mut(), &accept, &kld_key(&signed))?;
    terminal.pad_mut().loaded(&key_confirm(&[kcv]), &done())?;
    Ok(kcv)
}

/// A loading up to KLD_ACCEPT.
pub(crate) fn accepted(terminal: &mut Terminal) -> Result<(Kld, Frame), flows::PadRefusal> {
    use crate::testing::suite_01::Suite01;
    let key = checked(terminal, Role::Downloader);
    let mut kld = Kld::new(&estate().certificate(Role::Downloader));
    let c = terminal.pad_mut().accept(&key, &kld.connect)?;
    let accept = frame(0x22, &[tlv(0xDF02, b"SN-1001"), tlv(0xDF10, &c)]);
    kld.accept(&accept);
    Ok((kld, accept))
}

/// Signs a repair authorisation of the estate for the test terminal.
pub(crate) fn repair_frame(challenge: &[u8], sn: &str, expiry: i64) -> Frame {
    let expiry = wire::BcdTime::from_unix(expiry).unwrap();
    let text =
        [b"KF repair", sn.as_bytes(), &[0], sn.as_bytes(), &[0], challenge, expiry.as_bytes()].concat();
    let signature = estate().work_key.sign_pss_sha256(&text).unwrap();
    let certificate = estate().certificate(Role::RepairAuthorisation);
    repair_of(&certificate, expiry, &signature)
}

pub(crate) fn repair_of(certificate: &Certificate, expiry: wire::BcdTime, signature: &[u8]) -> Frame {
    frame(0x55, &[tlv(0xDF0C, certificate.der()), tlv(0xDF27, expiry.as_bytes()), tlv(0xDF49, signature)])
}
