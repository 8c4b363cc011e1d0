//! Both cards stay in their readers for as long as a run lasts: who takes one out ends it, for every terminal at once.

use std::{
    sync::{Arc, OnceLock},
    thread,
    time::Duration,
};

use crate::{BothCards, Error, link::Halt};

/// How often both cards are looked at between one terminal and the next. A person who takes a card out sees the run stop
/// before the card is in their pocket; a reader is not kept busy.
const EVERY: Duration = Duration::from_millis(200);

/// Looks at both cards for all threads of a run.
pub(super) struct Watch<'a> {
    cards: &'a BothCards,
    /// Ends what is under way.
    halt: Halt,
    /// Why the run ended; it does not go on when the card comes back.
    stopped: OnceLock<Arc<Error>>,
}

impl<'a> Watch<'a> {
    pub(super) fn over(cards: &'a BothCards) -> Watch<'a> {
        Watch { cards, halt: Halt::default(), stopped: OnceLock::new() }
    }

    /// Whether both cards are there and good, asked now, and were all the time. If not, the run ends here for all.
    pub(super) fn check(&self) -> Result<(), Arc<Error>> {
        self.has_stopped()?;
        match self.cards.check() {
            Ok(()) => self.has_stopped(),
            Err(error) => {
                let why = Arc::clone(self.stopped.get_or_init(|| Arc::new(error)));
                self.halt.now();
                Err(why)
            }
        }
    }

    /// Whether the run has ended, as far as is known without asking the cards.
    pub(super) fn has_stopped(&self) -> Result<(), Arc<Error>> {
        self.stopped.get().map_or(Ok(()), |why| Err(Arc::clone(why)))
    }

    /// Says when to break off.
    pub(super) fn halt(&self) -> Halt {
        self.halt.clone()
    }

    /// Looks at the cards until `done`, or until one is gone. Whoever says that it is done unparks this thread.
    pub(super) fn patrol(&self, done: impl Fn() -> bool) {
        while !done() && self.check().is_ok() {
            thread::park_timeout(EVERY);
        }
    }
}
