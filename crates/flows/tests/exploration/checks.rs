//! What must hold in every state.

use crate::{
    alone::Alone,
    cast::{Cast, Ends},
    state::{Bounds, State},
    terms::Place,
};

/// A rule that a state breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The two ends have no key in common, though one was confirmed before.
    NoCommonKey,
    /// They have one, and yet cannot sign in with it.
    CommonKeyDoesNotWork,
    /// A TMK's block left for somebody who had not proved AUK.
    UnprovenPeer,
    /// Two terminals share a key.
    SharedKey,
    /// A slot has two pending keys.
    TwoPending,
    /// A terminal took a key that no server released for its session.
    StaleKey,
    /// Two honest parties left alone cannot finish a download and sign in with what it brought.
    CannotFinish,
}

/// The first rule that this state breaks.
pub(crate) fn broken(cast: &mut Cast, alone: &mut Alone, bounds: &Bounds, state: &State) -> Option<Broken> {
    if cast.is_unproven(state.known) {
        return Some(Broken::UnprovenPeer);
    }
    if shares_a_key(cast, state) {
        return Some(Broken::SharedKey);
    }
    let places = bounds.places();
    places.into_iter().find_map(|place| alone.remembered(cast, place, state.ends(place), broken_at))
}

/// The first rule that the two ends of a slot break: it depends on nothing but what they keep.
fn broken_at(cast: &mut Cast, place: Place, ends: Ends) -> Option<Broken> {
    let Ends { disk, slot } = ends;
    if slot.pending.iter().flatten().count() > 1 {
        return Some(Broken::TwoPending);
    }
    if !Alone::finishes(cast, place, ends) {
        return Some(Broken::CannotFinish);
    }
    if slot.active.is_some() {
        if !disk.keys().any(|key| slot.keys().any(|held| held == key)) {
            return Some(Broken::NoCommonKey);
        }
        if !Alone::signs_in(cast, place, ends) {
            return Some(Broken::CommonKeyDoesNotWork);
        }
    }
    None
}

fn shares_a_key(cast: &Cast, state: &State) -> bool {
    let [first, second] = state.ends;
    let keys = |number| cast.ends(number).disk.keys().collect::<Vec<_>>();
    let second: Vec<_> = second.into_iter().flat_map(keys).collect();
    !second.is_empty() && first.into_iter().flat_map(keys).any(|key| second.contains(&key))
}
