//! What the software PIN pad remembers.

use flows::repair::messages::CHALLENGE;
use paycrypto::ec;
use paycrypto::ec::blocks::LoadCounter;
use paycrypto::tk::{CheckedTk, TkDefect};
use wire::{Serial, Slot, Suite};
use zeroize::Zeroizing;

use super::counters::{Completed, KeyName, LoadCounters};
use super::device_key::DeviceKey;
use super::held_tk::HeldTk;
use super::keys::{EcAes, Keys, SuiteKeys, Tdes};
use super::owner::{OWNER_KEY, Owner, OwnerKind};
use super::pin_budget::PinBudget;
use super::slot_keys::SlotKeys;
use crate::life_cycle::{Milestone, Wipe};
use crate::refusals::{RefusalLog, signed_text};
use crate::{Error, Latch, LifeCycle};

/// Everything that the PIN pad keeps, in clear, in memory only.
pub(super) struct PadState {
    pub(super) serial: Serial,
    pub(super) life_cycle: LifeCycle,
    pub(super) owner_key: Zeroizing<[u8; OWNER_KEY]>,
    pub(super) tk: Option<HeldTk>,
    pub(super) latch: Option<Latch>,
    /// The keys of suite 01.
    pub(super) tdes: SuiteKeys<Tdes>,
    /// The keys of suite 02.
    pub(super) ec_aes: SuiteKeys<EcAes>,
    /// How often a TMK came for each slot. No wipe takes it back.
    pub(super) counters: LoadCounters,
    /// How many TKs were made (DF18). Nothing takes it back, a repair neither.
    pub(super) generation: u64,
    /// In which suite a flow was completed for each key. A repair authorisation lifts it, no wipe does.
    pub(super) completed: Completed,
    /// Made at production; a tamper event in the field and retirement wipe it, a repair does not.
    pub(super) device_key: Option<DeviceKey>,
    /// Openings of the lid that were acted on.
    pub(super) lid_openings: u64,
    /// The challenge that a repair authorisation must answer, until it is used.
    pub(super) challenge: Option<[u8; CHALLENGE]>,
    pub(super) refusals: RefusalLog,
    /// How many PINs may be encrypted now. No repair and no wipe fills it.
    pub(super) pins: PinBudget,
}

impl PadState {
    /// A PIN pad as it leaves the machine: no TK, no key but its own device key.
    pub(super) fn new(serial: Serial) -> Result<PadState, Error> {
        let mut owner_key = Zeroizing::new([0; OWNER_KEY]);
        paycrypto::random::fill(owner_key.as_mut_slice())?;
        let mut state = PadState::empty(serial, owner_key);
        state.device_key = Some(DeviceKey::generate()?);
        Ok(state)
    }

    /// The state with nothing in it.
    pub(super) fn empty(serial: Serial, owner_key: Zeroizing<[u8; OWNER_KEY]>) -> PadState {
        let refusals = RefusalLog::new(serial.as_str());
        PadState {
            serial,
            life_cycle: LifeCycle::Production,
            owner_key,
            tk: None,
            latch: None,
            tdes: SuiteKeys::none(),
            ec_aes: SuiteKeys::none(),
            counters: LoadCounters::default(),
            generation: 0,
            completed: Completed::default(),
            device_key: None,
            lid_openings: 0,
            challenge: None,
            refusals,
            pins: PinBudget::full(),
        }
    }

    /// The keys of one suite.
    pub(super) fn of<S: Keys>(&self) -> &SuiteKeys<S> {
        S::of(self)
    }

    /// The keys of one suite, to be changed.
    pub(super) fn of_mut<S: Keys>(&mut self) -> &mut SuiteKeys<S> {
        S::of_mut(self)
    }

    /// What a slot holds in one suite.
    pub(super) fn slot<S: Keys>(&self, slot: Slot) -> Option<&SlotKeys<S>> {
        self.of::<S>().slots.get(&slot)
    }

    /// Who filled this slot first, in whatever suite.
    pub(super) fn slot_owner(&self, slot: Slot) -> Option<Owner> {
        let (ec_aes, tdes) = (self.slot::<EcAes>(slot), self.slot::<Tdes>(slot));
        ec_aes.map(|keys| keys.owner).or(tdes.map(|keys| keys.owner))
    }

    /// Who filled DIK2's place first, in whatever suite.
    pub(super) fn identity_owner(&self) -> Option<Owner> {
        let (ec_aes, tdes) = (&self.ec_aes.identity, &self.tdes.identity);
        ec_aes.as_ref().map(|held| held.owner).or(tdes.as_ref().map(|held| held.owner))
    }

    /// Who filled DMK's place first, in whatever suite.
    pub(super) fn dmk_owner(&self) -> Option<Owner> {
        let (ec_aes, tdes) = (&self.ec_aes.dmk, &self.tdes.dmk);
        ec_aes.as_ref().map(|held| held.owner).or(tdes.as_ref().map(|held| held.owner))
    }

    /// Puts a TMK beside the one that its slot has.
    pub(super) fn put_tmk<S: Keys>(&mut self, slot: Slot, owner: Owner, tmk: S::Tmk) {
        let slots = &mut self.of_mut::<S>().slots;
        match slots.get_mut(&slot) {
            Some(keys) => keys.tmk.take(tmk),
            None => {
                slots.insert(slot, SlotKeys::first(owner, tmk));
            }
        }
    }

    /// As [`PadState::put_tmk`], with the load counter that came with it: both are stored in one write. The key that is
    /// there already changes nothing but the counter.
    pub(super) fn put_counted_tmk(
        &mut self,
        slot: Slot,
        owner: Owner,
        (tmk, counter): (ec::keys::Tmk, LoadCounter),
    ) {
        self.counters.raise(slot, &owner, counter);
        self.put_tmk::<EcAes>(slot, owner, tmk);
    }

    /// The counter that this owner's next TMK for the slot must follow.
    pub(super) fn load_counter(&self, slot: Slot, owner: &Owner) -> LoadCounter {
        self.counters.of(slot, owner)
    }

    /// DONE's receipt was verified for the TMK of this slot: the one before it is given up, in whatever suite, and no
    /// lower suite is taken for this slot any more.
    pub(super) fn verified_tmk(&mut self, slot: Slot) {
        if let Some(keys) = self.ec_aes.slots.get_mut(&slot) {
            keys.tmk.worked();
            self.tdes.slots.remove(&slot);
        }
        self.completed.raise(KeyName::Slot(slot), Suite::EC_AES);
    }

    /// DONE's receipt was verified for DIK2: as [`PadState::verified_tmk`].
    pub(super) fn verified_dik2(&mut self) {
        if let Some(held) = &mut self.ec_aes.identity {
            held.finish();
            self.tdes.identity = None;
        }
        self.completed.raise(KeyName::Dik2, Suite::EC_AES);
    }

    /// DONE's receipt was verified for DMK: as [`PadState::verified_tmk`].
    pub(super) fn verified_dmk(&mut self) {
        if let Some(held) = &mut self.ec_aes.dmk {
            held.finish();
            self.tdes.dmk = None;
        }
        self.completed.raise(KeyName::Dmk, Suite::EC_AES);
    }

    /// Writes into the log why something was refused, signed where there is a certified device key. A record that cannot
    /// be signed is not lost.
    pub(super) fn refuse(&mut self, check: &str, reading: &str, when: i64) {
        self.refusals.add(check, reading, when);
        let Some(key) = self.device_key.as_ref().filter(|key| key.certificate().is_some()) else { return };
        let text = signed_text(self.serial.as_str(), &self.refusals.head());
        if let Ok(signature) = key.sign_text(&text) {
            self.refusals.sign_newest(signature);
        }
    }

    /// The TK of suite 01 for one use, checked; nothing when there is none of this suite.
    pub(super) fn tk(&self) -> Result<Option<CheckedTk>, TkDefect> {
        self.tk.as_ref().map_or(Ok(None), HeldTk::check_tdes)
    }

    /// The TK of suite 02 for one use, checked; nothing when there is none of this suite.
    pub(super) fn ec_tk(&self) -> Result<Option<ec::Tk>, TkDefect> {
        self.tk.as_ref().map_or(Ok(None), HeldTk::check_ec_aes)
    }

    /// The device key, and its certificate; nothing while it has none.
    pub(super) fn certified(&self) -> Option<(&DeviceKey, &[u8])> {
        let key = self.device_key.as_ref()?;
        Some((key, key.certificate()?))
    }

    pub(super) fn has_tk(&self) -> bool {
        self.tk.is_some()
    }

    /// Whether there is any key at all that came from outside or went out.
    pub(super) fn has_keys(&self) -> bool {
        self.tk.is_some() || !self.tdes.is_empty() || !self.ec_aes.is_empty()
    }

    /// Moves through the life cycle, erasing what the table says. Says whether that is possible.
    pub(super) fn pass(&mut self, milestone: Milestone) -> bool {
        let Some((to, wipe)) = self.life_cycle.step(milestone) else {
            return false;
        };
        match wipe {
            Wipe::Nothing => {}
            Wipe::Tk => self.erase_tk(),
            Wipe::Everything => self.erase_all(),
        }
        if milestone == Milestone::RepairAuthorised {
            // Used once. A power cut cannot bring it back: it goes in the same write as the keys.
            self.challenge = None;
            self.completed.lift();
        }
        if matches!(to, LifeCycle::Tampered | LifeCycle::Retired) {
            // Nobody can say any more who has read it.
            self.device_key = None;
        }
        self.life_cycle = to;
        true
    }

    /// Erases TK, latch and the slots that the TK owns. Those go with it because no other secret may fill them again,
    /// so they would be lost (1-systems.md, last section); and a TK is erased only before the terminal was deployed,
    /// when no host relies on their keys yet.
    pub(super) fn erase_tk(&mut self) {
        self.tk = None;
        self.latch = None;
        self.tdes.slots.retain(|_, keys| keys.owner.kind != OwnerKind::Tk);
        self.ec_aes.slots.retain(|_, keys| keys.owner.kind != OwnerKind::Tk);
    }

    /// Erases every key with its owner, and the latch. What only goes upward stays, and the device key.
    pub(super) fn erase_all(&mut self) {
        self.tk = None;
        self.latch = None;
        self.tdes = SuiteKeys::none();
        self.ec_aes = SuiteKeys::none();
    }

    /// Puts a new TK in, and what was sent of it.
    pub(super) fn set_tk(&mut self, tk: HeldTk, latch: Latch) {
        self.tk = Some(tk);
        self.latch = Some(latch);
    }

    /// Replaces TK and nothing else, as no command of a PIN pad can.
    #[cfg(test)]
    pub(super) fn import_tk(&mut self, tk: &CheckedTk) {
        self.tk = Some(HeldTk::tdes(tk));
    }

    /// Spoils the stored TK.
    #[cfg(test)]
    pub(super) fn damage_tk(&mut self) {
        self.tk.iter_mut().for_each(HeldTk::damage);
    }

    /// Who fills slots by this TK of suite 01.
    pub(super) fn owner(&self, tk: &CheckedTk, suite: Suite) -> Owner {
        self.owner_by(OwnerKind::Tk, suite, tk.tek().expose())
    }

    /// Who fills places by this secret in this suite.
    pub(super) fn owner_by(&self, kind: OwnerKind, suite: Suite, secret: &[u8]) -> Owner {
        Owner::by(&self.owner_key, kind, suite, secret)
    }
}
