//! All that the parties can do, each step taken once by the product's role and then remembered.
//!
//! Parts, histories and what the attacker knows are numbered, so that a state of the whole is a handful of numbers.

use std::rc::Rc;

use wire::Frame;

use crate::{
    checks::Broken,
    disk::{Disk, Write},
    faults::Rules,
    hash::{Map, Set},
    message::{Kind, Message, Numbers, Part, PartId, Parts, Sort},
    pad::Begun,
    server::{Heard, Released, ServerHistory},
    state::State,
    store::Slot,
    symbols::Symbols,
    terminal::TerminalHistory,
    terms::{Connection, Given, Place},
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
    /// It takes what no server made for this session of its own.
    pub(crate) broken: Option<Broken>,
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

/// What key blocks that left were made for: the place, and what its terminal's session began with.
type MadeFor = (Place, Option<PartId>);

/// A TMK's block that left.
struct Release {
    /// Which frame of which slot it is.
    frame: Option<(Place, u8)>,
    /// The note that its terminal proved itself there.
    proved: PartId,
    read_later: bool,
}

/// See the head of this file.
pub(crate) struct Cast<S> {
    pub(crate) rules: Rules,
    /// See [`Bounds::mixes`](crate::state::Bounds::mixes).
    mixes: bool,
    pub(crate) parts: Parts<S>,
    terminals: Numbers<TerminalHistory>,
    servers: Numbers<ServerHistory>,
    ends: Numbers<Ends>,
    knowledge: Numbers<Vec<PartId>>,
    /// By what is known: the rule that is broken by its being known.
    broken: Vec<Option<Broken>>,
    learnt: Map<(Id, PartId), Id>,
    /// TMKs' blocks that left.
    releases: Map<PartId, Release>,
    /// All blocks that left.
    made: Map<PartId, MadeFor>,
    /// What terminals prove themselves to when they answer a server.
    marks: Set<Vec<u8>>,
    anything: Map<Id, Rc<Vec<Message>>>,
    terminal_steps: Map<(Id, Message), Option<Rc<TerminalMove>>>,
    server_steps: Map<(Id, Message), Option<Rc<ServerMove>>>,
    gifts: Map<(Id, Given), Gift>,
    begun: Map<Begun, (Id, Message, Rc<Vec<PartId>>)>,
    openings: Map<(Connection, Id), Rc<Vec<Rc<ServerMove>>>>,
    terminal_moves: Map<(Id, Id), Rc<Vec<Rc<TerminalMove>>>>,
    server_moves: Map<(Id, Id), Rc<Vec<Rc<ServerMove>>>>,
    /// Steps that the product's roles took, refused ones too.
    pub(crate) role_steps: usize,
}

impl<S: Symbols> Cast<S> {
    /// With the state at the beginning.
    pub(crate) fn new(rules: Rules, mixes: bool) -> (Cast<S>, State) {
        let (parts, own) = Parts::new();
        let mut cast = Cast {
            rules,
            mixes,
            parts,
            terminals: Numbers::new(),
            servers: Numbers::new(),
            ends: Numbers::new(),
            knowledge: Numbers::new(),
            broken: Vec::new(),
            learnt: Map::default(),
            releases: Map::default(),
            made: Map::default(),
            marks: Set::default(),
            anything: Map::default(),
            terminal_steps: Map::default(),
            server_steps: Map::default(),
            gifts: Map::default(),
            begun: Map::default(),
            openings: Map::default(),
            terminal_moves: Map::default(),
            server_moves: Map::default(),
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
            let broken = self.broken_by_knowing(&Rc::clone(self.knowledge.get(known)));
            self.broken.push(broken);
        }
        known
    }

    fn broken_by_knowing(&self, parts: &[PartId]) -> Option<Broken> {
        let mut frames = Vec::new();
        for release in parts.iter().filter_map(|part| self.releases.get(part)) {
            if parts.binary_search(&release.proved).is_err() {
                return Some(Broken::UnprovenPeer);
            }
            if release.read_later {
                return Some(Broken::ReadLater);
            }
            if release.frame.is_some() && frames.contains(&release.frame) {
                return Some(Broken::CounterTwice);
            }
            frames.push(release.frame);
        }
        None
    }

    /// What the attacker knows when it has seen these parts too.
    pub(crate) fn learn(&mut self, known: Id, told: &[PartId]) -> Id {
        told.iter().fold(known, |known, part| {
            if let Some(more) = self.learnt.get(&(known, *part)) {
                return *more;
            }
            let mut parts = self.knowledge.get(known).to_vec();
            let mixed = if self.mixes { S::mixed(self.parts.get(*part)) } else { Vec::new() };
            let mixed: Vec<_> = mixed.into_iter().map(|part| self.parts.number(part)).collect();
            for part in mixed.into_iter().chain([*part]) {
                if !parts.contains(&part) {
                    parts.push(part);
                }
            }
            let more = self.know(parts);
            self.learnt.insert((known, *part), more);
            more
        })
    }

    /// The rule that is broken by this being known.
    pub(crate) fn broken(&self, known: Id) -> Option<Broken> {
        self.broken[known as usize]
    }

    /// Whether this terminal's PIN pad has proved itself to what this mark names, as far as anybody saw.
    pub(crate) fn has_proved(&mut self, known: Id, terminal: u8, mark: &[u8]) -> bool {
        let proved = self.parts.number(Part::proved(terminal, mark));
        self.knowledge.get(known).binary_search(&proved).is_ok()
    }

    /// Every message of known parts that is of this kind, whoever its parts were made for.
    fn composed(&self, kind: Kind, place: Option<Place>, known: Id) -> Vec<Message> {
        let known = self.knowledge.get(known);
        let of = |sort: Sort| known.iter().copied().filter(move |part| self.parts.get(*part).sort == sort);
        match *S::sorts(kind) {
            [] => vec![Message::new(kind, place, &[])],
            [one] => of(one).map(|part| Message::new(kind, place, &[part])).collect(),
            [one, other] => {
                let with = |part| of(other).map(move |other| Message::new(kind, place, &[part, other]));
                of(one).flat_map(with).collect()
            }
            _ => panic!("no message has more parts"),
        }
    }

    /// Every message of known parts that anybody may be given who waits for more.
    fn anything(&mut self, known: Id) -> Rc<Vec<Message>> {
        if let Some(messages) = self.anything.get(&known) {
            return Rc::clone(messages);
        }
        let kinds = Kind::ANYWHERE.into_iter();
        let messages = kinds.flat_map(|kind| self.composed(kind, None, known)).collect();
        Rc::clone(self.anything.entry(known).or_insert(Rc::new(messages)))
    }

    /// A terminal begins a session: where it waits, and what it says.
    pub(crate) fn begin(&mut self, begun: Begun) -> (Id, Message, Rc<Vec<PartId>>) {
        if let Some(begin) = self.begun.get(&begun) {
            return begin.clone();
        }
        let history = TerminalHistory::new(begun);
        let told = self.parts.of_frame(&history.first::<S>(self.rules));
        let kind = if begun.sign_in_with.is_some() { Kind::SignIn } else { Kind::Hello };
        let message = Message::new(kind, Some(begun.place), &told);
        let begin = (self.terminals.of(history).0, message, Rc::new(told));
        self.begun.insert(begun, begin.clone());
        begin
    }

    /// The place that a terminal's session is about.
    pub(crate) fn place_of_terminal(&self, history: Id) -> Place {
        self.terminals.get(history).begun.place
    }

    /// Every message of known parts that this terminal takes.
    pub(crate) fn terminal_moves(&mut self, history: Id, known: Id) -> Rc<Vec<Rc<TerminalMove>>> {
        if let Some(moves) = self.terminal_moves.get(&(history, known)) {
            return Rc::clone(moves);
        }
        let waits = Rc::clone(self.terminals.get(history));
        let mut messages = self.anything(known).to_vec();
        if waits.begun.sign_in_with.is_none() && waits.heard.is_empty() {
            messages.extend(self.composed(Kind::Challenge, None, known));
        }
        let moves: Vec<_> =
            messages.iter().filter_map(|message| self.terminal_hears(history, *message)).collect();
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
        let step = waits.hear(&self.parts, self.rules, &self.parts.frame(message)).map(|step| {
            let mut told = Vec::new();
            if let Some(mark) = &step.proved {
                told.push(self.parts.number(Part::proved(waits.begun.place.terminal, mark)));
            }
            told.extend(step.said.iter().flat_map(|frame| self.parts.of_frame(frame)));
            let next = (!step.finished).then(|| self.terminals.of(waits.and(message)).0);
            let broken = match message.kind {
                Kind::Challenge if S::CHALLENGE_IS_BOUND => {
                    let said = step.proved.is_some_and(|mark| self.marks.contains(&mark));
                    (!said).then_some(Broken::FalseServer)
                }
                Kind::Key | Kind::Working => {
                    let began = self.parts.of_frame(&waits.first::<S>(self.rules)).first().copied();
                    let made = message.parts[0].and_then(|block| self.made.get(&block));
                    (made != Some(&(waits.begun.place, began))).then_some(Broken::StaleKey)
                }
                _ => None,
            };
            Rc::new(TerminalMove { message, next, told, write: step.write, broken })
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
        let moves: Vec<_> =
            messages.iter().filter_map(|message| self.server_hears(history, *message)).collect();
        let moves = Rc::new(moves);
        self.server_moves.insert((history, known), Rc::clone(&moves));
        moves
    }

    /// Every first message of known parts for one of these places, which are always the same.
    pub(crate) fn openings(
        &mut self,
        connection: Connection,
        places: &[Place],
        known: Id,
    ) -> Rc<Vec<Rc<ServerMove>>> {
        if let Some(openings) = self.openings.get(&(connection, known)) {
            return Rc::clone(openings);
        }
        let kinds = |place| [(Kind::Hello, place), (Kind::SignIn, place)];
        let messages: Vec<_> = places
            .iter()
            .flat_map(|place| kinds(Some(*place)))
            .flat_map(|(kind, place)| self.composed(kind, place, known))
            .collect();
        let history = self.connect(connection);
        let openings = messages.into_iter().filter_map(|message| self.server_hears(history, message));
        let openings = Rc::new(openings.collect());
        self.openings.insert((connection, known), Rc::clone(&openings));
        openings
    }

    /// A connection on which nothing was said yet.
    pub(crate) fn connect(&mut self, connection: Connection) -> Id {
        self.servers.of(ServerHistory::new(connection)).0
    }

    /// Gives a message to a connection: `None` when role or HSM refuse.
    pub(crate) fn server_hears(&mut self, history: Id, message: Message) -> Option<Rc<ServerMove>> {
        if let Some(step) = self.server_steps.get(&(history, message)) {
            return step.clone();
        }
        self.role_steps += 1;
        let waits = Rc::clone(self.servers.get(history));
        let frame = self.parts.frame(message);
        let step = waits.hear(&self.parts, self.rules, &frame).map(|heard| {
            let said: Option<&Frame> = match &heard {
                Heard::Hello { said } => {
                    self.marks.extend(waits.mark::<S>(self.rules, &frame));
                    Some(said)
                }
                Heard::Opened { done } | Heard::SignedIn { done } => Some(done),
                Heard::Proven | Heard::SignIn { .. } => None,
            };
            let told = said.map(|frame| self.parts.of_frame(frame)).unwrap_or_default();
            let next = self.servers.of(waits.and(message)).0;
            Rc::new(ServerMove { message, next, heard, told })
        });
        self.server_steps.insert((history, message), step.clone());
        step
    }

    /// HSM and store have this TMK for a connection that waits for it: what it says, and where it waits then.
    pub(crate) fn give(&mut self, history: Id, given: Given) -> Gift {
        if let Some(gift) = self.gifts.get(&(history, given)) {
            return gift.clone();
        }
        self.role_steps += 1;
        let waits = Rc::clone(self.servers.get(history));
        let (frame, released) = waits.said_with(&self.parts, self.rules, given);
        let told = self.parts.of_frame(&frame);
        let (place, ..) = self.about(history);
        self.made.insert(told[0], (place, waits.heard[0].parts[0]));
        if let Some(Released { mark, read_later }) = released {
            let proved = self.parts.number(Part::proved(place.terminal, &mark));
            let frame = given.counter.map(|counter| (place, counter));
            self.releases.insert(told[0], Release { frame, proved, read_later });
        }
        let gift = (self.servers.of(waits.with(given)).0, Rc::new(told));
        self.gifts.insert((history, given), gift.clone());
        gift
    }

    /// The place that this connection is about, and the key that it gave.
    pub(crate) fn about(&self, history: Id) -> (Place, Option<Given>, Connection) {
        let waits = self.servers.get(history);
        let place = waits.heard.first().and_then(|first| first.place);
        (place.unwrap(), waits.given, waits.connection)
    }
}
