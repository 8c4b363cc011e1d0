//! All that the parties can do, each step taken once by the product's role and then remembered.
//!
//! Parts, histories and what the attacker knows are numbered, so that a state of the whole is a handful of numbers.

use std::{collections::HashMap, rc::Rc};

use wire::Frame;

use crate::{
    disk::{Disk, Write},
    faults::Fault,
    message::{Message, Numbers, Part, PartId, Parts},
    server::{Heard, ServerHistory},
    state::State,
    store::Slot,
    terminal::TerminalHistory,
    terms::{self, Connection, Eight, Place, Tmk},
};

/// The number of a history or of what the attacker knows.
pub(crate) type Id = u32;

/// A message that a terminal takes, and what comes of it.
#[derive(Debug, Clone)]
pub(crate) struct TerminalMove {
    pub(crate) message: Message,
    /// Where it waits then; nowhere when it has finished.
    pub(crate) next: Option<Id>,
    pub(crate) told: Vec<PartId>,
    pub(crate) write: Option<Write>,
    /// It takes a key that no server released for this session of its own.
    pub(crate) stale: bool,
}

/// A message that a server takes, and what comes of it.
#[derive(Debug, Clone)]
pub(crate) struct ServerMove {
    pub(crate) message: Message,
    pub(crate) next: Id,
    pub(crate) heard: Heard,
    pub(crate) told: Vec<PartId>,
}

/// What both ends keep of one slot: the terminal on its disk, the servers in their database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub(crate) struct Ends {
    pub(crate) disk: Disk,
    pub(crate) slot: Slot,
}

/// Where a connection waits that was given a TMK, and what it told.
type Gift = (Id, Rc<Vec<PartId>>);

/// What a key block that left was released for.
struct Release {
    connection: Connection,
    place: Place,
    rnd1: Eight,
}

/// See the head of this file.
pub(crate) struct Cast {
    pub(crate) fault: Option<Fault>,
    pub(crate) parts: Parts,
    terminals: Numbers<TerminalHistory>,
    servers: Numbers<ServerHistory>,
    ends: Numbers<Ends>,
    knowledge: Numbers<Vec<PartId>>,
    /// By what is known: whether a key block in it left for somebody who had not proved AUK.
    unproven: Vec<bool>,
    learnt: HashMap<(Id, PartId), Id>,
    releases: HashMap<PartId, Release>,
    terminal_steps: HashMap<(Id, Message), Option<Rc<TerminalMove>>>,
    server_steps: HashMap<(Id, Message), Option<Rc<ServerMove>>>,
    gifts: HashMap<(Id, Tmk), Gift>,
    terminal_moves: HashMap<(Id, Id), Rc<Vec<Rc<TerminalMove>>>>,
    server_moves: HashMap<(Id, Id), Rc<Vec<Rc<ServerMove>>>>,
    /// Steps that the product's roles took, refused ones too.
    pub(crate) role_steps: usize,
}

impl Cast {
    /// With the state at the beginning.
    pub(crate) fn new(fault: Option<Fault>) -> (Cast, State) {
        let (parts, own) = Parts::new();
        let mut cast = Cast {
            fault,
            parts,
            terminals: Numbers::new(),
            servers: Numbers::new(),
            ends: Numbers::new(),
            knowledge: Numbers::new(),
            unproven: Vec::new(),
            learnt: HashMap::new(),
            releases: HashMap::new(),
            terminal_steps: HashMap::new(),
            server_steps: HashMap::new(),
            gifts: HashMap::new(),
            terminal_moves: HashMap::new(),
            server_moves: HashMap::new(),
            role_steps: 0,
        };
        let empty = cast.ends.of(Ends::default()).0;
        let known = cast.know(own);
        (cast, State::new(known, empty))
    }

    /// What both ends of a slot keep.
    pub(crate) fn ends(&self, number: Id) -> Ends {
        **self.ends.get(number)
    }

    /// Changes what the ends of a slot keep.
    pub(crate) fn change<T>(
        &mut self,
        state: &mut State,
        place: Place,
        change: impl FnOnce(&mut Ends) -> T,
    ) -> T {
        let mut ends = self.ends(*state.ends_mut(place));
        let changed = change(&mut ends);
        *state.ends_mut(place) = self.ends.of(ends).0;
        changed
    }

    /// How many histories there are of terminals and of servers.
    pub(crate) fn histories(&self) -> (usize, usize) {
        (self.terminals.len(), self.servers.len())
    }

    fn know(&mut self, mut parts: Vec<PartId>) -> Id {
        parts.sort_unstable();
        let (known, new) = self.knowledge.of(parts);
        if new {
            let parts = Rc::clone(self.knowledge.get(known));
            let unproven = parts.iter().filter_map(|part| self.releases.get(part)).any(|release| {
                let answered = Part::Answered(release.place.terminal, terms::rnd2(release.connection));
                !parts.iter().any(|part| *self.parts.get(*part) == answered)
            });
            self.unproven.push(unproven);
        }
        known
    }

    /// What the attacker knows when it has seen these parts too.
    pub(crate) fn learn(&mut self, known: Id, told: &[PartId]) -> Id {
        told.iter().fold(known, |known, part| {
            if let Some(more) = self.learnt.get(&(known, *part)) {
                return *more;
            }
            let mut parts = self.knowledge.get(known).to_vec();
            if !parts.contains(part) {
                parts.push(*part);
            }
            let more = self.know(parts);
            self.learnt.insert((known, *part), more);
            more
        })
    }

    /// Whether a key block left for somebody who had not proved AUK.
    pub(crate) fn is_unproven(&self, known: Id) -> bool {
        self.unproven[known as usize]
    }

    fn known(&self, known: Id, wanted: fn(&Part) -> bool) -> Vec<PartId> {
        let known = self.knowledge.get(known);
        known.iter().copied().filter(|part| wanted(self.parts.get(*part))).collect()
    }

    /// Every message of one known part, of every type, whoever it was made for: all but the first messages of a
    /// connection, and TK_CHALLENGE, which has two parts and is put together where one is waited for.
    fn anything(&self, known: Id) -> Vec<Message> {
        let parts = self.knowledge.get(known).iter().copied();
        let of = |part: PartId| match self.parts.get(part) {
            Part::Answer(_) => vec![Message::Reply { crnd2: part }],
            Part::Block(_) => vec![Message::Key { block: part }],
            Part::Check(_) => vec![Message::Confirm { check: part }],
            Part::Working(_) => vec![Message::Working { blocks: part }],
            Part::Mac(_) => vec![Message::SignInConfirm { mac: part }, Message::SignedIn { mac: part }],
            Part::Random(_) | Part::Answered(..) => Vec::new(),
        };
        parts.flat_map(of).chain([Message::Done]).collect()
    }

    /// A terminal begins a session.
    pub(crate) fn begin(
        &mut self,
        place: Place,
        session: u8,
        with: Option<(Tmk, bool)>,
    ) -> (Id, Message, Vec<PartId>) {
        let history = TerminalHistory { place, session, sign_in_with: with, heard: Vec::new() };
        let told = self.parts.of_frame(&history.first(self.fault));
        let message = match told[..] {
            [rnd1] => Message::Hello { place, rnd1 },
            [rnd1, check] => Message::SignIn { place, rnd1, check },
            _ => panic!("no terminal begins so"),
        };
        (self.terminals.of(history).0, message, told)
    }

    /// The place that a terminal's session is about.
    pub(crate) fn place_of_terminal(&self, history: Id) -> Place {
        self.terminals.get(history).place
    }

    /// Every message of known parts that this terminal takes.
    pub(crate) fn terminal_moves(&mut self, history: Id, known: Id) -> Rc<Vec<Rc<TerminalMove>>> {
        if let Some(moves) = self.terminal_moves.get(&(history, known)) {
            return Rc::clone(moves);
        }
        let waits = Rc::clone(self.terminals.get(history));
        let mut messages = self.anything(known);
        if waits.sign_in_with.is_none() && waits.heard.is_empty() {
            let (answers, randoms) = (self.known(known, is_answer), self.known(known, is_random));
            let with = |crnd1| randoms.iter().map(move |rnd2| Message::Challenge { crnd1, rnd2: *rnd2 });
            messages.extend(answers.into_iter().flat_map(with));
        }
        let moves: Vec<_> = messages.into_iter().filter_map(|m| self.terminal_hears(history, m)).collect();
        let moves = Rc::new(moves);
        self.terminal_moves.insert((history, known), Rc::clone(&moves));
        moves
    }

    /// Gives a message to a terminal: `None` when it refuses.
    pub(crate) fn terminal_hears(&mut self, history: Id, message: Message) -> Option<Rc<TerminalMove>> {
        if let Some(step) = self.terminal_steps.get(&(history, message)) {
            return step.clone();
        }
        self.role_steps += 1;
        let waits = Rc::clone(self.terminals.get(history));
        let step = waits.hear(&self.parts, self.fault, &self.parts.frame(message)).map(|step| {
            let mut told = Vec::new();
            if let Some(rnd2) = step.answered {
                told.push(self.parts.number(Part::Answered(waits.place.terminal, rnd2)));
            }
            told.extend(step.said.iter().flat_map(|frame| self.parts.of_frame(frame)));
            let mut next = TerminalHistory::clone(&waits);
            next.heard.push(message);
            let next = (!step.finished).then(|| self.terminals.of(next).0);
            let stale = match message {
                Message::Key { block } => {
                    let rnd1 = terms::rnd1(waits.place.terminal, waits.session);
                    self.releases.get(&block).is_none_or(|r| (r.place, r.rnd1) != (waits.place, rnd1))
                }
                _ => false,
            };
            Rc::new(TerminalMove { message, next, told, write: step.write, stale })
        });
        self.terminal_steps.insert((history, message), step.clone());
        step
    }

    /// Every message of known parts that this connection takes.
    pub(crate) fn server_moves(&mut self, history: Id, known: Id) -> Rc<Vec<Rc<ServerMove>>> {
        if let Some(moves) = self.server_moves.get(&(history, known)) {
            return Rc::clone(moves);
        }
        let messages = self.anything(known);
        let moves: Vec<_> = messages.into_iter().filter_map(|m| self.server_hears(history, m)).collect();
        let moves = Rc::new(moves);
        self.server_moves.insert((history, known), Rc::clone(&moves));
        moves
    }

    /// Every first message of known parts for one of these places.
    pub(crate) fn openings(
        &mut self,
        connection: Connection,
        places: &[Place],
        known: Id,
    ) -> Vec<Rc<ServerMove>> {
        let (randoms, checks) = (self.known(known, is_random), self.known(known, is_check));
        let mut messages = Vec::new();
        for place in places.iter().copied() {
            for rnd1 in randoms.iter().copied() {
                messages.push(Message::Hello { place, rnd1 });
                messages.extend(checks.iter().map(|check| Message::SignIn { place, rnd1, check: *check }));
            }
        }
        let history = self.connect(connection);
        messages.into_iter().filter_map(|message| self.server_hears(history, message)).collect()
    }

    /// A connection on which nothing was said yet.
    pub(crate) fn connect(&mut self, connection: Connection) -> Id {
        self.servers.of(ServerHistory { connection, heard: Vec::new(), given: None }).0
    }

    /// Gives a message to a connection: `None` when role or HSM refuse.
    pub(crate) fn server_hears(&mut self, history: Id, message: Message) -> Option<Rc<ServerMove>> {
        if let Some(step) = self.server_steps.get(&(history, message)) {
            return step.clone();
        }
        self.role_steps += 1;
        let waits = Rc::clone(self.servers.get(history));
        let step = waits.hear(&self.parts, self.fault, &self.parts.frame(message)).map(|heard| {
            let mut next = ServerHistory::clone(&waits);
            next.heard.push(message);
            let said: Option<&Frame> = match &heard {
                Heard::Hello { said } => Some(said),
                Heard::Opened { done } | Heard::SignedIn { done } => Some(done),
                Heard::Proven | Heard::SignIn { .. } => None,
            };
            let told = said.map(|frame| self.parts.of_frame(frame)).unwrap_or_default();
            Rc::new(ServerMove { message, next: self.servers.of(next).0, heard, told })
        });
        self.server_steps.insert((history, message), step.clone());
        step
    }

    /// HSM and store have this TMK for a connection that waits for it: what it says, and where it waits then.
    pub(crate) fn give(&mut self, history: Id, tmk: Tmk) -> Gift {
        if let Some(gift) = self.gifts.get(&(history, tmk)) {
            return gift.clone();
        }
        self.role_steps += 1;
        let waits = Rc::clone(self.servers.get(history));
        let told = self.parts.of_frame(&waits.said_with(&self.parts, tmk));
        if let Message::Hello { .. } = waits.heard[0] {
            let (place, rnd1) = waits.asked(&self.parts);
            self.releases.insert(told[0], Release { connection: waits.connection, place, rnd1 });
        }
        let mut next = ServerHistory::clone(&waits);
        next.given = Some(tmk);
        let gift = (self.servers.of(next).0, Rc::new(told));
        self.gifts.insert((history, tmk), gift.clone());
        gift
    }

    /// The place that this connection is about, and the key that it gave.
    pub(crate) fn about(&self, history: Id) -> (Place, Option<Tmk>, Connection) {
        let waits = self.servers.get(history);
        let (Message::Hello { place, .. } | Message::SignIn { place, .. }) = waits.heard[0] else {
            panic!("no connection begins so")
        };
        (place, waits.given, waits.connection)
    }
}

fn is_random(part: &Part) -> bool {
    matches!(part, Part::Random(_))
}

fn is_answer(part: &Part) -> bool {
    matches!(part, Part::Answer(_))
}

fn is_check(part: &Part) -> bool {
    matches!(part, Part::Check(_))
}
