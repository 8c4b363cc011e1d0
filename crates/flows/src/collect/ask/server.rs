//! The role of the KMS or MTMS. Windows, certificate and store are its driver's.

use wire::{Device, Frame, Suite};

use super::CollectAsk;
use crate::{
    Tdes,
    collect::{
        CollectSuite, Fault, Reason,
        messages::{CollectKey, Collected},
        station,
    },
    loading::Done,
};

/// A connection on which COLLECT_ASK is to come.
#[derive(Debug, Default)]
pub struct ExpectAsk;

impl ExpectAsk {
    /// The start of the role.
    pub fn new() -> ExpectAsk {
        ExpectAsk
    }

    /// Takes COLLECT_ASK.
    ///
    /// # Errors
    /// 0002, also for DF03 equal to DF02; 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Asked, Fault> {
        Ok(Asked { ask: CollectAsk::read(frame)? })
    }
}

/// COLLECT_ASK was read. The driver now looks for a window that two people opened for this serial.
#[derive(Debug)]
pub struct Asked {
    ask: CollectAsk,
}

impl Asked {
    /// Terminal and PIN pad, as they call themselves.
    pub fn device(&self) -> &Device {
        &self.ask.device
    }

    /// The suite that the terminal wants to be collected in.
    pub fn suite(&self) -> Suite {
        self.ask.suite
    }

    /// No window is open for this serial, or it is for another PIN pad: 0006.
    pub fn no_window(self) -> Fault {
        Reason::NoWindow { sn: self.ask.device.sn().clone() }.into()
    }

    /// A window is open: gives COLLECT under this key, whose RSA modulus has so many bytes.
    ///
    /// # Errors
    /// 0006, as where no window is open, for another suite; 0001 for a modulus that this suite does not have, or
    /// certificates that fit into no frame.
    pub fn collect(self, key: CollectKey, modulus_bytes: usize) -> Result<(Frame, ExpectCollected), Fault> {
        self.collect_of(key, (), modulus_bytes)
    }

    /// A window is open: gives COLLECT of a suite under this key, which seals a TK in so many bytes.
    ///
    /// # Errors
    /// 0006, as where no window is open, for another suite; 0001 for a size that this suite does not have, or
    /// certificates that fit into no frame.
    pub fn collect_of<S: CollectSuite>(
        self,
        key: CollectKey,
        nonce: S::Nonce,
        sealed: usize,
    ) -> Result<(Frame, ExpectCollected<S>), Fault> {
        if self.ask.suite != S::ID {
            return Err(self.no_window());
        }
        let (frame, inner) = station::Start::of(key, nonce, sealed).begin()?;
        Ok((frame, ExpectCollected { device: self.ask.device, inner }))
    }
}

/// COLLECT has left; COLLECTED is to come.
#[derive(Debug)]
pub struct ExpectCollected<S: CollectSuite = Tdes> {
    device: Device,
    inner: station::ExpectCollected<S>,
}

impl<S: CollectSuite> ExpectCollected<S> {
    /// Takes COLLECTED.
    ///
    /// # Errors
    /// 0002, also when Ctk_Pu is not as long as the modulus; 0003; 0006 when it names another device than the one that
    /// asked; the terminal's ERROR with its refusal records.
    pub fn on_frame(self, frame: &Frame) -> Result<Received<S>, Fault> {
        let collected = self.inner.on_frame(frame)?;
        if collected.device != self.device {
            return Err(Reason::OtherDevice { asked: self.device.sn().clone() }.into());
        }
        Ok(Received { collected })
    }
}

/// COLLECTED was read. The HSM now opens Ctk_Pu once, to check it, and the store takes it, before
/// [`Received::done`] leaves.
#[derive(Debug)]
pub struct Received<S: CollectSuite = Tdes> {
    collected: Collected<S>,
}

impl<S: CollectSuite> Received<S> {
    /// What was collected.
    pub fn collected(&self) -> &Collected<S> {
        &self.collected
    }

    /// The HSM does not take what was collected, says why: 0002, as at an upload.
    pub fn refused(self, why: alloc::string::String) -> Fault {
        Reason::CtkPuRefused { why }.into()
    }

    /// It is stored: gives DONE and what was collected.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn done(self) -> Result<(Frame, Collected<S>), Fault> {
        Ok((Done.write()?, self.collected))
    }
}
