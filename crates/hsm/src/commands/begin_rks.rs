use serde::{Deserialize, Serialize};

use super::{Hole, Peer};
use crate::KeyBlock;

/// Answers a device's RKS_AUTH of suite 02: makes the server's ephemeral key and nonce and signs TH(1, 2).
///
/// Nothing secret of the device is in it, so that strangers need no other answer. A point that is not on the curve is
/// [`FromTerminal`](crate::Refusal::FromTerminal).
///
/// Whoever may call this gets signatures over transcripts that hold a new ephemeral key each: what is said under one
/// opens for this HSM only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct BeginRks {
    /// The RKS's signing key ([`super::EcKeyKind::RksSigning`]).
    pub work_key: KeyBlock,
    /// The acquirer.
    pub owner: String,
    /// The PIN pad that asks.
    pub pin_pad: String,
    /// RKS_AUTH as it came, with its length; at most [`MAX_FRAME`](super::MAX_FRAME).
    pub auth: Vec<u8>,
    /// DF13 and DF14 of RKS_AUTH.
    pub peer: Peer,
    /// RKS_CERT, without DF16.
    pub hole: Hole,
}

/// What goes into RKS_CERT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RksBegun {
    /// DF13, 65 bytes.
    pub point: Vec<u8>,
    /// DF14.
    pub nonce: [u8; 32],
    /// DF16, r ‖ s, 64 bytes.
    pub signature: Vec<u8>,
    /// What the next step needs, sealed for this HSM process alone.
    pub ticket: Vec<u8>,
}
