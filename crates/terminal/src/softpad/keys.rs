//! The keys of each suite, as the PIN pad keeps them: one shape, whatever the suite.
//!
//! What a suite's keys are is a type of the suite ([`Keys`]), so that no step of one suite can be handed a key of
//! another. Another suite is another type with this trait, and a set of keys more in the state.

use std::collections::BTreeMap;

use flows::suite::Suite;
use paycrypto::blocks::BlockKey;
use paycrypto::{TdesKey, ec, keys as tdes};
use wire::{Kcv, Slot};
use zeroize::Zeroizing;

use super::codec::{Reader, Writer};
use super::owner::Owner;
use super::slot_keys::SlotKeys;
use super::state::PadState;

pub(super) use flows::suite::{EcAes, Tdes};

/// A key that the PIN pad keeps.
pub(super) trait KeptKey: Sized {
    /// Its clear bytes, to be sealed or compared.
    fn clear(&self) -> &[u8];

    /// The key of these bytes; nothing when they are none.
    fn from_clear(clear: &[u8]) -> Option<Self>;

    /// Its check value.
    fn check_value(&self) -> Kcv;
}

/// Whether two keys have the same bytes, in constant time.
pub(super) fn equal<K: KeptKey>(a: &K, b: &K) -> bool {
    subtle::ConstantTimeEq::ct_eq(a.clear(), b.clear()).into()
}

macro_rules! tdes_keys {
    ($($key:ident),*) => {$(
        impl KeptKey for tdes::$key {
            fn clear(&self) -> &[u8] {
                self.expose()
            }

            fn from_clear(clear: &[u8]) -> Option<Self> {
                <Self as BlockKey>::from_key(TdesKey::from_bytes(clear).ok()?).ok()
            }

            fn check_value(&self) -> Kcv {
                Kcv::Tdes(self.kcv())
            }
        }
    )*};
}

tdes_keys!(Tmk, Pik, Mak, Tdk, Dik2, Dmk);

macro_rules! ec_keys {
    ($($key:ident),*) => {$(
        impl KeptKey for ec::keys::$key {
            fn clear(&self) -> &[u8] {
                self.expose()
            }

            fn from_clear(clear: &[u8]) -> Option<Self> {
                clear.try_into().ok().map(Self::from_bytes)
            }

            fn check_value(&self) -> Kcv {
                Kcv::Aes(self.kcv())
            }
        }
    )*};
}

ec_keys!(Tmk, Pik, Mak, Tdk, Dik2, Dmk);

/// A suite whose keys the PIN pad keeps.
pub(super) trait Keys: Suite {
    /// Terminal master key.
    type Tmk: KeptKey;
    /// PIN encryption key.
    type Pik: KeptKey;
    /// MAC key.
    type Mak: KeptKey;
    /// Track data key.
    type Tdk: KeptKey;
    /// Device identity key, level 2.
    type Dik2: KeptKey;
    /// Device master key.
    type Dmk: KeptKey;

    /// This suite's keys in a state.
    fn of(state: &PadState) -> &SuiteKeys<Self>;

    /// The same, to be changed.
    fn of_mut(state: &mut PadState) -> &mut SuiteKeys<Self>;
}

impl Keys for Tdes {
    type Tmk = tdes::Tmk;
    type Pik = tdes::Pik;
    type Mak = tdes::Mak;
    type Tdk = tdes::Tdk;
    type Dik2 = tdes::Dik2;
    type Dmk = tdes::Dmk;

    fn of(state: &PadState) -> &SuiteKeys<Tdes> {
        &state.tdes
    }

    fn of_mut(state: &mut PadState) -> &mut SuiteKeys<Tdes> {
        &mut state.tdes
    }
}

impl Keys for EcAes {
    type Tmk = ec::keys::Tmk;
    type Pik = ec::keys::Pik;
    type Mak = ec::keys::Mak;
    type Tdk = ec::keys::Tdk;
    type Dik2 = ec::keys::Dik2;
    type Dmk = ec::keys::Dmk;

    fn of(state: &PadState) -> &SuiteKeys<EcAes> {
        &state.ec_aes
    }

    fn of_mut(state: &mut PadState) -> &mut SuiteKeys<EcAes> {
        &mut state.ec_aes
    }
}

/// The keys of one suite: slots, DIK2, DMK.
pub(super) struct SuiteKeys<S: Keys> {
    pub(super) slots: BTreeMap<Slot, SlotKeys<S>>,
    pub(super) identity: Option<Identity<S>>,
    pub(super) dmk: Option<HeldDmk<S>>,
}

impl<S: Keys> SuiteKeys<S> {
    /// None at all.
    pub(super) fn none() -> SuiteKeys<S> {
        SuiteKeys { slots: BTreeMap::new(), identity: None, dmk: None }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.slots.is_empty() && self.identity.is_none() && self.dmk.is_none()
    }

    pub(super) fn write(&self, writer: &mut Writer) {
        // At most 100 slots, by their type.
        writer.byte(u8::try_from(self.slots.len()).unwrap_or(u8::MAX));
        for (slot, keys) in &self.slots {
            writer.byte(slot.index());
            keys.write(writer);
        }
        writer.byte(u8::from(self.identity.is_some()));
        if let Some(Identity { owner, dik2, factor, done, before }) = &self.identity {
            owner.write(writer);
            writer.sized(dik2.clear());
            writer.sized(factor);
            writer.byte(u8::from(*done));
            writer.byte(u8::from(before.is_some()));
            if let Some((dik2, factor)) = before {
                writer.sized(dik2.clear());
                writer.sized(factor);
            }
        }
        writer.byte(u8::from(self.dmk.is_some()));
        if let Some(HeldDmk { owner, dmk, done, before }) = &self.dmk {
            owner.write(writer);
            writer.sized(dmk.clear());
            writer.byte(u8::from(*done));
            writer.sized(before.as_ref().map(KeptKey::clear).unwrap_or_default());
        }
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<SuiteKeys<S>> {
        let mut keys = SuiteKeys::none();
        for _ in 0..reader.byte()? {
            let slot = Slot::new(reader.byte()?).ok()?;
            keys.slots.insert(slot, SlotKeys::read(reader)?);
        }
        if reader.flag()? {
            let mut identity = Identity::read_alone(reader)?;
            if reader.flag()? {
                identity.before = Some(read_dik2::<S>(reader)?);
            }
            keys.identity = Some(identity);
        }
        if reader.flag()? {
            let mut dmk = HeldDmk::read_alone(reader)?;
            dmk.before = match reader.sized()? {
                [] => None,
                clear => Some(KeptKey::from_clear(clear)?),
            };
            keys.dmk = Some(dmk);
        }
        Some(keys)
    }
}

/// A factor that a DIK2 was derived with.
pub(super) type Factor = Zeroizing<Vec<u8>>;

/// DIK2 in its place, with the factor that it was derived with.
pub(super) struct Identity<S: Keys = Tdes> {
    pub(super) owner: Owner,
    pub(super) dik2: S::Dik2,
    pub(super) factor: Factor,
    /// Whether its DONE arrived.
    pub(super) done: bool,
    /// The one before it, until that.
    before: Option<(S::Dik2, Factor)>,
}

impl<S: Keys> Identity<S> {
    /// A DIK2 with nothing before it.
    pub(super) fn first(owner: Owner, dik2: S::Dik2, factor: Factor) -> Identity<S> {
        Identity { owner, dik2, factor, done: false, before: None }
    }

    /// Puts a new one in; the one that was finished stays until the new one is ([`Identity::finish`]).
    pub(super) fn take(&mut self, owner: Owner, dik2: S::Dik2, factor: Factor) {
        let new = Identity::first(owner, dik2, factor);
        let old = std::mem::replace(self, new);
        self.before = if old.done { Some((old.dik2, old.factor)) } else { old.before };
    }

    /// DONE was verified: the one before is given up.
    pub(super) fn finish(&mut self) {
        self.done = true;
        self.before = None;
    }

    /// What to work with: the last one whose DONE was verified, as far as there is one.
    pub(super) fn in_use(&self) -> (&S::Dik2, &[u8]) {
        match &self.before {
            Some((dik2, factor)) if !self.done => (dik2, factor),
            _ => (&self.dik2, &self.factor),
        }
    }

    /// Every DIK2 that is kept.
    pub(super) fn all(&self) -> impl Iterator<Item = &S::Dik2> {
        std::iter::once(&self.dik2).chain(self.before.iter().map(|(dik2, _)| dik2))
    }

    /// Reads one without what stood before it.
    pub(super) fn read_alone(reader: &mut Reader<'_>) -> Option<Identity<S>> {
        let owner = Owner::read(reader)?;
        let (dik2, factor) = read_dik2::<S>(reader)?;
        Some(Identity { owner, dik2, factor, done: reader.flag()?, before: None })
    }
}

fn read_dik2<S: Keys>(reader: &mut Reader<'_>) -> Option<(S::Dik2, Factor)> {
    Some((KeptKey::from_clear(reader.sized()?)?, Zeroizing::new(reader.sized()?.to_vec())))
}

/// DMK in its place.
pub(super) struct HeldDmk<S: Keys = Tdes> {
    pub(super) owner: Owner,
    pub(super) dmk: S::Dmk,
    /// Whether its DONE arrived.
    pub(super) done: bool,
    /// The one before it, until that.
    before: Option<S::Dmk>,
}

impl<S: Keys> HeldDmk<S> {
    /// A DMK with nothing before it.
    pub(super) fn first(owner: Owner, dmk: S::Dmk) -> HeldDmk<S> {
        HeldDmk { owner, dmk, done: false, before: None }
    }

    /// Puts a new one in; the one that was finished stays until the new one is ([`HeldDmk::finish`]).
    pub(super) fn take(&mut self, owner: Owner, dmk: S::Dmk) {
        let old = std::mem::replace(self, HeldDmk::first(owner, dmk));
        self.before = if old.done { Some(old.dmk) } else { old.before };
    }

    /// DONE was verified: the one before is given up.
    pub(super) fn finish(&mut self) {
        self.done = true;
        self.before = None;
    }

    /// What to work with: the last one whose DONE was verified, as far as there is one.
    pub(super) fn in_use(&self) -> &S::Dmk {
        match &self.before {
            Some(dmk) if !self.done => dmk,
            _ => &self.dmk,
        }
    }

    /// Every DMK that is kept.
    pub(super) fn all(&self) -> impl Iterator<Item = &S::Dmk> {
        std::iter::once(&self.dmk).chain(&self.before)
    }

    /// Reads one without what stood before it.
    pub(super) fn read_alone(reader: &mut Reader<'_>) -> Option<HeldDmk<S>> {
        Some(HeldDmk {
            owner: Owner::read(reader)?,
            dmk: KeptKey::from_clear(reader.sized()?)?,
            done: reader.flag()?,
            before: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use wire::Suite as Number;

    use super::*;
    use crate::softpad::owner::{OWNER_ID, OwnerKind};

    const OWNER: Owner = Owner { kind: OwnerKind::Root, suite: Number::EC_AES, id: [1; OWNER_ID] };

    fn dik2(byte: u8) -> ec::keys::Dik2 {
        ec::keys::Dik2::from_bytes(&[byte; 32])
    }

    fn factor(byte: u8) -> Factor {
        Zeroizing::new(vec![byte])
    }

    #[test]
    fn a_finished_dik2_is_in_use_until_the_new_one_is_finished() {
        let mut place: Identity<EcAes> = Identity::first(OWNER, dik2(1), factor(1));
        assert_eq!(place.in_use().1, [1], "an only one is used though unfinished");
        place.finish();
        for new in [2, 3] {
            place.take(OWNER, dik2(new), factor(new));
            assert_eq!((place.in_use().0.kcv(), place.in_use().1), (dik2(1).kcv(), &[1][..]));
        }
        assert_eq!(place.all().count(), 2, "an unfinished one gives way");
        place.finish();
        assert_eq!((place.in_use().0.kcv(), place.in_use().1), (dik2(3).kcv(), &[3][..]));
        assert_eq!(place.all().count(), 1);
    }

    #[test]
    fn a_finished_dmk_is_in_use_until_the_new_one_is_finished() {
        let dmk = |byte| ec::keys::Dmk::from_bytes(&[byte; 32]);
        let mut place: HeldDmk<EcAes> = HeldDmk::first(OWNER, dmk(1));
        place.finish();
        place.take(OWNER, dmk(2));
        assert_eq!((place.in_use().kcv(), place.all().count()), (dmk(1).kcv(), 2));
        place.finish();
        assert_eq!((place.in_use().kcv(), place.all().count()), (dmk(2).kcv(), 1));
    }

    #[test]
    fn keys_of_a_suite_are_written_as_they_are_read() {
        let mut keys: SuiteKeys<EcAes> = SuiteKeys::none();
        assert!(keys.is_empty());
        let mut identity = Identity::first(OWNER, dik2(1), factor(1));
        identity.finish();
        identity.take(OWNER, dik2(2), factor(2));
        keys.identity = Some(identity);
        let mut dmk = HeldDmk::first(OWNER, ec::keys::Dmk::from_bytes(&[3; 32]));
        dmk.finish();
        dmk.take(OWNER, ec::keys::Dmk::from_bytes(&[4; 32]));
        keys.dmk = Some(dmk);
        let tmk = ec::keys::Tmk::from_bytes(&[5; 16]);
        keys.slots.insert(Slot::new(7).unwrap(), SlotKeys::first(OWNER, tmk));
        let mut writer = Writer::new();
        keys.write(&mut writer);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        let read: SuiteKeys<EcAes> = SuiteKeys::read(&mut reader).unwrap();
        assert!(reader.is_at_end() && !read.is_empty());
        let mut again = Writer::new();
        read.write(&mut again);
        assert_eq!(*again.finish(), *bytes);
        assert_eq!(read.identity.unwrap().in_use().1, [1]);
        assert_eq!(read.dmk.unwrap().all().count(), 2);
        for length in 0..bytes.len() {
            assert!(SuiteKeys::<EcAes>::read(&mut Reader::new(&bytes[..length])).is_none(), "{length}");
        }
    }
}
