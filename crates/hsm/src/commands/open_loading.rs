use serde::{Deserialize, Serialize};

/// Makes a KLD's ephemeral key and nonce for one KLD_CONNECT of suite 02. Replies with a [`LoadingOpened`].
///
/// On duty as a KLD only.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct OpenLoading {
    /// The acquirer.
    pub owner: String,
}

/// What goes into KLD_CONNECT.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LoadingOpened {
    /// DF13, 65 bytes.
    pub point: Vec<u8>,
    /// DF14.
    pub nonce: [u8; 32],
    /// The ephemeral key, sealed for this HSM process alone: what [`LoadTerminalEc`](super::LoadTerminalEc) takes.
    pub ticket: Vec<u8>,
}
