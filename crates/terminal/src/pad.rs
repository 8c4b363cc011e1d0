//! What a terminal needs from its PIN pad.

use std::sync::Arc;

use flows::collect::Reason;
use flows::device_certificate::DevicePad;
use flows::local_load::LoadPad;
use flows::repair::messages::CHALLENGE;
use flows::rks_load::IdentityPad;
use flows::sign_in::SignInPad;
use flows::tmk_download::{self, DownloadPad};
use flows::tms_session::TmsPad;
use flows::{EcAes, PadRefusal};
use paycrypto::digest::sha256;
use paycrypto::ec::PublicPoint;
use paycrypto::rsa::PublicKey;
use pki::{Role, Scheme, Verified, verify_signature};
use wire::{BcdTime, Device, Frame, Kcv, ModelId, Serial, Slot, Suite, VendorId};

use crate::refusals::{ChainedRefusal, RefusalLog};
use crate::{CheckedSigner, Clock, LifeCycle, TransactionPad};

/// A PIN pad: makes, holds and uses keys, and never gives one back.
///
/// It trusts nobody outside. In a flow it is given whole frames, hashes them itself and finds its own random numbers in
/// them; it takes no digest, place or suite from the application ([`DownloadPad`], [`LoadPad`], [`IdentityPad`],
/// [`TmsPad`], [`SignInPad`]). It
/// keeps the life cycle, the latch and the owners of places, because what they forbid is its to forbid: a TK is made in
/// production and repair only, and only for one public key. TK's hash is checked at every store, transfer and use.
///
/// It looks at the sensors before every step. Whatever it refuses for its state, its sensors or an owner it writes into
/// its log of refusals first.
///
/// Everything that changes state returns only when the state survives a power cut.
pub trait PinPad:
    DownloadPad
    + DownloadPad<EcAes>
    + LoadPad<Key = CheckedKey>
    + LoadPad<EcAes, Key = CheckedSigner>
    + IdentityPad<Key = CheckedKey>
    + IdentityPad<EcAes, Key = CheckedSigner>
    + TmsPad
    + TmsPad<EcAes>
    + SignInPad
    + SignInPad<EcAes>
    + TransactionPad
    + DevicePad
{
    /// Its serial, to which its keys belong: the terminal's own when it is built in.
    fn serial(&self) -> &Serial;

    /// Where the terminal is in its life.
    fn life_cycle(&self) -> LifeCycle;

    /// Leaves production by command, also without a key.
    ///
    /// # Errors
    /// A refusal from a state that does not allow it, or when it cannot be stored.
    fn deploy(&mut self) -> Result<(), tmk_download::PadRefusal>;

    /// Gives it the clock by which its log says when.
    fn set_clock(&mut self, clock: Arc<dyn Clock>);

    /// Looks at the sensors while nobody asks for anything, or while a message is waited for, and does at once what
    /// tampering demands.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] for tampering: whatever was going on has ended. [`PadRefusal::Failed`].
    fn poll(&mut self) -> Result<(), PadRefusal>;

    /// Ends the terminal's life: everything is wiped.
    ///
    /// # Errors
    /// [`PadRefusal::Failed`].
    fn retire(&mut self) -> Result<(), PadRefusal>;

    /// Wipes every key because the acquirer's root is about to be exchanged: in repair, or in production before there
    /// is a key.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] otherwise, [`PadRefusal::Failed`].
    fn wipe_for_root(&mut self) -> Result<(), PadRefusal>;

    /// The challenge that a repair authorisation must answer: made when there is none, kept until it was used.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] in a state that no authorisation leaves, [`PadRefusal::Failed`].
    fn repair_challenge(&mut self) -> Result<[u8; CHALLENGE], PadRefusal>;

    /// The challenge that was given out and not used yet.
    fn open_challenge(&self) -> Option<[u8; CHALLENGE]>;

    /// Checks an authorisation's signature over this PIN pad's own challenge, and its expiry; wipes every key, forgets
    /// the challenge and enters repair, all in one step that survives a power cut.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a signature that is none of the key over this challenge;
    /// [`PadRefusal::NotPermitted`] without a challenge, past the expiry, in a wrong state or role;
    /// [`PadRefusal::Failed`].
    fn repair(&mut self, authorisation: &RepairAuthorisation<'_>) -> Result<(), PadRefusal>;

    /// Whether a TK could be made or sent now: sensors and life cycle.
    ///
    /// # Errors
    /// [`Reason::NotPermitted`], [`Reason::Internal`].
    fn check_tk(&mut self) -> Result<(), Reason>;

    /// As [`PinPad::make_tk`], in suite 02: seals TEK and AUK to the key, counts the TK and signs COLLECT and COLLECTED with
    /// the device key. The latch's answer is in [`Latch::signed`]. The same COLLECT gets the same bytes; another COLLECT
    /// with the same certificate, of another ceremony, the same TK sealed and signed anew.
    ///
    /// # Errors
    /// [`Reason::NotPermitted`], also without a device certificate; [`Reason::OtherCertificate`], [`Reason::Internal`].
    fn make_tk_ec(&mut self, key: &AcceptedPoint, asked: &Asked<'_>) -> Result<SignedCollected, Reason>;

    /// Whether the PIN pad has a device key that a CA certified, as suite 02 needs it.
    fn is_certified(&self) -> bool;

    /// Whether keys could be loaded now: sensors and life cycle.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`], [`PadRefusal::Failed`].
    fn check_loading(&mut self) -> Result<(), PadRefusal>;

    /// The log of refusals.
    fn refusals(&self) -> &RefusalLog;

    /// Adds a refusal of the device's own, such as a certificate's.
    fn refuse(&mut self, check: &str, reading: &str);

    /// The server knows so many refusals now ([`RefusalLog::unreported`]).
    ///
    /// # Errors
    /// [`PadRefusal::Failed`].
    fn reported(&mut self, known: u64) -> Result<(), PadRefusal>;

    /// The suite of the TK with which TMKs are downloaded; suite 01 where there is none.
    fn tk_suite(&self) -> Suite;

    /// The check values of the TK that it holds, for comparing it with what station, MTMS and KMS have when a download
    /// fails. There are none of a TK that fails its own checks (R16), and none where there is no TK.
    fn tk_check_values(&self) -> Option<TkCheck>;

    /// The suite of the DIK2 with which keys are fetched from the RKS; suite 01 where there is none.
    fn identity_suite(&self) -> Suite;

    /// The suite of the DMK with which sessions with the TMS are opened; suite 01 where there is none.
    fn tms_suite(&self) -> Suite;

    /// With which TMKs a slot may sign in, the newest first: the suite of each, and which attempt of that suite it is.
    fn sign_in_order(&self, slot: Slot) -> Vec<(Suite, u8)>;

    /// DIK2's place.
    fn identity(&self) -> Option<PlaceStatus>;

    /// DMK's place.
    fn dmk(&self) -> Option<PlaceStatus>;

    /// What was collected, if a TK was.
    fn latch(&self) -> Option<&Latch>;

    /// Erases the old TK, makes a new one, encrypts it under this key (80 bytes in clear: TEK ‖ AUK ‖ hash) and sets
    /// the latch, all in one step that survives a power cut. For the key that is latched already it gives the latch and
    /// makes nothing.
    ///
    /// # Errors
    /// [`Reason::NotPermitted`] outside production and repair, or for the sensors, [`Reason::OtherCertificate`] when another key is latched,
    /// [`Reason::Internal`].
    fn make_tk(&mut self, key: &AcceptedKey) -> Result<Latch, Reason>;

    /// The slots that hold a key, lowest first. This, [`PinPad::tk_check_values`] and KEY_CONFIRM are the only ways by
    /// which anything of a key leaves: its check value.
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

/// A point of P-256 that may get the TK in suite 02: its certificate was checked. Only that check makes one.
#[derive(Debug)]
pub struct AcceptedPoint {
    pub(crate) digest: [u8; 32],
    pub(crate) point: PublicPoint,
    pub(crate) collector: Collector,
}

/// A COLLECT of suite 02, and what COLLECTED says beside what the PIN pad puts into it.
#[derive(Debug)]
pub struct Asked<'a> {
    /// COLLECT as it came.
    pub collect: &'a Frame,
    /// The terminal; its PIN pad is the one that is asked.
    pub device: &'a Device,
    /// The vendor, with the model.
    pub vendor: Option<&'a VendorId>,
    /// The model.
    pub model: Option<&'a ModelId>,
}

/// The key of a certificate that was checked for a role that loads or repairs. Only that check makes one.
#[derive(Debug)]
pub struct CheckedKey {
    role: Role,
    root: [u8; 32],
    public_key: PublicKey,
}

impl CheckedKey {
    /// The key of a checked certificate.
    ///
    /// # Errors
    /// When its key is none that is used here.
    pub(crate) fn of(verified: &Verified) -> Result<CheckedKey, paycrypto::rsa::RsaError> {
        Ok(CheckedKey {
            role: verified.role(),
            root: sha256(verified.root().der()),
            public_key: PublicKey::from_spki(verified.certificate().spki_der())?,
        })
    }

    /// The role that it was checked for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// SHA-256 of the root that its chain leads to: the owner of what it loads.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.root
    }

    /// The key.
    #[must_use]
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }
}

/// The key of a certificate that was checked, of either suite, as a repair needs it.
pub trait RepairKey: std::fmt::Debug {
    /// The role that it was checked for.
    fn role(&self) -> Role;

    /// Whether this is its signature over the text (DF49).
    fn signed_text(&self, text: &[u8], signature: &[u8]) -> bool;
}

impl RepairKey for CheckedKey {
    fn role(&self) -> Role {
        self.role
    }

    fn signed_text(&self, text: &[u8], signature: &[u8]) -> bool {
        verify_signature(self.public_key.spki_der(), Scheme::PssSha256, text, signature).is_ok()
    }
}

impl RepairKey for CheckedSigner {
    fn role(&self) -> Role {
        CheckedSigner::role(self)
    }

    fn signed_text(&self, text: &[u8], signature: &[u8]) -> bool {
        self.signed(&sha256(text), signature)
    }
}

/// A repair authorisation as it came, for the PIN pad to check.
#[derive(Debug)]
pub struct RepairAuthorisation<'a> {
    /// The key of a certificate that was checked for repair authorisation.
    pub key: &'a dyn RepairKey,
    /// Whom it must name: the terminal; its PIN pad is the one that checks.
    pub device: &'a Device,
    /// Until when it holds (DF27).
    pub expiry: BcdTime,
    /// DF49: RSASSA-PSS, or ECDSA as r ‖ s.
    pub signature: &'a [u8],
    /// The terminal's known time, unix seconds.
    pub now: i64,
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
    /// The refusals that COLLECTED carries along: those of that moment, so that the same question gets the same bytes.
    pub refusals: Vec<ChainedRefusal>,
    /// In suite 02, the COLLECTED that was signed for one COLLECT.
    pub signed: Option<SignedCollected>,
}

/// A COLLECTED of suite 02, and what it answered: the same question gets the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedCollected {
    /// SHA-256 of the COLLECT.
    pub collect: [u8; 32],
    /// COLLECTED.
    pub frame: Frame,
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
    /// Check values of its working keys, from a sign-in or from the RKS.
    pub working: WorkingStatus,
}

/// Check values of a slot's working keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkingStatus {
    /// PIN key.
    pub pik: Option<Kcv>,
    /// MAC key.
    pub mak: Option<Kcv>,
    /// Track data key.
    pub tdk: Option<Kcv>,
}

/// Check values of a TK: 3 bytes each in suite 01, 5 in suite 02.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TkCheck {
    /// Of TEK.
    pub tek: Kcv,
    /// Of AUK.
    pub auk: Kcv,
}

/// A place of its own that holds a key: DIK2's or DMK's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceStatus {
    /// Check value of its key.
    pub kcv: Kcv,
    /// Whether the key's DONE arrived.
    pub done: bool,
}
