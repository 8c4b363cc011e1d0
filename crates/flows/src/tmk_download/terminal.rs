//! The terminal's role.

use alloc::vec::Vec;
use core::marker::PhantomData;

use wire::{Device, Fields, Frame, Kcv, MessageType, Slot};

use super::{
    DownloadSuite, Fault, PadRefusal, Reason,
    messages::{TkHello, TkKey},
};
use crate::{
    Loaded, Tdes,
    suite::{self, Part},
};

/// What a TMK download needs from a PIN pad, one call a message, in each suite that it has.
///
/// The PIN pad trusts nobody outside: it is given whole frames, reads and hashes them itself, finds its own opening in
/// TK_HELLO, and takes no digest, place or suite from the application. A step in the wrong order, or with frames that do
/// not fit those before, is a [`PadRefusal`].
///
/// **State is on disk before the call that depends on it returns**, because the message that depends on it leaves right
/// after. A PIN pad that cannot write its state answers [`PadRefusal::Failed`], and nothing leaves.
pub trait DownloadPad<S: DownloadSuite = Tdes> {
    /// Begins a download into a slot, ending any that was open, and gives a fresh opening: in suite 01 Rnd1 with top bit
    /// 0, in suite 02 an ephemeral key and a nonce.
    ///
    /// # Errors
    /// [`PadRefusal`].
    fn start(&mut self, slot: Slot) -> Result<S::Opening, PadRefusal>;

    /// Checks that the opening in `hello` is its own and that `challenge` proves a server that holds AUK, in constant
    /// time and with a TK whose hash it has just checked; gives its own proof for TK_REPLY. In suite 01 that is Crnd1 =
    /// E(AUK, Rnd1) and Crnd2 = E(AUK, Rnd2), Rnd2 with top bit 1; in suite 02 MAC_S and MAC_T, the latter over TK_REPLY
    /// without it.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong proof.
    fn challenge(&mut self, hello: &Frame, challenge: &Frame) -> Result<S::Reply, PadRefusal>;

    /// Opens the key block in `key`, whose context is over the three frames before it (`reply` is the last of them),
    /// and keeps the new TMK beside the old one, both usable, **on disk before it returns** what KEY_CONFIRM is to say:
    /// KEY_CONFIRM lets the KMS retire the old key. In suite 02 the block's load counter is higher than the slot's, and
    /// on disk with the key.
    ///
    /// # Errors
    /// [`PadRefusal::KeyRefused`] for a block that does not open, or is not in its place, time or use.
    fn key(&mut self, reply: &Frame, key: &Frame) -> Result<Loaded<S>, PadRefusal>;

    /// Ends the download. What the PIN pad remembers of DONE is on disk before it returns. In suite 01 DONE is not
    /// authenticated: the old TMK stays until the new one has worked once. In suite 02 it goes once DONE's receipt is
    /// verified.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong receipt: both keys stay.
    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;
}

/// A download that has not begun.
#[derive(Debug)]
pub struct Start<S: DownloadSuite = Tdes> {
    device: Device,
    slot: Slot,
    refusals: Vec<Fields>,
    suite: PhantomData<fn() -> S>,
}

impl Start {
    /// A download in suite 01 into this slot of this device's PIN pad.
    pub fn new(device: Device, slot: Slot) -> Start {
        Start::of(device, slot)
    }
}

impl<S: DownloadSuite> Start<S> {
    /// A download into this slot of this device's PIN pad.
    pub fn of(device: Device, slot: Slot) -> Start<S> {
        Start { device, slot, refusals: Vec::new(), suite: PhantomData }
    }

    /// With records of refusals (FF23: DF28, DF29, DF2A each) that TK_HELLO is to carry along.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Vec<Fields>) -> Self {
        self.refusals = refusals;
        self
    }

    /// Begins: gives TK_HELLO.
    ///
    /// # Errors
    /// When the PIN pad refuses, or its opening has not its form (0001: a wrong top bit of Rnd1 would make reflection
    /// possible).
    pub fn begin(self, pad: &mut impl DownloadPad<S>) -> Result<(Frame, ExpectChallenge<S>), Fault> {
        let Start { device, slot, refusals, .. } = self;
        let opening = pad.start(slot)?;
        let hello = TkHello::<S> { suite: S::ID, device, slot, opening, refusals }.write()?;
        Ok((hello.clone(), ExpectChallenge { slot, hello, suite: PhantomData }))
    }
}

/// TK_HELLO has left; TK_CHALLENGE is to come.
#[derive(Debug)]
pub struct ExpectChallenge<S: DownloadSuite = Tdes> {
    slot: Slot,
    hello: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: DownloadSuite> ExpectChallenge<S> {
    /// Takes TK_CHALLENGE, gives TK_REPLY.
    ///
    /// # Errors
    /// 0002, also for a wrong top bit of Rnd2; 0005 for a wrong proof.
    pub fn on_frame(
        self,
        pad: &mut impl DownloadPad<S>,
        frame: &Frame,
    ) -> Result<(Frame, ExpectKey<S>), Fault> {
        S::Challenge::read(&S::read(frame, MessageType::TkChallenge)?)?;
        let proof = pad.challenge(&self.hello, frame)?;
        let reply = suite::write::<S>(MessageType::TkReply, |fields| proof.push(fields))?;
        Ok((reply.clone(), ExpectKey { slot: self.slot, reply, suite: PhantomData }))
    }
}

/// TK_REPLY has left; TK_KEY is to come.
#[derive(Debug)]
pub struct ExpectKey<S: DownloadSuite = Tdes> {
    slot: Slot,
    reply: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: DownloadSuite> ExpectKey<S> {
    /// Takes TK_KEY, gives KEY_CONFIRM. The new key is on disk when this returns.
    ///
    /// # Errors
    /// 0007 for a key block that the PIN pad refuses.
    pub fn on_frame(
        self,
        pad: &mut impl DownloadPad<S>,
        frame: &Frame,
    ) -> Result<(Frame, ExpectDone<S>), Fault> {
        TkKey::read::<S>(frame)?;
        let Loaded { kcvs, confirmation } = pad.key(&self.reply, frame)?;
        let [kcv] = kcvs.as_slice() else {
            let why = "it did not give one check value for the one key".into();
            return Err(Reason::from(PadRefusal::Failed { why }).into());
        };
        let confirm = suite::write::<S>(MessageType::KeyConfirm, |fields| confirmation.push(fields))?;
        Ok((confirm.clone(), ExpectDone { slot: self.slot, kcv: *kcv, confirm, suite: PhantomData }))
    }
}

/// KEY_CONFIRM has left; DONE is to come. When it does not, the new key is still there: the KMS may already hold it as
/// the active one.
#[derive(Debug)]
pub struct ExpectDone<S: DownloadSuite = Tdes> {
    slot: Slot,
    kcv: Kcv,
    confirm: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: DownloadSuite> ExpectDone<S> {
    /// Takes DONE.
    ///
    /// # Errors
    /// When it is no DONE, or the PIN pad refuses.
    pub fn on_frame(self, pad: &mut impl DownloadPad<S>, frame: &Frame) -> Result<Finished, Fault> {
        S::check_done(&S::read(frame, MessageType::Done)?)?;
        pad.done(&self.confirm, frame)?;
        Ok(Finished { slot: self.slot, kcv: self.kcv })
    }

    /// The check value of the key that KEY_CONFIRM told.
    pub fn kcv(&self) -> Kcv {
        self.kcv
    }
}

/// The download is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    slot: Slot,
    kcv: Kcv,
}

impl Finished {
    /// The slot that was filled.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The check value of its new TMK.
    pub fn kcv(&self) -> Kcv {
        self.kcv
    }
}
