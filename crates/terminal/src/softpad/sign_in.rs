//! The PIN pad's part of a sign-in (2-wire.md section 4, flow F).
//!
//! Every call takes the open sign-in out and puts it back only when all was well. New working keys are in memory only
//! until the host has shown, by DONE's MAC, that it works with them; until then the old ones do.

use flows::sign_in::SignInPad;
use flows::sign_in::messages::{Mac, Rnd1, SignIn, SignInConfirm, SignedIn, WorkingKeys};
use flows::{PadRefusal, Tdes, Transcript};
use paycrypto::blocks::{self, BlockKey, Protects};
use paycrypto::keys::{Mak, Pik, Tdk, Tmk};
use wire::{Frame, Kcv, Place, Slot, Suite};

use super::download::{RND1_MASK, Session};
use super::load::{failed, key_refused, not_permitted, not_proven, unreadable};
use super::separation::{KeyUse, Named, refuse_twin};
use super::slot_keys::{Held, SlotKeys};
use super::{Denied, SoftPad};
use crate::PinPad;
use crate::life_cycle::Milestone;

/// Bytes of Rnd1 and of a MAC.
const RANDOM: usize = 8;
/// In front of what SIGN_IN_CONFIRM's and DONE's MACs are over.
const OK: &[u8] = b"OK";
const DONE: &[u8] = b"DONE";

/// Where an open sign-in is.
pub(super) enum SignInSession {
    /// Rnd1 was given out.
    Begun(Begun),
    /// The keys were opened, and DF52 was given out.
    Opened { begun: Begun, keys: NewKeys, mac: [u8; RANDOM] },
}

/// What a sign-in is about.
#[derive(Clone, Copy)]
pub(super) struct Begun {
    slot: Slot,
    which: Which,
    rnd1: [u8; RANDOM],
    kcv: Kcv,
}

#[cfg(test)]
impl Begun {
    /// Puts another Rnd1 in, for worked values.
    pub(super) fn set_rnd1(&mut self, rnd1: [u8; RANDOM]) {
        self.rnd1 = rnd1;
    }
}

/// With which TMK of the slot.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Which {
    Newest,
    Previous,
}

/// What WORKING_KEYS brought, opened.
pub(super) struct NewKeys {
    pik: Pik,
    mak: Mak,
    tdk: Option<Tdk>,
}

impl NewKeys {
    fn named(&self) -> Vec<Named<'_>> {
        let two = [(KeyUse::Pik, self.pik.expose()), (KeyUse::Mak, self.mak.expose())];
        two.into_iter().chain(self.tdk.iter().map(|tdk| (KeyUse::Tdk, tdk.expose()))).collect()
    }

    /// Check values in the order of the message.
    fn kcvs(&self) -> Vec<Kcv> {
        let two = [self.pik.kcv(), self.mak.kcv()];
        two.into_iter().chain(self.tdk.iter().map(Tdk::kcv)).map(Kcv::Tdes).collect()
    }

    /// What SIGN_IN_CONFIRM's MAC is over.
    fn confirmed(&self, rnd1: &[u8; RANDOM]) -> Vec<u8> {
        let mut text = [OK, rnd1].concat();
        self.kcvs().iter().for_each(|kcv| text.extend_from_slice(kcv.as_bytes()));
        text
    }
}

impl SignInPad for SoftPad {
    fn sign_in_begin(&mut self, slot: Slot, attempt: u8) -> Result<(Rnd1, Kcv), PadRefusal> {
        self.session = Session::Idle;
        self.may_load()?;
        let Some(keys) = self.state.slots.get(&slot) else {
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
        let kcv = Kcv::Tdes(tmk.kcv());
        let mut rnd1 = [0; RANDOM];
        paycrypto::random::fill(&mut rnd1).map_err(failed)?;
        let [first, ..] = &mut rnd1;
        *first &= RND1_MASK;
        let begun = Begun { slot, which, rnd1, kcv };
        self.session = Session::SignIn(Box::new(SignInSession::Begun(begun)));
        Ok((Rnd1(rnd1), kcv))
    }

    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<Mac<RANDOM>, PadRefusal> {
        let SignInSession::Begun(begun) = self.take_sign_in()? else {
            return Err(not_permitted("this sign-in has its keys already"));
        };
        self.may_load()?;
        let opened = self.open_working(&begun, sign_in, keys);
        let keys = self.recorded("WORKING_KEYS", opened)?;
        let mac = keys.mak.mac(&keys.confirmed(&begun.rnd1)).map_err(failed)?;
        self.session = Session::SignIn(Box::new(SignInSession::Opened { begun, keys, mac }));
        Ok(Mac(mac))
    }

    fn sign_in_done(&mut self, confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
        let SignInSession::Opened { begun, keys, mac } = self.take_sign_in()? else {
            return Err(not_permitted("this sign-in has no keys yet"));
        };
        if SignInConfirm::<Tdes>::read(confirm).map_err(unreadable)?.mac.0 != mac {
            return Err(not_permitted("SIGN_IN_CONFIRM is not what this PIN pad gave"));
        }
        let SignedIn { mac: Mac(mac) } = SignedIn::<Tdes>::read(done).map_err(unreadable)?;
        self.may_load()?;
        if !keys.mak.verifies(&[DONE, &begun.rnd1].concat(), &mac) {
            let why = "DONE's MAC is wrong: the host does not hold the new MAC key".to_owned();
            return self.recorded("DONE", Err(not_proven(why)));
        }
        let kcvs = keys.kcvs();
        self.change(|state| {
            state.pass(Milestone::KeyDone);
            let Some(slot) = state.slots.get_mut(&begun.slot) else { return };
            let NewKeys { pik, mak, tdk } = keys;
            replace(&mut slot.working.pik, pik);
            replace(&mut slot.working.mak, mak);
            // A host without a track key leaves the one that the RKS brought.
            if let Some(tdk) = tdk {
                replace(&mut slot.working.tdk, tdk);
            }
            // The older TMK working says nothing of the newer: the host may get to know it yet.
            if begun.which == Which::Newest {
                slot.tmk.worked();
            }
        })
        .map_err(Denied::from)?;
        Ok(kcvs)
    }

    fn sign_in_forget(&mut self) {
        if matches!(self.session, Session::SignIn(_)) {
            self.session = Session::Idle;
        }
    }
}

impl SoftPad {
    fn take_sign_in(&mut self) -> Result<SignInSession, PadRefusal> {
        match self.take_session() {
            Session::SignIn(session) => Ok(*session),
            _ => Err(not_permitted("no sign-in was begun")),
        }
    }

    /// Opens WORKING_KEYS: two or three blocks in their order, each for this slot, this sign-in and its one use.
    fn open_working(&self, begun: &Begun, sign_in: &Frame, keys: &Frame) -> Result<NewKeys, PadRefusal> {
        let said = SignIn::<Tdes>::read(sign_in).map_err(unreadable)?;
        let own = said.suite == Suite::TDES
            && said.device.pin_pad() == self.serial()
            && said.slot == begun.slot
            && said.fresh.0 == begun.rnd1
            && said.kcv == begun.kcv;
        if !own {
            return Err(not_permitted("SIGN_IN does not say what this PIN pad began"));
        }
        let slot = self.state.slots.get(&begun.slot);
        let Some(tmk) = slot.and_then(|keys| tmk(keys, begun.which)) else {
            return Err(not_permitted("the slot's TMK is gone"));
        };
        let WorkingKeys { blocks } = WorkingKeys::read::<Tdes>(keys).map_err(unreadable)?;
        let (pik, mak, tdk) = match blocks.as_slice() {
            [pik, mak] => (pik, mak, None),
            [pik, mak, tdk] => (pik, mak, Some(tdk)),
            _ => return Err(not_permitted("WORKING_KEYS has not two or three blocks")),
        };
        let mut transcript = Transcript::new();
        transcript.push(sign_in);
        let keys = NewKeys {
            pik: self.open_one(tmk, begun.slot, &transcript, pik, &[])?,
            mak: self.open_one(tmk, begun.slot, &transcript, mak, &[pik])?,
            tdk: tdk.map(|tdk| self.open_one(tmk, begun.slot, &transcript, tdk, &[pik, mak])).transpose()?,
        };
        self.check_separate(begun.slot, &keys)?;
        Ok(keys)
    }

    fn open_one<K: BlockKey>(
        &self,
        tmk: &Tmk,
        slot: Slot,
        transcript: &Transcript,
        block: &str,
        before: &[&str],
    ) -> Result<K, PadRefusal>
    where
        Tmk: Protects<K>,
    {
        let place = Place::new(self.serial().clone(), slot).to_string();
        let context = transcript.context_after(before);
        blocks::unwrap(tmk, block, &place, context.as_bytes()).map_err(key_refused)
    }

    /// PIN, MAC and track keys are never each other, nor any key that is held for something else; and people can tell
    /// them apart by their check values.
    fn check_separate(&self, slot: Slot, keys: &NewKeys) -> Result<(), PadRefusal> {
        let named = keys.named();
        for key in &named {
            refuse_twin(*key, self.state.held_beside(Some(slot)).into_iter().chain(named.iter().copied()))?;
        }
        let uses: Vec<KeyUse> = named.iter().map(|(used_as, _)| *used_as).collect();
        refuse_equal_kcvs(&uses, &keys.kcvs())
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

fn tmk(keys: &SlotKeys, which: Which) -> Option<&Tmk> {
    match which {
        Which::Newest => Some(keys.tmk.current()),
        Which::Previous => keys.tmk.previous(),
    }
}

fn replace<K: BlockKey>(place: &mut Option<Held<K>>, key: K) {
    *place = Some(Held::finished(key));
}
