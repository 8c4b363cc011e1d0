//! What one place holds, and when a key in it gives way to another.
//!
//! A place has the key that came last and the one before it. In suite 01 the older stays until the newer has worked once,
//! because DONE is not authenticated there (2-wire.md section 4, "Confirming"); in suite 02 until DONE's receipt was
//! verified. A line may be cut anywhere: the two ends always have a key in common.

use wire::{Kcv, Suite};

use super::codec::{Reader, Writer};
use super::keys::{KeptKey, Keys, Tdes, equal};
use super::owner::{Owner, OwnerKind};

/// The key that came last, and the one before it.
pub(super) struct Held<K> {
    current: K,
    /// Whether DONE arrived for the current key.
    done: bool,
    previous: Option<K>,
}

impl<K: KeptKey> Held<K> {
    /// The first key.
    pub(super) fn first(key: K) -> Held<K> {
        Held { current: key, done: false, previous: None }
    }

    /// Whether the key is the current one: then a broken download brought it again, and nothing is to be stored.
    pub(super) fn holds(&self, key: &K) -> bool {
        equal(&self.current, key)
    }

    /// Takes a new key; the current one again changes nothing.
    ///
    /// The current one becomes the previous one when its DONE had arrived, or when nothing else is there. Otherwise it
    /// is a key that was replaced before it was finished: it gives way, and the previous one, which worked, stays.
    pub(super) fn take(&mut self, key: K) {
        if self.holds(&key) {
            return;
        }
        let replaced = std::mem::replace(&mut self.current, key);
        if self.done || self.previous.is_none() {
            self.previous = Some(replaced);
        }
        self.done = false;
    }

    /// Remembers DONE.
    pub(super) fn finish(&mut self) {
        self.done = true;
    }

    /// A key that both ends have shown to hold: nothing before it is needed.
    pub(super) fn finished(key: K) -> Held<K> {
        Held { current: key, done: true, previous: None }
    }

    /// Remembers that the current key has worked, or that its DONE was verified: the one before it goes.
    pub(super) fn worked(&mut self) {
        self.done = true;
        self.previous = None;
    }

    /// The key that came last, finished or not.
    pub(super) fn current(&self) -> &K {
        &self.current
    }

    /// The key before it.
    pub(super) fn previous(&self) -> Option<&K> {
        self.previous.as_ref()
    }

    /// The key to work with: the last one whose DONE arrived, as far as it is known.
    pub(super) fn in_use(&self) -> Option<&K> {
        if self.done { Some(&self.current) } else { self.previous.as_ref() }
    }

    /// Check value of the current key.
    pub(super) fn kcv(&self) -> Kcv {
        self.current.check_value()
    }

    /// Check value of the key before it.
    pub(super) fn previous_kcv(&self) -> Option<Kcv> {
        self.previous.as_ref().map(KeptKey::check_value)
    }

    /// Whether DONE arrived for the current key.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    fn write(&self, writer: &mut Writer) {
        writer.byte(u8::from(self.done));
        writer.sized(self.current.clear());
        writer.sized(self.previous.as_ref().map(KeptKey::clear).unwrap_or_default());
    }

    fn read(reader: &mut Reader<'_>) -> Option<Held<K>> {
        let done = reader.flag()?;
        let current = K::from_clear(reader.sized()?)?;
        let previous = match reader.sized()? {
            [] => None,
            key => Some(K::from_clear(key)?),
        };
        Some(Held { current, done, previous })
    }
}

/// A slot that was filled: its TMK, and its working keys, from a sign-in or from the RKS.
pub(super) struct SlotKeys<S: Keys = Tdes> {
    pub(super) owner: Owner,
    pub(super) tmk: Held<S::Tmk>,
    pub(super) working: WorkingKeys<S>,
}

/// The working keys of a slot.
pub(super) struct WorkingKeys<S: Keys = Tdes> {
    pub(super) pik: Option<Held<S::Pik>>,
    pub(super) mak: Option<Held<S::Mak>>,
    pub(super) tdk: Option<Held<S::Tdk>>,
}

impl<S: Keys> Default for WorkingKeys<S> {
    fn default() -> Self {
        WorkingKeys { pik: None, mak: None, tdk: None }
    }
}

impl<S: Keys> SlotKeys<S> {
    /// A slot with its first key.
    pub(super) fn first(owner: Owner, tmk: S::Tmk) -> SlotKeys<S> {
        SlotKeys { owner, tmk: Held::first(tmk), working: WorkingKeys::default() }
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        self.owner.write(writer);
        self.tmk.write(writer);
        let WorkingKeys { pik, mak, tdk } = &self.working;
        write_option(writer, pik.as_ref());
        write_option(writer, mak.as_ref());
        write_option(writer, tdk.as_ref());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<SlotKeys<S>> {
        let owner = Owner::read(reader)?;
        let tmk = Held::read(reader)?;
        let working =
            WorkingKeys { pik: read_option(reader)?, mak: read_option(reader)?, tdk: read_option(reader)? };
        Some(SlotKeys { owner, tmk, working })
    }
}

impl SlotKeys {
    /// Reads a slot of version 1 of the state, when only a TK could own one and there were no working keys.
    pub(super) fn read_version_1(reader: &mut Reader<'_>) -> Option<SlotKeys> {
        let owner = Owner { kind: OwnerKind::Tk, suite: Suite::new(reader.byte()?), id: reader.array()? };
        Some(SlotKeys { owner, tmk: Held::read(reader)?, working: WorkingKeys::default() })
    }
}

/// Takes a key into a place that may be empty.
pub(super) fn take<K: KeptKey>(place: &mut Option<Held<K>>, key: K) {
    match place {
        Some(held) => held.take(key),
        None => *place = Some(Held::first(key)),
    }
}

fn write_option<K: KeptKey>(writer: &mut Writer, held: Option<&Held<K>>) {
    writer.byte(u8::from(held.is_some()));
    if let Some(held) = held {
        held.write(writer);
    }
}

fn read_option<K: KeptKey>(reader: &mut Reader<'_>) -> Option<Option<Held<K>>> {
    if reader.flag()? { Held::read(reader).map(Some) } else { Some(None) }
}

#[cfg(test)]
mod tests {
    use paycrypto::TdesKey;
    use paycrypto::keys::{Mak, Tmk};

    use super::*;
    use crate::softpad::owner::OWNER_ID;

    const OWNER: Owner = Owner { kind: OwnerKind::Tk, suite: Suite::TDES, id: [1; OWNER_ID] };

    fn key(seed: u8) -> Tmk {
        let bytes: Vec<u8> = (0..24).map(|n| seed.wrapping_mul(31).wrapping_add(n * 7)).collect();
        KeptKey::from_clear(TdesKey::from_bytes(&bytes).unwrap().expose()).unwrap()
    }

    #[test]
    fn a_finished_key_stays_beside_the_new_one() {
        let mut slot = Held::first(key(1));
        slot.finish();
        slot.take(key(2));
        assert_eq!((slot.kcv(), slot.previous_kcv()), (key(2).check_value(), Some(key(1).check_value())));
        assert!(!slot.is_done());
    }

    #[test]
    fn an_unfinished_key_gives_way_and_the_finished_one_stays() {
        let mut slot = Held::first(key(1));
        slot.finish();
        slot.take(key(2));
        slot.take(key(3));
        assert_eq!((slot.kcv(), slot.previous_kcv()), (key(3).check_value(), Some(key(1).check_value())));
    }

    #[test]
    fn an_only_key_is_kept_though_unfinished() {
        let mut slot = Held::first(key(1));
        slot.take(key(2));
        assert_eq!(slot.previous_kcv(), Some(key(1).check_value()));
    }

    #[test]
    fn a_key_is_known_again() {
        let slot = Held::first(key(1));
        assert!(slot.holds(&key(1)));
        assert!(!slot.holds(&key(2)));
    }

    #[test]
    fn a_key_that_comes_again_changes_nothing() {
        let mut slot = Held::first(key(1));
        slot.finish();
        slot.take(key(1));
        assert!(slot.is_done() && slot.previous_kcv().is_none());
    }

    #[test]
    fn a_slot_is_written_as_it_is_read() {
        let mut slot: SlotKeys = SlotKeys::first(OWNER, key(1));
        slot.tmk.finish();
        take(&mut slot.working.mak, Mak::generate().unwrap());
        for _ in 0..2 {
            let mut writer = Writer::new();
            slot.write(&mut writer);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            let read: SlotKeys = SlotKeys::read(&mut reader).unwrap();
            assert!(reader.is_at_end());
            assert_eq!((read.tmk.kcv(), read.tmk.previous_kcv()), (slot.tmk.kcv(), slot.tmk.previous_kcv()));
            assert_eq!(read.tmk.is_done(), slot.tmk.is_done());
            assert_eq!(read.working.mak.unwrap().kcv(), slot.working.mak.as_ref().unwrap().kcv());
            assert!(read.working.pik.is_none());
            slot.tmk.take(key(2));
            take(&mut slot.working.mak, Mak::generate().unwrap());
        }
    }
}
