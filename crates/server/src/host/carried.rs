//! Offers of working keys whose messages a POSP carries: kept until one of a slot's is confirmed, so that a SIGN_IN of
//! somebody else's, who has no POSP, puts none of them out.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use wire::{Serial, Slot, limits::MESSAGE_SECONDS};

use super::working_keys::Offered;

/// Offers of one slot at once: a terminal that tries again, on both its lines.
const OF_A_SLOT: usize = 4;
/// Offers at once. Beyond it the store has the latest of each slot.
const AT_ONCE: usize = 10_000;
/// How long an offer may wait for its confirmation.
const LIFETIME: Duration = Duration::from_secs(2 * MESSAGE_SECONDS);

type Offers = HashMap<(Serial, Slot), VecDeque<(Instant, Offered)>>;

#[derive(Default)]
pub(super) struct Carried(Mutex<Offers>);

impl Carried {
    pub(super) fn put(&self, sn: Serial, slot: Slot, offered: Offered) {
        let mut offers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if offers.len() >= AT_ONCE {
            offers.retain(|_, of_slot| of_slot.iter().any(|(since, _)| since.elapsed() < LIFETIME));
        }
        if offers.len() >= AT_ONCE {
            return;
        }
        let of_slot = offers.entry((sn, slot)).or_default();
        if of_slot.len() == OF_A_SLOT {
            of_slot.pop_front();
        }
        of_slot.push_back((Instant::now(), offered));
    }

    /// A slot's offers, the latest first.
    pub(super) fn of(&self, sn: &Serial, slot: Slot) -> Vec<Offered> {
        let offers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_slot = offers.get(&(sn.clone(), slot)).into_iter().flatten().rev();
        of_slot.filter(|(since, _)| since.elapsed() < LIFETIME).map(|(_, offered)| offered.clone()).collect()
    }

    /// One was confirmed: the others are of no more use.
    pub(super) fn forget(&self, sn: &Serial, slot: Slot) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&(sn.clone(), slot));
    }
}
