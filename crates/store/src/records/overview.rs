//! Numbers for a status page.

/// How many of what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Overview {
    /// Acquirers.
    pub acquirers: u64,
    /// Terminals.
    pub terminals: u64,
    /// Terminals whose TK is still as collected.
    pub tks_as_ciphertext: u64,
    /// Terminals whose TK is held as blocks.
    pub tks_as_blocks: u64,
    /// Slots with a pending key.
    pub pending_keys: u64,
    /// Slots with an active key.
    pub active_keys: u64,
    /// Retired keys.
    pub retired_keys: u64,
    /// Collections taken.
    pub collections: u64,
    /// Replacements that wait for a second person.
    pub replacements_waiting: u64,
    /// Audit events.
    pub events: u64,
}
