//! A KLD and an RKS of suite 02 written from 3-hardened.md alone: bytes, `paycrypto`, and no role of `flows`.

use std::sync::OnceLock;

use paycrypto::digest::sha256;
use paycrypto::ec::blocks::{self, BlockKey, LoadCounter, Protects};
use paycrypto::ec::keys::{Dik1, Dik2, Tmk};
use paycrypto::ec::{
    AgreementKey, FactorKey, Kbpk, LoadedKey, Nonces, PublicPoint, Schedule, SigningKey, StaticSecret, Tk,
    derive_dik2,
};
use pki::issue::{self, Issuer};
use pki::{Certificate, Name, Role, Scheme, SignError, Signer};
use wire::{Frame, Proof};

use crate::softpad::SoftPad;
use crate::testing::peers::{frame, tlv, value};
use crate::testing::{DAY, Shared, estate, name, validity};
use crate::{CheckedSigner, NewTerminal, Terminal, TrustedRoot};

/// A key that signs by ECDSA.
pub(crate) struct EcKey {
    pub(crate) key: SigningKey,
    spki: Vec<u8>,
}

impl EcKey {
    pub(crate) fn new() -> EcKey {
        let key = SigningKey::generate().unwrap();
        EcKey { spki: key.spki_der(), key }
    }
}

impl Signer for EcKey {
    fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, _: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.key.sign(message).unwrap().to_vec())
    }
}

/// An acquirer's root of suite 02, and the signing key of its servers.
pub(crate) struct Acquirer {
    pub(crate) root: Certificate,
    root_key: EcKey,
    pub(crate) work: EcKey,
}

pub(crate) fn acquirer() -> &'static Acquirer {
    static ACQUIRER: OnceLock<Acquirer> = OnceLock::new();
    ACQUIRER.get_or_init(|| {
        let root_key = EcKey::new();
        let dates = validity(estate().now - 100 * DAY, 1000);
        let root = issue::root(&name("Test root 02"), &root_key, dates, 2).unwrap();
        Acquirer { root, root_key, work: EcKey::new() }
    })
}

impl Acquirer {
    pub(crate) fn issuer(&self) -> Issuer<'_> {
        Issuer::new(&self.root, &self.root_key).unwrap()
    }

    /// A certificate of this key in this role.
    pub(crate) fn certificate(&self, role: Role, key: &EcKey) -> Certificate {
        let dates = validity(estate().now - DAY, 30);
        issue::leaf(&self.issuer(), role, &name("Work key 02"), key.spki_der(), dates).unwrap()
    }

    /// A terminal that believes this root for all that an acquirer has, with a certified device key.
    pub(crate) fn terminal(&self) -> Terminal {
        let mut terminal = self.uncertified();
        self.certify(terminal.pad_mut());
        terminal
    }

    /// Such a terminal in a storage that can be opened again.
    pub(crate) fn terminal_in(&self, storage: &Shared) -> Terminal {
        let mut terminal = Terminal::new_in(storage.clone(), self.new_terminal()).unwrap();
        self.certify(terminal.pad_mut());
        terminal
    }

    /// Such a terminal as it leaves the machine.
    pub(crate) fn uncertified(&self) -> Terminal {
        Terminal::in_memory(self.new_terminal()).unwrap()
    }

    fn new_terminal(&self) -> NewTerminal {
        let roots = vec![
            TrustedRoot::of_acquirer(self.root.clone()),
            TrustedRoot::of_acquirer(estate().root.clone()),
        ];
        NewTerminal { roots, ..estate().new_terminal() }
    }

    pub(crate) fn certify(&self, pad: &mut SoftPad) {
        let serial = pad.state.serial.clone();
        let key = pad.state.device_key.as_mut().unwrap();
        let subject = Name::device(serial.as_str(), None, serial.as_str()).unwrap();
        let dates = validity(estate().now - DAY, 30);
        let certificate = issue::leaf(&self.issuer(), Role::Device, &subject, key.spki_der(), dates).unwrap();
        key.certified(&certificate, &serial).unwrap();
    }

    /// The key of a certificate, as the terminal's check gives it.
    pub(crate) fn checked(&self, terminal: &Terminal, role: Role, key: &EcKey) -> CheckedSigner {
        let leaf = self.certificate(role, key).der().to_vec();
        let chain = flows::Chain { leaf, intermediates: Vec::new() };
        let used_for = crate::certificate::LOADING;
        crate::certificate::checked(&chain, role, used_for, &terminal.device, estate().now).unwrap().0
    }
}

/// TH of these frames.
pub(crate) fn th(letter: u8, frames: &[&Frame]) -> [u8; 32] {
    let mut text = [b"KF2".as_slice(), &[letter]].concat();
    frames.iter().for_each(|frame| text.extend(frame.bytes()));
    sha256(&text)
}

/// The context of a block behind these.
pub(crate) fn context(frames: &[&Frame], before: &[&str]) -> [u8; 16] {
    let mut text: Vec<u8> = frames.iter().flat_map(|frame| frame.bytes()).copied().collect();
    before.iter().for_each(|block| text.extend(block.as_bytes()));
    *sha256(&text).first_chunk().unwrap()
}

/// An ephemeral key and a nonce.
pub(crate) struct Half {
    key: AgreementKey,
    nonce: [u8; 32],
}

impl Half {
    fn new() -> Half {
        let mut nonce = [0; 32];
        paycrypto::random::fill(&mut nonce).unwrap();
        Half { key: AgreementKey::generate().unwrap(), nonce }
    }

    fn fields(&self) -> [Vec<u8>; 2] {
        [tlv(0xDF13, self.key.public()), tlv(0xDF14, &self.nonce)]
    }

    /// Z with what this message opens with, and its nonce.
    fn with(&self, message: &Frame) -> (paycrypto::ec::SharedSecret, [u8; 32]) {
        let point = PublicPoint::from_bytes(&value(message, 0xDF13)).unwrap();
        (self.key.agree(&point).unwrap(), value(message, 0xDF14).try_into().unwrap())
    }
}

/// The message without its signature.
pub(crate) fn bare(message: &Frame) -> Frame {
    message.without(Proof::Signature).unwrap()
}

/// The receipts that both sides of these keys give: `[terminal over all before KEY_CONFIRM, server with it]`.
pub(crate) fn done_of(schedule: &Schedule, letter: u8, frames: &[&Frame], keys: &[LoadedKey]) -> Frame {
    let receipt = schedule.receipt_server().receipt(&th(letter, frames), keys);
    frame(0x06, &[tlv(0xDF17, &receipt)])
}

/// A KLD in the middle of a loading.
pub(crate) struct Kld {
    half: Half,
    pub(crate) connect: Frame,
    pub(crate) accept: Option<Frame>,
    pub(crate) schedule: Option<Schedule>,
}

impl Kld {
    pub(crate) fn new() -> Kld {
        let half = Half::new();
        let leaf = acquirer().certificate(Role::Downloader, &acquirer().work);
        let [key, nonce] = half.fields();
        let connect = frame(0x21, &[tlv(0xDF01, &[2]), tlv(0xDF0C, leaf.der()), key, nonce]);
        Kld { half, connect, accept: None, schedule: None }
    }

    /// Takes KLD_ACCEPT, whose signature must be its device certificate's.
    pub(crate) fn take(&mut self, accept: &Frame) {
        let th12 = th(b'B', &[&self.connect, &bare(accept)]);
        let device = Certificate::from_der(&value(accept, 0xDF1A)).unwrap();
        assert_eq!(device.subject().serial_number(), Some("SN-1001"));
        let key = paycrypto::ec::VerifyingKey::from_spki(device.spki_der()).unwrap();
        assert!(key.verifies_transcript(&th12, &value(accept, 0xDF16)));
        let (z, nonce) = self.half.with(accept);
        let nonces = Nonces { opener: &self.half.nonce, answerer: &nonce };
        self.schedule = Some(Schedule::new(&StaticSecret::LocalLoad, &z, &nonces, &th12));
        self.accept = Some(accept.clone());
    }

    pub(crate) fn kbpk(&self) -> Kbpk {
        self.schedule.as_ref().unwrap().kbpk()
    }

    pub(crate) fn context(&self) -> [u8; 16] {
        context(&[&self.connect, self.accept.as_ref().unwrap()], &[])
    }

    pub(crate) fn tmk(&self, tmk: &Tmk, place: &str, counter: u64) -> String {
        blocks::wrap_tmk(&self.kbpk(), tmk, place, &self.context(), LoadCounter::new(counter)).unwrap()
    }

    pub(crate) fn block<K: BlockKey>(&self, key: &K, place: &str) -> String
    where
        Kbpk: Protects<K>,
    {
        blocks::wrap(&self.kbpk(), key, place, &self.context()).unwrap()
    }

    /// KLD_KEY of this block, signed by this key over this loading.
    pub(crate) fn signed(&self, signer: &EcKey, block: &str, factor: Option<&[u8]>) -> Frame {
        let mut fields: Vec<Vec<u8>> = factor.map(|factor| tlv(0xDF23, factor)).into_iter().collect();
        fields.push(tlv(0xFF21, &tlv(0xDF40, block.as_bytes())));
        let over = th(b'B', &[&self.connect, self.accept.as_ref().unwrap(), &frame(0x23, &fields)]);
        fields.insert(0, tlv(0xDF16, &signer.key.sign_transcript(&over).unwrap()));
        frame(0x23, &fields)
    }

    pub(crate) fn key(&self, block: &str, factor: Option<&[u8]>) -> Frame {
        self.signed(&acquirer().work, block, factor)
    }

    /// DONE, after a KEY_CONFIRM that must acknowledge this key.
    pub(crate) fn done(&self, key: &Frame, confirm: &Frame, loaded: LoadedKey) -> Frame {
        let (schedule, accept) = (self.schedule.as_ref().unwrap(), self.accept.as_ref().unwrap());
        let before = th(b'B', &[&self.connect, accept, key]);
        let told = value(confirm, 0xDF17);
        assert!(
            schedule.receipt_terminal().acknowledges(&before, &[loaded], &told),
            "receipt of the terminal"
        );
        done_of(schedule, b'B', &[&self.connect, accept, key, confirm], &[loaded])
    }
}

/// A KMS in the middle of a TMK download.
pub(crate) struct Kms {
    pub(crate) tk: Tk,
    half: Half,
    pub(crate) said: Vec<Frame>,
    pub(crate) schedule: Option<Schedule>,
}

impl Kms {
    pub(crate) fn new(tk: Tk) -> Kms {
        Kms { tk, half: Half::new(), said: Vec::new(), schedule: None }
    }

    /// TK_CHALLENGE.
    pub(crate) fn challenge(&mut self, hello: &Frame) -> Frame {
        self.half = Half::new();
        let mut fields = self.half.fields().to_vec();
        let th12 = th(b'A', &[hello, &frame(0x02, &fields)]);
        let (z, nonce) = self.half.with(hello);
        let nonces = Nonces { opener: &nonce, answerer: &self.half.nonce };
        let schedule = Schedule::new(&StaticSecret::TmkDownload(&self.tk), &z, &nonces, &th12);
        fields.push(tlv(0xDF15, &schedule.server_confirm().confirm(&th12)));
        let challenge = frame(0x02, &fields);
        self.schedule = Some(schedule);
        self.said = vec![hello.clone(), challenge.clone()];
        challenge
    }

    /// Takes TK_REPLY, which must prove TK.
    pub(crate) fn take(&mut self, reply: &Frame) {
        let over = th(b'A', &[&self.said[0], &self.said[1], &frame(0x03, &[])]);
        let schedule = self.schedule.as_ref().unwrap();
        assert!(schedule.terminal_confirm().confirms(&over, &value(reply, 0xDF15)), "MAC_T");
        self.said.push(reply.clone());
    }

    /// TK_KEY with this TMK.
    pub(crate) fn key(&self, tmk: &Tmk, place: &str, counter: u64) -> Frame {
        let kbpk = self.schedule.as_ref().unwrap().kbpk();
        let context = context(&self.said.iter().collect::<Vec<_>>(), &[]);
        let block = blocks::wrap_tmk(&kbpk, tmk, place, &context, LoadCounter::new(counter)).unwrap();
        frame(0x04, &[tlv(0xDF40, block.as_bytes())])
    }

    /// DONE, after a KEY_CONFIRM that must acknowledge this key.
    pub(crate) fn done(&self, key: &Frame, confirm: &Frame, loaded: LoadedKey) -> Frame {
        let schedule = self.schedule.as_ref().unwrap();
        let before: Vec<&Frame> = self.said.iter().chain([key]).collect();
        let told = value(confirm, 0xDF17);
        let right = schedule.receipt_terminal().acknowledges(&th(b'A', &before), &[loaded], &told);
        assert!(right, "receipt of the terminal");
        done_of(schedule, b'A', &[&before[..], &[confirm]].concat(), &[loaded])
    }
}

/// An RKS in the middle of a download.
pub(crate) struct Rks {
    dik1: Dik1,
    half: Half,
    pub(crate) said: Vec<Frame>,
    z: Option<(paycrypto::ec::SharedSecret, [u8; 32])>,
    th12: [u8; 32],
    pub(crate) schedule: Option<Schedule>,
}

impl Rks {
    pub(crate) fn new() -> Rks {
        let dik1 = Dik1::generate().unwrap();
        Rks { dik1, half: Half::new(), said: Vec::new(), z: None, th12: [0; 32], schedule: None }
    }

    pub(crate) fn dik2(&self, factor: &[u8]) -> Dik2 {
        derive_dik2(&self.dik1, "SN-1001", factor).unwrap()
    }

    /// RKS_CERT of the certificate's key, signed by this one.
    pub(crate) fn cert(&mut self, auth: &Frame, signer: &EcKey) -> Frame {
        self.half = Half::new();
        let leaf = acquirer().certificate(Role::RksSigning, &acquirer().work);
        let [key, nonce] = self.half.fields();
        let mut fields = vec![tlv(0xDF0C, leaf.der()), key, nonce];
        self.th12 = th(b'C', &[auth, &frame(0x12, &fields)]);
        fields.push(tlv(0xDF16, &signer.key.sign_transcript(&self.th12).unwrap()));
        let cert = frame(0x12, &fields);
        self.z = Some(self.half.with(auth));
        self.said = vec![auth.clone(), cert.clone()];
        cert
    }

    /// RKS_TOKEN, after opening the factor.
    pub(crate) fn token(&mut self, factor: &Frame) -> Frame {
        let (z, nonce) = self.z.as_ref().unwrap();
        let nonces = Nonces { opener: nonce, answerer: &self.half.nonce };
        let clear = FactorKey::derive(z, &nonces, &self.th12).open(&value(factor, 0xDF19)).unwrap();
        let schedule = Schedule::new(&StaticSecret::RksLoad(&self.dik2(&clear)), z, &nonces, &self.th12);
        self.said.push(factor.clone());
        let bare = frame(0x14, &[]);
        let over = th(b'C', &self.said.iter().chain([&bare]).collect::<Vec<_>>());
        let token = frame(0x14, &[tlv(0xDF15, &schedule.server_confirm().confirm(&over))]);
        self.schedule = Some(schedule);
        self.said.push(token.clone());
        token
    }

    /// Takes RKS_PROOF, which must prove DIK2.
    pub(crate) fn take(&mut self, proof: &Frame) {
        let bare = frame(0x15, &[]);
        let over = th(b'C', &self.said.iter().chain([&bare]).collect::<Vec<_>>());
        let schedule = self.schedule.as_ref().unwrap();
        assert!(schedule.terminal_confirm().confirms(&over, &value(proof, 0xDF15)), "MAC_T");
        self.said.push(proof.clone());
    }

    fn context(&self, before: &[&str]) -> [u8; 16] {
        context(&self.said.iter().collect::<Vec<_>>(), before)
    }

    pub(crate) fn tmk(&self, tmk: &Tmk, place: &str, counter: u64, before: &[&str]) -> String {
        let kbpk = self.schedule.as_ref().unwrap().kbpk();
        blocks::wrap_tmk(&kbpk, tmk, place, &self.context(before), LoadCounter::new(counter)).unwrap()
    }

    pub(crate) fn block<K: BlockKey>(&self, key: &K, place: &str, before: &[&str]) -> String
    where
        Kbpk: Protects<K>,
    {
        blocks::wrap(&self.schedule.as_ref().unwrap().kbpk(), key, place, &self.context(before)).unwrap()
    }

    /// DONE, after a KEY_CONFIRM that must acknowledge these keys.
    pub(crate) fn done(&self, keys: &Frame, confirm: &Frame, loaded: &[LoadedKey]) -> Frame {
        let schedule = self.schedule.as_ref().unwrap();
        let before: Vec<&Frame> = self.said.iter().chain([keys]).collect();
        let told = value(confirm, 0xDF17);
        let right = schedule.receipt_terminal().acknowledges(&th(b'C', &before), loaded, &told);
        assert!(right, "receipt of the device");
        done_of(schedule, b'C', &[&before[..], &[confirm]].concat(), loaded)
    }
}

/// RKS_KEYS of these blocks.
pub(crate) fn rks_keys(blocks: &[&str]) -> Frame {
    let fields: Vec<_> = blocks.iter().map(|block| tlv(0xFF21, &tlv(0xDF40, block.as_bytes()))).collect();
    frame(0x16, &fields)
}

/// A message of one field.
pub(crate) fn with(kind: u8, tag: u16, value: &[u8]) -> Frame {
    frame(kind, &[tlv(tag, value)])
}
