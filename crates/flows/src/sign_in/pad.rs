//! What a sign-in needs from a PIN pad.

use alloc::vec::Vec;

use wire::{Frame, Kcv, Slot};

use super::SignInSuite;
use crate::{PadRefusal, Tdes};

/// What a sign-in needs from a PIN pad, one call a message, in each suite that it has.
///
/// The PIN pad trusts nobody outside: it is given whole frames, reads and hashes them itself, finds its own Rnd1 or nonce
/// in SIGN_IN, and takes no digest, place or suite from the application. A step in the wrong order, or with frames that do
/// not fit those before, is a [`PadRefusal`].
pub trait SignInPad<S: SignInSuite = Tdes> {
    /// Begins a sign-in with a TMK of this slot, ending any that was open: gives what makes it fresh, in suite 01 Rnd1
    /// with top bit 0 and in suite 02 a nonce, and that TMK's check value. Attempt 0 is with the newest TMK, 1 with the
    /// one before it.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] when the slot has no such TMK of this suite.
    fn sign_in_begin(&mut self, slot: Slot, attempt: u8) -> Result<(S::Fresh, Kcv), PadRefusal>;

    /// Opens the blocks in `keys` under that TMK (PIK, MAK, maybe TDK; contexts over `sign_in` and the blocks before
    /// each), keeps the keys in memory, and gives the MAC for SIGN_IN_CONFIRM. The keys in use stay in use.
    ///
    /// # Errors
    /// [`PadRefusal::KeyRefused`] for a block that does not open, or is not in its place, time or use.
    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<S::Mac, PadRefusal>;

    /// Checks DONE's MAC in constant time and puts the new keys in place of the old ones, **on disk before it returns**
    /// their check values, in the order of WORKING_KEYS.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong MAC: the old keys stay in use.
    fn sign_in_done(&mut self, confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal>;

    /// Forgets a sign-in that did not end.
    fn sign_in_forget(&mut self);
}
