//! The PIN pad's part of a transaction: PIN block, MAC, track data.
//!
//! Nothing here ends a flow that is open: a payment goes on while a program is being downloaded.

use flows::PadRefusal;
use paycrypto::{ec, keys as tdes};
use pinblock::{Format, Format4Key, Pan, Pin};
use wire::Slot;
use zeroize::Zeroizing;

use super::keys::{EcAes, Keys, Tdes};
use super::load::{failed, not_permitted};
use super::slot_keys::WorkingKeys;
use super::{Denied, SoftPad};
use crate::transaction::{MAX_MAC_DATA, MAX_TRACK, PINS_AN_HOUR, TransactionPad};

/// The check in the log of refusals.
const PIN_RATE: &str = "PIN rate";

/// A clear PIN block, or what is made of it, before the PIN key takes it. Wiped.
type Encrypting<'a, P> = Box<dyn FnOnce(&P) -> Result<Vec<u8>, PadRefusal> + 'a>;

/// A suite in which a terminal does transactions.
trait Transacting: Keys {
    /// What will encrypt this PIN in this format: it takes the PIN key and nothing more, so that all that can be wrong
    /// with PIN, PAN and format was seen before.
    fn pin(pin: Pin, pan: &Pan, format: Format) -> Result<Encrypting<'_, Self::Pik>, PadRefusal>;

    /// The MAC of a message.
    fn mac(mak: &Self::Mak, data: &[u8]) -> Result<Vec<u8>, PadRefusal>;

    /// Track data encrypted.
    fn track(tdk: &Self::Tdk, track: &[u8]) -> Result<Vec<u8>, PadRefusal>;
}

impl Transacting for Tdes {
    fn pin(pin: Pin, pan: &Pan, format: Format) -> Result<Encrypting<'_, tdes::Pik>, PadRefusal> {
        if !matches!(format, Format::Iso0 | Format::Iso3) {
            return Err(not_permitted("a PIN pad of suite 01 makes PIN blocks of formats 0 and 3"));
        }
        pan.fits(format).map_err(|error| not_permitted(error.to_string()))?;
        let clear = pinblock::encode(format, &pin, Some(pan)).map_err(failed)?;
        Ok(Box::new(move |pik| Ok(pik.encrypt_block(clear.expose()).to_vec())))
    }

    fn mac(mak: &tdes::Mak, data: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        Ok(mak.mac(data).map_err(failed)?.to_vec())
    }

    fn track(tdk: &tdes::Tdk, track: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        tdk.encrypt_track(track).map_err(failed)
    }
}

impl Transacting for EcAes {
    fn pin(pin: Pin, pan: &Pan, format: Format) -> Result<Encrypting<'_, ec::keys::Pik>, PadRefusal> {
        if format != Format::Iso4 {
            return Err(not_permitted("a PIN key of suite 02 makes PIN blocks of format 4"));
        }
        pan.fits(format).map_err(|error| not_permitted(error.to_string()))?;
        let mut fill = Zeroizing::new([0; 8]);
        paycrypto::random::fill(&mut *fill).map_err(failed)?;
        Ok(Box::new(move |pik| {
            let key = Format4Key::new(pik.expose()).map_err(failed)?;
            Ok(pinblock::encode_format4_filled(&pin, pan, &key, &fill).to_vec())
        }))
    }

    fn mac(mak: &ec::keys::Mak, data: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        Ok(mak.mac(data).to_vec())
    }

    fn track(tdk: &ec::keys::Tdk, track: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        tdk.encrypt_track(track).map_err(failed)
    }
}

impl TransactionPad for SoftPad {
    fn pin_block(&mut self, slot: Slot, pin: Pin, pan: &Pan, format: Format) -> Result<Vec<u8>, PadRefusal> {
        self.may_transact()?;
        if self.works_in_suite_02(slot) {
            self.pin_block_in::<EcAes>(slot, pin, pan, format)
        } else {
            self.pin_block_in::<Tdes>(slot, pin, pan, format)
        }
    }

    fn mac(&mut self, slot: Slot, data: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        self.may_transact()?;
        if data.len() > MAX_MAC_DATA {
            return Err(not_permitted(format!("a MAC is over at most {MAX_MAC_DATA} bytes")));
        }
        if self.works_in_suite_02(slot) {
            self.mac_in::<EcAes>(slot, data)
        } else {
            self.mac_in::<Tdes>(slot, data)
        }
    }

    fn encrypt_track(&mut self, slot: Slot, track: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        self.may_transact()?;
        if track.len() > MAX_TRACK {
            return Err(not_permitted(format!("track data is at most {MAX_TRACK} bytes")));
        }
        if self.works_in_suite_02(slot) {
            self.track_in::<EcAes>(slot, track)
        } else {
            self.track_in::<Tdes>(slot, track)
        }
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

    /// Whether the slot's working keys are of suite 02. A slot never works with keys of two suites: the first sign-in of
    /// suite 02 that is finished takes it up.
    fn works_in_suite_02(&self, slot: Slot) -> bool {
        self.state.slot::<EcAes>(slot).is_some_and(|keys| {
            let WorkingKeys { pik, mak, tdk } = &keys.working;
            let in_use = [
                pik.as_ref().is_some_and(|key| key.in_use().is_some()),
                mak.as_ref().is_some_and(|key| key.in_use().is_some()),
                tdk.as_ref().is_some_and(|key| key.in_use().is_some()),
            ];
            in_use.contains(&true)
        })
    }

    fn pin_block_in<S: Transacting>(
        &mut self,
        slot: Slot,
        pin: Pin,
        pan: &Pan,
        format: Format,
    ) -> Result<Vec<u8>, PadRefusal> {
        // What cannot be encrypted takes nothing of the rate.
        let encrypting = S::pin(pin, pan, format)?;
        self.working::<S, _>(slot, "PIK", |keys| keys.pik.as_ref()?.in_use().map(|_| ()))?;
        self.take_pin()?;
        self.working::<S, _>(slot, "PIK", |keys| Some(encrypting(keys.pik.as_ref()?.in_use()?)))?
    }

    fn mac_in<S: Transacting>(&self, slot: Slot, data: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        self.working::<S, _>(slot, "MAK", |keys| Some(S::mac(keys.mak.as_ref()?.in_use()?, data)))?
    }

    fn track_in<S: Transacting>(&self, slot: Slot, track: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        self.working::<S, _>(slot, "TDK", |keys| Some(S::track(keys.tdk.as_ref()?.in_use()?, track)))?
    }

    /// Does something with a working key of this slot.
    fn working<S: Keys, T>(
        &self,
        slot: Slot,
        name: &str,
        act: impl FnOnce(&WorkingKeys<S>) -> Option<T>,
    ) -> Result<T, PadRefusal> {
        self.state
            .slot::<S>(slot)
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
