//! What one slot holds, and when a key in it gives way to another.
//!
//! A slot has the key that came last and the one before it. The older stays until the newer has worked once, because
//! DONE is not authenticated in suite 01 (2-wire.md section 4, "Confirming") and a line may be cut anywhere: the two
//! ends always have a key in common.

use paycrypto::TdesKey;
use paycrypto::keys::Tmk;
use subtle::ConstantTimeEq;
use wire::Suite;

use super::codec::{Reader, Writer};

/// Bytes of an owner's identifier.
pub(super) const OWNER_ID: usize = 16;

/// Who filled a slot first: the secret that brought the key, and the suite (1-systems.md, "What must hold everywhere").
/// The identifier is an HMAC of the secret under a key of this PIN pad's own, so it tells nothing of it.
#[derive(Clone, Copy)]
pub(super) struct Owner {
    pub(super) suite: Suite,
    pub(super) id: [u8; OWNER_ID],
}

impl Owner {
    /// Whether a key that `other` brings may replace one of this owner's.
    pub(super) fn admits(&self, other: &Owner) -> bool {
        self.id.ct_eq(&other.id).into() && other.suite >= self.suite
    }
}

/// A slot that was filled.
pub(super) struct SlotKeys {
    pub(super) owner: Owner,
    current: Tmk,
    /// Whether DONE arrived for the current key.
    done: bool,
    previous: Option<Tmk>,
}

impl SlotKeys {
    /// A slot with its first key.
    pub(super) fn first(owner: Owner, tmk: Tmk) -> SlotKeys {
        SlotKeys { owner, current: tmk, done: false, previous: None }
    }

    /// Whether the key is the current one: then a broken download brought it again, and nothing is to be stored.
    pub(super) fn holds(&self, tmk: &Tmk) -> bool {
        self.current.expose().ct_eq(tmk.expose()).into()
    }

    /// Takes a new key.
    ///
    /// The current one becomes the previous one when its DONE had arrived, or when nothing else is there. Otherwise it
    /// is a key that was replaced before it was finished: it gives way, and the previous one, which worked, stays.
    pub(super) fn take(&mut self, tmk: Tmk) {
        let replaced = std::mem::replace(&mut self.current, tmk);
        if self.done || self.previous.is_none() {
            self.previous = Some(replaced);
        }
        self.done = false;
    }

    /// Remembers DONE; says whether that is new.
    pub(super) fn finish(&mut self) -> bool {
        !std::mem::replace(&mut self.done, true)
    }

    /// Check value of the current key.
    pub(super) fn kcv(&self) -> [u8; 3] {
        self.current.kcv()
    }

    /// Check value of the key before it.
    pub(super) fn previous_kcv(&self) -> Option<[u8; 3]> {
        self.previous.as_ref().map(Tmk::kcv)
    }

    /// Whether DONE arrived for the current key.
    pub(super) fn is_done(&self) -> bool {
        self.done
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        writer.byte(self.owner.suite.byte());
        writer.bytes(&self.owner.id);
        writer.byte(u8::from(self.done));
        writer.sized(self.current.expose());
        writer.sized(self.previous.as_ref().map(Tmk::expose).unwrap_or_default());
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<SlotKeys> {
        let owner = Owner { suite: Suite::new(reader.byte()?), id: reader.array()? };
        let done = reader.flag()?;
        let current = read_key(reader.sized()?)?;
        let previous = match reader.sized()? {
            [] => None,
            key => Some(read_key(key)?),
        };
        Some(SlotKeys { owner, current, done, previous })
    }
}

fn read_key(bytes: &[u8]) -> Option<Tmk> {
    Tmk::from_key(TdesKey::from_bytes(bytes).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { suite: Suite::TDES, id: [1; OWNER_ID] };

    fn key(seed: u8) -> Tmk {
        let bytes: Vec<u8> = (0..24).map(|n| seed.wrapping_mul(31).wrapping_add(n * 7)).collect();
        Tmk::from_key(TdesKey::from_bytes(&bytes).unwrap()).unwrap()
    }

    #[test]
    fn a_finished_key_stays_beside_the_new_one() {
        let mut slot = SlotKeys::first(OWNER, key(1));
        assert!(slot.finish());
        slot.take(key(2));
        assert_eq!((slot.kcv(), slot.previous_kcv()), (key(2).kcv(), Some(key(1).kcv())));
        assert!(!slot.is_done());
    }

    #[test]
    fn an_unfinished_key_gives_way_and_the_finished_one_stays() {
        let mut slot = SlotKeys::first(OWNER, key(1));
        slot.finish();
        slot.take(key(2));
        slot.take(key(3));
        assert_eq!((slot.kcv(), slot.previous_kcv()), (key(3).kcv(), Some(key(1).kcv())));
    }

    #[test]
    fn an_only_key_is_kept_though_unfinished() {
        let mut slot = SlotKeys::first(OWNER, key(1));
        slot.take(key(2));
        assert_eq!(slot.previous_kcv(), Some(key(1).kcv()));
    }

    #[test]
    fn done_is_new_once() {
        let mut slot = SlotKeys::first(OWNER, key(1));
        assert!(slot.finish());
        assert!(!slot.finish());
    }

    #[test]
    fn a_key_is_known_again() {
        let slot = SlotKeys::first(OWNER, key(1));
        assert!(slot.holds(&key(1)));
        assert!(!slot.holds(&key(2)));
    }

    #[test]
    fn another_owner_or_a_lower_suite_is_not_admitted() {
        let high = Owner { suite: Suite::EC_AES, ..OWNER };
        assert!(OWNER.admits(&OWNER) && OWNER.admits(&high));
        assert!(!high.admits(&OWNER));
        assert!(!OWNER.admits(&Owner { id: [2; OWNER_ID], ..OWNER }));
    }

    #[test]
    fn a_slot_is_written_as_it_is_read() {
        let mut slot = SlotKeys::first(OWNER, key(1));
        slot.finish();
        for _ in 0..2 {
            let mut writer = Writer::new();
            slot.write(&mut writer);
            let bytes = writer.finish();
            let mut reader = Reader::new(&bytes);
            let read = SlotKeys::read(&mut reader).unwrap();
            assert!(reader.is_at_end());
            assert_eq!((read.kcv(), read.previous_kcv()), (slot.kcv(), slot.previous_kcv()));
            assert_eq!(read.is_done(), slot.is_done());
            slot.take(key(2));
        }
    }
}
