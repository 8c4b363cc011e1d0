use serde::{Deserialize, Serialize};

use crate::{KeyBlock, Refusal, Sensitive};

/// The most bytes that one MAC is over.
pub const MAX_MAC_DATA: usize = 64 * 1024;

/// Makes and checks MACs of transaction messages under terminals' MAKs, as the key's own suite has them: under a TDES
/// key ISO 9797-1 algorithm 3, padding method 2, all 8 bytes; under an AES key CMAC, all 16 bytes. 1 to
/// [`MAX_ITEMS`](super::MAX_ITEMS) at once; all together fit into one message of the protocol. Replies with one result
/// for each item, in order.
///
/// No MAC is made over what a sign-in's confirmation or DONE consists of (`"OK"` or `"DONE"`, Rnd1 or DF14, check
/// values): those are [`ConfirmSignIn`](super::ConfirmSignIn)'s and [`ConfirmSignInEc`](super::ConfirmSignInEc)'s alone.
///
/// Whoever may call this speaks to that terminal in its host's name, which is what he is there for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TerminalMacs {
    /// The acquirer all keys must belong to.
    pub owner: String,
    /// What to do.
    pub items: Vec<MacItem>,
}

/// One MAC to make or to check.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MacItem {
    /// The PIN pad the MAK must belong to.
    pub pin_pad: String,
    /// The slot, 0–99.
    pub slot: u8,
    /// The terminal's MAK, of either suite.
    pub mak: KeyBlock,
    /// What the MAC is over: 1 to [`MAX_MAC_DATA`] bytes.
    pub data: Sensitive<Vec<u8>>,
    /// The MAC to check; `None` to make one. One of another length than the key's is wrong.
    pub mac: Option<Vec<u8>>,
}

/// A MAC made, or what the check of one says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum MacAnswer {
    /// The MAC: 8 bytes under a TDES key, 16 under an AES key.
    Made(Vec<u8>),
    /// The MAC given is right.
    Right,
    /// The MAC given is wrong.
    Wrong,
}

/// What became of one item.
pub type MacOutcome = Result<MacAnswer, Refusal>;
