//! The station's role. Who signs, and how the text gets there, is its driver's.

use alloc::vec::Vec;

use wire::{BcdTime, Device, Frame};

use super::{
    Fault, Reason,
    messages::{CHALLENGE, Done, Repair, RepairAsk, RepairChallenge, signed_text},
};
use crate::Chain;

/// A repair that has not begun.
#[derive(Debug, Default)]
pub struct Start;

impl Start {
    /// The start of the role.
    pub fn new() -> Start {
        Start
    }

    /// Begins: gives REPAIR_ASK.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn begin(self) -> Result<(Frame, ExpectChallenge), Fault> {
        Ok((RepairAsk.write()?, ExpectChallenge(())))
    }
}

/// REPAIR_ASK has left; REPAIR_CHALLENGE is to come.
#[derive(Debug)]
pub struct ExpectChallenge(());

impl ExpectChallenge {
    /// Takes REPAIR_CHALLENGE.
    ///
    /// # Errors
    /// 0002, 0003; the terminal's ERROR as [`ProtocolError::Peer`](crate::ProtocolError::Peer) with its code and text.
    pub fn on_frame(self, frame: &Frame) -> Result<Challenge, Fault> {
        Ok(Challenge { asked: RepairChallenge::read(frame)? })
    }
}

/// REPAIR_CHALLENGE was read. The connection may end here: the terminal keeps the challenge, and gives it again to the
/// next REPAIR_ASK, when the authorisation is there.
#[derive(Debug)]
pub struct Challenge {
    asked: RepairChallenge,
}

impl Challenge {
    /// Terminal and PIN pad, as they call themselves.
    pub fn device(&self) -> &Device {
        &self.asked.device
    }

    /// The challenge.
    pub fn challenge(&self) -> &[u8; CHALLENGE] {
        &self.asked.challenge
    }

    /// What the authoriser is to sign, with RSASSA-PSS, SHA-256 and a 32-byte salt.
    pub fn signed_text(&self, expiry: BcdTime) -> Vec<u8> {
        signed_text(&self.asked.device, &self.asked.challenge, expiry)
    }

    /// This is not the terminal that the authorisation is for: 0004.
    pub fn unknown_terminal(self) -> Fault {
        Reason::UnknownTerminal { sn: self.asked.device.sn().clone() }.into()
    }

    /// Gives REPAIR with the authoriser's signature over [`Challenge::signed_text`] and its certificate, the
    /// intermediates nearest to it first; X.509 DER.
    ///
    /// # Errors
    /// 0001 for certificates that fit into no frame.
    pub fn authorise(
        self,
        leaf: Vec<u8>,
        intermediates: Vec<Vec<u8>>,
        expiry: BcdTime,
        signature: Vec<u8>,
    ) -> Result<(Frame, ExpectDone), Fault> {
        let frame = Repair { chain: Chain { leaf, intermediates }, expiry, signature }.write()?;
        Ok((frame, ExpectDone { device: self.asked.device }))
    }
}

/// REPAIR has left; DONE is to come.
#[derive(Debug)]
pub struct ExpectDone {
    device: Device,
}

impl ExpectDone {
    /// Takes DONE: the terminal is in repair, every key in it wiped. Gives which terminal it is.
    ///
    /// # Errors
    /// 0002, 0003; the terminal's ERROR.
    pub fn on_frame(self, frame: &Frame) -> Result<Device, Fault> {
        Done::read(frame)?;
        Ok(self.device)
    }
}
