//! What goes to the server and comes from it: packages and revocation lists.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::{Duration, Instant},
};

use super::{
    super::{Answer, Event, ServerSeen},
    Note, outbox,
    shared::{Shared, spawn, tell},
};
use crate::{Error, Server, clock};

/// The first pause after a server did not answer; each is twice the one before.
const FIRST_PAUSE: Duration = Duration::from_secs(2);
/// The longest.
const LAST_PAUSE: Duration = Duration::from_secs(60);
/// Between two looks at a server that answers: its lists are fetched each time.
const AGAIN: Duration = Duration::from_secs(300);
/// Between two looks at the age of the lists at hand.
const LISTS: Duration = Duration::from_secs(10);

pub(super) enum Order {
    /// A new package waits.
    Package,
    /// A person wants all that waits sent again, what the server refused too.
    Everything,
}

pub(super) fn start(
    shared: &Arc<Shared>,
    notes: &Sender<Note>,
    server: &Arc<Server>,
) -> Result<Sender<Order>, Error> {
    let (orders, inbox) = mpsc::channel();
    let mut post = Post {
        shared: Arc::clone(shared),
        notes: notes.clone(),
        server: Arc::clone(server),
        refused: HashSet::new(),
        pause: FIRST_PAUSE,
        due: Instant::now(),
    };
    spawn("post", notes, move || post.serve(&inbox))?;
    Ok(orders)
}

struct Post {
    shared: Arc<Shared>,
    notes: Sender<Note>,
    server: Arc<Server>,
    /// Packages that the server refused as they are.
    refused: HashSet<String>,
    pause: Duration,
    /// When the server is asked next.
    due: Instant,
}

impl Post {
    fn serve(&mut self, inbox: &Receiver<Order>) {
        while !self.shared.ends() {
            if Instant::now() >= self.due {
                self.visit();
            }
            let wait = self.due.saturating_duration_since(Instant::now()).min(LISTS);
            match inbox.recv_timeout(wait) {
                Ok(Order::Package) => self.due = Instant::now(),
                Ok(Order::Everything) => {
                    self.refused.clear();
                    self.due = Instant::now();
                }
                Err(RecvTimeoutError::Timeout) => self.shared.read_lists(&self.notes),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Packages first: they are why people wait. The lists say whether the server is there when nothing waits.
    fn visit(&mut self) {
        let away = self.send_all().or_else(|| self.fetch());
        let seen = match away {
            None => {
                self.pause = FIRST_PAUSE;
                self.due = Instant::now() + AGAIN;
                ServerSeen::Reached
            }
            Some(error) => {
                self.due = Instant::now() + self.pause;
                let again = clock::now().saturating_add(i64::try_from(self.pause.as_secs()).unwrap_or(0));
                self.pause = (self.pause * 2).min(LAST_PAUSE);
                ServerSeen::Away { why: short(&error), again }
            }
        };
        tell(&self.notes, Event::Server(seen));
    }

    /// Sends what waits, oldest first; an error says that the server is not there.
    fn send_all(&mut self) -> Option<Error> {
        let journal = &self.shared.setup.journal;
        for queued in journal.waiting() {
            let id = queued.name.to_string();
            if self.shared.ends() {
                return None;
            }
            if self.refused.contains(&id) {
                continue;
            }
            tell(&self.notes, Event::Sending(id.clone()));
            let (answer, away) = outbox::send(&self.server, journal, &queued.name);
            if matches!(answer, Answer::Refused(_)) {
                self.refused.insert(id.clone());
            }
            tell(&self.notes, Event::Sent(id, answer));
            if away.is_some() {
                return away;
            }
        }
        None
    }

    /// Fetches the revocation lists; an error says that the server is not there.
    fn fetch(&self) -> Option<Error> {
        match self.shared.setup.revocation.fetch(&self.server) {
            Ok(_) => {
                self.shared.lists_fetched(&self.notes, None);
                None
            }
            Err(error) if outbox::is_away(&error) => Some(error),
            Err(error) => {
                self.shared.lists_fetched(&self.notes, Some(error.to_string()));
                None
            }
        }
    }
}

/// The reason alone: address and advice stand on the screen.
fn short(error: &Error) -> String {
    match error {
        Error::ServerUnreachable { why, .. } => why.clone(),
        Error::ServerNotTrusted { why, .. } => format!("IT IS NOT THE KMS: {why}"),
        other => other.to_string(),
    }
}
