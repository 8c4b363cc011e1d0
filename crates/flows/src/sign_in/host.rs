//! The host's role. Between messages the driver asks HSM and store with what the state gives it.

use alloc::{string::String, string::ToString};
use core::marker::PhantomData;

use wire::{Device, Frame, Kcv, Slot, Suite};

use super::{
    Fault, Reason, SignInSuite,
    messages::{self, KEYS, SignInConfirm, SignedIn, WorkingKeys},
};
use crate::Tdes;

/// A connection on which SIGN_IN is to come.
#[derive(Debug, Default)]
pub struct ExpectSignIn;

impl ExpectSignIn {
    /// The start of the role.
    pub fn new() -> ExpectSignIn {
        ExpectSignIn
    }

    /// Takes SIGN_IN of suite 01, or of one that nobody has.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<SignIn, Fault> {
        self.on_frame_of(frame)
    }

    /// Takes SIGN_IN of a suite.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn on_frame_of<S: SignInSuite>(self, frame: &Frame) -> Result<SignIn<S>, Fault> {
        Ok(SignIn { message: messages::SignIn::read(frame)?, frame: frame.clone() })
    }
}

/// SIGN_IN was read; nobody proves anything before SIGN_IN_CONFIRM.
#[derive(Debug)]
pub struct SignIn<S: SignInSuite = Tdes> {
    message: messages::SignIn<S>,
    frame: Frame,
}

impl<S: SignInSuite> SignIn<S> {
    /// The suite that the terminal asks for; for another than the role's, [`SignIn::deliver`] refuses.
    pub fn suite(&self) -> Suite {
        self.message.suite
    }

    /// Terminal and PIN pad, as they call themselves.
    pub fn device(&self) -> &Device {
        &self.message.device
    }

    /// The slot of the TMK.
    pub fn slot(&self) -> Slot {
        self.message.slot
    }

    /// Rnd1 or the nonce, which both MACs are over.
    pub fn fresh(&self) -> S::Fresh {
        self.message.fresh
    }

    /// The check value of the TMK that the terminal holds: active or pending, it must be one that this host holds for
    /// the slot, else 0006.
    pub fn kcv(&self) -> Kcv {
        self.message.kcv
    }

    /// SIGN_IN as it came, which the keys' contexts are over.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Gives WORKING_KEYS with the blocks that the HSM made: PIK, MAK and, where it is wanted, TDK. The pending keys
    /// must be in the store before.
    ///
    /// # Errors
    /// 0006 when the terminal had asked for another suite; 0001 for fewer than two or more than three blocks.
    pub fn deliver(self, blocks: &[String]) -> Result<(Frame, ExpectConfirm<S>), Fault> {
        let suite = self.message.suite;
        if suite != S::ID {
            return Err(Reason::SuiteNotSupported { suite }.into());
        }
        if !KEYS.contains(&blocks.len()) {
            return Err(Reason::Internal { why: "a sign-in brings two or three keys".to_string() }.into());
        }
        let frame = WorkingKeys { blocks: blocks.to_vec() }.write::<S>()?;
        Ok((frame, ExpectConfirm { suite: PhantomData }))
    }
}

/// WORKING_KEYS has left; SIGN_IN_CONFIRM is to come. When it does not, the old keys stay in use.
#[derive(Debug)]
pub struct ExpectConfirm<S: SignInSuite = Tdes> {
    suite: PhantomData<fn() -> S>,
}

impl<S: SignInSuite> ExpectConfirm<S> {
    /// Takes SIGN_IN_CONFIRM.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Confirm<S>, Fault> {
        Ok(Confirm { mac: SignInConfirm::<S>::read(frame)?.mac })
    }
}

/// SIGN_IN_CONFIRM was read. The HSM now checks its MAC and makes DONE's in one act; the store makes the keys active
/// before [`Confirm::done`] leaves.
#[derive(Debug)]
pub struct Confirm<S: SignInSuite = Tdes> {
    mac: S::Mac,
}

impl<S: SignInSuite> Confirm<S> {
    /// The MAC, for the HSM to check.
    pub fn mac(&self) -> S::Mac {
        self.mac
    }

    /// The HSM says that the MAC is wrong: 0006.
    pub fn wrong_mac(self) -> Fault {
        Reason::WrongMac.into()
    }

    /// Gives DONE with the MAC that the HSM made, the end.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn done(self, mac: S::Mac) -> Result<Frame, Fault> {
        Ok(SignedIn::<S> { mac }.write()?)
    }
}
