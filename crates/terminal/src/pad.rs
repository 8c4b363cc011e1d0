//! What a terminal needs from its PIN pad.

use flows::collect::Reason;
use flows::tmk_download::{DownloadPad, PadRefusal};
use paycrypto::rsa::PublicKey;
use pki::Role;
use wire::{Kcv, Serial, Slot, Suite};

use crate::LifeCycle;

/// A PIN pad: makes, holds and uses keys, and never gives one back.
///
/// It trusts nobody outside. In a download it is given whole frames, hashes them itself and finds its own Rnd1 in them;
/// it takes no digest, place or suite from the application ([`DownloadPad`]; flows to come add their traits here). It
/// keeps the life cycle and the latch, because what they forbid is its to forbid: a TK is made in production only, and
/// only for one public key. TK's hash is checked at every store, transfer and use.
///
/// Everything that changes state returns only when the state survives a power cut.
pub trait PinPad: DownloadPad {
    /// Its serial, to which its keys belong: the terminal's own when it is built in.
    fn serial(&self) -> &Serial;

    /// Where the terminal is in its life.
    fn life_cycle(&self) -> LifeCycle;

    /// Leaves production by command, also without a key.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] from a state that does not allow it, [`PadRefusal::Failed`].
    fn deploy(&mut self) -> Result<(), PadRefusal>;

    /// What was collected, if a TK was.
    fn latch(&self) -> Option<&Latch>;

    /// Erases the old TK, makes a new one, encrypts it under this key (80 bytes in clear: TEK ‖ AUK ‖ hash) and sets
    /// the latch, all in one step that survives a power cut. For the key that is latched already it gives the latch and
    /// makes nothing.
    ///
    /// # Errors
    /// [`Reason::NotPermitted`] outside production, [`Reason::OtherCertificate`] when another key is latched,
    /// [`Reason::Internal`].
    fn make_tk(&mut self, key: &AcceptedKey) -> Result<Latch, Reason>;

    /// The slots that hold a key, lowest first. This, and KEY_CONFIRM, are the only ways by which anything of a key
    /// leaves: its check value.
    fn slots(&self) -> Vec<SlotStatus>;
}

/// A public key that may get the TK: its certificate was checked, or the production settings allow it bare. Only that
/// check makes one.
#[derive(Debug)]
pub struct AcceptedKey {
    pub(crate) digest: [u8; 32],
    pub(crate) public_key: PublicKey,
    pub(crate) collector: Collector,
}

impl AcceptedKey {
    /// What the latch compares: the digest of certificate or bare key.
    #[must_use]
    pub fn digest(&self) -> [u8; 32] {
        self.digest
    }

    /// The key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Whose it is.
    #[must_use]
    pub fn collector(&self) -> Collector {
        self.collector
    }
}

/// For whom a TK was collected (2-wire.md section 5: the terminal remembers which).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Collector {
    /// A KMS: role .1.
    Kms,
    /// The vendor's MTMS: role .6.
    Mtms,
    /// Whoever has the private half of a bare key.
    BareKey,
}

impl Collector {
    /// The role that a certificate must have to be this collector's.
    #[must_use]
    pub fn role(self) -> Option<Role> {
        match self {
            Collector::Kms => Some(Role::KmsWork),
            Collector::Mtms => Some(Role::Mtms),
            Collector::BareKey => None,
        }
    }
}

/// What was collected: nothing of it is secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latch {
    /// Digest of the certificate or bare key that got the TK.
    pub digest: [u8; 32],
    /// For whom.
    pub collector: Collector,
    /// TK under its public key.
    pub ctk_pu: Vec<u8>,
}

/// A slot that holds a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SlotStatus {
    /// Which.
    pub slot: Slot,
    /// The suite with which it was first filled.
    pub suite: Suite,
    /// Check value of its key.
    pub kcv: Kcv,
    /// Whether the key's DONE arrived.
    pub done: bool,
    /// Check value of the key before it, kept until the new one has worked once.
    pub previous: Option<Kcv>,
}
