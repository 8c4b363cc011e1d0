//! A suite with symbols in place of its cryptography: all that differs from suite to suite in an exploration. Another
//! suite is another file beside `tdes` and `ec_aes`.

mod ec_aes;
mod tdes;

use std::fmt::Debug;

use keyferry_flows::{
    sign_in::SignInSuite,
    tmk_download::{
        DownloadSuite, PadRefusal,
        kms::{ExpectReply, Hello, Reply, Told},
    },
};
use wire::{Frame, Kcv};

use crate::{
    faults::Rules,
    message::{Kind, Part, Sort},
    terms::{Connection, Place, Tmk, Word},
};

/// See the head of this file. What the attacker can put together is `own`, `sorts`, `parts_of` and `frame`; the PIN pad is
/// `opening` to `acknowledged`, the HSM `challenge` to `done`.
pub(crate) trait Symbols: DownloadSuite + SignInSuite {
    /// What both sides have of one download: what its proofs and key blocks are made with.
    type Run: Debug;

    /// Whether TK_CHALLENGE proves all that it says, so that a terminal only ever answers what a server said to it.
    const CHALLENGE_IS_BOUND: bool;
    /// Whether DONE is authenticated, so that the key before the new one may be given up then.
    const DONE_IS_PROVEN: bool;
    /// The usage of a MAK's block.
    const MAK: &'static str;

    /// What the attacker has of its own: random numbers, and garbage for what it cannot make.
    fn own() -> Vec<Part>;

    /// What the attacker can put together of this part and what it has of its own, without any key.
    fn mixed(part: &Part) -> Vec<Part>;

    /// What stands in a message, in order.
    fn sorts(kind: Kind) -> &'static [Sort];

    /// The parts of a frame that a role said, as [`Symbols::sorts`] has them.
    fn parts_of(frame: &Frame) -> Vec<Part>;

    /// A message of these parts.
    fn frame(kind: Kind, place: Option<Place>, parts: &[&Part]) -> Frame;

    /// A check value.
    fn check_value(of: [u8; 3]) -> Kcv;

    /// The load counter of the next frame with a TMK, in a suite that has one.
    fn next_counter(last: u8) -> Option<u8>;

    /// What a terminal's session opens a download with.
    fn opening(terminal: u8, session: u8) -> Self::Opening;

    /// What a terminal's session signs in with.
    fn fresh(terminal: u8, session: u8) -> Self::Fresh;

    /// A MAC with the MAK that was made in this connection.
    fn mac(word: Word, keys: Connection, fresh: Self::Fresh) -> Self::Mac;

    /// The PIN pad checks the proof in TK_CHALLENGE and makes its own.
    fn answer(
        terminal: u8,
        session: u8,
        hello: &Frame,
        challenge: &Frame,
        rules: Rules,
    ) -> Result<(Self::Run, Self::Reply), PadRefusal>;

    /// What the PIN pad says in KEY_CONFIRM, after these frames.
    fn confirmation(run: &Self::Run, said: &[Frame], tmk: Tmk) -> Self::Confirmation;

    /// Whether DONE after these frames is right, as far as the suite can tell.
    fn acknowledged(run: &Self::Run, said: &[Frame], tmk: Tmk, done: &Frame) -> bool;

    /// The HSM answers TK_HELLO.
    fn challenge(
        hello: Hello<Self>,
        connection: Connection,
        rules: Rules,
    ) -> (Frame, ExpectReply<Self>, Self::Run);

    /// Whether the terminal's proof is right.
    fn is_proven(run: &Self::Run, reply: &Reply<Self>) -> bool;

    /// Checks KEY_CONFIRM and gives DONE; `checks` is false where it is not looked at.
    fn done(run: &Self::Run, told: Told<Self>, tmk: Tmk, checks: bool) -> Option<Frame>;

    /// Names the key that the block of this run is under.
    fn kbpk(run: &Self::Run) -> String;

    /// Names what a terminal proves itself to: both sides have the same.
    fn mark(run: &Self::Run) -> Vec<u8>;

    /// Whether somebody who saw the run as its network, had what [`Symbols::own`] gives and learns TK afterwards can open
    /// its block, though the suite says that he cannot.
    fn is_read_later(run: &Self::Run) -> bool;
}
