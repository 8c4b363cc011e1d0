//! The PIN pad's part of a sign-in (2-wire.md section 4 and 3-hardened.md, flow F), in whatever suite.
//!
//! Every call takes the open sign-in out and puts it back only when all was well. New working keys are in memory only
//! until the host has shown, by DONE's MAC, that it works with them; until then the old ones do.

use flows::sign_in::SignInPad;
use flows::sign_in::messages::{SignIn, SignInConfirm, SignedIn, WorkingKeys};
use flows::{PadRefusal, Transcript};
use wire::{Frame, Kcv, Place, Slot, Suite};

use super::counters::KeyName;
use super::download::Session;
use super::keys::{EcAes, KeptKey, Keys, Tdes};
use super::load::{key_refused, not_permitted, not_proven, unreadable};
use super::separation::{KeyUse, Named, refuse_twin};
use super::signing_in::SigningIn;
use super::slot_keys::{Held, SlotKeys};
use super::state::PadState;
use super::{Denied, SoftPad};
use crate::PinPad;
use crate::life_cycle::Milestone;

/// In front of what SIGN_IN_CONFIRM's and DONE's MACs are over.
const OK: &[u8] = b"OK";
const DONE: &[u8] = b"DONE";

/// Where an open sign-in is.
pub(super) enum SignInSession<S: SigningIn = Tdes> {
    /// What makes it fresh was given out.
    Begun(Begun<S>),
    /// The keys were opened, and DF52 was given out.
    Opened { begun: Begun<S>, keys: NewKeys<S>, mac: S::Mac },
}

/// What a sign-in is about.
pub(super) struct Begun<S: SigningIn = Tdes> {
    slot: Slot,
    which: Which,
    fresh: S::Fresh,
    kcv: Kcv,
}

#[cfg(test)]
impl Begun {
    /// Puts another Rnd1 in, for worked values.
    pub(super) fn set_rnd1(&mut self, rnd1: [u8; 8]) {
        self.fresh = flows::sign_in::messages::Rnd1(rnd1);
    }
}

/// With which TMK of the slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Newest,
    Previous,
}

/// What WORKING_KEYS brought, opened.
pub(super) struct NewKeys<S: SigningIn> {
    pik: S::Pik,
    mak: S::Mak,
    tdk: Option<S::Tdk>,
}

impl<S: SigningIn> NewKeys<S> {
    fn named(&self) -> Vec<Named<'_>> {
        let two = [(KeyUse::Pik, self.pik.clear()), (KeyUse::Mak, self.mak.clear())];
        two.into_iter().chain(self.tdk.iter().map(|tdk| (KeyUse::Tdk, tdk.clear()))).collect()
    }

    /// Check values in the order of the message.
    fn kcvs(&self) -> Vec<Kcv> {
        let two = [self.pik.check_value(), self.mak.check_value()];
        two.into_iter().chain(self.tdk.iter().map(KeptKey::check_value)).collect()
    }

    /// What SIGN_IN_CONFIRM's MAC is over.
    fn confirmed(&self, fresh: &S::Fresh) -> Vec<u8> {
        let mut text = [OK, fresh.as_ref()].concat();
        self.kcvs().iter().for_each(|kcv| text.extend_from_slice(kcv.as_bytes()));
        text
    }
}

impl<S: SigningIn> SignInPad<S> for SoftPad {
    fn sign_in_begin(&mut self, slot: Slot, attempt: u8) -> Result<(S::Fresh, Kcv), PadRefusal> {
        self.session = Session::Idle;
        self.may_load()?;
        self.check_suite(KeyName::Slot(slot), S::ID)?;
        let Some(keys) = self.state.slot::<S>(slot) else {
            let why = format!("slot {slot} has no TMK: download one first");
            return Err(self.deny("TMK", "none", &why).into());
        };
        let which = match attempt {
            0 => Which::Newest,
            1 => Which::Previous,
            _ => return Err(not_permitted("a slot has at most two TMKs")),
        };
        let Some(tmk) = tmk(keys, which) else {
            return Err(not_permitted(format!("slot {slot} has no older TMK")));
        };
        let (kcv, fresh) = (tmk.check_value(), S::fresh()?);
        let begun = Begun { slot, which, fresh, kcv };
        self.session = S::keep(Box::new(SignInSession::Begun(begun)));
        Ok((fresh, kcv))
    }

    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<S::Mac, PadRefusal> {
        let SignInSession::Begun(begun) = self.take_sign_in::<S>()? else {
            return Err(not_permitted("this sign-in has its keys already"));
        };
        self.may_load()?;
        let opened = self.open_working(&begun, sign_in, keys);
        let keys = self.recorded("WORKING_KEYS", opened)?;
        let mac = S::mac(&keys.mak, &keys.confirmed(&begun.fresh))?;
        self.session = S::keep(Box::new(SignInSession::Opened { begun, keys, mac }));
        Ok(mac)
    }

    fn sign_in_done(&mut self, confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
        let SignInSession::Opened { begun, keys, mac } = self.take_sign_in::<S>()? else {
            return Err(not_permitted("this sign-in has no keys yet"));
        };
        if SignInConfirm::<S>::read(confirm).map_err(unreadable)?.mac != mac {
            return Err(not_permitted("SIGN_IN_CONFIRM is not what this PIN pad gave"));
        }
        let SignedIn { mac } = SignedIn::<S>::read(done).map_err(unreadable)?;
        self.may_load()?;
        if !S::verifies(&keys.mak, &[DONE, begun.fresh.as_ref()].concat(), &mac) {
            let why = "DONE's MAC is wrong: the host does not hold the new MAC key".to_owned();
            return self.recorded("DONE", Err(not_proven(why)));
        }
        let kcvs = keys.kcvs();
        self.change(|state| {
            state.pass(Milestone::KeyDone);
            let Some(slot) = state.of_mut::<S>().slots.get_mut(&begun.slot) else { return };
            let NewKeys { pik, mak, tdk } = keys;
            slot.working.pik = Some(Held::finished(pik));
            slot.working.mak = Some(Held::finished(mak));
            // A host without a track key leaves the one that the RKS brought.
            if let Some(tdk) = tdk {
                slot.working.tdk = Some(Held::finished(tdk));
            }
            // The older TMK working says nothing of the newer: the host may get to know it yet.
            if begun.which == Which::Newest {
                S::worked(state, begun.slot);
            }
        })
        .map_err(Denied::from)?;
        Ok(kcvs)
    }

    fn sign_in_forget(&mut self) {
        if matches!(self.session, Session::SignIn(_) | Session::SignInEc(_)) {
            self.session = Session::Idle;
        }
    }
}

impl SoftPad {
    fn take_sign_in<S: SigningIn>(&mut self) -> Result<SignInSession<S>, PadRefusal> {
        let session = S::take(self.take_session());
        session.map(|session| *session).ok_or_else(|| not_permitted("no sign-in was begun"))
    }

    /// Opens WORKING_KEYS: two or three blocks in their order, each for this slot, this sign-in and its one use.
    fn open_working<S: SigningIn>(
        &self,
        begun: &Begun<S>,
        sign_in: &Frame,
        keys: &Frame,
    ) -> Result<NewKeys<S>, PadRefusal> {
        let said = SignIn::<S>::read(sign_in).map_err(unreadable)?;
        let own = said.suite == S::ID
            && said.device.pin_pad() == self.serial()
            && said.slot == begun.slot
            && said.fresh == begun.fresh
            && said.kcv == begun.kcv;
        if !own {
            return Err(not_permitted("SIGN_IN does not say what this PIN pad began"));
        }
        let slot = self.state.slot::<S>(begun.slot);
        let Some(tmk) = slot.and_then(|keys| tmk(keys, begun.which)) else {
            return Err(not_permitted("the slot's TMK is gone"));
        };
        let WorkingKeys { blocks } = WorkingKeys::read::<S>(keys).map_err(unreadable)?;
        let (pik, mak, tdk) = match blocks.as_slice() {
            [pik, mak] => (pik, mak, None),
            [pik, mak, tdk] => (pik, mak, Some(tdk)),
            _ => return Err(not_permitted("WORKING_KEYS has not two or three blocks")),
        };
        let mut transcript = Transcript::new();
        transcript.push(sign_in);
        let place = Place::new(self.serial().clone(), begun.slot).to_string();
        let context = |before: &[&str]| *transcript.context_after(before).as_bytes();
        let keys: NewKeys<S> = NewKeys {
            pik: S::open_pik(tmk, pik, (&place, &context(&[]))).map_err(key_refused)?,
            mak: S::open_mak(tmk, mak, (&place, &context(&[pik]))).map_err(key_refused)?,
            tdk: tdk
                .map(|tdk| S::open_tdk(tmk, tdk, (&place, &context(&[pik, mak]))))
                .transpose()
                .map_err(key_refused)?,
        };
        self.check_separate(begun.slot, &keys)?;
        Ok(keys)
    }

    /// PIN, MAC and track keys are never each other, nor any key that is held for something else; and people can tell
    /// them apart by their check values.
    fn check_separate<S: SigningIn>(&self, slot: Slot, keys: &NewKeys<S>) -> Result<(), PadRefusal> {
        let named = keys.named();
        for key in &named {
            refuse_twin(*key, self.state.held_beside(Some(slot)).into_iter().chain(named.iter().copied()))?;
        }
        let uses: Vec<KeyUse> = named.iter().map(|(used_as, _)| *used_as).collect();
        refuse_equal_kcvs(&uses, &keys.kcvs())
    }
}

impl PadState {
    /// With which TMKs a slot may sign in: suite 02's before suite 01's, and of each the newest first.
    pub(super) fn sign_in_order(&self, slot: Slot) -> Vec<(Suite, u8)> {
        let mut order = self.attempts::<EcAes>(slot);
        order.extend(self.attempts::<Tdes>(slot));
        order.retain(|(suite, _)| self.completed.allows(KeyName::Slot(slot), *suite));
        order
    }

    fn attempts<S: Keys>(&self, slot: Slot) -> Vec<(Suite, u8)> {
        let held = self.slot::<S>(slot).map(|keys| keys.tmk.previous().is_some());
        let count = held.map_or(0, |previous| 1 + u8::from(previous));
        (0..count).map(|attempt| (S::ID, attempt)).collect()
    }
}

/// Refuses two keys with one check value, by name.
pub(super) fn refuse_equal_kcvs(uses: &[KeyUse], kcvs: &[Kcv]) -> Result<(), PadRefusal> {
    for (at, (used_as, kcv)) in uses.iter().zip(kcvs).enumerate() {
        let mut others = uses.iter().zip(kcvs).skip(at + 1);
        if let Some((other, _)) = others.find(|(_, other)| *other == kcv) {
            let why = format!("the {used_as} and the {other} have the same check value");
            return Err(PadRefusal::KeyRefused { why });
        }
    }
    Ok(())
}

fn tmk<S: Keys>(keys: &SlotKeys<S>, which: Which) -> Option<&S::Tmk> {
    match which {
        Which::Newest => Some(keys.tmk.current()),
        Which::Previous => keys.tmk.previous(),
    }
}

#[cfg(test)]
impl SoftPad {
    /// Puts a TMK of suite 02 in, as a download does whose DONE is still to come.
    pub(crate) fn give_ec_tmk(&mut self, slot: Slot, tmk: paycrypto::ec::keys::Tmk) {
        let owner = self.state.owner_by(super::owner::OwnerKind::Tk, Suite::EC_AES, b"TK");
        self.change(|state| state.put_tmk::<EcAes>(slot, owner, tmk)).unwrap();
        self.pass(Milestone::KeyDone).unwrap();
    }
}
