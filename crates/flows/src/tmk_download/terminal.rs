//! The terminal's role.

use alloc::{string::ToString, vec::Vec};

use wire::{Device, Fields, Frame, Kcv, Slot, Suite};

use super::{
    Fault, PadRefusal,
    messages::{Done, KeyConfirm, RANDOM, TkChallenge, TkHello, TkKey, TkReply, top_bit},
};

/// What a TMK download needs from a PIN pad, one call a message.
///
/// The PIN pad trusts nobody outside: it is given whole frames, reads and hashes them itself, finds its own Rnd1 in
/// TK_HELLO, and takes no digest, place or suite from the application. A step in the wrong order, or with frames that do
/// not fit those before, is a [`PadRefusal`].
///
/// **State is on disk before the call that depends on it returns**, because the message that depends on it leaves right
/// after. A PIN pad that cannot write its state answers [`PadRefusal::Failed`], and nothing leaves.
pub trait DownloadPad {
    /// Begins a download into a slot, ending any that was open, and gives a fresh Rnd1 with top bit 0.
    ///
    /// # Errors
    /// [`PadRefusal`].
    fn start(&mut self, slot: Slot) -> Result<[u8; RANDOM], PadRefusal>;

    /// Checks that Rnd1 in `hello` is its own, that Rnd2 has top bit 1 and that Crnd1 = E(AUK, Rnd1), in constant time
    /// and with a TK whose hash it has just checked; gives Crnd2 = E(AUK, Rnd2).
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong Crnd1.
    fn challenge(&mut self, hello: &Frame, challenge: &Frame) -> Result<[u8; RANDOM], PadRefusal>;

    /// Opens the key block in `key`, whose context is over the three frames before it (`reply` is the last of them),
    /// and keeps the new TMK beside the old one, both usable, **on disk before it returns** the check value: KEY_CONFIRM
    /// lets the KMS retire the old key.
    ///
    /// # Errors
    /// [`PadRefusal::KeyRefused`] for a block that does not open, or is not in its place, time or use.
    fn key(&mut self, reply: &Frame, key: &Frame) -> Result<Kcv, PadRefusal>;

    /// Ends the download. DONE is not authenticated in this suite: the old TMK stays until the new one has worked once.
    /// What the PIN pad remembers of DONE is on disk before it returns.
    ///
    /// # Errors
    /// [`PadRefusal`].
    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;
}

/// A download that has not begun.
#[derive(Debug)]
pub struct Start {
    device: Device,
    slot: Slot,
    refusals: Vec<Fields>,
}

impl Start {
    /// A download into this slot of this device's PIN pad.
    pub fn new(device: Device, slot: Slot) -> Start {
        Start { device, slot, refusals: Vec::new() }
    }

    /// With records of refusals (FF23: DF28, DF29, DF2A each) that TK_HELLO is to carry along.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Vec<Fields>) -> Start {
        self.refusals = refusals;
        self
    }

    /// Begins: gives TK_HELLO.
    ///
    /// # Errors
    /// When the PIN pad refuses, or its Rnd1 has the wrong top bit (0001: it would make reflection possible).
    pub fn begin(self, pad: &mut impl DownloadPad) -> Result<(Frame, ExpectChallenge), Fault> {
        let rnd1 = pad.start(self.slot)?;
        if top_bit(&rnd1) {
            return Err(PadRefusal::Failed { why: "its Rnd1 has the wrong top bit".to_string() }.into());
        }
        let Start { device, slot, refusals } = self;
        let hello = TkHello { suite: Suite::TDES, device, slot, rnd1, refusals }.write()?;
        Ok((hello.clone(), ExpectChallenge { slot, hello }))
    }
}

/// TK_HELLO has left; TK_CHALLENGE is to come.
#[derive(Debug)]
pub struct ExpectChallenge {
    slot: Slot,
    hello: Frame,
}

impl ExpectChallenge {
    /// Takes TK_CHALLENGE, gives TK_REPLY.
    ///
    /// # Errors
    /// 0002 for a wrong top bit of Rnd2, 0005 for a wrong Crnd1.
    pub fn on_frame(self, pad: &mut impl DownloadPad, frame: &Frame) -> Result<(Frame, ExpectKey), Fault> {
        TkChallenge::read(frame)?;
        let crnd2 = pad.challenge(&self.hello, frame)?;
        let reply = TkReply { crnd2 }.write()?;
        Ok((reply.clone(), ExpectKey { slot: self.slot, reply }))
    }
}

/// TK_REPLY has left; TK_KEY is to come.
#[derive(Debug)]
pub struct ExpectKey {
    slot: Slot,
    reply: Frame,
}

impl ExpectKey {
    /// Takes TK_KEY, gives KEY_CONFIRM. The new key is on disk when this returns.
    ///
    /// # Errors
    /// 0007 for a key block that the PIN pad refuses.
    pub fn on_frame(self, pad: &mut impl DownloadPad, frame: &Frame) -> Result<(Frame, ExpectDone), Fault> {
        TkKey::read(frame)?;
        let kcv = pad.key(&self.reply, frame)?;
        let confirm = KeyConfirm { kcv }.write()?;
        Ok((confirm.clone(), ExpectDone { slot: self.slot, kcv, confirm }))
    }
}

/// KEY_CONFIRM has left; DONE is to come. When it does not, the new key is still there: the KMS may already hold it as
/// the active one.
#[derive(Debug)]
pub struct ExpectDone {
    slot: Slot,
    kcv: Kcv,
    confirm: Frame,
}

impl ExpectDone {
    /// Takes DONE.
    ///
    /// # Errors
    /// When it is no DONE, or the PIN pad refuses.
    pub fn on_frame(self, pad: &mut impl DownloadPad, frame: &Frame) -> Result<Finished, Fault> {
        Done::read(frame)?;
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
