//! Working keys of a slot, as the RKS and sign-ins give them.

use wire::{Kcv, Serial, Slot};

/// A kind of working key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WorkingKind {
    /// PIN encryption key.
    Pik,
    /// MAC key.
    Mak,
    /// Track key, by sign-in only.
    Tdk,
}

/// What one slot of one terminal holds of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct WorkingSlot {
    /// Made and perhaps sent, not confirmed.
    pub pending: Option<HeldWorkingKey>,
    /// Confirmed, in use.
    pub active: Option<HeldWorkingKey>,
}

/// A working key as an HSM block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldWorkingKey {
    /// Unique in the store, never used again.
    pub id: i64,
    /// X9.143 block under the HSM's master key.
    pub block: String,
    /// Its check value.
    pub kcv: Kcv,
    /// When it was made, Unix milliseconds.
    pub created_at: i64,
}

/// A working key that the HSM has just made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutWorking {
    /// The terminal.
    pub sn: Serial,
    /// The TMK's slot.
    pub slot: Slot,
    /// PIK or MAK.
    pub kind: WorkingKind,
    /// The key's block under the HSM's master key.
    pub block: String,
    /// Its check value.
    pub kcv: Kcv,
}

/// What became of [`DeviceStore::put_working_pending`](crate::DeviceStore::put_working_pending).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkingOutcome {
    /// It is the pending key and may be sent.
    Stored(HeldWorkingKey),
    /// Another request was first: this is the pending key. Nothing was written.
    Lost(HeldWorkingKey),
}

/// A key of one message, for [`DeviceStore::confirm_loaded`](crate::DeviceStore::confirm_loaded).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadedKey {
    /// [`HeldKey::id`](crate::HeldKey::id).
    Tmk(i64),
    /// [`HeldWorkingKey::id`].
    Working(i64),
}
