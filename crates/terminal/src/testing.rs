//! What the tests of this crate share: an estate with its certificates, and a KMS that does the cryptography of the
//! other side with clear keys.

pub(crate) mod line;
pub(crate) mod peers;
pub(crate) mod session_peers;
pub(crate) mod session_peers_ec;
pub(crate) mod sessions_01;
pub(crate) mod suite_01;

use std::sync::{Mutex, OnceLock};

use flows::collect::messages::Collect;
use flows::collect::{CollectKey, Collected};
use flows::tmk_download::kms::{Confirm, ExpectConfirm, ExpectHello, ExpectReply};
use flows::tmk_download::terminal::Start;
use flows::tmk_download::{Fault, messages::KeyConfirm};
use paycrypto::blocks::wrap_tmk;
use paycrypto::keys::Tmk;
use paycrypto::rsa::PrivateKey;
use paycrypto::tk::{CheckedTk, UncheckedTk};
use pki::issue::{self, Issuer, Validity};
use pki::{Certificate, Name, Role, Scheme, SignError, Signer};
use wire::{Frame, Kcv, Serial, Slot, Suite};

use crate::storage::{BatteryKey, Memory, Record, Storage};
use crate::{Clock, Error, NewTerminal, SystemClock, Terminal, TrustedRoot, collect};

/// Seconds of a day.
pub(crate) const DAY: i64 = 86_400;

/// A private key that signs.
pub(crate) struct Key(pub(crate) PrivateKey);

impl Signer for Key {
    fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }

    fn sign(&self, _: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        Ok(self.0.sign_pkcs1_sha256(message).unwrap())
    }
}

/// A CA and a work key. Keys are made once for all tests: that is what takes time.
pub(crate) struct Estate {
    pub(crate) now: i64,
    pub(crate) root: Certificate,
    pub(crate) root_key: Key,
    pub(crate) work_key: PrivateKey,
}

pub(crate) fn estate() -> &'static Estate {
    static ESTATE: OnceLock<Estate> = OnceLock::new();
    ESTATE.get_or_init(|| {
        let now = SystemClock.now();
        let root_key = Key(PrivateKey::generate(2048).unwrap());
        let root = issue::root(&name("Test root"), &root_key, validity(now - 100 * DAY, 1000), 2).unwrap();
        Estate { now, root, root_key, work_key: PrivateKey::generate(2048).unwrap() }
    })
}

pub(crate) fn name(common_name: &str) -> Name {
    Name::new(common_name, None).unwrap()
}

pub(crate) fn validity(start: i64, days: u32) -> Validity {
    Validity::days(start, days)
}

impl Estate {
    /// A certificate of the work key in this role, valid now.
    pub(crate) fn certificate(&self, role: Role) -> Certificate {
        self.certificate_within(role, validity(self.now - DAY, 30))
    }

    pub(crate) fn certificate_within(&self, role: Role, validity: Validity) -> Certificate {
        let issuer = Issuer::new(&self.root, &self.root_key).unwrap();
        issue::leaf(&issuer, role, &name("Work key"), self.work_key.spki_der(), validity).unwrap()
    }

    /// What every test's terminal is made from: SN-1001, which believes this estate's root.
    pub(crate) fn new_terminal(&self) -> NewTerminal {
        NewTerminal {
            vendor: Some("KF".parse().unwrap()),
            model: Some("SIM-1".parse().unwrap()),
            roots: vec![TrustedRoot::for_collecting(self.root.clone())],
            ..NewTerminal::named(Serial::parse("SN-1001").unwrap())
        }
    }

    pub(crate) fn terminal(&self) -> Terminal {
        Terminal::in_memory(self.new_terminal()).unwrap()
    }

    pub(crate) fn collect(&self) -> Frame {
        collect_frame(&self.certificate(Role::KmsWork))
    }

    /// Collects a terminal and opens what it gave.
    pub(crate) fn collected(&self, terminal: &mut Terminal) -> Kms {
        Kms::of(&collect::answer(terminal, &self.collect()).unwrap().frame)
    }
}

pub(crate) fn collect_frame(certificate: &Certificate) -> Frame {
    collect_key(CollectKey::Certificate { leaf: certificate.der().to_vec(), intermediates: Vec::new() })
}

pub(crate) fn collect_key(key: CollectKey) -> Frame {
    Collect::<flows::Tdes> { suite: Suite::TDES, key, nonce: () }.write().unwrap()
}

pub(crate) fn slot(index: u8) -> Slot {
    Slot::new(index).unwrap()
}

/// The other side of a download.
pub(crate) struct Kms {
    pub(crate) tk: CheckedTk,
}

impl Kms {
    /// Opens a COLLECTED of the estate's work key.
    pub(crate) fn of(collected: &Frame) -> Kms {
        let collected = Collected::<flows::Tdes>::read(collected).unwrap();
        let clear = estate().work_key.oaep_decrypt(&collected.ctk_pu).unwrap();
        Kms { tk: UncheckedTk::new(clear).check().unwrap() }
    }

    pub(crate) fn challenge(&self, hello: &Frame) -> Result<(Frame, ExpectReply), Fault> {
        let hello = ExpectHello::new().on_frame(hello)?;
        let crnd1 = self.tk.auk().answer(hello.rnd1());
        hello.challenge(crnd1, rnd2())
    }

    pub(crate) fn key(
        &self,
        state: ExpectReply,
        reply: &Frame,
        tmk: &Tmk,
    ) -> Result<(Frame, ExpectConfirm), Fault> {
        let reply = state.on_frame(reply)?;
        assert!(self.tk.auk().answers(reply.rnd2(), &reply.crnd2()), "Crnd2");
        let place = format!("{}/{}", reply.device().pin_pad(), reply.slot());
        let block = wrap_tmk(self.tk.tek(), tmk, &place, reply.context().as_bytes()).unwrap();
        reply.deliver(&block, Kcv::Tdes(tmk.kcv()))
    }

    pub(crate) fn done(&self, state: ExpectConfirm, confirm: &Frame) -> Result<Frame, Fault> {
        match state.on_frame(confirm)?.compare() {
            Confirm::Opened(confirmed) => confirmed.done(),
            Confirm::WrongCheckValue(_) => panic!("wrong check value"),
        }
    }

    /// A whole download in memory.
    pub(crate) fn load(&self, terminal: &mut Terminal, slot: Slot, tmk: &Tmk) -> Result<Kcv, Fault> {
        let (confirm, expect_done, state) = self.load_to_confirm(terminal, slot, tmk)?;
        let finished = expect_done.on_frame(terminal.pad_mut(), &self.done(state, &confirm)?)?;
        Ok(finished.kcv())
    }

    /// A download in memory up to KEY_CONFIRM.
    #[allow(clippy::type_complexity, reason = "three states that a test takes apart at once")]
    pub(crate) fn load_to_confirm(
        &self,
        terminal: &mut Terminal,
        slot: Slot,
        tmk: &Tmk,
    ) -> Result<(Frame, flows::tmk_download::terminal::ExpectDone, ExpectConfirm), Fault> {
        let device = terminal.device().clone();
        let pad = terminal.pad_mut();
        let (hello, expect_challenge) = Start::new(device, slot).begin(pad)?;
        let (challenge, state) = self.challenge(&hello)?;
        let (reply, expect_key) = expect_challenge.on_frame(pad, &challenge)?;
        let (key, state) = self.key(state, &reply, tmk)?;
        let (confirm, expect_done) = expect_key.on_frame(pad, &key)?;
        assert_eq!(KeyConfirm::read(&confirm).unwrap().kcvs, [Kcv::Tdes(tmk.kcv())]);
        Ok((confirm, expect_done, state))
    }
}

/// A fresh Rnd2: top bit 1.
pub(crate) fn rnd2() -> [u8; 8] {
    let mut rnd2 = [0; 8];
    paycrypto::random::fill(&mut rnd2).unwrap();
    rnd2[0] |= 0x80;
    rnd2
}

/// Storage that can be opened again, as after a power cut, and told to fail.
#[derive(Clone)]
pub(crate) struct Shared(std::sync::Arc<(Memory, Mutex<usize>)>);

impl Shared {
    pub(crate) fn new() -> Shared {
        Shared(std::sync::Arc::new((Memory::new().unwrap(), Mutex::new(usize::MAX))))
    }

    /// Lets this many more records be stored; then the disk is full.
    pub(crate) fn full_after(&self, stores: usize) {
        *self.0.1.lock().unwrap() = stores;
    }
}

impl Storage for Shared {
    fn battery_key(&self) -> Result<BatteryKey, Error> {
        self.0.0.battery_key()
    }

    fn load(&self, record: Record) -> Result<Option<Vec<u8>>, Error> {
        self.0.0.load(record)
    }

    fn store(&self, record: Record, sealed: &[u8]) -> Result<(), Error> {
        let mut left = self.0.1.lock().unwrap();
        *left = left.checked_sub(1).ok_or_else(|| Error::Io {
            act: "write",
            path: record.name().into(),
            source: std::io::ErrorKind::StorageFull.into(),
        })?;
        self.0.0.store(record, sealed)
    }
}
