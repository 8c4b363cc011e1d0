//! All that the console knows, and how it changes.

mod cards;
mod keys;
mod queue;
mod stop;
mod terminals;

use super::{Effect, Event, ListSeen, Pin, Place, ServerSeen};

pub(super) use cards::{CardState, Presence};
pub(super) use queue::{Entry, EntryState, Queue};
pub(super) use stop::Stop;
pub(super) use terminals::{Row, State, Terminals};

/// Seconds without a key after which both cards' keys are forgotten.
const IDLE: i64 = 15 * 60;

/// What the console knows. [`Model::on`] is the only way to change it.
#[derive(Debug)]
pub struct Model {
    pub(super) station: String,
    pub(super) server_url: String,
    pub(super) colour: bool,
    pub(super) now: i64,
    pub(super) cards: [CardState; 2],
    pub(super) session: Session,
    pub(super) terminals: Terminals,
    pub(super) run: Option<Run>,
    pub(super) queue: Queue,
    /// Terminals whose answers are kept and in no package.
    pub(super) unpacked: usize,
    pub(super) server: Option<ServerSeen>,
    /// Since when the server has been away, unix seconds.
    pub(super) away_since: Option<i64>,
    pub(super) list: Option<ListSeen>,
    pub(super) focus: Focus,
    /// What people must confirm that they have seen, oldest first.
    pub(super) stops: Vec<Stop>,
    pub(super) asks_to_quit: bool,
    /// The newest message.
    pub(super) said: String,
    last_key: i64,
}

/// Which list the arrow keys move in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Focus {
    Terminals,
    Queue,
}

/// Whether the cards are open.
#[derive(Debug)]
pub(super) enum Session {
    /// Neither is.
    Shut,
    /// A person types a PIN.
    Asking { place: Place, pin: Pin, said: Option<String>, then: Wish },
    /// A card looks at it.
    Trying { place: Place, then: Wish },
    /// Both are.
    Open,
}

/// What was asked for when PINs had to be asked first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    All,
    One(String),
}

/// A run of collecting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    pub(super) total: usize,
    pub(super) collected: usize,
    pub(super) failed: usize,
    pub(super) began: i64,
}

impl Run {
    pub(super) fn answered(self) -> usize {
        self.collected + self.failed
    }
}

impl Model {
    /// A console that has seen nothing yet. `colour` is what NO_COLOR leaves of colours; `now` is in unix seconds.
    pub fn new(station: &str, server_url: &str, colour: bool, now: i64) -> Model {
        Model {
            station: station.to_owned(),
            server_url: server_url.to_owned(),
            colour,
            now,
            cards: Place::BOTH.map(|_| CardState::default()),
            session: Session::Shut,
            terminals: Terminals::default(),
            run: None,
            queue: Queue::default(),
            unpacked: 0,
            server: None,
            away_since: None,
            list: None,
            focus: Focus::Terminals,
            stops: Vec::new(),
            asks_to_quit: false,
            said: String::new(),
            last_key: now,
        }
    }

    /// Takes one event, and says what is to be done.
    pub fn on(&mut self, event: Event) -> Vec<Effect> {
        match event {
            Event::Tick(now) => return self.tick(now),
            Event::Key(key) => return self.key(key),
            Event::Ended => return vec![Effect::Close, Effect::Quit],
            Event::Card(place, seen) => return self.card(place, seen),
            Event::Opened(place, result) => return self.opened(place, result),
            Event::Plugged(port) => self.terminals.plug(port),
            Event::Unplugged(address) => self.terminals.unplug(&address),
            Event::Asking(address) => self.terminals.set(&address, State::Asking),
            Event::Again { address, why } => self.terminals.set(&address, State::Again(why)),
            Event::Collected { address, sn, pin_pad, fingerprint } => {
                self.terminals.collected(&address, sn, pin_pad, fingerprint);
                self.count();
            }
            Event::Failed { address, sn, reason, advice } => {
                self.terminals.failed(&address, sn, reason, advice);
                self.count();
            }
            Event::RunEnded(result) => self.run_ended(result),
            Event::Queued(parcel) => {
                self.terminals.packed(&parcel);
                self.queue.add(parcel, self.now);
            }
            Event::Unpacked(count, why) => {
                self.unpacked = count;
                if let Some(why) = why {
                    self.said = format!("Not packed: {why}");
                }
            }
            Event::Sending(id) => self.queue.set(&id, EntryState::Sending),
            Event::Sent(id, answer) => return self.sent(&id, answer),
            Event::Server(seen) => self.server(seen),
            Event::List(seen) => self.list = Some(seen),
        }
        Vec::new()
    }

    fn tick(&mut self, now: i64) -> Vec<Effect> {
        self.now = now;
        let idle = now.saturating_sub(self.last_key) > IDLE;
        if idle && self.run.is_none() && !matches!(self.session, Session::Shut) {
            let words = format!(
                "No key for {} minutes: both cards are closed. Their PINs are asked again.",
                IDLE / 60
            );
            return self.close(words);
        }
        Vec::new()
    }

    /// Forgets both cards, and says so.
    fn close(&mut self, words: String) -> Vec<Effect> {
        self.session = Session::Shut;
        self.said = words;
        vec![Effect::Close]
    }

    fn count(&mut self) {
        if let Some(run) = &mut self.run {
            (run.collected, run.failed) = self.terminals.counts();
        }
    }

    fn run_ended(&mut self, result: Result<(), String>) {
        self.terminals.run_over();
        let run = self.run.take();
        self.said = match (result, run) {
            (Err(why), _) => format!("Collecting ended: {why}"),
            (Ok(()), Some(Run { total, collected, failed: 0, .. })) => {
                format!("{collected} of {total} collected. The package waits for the server.")
            }
            (Ok(()), Some(Run { total, collected, failed, .. })) => {
                format!("{collected} of {total} collected, {failed} FAILED: select it to see what to do.")
            }
            (Ok(()), None) => return,
        };
    }

    pub(super) fn server(&mut self, seen: ServerSeen) {
        self.away_since = match &seen {
            ServerSeen::Reached => None,
            ServerSeen::Away { .. } => self.away_since.or(Some(self.now)),
        };
        self.server = Some(seen);
    }

    /// Whether work runs that would be cut by ending now.
    pub(super) fn works(&self) -> bool {
        self.run.is_some() || self.queue.count(|state| *state == EntryState::Sending) > 0
    }
}
