//! What two honest parties reach when nobody disturbs them: the terminal drops what it had open, opens a connection,
//! and both go on to the end.
//!
//! Such a run depends on what the two ends of the slot keep and on fresh random numbers only: whatever else is open
//! changes neither unless it acts, and the store's acts are whole. So it is made once for each pair of ends, and thereby
//! from every state.

use crate::{
    cast::{Cast, Ends, Id},
    checks::Broken,
    hash::Map,
    message::{Kind, Message, PartId, Sort},
    moves::{Released, make_pending},
    pad::Begun,
    server::Heard,
    symbols::Symbols,
    terms::{Connection, Given, Place, Tmk},
};

/// Numbers that no exploration reaches.
const FRESH: u8 = 200;
/// How often the product's server looks at a slot again before it gives up.
const MAX_RELEASES: usize = 4;

/// Undisturbed runs that were made before, and whether a rule was broken in them.
#[derive(Default)]
pub(crate) struct Alone(Map<(Place, Id), Option<Broken>>);

impl Alone {
    /// Pairs of ends from which honest parties were left alone.
    pub(crate) fn runs(&self) -> usize {
        self.0.len()
    }

    /// What `check` says of these ends; it is asked once.
    pub(crate) fn remembered<S: Symbols>(
        &mut self,
        cast: &mut Cast<S>,
        place: Place,
        ends: Id,
        check: fn(&mut Cast<S>, Place, Ends) -> Option<Broken>,
    ) -> Option<Broken> {
        *self.0.entry((place, ends)).or_insert_with(|| {
            let ends = cast.ends(ends);
            check(cast, place, ends)
        })
    }

    /// Whether a download ends with DONE, and a sign-in with its key after it, and both ends then use that key.
    pub(crate) fn finishes<S: Symbols>(cast: &mut Cast<S>, place: Place, ends: Ends) -> bool {
        let mut pair = Pair { cast, place, next: FRESH, ends };
        pair.download().is_some()
            && pair.sign_in(true).is_some()
            && pair.ends.disk.current.is_some()
            && pair.ends.disk.current == pair.ends.slot.active
    }

    /// Whether a sign-in works, with the newest TMK or, where the host does not hold that one, the one before it.
    pub(crate) fn signs_in<S: Symbols>(cast: &mut Cast<S>, place: Place, ends: Ends) -> bool {
        let mut signs_in = |newest| Pair { cast, place, next: FRESH, ends }.sign_in(newest).is_some();
        signs_in(true) || signs_in(false)
    }
}

/// A terminal and a server with nobody between them.
struct Pair<'a, S> {
    cast: &'a mut Cast<S>,
    place: Place,
    /// The number of the next session and connection.
    next: u8,
    ends: Ends,
}

impl<S: Symbols> Pair<'_, S> {
    /// Gives the terminal a message of what was just said: where it waits then, and what it says.
    fn terminal(&mut self, history: Id, kind: Kind, told: &[PartId]) -> Option<(Option<Id>, Vec<PartId>)> {
        let step = self.cast.terminal_hears(history, Message::new(kind, None, told))?;
        if let Some(write) = step.write {
            self.ends.disk.write(write, self.cast.rules);
        }
        let said = |part: &PartId| self.cast.parts.get(*part).sort != Sort::Proved;
        Some((step.next, step.told.iter().copied().filter(said).collect()))
    }

    fn server(&mut self, history: Id, kind: Kind, said: &[PartId]) -> Option<(Id, Heard, Vec<PartId>)> {
        let step = self.cast.server_hears(history, Message::new(kind, None, said))?;
        Some((step.next, step.heard.clone(), step.told.clone()))
    }

    fn meet(&mut self, sign_in_with: Option<(Tmk, bool)>) -> (Id, Message, Connection) {
        let (place, session, counter) = (self.place, self.next, self.ends.disk.counter);
        let (terminal, first, _) = self.cast.begin(Begun { place, session, sign_in_with, counter });
        let connection = Connection(self.next);
        self.next += 1;
        (terminal, first, connection)
    }

    fn download(&mut self) -> Option<()> {
        let (terminal, hello, connection) = self.meet(None);
        let server = self.cast.connect(connection);
        let challenged = self.cast.server_hears(server, hello)?;
        let (terminal, said) = self.terminal(terminal, Kind::Challenge, &challenged.told)?;
        let (server, _, _) = self.server(challenged.next, Kind::Reply, &said)?;
        let given = self.release()?;
        let (server, told) = self.cast.give(server, given);
        let (terminal, said) = self.terminal(terminal?, Kind::Key, &told)?;
        let (_, Heard::Opened { .. }, told) = self.server(server, Kind::Confirm, &said)? else {
            return None;
        };
        self.ends.slot.confirm(given.tmk).then_some(())?;
        let (end, _) = self.terminal(terminal?, Kind::Done, &told)?;
        end.is_none().then_some(())
    }

    fn release(&mut self) -> Option<Given> {
        let mut snapshot = self.ends.slot.read();
        for _ in 0..MAX_RELEASES {
            match make_pending::<S>(&mut self.ends.slot, self.place, snapshot, self.cast.rules) {
                Released::Held(given) => return Some(given),
                Released::LookAgain(newer) => snapshot = newer,
                Released::Refused => return None,
            }
        }
        None
    }

    fn sign_in(&mut self, newest: bool) -> Option<()> {
        let with = if newest { self.ends.disk.current } else { self.ends.disk.previous }?;
        let (terminal, sign_in, connection) = self.meet(Some((with, newest)));
        let server = self.cast.connect(connection);
        let asked = self.cast.server_hears(server, sign_in)?;
        let Heard::SignIn { kcv } = asked.heard else { return None };
        let tmk = self.ends.slot.keys().find(|tmk| S::check_value(tmk.check()) == kcv)?;
        self.ends.slot.begin_sign_in(connection, tmk).then_some(())?;
        let (server, told) = self.cast.give(asked.next, Given { tmk, counter: None });
        let (terminal, said) = self.terminal(terminal, Kind::Working, &told)?;
        let (_, _, told) = self.server(server, Kind::SignInConfirm, &said)?;
        self.ends.slot.confirm_sign_in(connection).then_some(())?;
        let (end, _) = self.terminal(terminal?, Kind::SignedIn, &told)?;
        end.is_none().then_some(())
    }
}
