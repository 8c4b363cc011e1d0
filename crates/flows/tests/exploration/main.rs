//! Every state that two terminals, two servers with one database and an attacker can get into, within bounds, while
//! terminals fetch TMKs (flow A, suite 01) and sign in with them (flow F): what is explored and what is not is told in
//! `docs/model.md`. The numbers of each run are printed: `cargo test -p keyferry-flows --test exploration -- --nocapture`.
//!
//! It is **the product's roles** that run, not a model of them. Their states are structs that a step consumes and that
//! cannot be copied, as it should be; so a state of a role is represented by its *history*: who, which session, and the
//! messages that it took. A role is pure, so that its history is all of it: to take a step, the role is begun anew,
//! given its history and then the next message (`terminal`, `server`). Histories are numbered, and each step of each is
//! taken by the product's code once and remembered (`cast`): a few thousand steps of roles make millions of transitions.
//! A state of the whole (`state`) is then a handful of numbers.
//!
//! Around the roles is what their drivers ask for, made small: `terms` has symbols in place of cryptography, `pad` the
//! PIN pad's checks, `disk` and `store` what is kept, by the product's rules. What can happen is in `moves`, what must
//! hold in `checks` and `alone`; `search` goes through it, and `faults` are what it must notice.
//!
//! Own search and not the `stateright` crate: it explores any model well, but a model is what this is not. The work is in
//! rebuilding roles and numbering what they say, which it would not do; the search itself is one page.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, as it should")]
#![allow(clippy::panic, reason = "a test that cannot go on fails, as it should")]
#![allow(clippy::indexing_slicing, reason = "a test that indexes wrongly fails, as it should")]

mod alone;
mod cast;
mod checks;
mod disk;
mod faults;
mod message;
mod moves;
mod pad;
mod search;
mod server;
mod state;
mod store;
mod terminal;
mod terms;

use checks::Broken;
use faults::Fault;
use search::{Explored, explore};
use state::Bounds;

/// Fewer states than this say that bounds have become too narrow to mean much.
const ENOUGH: usize = 100_000;

/// Two terminals with one slot, each beginning one download, and three connections: the rest is said by each test.
const BOUNDS: Bounds = Bounds {
    terminals: 2,
    slots: 1,
    downloads: 1,
    sign_ins: 0,
    connections: 3,
    crashes: 0,
    drops: 0,
    fault: None,
    excused: None,
};

/// Bounds narrow enough to find every planted fault soon; without one nothing is broken in them.
const NARROW: Bounds = Bounds { downloads: 2, connections: 2, crashes: 1, drops: 1, ..BOUNDS };

fn explored(bounds: &Bounds) -> Explored {
    let explored = explore(bounds);
    println!("{bounds:?}\n{}", explored.summary());
    explored
}

#[track_caller]
fn assert_holds(bounds: &Bounds) {
    let explored = explored(bounds);
    assert!(explored.broken.is_none(), "{:#?}", explored.broken);
    assert!(explored.states >= ENOUGH, "only {} states", explored.states);
}

#[track_caller]
fn assert_found(bounds: &Bounds, expected: Broken) {
    let Some((rule, trace)) = explored(bounds).broken else { panic!("not found: {bounds:?}") };
    println!("{rule:?} after {} steps", trace.len());
    assert_eq!(rule, expected, "{trace:#?}");
}

#[test]
fn two_terminals_download_and_sign_in_while_either_side_crashes() {
    assert_holds(&Bounds { sign_ins: 1, crashes: 1, ..BOUNDS });
}

#[test]
fn two_terminals_download_while_pending_keys_are_dropped_and_either_side_crashes() {
    assert_holds(&Bounds { crashes: 1, drops: 1, ..BOUNDS });
}

#[test]
fn two_terminals_download_again() {
    assert_holds(&Bounds { downloads: 2, ..BOUNDS });
}

#[test]
fn one_terminal_replaces_its_key_twice_and_signs_in_while_either_side_crashes() {
    assert_holds(&Bounds { terminals: 1, downloads: 3, sign_ins: 1, crashes: 1, ..BOUNDS });
}

#[test]
fn one_terminal_fills_two_slots_and_signs_in() {
    assert_holds(&Bounds { terminals: 1, slots: 2, downloads: 2, sign_ins: 1, ..BOUNDS });
}

/// What suite 01 cannot do: DONE of two replaced keys in a row did not arrive, so that the terminal gave up the one
/// that the KMS has made active; then the one after it is dropped at the KMS. Nothing is in common but the TK, and the
/// next download mends it.
#[test]
fn a_drop_after_two_lost_dones_leaves_no_common_key_until_the_next_download() {
    let bounds = Bounds { terminals: 1, downloads: 3, drops: 1, ..BOUNDS };
    assert_found(&bounds, Broken::NoCommonKey);
    let explored = explored(&Bounds { excused: Some(Broken::NoCommonKey), ..bounds });
    assert!(
        explored.broken.is_none(),
        "a download mends it, and nothing worse comes of it: {:#?}",
        explored.broken
    );
}

#[test]
fn nothing_is_broken_where_faults_are_sought() {
    let explored = explored(&NARROW);
    assert!(explored.broken.is_none(), "{:#?}", explored.broken);
}

/// What a broken rule of one party breaks for all.
#[test]
fn every_planted_fault_is_found() {
    for (fault, expected) in [
        (Fault::ReleaseWithoutProof, Broken::UnprovenPeer),
        (Fault::TwoPending, Broken::CannotFinish),
        (Fault::ActiveWhenSent, Broken::NoCommonKey),
        (Fault::SharedCheckValues, Broken::CommonKeyDoesNotWork),
        (Fault::ForgetDropped, Broken::NoCommonKey),
        (Fault::OneKeyForAll, Broken::SharedKey),
        (Fault::NoResend, Broken::CannotFinish),
        (Fault::DropPreviousAtDone, Broken::NoCommonKey),
        (Fault::DropPreviousAtKey, Broken::NoCommonKey),
        (Fault::KeepAtDone, Broken::NoCommonKey),
        (Fault::IgnoreContext, Broken::StaleKey),
    ] {
        assert_found(&Bounds { fault: Some(fault), ..NARROW }, expected);
    }
    // A second pending key keeps honest parties from finishing before it is there; and then it is seen itself.
    let excused = Some(Broken::CannotFinish);
    assert_found(&Bounds { fault: Some(Fault::TwoPending), excused, ..NARROW }, Broken::TwoPending);
}
