//! What a sign-in needs from a PIN pad.

use alloc::vec::Vec;

use wire::{Frame, Kcv, Slot};

use super::messages::{MAC, RANDOM};
use crate::PadRefusal;

/// What a sign-in needs from a PIN pad, one call a message.
///
/// The PIN pad trusts nobody outside: it is given whole frames, reads and hashes them itself, finds its own Rnd1 in
/// SIGN_IN, and takes no digest, place or suite from the application. A step in the wrong order, or with frames that do
/// not fit those before, is a [`PadRefusal`].
pub trait SignInPad {
    /// Begins a sign-in with a TMK of this slot, ending any that was open: gives a fresh Rnd1, top bit 0, and that TMK's
    /// check value. Attempt 0 is with the newest TMK, 1 with the one before it.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] when the slot has no such TMK.
    fn sign_in_begin(&mut self, slot: Slot, attempt: u8) -> Result<([u8; RANDOM], Kcv), PadRefusal>;

    /// Opens the blocks in `keys` under that TMK (PIK, MAK, maybe TDK; contexts over `sign_in` and the blocks before
    /// each), keeps the keys in memory, and gives the MAC for SIGN_IN_CONFIRM. The keys in use stay in use.
    ///
    /// # Errors
    /// [`PadRefusal::KeyRefused`] for a block that does not open, or is not in its place, time or use.
    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<[u8; MAC], PadRefusal>;

    /// Checks DONE's MAC in constant time and puts the new keys in place of the old ones, **on disk before it returns**
    /// their check values, in the order of WORKING_KEYS.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong MAC: the old keys stay in use.
    fn sign_in_done(&mut self, confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal>;

    /// Forgets a sign-in that did not end.
    fn sign_in_forget(&mut self);
}
