//! What the software PIN pad remembers.

use std::collections::BTreeMap;

use paycrypto::digest::hmac_sha256;
use paycrypto::tk::{CheckedTk, TkDefect, UncheckedTk};
use wire::{Serial, Slot, Suite};
use zeroize::Zeroizing;

use super::codec::{Reader, Writer};
use super::slot_keys::{OWNER_ID, Owner, SlotKeys};
use crate::storage::Record;
use crate::{Collector, Error, Latch, LifeCycle};

/// First bytes of a state: what it is, and the version of its form.
const HEADER: &[u8; 5] = b"KFPP\x01";
/// Bytes of the key that owner identifiers are made with.
const OWNER_KEY: usize = 32;
/// What an owner identifier of a TK is an HMAC over, before the suite and TEK.
const OWNER_OF_TK: &[u8] = b"TK";

/// Everything that the PIN pad keeps, in clear, in memory only.
pub(super) struct PadState {
    pub(super) serial: Serial,
    pub(super) life_cycle: LifeCycle,
    owner_key: Zeroizing<[u8; OWNER_KEY]>,
    tk: Option<HeldTk>,
    pub(super) latch: Option<Latch>,
    pub(super) slots: BTreeMap<Slot, SlotKeys>,
}

/// The TK as it is stored: 80 bytes with their hash, which is checked each time they are used.
struct HeldTk(Zeroizing<Vec<u8>>);

impl HeldTk {
    fn check(&self) -> Result<CheckedTk, TkDefect> {
        UncheckedTk::new(self.0.clone()).check()
    }
}

impl PadState {
    /// A PIN pad as it leaves the machine: no TK, no key.
    pub(super) fn new(serial: Serial) -> Result<PadState, Error> {
        let mut owner_key = Zeroizing::new([0; OWNER_KEY]);
        paycrypto::random::fill(owner_key.as_mut_slice())?;
        Ok(PadState {
            serial,
            life_cycle: LifeCycle::Production,
            owner_key,
            tk: None,
            latch: None,
            slots: BTreeMap::new(),
        })
    }

    /// The TK for one use, checked; nothing when there is none.
    pub(super) fn tk(&self) -> Result<Option<CheckedTk>, TkDefect> {
        self.tk.as_ref().map(HeldTk::check).transpose()
    }

    pub(super) fn has_tk(&self) -> bool {
        self.tk.is_some()
    }

    /// Erases TK, latch and slots. The slots go with the TK because it owns them: no other secret may fill them again,
    /// so they would be lost (1-systems.md, last section); and a TK is erased only before the terminal was deployed,
    /// when no host relies on their keys yet.
    pub(super) fn erase_tk(&mut self) {
        self.tk = None;
        self.latch = None;
        self.slots.clear();
    }

    /// Puts a new TK in, and what was sent of it.
    pub(super) fn set_tk(&mut self, tk: &CheckedTk, latch: Latch) {
        self.tk = Some(HeldTk(tk.to_clear()));
        self.latch = Some(latch);
    }

    /// Replaces TK and nothing else, as no command of a PIN pad can.
    #[cfg(test)]
    pub(super) fn import_tk(&mut self, tk: &CheckedTk) {
        self.tk = Some(HeldTk(tk.to_clear()));
    }

    /// Spoils the stored TK.
    #[cfg(test)]
    pub(super) fn damage_tk(&mut self) {
        if let Some(byte) = self.tk.as_mut().and_then(|tk| tk.0.first_mut()) {
            *byte ^= 1;
        }
    }

    /// Who fills slots by this TK in this suite.
    pub(super) fn owner(&self, tk: &CheckedTk, suite: Suite) -> Owner {
        let mut secret = Zeroizing::new(Vec::with_capacity(64));
        secret.extend_from_slice(OWNER_OF_TK);
        secret.push(suite.byte());
        secret.extend_from_slice(tk.tek().expose());
        let mut id = [0; OWNER_ID];
        for (to, from) in id.iter_mut().zip(hmac_sha256(self.owner_key.as_slice(), &secret).iter()) {
            *to = *from;
        }
        Owner { suite, id }
    }

    /// The bytes to be sealed.
    ///
    /// # Errors
    /// [`Error::Tk`]: a TK that fails its check is not stored.
    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut writer = Writer::new();
        writer.bytes(HEADER);
        writer.sized(self.serial.as_bytes());
        writer.byte(self.life_cycle.number());
        writer.bytes(self.owner_key.as_slice());
        match &self.tk {
            Some(tk) => {
                tk.check()?;
                writer.sized(&tk.0);
            }
            None => writer.sized(&[]),
        }
        match &self.latch {
            Some(latch) => {
                writer.byte(collector_number(latch.collector));
                writer.bytes(&latch.digest);
                writer.sized(&latch.ctk_pu);
            }
            None => writer.byte(0),
        }
        // At most 100 slots, by their type.
        writer.byte(u8::try_from(self.slots.len()).unwrap_or(u8::MAX));
        for (slot, keys) in &self.slots {
            writer.byte(slot.index());
            keys.write(&mut writer);
        }
        Ok(writer.finish())
    }

    /// Reads what was unsealed.
    ///
    /// # Errors
    /// [`Error::StateDamaged`] for another version, [`Error::Tk`] for a TK that fails its check.
    pub(super) fn decode(bytes: &[u8]) -> Result<PadState, Error> {
        let state = Self::read(bytes).ok_or(Error::StateDamaged { what: Record::Pad.name() })?;
        state.tk()?;
        Ok(state)
    }

    fn read(bytes: &[u8]) -> Option<PadState> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != *HEADER {
            return None;
        }
        let serial = Serial::from_bytes(reader.sized()?).ok()?;
        let life_cycle = LifeCycle::from_number(reader.byte()?)?;
        let owner_key = Zeroizing::new(reader.array()?);
        let tk = match reader.sized()? {
            [] => None,
            tk => Some(HeldTk(Zeroizing::new(tk.to_vec()))),
        };
        let latch = match reader.byte()? {
            0 => None,
            number => Some(Latch {
                collector: collector(number)?,
                digest: reader.array()?,
                ctk_pu: reader.sized()?.to_vec(),
            }),
        };
        let mut slots = BTreeMap::new();
        for _ in 0..reader.byte()? {
            slots.insert(Slot::new(reader.byte()?).ok()?, SlotKeys::read(&mut reader)?);
        }
        reader.is_at_end().then_some(PadState { serial, life_cycle, owner_key, tk, latch, slots })
    }
}

/// The number of a collector in the state; 0 says that there is no latch.
fn collector_number(collector: Collector) -> u8 {
    match collector {
        Collector::Kms => 1,
        Collector::Mtms => 2,
        Collector::BareKey => 3,
    }
}

fn collector(number: u8) -> Option<Collector> {
    [Collector::Kms, Collector::Mtms, Collector::BareKey]
        .into_iter()
        .find(|collector| collector_number(*collector) == number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_is_written_as_it_is_read() {
        let mut state = PadState::new(Serial::parse("SN-1").unwrap()).unwrap();
        let tk = CheckedTk::generate().unwrap();
        let latch = Latch { digest: [7; 32], collector: Collector::Mtms, ctk_pu: vec![9; 256] };
        state.set_tk(&tk, latch.clone());
        state.life_cycle = LifeCycle::Deployed;
        let owner = state.owner(&tk, Suite::TDES);
        let tmk = paycrypto::keys::Tmk::generate().unwrap();
        let kcv = tmk.kcv();
        state.slots.insert(Slot::new(99).unwrap(), SlotKeys::first(owner, tmk));

        let read = PadState::decode(&state.encode().unwrap()).unwrap();
        assert_eq!((read.serial.as_str(), read.life_cycle), ("SN-1", LifeCycle::Deployed));
        assert_eq!(read.latch, Some(latch));
        let read_tk = read.tk().unwrap().unwrap();
        assert_eq!(read_tk.sha256(), tk.sha256());
        assert!(read.owner(&read_tk, Suite::TDES).admits(&owner));
        assert_eq!(read.slots[&Slot::new(99).unwrap()].kcv(), kcv);
    }

    #[test]
    fn every_cut_and_every_addition_is_refused() {
        let mut state = PadState::new(Serial::parse("SN-1").unwrap()).unwrap();
        let latch = Latch { digest: [7; 32], collector: Collector::Kms, ctk_pu: vec![9; 256] };
        state.set_tk(&CheckedTk::generate().unwrap(), latch);
        let bytes = state.encode().unwrap();
        for length in 0..bytes.len() {
            assert!(PadState::decode(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(PadState::decode(&longer), Err(Error::StateDamaged { .. })));
    }

    #[test]
    fn a_tk_with_a_wrong_hash_is_neither_stored_nor_used() {
        let mut state = PadState::new(Serial::parse("SN-1").unwrap()).unwrap();
        state.import_tk(&CheckedTk::generate().unwrap());
        state.damage_tk();
        assert_eq!(state.tk().unwrap_err(), TkDefect::Hash);
        assert!(matches!(state.encode(), Err(Error::Tk(TkDefect::Hash))));
    }
}
