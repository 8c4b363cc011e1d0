//! The terminal's role.

use alloc::{string::ToString, vec::Vec};

use wire::{Device, Frame, Kcv, Slot, Suite};

use super::{
    Fault, SignInPad,
    messages::{SignIn, SignInConfirm, SignedIn, WorkingKeys},
};
use crate::PadRefusal;

/// What the PIN pad said; after a refusal it has forgotten the sign-in.
fn or_forget<P: SignInPad, T>(
    pad: &mut P,
    step: impl FnOnce(&mut P) -> Result<T, Fault>,
) -> Result<T, Fault> {
    step(pad).inspect_err(|_| pad.sign_in_forget())
}

/// A sign-in that has not begun.
#[derive(Debug)]
pub struct Start {
    device: Device,
    slot: Slot,
    attempt: u8,
}

impl Start {
    /// A sign-in with a TMK of this slot: attempt 0 is with the newest one, 1 with the one before it, for a host that
    /// answered 0006 because it does not hold the newest.
    pub fn new(device: Device, slot: Slot, attempt: u8) -> Start {
        Start { device, slot, attempt }
    }

    /// Begins: gives SIGN_IN.
    ///
    /// # Errors
    /// When the PIN pad refuses, for instance has no such TMK (0008).
    pub fn begin(self, pad: &mut impl SignInPad) -> Result<(Frame, ExpectKeys), Fault> {
        let Start { device, slot, attempt } = self;
        or_forget(pad, |pad| {
            let (rnd1, kcv) = pad.sign_in_begin(slot, attempt)?;
            let sign_in = SignIn { suite: Suite::TDES, device, slot, rnd1, kcv }.write()?;
            Ok((sign_in.clone(), ExpectKeys { slot, sign_in }))
        })
    }
}

/// SIGN_IN has left; WORKING_KEYS is to come.
#[derive(Debug)]
pub struct ExpectKeys {
    slot: Slot,
    sign_in: Frame,
}

impl ExpectKeys {
    /// Takes WORKING_KEYS, gives SIGN_IN_CONFIRM. The old keys stay in use.
    ///
    /// # Errors
    /// 0007 for a key block that the PIN pad refuses; the host's 0006 when it does not hold this TMK.
    pub fn on_frame(self, pad: &mut impl SignInPad, frame: &Frame) -> Result<(Frame, ExpectDone), Fault> {
        or_forget(pad, |pad| {
            let keys = WorkingKeys::read(frame)?.blocks.len();
            let mac = pad.sign_in_keys(&self.sign_in, frame)?;
            let confirm = SignInConfirm { mac }.write()?;
            Ok((confirm.clone(), ExpectDone { slot: self.slot, keys, confirm }))
        })
    }
}

/// SIGN_IN_CONFIRM has left; DONE is to come. When it does not, the host may already use the new keys and the terminal
/// still uses the old ones: sign in again.
#[derive(Debug)]
pub struct ExpectDone {
    slot: Slot,
    keys: usize,
    confirm: Frame,
}

impl ExpectDone {
    /// Takes DONE. The new keys are on disk when this returns.
    ///
    /// # Errors
    /// 0005 for a wrong MAC: the old keys stay in use.
    pub fn on_frame(self, pad: &mut impl SignInPad, frame: &Frame) -> Result<Finished, Fault> {
        or_forget(pad, |pad| {
            SignedIn::read(frame)?;
            let kcvs = pad.sign_in_done(&self.confirm, frame)?;
            if kcvs.len() == self.keys {
                Ok(Finished { slot: self.slot, kcvs })
            } else {
                let why = "it did not give one check value for each key".to_string();
                Err(PadRefusal::Failed { why }.into())
            }
        })
    }
}

/// The sign-in is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    slot: Slot,
    kcvs: Vec<Kcv>,
}

impl Finished {
    /// The slot whose working keys these are.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The check values of PIK, MAK and, where there is one, TDK.
    pub fn kcvs(&self) -> &[Kcv] {
        &self.kcvs
    }
}
