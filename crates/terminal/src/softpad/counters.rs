//! What only goes upward: load counters, the generation of TK, the suite in which each key was last completed
//! (3-hardened.md).
//!
//! They outlive the keys that they belong to: a wipe, a tamper event and a power cut take none of them back.

use std::collections::BTreeMap;

use paycrypto::ec::blocks::LoadCounter;
use wire::{Slot, Suite};

use super::codec::{Reader, Writer};
use super::owner::{OWNER_ID, Owner};

/// Each slot's load counter: how often its owner sent it a TMK, as far as the PIN pad took one.
///
/// A counter is its owner's: a server that fills a slot after a repair gave it away has begun to count at its own
/// beginning, and nothing that the former owner sent opens any more.
#[derive(Default)]
pub(super) struct LoadCounters(BTreeMap<Slot, (LoadCounter, [u8; OWNER_ID])>);

impl LoadCounters {
    /// The counter that this owner's next TMK for the slot must follow.
    pub(super) fn of(&self, slot: Slot, owner: &Owner) -> LoadCounter {
        match self.0.get(&slot) {
            Some((counter, id)) if *id == owner.id => *counter,
            _ => LoadCounter::NONE,
        }
    }

    /// The counter that a former owner left in the slot. A server that collected the terminal anew goes on counting there,
    /// since it counts for the slot; one that never knew the terminal begins at its own beginning.
    pub(super) fn left_by_another(&self, slot: Slot, owner: &Owner) -> Option<LoadCounter> {
        self.0.get(&slot).filter(|(_, id)| *id != owner.id).map(|(counter, _)| *counter)
    }

    /// Remembers the counter of a TMK that was taken. It never goes back.
    pub(super) fn raise(&mut self, slot: Slot, owner: &Owner, counter: LoadCounter) {
        let counter = counter.max(self.of(slot, owner));
        self.0.insert(slot, (counter, owner.id));
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.byte(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        for (slot, (counter, id)) in &self.0 {
            writer.byte(slot.index());
            writer.bytes(&counter.value().to_be_bytes());
            writer.bytes(id);
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<LoadCounters> {
        (0..reader.byte()?)
            .map(|_| {
                let slot = Slot::new(reader.byte()?).ok()?;
                Some((slot, (LoadCounter::new(u64::from_be_bytes(reader.array()?)), reader.array()?)))
            })
            .collect::<Option<_>>()
            .map(LoadCounters)
    }
}

/// A key for which a suite is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum KeyName {
    /// TK.
    Tk,
    /// DIK2.
    Dik2,
    /// DMK.
    Dmk,
    /// The keys of a slot.
    Slot(Slot),
}

impl KeyName {
    fn write(self, writer: &mut Writer) {
        let (kind, index) = match self {
            KeyName::Tk => (1, 0),
            KeyName::Dik2 => (2, 0),
            KeyName::Dmk => (3, 0),
            KeyName::Slot(slot) => (4, slot.index()),
        };
        writer.bytes(&[kind, index]);
    }

    fn read(reader: &mut Reader<'_>) -> Option<KeyName> {
        Some(match reader.array()? {
            [1, 0] => KeyName::Tk,
            [2, 0] => KeyName::Dik2,
            [3, 0] => KeyName::Dmk,
            [4, index] => KeyName::Slot(Slot::new(index).ok()?),
            _ => return None,
        })
    }
}

impl std::fmt::Display for KeyName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            KeyName::Tk => f.write_str("the transport key"),
            KeyName::Dik2 => f.write_str("DIK2"),
            KeyName::Dmk => f.write_str("DMK"),
            KeyName::Slot(slot) => write!(f, "slot {slot}"),
        }
    }
}

/// The highest suite in which a flow was completed, for each key: a lower one is refused (0009) until a repair
/// authorisation.
#[derive(Default)]
pub(super) struct Completed(BTreeMap<KeyName, Suite>);

impl Completed {
    /// A flow in this suite was completed for this key.
    pub(super) fn raise(&mut self, key: KeyName, suite: Suite) {
        let highest = self.0.entry(key).or_insert(suite);
        *highest = suite.max(*highest);
    }

    /// Whether a flow in this suite may still bring this key.
    pub(super) fn allows(&self, key: KeyName, suite: Suite) -> bool {
        self.0.get(&key).is_none_or(|highest| suite >= *highest)
    }

    /// A repair authorisation names the whole terminal: every key may begin in any suite again.
    pub(super) fn lift(&mut self) {
        self.0.clear();
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.byte(u8::try_from(self.0.len()).unwrap_or(u8::MAX));
        for (key, suite) in &self.0 {
            key.write(writer);
            writer.byte(suite.byte());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Completed> {
        (0..reader.byte()?)
            .map(|_| Some((KeyName::read(reader)?, Suite::new(reader.byte()?))))
            .collect::<Option<_>>()
            .map(Completed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::softpad::owner::OwnerKind;

    fn slot(index: u8) -> Slot {
        Slot::new(index).unwrap()
    }

    fn owner(byte: u8) -> Owner {
        Owner { kind: OwnerKind::Tk, suite: Suite::EC_AES, id: [byte; OWNER_ID] }
    }

    #[test]
    fn r21_a_load_counter_never_goes_back_and_is_its_owners() {
        let mut counters = LoadCounters::default();
        assert_eq!(counters.of(slot(3), &owner(1)), LoadCounter::NONE);
        counters.raise(slot(3), &owner(1), LoadCounter::new(7));
        counters.raise(slot(3), &owner(1), LoadCounter::new(5));
        assert_eq!(counters.of(slot(3), &owner(1)).value(), 7);
        assert_eq!(counters.of(slot(4), &owner(1)), LoadCounter::NONE);
        assert_eq!(counters.of(slot(3), &owner(2)), LoadCounter::NONE);
        counters.raise(slot(3), &owner(2), LoadCounter::new(1));
        assert_eq!(counters.of(slot(3), &owner(2)).value(), 1);
    }

    #[test]
    fn r21_a_suite_only_goes_up_for_each_key_until_it_is_lifted() {
        let mut completed = Completed::default();
        let keys =
            [KeyName::Tk, KeyName::Dik2, KeyName::Dmk, KeyName::Slot(slot(0)), KeyName::Slot(slot(99))];
        for (at, key) in keys.into_iter().enumerate() {
            completed.raise(key, Suite::TDES);
            assert!(completed.allows(key, Suite::TDES));
            completed.raise(key, Suite::EC_AES);
            completed.raise(key, Suite::TDES);
            assert!(!completed.allows(key, Suite::TDES) && completed.allows(key, Suite::EC_AES), "{key}");
            for other in keys.into_iter().skip(at + 1) {
                assert!(completed.allows(other, Suite::TDES), "{other}");
            }
        }
        completed.lift();
        assert!(keys.into_iter().all(|key| completed.allows(key, Suite::TDES)));
    }

    #[test]
    fn both_are_written_as_they_are_read() {
        let (mut counters, mut completed) = (LoadCounters::default(), Completed::default());
        counters.raise(slot(3), &owner(1), LoadCounter::new(7));
        for key in [KeyName::Tk, KeyName::Dik2, KeyName::Dmk, KeyName::Slot(slot(9))] {
            completed.raise(key, Suite::EC_AES);
        }
        let mut writer = Writer::new();
        counters.write(&mut writer);
        completed.write(&mut writer);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        let counters = LoadCounters::read(&mut reader).unwrap();
        let completed = Completed::read(&mut reader).unwrap();
        assert!(reader.is_at_end());
        assert_eq!(counters.of(slot(3), &owner(1)).value(), 7);
        assert!(!completed.allows(KeyName::Slot(slot(9)), Suite::TDES));
        assert!(completed.allows(KeyName::Slot(slot(8)), Suite::TDES));
    }
}
