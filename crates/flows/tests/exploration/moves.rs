//! What can happen next: whatever the attacker brings about.

use crate::{
    cast::{Cast, Id, ServerMove},
    checks::Broken,
    faults::{Fault, Rules},
    message::{Message, PartId},
    pad::Begun,
    server::Heard,
    state::{Bounds, Conn, State},
    store::{Put, Slot, Snapshot},
    symbols::Symbols,
    terms::{Connection, Given, Place, Tmk},
};

/// What happened, for people.
#[derive(Debug, Clone, Copy)]
#[allow(dead_code, reason = "its fields are read by whoever reads a trace")]
pub(crate) enum Action {
    Download(Place),
    SignIn(Place, Tmk),
    TerminalTakes(u8, Message),
    /// It wrote what the message made it write, and then lost power before it answered.
    TerminalTakesAndCrashes(u8, Message),
    Connect(Connection, Message),
    ServerTakes(Connection, Message),
    /// It stored what the message made it store, and then went down before it answered.
    ServerTakesAndCrashes(Connection, Message),
    /// HSM and store are asked, and the role answers where they gave what it needs.
    ServerAsks(Connection),
    /// The same, but it goes down before the answer leaves.
    ServerAsksAndCrashes(Connection),
    TerminalCrashes(u8),
    /// The server that has this connection.
    ServerCrashes(Connection),
    /// Two people, or a tamper report, have what is pending for a terminal dropped.
    DropPending(u8),
}

/// A state that follows.
pub(crate) struct Next {
    pub(crate) action: Action,
    pub(crate) state: State,
    /// The rule that the way here breaks.
    pub(crate) broken: Option<Broken>,
}

/// Every state that may follow this one.
pub(crate) fn all<S: Symbols>(cast: &mut Cast<S>, bounds: &Bounds, from: State) -> Vec<Next> {
    let mut moves = Moves { cast, bounds, from, next: Vec::new() };
    for terminal in 0..bounds.terminals {
        moves.terminal_begins(terminal);
        moves.terminal_takes(terminal);
        moves.store_drops(terminal);
    }
    moves.connects();
    for (at, connection) in from.connections.into_iter().enumerate() {
        moves.server(at, connection);
    }
    moves.next
}

/// What may follow a state, as it is gathered.
struct Moves<'a, S> {
    cast: &'a mut Cast<S>,
    bounds: &'a Bounds,
    from: State,
    next: Vec<Next>,
}

impl<S: Symbols> Moves<'_, S> {
    fn push(&mut self, action: Action, mut state: State) {
        state.connections.sort_unstable();
        self.next.push(Next { action, state, broken: None });
    }

    /// The state from which a side has crashed, if it still may.
    fn crashed(&self, mut state: State) -> Option<State> {
        if state.crashes >= self.bounds.crashes {
            return None;
        }
        state.crashes += 1;
        Some(state)
    }

    fn terminal_begins(&mut self, terminal: u8) {
        let [downloads, sign_ins] = self.from.begun[usize::from(terminal)];
        for slot in 0..self.bounds.slots {
            let place = Place { terminal, slot };
            if downloads < self.bounds.downloads {
                self.begin(place, None, [downloads + 1, sign_ins], Action::Download(place));
            }
            if sign_ins < self.bounds.sign_ins {
                let disk = self.cast.ends(self.from.ends(place)).disk;
                let held = [(disk.current, true), (disk.previous, false)];
                for (tmk, newest) in held.into_iter().filter_map(|(tmk, newest)| Some((tmk?, newest))) {
                    let action = Action::SignIn(place, tmk);
                    self.begin(place, Some((tmk, newest)), [downloads, sign_ins + 1], action);
                }
            }
        }
    }

    fn begin(&mut self, place: Place, with: Option<(Tmk, bool)>, begun: [u8; 2], action: Action) {
        let at = usize::from(place.terminal);
        let session = self.from.begun[at].iter().sum();
        let counter = self.cast.ends(self.from.ends(place)).disk.counter;
        let (history, _, told) = self.cast.begin(Begun { place, session, sign_in_with: with, counter });
        let mut state = self.from;
        state.sessions[at] = Some(history);
        state.begun[at] = begun;
        state.known = self.cast.learn(state.known, &told);
        self.push(action, state);
    }

    fn terminal_takes(&mut self, terminal: u8) {
        let at = usize::from(terminal);
        let Some(history) = self.from.sessions[at] else { return };
        if let Some(mut state) = self.crashed(self.from) {
            state.sessions[at] = None;
            self.push(Action::TerminalCrashes(terminal), state);
        }
        for step in self.cast.terminal_moves(history, self.from.known).iter() {
            let (mut state, mut broken) = (self.from, step.broken);
            if let Some(write) = step.write {
                let (place, rules) = (self.cast.place_of_terminal(history), self.bounds.rules);
                let back = self.cast.change(&mut state, place, |ends| {
                    let last = ends.disk.counter;
                    ends.disk.write(write, rules);
                    write.counter().is_some_and(|counter| counter <= last)
                });
                broken = broken.or(back.then_some(Broken::CounterBack));
            }
            if let Some(mut state) = self.crashed(state) {
                state.sessions[at] = None;
                let action = Action::TerminalTakesAndCrashes(terminal, step.message);
                self.next.push(Next { action, state, broken });
            }
            state.sessions[at] = step.next;
            state.known = self.cast.learn(state.known, &step.told);
            let action = Action::TerminalTakes(terminal, step.message);
            self.next.push(Next { action, state, broken });
        }
    }

    fn store_drops(&mut self, terminal: u8) {
        if self.from.drops < self.bounds.drops {
            let (mut state, rules) = (self.from, self.bounds.rules);
            state.drops += 1;
            for place in self.bounds.places().into_iter().filter(|place| place.terminal == terminal) {
                self.cast.change(&mut state, place, |ends| ends.slot.drop_pending(rules));
            }
            self.push(Action::DropPending(terminal), state);
        }
    }

    /// Somebody connects to a server that is free, or to either when none is: what was open there ends.
    fn connects(&mut self) {
        if self.from.opened >= self.bounds.connections {
            return;
        }
        let connection = Connection(self.from.opened);
        let openings = self.cast.openings(connection, &self.bounds.places(), self.from.known);
        let free = self.from.connections.iter().position(|conn| *conn == Conn::None);
        let servers = free.map_or(0..self.from.connections.len(), |at| at..at + 1);
        for at in servers {
            for step in openings.iter() {
                let state = State { opened: self.from.opened + 1, ..self.from };
                if let Some(state) = self.after(state, at, step, true) {
                    self.push(Action::Connect(connection, step.message), state);
                }
            }
        }
    }

    fn server(&mut self, at: usize, conn: Conn) {
        let (Conn::Hears(history) | Conn::Releases(history, _) | Conn::Offers(history, _)) = conn else {
            return;
        };
        let (.., connection) = self.cast.about(history);
        if let Some(mut state) = self.crashed(self.from) {
            state.connections[at] = Conn::None;
            self.push(Action::ServerCrashes(connection), state);
        }
        match conn {
            Conn::Releases(_, snapshot) => self.releases(at, history, snapshot),
            Conn::Offers(_, tmk) => self.offers(at, history, tmk),
            _ => self.server_takes(at, history),
        }
    }

    fn server_takes(&mut self, at: usize, history: Id) {
        let (.., connection) = self.cast.about(history);
        for step in self.cast.server_moves(history, self.from.known).iter() {
            if let Some(state) = self.after(self.from, at, step, true) {
                self.push(Action::ServerTakes(connection, step.message), state);
            }
            if let Some(state) = self.crashed(self.from)
                && let Some(mut state) = self.after(state, at, step, false)
            {
                state.connections[at] = Conn::None;
                self.push(Action::ServerTakesAndCrashes(connection, step.message), state);
            }
        }
    }

    /// The state after a server's role took a message, if the store agrees; its answer leaves or not.
    fn after(&mut self, mut state: State, at: usize, step: &ServerMove, leaves: bool) -> Option<State> {
        let (place, given, connection) = self.cast.about(step.next);
        let slot = self.cast.ends(state.ends(place)).slot;
        state.connections[at] = match step.heard {
            Heard::Hello { .. } => Conn::Hears(step.next),
            Heard::Proven => Conn::Releases(step.next, slot.read()),
            Heard::SignIn { kcv } => {
                let tmk = slot.keys().find(|tmk| S::check_value(tmk.check()) == kcv)?;
                Conn::Offers(step.next, tmk)
            }
            Heard::Opened { .. } => {
                let Given { tmk, .. } = given?;
                self.cast.change(&mut state, place, |ends| ends.slot.confirm(tmk)).then_some(Conn::None)?
            }
            Heard::SignedIn { .. } => self
                .cast
                .change(&mut state, place, |ends| ends.slot.confirm_sign_in(connection))
                .then_some(Conn::None)?,
        };
        if leaves {
            state.known = self.cast.learn(state.known, &step.told);
        }
        Some(state)
    }

    /// One round of the product's `deliver`: the HSM makes or loads the key, and the store makes it pending or counts
    /// it as sent again; or the slot has changed, and it looks again.
    fn releases(&mut self, at: usize, history: Id, snapshot: Snapshot) {
        let (place, _, connection) = self.cast.about(history);
        let (mut state, rules) = (self.from, self.bounds.rules);
        let release = |slot: &mut Slot| make_pending::<S>(slot, place, snapshot, rules);
        match self.cast.change(&mut state, place, |ends| release(&mut ends.slot)) {
            Released::Held(given) => {
                let (next, told) = self.cast.give(history, given);
                self.answers(state, at, connection, (next, &told));
            }
            Released::LookAgain(newer) => {
                state.connections[at] = Conn::Releases(history, newer);
                self.push(Action::ServerAsks(connection), state);
            }
            Released::Refused => {}
        }
    }

    fn offers(&mut self, at: usize, history: Id, tmk: Tmk) {
        let (place, _, connection) = self.cast.about(history);
        let mut state = self.from;
        if self.cast.change(&mut state, place, |ends| ends.slot.begin_sign_in(connection, tmk)) {
            let (next, told) = self.cast.give(history, Given { tmk, counter: None });
            self.answers(state, at, connection, (next, &told));
        }
    }

    fn answers(
        &mut self,
        mut state: State,
        at: usize,
        connection: Connection,
        (next, told): (Id, &[PartId]),
    ) {
        if let Some(mut state) = self.crashed(state) {
            state.connections[at] = Conn::None;
            self.push(Action::ServerAsksAndCrashes(connection), state);
        }
        state.connections[at] = Conn::Hears(next);
        state.known = self.cast.learn(state.known, told);
        self.push(Action::ServerAsks(connection), state);
    }
}

/// What came of a round.
pub(crate) enum Released {
    Held(Given),
    LookAgain(Snapshot),
    Refused,
}

/// `make_pending` of the server's `slots`, after the HSM's release. The HSM makes the key whose check value is the most
/// likely to clash: the smallest that it was not told to avoid.
pub(crate) fn make_pending<S: Symbols>(
    slot: &mut Slot,
    place: Place,
    snapshot: Snapshot,
    rules: Rules,
) -> Released {
    let counter = S::next_counter(snapshot.counter);
    if let Some(tmk) = snapshot.pending
        && !rules.has(Fault::TwoPending)
    {
        let given = Given { tmk, counter };
        return match slot.resend(given, rules) {
            _ if rules.has(Fault::NoResend) => Released::Refused,
            true => Released::Held(given),
            false => Released::LookAgain(slot.read()),
        };
    }
    let shared = rules.has(Fault::SharedCheckValues);
    for check in 0..8 {
        if snapshot.avoid & (1 << check) != 0 && !shared {
            continue;
        }
        match slot.put_pending(place, check, counter, rules) {
            Put::Stored(tmk) => return Released::Held(Given { tmk, counter }),
            Put::Lost | Put::CounterTaken => return Released::LookAgain(slot.read()),
            Put::SameCheckValue => {}
        }
    }
    Released::Refused
}
