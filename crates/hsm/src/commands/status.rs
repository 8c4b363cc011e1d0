use serde::{Deserialize, Serialize};

/// Asks who is there: the first command on a connection.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Status {}

/// What the HSM says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusReport {
    /// The protocol version, [`crate::protocol::VERSION`].
    pub protocol: u32,
    /// The backend, for people.
    pub backend: String,
    /// The LMK's generation, from 1.
    pub lmk_generation: u32,
    /// The LMK's check value: 10 hex digits, CMAC over a zero block (AES).
    pub lmk_check: String,
    /// What could not be had of the protections of the process, for the log (memory locking, for example).
    pub warnings: Vec<String>,
}
