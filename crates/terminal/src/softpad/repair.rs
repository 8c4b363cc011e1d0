//! Repair: the PIN pad's challenge, and its look at the authorisation (1-systems.md D; 2-wire.md section 3, types 54–56).

use flows::PadRefusal;
use flows::repair::messages::{CHALLENGE, signed_text};
use pki::Role;

use super::load::{not_permitted, not_proven};
use super::{Denied, SoftPad};
use crate::life_cycle::Milestone;
use crate::{LifeCycle, PinPad, RepairAuthorisation};

impl SoftPad {
    /// The open challenge, or a new one, on disk before it is given out.
    pub(super) fn make_challenge(&mut self) -> Result<[u8; CHALLENGE], Denied> {
        self.check_repairable()?;
        if let Some(challenge) = self.state.challenge {
            return Ok(challenge);
        }
        let mut challenge = [0; CHALLENGE];
        paycrypto::random::fill(&mut challenge).map_err(|error| Denied::Failed(error.to_string()))?;
        self.change(|state| state.challenge = Some(challenge))?;
        Ok(challenge)
    }

    /// Checks role, signature and expiry, in this order, and enters repair.
    pub(super) fn enter_repair(&mut self, authorisation: &RepairAuthorisation<'_>) -> Result<(), PadRefusal> {
        let RepairAuthorisation { key, device, expiry, signature, now } = authorisation;
        self.check_repairable()?;
        if key.role() != Role::RepairAuthorisation {
            return Err(self.deny("role", key.role().word(), "this certificate repairs nothing").into());
        }
        if device.pin_pad() != self.serial() {
            return Err(not_permitted("the authorisation is for another PIN pad"));
        }
        let Some(challenge) = self.state.challenge else {
            return Err(self.deny("repair", "no challenge", "no challenge is open: ask for one").into());
        };
        let text = signed_text(device, &challenge, *expiry);
        if !key.signed_text(&text, signature) {
            let why = "the signature is not over this terminal, its challenge and this expiry";
            self.deny("repair", "wrong signature", why);
            return Err(not_proven(why.into()));
        }
        if *now > expiry.unix() {
            let why = format!("the authorisation ended at {expiry}");
            return Err(self.deny("repair", &format!("ended {expiry}"), &why).into());
        }
        Ok(self.pass(Milestone::RepairAuthorised)?)
    }

    /// An open lid does not stand against a repair: it releases nothing, and repairers open terminals. What it demands
    /// of a deployed terminal is done before.
    fn check_repairable(&mut self) -> Result<(), Denied> {
        match self.sense(false) {
            Err(Denied::Failed(why)) => return Err(Denied::Failed(why)),
            Ok(()) | Err(Denied::NotPermitted(_)) => {}
        }
        let state: LifeCycle = self.state.life_cycle;
        if state.may_be_repaired() {
            return Ok(());
        }
        let why = format!("the terminal is {state}: only a deployed or tampered one is repaired");
        Err(self.deny("repair", &state.to_string(), &why))
    }
}
