//! What must hold in every state.

use crate::{
    alone::Alone,
    cast::{Cast, Ends},
    disk::Disk,
    state::{Bounds, State},
    symbols::Symbols,
    terms::{self, Place},
};

/// A rule that a state breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The two ends have no key in common, though one was confirmed before.
    NoCommonKey,
    /// They have one, and yet cannot sign in with it.
    CommonKeyDoesNotWork,
    /// A TMK's block left for somebody who had not proved AUK, or working keys are in use that their terminal has not
    /// confirmed.
    UnprovenPeer,
    /// A terminal proved itself to somebody who is no server.
    FalseServer,
    /// Who learns TK later reads a TMK that was recorded.
    ReadLater,
    /// Two frames with a TMK for one slot have the same load counter.
    CounterTwice,
    /// A terminal took a key with a load counter that is not above the last one.
    CounterBack,
    /// The terminal gave up its old key, and no server has heard that it has the new one.
    GivenUpEarly,
    /// Two terminals share a key.
    SharedKey,
    /// A slot has two pending keys.
    TwoPending,
    /// A terminal took a key, or working keys, that no server made for its session.
    StaleKey,
    /// Two honest parties left alone cannot finish a download and sign in with what it brought.
    CannotFinish,
}

/// The first rule that this state breaks.
pub(crate) fn broken<S: Symbols>(
    cast: &mut Cast<S>,
    alone: &mut Alone,
    bounds: &Bounds,
    state: &State,
) -> Option<Broken> {
    if let Some(broken) = cast.broken(state.known) {
        return Some(broken);
    }
    if shares_a_key(cast, state) {
        return Some(Broken::SharedKey);
    }
    bounds.places().into_iter().find_map(|place| {
        if let Some(keys) = cast.ends(state.ends(place)).slot.working
            && !cast.has_proved(state.known, place.terminal, &terms::sign_in_mark(keys))
        {
            return Some(Broken::UnprovenPeer);
        }
        alone.remembered(cast, place, state.ends(place), broken_at)
    })
}

/// The first rule that the two ends of a slot break: it depends on nothing but what they keep.
fn broken_at<S: Symbols>(cast: &mut Cast<S>, place: Place, ends: Ends) -> Option<Broken> {
    let Ends { disk, slot } = ends;
    if slot.pending.iter().flatten().count() > 1 {
        return Some(Broken::TwoPending);
    }
    if S::DONE_IS_PROVEN && disk.done && slot.pending.iter().flatten().any(|tmk| Some(*tmk) == disk.current) {
        return Some(Broken::GivenUpEarly);
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

fn shares_a_key<S: Symbols>(cast: &Cast<S>, state: &State) -> bool {
    let [first, second] = state.ends.map(|ends| ends.map(|number| cast.ends(number).disk));
    let keys = |disk: Disk| [disk.current, disk.previous];
    first
        .into_iter()
        .flat_map(keys)
        .flatten()
        .any(|key| second.iter().any(|disk| disk.current == Some(key) || disk.previous == Some(key)))
}
