//! TMK slots: `Empty → Pending → Active → Retired` (2-wire.md section 4, Confirming).

use wire::{Kcv, Serial, Slot, Suite};

/// What one slot of one terminal holds. All `None` and empty: the slot is empty.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SlotRecord {
    /// Made and perhaps sent, not confirmed. At most one over all servers of an estate.
    pub pending: Option<HeldKey>,
    /// Confirmed by the terminal, in use.
    pub active: Option<HeldKey>,
    /// Those before it, newest first, at most [`limits::RETIRED_SHOWN`](crate::limits::RETIRED_SHOWN).
    pub retired: Vec<HeldKey>,
    /// The last load counter given for this slot of the PIN pad; 0 if none was.
    pub load_counter: u64,
}

/// A TMK as an HSM block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldKey {
    /// Unique in the store, never used again.
    pub id: i64,
    /// The PIN pad it was made for; with the slot, the place inside its block.
    pub key_serial: Serial,
    /// X9.143 block under the HSM's master key.
    pub block: String,
    /// Its check value.
    pub kcv: Kcv,
    /// The generation of the TK that it first travelled under.
    pub tk_generation: i64,
    /// When it was made, Unix milliseconds.
    pub created_at: i64,
    /// When it last became pending, active or retired, Unix milliseconds.
    pub changed_at: i64,
    /// How often it has left for the terminal: 1 when made, one more with each re-send.
    pub sent_count: i64,
}

impl HeldKey {
    /// The suite that it is of.
    #[must_use]
    pub fn suite(&self) -> Suite {
        suite_of(self.kcv)
    }
}

/// The suite of a key with this check value: TDES keys are of suite 01, AES keys of suite 02.
#[must_use]
pub fn suite_of(kcv: Kcv) -> Suite {
    match kcv {
        Kcv::Tdes(_) => Suite::TDES,
        Kcv::Aes(_) => Suite::EC_AES,
    }
}

/// A key that the HSM has just made for a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutPending {
    /// The terminal.
    pub sn: Serial,
    /// The slot.
    pub slot: Slot,
    /// The TK's generation that the terminal proved, from [`TerminalRecord`](crate::TerminalRecord).
    pub tk_generation: i64,
    /// The key's block under the HSM's master key.
    pub block: String,
    /// Its check value.
    pub kcv: Kcv,
    /// The load counter inside the block that is about to be sent: a key of suite 02 has one, a key of suite 01 none.
    pub load_counter: Option<u64>,
}

/// What became of [`Store::put_pending`](crate::Store::put_pending).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PendingOutcome {
    /// It is the slot's pending key and may be sent.
    Stored(HeldKey),
    /// Another request was first: this is the slot's pending key, of the same suite. Nothing was written.
    Lost(HeldKey),
    /// The terminal's TK has changed since. Nothing was written.
    StaleTk,
    /// A key held for the slot has this check value; have the HSM make another (2-wire.md section 4, Flow F).
    /// Nothing was written.
    SameCheckValue,
    /// The load counter is not above the last one given: look again. Nothing was written.
    CounterTaken,
    /// The slot has held a key of a higher suite, and no allowance runs. Nothing was written.
    LowerSuite,
}

/// What became of [`Store::resend_pending`](crate::Store::resend_pending).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ResendOutcome {
    /// Counted; the key may be sent again.
    Counted(HeldKey),
    /// It is not pending any more. Nothing was written.
    Gone,
    /// The load counter is not above the last one given: look again. Nothing was written.
    CounterTaken,
}

/// What became of [`Store::confirm`](crate::Store::confirm).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfirmOutcome {
    /// Pending became active; what was active is retired.
    Activated,
    /// It had been confirmed before. Nothing was written.
    AlreadyActive,
    /// It is neither pending nor active; or it is of a lower suite than its slot has held, and no allowance runs any
    /// more. Nothing was written.
    Gone,
}

/// What became of [`Store::set_tk_blocks`](crate::Store::set_tk_blocks).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TkOutcome {
    /// The ciphertext gave way to the blocks.
    Stored,
    /// Another request did it before, for the same generation. Nothing was written.
    AlreadyBlocks,
    /// The terminal's TK has changed since. Nothing was written.
    StaleTk,
}
