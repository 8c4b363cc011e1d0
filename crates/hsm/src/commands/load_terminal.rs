use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Answers a terminal's KLD_ACCEPT with a key: the KLD's whole part of flow B in one act (2-wire.md section 4).
///
/// Opens `Rnd1 ‖ Rnd2`, makes the key or takes the one given, wraps it under Rnd1 and signs it with Rnd2. Rnd1, Rnd2
/// and the key never leave. A ciphertext that does not open and a weak Rnd1 are [`FromTerminal`].
///
/// Whoever may call this can have any key that he may name here, by playing the terminal: in flow B a terminal does not
/// prove who it is. So only a KLD's HSM carries it out, with people beside it, and a KLD's store holds only the keys of
/// its own runs.
///
/// [`FromTerminal`]: crate::Refusal::FromTerminal
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct LoadTerminal {
    /// The KLD's private key.
    pub work_key: KeyBlock,
    /// DF10 of KLD_ACCEPT, as long as the modulus.
    pub c_rnd1_rnd2: Vec<u8>,
    /// The PIN pad the key will belong to.
    pub pin_pad: String,
    /// The acquirer all keys must belong to.
    pub owner: String,
    /// Optional block `11`: what was said before, KLD_CONNECT and KLD_ACCEPT.
    pub context: [u8; 16],
    /// What to load.
    pub load: Load,
    /// The exchange key for the KLD's report, where one is made.
    pub escrow_under: Option<KeyBlock>,
}

/// What a KLD loads.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Load {
    /// A terminal master key.
    Tmk {
        /// The slot, 0–99.
        slot: u8,
        /// A TMK made or imported before for this very place; a new one is made where there is none.
        held: Option<KeyBlock>,
        /// Check values that a new key must not have: those of keys held for the slot.
        avoid: Vec<[u8; 3]>,
    },
    /// The device master key of flow E.
    Dmk {
        /// A DMK made or imported before for this PIN pad; a new one is made where there is none.
        held: Option<KeyBlock>,
    },
    /// The device identity key of flow C, derived in the HSM.
    Dik2 {
        /// The key to derive from.
        dik1: KeyBlock,
        /// DSN, the terminal's serial.
        dsn: String,
        /// The diversification factor, 1–32 bytes; 16 random bytes are made where there is none.
        factor: Option<Vec<u8>>,
    },
}

/// A key on its way into a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Loaded {
    /// For the wire: DF11 of KLD_KEY, as long as the modulus.
    pub c_ctmk_rnd2: Vec<u8>,
    /// The key's check value: what a right KEY_CONFIRM carries. Travels in no message before it.
    pub kcv: [u8; 3],
    /// For the KLD's store: the TMK, the DMK, or for a DIK2 its factor.
    pub held: KeyBlock,
    /// For the report: the TMK, the DMK or the factor as X9.143 version B under the exchange key, bound to its place.
    pub escrow: Option<String>,
}
