//! What the threads share.

use std::{
    collections::HashMap,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
        mpsc::Sender,
    },
    thread::{self, JoinHandle},
};

use pki::CrlSet;

use super::{
    super::{Event, ListSeen, Place},
    Note, Setup,
};
use crate::{Card, Checks, Error, FreshLists, Target};

/// The revocation lists at hand.
#[derive(Default)]
struct Lists {
    /// Empty while there is none that is young enough, or the server's are not believed.
    set: CrlSet,
    /// Why what the server gave last is not believed.
    trouble: Option<String>,
}

pub(super) struct Shared {
    pub(super) setup: Setup,
    /// Set when the console ends.
    pub(super) stop: AtomicBool,
    lists: Mutex<Lists>,
    /// The latch of the cards that are open: once set, they are gone for good, wherever they are.
    gone: Mutex<Arc<AtomicBool>>,
    /// The cards that are open.
    open: Mutex<[Option<Arc<dyn Card>>; 2]>,
    /// What stands behind each address that the model knows.
    targets: Mutex<HashMap<String, Target>>,
}

impl Shared {
    pub(super) fn new(setup: Setup) -> Shared {
        let targets = setup.targets.iter().map(|target| (target.to_string(), target.clone())).collect();
        Shared {
            setup,
            stop: AtomicBool::new(false),
            lists: Mutex::default(),
            gone: Mutex::new(Arc::new(AtomicBool::new(true))),
            open: Mutex::default(),
            targets: Mutex::new(targets),
        }
    }

    /// What a card is checked by at this moment.
    pub(super) fn checks(&self) -> Checks {
        Checks::new(self.setup.trust.clone(), locked(&self.lists).set.clone())
    }

    /// What cards and certificates are checked by while they are used: lists that are fetched meanwhile count.
    pub(super) fn lasting_checks(&self) -> Result<Checks, Error> {
        if let Some(why) = &locked(&self.lists).trouble {
            return Err(Error::CrlRefused { why: why.clone() });
        }
        // The post fetches them; here they are only read when the file has changed.
        let lists = FreshLists::start(self.setup.revocation.clone(), None, FreshLists::REFETCH)?;
        Ok(Checks::kept_fresh(self.setup.trust.clone(), lists))
    }

    /// Reads the revocation lists at hand, which may have become too old meanwhile.
    pub(super) fn read_lists(&self, notes: &Sender<Note>) {
        let file = &self.setup.revocation;
        let trouble = locked(&self.lists).trouble.clone();
        let (set, unusable) = match file.load() {
            Ok(_) if trouble.is_some() => (CrlSet::new(), None),
            Ok(set) => (set, None),
            // How old it is stands on the screen anyway.
            Err(Error::CrlMissing { .. } | Error::CrlTooOld { .. }) => (CrlSet::new(), None),
            Err(error) => (CrlSet::new(), Some(error.to_string())),
        };
        locked(&self.lists).set = set;
        let seen = ListSeen {
            fetched: file.fetched().ok().flatten(),
            max_age: i64::try_from(file.max_age().as_secs()).unwrap_or(i64::MAX),
            trouble: trouble.or(unusable),
        };
        tell(notes, Event::List(seen));
    }

    /// The server gave lists, or such as are not believed.
    pub(super) fn lists_fetched(&self, notes: &Sender<Note>, trouble: Option<String>) {
        locked(&self.lists).trouble = trouble;
        self.read_lists(notes);
    }

    /// A fresh latch for cards that are about to be opened.
    pub(super) fn take_up(&self) -> Arc<AtomicBool> {
        let latch = Arc::new(AtomicBool::new(false));
        *locked(&self.gone) = Arc::clone(&latch);
        *locked(&self.open) = [None, None];
        latch
    }

    /// The cards that are open do not count any more, from this moment on.
    pub(super) fn let_go(&self) {
        locked(&self.gone).store(true, Ordering::SeqCst);
        *locked(&self.open) = [None, None];
    }

    /// This card was opened.
    pub(super) fn hold(&self, place: Place, card: Arc<dyn Card>) {
        if let Some(slot) = locked(&self.open).get_mut(place.index()) {
            *slot = Some(card);
        }
    }

    /// Whether a card that was opened has been out meanwhile, be it for less than the time between two looks. Told once.
    pub(super) fn was_out(&self, place: Place) -> bool {
        let card = locked(&self.open).get(place.index()).cloned().flatten();
        let out = card.is_some_and(|card| !card.present());
        if out && let Some(slot) = locked(&self.open).get_mut(place.index()) {
            *slot = None;
        }
        out
    }

    pub(super) fn target(&self, address: &str) -> Option<Target> {
        locked(&self.targets).get(address).cloned()
    }

    pub(super) fn plug(&self, target: &Target) {
        locked(&self.targets).insert(target.to_string(), target.clone());
    }

    pub(super) fn ends(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}

/// Tells the thread that draws; when it has ended nobody needs to know.
pub(super) fn tell(notes: &Sender<Note>, event: Event) {
    let _ = notes.send(Note::Event(event));
}

/// Starts a thread whose failure ends the console.
pub(super) fn spawn(
    name: &'static str,
    notes: &Sender<Note>,
    body: impl FnOnce() + Send + 'static,
) -> Result<JoinHandle<()>, Error> {
    let notes = notes.clone();
    let body = move || {
        if catch_unwind(AssertUnwindSafe(body)).is_err() {
            let _ = notes.send(Note::Broken(name));
        }
    };
    thread::Builder::new().name(name.to_owned()).spawn(body).map_err(|source| Error::Screen { source })
}

/// A thread that failed ends the console; until then the others go on.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
