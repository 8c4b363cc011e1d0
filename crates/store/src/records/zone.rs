//! Zone keys, and what a POSP calls terminals (flow F).

use wire::Serial;

/// A zone's PIN key that the HSM imported or made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewZoneKey {
    /// The zone's name, which its block says too.
    pub zone: String,
    /// The key's block under the HSM's master key.
    pub block: String,
    /// Which algorithm it is for, in the server's words.
    pub algorithm: String,
    /// Its check value: 3 bytes (TDES) or 5 (AES).
    pub kcv: Vec<u8>,
}

/// The active key of a zone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ZoneKeyRecord {
    /// Unique in the store, never used again.
    pub id: i64,
    /// What was entered.
    pub key: NewZoneKey,
    /// When it was entered, Unix milliseconds.
    pub created_at: i64,
}

/// What a POSP calls a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalIdentity {
    /// The terminal's serial.
    pub sn: Serial,
    /// Terminal id, unique in the estate (ISO 8583 field 41).
    pub terminal_id: String,
    /// Merchant id (ISO 8583 field 42); empty if it has none.
    pub merchant_id: String,
}

/// What became of one identity of [`HostStore::map_identities`](crate::HostStore::map_identities).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapOutcome {
    /// It is the terminal's from now on.
    Stored,
    /// No such terminal.
    UnknownTerminal,
    /// That terminal has this terminal id.
    TerminalIdTaken(Serial),
}
