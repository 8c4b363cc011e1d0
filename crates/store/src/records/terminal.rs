//! Acquirers and their terminals.

use wire::{Serial, Suite};

/// An acquirer to be entered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAcquirer {
    /// Short and lasting: what configuration and terminals refer to.
    pub id: String,
    /// For people.
    pub name: String,
}

/// An acquirer: the bank or processor that owns terminals and their TMKs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquirerRecord {
    /// Short and lasting.
    pub id: String,
    /// For people.
    pub name: String,
    /// When it was entered, Unix milliseconds.
    pub created_at: i64,
}

/// A terminal as the estate knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalRecord {
    /// The terminal's serial, unique in the estate.
    pub sn: Serial,
    /// The external PIN pad's serial; `None` when built in. The pair changes only by an approved replacement.
    pub pin_pad: Option<Serial>,
    /// The owner's [`AcquirerRecord::id`].
    pub acquirer: String,
    /// Vendor id, where the terminal told it (DF30).
    pub vendor: Option<String>,
    /// Model id, where the terminal told it (DF31).
    pub model: Option<String>,
    /// 01 TDES, 02 EC/AES (DF01).
    pub suite: Suite,
    /// Its transport key, in whichever form it is held.
    pub tk: TkRecord,
    /// Goes up by one each time the terminal gets another TK. Keys made under an older one are refused.
    pub tk_generation: i64,
    /// 20 hex digits of SHA-256(SN ‖ Ctk_Pu), as station and terminal show them (2-wire.md section 4, Flow A).
    pub fingerprint: String,
    /// When it was first collected, Unix milliseconds.
    pub created_at: i64,
    /// When its TK last changed form or value, Unix milliseconds.
    pub changed_at: i64,
}

impl TerminalRecord {
    /// The serial that keys belong to: the PIN pad's, which is SN when built in.
    #[must_use]
    pub fn key_serial(&self) -> &Serial {
        self.pin_pad.as_ref().unwrap_or(&self.sn)
    }
}

/// A transport key as the store holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TkRecord {
    /// As collected: opened by the HSM at upload to check it, and again at the first download.
    Ciphertext {
        /// OAEP under the work certificate's key.
        ctk_pu: Vec<u8>,
        /// Which work certificate, lower-case hex.
        work_certificate_sha256: String,
    },
    /// From the first download on: X9.143 blocks under the HSM's master key.
    Blocks {
        /// TEK's block.
        tek: String,
        /// AUK's block.
        auk: String,
    },
    /// The terminal is known but has no TK.
    None,
}
