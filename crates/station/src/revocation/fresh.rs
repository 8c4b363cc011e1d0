//! Revocation lists that stay young while the station works: a run of hours, or a console of days, ends when a card is
//! revoked, and not when the program is started again.

use std::{
    fs,
    sync::{Arc, Mutex, PoisonError},
    thread,
    time::{Duration, Instant, SystemTime},
};

use pki::CrlSet;

use super::{RevocationFile, set};
use crate::{Error, Server, clock};

/// The lists of a [`RevocationFile`], read again whenever the file changed, whoever changed it, and fetched again in the
/// background where there is a server. Their age is held to each time that they are looked at.
#[derive(Debug)]
pub struct FreshLists {
    file: RevocationFile,
    server: Option<Server>,
    every: Duration,
    reached: bool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    lists: Arc<CrlSet>,
    /// When they were fetched, unix seconds.
    fetched: i64,
    /// The file that they are from, by the time of its last change.
    seen: Option<SystemTime>,
    /// When the server was last asked.
    asked: Instant,
    /// Whether it is being asked now.
    asking: bool,
    /// Why what it answered is not believed.
    refused: Option<String>,
}

impl FreshLists {
    /// Quarter of an hour: how often lists are fetched again while they are used.
    pub const REFETCH: Duration = Duration::from_secs(15 * 60);

    /// Fetches the lists where there is a server that can be reached, and else takes those at hand. They are fetched again
    /// after `every`, at the latest after half of their greatest age.
    ///
    /// # Errors
    /// As [`RevocationFile::fetch`], but for a server that cannot be reached; then as [`RevocationFile::load`].
    pub fn start(
        file: RevocationFile,
        server: Option<Server>,
        every: Duration,
    ) -> Result<Arc<FreshLists>, Error> {
        let mut away = None;
        match server.as_ref().map(|server| file.fetch(server)) {
            Some(Err(error)) if is_away(&error) => away = Some(error.to_string()),
            Some(Err(error)) => return Err(error),
            Some(Ok(_)) | None => {}
        }
        let reached = server.is_some() && away.is_none();
        let every = every.min(file.max_age / 2);
        let state = State {
            lists: Arc::default(),
            fetched: 0,
            seen: None,
            asked: Instant::now(),
            asking: false,
            refused: None,
        };
        let lists = FreshLists { file, server, every, reached, state: Mutex::new(state) };
        match (lists.look(), away) {
            (Ok(_), _) => Ok(Arc::new(lists)),
            (Err(Error::CrlMissing { path }), Some(why)) => Err(Error::CrlNotFetched { path, why }),
            (Err(error), _) => Err(error),
        }
    }

    /// The lists, young enough. Has them fetched again where it is time for that, and does not wait for it.
    ///
    /// # Errors
    /// [`Error::CrlTooOld`], [`Error::CrlRefused`]; as [`RevocationFile::load`].
    pub fn lists(self: &Arc<Self>) -> Result<Arc<CrlSet>, Error> {
        self.tend();
        self.look()
    }

    /// Whether the server gave its lists when work began.
    pub fn were_fetched_now(&self) -> bool {
        self.reached
    }

    /// When the lists at hand were fetched, unix seconds.
    pub fn fetched(&self) -> i64 {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).fetched
    }

    fn look(&self) -> Result<Arc<CrlSet>, Error> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(why) = &state.refused {
            return Err(Error::CrlRefused { why: why.clone() });
        }
        let changed = fs::metadata(&self.file.path).and_then(|file| file.modified()).ok();
        if changed.is_none() || changed != state.seen {
            let stored = self.file.stored()?;
            let (fetched, lists) =
                stored.ok_or_else(|| Error::CrlMissing { path: self.file.path.clone() })?;
            (state.fetched, state.lists, state.seen) = (fetched, Arc::new(set(lists)), changed);
        }
        self.file.check_age(state.fetched, clock::now())?;
        Ok(Arc::clone(&state.lists))
    }

    /// Asks the server in a thread of its own, if it is time. The thread ends by the client's own limits.
    fn tend(self: &Arc<Self>) {
        {
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            if self.server.is_none() || state.asking || state.asked.elapsed() < self.every {
                return;
            }
            state.asking = true;
        }
        let lists = Arc::clone(self);
        let started = thread::Builder::new().name("revocation".to_owned()).spawn(move || lists.ask());
        if started.is_err() {
            // No thread now: the next look tries again.
            self.state.lock().unwrap_or_else(PoisonError::into_inner).asking = false;
        }
    }

    fn ask(&self) {
        let Some(server) = &self.server else { return };
        let answer = self.file.fetch(server);
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.asking = false;
        state.asked = Instant::now();
        match answer {
            Ok(_) => state.refused = None,
            // Those at hand stay in use until they are too old.
            Err(error) if is_away(&error) => {}
            Err(error) => state.refused = Some(error.to_string()),
        }
    }
}

/// Whether the server is only not there now: the lists at hand then do.
fn is_away(error: &Error) -> bool {
    matches!(error, Error::ServerUnreachable { .. } | Error::ServerBusy { .. })
}
