//! The bytes of the PIN pad's state, and those of its older versions.

use std::collections::{BTreeMap, VecDeque};

use wire::{Serial, Slot};
use zeroize::Zeroizing;

use super::codec::{Reader, Writer};
use super::pin_budget::PinBudget;
use super::slot_keys::{Owner, SlotKeys, read_key};
use super::state::{HeldDmk, HeldTk, Identity, PadState};
use crate::refusals::{ChainedRefusal, RefusalLog};
use crate::storage::Record;
use crate::{Collector, Error, Latch, LifeCycle};

/// First bytes of a state: what it is; the version of its form follows.
const MAGIC: &[u8; 4] = b"KFPP";
/// The form without board, identity, DMK and refusals: read, never written.
const VERSION_1: u8 = 1;
/// The form without DMK as an owner and without the budget of PINs: read, never written.
const VERSION_2: u8 = 2;
/// The form that is written.
const VERSION_3: u8 = 3;

impl PadState {
    /// The bytes to be sealed.
    ///
    /// # Errors
    /// [`Error::Tk`]: a TK that fails its check is not stored.
    pub(super) fn encode(&self) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut writer = Writer::new();
        writer.bytes(MAGIC);
        writer.byte(VERSION_3);
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
                write_refusals(&mut writer, latch.refusals.iter());
            }
            None => writer.byte(0),
        }
        // At most 100 slots, by their type.
        writer.byte(u8::try_from(self.slots.len()).unwrap_or(u8::MAX));
        for (slot, keys) in &self.slots {
            writer.byte(slot.index());
            keys.write(&mut writer);
        }
        writer.byte(u8::from(self.identity.is_some()));
        if let Some(Identity { owner, dik2, factor, done }) = &self.identity {
            owner.write(&mut writer);
            writer.sized(dik2.expose());
            writer.sized(factor);
            writer.byte(u8::from(*done));
        }
        writer.byte(u8::from(self.dmk.is_some()));
        if let Some(HeldDmk { owner, dmk, done }) = &self.dmk {
            owner.write(&mut writer);
            writer.sized(dmk.expose());
            writer.byte(u8::from(*done));
        }
        writer.bytes(&self.lid_openings.to_be_bytes());
        writer.sized(self.challenge.as_ref().map_or(&[][..], |challenge| challenge));
        writer.bytes(&self.refusals.total().to_be_bytes());
        writer.bytes(&self.refusals.reported().to_be_bytes());
        writer.bytes(&self.refusals.before());
        write_refusals(&mut writer, self.refusals.records());
        self.pins.write(&mut writer);
        Ok(writer.finish())
    }

    /// Reads what was unsealed.
    ///
    /// # Errors
    /// [`Error::StateDamaged`] for an unknown version, [`Error::Tk`] for a TK that fails its check.
    pub(super) fn decode(bytes: &[u8]) -> Result<PadState, Error> {
        let state = Self::read(bytes).ok_or(Error::StateDamaged { what: Record::Pad.name() })?;
        state.tk()?;
        Ok(state)
    }

    fn read(bytes: &[u8]) -> Option<PadState> {
        let mut reader = Reader::new(bytes);
        if reader.array()? != *MAGIC {
            return None;
        }
        let version = reader.byte()?;
        if ![VERSION_1, VERSION_2, VERSION_3].contains(&version) {
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
                refusals: if version == VERSION_1 {
                    Vec::new()
                } else {
                    read_refusals(&mut reader)?.into_iter().collect()
                },
            }),
        };
        let mut slots = BTreeMap::new();
        for _ in 0..reader.byte()? {
            let slot = Slot::new(reader.byte()?).ok()?;
            let keys = if version == VERSION_1 {
                SlotKeys::read_version_1(&mut reader)?
            } else {
                SlotKeys::read(&mut reader)?
            };
            slots.insert(slot, keys);
        }
        let refusals = RefusalLog::new(serial.as_str());
        let mut state = PadState {
            serial,
            life_cycle,
            owner_key,
            tk,
            latch,
            slots,
            identity: None,
            dmk: None,
            lid_openings: 0,
            challenge: None,
            refusals,
            pins: PinBudget::full(),
        };
        if version != VERSION_1 {
            state.read_rest(&mut reader)?;
        }
        if version == VERSION_3 {
            state.pins = PinBudget::read(&mut reader)?;
        }
        reader.is_at_end().then_some(state)
    }

    /// What version 1 had not.
    fn read_rest(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        if reader.flag()? {
            self.identity = Some(Identity {
                owner: Owner::read(reader)?,
                dik2: read_key(reader.sized()?)?,
                factor: Zeroizing::new(reader.sized()?.to_vec()),
                done: reader.flag()?,
            });
        }
        if reader.flag()? {
            self.dmk = Some(HeldDmk {
                owner: Owner::read(reader)?,
                dmk: read_key(reader.sized()?)?,
                done: reader.flag()?,
            });
        }
        self.lid_openings = u64::from_be_bytes(reader.array()?);
        self.challenge = match reader.sized()? {
            [] => None,
            challenge => Some(challenge.try_into().ok()?),
        };
        let (total, reported) = (u64::from_be_bytes(reader.array()?), u64::from_be_bytes(reader.array()?));
        let before = reader.array()?;
        self.refusals = RefusalLog::restore(before, read_refusals(reader)?, total, reported)?;
        Some(())
    }
}

fn write_refusals<'a>(writer: &mut Writer, records: impl ExactSizeIterator<Item = &'a ChainedRefusal>) {
    // At most 256 records, by the log's limit.
    writer.bytes(&u16::try_from(records.len()).unwrap_or(u16::MAX).to_be_bytes());
    for ChainedRefusal { check, reading, when, hash } in records {
        writer.sized(check.as_bytes());
        writer.sized(reading.as_bytes());
        writer.bytes(&when.to_be_bytes());
        writer.bytes(hash);
    }
}

fn read_refusals(reader: &mut Reader<'_>) -> Option<VecDeque<ChainedRefusal>> {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).ok();
    (0..u16::from_be_bytes(reader.array()?))
        .map(|_| {
            Some(ChainedRefusal {
                check: text(reader.sized()?)?,
                reading: text(reader.sized()?)?,
                when: i64::from_be_bytes(reader.array()?),
                hash: reader.array()?,
            })
        })
        .collect()
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
    use paycrypto::keys::{Dik2, Dmk, Tmk};
    use paycrypto::tk::{CheckedTk, TkDefect};
    use wire::Suite;

    use super::*;
    use crate::softpad::slot_keys::OwnerKind;

    fn latch() -> Latch {
        Latch { digest: [7; 32], collector: Collector::Mtms, ctk_pu: vec![9; 256], refusals: Vec::new() }
    }

    /// A state with something in every place.
    fn full() -> PadState {
        let mut state = PadState::new(Serial::parse("SN-1").unwrap()).unwrap();
        state.refusals.add("lid", "open", 1_700_000_000);
        state.refusals.add("voltage", "2500 mV", 1_700_000_001);
        state.refusals.report(1);
        let tk = CheckedTk::generate().unwrap();
        state.set_tk(&tk, Latch { refusals: state.refusals.unreported().0, ..latch() });
        state.life_cycle = LifeCycle::Deployed;
        let owner = state.owner(&tk, Suite::TDES);
        state.slots.insert(Slot::new(99).unwrap(), SlotKeys::first(owner, Tmk::generate().unwrap()));
        let root = state.owner_by(OwnerKind::Root, Suite::TDES, b"root");
        let factor = Zeroizing::new(b"KLD-7/2026".to_vec());
        state.identity = Some(Identity { owner: root, dik2: Dik2::generate().unwrap(), factor, done: true });
        state.dmk = Some(HeldDmk { owner: root, dmk: Dmk::generate().unwrap(), done: false });
        state.lid_openings = 3;
        state.challenge = Some([5; 16]);
        state
    }

    #[test]
    fn a_state_is_written_as_it_is_read() {
        let state = full();
        let bytes = state.encode().unwrap();
        let read = PadState::decode(&bytes).unwrap();
        assert_eq!(*read.encode().unwrap(), *bytes);
        assert_eq!((read.serial.as_str(), read.life_cycle), ("SN-1", LifeCycle::Deployed));
        assert_eq!(read.latch, state.latch);
        let tk = read.tk().unwrap().unwrap();
        let slot = &read.slots[&Slot::new(99).unwrap()];
        assert!(read.owner(&tk, Suite::TDES).admits(&slot.owner));
        assert_eq!(read.refusals, state.refusals);
        assert_eq!((read.lid_openings, read.challenge), (3, Some([5; 16])));
        assert_eq!(read.identity.unwrap().factor.as_slice(), b"KLD-7/2026");
    }

    #[test]
    fn every_cut_and_every_addition_is_refused() {
        let bytes = full().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(PadState::decode(&bytes[..length]).is_err(), "{length}");
        }
        let longer = [&bytes[..], &[0]].concat();
        assert!(matches!(PadState::decode(&longer), Err(Error::StateDamaged { .. })));
    }

    #[test]
    fn a_version_to_come_is_refused() {
        let mut bytes = full().encode().unwrap();
        bytes[MAGIC.len()] = VERSION_3 + 1;
        assert!(matches!(PadState::decode(&bytes), Err(Error::StateDamaged { .. })));
    }

    #[test]
    fn a_log_that_was_changed_is_refused() {
        let mut state = full();
        let mut kept: VecDeque<_> = state.refusals.records().cloned().collect();
        kept[0].reading = "shut".into();
        assert_eq!(RefusalLog::restore(state.refusals.before(), kept, 2, 1), None);
        state.refusals.add("lid", "open", 0);
        assert!(PadState::decode(&state.encode().unwrap()).is_ok());
    }

    /// A state as version 1 wrote it: latch and slots without what came later, and nothing behind them.
    fn version_1(state: &PadState, tmk: &Tmk) -> Vec<u8> {
        let mut writer = Writer::new();
        writer.bytes(b"KFPP\x01");
        writer.sized(state.serial.as_bytes());
        writer.byte(2);
        writer.bytes(state.owner_key.as_slice());
        writer.sized(&state.tk.as_ref().unwrap().0);
        writer.byte(2);
        writer.bytes(&[7; 32]);
        writer.sized(&[9; 256]);
        writer.byte(1);
        writer.byte(99);
        let owner = state.owner(&state.tk().unwrap().unwrap(), Suite::TDES);
        writer.byte(Suite::TDES.byte());
        writer.bytes(&owner.id);
        writer.byte(1);
        writer.sized(tmk.expose());
        writer.sized(&[]);
        writer.finish().to_vec()
    }

    #[test]
    fn a_state_of_version_1_is_taken_over() {
        let state = full();
        let tmk = Tmk::generate().unwrap();
        let old = version_1(&state, &tmk);
        let read = PadState::decode(&old).unwrap();
        assert_eq!((read.life_cycle, read.latch.clone()), (LifeCycle::Deployed, Some(latch())));
        let slot = &read.slots[&Slot::new(99).unwrap()];
        assert!(slot.tmk.holds(&tmk) && slot.tmk.is_done());
        let tk = read.tk().unwrap().unwrap();
        assert!(slot.owner.admits(&read.owner(&tk, Suite::TDES)));
        assert!(read.identity.is_none() && read.dmk.is_none() && read.challenge.is_none());
        assert_eq!((read.lid_openings, read.refusals.total()), (0, 0));
        // From now on it is stored as version 3.
        let new = read.encode().unwrap();
        assert_eq!(new[MAGIC.len()], VERSION_3);
        PadState::decode(&new).unwrap();
        for length in 0..old.len() {
            assert!(PadState::decode(&old[..length]).is_err(), "{length}");
        }
        assert!(PadState::decode(&[&old[..], &[0]].concat()).is_err());
    }

    #[test]
    fn a_state_of_version_2_is_taken_over_with_a_full_budget_of_pins() {
        let mut state = full();
        state.pins.fill(std::time::Duration::ZERO);
        state.pins.take().unwrap();
        let new = state.encode().unwrap();
        let mut old = new[..new.len() - 12].to_vec();
        old[MAGIC.len()] = VERSION_2;
        let read = PadState::decode(&old).unwrap();
        assert_eq!(read.pins, PinBudget::full());
        assert_eq!(read.refusals, state.refusals);
        assert_eq!(PadState::decode(&new).unwrap().pins.pins(), 119);
        // What version 3 has behind it is nothing that version 2 may have.
        old.push(0);
        assert!(PadState::decode(&old).is_err());
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
