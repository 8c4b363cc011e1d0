use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Checks SIGN_IN_CONFIRM's CMAC over `"OK"`, DF14 and the check values, and replies with DONE's over `"DONE"` and DF14
/// (3-hardened.md, flow F). A wrong one is [`NotProven`](crate::Refusal::NotProven).
///
/// Whoever may call this gets DONE's MAC for a confirmation that he has seen: the same one that the terminal got.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ConfirmSignInEc {
    /// The new MAK.
    pub mak: KeyBlock,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
    /// The slot, 0–99.
    pub slot: u8,
    /// DF14 of SIGN_IN.
    pub nonce: [u8; 32],
    /// The check values of the new keys, in the order in which they were sent: 2 or 3.
    pub kcvs: Vec<[u8; 5]>,
    /// DF52 of SIGN_IN_CONFIRM.
    pub mac: [u8; 16],
}
