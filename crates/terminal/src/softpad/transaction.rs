//! The PIN pad's part of a transaction: PIN block, MAC, track data.
//!
//! Nothing here ends a flow that is open: a payment goes on while a program is being downloaded.

use flows::PadRefusal;
use pinblock::{Format, Pan, Pin};
use wire::Slot;

use super::load::{failed, not_permitted};
use super::slot_keys::WorkingKeys;
use super::{Denied, SoftPad};
use crate::transaction::{MAX_MAC_DATA, MAX_TRACK, PINS_AN_HOUR, TransactionPad};

/// The check in the log of refusals.
const PIN_RATE: &str = "PIN rate";

impl TransactionPad for SoftPad {
    fn pin_block(&mut self, slot: Slot, pin: Pin, pan: &Pan, format: Format) -> Result<[u8; 8], PadRefusal> {
        self.may_transact()?;
        if !matches!(format, Format::Iso0 | Format::Iso3) {
            return Err(not_permitted("a PIN pad of suite 01 makes PIN blocks of formats 0 and 3"));
        }
        // What cannot be encrypted takes nothing of the rate.
        pan.fits(format).map_err(|error| not_permitted(error.to_string()))?;
        let clear = pinblock::encode(format, &pin, Some(pan)).map_err(failed)?;
        drop(pin);
        self.working(slot, "PIK", |keys| keys.pik.as_ref()?.in_use().map(|_| ()))?;
        self.take_pin()?;
        self.working(slot, "PIK", |keys| Some(keys.pik.as_ref()?.in_use()?.encrypt_block(clear.expose())))
    }

    fn mac(&mut self, slot: Slot, data: &[u8]) -> Result<[u8; 8], PadRefusal> {
        self.may_transact()?;
        if data.len() > MAX_MAC_DATA {
            return Err(not_permitted(format!("a MAC is over at most {MAX_MAC_DATA} bytes")));
        }
        self.working(slot, "MAK", |keys| Some(keys.mak.as_ref()?.in_use()?.mac(data)))?.map_err(failed)
    }

    fn encrypt_track(&mut self, slot: Slot, track: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        self.may_transact()?;
        if track.len() > MAX_TRACK {
            return Err(not_permitted(format!("track data is at most {MAX_TRACK} bytes")));
        }
        self.working(slot, "TDK", |keys| Some(keys.tdk.as_ref()?.in_use()?.encrypt_track(track)))?
            .map_err(failed)
    }

    fn pins_left(&self) -> u32 {
        let mut pins = self.state.pins.clone();
        pins.fill(self.clock.uptime());
        pins.pins()
    }
}

impl SoftPad {
    /// Sensors and life cycle.
    fn may_transact(&mut self) -> Result<(), Denied> {
        self.guard()?;
        let state = self.state.life_cycle;
        if state.may_transact() {
            return Ok(());
        }
        let why = format!("the terminal is {state}; only a deployed one does transactions");
        Err(self.deny("life-cycle", &state.to_string(), &why))
    }

    /// Does something with a working key of this slot.
    fn working<T>(
        &self,
        slot: Slot,
        name: &str,
        act: impl FnOnce(&WorkingKeys) -> Option<T>,
    ) -> Result<T, PadRefusal> {
        self.state
            .slots
            .get(&slot)
            .and_then(|keys| act(&keys.working))
            .ok_or_else(|| not_permitted(format!("slot {slot} has no {name}: sign in first")))
    }

    /// Counts one PIN, on disk.
    fn take_pin(&mut self) -> Result<(), Denied> {
        self.state.pins.fill(self.clock.uptime());
        if let Err(seconds) = self.state.pins.take() {
            let why = format!("{PINS_AN_HOUR} PINs an hour are encrypted at most: try again in {seconds} s");
            // One record for each time that it comes to this, or a thousand requests would push out all others.
            if self.state.refusals.newest().is_some_and(|newest| newest.check == PIN_RATE) {
                return Err(Denied::NotPermitted(why));
            }
            return Err(self.deny(PIN_RATE, &format!("over {PINS_AN_HOUR} an hour"), &why));
        }
        Ok(self.change(|_| ())?)
    }
}
