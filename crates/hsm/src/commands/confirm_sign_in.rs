use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Checks SIGN_IN_CONFIRM's MAC over `"OK"`, Rnd1 and the check values, and replies with DONE's over `"DONE"` and Rnd1
/// (2-wire.md section 4, flow F). A wrong one is [`NotProven`](crate::Refusal::NotProven).
///
/// Whoever may call this gets DONE's MAC for a confirmation that he has seen: the same one that the terminal got.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfirmSignIn {
    /// The new MAK.
    pub mak: KeyBlock,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
    /// The slot, 0–99.
    pub slot: u8,
    /// Rnd1 of SIGN_IN, any number: what `"OK"` and `"DONE"` stand in front of cannot be taken for each other, so that it
    /// needs no top bit as in flow A.
    pub rnd1: [u8; 8],
    /// The check values of the new keys, in the order in which they were sent: 2 or 3.
    pub kcvs: Vec<[u8; 3]>,
    /// DF52 of SIGN_IN_CONFIRM.
    pub mac: [u8; 8],
}
