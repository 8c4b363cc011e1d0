//! Keys that a KLD or an RKS brings: where each goes, and when it is finished, in whatever suite.

use flows::PadRefusal;
use flows::suite::Receipt;
use paycrypto::ec;
use paycrypto::ec::blocks::LoadCounter;
use paycrypto::keys as tdes;
use wire::{Fields, Frame, Kcv, MessageType, Slot, Suite};

use super::counters::KeyName;
use super::keys::{EcAes, Factor, HeldDmk, Identity, KeptKey, Keys, Tdes};
use super::owner::Owner;
use super::separation::{KeyUse, Named, refuse_twin};
use super::slot_keys::{Held, take};
use super::state::PadState;
use super::{Denied, SoftPad};

/// A suite in which keys come.
pub(super) trait Incoming: Keys {
    /// A TMK as its block brings it.
    type ComingTmk: AsKey<Self::Tmk>;

    /// Puts a TMK beside the one that its slot has.
    fn put_tmk(state: &mut PadState, slot: Slot, owner: Owner, tmk: Self::ComingTmk);

    /// Puts a DIK2 into its place.
    fn put_dik2(state: &mut PadState, owner: Owner, dik2: Self::Dik2, factor: Factor);

    /// Puts a DMK into its place.
    fn put_dmk(state: &mut PadState, owner: Owner, dmk: Self::Dmk);

    /// DONE ended the flow that brought this key.
    fn finish(state: &mut PadState, place: Place);
}

/// What holds a key.
pub(super) trait AsKey<K> {
    fn as_key(&self) -> &K;
}

impl AsKey<tdes::Tmk> for tdes::Tmk {
    fn as_key(&self) -> &tdes::Tmk {
        self
    }
}

/// A TMK of suite 02 comes with its slot's load counter.
impl AsKey<ec::keys::Tmk> for (ec::keys::Tmk, LoadCounter) {
    fn as_key(&self) -> &ec::keys::Tmk {
        &self.0
    }
}

/// Where a key went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Tmk(Slot),
    Pik(Slot),
    Mak(Slot),
    Tdk(Slot),
    Dik2,
    Dmk,
}

impl Place {
    /// The slot that it belongs to, if it is a slot's.
    pub(super) fn slot(self) -> Option<Slot> {
        match self {
            Place::Tmk(slot) | Place::Pik(slot) | Place::Mak(slot) | Place::Tdk(slot) => Some(slot),
            Place::Dik2 | Place::Dmk => None,
        }
    }

    /// The index that its block and a receipt name: DIK2 and DMK have 00.
    pub(super) fn index(self) -> u8 {
        self.slot().map_or(0, Slot::index)
    }

    /// The key whose suite is remembered when it is completed.
    pub(super) fn name(self) -> KeyName {
        match self {
            Place::Tmk(slot) | Place::Pik(slot) | Place::Mak(slot) | Place::Tdk(slot) => KeyName::Slot(slot),
            Place::Dik2 => KeyName::Dik2,
            Place::Dmk => KeyName::Dmk,
        }
    }
}

/// A key that was brought, opened.
pub(super) enum Brought<S: Incoming> {
    Tmk(Slot, S::ComingTmk),
    Pik(Slot, S::Pik),
    Mak(Slot, S::Mak),
    Tdk(Slot, S::Tdk),
    Dik2(S::Dik2, Factor),
    Dmk(S::Dmk),
}

impl<S: Incoming> Brought<S> {
    pub(super) fn place(&self) -> Place {
        match self {
            Brought::Tmk(slot, _) => Place::Tmk(*slot),
            Brought::Pik(slot, _) => Place::Pik(*slot),
            Brought::Mak(slot, _) => Place::Mak(*slot),
            Brought::Tdk(slot, _) => Place::Tdk(*slot),
            Brought::Dik2(..) => Place::Dik2,
            Brought::Dmk(_) => Place::Dmk,
        }
    }

    /// Its use and its bytes.
    pub(super) fn named(&self) -> Named<'_> {
        match self {
            Brought::Tmk(_, tmk) => (KeyUse::Tmk, tmk.as_key().clear()),
            Brought::Pik(_, key) => (KeyUse::Pik, key.clear()),
            Brought::Mak(_, key) => (KeyUse::Mak, key.clear()),
            Brought::Tdk(_, key) => (KeyUse::Tdk, key.clear()),
            Brought::Dik2(key, _) => (KeyUse::Dik2, key.clear()),
            Brought::Dmk(key) => (KeyUse::Dmk, key.clear()),
        }
    }

    pub(super) fn kcv(&self) -> Kcv {
        match self {
            Brought::Tmk(_, tmk) => tmk.as_key().check_value(),
            Brought::Pik(_, key) => key.check_value(),
            Brought::Mak(_, key) => key.check_value(),
            Brought::Tdk(_, key) => key.check_value(),
            Brought::Dik2(key, _) => key.check_value(),
            Brought::Dmk(key) => key.check_value(),
        }
    }

    /// Puts it into its place. A working key goes into a slot that has a TMK.
    pub(super) fn store(self, state: &mut PadState, owner: Owner) {
        match self {
            Brought::Tmk(slot, tmk) => S::put_tmk(state, slot, owner, tmk),
            Brought::Dik2(dik2, factor) => S::put_dik2(state, owner, dik2, factor),
            Brought::Dmk(dmk) => S::put_dmk(state, owner, dmk),
            Brought::Pik(slot, pik) => {
                if let Some(keys) = state.of_mut::<S>().slots.get_mut(&slot) {
                    take(&mut keys.working.pik, pik);
                }
            }
            Brought::Mak(slot, mak) => {
                if let Some(keys) = state.of_mut::<S>().slots.get_mut(&slot) {
                    take(&mut keys.working.mak, mak);
                }
            }
            Brought::Tdk(slot, tdk) => {
                if let Some(keys) = state.of_mut::<S>().slots.get_mut(&slot) {
                    take(&mut keys.working.tdk, tdk);
                }
            }
        }
    }
}

impl Incoming for Tdes {
    type ComingTmk = tdes::Tmk;

    fn put_tmk(state: &mut PadState, slot: Slot, owner: Owner, tmk: tdes::Tmk) {
        state.put_tmk::<Tdes>(slot, owner, tmk);
    }

    /// DONE is not authenticated in this suite: nothing would show when the one before may go.
    fn put_dik2(state: &mut PadState, owner: Owner, dik2: tdes::Dik2, factor: Factor) {
        state.tdes.identity = Some(Identity::first(owner, dik2, factor));
    }

    fn put_dmk(state: &mut PadState, owner: Owner, dmk: tdes::Dmk) {
        state.tdes.dmk = Some(HeldDmk::first(owner, dmk));
    }

    fn finish(state: &mut PadState, place: Place) {
        let slots = &mut state.tdes.slots;
        match place {
            Place::Tmk(slot) => slots.get_mut(&slot).into_iter().for_each(|keys| keys.tmk.finish()),
            Place::Pik(slot) => {
                slots
                    .get_mut(&slot)
                    .and_then(|keys| keys.working.pik.as_mut())
                    .into_iter()
                    .for_each(Held::finish);
            }
            Place::Mak(slot) => {
                slots
                    .get_mut(&slot)
                    .and_then(|keys| keys.working.mak.as_mut())
                    .into_iter()
                    .for_each(Held::finish);
            }
            Place::Tdk(slot) => {
                slots
                    .get_mut(&slot)
                    .and_then(|keys| keys.working.tdk.as_mut())
                    .into_iter()
                    .for_each(Held::finish);
            }
            Place::Dik2 => state.tdes.identity.iter_mut().for_each(Identity::finish),
            Place::Dmk => state.tdes.dmk.iter_mut().for_each(HeldDmk::finish),
        }
    }
}

impl Incoming for EcAes {
    type ComingTmk = (ec::keys::Tmk, LoadCounter);

    fn put_tmk(state: &mut PadState, slot: Slot, owner: Owner, tmk: Self::ComingTmk) {
        state.put_counted_tmk(slot, owner, tmk);
    }

    fn put_dik2(state: &mut PadState, owner: Owner, dik2: ec::keys::Dik2, factor: Factor) {
        match &mut state.ec_aes.identity {
            Some(held) => held.take(owner, dik2, factor),
            none => *none = Some(Identity::first(owner, dik2, factor)),
        }
    }

    fn put_dmk(state: &mut PadState, owner: Owner, dmk: ec::keys::Dmk) {
        match &mut state.ec_aes.dmk {
            Some(held) => held.take(owner, dmk),
            none => *none = Some(HeldDmk::first(owner, dmk)),
        }
    }

    /// DONE's receipt was verified: the key before it goes.
    fn finish(state: &mut PadState, place: Place) {
        let slots = &mut state.ec_aes.slots;
        match place {
            Place::Tmk(slot) => state.verified_tmk(slot),
            Place::Dik2 => state.verified_dik2(),
            Place::Dmk => state.verified_dmk(),
            Place::Pik(slot) => {
                slots
                    .get_mut(&slot)
                    .and_then(|keys| keys.working.pik.as_mut())
                    .into_iter()
                    .for_each(Held::worked);
            }
            Place::Mak(slot) => {
                slots
                    .get_mut(&slot)
                    .and_then(|keys| keys.working.mak.as_mut())
                    .into_iter()
                    .for_each(Held::worked);
            }
            Place::Tdk(slot) => {
                slots
                    .get_mut(&slot)
                    .and_then(|keys| keys.working.tdk.as_mut())
                    .into_iter()
                    .for_each(Held::worked);
            }
        }
    }
}

impl SoftPad {
    /// Refuses a place that another owner filled, one that has moved up to a higher suite, and a key that is one of
    /// another use: of those held, or of those that came with it.
    pub(super) fn check_place<S: Incoming>(
        &mut self,
        brought: &Brought<S>,
        with: &[Brought<S>],
        owner: &Owner,
    ) -> Result<(), PadRefusal> {
        let place = brought.place();
        self.check_suite(place.name(), S::ID)?;
        let held = match place {
            Place::Dik2 => self.state.identity_owner(),
            Place::Dmk => self.state.dmk_owner(),
            Place::Tmk(slot) | Place::Pik(slot) | Place::Mak(slot) | Place::Tdk(slot) => {
                self.state.slot_owner(slot)
            }
        };
        self.check_owner(held, owner, &place.name().to_string())?;
        let beside = with.iter().filter(|other| other.place().slot() == place.slot()).map(Brought::named);
        refuse_twin(brought.named(), self.state.held_beside(place.slot()).into_iter().chain(beside))
    }

    /// Refuses a suite that is lower than the one in which a flow was completed for this key (3-hardened.md).
    pub(super) fn check_suite(&mut self, key: KeyName, suite: Suite) -> Result<(), PadRefusal> {
        if self.state.completed.allows(key, suite) {
            return Ok(());
        }
        let why = format!(
            "{key} was loaded in a higher suite than {suite}: only a repair authorisation takes it back"
        );
        self.deny("suite", &suite.to_string(), &why);
        Err(PadRefusal::SuiteNotSupported { why })
    }

    /// Stores keys that were checked: all of them or none, in one change of state.
    pub(super) fn store_brought<S: Incoming>(
        &mut self,
        owner: Owner,
        brought: Vec<Brought<S>>,
    ) -> Result<(), Denied> {
        // TMKs first: a working key needs its slot, whatever the order in the message.
        let (tmks, others): (Vec<_>, Vec<_>) =
            brought.into_iter().partition(|key| matches!(key.place(), Place::Tmk(_)));
        let store = |state: &mut PadState| {
            tmks.into_iter().chain(others).for_each(|key| key.store(state, owner));
        };
        self.change(store).map_err(Denied::from)
    }
}

/// A message of suite 02 with one field, as the role writes it.
pub(super) fn message(
    kind: MessageType,
    part: &impl flows::suite::Part,
) -> Result<Frame, flows::ProtocolError> {
    use flows::Suite as _;
    let mut fields = Fields::new();
    part.push(&mut fields)?;
    EcAes::write(kind, fields)
}

/// The KEY_CONFIRM of suite 02 that holds this receipt.
pub(super) fn key_confirm(receipt: [u8; Receipt::LENGTH]) -> Result<Frame, flows::ProtocolError> {
    message(MessageType::KeyConfirm, &Receipt(receipt))
}
