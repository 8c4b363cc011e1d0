//! Packages on their way to the server.

use super::{
    super::{Answer, Effect, Parcel, ServerSeen},
    Model, State, Stop,
};

/// Most packages that are shown; of those that were answered, the oldest go first.
const MAX_ENTRIES: usize = 200;

/// One package.
#[derive(Debug, Clone)]
pub(in super::super) struct Entry {
    pub(in super::super) id: String,
    pub(in super::super) serials: Vec<String>,
    /// When it came into the queue, or was answered; unix seconds.
    pub(in super::super) at: i64,
    pub(in super::super) state: EntryState,
}

/// Where a package is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum EntryState {
    Waiting,
    Sending,
    Answered { taken: usize, awaits: usize, refused: Vec<String>, alarms: usize },
    ArrivedBefore,
    Refused(String),
}

/// All packages, oldest first, and which is selected.
#[derive(Debug, Default)]
pub(in super::super) struct Queue {
    entries: Vec<Entry>,
    selected: usize,
}

impl Queue {
    pub(in super::super) fn entries(&self) -> &[Entry] {
        &self.entries
    }

    pub(in super::super) fn selected(&self) -> Option<(usize, &Entry)> {
        let at = self.selected.min(self.entries.len().saturating_sub(1));
        self.entries.get(at).map(|entry| (at, entry))
    }

    pub(in super::super) fn count(&self, is: impl Fn(&EntryState) -> bool) -> usize {
        self.entries.iter().filter(|entry| is(&entry.state)).count()
    }

    pub(super) fn up(&mut self) {
        self.selected = self.selected.saturating_sub(1);
    }

    pub(super) fn down(&mut self) {
        self.selected = (self.selected + 1).min(self.entries.len().saturating_sub(1));
    }

    pub(super) fn add(&mut self, parcel: Parcel, at: i64) {
        if self.entries.iter().any(|entry| entry.id == parcel.id) {
            return;
        }
        let over =
            |entry: &Entry| matches!(entry.state, EntryState::Answered { .. } | EntryState::ArrivedBefore);
        if self.entries.len() >= MAX_ENTRIES
            && let Some(oldest) = self.entries.iter().position(over)
        {
            self.entries.remove(oldest);
        }
        let Parcel { id, serials } = parcel;
        self.entries.push(Entry { id, serials, at, state: EntryState::Waiting });
        self.selected = self.entries.len() - 1;
    }

    pub(super) fn set(&mut self, id: &str, state: EntryState) {
        if let Some(entry) = self.entries.iter_mut().find(|entry| entry.id == id) {
            entry.state = state;
        }
    }
}

impl Model {
    /// What came of sending a package.
    pub(super) fn sent(&mut self, id: &str, answer: Answer) -> Vec<Effect> {
        let mut effects = Vec::new();
        let state = match answer {
            Answer::NotSent(_) => EntryState::Waiting,
            Answer::Refused(why) => {
                self.said = "The server refused a package; Tab shows why.".to_owned();
                self.terminals_of(id, &State::Refused(why.clone()));
                EntryState::Refused(why)
            }
            Answer::ArrivedBefore => {
                self.terminals_of(
                    id,
                    &State::Taken("the KMS has it: compare the fingerprints there".to_owned()),
                );
                EntryState::ArrivedBefore
            }
            Answer::Taken(results) => {
                let alarms: Vec<_> = results.iter().filter_map(|told| told.alarm.clone()).collect();
                let refused: Vec<_> = results
                    .iter()
                    .filter(|told| !told.ok)
                    .map(|told| format!("{}: {}", told.sn, told.said))
                    .collect();
                for told in &results {
                    let state = match (&told.alarm, told.ok) {
                        (Some(alarm), _) => State::Alarm(alarm.clone()),
                        (None, true) if told.awaits => State::Awaits(told.said.clone()),
                        (None, true) => State::Taken(told.said.clone()),
                        (None, false) => State::Refused(told.said.clone()),
                    };
                    self.terminals.answered(id, &told.sn, &state);
                }
                let awaits = results.iter().filter(|told| told.ok && told.awaits).count();
                let taken = results.iter().filter(|told| told.ok).count() - awaits;
                self.said = match awaits {
                    0 => format!("The KMS took {taken} of {}.", results.len()),
                    count => format!(
                        "The KMS took {taken} of {}; {count} must be approved by a second person.",
                        results.len()
                    ),
                };
                if !alarms.is_empty() {
                    effects.push(Effect::Bell);
                }
                let count = alarms.len();
                self.stops.extend(alarms.into_iter().map(Stop::alarm));
                EntryState::Answered { taken, awaits, refused, alarms: count }
            }
        };
        if state != EntryState::Waiting {
            // Who answers is there.
            self.server(ServerSeen::Reached);
            self.queue
                .entries
                .iter_mut()
                .filter(|entry| entry.id == id)
                .for_each(|entry| entry.at = self.now);
        }
        self.queue.set(id, state);
        effects
    }

    fn terminals_of(&mut self, id: &str, state: &State) {
        let entry = self.queue.entries.iter().find(|entry| entry.id == id);
        for sn in entry.map(|entry| entry.serials.as_slice()).unwrap_or_default() {
            self.terminals.answered(id, sn, state);
        }
    }
}
