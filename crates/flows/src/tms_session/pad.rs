//! What a session with the TMS needs from a PIN pad.

use alloc::vec::Vec;
use core::fmt;

use wire::{BcdTime, Frame, OperatorId, TData};

use super::{TmsSuite, messages::OPERATOR_PROOF};
use crate::{Loaded, PadRefusal, Tdes};

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

/// What the PIN pad opens a session with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PadOpening<S: TmsSuite = Tdes> {
    /// A fresh T_DATA.
    pub t_data: TData,
    /// What the suite has beside it.
    pub opening: S::Opening,
}

/// What the PIN pad answers to a TMS that proved itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PadProof<S: TmsSuite = Tdes> {
    /// In suite 01 SAC_1 = MAC(DWK, S_DATA), in suite 02 MAC_T.
    pub proof: S::Proof,
    /// The operator's proof, if an operator was given.
    pub operator: Option<[u8; OPERATOR_PROOF]>,
}

/// What a session with the TMS needs from a PIN pad in each suite that it has: one call a message. The sealed phase behind
/// it, [`SealPad`], is the same for all suites.
///
/// The PIN pad trusts nobody outside: it is given whole frames, reads and hashes them itself, finds its own T_DATA in
/// TMS_HELLO, and takes no digest, place or suite from the application. A step in the wrong order, or with frames that
/// do not fit those before, is a [`PadRefusal`]. The session's keys live in its memory until
/// [`SealPad::tms_forget`], the next [`TmsPad::tms_begin`], or any failure.
pub trait TmsPad<S: TmsSuite = Tdes>: SealPad {
    /// Begins a session, forgetting an older one, and gives a fresh T_DATA, no time in it for a terminal without a
    /// clock; in suite 02 also a fresh ephemeral key and nonce.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] without a DMK of this suite.
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening<S>, PadRefusal>;

    /// Checks that T_DATA and the opening in `hello` are its own, and in constant time that `challenge` proves a TMS that
    /// holds DMK: in suite 01 it opens the DWK's block under DMK (place `<PIN pad>/00`, context over `hello`) and
    /// compares TAC_1, in suite 02 it compares MAC_S. Gives its own proof and, where an operator is given, the operator's.
    /// MAC_T is over both frames and over the TMS_PROOF that says this and nothing more, without it.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] whatever does not hold, with the same words.
    fn tms_prove(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof<S>, PadRefusal>;

    /// Begins the sealed phase with `key` (in suite 01 it opens the session key's block under DWK, context over `hello`,
    /// `challenge` and `proof`; in suite 02 it compares the receipt) and, in transaction 0001, opens TMK's in FF21 into
    /// the slot that `hello` named, whose owner must be DMK; TMK is **on disk before it returns** what KEY_CONFIRM is to
    /// say.
    ///
    /// # Errors
    /// [`PadRefusal::KeyRefused`] for a block that does not open, or is not in its place, time or use;
    /// [`PadRefusal::ServerNotProven`] for a wrong receipt; [`PadRefusal::NotPermitted`] for a slot of another owner.
    fn tms_keys(&mut self, proof: &Frame, key: &Frame) -> Result<Option<Loaded<S>>, PadRefusal>;

    /// Ends a session of transaction 0001. In suite 01 the old TMK stays until the new one has worked once; in suite 02 it
    /// goes once DONE's receipt is verified.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong receipt: both keys stay.
    fn tms_done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;
}

/// The sealed phase of a session, whatever its suite: the PIN pad knows which one it opened.
pub trait SealPad {
    /// Seals an inner payload (2-wire.md section 7, 3-hardened.md flow E) with the next number of its direction: gives
    /// DF4A's value.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] without a session, and past the limit of the session's keys.
    fn tms_seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, PadRefusal>;

    /// Opens DF4A's value of the other direction with the next number of that direction: gives the inner payload. **Any
    /// failure ends the session**, so a forged message cannot be tried against a second number.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong tag; [`PadRefusal::NotPermitted`] without a session, and past the
    /// limit of the session's keys.
    fn tms_open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, PadRefusal>;

    /// Blocks that the session's keys may still protect, both directions together; 0 without a session. What a block is
    /// says `tms_download`'s `SealSuite`.
    fn tms_blocks_left(&self) -> u64;

    /// Forgets the session and its keys.
    fn tms_forget(&mut self);
}
