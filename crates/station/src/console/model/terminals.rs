//! What is plugged in, and what became of it.

use super::super::{Parcel, Port};

/// Most lines that are kept; the oldest that are no longer plugged in go first.
const MAX_ROWS: usize = 500;

/// One line of the list.
#[derive(Debug, Clone)]
pub(in super::super) struct Row {
    pub(in super::super) address: String,
    pub(in super::super) about: String,
    pub(in super::super) plugged: bool,
    pub(in super::super) sn: Option<String>,
    pub(in super::super) pin_pad: Option<String>,
    pub(in super::super) fingerprint: Option<String>,
    pub(in super::super) state: State,
    in_run: bool,
    package: Option<String>,
}

/// What became of a terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in super::super) enum State {
    Ready,
    /// In this run, and not asked yet.
    Next,
    Asking,
    /// Its line failed, and it is asked again.
    Again(String),
    /// It has answered; not packed yet.
    Collected,
    /// In a package that waits.
    Packed,
    Taken(String),
    /// Kept by the KMS until a second person approves it.
    Awaits(String),
    Refused(String),
    Alarm(String),
    Failed {
        reason: String,
        advice: String,
    },
}

impl State {
    /// In a word.
    pub(in super::super) fn word(&self) -> &'static str {
        match self {
            State::Ready => "ready",
            State::Next => "next",
            State::Asking => "asking",
            State::Again(_) => "ASKED AGAIN",
            State::Collected => "collected",
            State::Packed => "collected",
            State::Taken(_) => "TAKEN",
            State::Awaits(_) => "AWAITS",
            State::Refused(_) => "REFUSED",
            State::Alarm(_) => "ALARM",
            State::Failed { .. } => "FAILED",
        }
    }
}

/// The list, and which line is selected.
#[derive(Debug, Default)]
pub(in super::super) struct Terminals {
    rows: Vec<Row>,
    selected: usize,
}

impl Terminals {
    pub(in super::super) fn rows(&self) -> &[Row] {
        &self.rows
    }

    pub(in super::super) fn selected(&self) -> Option<(usize, &Row)> {
        let at = self.selected.min(self.rows.len().saturating_sub(1));
        self.rows.get(at).map(|row| (at, row))
    }

    pub(in super::super) fn plugged(&self) -> usize {
        self.rows.iter().filter(|row| row.plugged).count()
    }

    /// Addresses that the one key collects: what is plugged in and not collected yet.
    pub(super) fn uncollected(&self) -> Vec<String> {
        let wanted = |row: &&Row| row.plugged && matches!(row.state, State::Ready | State::Failed { .. });
        self.rows.iter().filter(wanted).map(|row| row.address.clone()).collect()
    }

    pub(super) fn up(&mut self) {
        self.selected = self.selected.saturating_sub(1);
    }

    pub(super) fn down(&mut self) {
        self.selected = (self.selected + 1).min(self.rows.len().saturating_sub(1));
    }

    /// A line that tells of another terminal's result stays, and the new terminal gets its own.
    pub(super) fn plug(&mut self, port: Port) {
        // Put back in the middle of a run it is still the one that is asked.
        if let Some(row) = self.in_run(&port.address).filter(|row| !row.plugged && row.sn.is_none()) {
            row.plugged = true;
            return;
        }
        self.rows.retain(|row| row.address != port.address || (!row.plugged && row.sn.is_some()));
        if self.rows.len() >= MAX_ROWS
            && let Some(oldest) = self.rows.iter().position(|row| !row.plugged && !row.in_run)
        {
            self.rows.remove(oldest);
            self.selected = self.selected.saturating_sub(usize::from(oldest < self.selected));
        }
        self.rows.push(Row {
            address: port.address,
            about: port.about,
            plugged: true,
            sn: None,
            pin_pad: None,
            fingerprint: None,
            state: State::Ready,
            in_run: false,
            package: None,
        });
    }

    /// A line without a result goes with its cable.
    pub(super) fn unplug(&mut self, address: &str) {
        if let Some(row) = self.live(address) {
            row.plugged = false;
        }
        self.rows.retain(|row| {
            row.plugged || row.in_run || !matches!(row.state, State::Ready) || row.sn.is_some()
        });
    }

    /// A run over these begins.
    pub(super) fn begin(&mut self, addresses: &[String]) {
        for address in addresses {
            if let Some(row) = self.live(address) {
                (row.state, row.in_run, row.package) = (State::Next, true, None);
            }
        }
    }

    pub(super) fn set(&mut self, address: &str, state: State) {
        if let Some(row) = self.in_run(address) {
            row.state = state;
        }
    }

    pub(super) fn collected(
        &mut self,
        address: &str,
        sn: String,
        pin_pad: Option<String>,
        fingerprint: String,
    ) {
        if let Some(row) = self.in_run(address) {
            (row.sn, row.pin_pad, row.fingerprint) = (Some(sn), pin_pad, Some(fingerprint));
            row.state = State::Collected;
        }
    }

    pub(super) fn failed(&mut self, address: &str, sn: Option<String>, reason: String, advice: String) {
        if let Some(row) = self.in_run(address) {
            row.sn = sn.or(row.sn.take());
            row.fingerprint = None;
            row.state = State::Failed { reason, advice };
        }
    }

    /// How many of this run were collected, and how many failed.
    pub(super) fn counts(&self) -> (usize, usize) {
        let run = || self.rows.iter().filter(|row| row.in_run);
        let collected = run().filter(|row| matches!(row.state, State::Collected | State::Packed)).count();
        (collected, run().filter(|row| matches!(row.state, State::Failed { .. })).count())
    }

    /// What the run did not come to is ready again.
    pub(super) fn run_over(&mut self) {
        for row in &mut self.rows {
            if matches!(row.state, State::Next | State::Asking | State::Again(_)) {
                row.state = State::Ready;
            }
            row.in_run = false;
        }
        self.rows.retain(|row| row.plugged || row.sn.is_some() || !matches!(row.state, State::Ready));
    }

    /// What was collected is in a package now.
    pub(super) fn packed(&mut self, parcel: &Parcel) {
        for row in &mut self.rows {
            let inside = row.sn.as_ref().is_some_and(|sn| parcel.serials.contains(sn));
            if inside && row.state == State::Collected {
                row.state = State::Packed;
                row.package = Some(parcel.id.clone());
            }
        }
    }

    /// What the server said of a terminal of a package.
    pub(super) fn answered(&mut self, package: &str, sn: &str, state: &State) {
        for row in &mut self.rows {
            if row.package.as_deref() == Some(package) && row.sn.as_deref() == Some(sn) {
                row.state = state.clone();
            }
        }
    }

    /// The line of the cable that is plugged in at this address.
    fn live(&mut self, address: &str) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.plugged && row.address == address)
    }

    /// The line of this run, which stays when the cable is pulled.
    fn in_run(&mut self, address: &str) -> Option<&mut Row> {
        self.rows.iter_mut().find(|row| row.in_run && row.address == address)
    }
}
