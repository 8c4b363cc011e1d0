//! A state of the whole, and how far an exploration goes.

use crate::{
    cast::Id,
    checks::Broken,
    faults::Rules,
    store::Snapshot,
    terms::{Place, Tmk},
};

/// Terminals and servers.
pub(crate) const TWO: usize = 2;
/// Most slots of a terminal.
pub(crate) const SLOTS: usize = 2;

/// How far an exploration goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// Terminals that act.
    pub(crate) terminals: u8,
    /// Slots of each.
    pub(crate) slots: u8,
    /// Downloads that a terminal begins.
    pub(crate) downloads: u8,
    /// Sign-ins that a terminal begins.
    pub(crate) sign_ins: u8,
    /// Connections that the two servers take together, each one at a time.
    pub(crate) connections: u8,
    /// Crashes, of whichever side.
    pub(crate) crashes: u8,
    /// How often the store is told to drop what is pending for a terminal.
    pub(crate) drops: u8,
    /// Whether the attacker puts together anew what was said as one thing, too: somebody's ephemeral key with its own nonce.
    pub(crate) mixes: bool,
    pub(crate) rules: Rules,
    /// A rule that may be broken without ending the exploration.
    pub(crate) excused: Option<Broken>,
}

impl Bounds {
    /// Every slot of every terminal that acts.
    pub(crate) fn places(&self) -> Vec<Place> {
        let slots = |terminal| (0..self.slots).map(move |slot| Place { terminal, slot });
        (0..self.terminals).flat_map(slots).collect()
    }
}

/// One connection of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Conn {
    /// There is none.
    None,
    /// The role waits for a message.
    Hears(Id),
    /// The terminal has proved AUK; this was read of the slot, and nothing is stored yet.
    Releases(Id, Snapshot),
    /// The slot held this TMK for the sign-in, and nothing is stored yet.
    Offers(Id, Tmk),
}

/// A state of the whole: disks and database, what each side has in memory, what the attacker knows, and what is left of
/// the bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Disk and database, by terminal and slot.
    pub(crate) ends: [[Id; SLOTS]; TWO],
    pub(crate) sessions: [Option<Id>; TWO],
    /// One of each server, in order of age: a server has nothing in memory but its connection, so that it is all the
    /// same which of them has which.
    pub(crate) connections: [Conn; TWO],
    pub(crate) known: Id,
    /// Downloads and sign-ins begun.
    pub(crate) begun: [[u8; 2]; TWO],
    pub(crate) opened: u8,
    pub(crate) crashes: u8,
    pub(crate) drops: u8,
}

impl State {
    pub(crate) fn new(known: Id, empty: Id) -> State {
        State {
            ends: [[empty; SLOTS]; TWO],
            sessions: [None; TWO],
            connections: [Conn::None; TWO],
            known,
            begun: [[0; 2]; TWO],
            opened: 0,
            crashes: 0,
            drops: 0,
        }
    }

    pub(crate) fn ends(&self, place: Place) -> Id {
        self.ends[usize::from(place.terminal)][usize::from(place.slot)]
    }

    pub(crate) fn ends_mut(&mut self, place: Place) -> &mut Id {
        &mut self.ends[usize::from(place.terminal)][usize::from(place.slot)]
    }
}
