//! The threads behind the console: each brings events, and some carry out what the model asks for.
//!
//! | thread | does |
//! |---|---|
//! | keys | reads the keyboard |
//! | signals | the system's wish that the console ends |
//! | cards | looks into both readers each second |
//! | ports | looks what is plugged in |
//! | work | opens cards, collects, packs |
//! | post | uploads what waits, fetches the revocation list |
//!
//! The thread that calls [`run`] keeps the model and draws. It waits for no other: what a card or a server takes its time
//! for never stops the screen.

mod keys;
mod outbox;
mod ports;
mod post;
mod readers;
mod screen;
mod shared;
mod work;

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    time::Duration,
};

use pki::TrustList;

use super::{Effect, Event, Model};
use crate::{
    CardSource, CollectSettings, Error, Journal, RevocationFile, ServerSettings, Target, clock, ports::Links,
};

use screen::Screen;
use shared::Shared;

/// How long the screen waits for something to happen: the clock on it goes on meanwhile.
const TICK: Duration = Duration::from_secs(1);

/// What a console works with.
pub struct Setup {
    /// The station's name.
    pub station: String,
    /// Where the operator card is.
    pub operator: CardSource,
    /// Where the administrator card is.
    pub administrator: CardSource,
    /// Roots, and the roles that each may issue.
    pub trust: TrustList,
    /// Where the revocation lists are kept.
    pub revocation: RevocationFile,
    /// The KMS.
    pub server: ServerSettings,
    /// The certificate that terminals encrypt to, PEM with its chain.
    pub work_certificate: PathBuf,
    /// Where the day's ceremony is kept.
    pub ceremony: PathBuf,
    /// What was collected, and where packages wait.
    pub journal: Journal,
    /// How runs are done.
    pub collect: CollectSettings,
    /// Where terminals are plugged in.
    pub links: Links,
    /// Terminals on the network.
    pub targets: Vec<Target>,
    /// Whether the terminal's colours are used.
    pub colour: bool,
}

/// How a console ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// A person ended it.
    Quit,
    /// This signal did.
    Signal(i32),
}

/// What reaches the thread that draws.
pub(super) enum Note {
    Event(Event),
    /// The window has another size.
    Redraw,
    Signal(i32),
    /// A thread has failed; the program says why on the terminal.
    Broken(&'static str),
}

/// Shows the console until a person or the system ends it. The terminal is as before when this returns, also after an
/// error or a panic.
///
/// # Errors
/// [`Error::Screen`] where there is no terminal to draw on; [`Error::PortPattern`]; [`Error::ServerAddress`] and
/// [`Error::ServerCa`]; the journal's of what waits; [`Error::ConsoleFailed`].
pub fn run(setup: Setup) -> Result<End, Error> {
    let (notes, inbox) = mpsc::channel();
    let parts = Parts::start(setup, &notes)?;
    let shared = Arc::clone(&parts.shared);
    let ended = (|| {
        let mut screen = Screen::open()?;
        let threads = keys::start(&shared, &notes)?;
        let ended = parts.serve(&mut screen, &inbox);
        shared.stop.store(true, Ordering::Relaxed);
        threads.end();
        ended
    })();
    shared.let_go();
    shared.stop.store(true, Ordering::Relaxed);
    ended
}

struct Parts {
    shared: Arc<Shared>,
    model: Model,
    work: Sender<work::Order>,
    post: Sender<post::Order>,
}

impl Parts {
    fn start(setup: Setup, notes: &Sender<Note>) -> Result<Parts, Error> {
        let model = Model::new(&setup.station, &setup.server.url, setup.colour, clock::now());
        let (watcher, server) =
            (crate::ports::Watcher::of(&setup.links)?, crate::Server::new(&setup.server)?);
        let shared = Arc::new(Shared::new(setup));
        for parcel in outbox::waiting(&shared.setup.journal)? {
            shared::tell(notes, Event::Queued(parcel));
        }
        shared::tell(notes, Event::Unpacked(shared.setup.journal.overview().unpacked, None));
        for target in &shared.setup.targets {
            let port = super::Port { address: target.to_string(), about: "network".to_owned() };
            shared::tell(notes, Event::Plugged(port));
        }
        shared.read_lists(notes);
        let server = Arc::new(server);
        readers::start(&shared, notes)?;
        ports::start(&shared, notes, watcher)?;
        let post = post::start(&shared, notes, &server)?;
        let work = work::start(&shared, notes, &server, &post)?;
        Ok(Parts { shared, model, work, post })
    }

    fn serve(mut self, screen: &mut Screen, inbox: &Receiver<Note>) -> Result<End, Error> {
        loop {
            screen.draw(&self.model)?;
            let first = match inbox.recv_timeout(TICK) {
                Ok(note) => Some(note),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Err(Error::ConsoleFailed { part: "every" }),
            };
            let mut effects = self.model.on(Event::Tick(clock::now()));
            // All that has come is taken before the screen is drawn again.
            for note in first.into_iter().chain(inbox.try_iter()) {
                match note {
                    Note::Event(event) => effects.extend(self.model.on(event)),
                    Note::Redraw => {}
                    Note::Signal(signal) => {
                        self.model.on(Event::Ended);
                        return Ok(End::Signal(signal));
                    }
                    Note::Broken(part) => return Err(Error::ConsoleFailed { part }),
                }
            }
            for effect in effects {
                let done = match effect {
                    Effect::Open(place, pin) => self.work.send(work::Order::Open(place, pin)).is_ok(),
                    Effect::Close => {
                        self.shared.let_go();
                        self.work.send(work::Order::Close).is_ok()
                    }
                    Effect::Collect(addresses) => self.work.send(work::Order::Collect(addresses)).is_ok(),
                    Effect::Upload => self.post.send(post::Order::Everything).is_ok(),
                    Effect::Bell => screen.bell().is_ok(),
                    Effect::Quit => return Ok(End::Quit),
                };
                if !done {
                    return Err(Error::ConsoleFailed { part: "work" });
                }
            }
        }
    }
}
