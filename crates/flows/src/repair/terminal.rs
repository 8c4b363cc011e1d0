//! The terminal's role. Challenge, certificate, signature, known time and life cycle are its driver's.

use alloc::{string::String, vec::Vec};

use wire::{BcdTime, Device, Frame};

use super::{
    Fault, Reason,
    messages::{CHALLENGE, Done, Repair, RepairAsk, RepairChallenge, signed_text},
};
use crate::Chain;

/// REPAIR_ASK was read.
#[derive(Debug)]
pub struct Ask(());

impl Ask {
    /// Takes REPAIR_ASK.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn read(frame: &Frame) -> Result<Ask, Fault> {
        RepairAsk::read(frame)?;
        Ok(Ask(()))
    }

    /// Gives REPAIR_CHALLENGE. The challenge was made in the PIN pad and is on disk before it leaves; one that is still
    /// unused is given again.
    ///
    /// # Errors
    /// None in practice: it has a bounded size.
    pub fn challenge(
        self,
        device: Device,
        challenge: [u8; CHALLENGE],
    ) -> Result<(Frame, ExpectRepair), Fault> {
        let frame = RepairChallenge { device: device.clone(), challenge }.write()?;
        Ok((frame, ExpectRepair { device, challenge }))
    }
}

/// A challenge is open; REPAIR is to come.
#[derive(Debug)]
pub struct ExpectRepair {
    device: Device,
    challenge: [u8; CHALLENGE],
}

impl ExpectRepair {
    /// A new connection to a terminal whose challenge, given on an earlier one, is still unused: REPAIR may come first.
    pub fn resume(device: Device, challenge: [u8; CHALLENGE]) -> ExpectRepair {
        ExpectRepair { device, challenge }
    }

    /// Takes REPAIR.
    ///
    /// # Errors
    /// 0002, also for an expiry that is no time; 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Authorisation, Fault> {
        let repair = Repair::read(frame)?;
        let signed_text = signed_text(&self.device, &self.challenge, repair.expiry);
        Ok(Authorisation { repair, signed_text })
    }
}

/// REPAIR was read. Nothing of it is believed yet: the driver checks chain and role, signature, expiry, in this order, and
/// has the PIN pad wipe every key, use the challenge up and enter repair, on disk.
#[derive(Debug)]
pub struct Authorisation {
    repair: Repair,
    signed_text: Vec<u8>,
}

impl Authorisation {
    /// The authoriser's certificate with its intermediates, for the driver to check: chain to a root that may issue the
    /// role repair authorisation, dates, key size, revocation.
    pub fn chain(&self) -> &Chain {
        &self.repair.chain
    }

    /// What the signature must be over: with this terminal's own serials and challenge.
    pub fn signed_text(&self) -> &[u8] {
        &self.signed_text
    }

    /// The signature: RSASSA-PSS, SHA-256, 32-byte salt.
    pub fn signature(&self) -> &[u8] {
        &self.repair.signature
    }

    /// Until when the authorisation holds.
    pub fn expiry(&self) -> BcdTime {
        self.repair.expiry
    }

    /// The certificate is refused: 000D.
    pub fn certificate_refused(self, why: String) -> Fault {
        Reason::CertificateRefused { why }.into()
    }

    /// The signature is wrong: 0005.
    pub fn wrong_signature(self) -> Fault {
        Reason::WrongSignature.into()
    }

    /// The authorisation has expired: 0008.
    pub fn expired(self) -> Fault {
        Reason::Expired { expiry: self.repair.expiry }.into()
    }

    /// Everything was good, every key is wiped and the terminal in repair, on disk: gives DONE.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn done(self) -> Result<Frame, Fault> {
        Ok(Done.write()?)
    }
}
