//! What a session with the TMS needs from a PIN pad.

use alloc::vec::Vec;
use core::fmt;

use wire::{BcdTime, Frame, Kcv, OperatorId, TData};

use super::messages::{MAC, OPERATOR_PROOF};
use crate::PadRefusal;

/// An operator and the password, for the PIN pad to make the proof with. Debug shows the id only.
#[derive(Clone)]
pub struct OperatorPassword<'a> {
    /// Who.
    pub id: OperatorId,
    /// The password's bytes. The owner wipes them.
    pub password: &'a [u8],
}

impl fmt::Debug for OperatorPassword<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OperatorPassword({})", self.id)
    }
}

/// What the PIN pad answers to a TMS that proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PadProof {
    /// SAC_1 = MAC(DWK, S_DATA).
    pub sac_1: [u8; MAC],
    /// The operator's proof, if an operator was given.
    pub operator: Option<[u8; OPERATOR_PROOF]>,
}

/// What a session with the TMS needs from a PIN pad: one call a message, then the sealed phase.
///
/// The PIN pad trusts nobody outside: it is given whole frames, reads and hashes them itself, finds its own T_DATA in
/// TMS_HELLO, and takes no digest, place or suite from the application. A step in the wrong order, or with frames that
/// do not fit those before, is a [`PadRefusal`]. DWK and session key live in its memory until
/// [`TmsPad::tms_forget`], the next [`TmsPad::tms_begin`], or any failure.
pub trait TmsPad {
    /// Begins a session, forgetting an older one, and gives a fresh T_DATA; no time in it for a terminal without a
    /// clock.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] without a DMK.
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<TData, PadRefusal>;

    /// Checks that T_DATA in `hello` is its own, opens the DWK's block in `challenge` under DMK (place
    /// `<PIN pad>/00`, context over `hello`) and compares TAC_1 in constant time; gives SAC_1 and, where an operator is
    /// given, the operator's proof.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a block that does not open and for a wrong TAC_1, with the same words.
    fn tms_prove(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof, PadRefusal>;

    /// Opens the session key's block in `key` under DWK (context over `hello`, `challenge` and `proof`) and, in
    /// transaction 0001, TMK's in FF21 into the slot that `hello` named, whose owner must be DMK; TMK is **on disk
    /// before it returns** its check value.
    ///
    /// # Errors
    /// [`PadRefusal::KeyRefused`] for a block that does not open, or is not in its place, time or use;
    /// [`PadRefusal::NotPermitted`] for a slot of another owner.
    fn tms_keys(&mut self, proof: &Frame, key: &Frame) -> Result<Option<Kcv>, PadRefusal>;

    /// Ends a session of transaction 0001. The old TMK stays until the new one has worked once.
    ///
    /// # Errors
    /// [`PadRefusal`].
    fn tms_done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;

    /// Seals an inner payload (2-wire.md section 7), direction 00 and the next number of that direction: gives DF4A's
    /// value.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] without a session, and past the limit of the session key.
    fn tms_seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, PadRefusal>;

    /// Opens DF4A's value, direction 01 and the next number of that direction: gives the inner payload. **Any failure
    /// ends the session**, so a forged message cannot be tried against a second number.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong tag; [`PadRefusal::NotPermitted`] without a session, and past the
    /// limit of the session key.
    fn tms_open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, PadRefusal>;

    /// Blocks that the session key may still protect, both directions together; 0 without a session.
    fn tms_blocks_left(&self) -> u64;

    /// Forgets the session and its keys.
    fn tms_forget(&mut self);
}
