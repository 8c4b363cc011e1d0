use serde::{Deserialize, Serialize};

use super::Peer;
use crate::KeyBlock;

/// Answers a terminal's KLD_ACCEPT of suite 02 with a key: the KLD's part of flow B in one act (3-hardened.md, "B").
///
/// Agrees with the terminal, makes the key or takes the one given, wraps it under K(kbpk), composes KLD_KEY and signs
/// TH(1, 2, 3). The caller has checked the device certificate, which the KLD's run lists, and the device's signature
/// over TH(1, 2). A point that is not on the curve is [`FromTerminal`](crate::Refusal::FromTerminal); a ticket of
/// another process or acquirer is [`NotProven`](crate::Refusal::NotProven); frames that do not fit together are
/// [`Malformed`](crate::Refusal::Malformed).
///
/// Whoever may call this can have any key that he may name here, by playing the terminal: so only a KLD's HSM carries
/// it out, with people beside it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadTerminalEc {
    /// The ticket of [`OpenLoading`](super::OpenLoading).
    pub ticket: Vec<u8>,
    /// The KLD's signing key ([`super::EcKeyKind::KldSigning`]).
    pub work_key: KeyBlock,
    /// The PIN pad the key will belong to.
    pub pin_pad: String,
    /// The acquirer all keys must belong to.
    pub owner: String,
    /// DF13 and DF14 of KLD_ACCEPT.
    pub peer: Peer,
    /// KLD_CONNECT with its length; at most [`MAX_FRAME`](super::MAX_FRAME).
    pub connect: Vec<u8>,
    /// KLD_ACCEPT as it came, with its length.
    pub accept: Vec<u8>,
    /// KLD_ACCEPT without its DF16, re-encoded with its length.
    pub accept_bare: Vec<u8>,
    /// What to load.
    pub load: LoadEc,
    /// The AES exchange key for the KLD's report, where one is made.
    pub escrow_under: Option<KeyBlock>,
}

/// What a KLD loads in suite 02.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum LoadEc {
    /// A terminal master key, AES-128.
    Tmk {
        /// The slot, 0–99.
        slot: u8,
        /// Load counter of the slot for this sending, 1 or above.
        counter: u64,
        /// A TMK made or imported before for this slot; a new one is made where there is none.
        held: Option<KeyBlock>,
        /// Check values of TMKs already held for the slot: a new key has another.
        avoid: Vec<[u8; 5]>,
    },
    /// The device master key of flow E, 32 bytes.
    Dmk {
        /// A DMK made or imported before for this PIN pad; a new one is made where there is none.
        held: Option<KeyBlock>,
    },
    /// The device identity key of flow C, 32 bytes, derived in the HSM.
    Dik2 {
        /// The key to derive from.
        dik1: KeyBlock,
        /// DSN, the terminal's serial.
        dsn: String,
        /// The diversification factor, 1–32 bytes; 16 random bytes are made where there is none.
        factor: Option<Vec<u8>>,
    },
}

/// A key of suite 02 on its way into a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadedEc {
    /// DF23 of KLD_KEY, with a DIK2 only.
    pub factor: Option<Vec<u8>>,
    /// DF40 in FF21 of KLD_KEY: the version D block under K(kbpk).
    pub wrapped: String,
    /// DF16 of KLD_KEY, r ‖ s, 64 bytes, over the transcript of KLD_CONNECT, KLD_ACCEPT and
    /// `KLD_KEY [DF23] FF21{DF40}`.
    pub signature: Vec<u8>,
    /// The key's check value: what the terminal's receipt covers.
    pub kcv: [u8; 5],
    /// For the KLD's store: the TMK, the DMK, or for a DIK2 its factor.
    pub held: KeyBlock,
    /// For the report: the TMK, the DMK or the factor as X9.143 version D under the AES exchange key, bound to its
    /// place.
    pub escrow: Option<String>,
    /// For [`Acknowledge`](super::Acknowledge).
    pub ticket: Vec<u8>,
}
