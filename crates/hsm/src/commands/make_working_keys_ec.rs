use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Makes the working keys of a sign-in of suite 02 under the terminal's TMK: PIK, MAK and, where wanted, TDK, in this
/// order, AES-128 each (3-hardened.md, flow F). Replies with a [`ReleasedKeyEc`](super::ReleasedKeyEc) for each:
/// version D with the optional blocks `10` and `11`.
///
/// Whoever may call this as often as he likes gets keys that only that PIN pad opens, and of those only the last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeWorkingKeysEc {
    /// The TMK that the terminal named by its check value.
    pub tmk: KeyBlock,
    /// The PIN pad it must belong to, and the new keys will.
    pub pin_pad: String,
    /// The acquirer it must belong to, and the new keys will.
    pub owner: String,
    /// The slot, 0–99.
    pub slot: u8,
    /// The frame of SIGN_IN with its length: each block's context is over it and over the texts of the blocks before
    /// it. At most [`MAX_FRAME`](super::MAX_FRAME).
    pub transcript: Vec<u8>,
    /// Whether a track key is wanted.
    pub tdk: bool,
    /// Check values that no new key has.
    pub avoid: Vec<[u8; 5]>,
}
