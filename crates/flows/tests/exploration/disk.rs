//! What a terminal's slot keeps through a crash, by the rules of the product's PIN pad (`slot_keys` of the terminal).

use crate::{faults::Fault, terms::Tmk};

/// The key that came last, and the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Disk {
    pub(crate) current: Option<Tmk>,
    /// Whether a DONE arrived for it, or it has worked.
    pub(crate) done: bool,
    pub(crate) previous: Option<Tmk>,
}

/// What a step of the PIN pad writes, all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Write {
    /// A new key.
    Take(Tmk),
    /// DONE.
    Finish,
    /// A new key and DONE, which only a broken PIN pad writes together.
    TakeAndFinish(Tmk),
    /// The current key has worked.
    Worked,
}

impl Disk {
    /// The keys that the terminal can work with.
    pub(crate) fn keys(&self) -> impl Iterator<Item = Tmk> {
        self.current.into_iter().chain(self.previous)
    }

    pub(crate) fn write(&mut self, write: Write, fault: Option<Fault>) {
        match write {
            Write::Take(tmk) => self.take(tmk, fault),
            Write::Finish => self.finish(fault),
            Write::TakeAndFinish(tmk) => {
                self.take(tmk, fault);
                self.finish(fault);
            }
            Write::Worked => {
                self.done = true;
                self.previous = None;
            }
        }
    }

    fn take(&mut self, tmk: Tmk, fault: Option<Fault>) {
        if self.current == Some(tmk) {
            return;
        }
        let replaced = self.current.replace(tmk);
        if self.done || self.previous.is_none() {
            self.previous = replaced;
        }
        self.done = false;
        if fault == Some(Fault::DropPreviousAtKey) {
            self.previous = None;
        }
    }

    fn finish(&mut self, fault: Option<Fault>) {
        self.done = true;
        if fault == Some(Fault::DropPreviousAtDone) {
            self.previous = None;
        }
    }
}
