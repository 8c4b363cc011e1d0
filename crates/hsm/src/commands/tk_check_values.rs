use serde::{Deserialize, Serialize};

use super::TkSource;

/// The check values of a transport key, for comparing it between terminal, MTMS and KMS when a download fails. Replies
/// with [`TkValues`].
///
/// A key that fails its checks has none (R16): [`TransportKey`](crate::Refusal::TransportKey).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TkCheckValues {
    /// The transport key.
    pub tk: TkSource,
    /// The PIN pad that it belongs to.
    pub pin_pad: String,
    /// Whose it is.
    pub owner: String,
}

/// Check values: 3 bytes each in suite 01, 5 in suite 02 (2-wire.md section 2, DF0B).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TkValues {
    /// TEK's.
    pub tek: Vec<u8>,
    /// AUK's.
    pub auk: Vec<u8>,
}
