use serde::{Deserialize, Serialize};

use super::TransportKeyBlocks;
use crate::KeyBlock;

/// Where a transport key is, as the HSM takes it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum TkSource {
    /// As it was collected, of suite 01: it is opened and checked here, and forgotten.
    Collected {
        /// Pr of the work certificate the key was collected under.
        work_key: KeyBlock,
        /// `Ctk_Pu`, as long as the modulus.
        ctk_pu: Vec<u8>,
    },
    /// Under the LMK, of either suite.
    Held(TransportKeyBlocks),
}

/// Moves a transport key from the vendor's own key to the protect key (PK) that an MTMS has with one acquirer's KMS
/// (2-wire.md section 6). Replies with a [`TravellingTk`].
///
/// A TDES PK carries a TK of suite 01 and an AES one a TK of suite 02, neither the other's (R7). A TK that fails its
/// checks is [`TransportKey`](crate::Refusal::TransportKey).
///
/// Whoever may call this gets nothing that he can open: the blocks open in that partner's HSM only, for the same PIN
/// pad. That a TK goes to one KMS, once, the caller remembers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TranslateTk {
    /// The transport key.
    pub tk: TkSource,
    /// The PIN pad that it belongs to.
    pub pin_pad: String,
    /// Whose keys these are: the vendor.
    pub owner: String,
    /// PK, agreed with `partner`.
    pub pk: KeyBlock,
    /// The partner that it must have been agreed with.
    pub partner: String,
}

/// TEK and AUK as a batch carries them: X9.143 blocks under PK, version B in suite 01 and D in suite 02, bound to their
/// PIN pad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TravellingTk {
    /// Transport encryption key.
    pub tek: String,
    /// Transport authentication key.
    pub auk: String,
}
