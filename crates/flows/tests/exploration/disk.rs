//! What a terminal's slot keeps through a crash, by the rules of the product's PIN pad (`slot_keys` and `counters` of the
//! terminal).

use crate::{
    faults::{Fault, Rules},
    terms::{Given, Tmk},
};

/// The key that came last, and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Disk {
    pub(crate) current: Option<Tmk>,
    /// Whether a DONE arrived for it, or it has worked.
    pub(crate) done: bool,
    pub(crate) previous: Option<Tmk>,
    /// The load counter of the last key that was taken; 0 in a suite without one.
    pub(crate) counter: u8,
}

/// What a step of the PIN pad writes, all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// A new key, and its load counter.
    Take(Given),
    /// DONE that nobody authenticates.
    Finish,
    /// A new key and DONE, which only a broken PIN pad writes together.
    TakeAndFinish(Given),
    /// The current key has worked, or its DONE was verified.
    Worked,
}

impl Write {
    /// The load counter that comes with it.
    pub(crate) fn counter(self) -> Option<u8> {
        match self {
            Write::Take(given) | Write::TakeAndFinish(given) => given.counter,
            Write::Finish | Write::Worked => None,
        }
    }
}

impl Disk {
    /// The keys that the terminal can work with.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Tmk> {
        self.current.into_iter().chain(self.previous)
    }

    pub(crate) fn write(&mut self, write: Write, rules: Rules) {
        match write {
            Write::Take(given) => self.take(given, rules),
            Write::Finish => self.finish(rules),
            Write::TakeAndFinish(given) => {
                self.take(given, rules);
                self.finish(rules);
            }
            Write::Worked => {
                self.done = true;
                self.previous = None;
            }
        }
    }

    fn take(&mut self, Given { tmk, counter }: Given, rules: Rules) {
        self.counter = counter.unwrap_or(0);
        if self.current == Some(tmk) {
            return;
        }
        let replaced = self.current.replace(tmk);
        if self.done || self.previous.is_none() {
            self.previous = replaced;
        }
        self.done = false;
        if rules.has(Fault::DropPreviousAtKey) {
            self.previous = None;
        }
    }

    fn finish(&mut self, rules: Rules) {
        self.done = true;
        if rules.has(Fault::DropPreviousAtDone) {
            self.previous = None;
        }
    }
}
