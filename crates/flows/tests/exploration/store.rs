//! One slot in the database that both servers share: each function is one transaction of the product's store
//! (`acts::tmks`, `acts::load_counters` and `acts::sign_ins` there), with the same conditions.

use crate::{
    faults::{Fault, Rules},
    terms::{Connection, Given, Place, Tmk},
};

/// Pending keys that a broken store may hold.
const PENDING: usize = 2;
/// Most keys that a slot has in an exploration.
const KEYS: usize = 8;

/// A slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Slot {
    pub(crate) pending: [Option<Tmk>; PENDING],
    pub(crate) active: Option<Tmk>,
    /// Check values of retired and dropped keys, a bit each.
    gone: u8,
    /// Keys that were stored so far.
    stored: u8,
    /// The sign-in that waits for its confirmation: whose working keys, under which TMK.
    sign_in: Option<(Connection, Tmk)>,
    /// The working keys in use.
    pub(crate) working: Option<Connection>,
    /// The last load counter that was taken; 0 in a suite without one.
    counter: u8,
}

/// What a server read of a slot before it made up its mind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Snapshot {
    pub(crate) pending: Option<Tmk>,
    /// Check values that a new key must not have, a bit each.
    pub(crate) avoid: u8,
    /// The last load counter that was taken.
    pub(crate) counter: u8,
}

/// What became of a new key.
pub(crate) enum Put {
    Stored(Tmk),
    /// Another key is pending.
    Lost,
    /// Another frame has the load counter.
    CounterTaken,
    SameCheckValue,
}

impl Slot {
    pub(crate) fn read(&self) -> Snapshot {
        let avoid = self.gone | self.active.map_or(0, |active| 1 << active.check);
        Snapshot { pending: self.pending[0], avoid, counter: self.counter }
    }

    /// The keys that a terminal may sign in with, pending ones first.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Tmk> {
        self.pending.into_iter().flatten().chain(self.active)
    }

    /// `put_pending`: a load counter above the last one, one pending key, no check value of an active or retired one.
    pub(crate) fn put_pending(&mut self, place: Place, check: u8, counter: Option<u8>, rules: Rules) -> Put {
        if !self.is_free(counter, rules) {
            return Put::CounterTaken;
        }
        let second = rules.has(Fault::TwoPending) && self.pending[1].is_none();
        if self.pending[0].is_some() && !second {
            return Put::Lost;
        }
        if self.read().avoid & (1 << check) != 0 && !rules.has(Fault::SharedCheckValues) {
            return Put::SameCheckValue;
        }
        self.take_counter(counter, rules);
        let place = if rules.has(Fault::OneKeyForAll) { Place { terminal: 0, slot: 0 } } else { place };
        let tmk = Tmk { place, number: self.stored, check };
        self.stored += 1;
        assert!(usize::from(self.stored) < KEYS, "bounds are too wide for what a slot keeps");
        let free = usize::from(self.pending[0].is_some());
        self.pending[free] = Some(tmk);
        if rules.has(Fault::ActiveWhenSent) {
            self.activate(tmk);
        }
        Put::Stored(tmk)
    }

    /// `resend_pending`: whether it is still pending, and the load counter above the last one.
    pub(crate) fn resend(&mut self, Given { tmk, counter }: Given, rules: Rules) -> bool {
        let sent = self.pending.contains(&Some(tmk)) && self.is_free(counter, rules);
        if sent && !rules.has(Fault::ResendUncounted) {
            self.take_counter(counter, rules);
        }
        sent
    }

    fn is_free(&self, counter: Option<u8>, rules: Rules) -> bool {
        counter.is_none_or(|counter| counter > self.counter || rules.has(Fault::CounterAgain))
    }

    fn take_counter(&mut self, counter: Option<u8>, rules: Rules) {
        if !rules.has(Fault::NoCounters) {
            self.counter = counter.unwrap_or(0);
        }
    }

    /// `confirm`: whether it is active now, just or before.
    pub(crate) fn confirm(&mut self, tmk: Tmk) -> bool {
        self.activate(tmk);
        self.active == Some(tmk)
    }

    /// `begin_sign_in`: whether the TMK is still held. Who waited before waits no more.
    pub(crate) fn begin_sign_in(&mut self, keys: Connection, tmk: Tmk) -> bool {
        let held = self.keys().any(|held| held == tmk);
        if held {
            self.sign_in = Some((keys, tmk));
        }
        held
    }

    /// `confirm_sign_in`: whether these working keys are in use now; the TMK becomes active with them.
    pub(crate) fn confirm_sign_in(&mut self, keys: Connection) -> bool {
        match self.sign_in {
            Some((waiting, tmk)) if waiting == keys && self.keys().any(|held| held == tmk) => {
                self.sign_in = None;
                self.working = Some(keys);
                self.activate(tmk);
                true
            }
            Some(_) => false,
            None => self.working == Some(keys),
        }
    }

    /// `drop_pending`: pending keys go, and the sign-in that waits. The terminal may hold what is dropped here, and its
    /// KEY_CONFIRM may be on its way: the check value must not come again.
    pub(crate) fn drop_pending(&mut self, rules: Rules) {
        for dropped in self.pending.iter_mut().filter_map(Option::take) {
            if !rules.has(Fault::ForgetDropped) {
                self.gone |= 1 << dropped.check;
            }
        }
        self.sign_in = None;
    }

    fn activate(&mut self, tmk: Tmk) {
        let Some(at) = self.pending.iter().position(|pending| *pending == Some(tmk)) else { return };
        self.pending[at] = None;
        self.pending.sort_by_key(Option::is_none);
        if let Some(before) = self.active.replace(tmk) {
            self.gone |= 1 << before.check;
        }
    }
}
