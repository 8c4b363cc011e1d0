//! The terminal's role.

use alloc::{string::ToString, vec::Vec};
use core::marker::PhantomData;

use wire::{Device, Frame, Kcv, Slot};

use super::{
    Fault, SignInPad, SignInSuite,
    messages::{SignIn, SignInConfirm, SignedIn, WorkingKeys},
};
use crate::{PadRefusal, Tdes};

/// What the PIN pad said; after a refusal it has forgotten the sign-in.
fn or_forget<S: SignInSuite, P: SignInPad<S>, T>(
    pad: &mut P,
    step: impl FnOnce(&mut P) -> Result<T, Fault>,
) -> Result<T, Fault> {
    step(pad).inspect_err(|_| pad.sign_in_forget())
}

/// A sign-in that has not begun.
#[derive(Debug)]
pub struct Start<S: SignInSuite = Tdes> {
    device: Device,
    slot: Slot,
    attempt: u8,
    suite: PhantomData<fn() -> S>,
}

impl Start {
    /// A sign-in in suite 01; see [`Start::of`].
    pub fn new(device: Device, slot: Slot, attempt: u8) -> Start {
        Start::of(device, slot, attempt)
    }
}

impl<S: SignInSuite> Start<S> {
    /// A sign-in with a TMK of this slot: attempt 0 is with the newest one, 1 with the one before it, for a host that
    /// answered 0006 because it does not hold the newest.
    pub fn of(device: Device, slot: Slot, attempt: u8) -> Start<S> {
        Start { device, slot, attempt, suite: PhantomData }
    }

    /// Begins: gives SIGN_IN.
    ///
    /// # Errors
    /// When the PIN pad refuses, for instance has no such TMK (0008).
    pub fn begin(self, pad: &mut impl SignInPad<S>) -> Result<(Frame, ExpectKeys<S>), Fault> {
        let Start { device, slot, attempt, suite } = self;
        or_forget(pad, |pad| {
            let (fresh, kcv) = pad.sign_in_begin(slot, attempt)?;
            let sign_in = SignIn::<S> { suite: S::ID, device, slot, fresh, kcv }.write()?;
            Ok((sign_in.clone(), ExpectKeys { slot, sign_in, suite }))
        })
    }
}

/// SIGN_IN has left; WORKING_KEYS is to come.
#[derive(Debug)]
pub struct ExpectKeys<S: SignInSuite = Tdes> {
    slot: Slot,
    sign_in: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: SignInSuite> ExpectKeys<S> {
    /// Takes WORKING_KEYS, gives SIGN_IN_CONFIRM. The old keys stay in use.
    ///
    /// # Errors
    /// 0007 for a key block that the PIN pad refuses; the host's 0006 when it does not hold this TMK.
    pub fn on_frame(
        self,
        pad: &mut impl SignInPad<S>,
        frame: &Frame,
    ) -> Result<(Frame, ExpectDone<S>), Fault> {
        or_forget(pad, |pad| {
            let keys = WorkingKeys::read::<S>(frame)?.blocks.len();
            let mac = pad.sign_in_keys(&self.sign_in, frame)?;
            let confirm = SignInConfirm::<S> { mac }.write()?;
            Ok((confirm.clone(), ExpectDone { slot: self.slot, keys, confirm, suite: self.suite }))
        })
    }
}

/// SIGN_IN_CONFIRM has left; DONE is to come. When it does not, the host may already use the new keys and the terminal
/// still uses the old ones: sign in again.
#[derive(Debug)]
pub struct ExpectDone<S: SignInSuite = Tdes> {
    slot: Slot,
    keys: usize,
    confirm: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: SignInSuite> ExpectDone<S> {
    /// Takes DONE. The new keys are on disk when this returns.
    ///
    /// # Errors
    /// 0005 for a wrong MAC: the old keys stay in use.
    pub fn on_frame(self, pad: &mut impl SignInPad<S>, frame: &Frame) -> Result<Finished, Fault> {
        or_forget(pad, |pad| {
            SignedIn::<S>::read(frame)?;
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
