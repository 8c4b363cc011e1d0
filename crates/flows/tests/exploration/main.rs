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
//! Around the roles is what their drivers ask for, made small: `symbols` and `terms` are in place of cryptography, `pad` has
//! the PIN pad's checks, `disk` and `store` what is kept, by the product's rules. What can happen is in `moves`, what must
//! hold in `checks` and `alone`; `search` goes through it, and `faults` are what it must notice. All of it is written once
//! for every suite; what differs is a type with the trait of `symbols`, in a file of its own. `suite_01` and `suite_02` say
//! how far each is explored.
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
mod hash;
mod message;
mod moves;
mod pad;
mod search;
mod server;
mod state;
mod store;
mod suite_01;
mod suite_02;
mod symbols;
mod terminal;
mod terms;

use checks::Broken;
use faults::{Fault, Rules};
use search::{Explored, explore};
use state::Bounds;
use symbols::Symbols;

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
    mixes: false,
    rules: Rules::KEPT,
    excused: None,
};

/// Bounds narrow enough to find every planted fault soon; without one nothing is broken in them.
const NARROW: Bounds = Bounds { downloads: 2, connections: 2, crashes: 1, drops: 1, ..BOUNDS };

fn explored<S: Symbols>(bounds: &Bounds) -> Explored {
    let explored = explore::<S>(bounds);
    println!("suite {}, {bounds:?}\n{}", S::ID, explored.summary());
    explored
}

#[track_caller]
fn assert_unbroken<S: Symbols>(bounds: &Bounds) -> Explored {
    let explored = explored::<S>(bounds);
    assert!(explored.broken.is_none(), "{:#?}", explored.broken);
    explored
}

#[track_caller]
fn assert_holds<S: Symbols>(bounds: &Bounds) {
    let explored = assert_unbroken::<S>(bounds);
    assert!(explored.states >= ENOUGH, "only {} states", explored.states);
}

#[track_caller]
fn assert_found<S: Symbols>(bounds: &Bounds, expected: Broken) {
    let Some((rule, trace)) = explored::<S>(bounds).broken else { panic!("not found: {bounds:?}") };
    println!("{rule:?} after {} steps", trace.len());
    assert_eq!(rule, expected, "{trace:#?}");
}

/// Breaks each of these rules alone: what it breaks for all must be found.
#[track_caller]
fn assert_all_found<S: Symbols>(bounds: &Bounds, planted: &[(&[Fault], Broken)]) {
    for (faults, expected) in planted {
        assert_found::<S>(&Bounds { rules: Rules::without(faults), ..*bounds }, *expected);
    }
}
