//! Sign-ins: working keys under the TMK that a terminal named (flow F).

use wire::{Kcv, Serial, Slot};

use crate::{HeldWorkingKey, WorkingKind};

/// A working key that the HSM has made for a sign-in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewWorking {
    /// PIK, MAK or TDK.
    pub kind: WorkingKind,
    /// The key's block under the HSM's master key.
    pub block: String,
    /// Its check value.
    pub kcv: Kcv,
}

/// The keys that a sign-in is about to be answered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignInKeys {
    /// The terminal.
    pub sn: Serial,
    /// The TMK's slot.
    pub slot: Slot,
    /// [`HeldKey::id`](crate::HeldKey::id) of the TMK that the keys travel under, pending or active.
    pub tmk: i64,
    /// What the terminal's SIGN_IN had at random: Rnd1 (DF05, 8 bytes), in suite 02 its nonce (DF14, 32 bytes).
    pub rnd1: Vec<u8>,
    /// The keys, in the order of WORKING_KEYS; each kind once.
    pub keys: Vec<NewWorking>,
}

/// What became of [`HostStore::begin_sign_in`](crate::HostStore::begin_sign_in).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignInOutcome {
    /// The keys are pending and may be sent; their ids, in order.
    Stored(Vec<i64>),
    /// The TMK is neither pending nor active in this slot any more. Nothing was written.
    Gone,
}

/// A sign-in that is answered and not confirmed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PendingSignIn {
    /// [`HeldKey::id`](crate::HeldKey::id) of the TMK.
    pub tmk: i64,
    /// What the terminal's SIGN_IN had at random: Rnd1 (DF05, 8 bytes), in suite 02 its nonce (DF14, 32 bytes).
    pub rnd1: Vec<u8>,
    /// The keys, in the order in which they were sent.
    pub keys: Vec<(WorkingKind, HeldWorkingKey)>,
    /// When it was answered, Unix milliseconds.
    pub created_at: i64,
}

/// A working key in use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ActiveWorking {
    /// The key.
    pub key: HeldWorkingKey,
    /// The PIN pad that holds it; with the slot, the place inside its block.
    pub key_serial: Serial,
    /// Since when it is active, Unix milliseconds.
    pub activated_at: i64,
    /// How often it was used, as far as counted.
    pub uses: u64,
}
