//! Collected packages (2-wire.md section 6) and the replacements that wait for a second person.

use sha2::{Digest, Sha256};
use wire::{Device, Serial, Suite};

use super::ceremony::NewDeviceCertificate;

/// A collection whose signature, chain and role are good, with what the HSM said of each TK.
#[derive(Debug, Clone)]
pub struct CollectionImport {
    /// SHA-256 of the CMS bytes: the same bytes are taken once.
    pub digest: [u8; 32],
    /// The CMS bytes, kept so that every TK stays traceable to its operator.
    pub package: Vec<u8>,
    /// Who signed: the operator card.
    pub signer: Person,
    /// Who signed beside them: the administrator card, in suite 02.
    pub second_signer: Option<Person>,
    /// Owner of the terminals in it.
    pub acquirer: String,
    /// The station's name for itself.
    pub station: String,
    /// When collected, Unix milliseconds, as the station says.
    pub collected_at: i64,
    /// In the order of the package.
    pub terminals: Vec<CollectedTerminal>,
}

/// A person as a certificate names them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// The certificate's subject.
    pub subject: String,
    /// The certificate's serial number, hex.
    pub certificate_serial: String,
}

impl Person {
    /// Whether these may be one person: the same subject *or* the same card. Dual control wants neither
    /// (4-requirements.md R12: one person alone, same person twice, same card twice).
    #[must_use]
    pub fn may_be(&self, other: &Person) -> bool {
        self.subject == other.subject
            || self.certificate_serial.eq_ignore_ascii_case(&other.certificate_serial)
    }
}

/// One terminal of a collection.
#[derive(Debug, Clone)]
pub struct CollectedTerminal {
    /// SN, and the PIN pad's serial where external.
    pub device: Device,
    /// Vendor id (DF30).
    pub vendor: Option<String>,
    /// Model id (DF31).
    pub model: Option<String>,
    /// The transport key, as its suite has it.
    pub tk: CollectedTk,
    /// Which work certificate, lower-case hex; in a vendor's batch, one of the vendor's.
    pub work_certificate_sha256: String,
    /// 20 hex digits of SHA-256(SN ‖ Ctk_Pu).
    pub fingerprint: String,
    /// The package asks to replace what is known of this terminal.
    pub replaces: bool,
    /// Why the checks before the store refuse it; then only the audit learns of it.
    pub refused: Option<Refusal>,
}

/// A transport key as it was collected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CollectedTk {
    /// Suite 01: under the work certificate's key, opened at the first download.
    Ciphertext(Vec<u8>),
    /// Suite 02, collected or out of a vendor's batch: opened by the HSM at once.
    Blocks {
        /// TEK's block.
        tek: String,
        /// AUK's block.
        auk: String,
        /// The device key that signed it.
        device: NewDeviceCertificate,
        /// The PIN pad's generation counter (DF18).
        generation: u64,
        /// What the HSM says which key it is, of one out of a batch; a collected one is sealed anew for each ceremony.
        digest: Option<[u8; 32]>,
    },
    /// Suite 01 out of a vendor's batch: opened by the HSM at once.
    Opened {
        /// TEK's block.
        tek: String,
        /// AUK's block.
        auk: String,
        /// What the HSM says which key it is.
        digest: [u8; 32],
    },
    /// Refused before it was opened; [`CollectedTerminal::refused`] says why.
    None(Suite),
}

impl CollectedTk {
    /// The suite that it was collected in.
    #[must_use]
    pub fn suite(&self) -> Suite {
        match self {
            Self::Ciphertext(_) | Self::Opened { .. } => Suite::TDES,
            Self::Blocks { .. } => Suite::EC_AES,
            Self::None(suite) => *suite,
        }
    }

    /// Which key it is, where that can be told: the same for the same key that came in the same way.
    #[must_use]
    pub fn digest(&self) -> Option<[u8; 32]> {
        match self {
            Self::Ciphertext(ctk_pu) => Some(Sha256::digest(ctk_pu).into()),
            Self::Opened { digest, .. } => Some(*digest),
            Self::Blocks { digest, .. } => *digest,
            Self::None(_) => None,
        }
    }
}

/// Why one terminal of a collection is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For machines.
    pub code: String,
    /// For people.
    pub text: String,
}

/// What became of [`Store::import_collection`](crate::Store::import_collection).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ImportOutcome {
    /// The same bytes were taken before. Nothing was written.
    Duplicate,
    /// Taken; one answer for each terminal, in order.
    Stored(Vec<PerTerminal>),
}

/// What became of one terminal of a collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PerTerminal {
    /// New, and ready for downloads.
    Stored,
    /// Known: kept aside until a second person approves it.
    AwaitsApproval {
        /// For [`Store::approve_replacement`](crate::Store::approve_replacement).
        id: i64,
    },
    /// Known, and the package does not ask to replace it. Nothing changed.
    AlreadyKnown {
        /// It is the same pair with the same Ctk_Pu: collecting twice did no harm.
        same: bool,
    },
    /// The PIN pad's serial belongs to another terminal. Nothing changed.
    SerialPairTaken {
        /// The terminal that has it.
        by: Serial,
    },
    /// It belongs to another acquirer. Nothing changed.
    OtherAcquirer,
    /// The caller's own refusal, handed back; or the store's, of a device key, a generation, a lower suite, or a TK that
    /// another terminal has or this one had.
    Refused(Refusal),
}

/// A replacement of a terminal's TK that waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplacementRecord {
    /// For [`Store::approve_replacement`](crate::Store::approve_replacement).
    pub id: i64,
    /// The terminal.
    pub sn: Serial,
    /// The PIN pad's serial in the new pair; `None` when built in.
    pub pin_pad: Option<Serial>,
    /// The PIN pad's serial as it is now.
    pub current_pin_pad: Option<Serial>,
    /// The new TK's fingerprint: what the approver compares and approves.
    pub fingerprint: String,
    /// The fingerprint as it is now.
    pub current_fingerprint: String,
    /// Who signed the collection; the approver must be someone else.
    pub signer: Person,
    /// The station's name for itself.
    pub station: String,
    /// The vendor's batch that asks for it; `None` where a station does.
    pub batch: Option<AskingBatch>,
    /// When collected, Unix milliseconds, as the station says.
    pub collected_at: i64,
    /// When the package came, Unix milliseconds.
    pub uploaded_at: i64,
}

/// Whose batch asks for a replacement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskingBatch {
    /// The order that it is for.
    pub order: String,
    /// The vendor that it came from.
    pub vendor: String,
}

/// A second person's word on a replacement. It names the fingerprint, so that it binds what was looked at
/// (4-requirements.md R13).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// [`ReplacementRecord::id`].
    pub id: i64,
    /// [`ReplacementRecord::fingerprint`] as the approver saw it.
    pub fingerprint: String,
    /// Who approves or rejects.
    pub approver: Person,
}

/// What became of [`Store::approve_replacement`](crate::Store::approve_replacement) or
/// [`Store::reject_replacement`](crate::Store::reject_replacement).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ApprovalOutcome {
    /// Done: the terminal has its new TK.
    Approved {
        /// The new generation.
        tk_generation: i64,
        /// Pending keys that were dropped.
        dropped: u64,
        /// Active keys that were retired: all, if the PIN pad changed, else none.
        retired: u64,
    },
    /// Done: nothing of it will be used.
    Rejected,
    /// Approver and signer may be one person. Nothing was written.
    SamePerson,
    /// The fingerprint is not that of this replacement. Nothing was written.
    OtherFingerprint,
    /// Not waiting: unknown, decided before, or overtaken by a later collection. Nothing was written.
    NotWaiting,
    /// The terminal's TK was of a higher suite, and no allowance runs. Nothing was written.
    LowerSuite,
    /// The new pair's PIN pad has meanwhile come to belong to another terminal. Nothing was written.
    SerialPairTaken {
        /// The terminal that has it.
        by: Serial,
    },
}
