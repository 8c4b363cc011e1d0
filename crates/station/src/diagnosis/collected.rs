//! The station's word: what its journal has of a terminal.

use wire::Serial;

use super::{Evidence, Hop, KeyState};
use crate::{
    Error, Journal, Upload, clock,
    journal::{Outcome, PackageName},
};

/// A TK of the terminal in the journal.
struct Kept {
    /// Unix seconds.
    at: i64,
    fingerprint: String,
    suite: Option<u8>,
    waiting: bool,
    said: String,
}

impl Evidence {
    /// What a station's journal has of a terminal: of answers that are not packed and of the packages of its newest file.
    /// A station has no key of it, so there are no check values.
    ///
    /// # Errors
    /// [`Error::Journal`](crate::Error) for a journal that is damaged; [`Error::File`].
    pub fn of_journal(journal: &Journal, sn: &Serial) -> Result<Evidence, Error> {
        let mut kept = unpacked(journal, sn);
        for package in journal.waiting() {
            let said = format!("package {} waits for the server", package.name);
            kept.extend(packed(journal, sn, &package.name, package.packed, true, said)?);
        }
        for answered in journal.answered() {
            let name = answered.package.name;
            let said =
                format!("package {name} was answered: {}", answer(journal, sn, &name, answered.outcome)?);
            kept.extend(packed(journal, sn, &name, answered.package.packed, false, said)?);
        }
        // Stable: what was found later counts as the newer of one second, and what is not packed is found first.
        kept.sort_by_key(|one| (!one.waiting, -one.at));
        kept.sort_by_key(|one| -one.at);
        let Some(newest) = kept.first() else {
            return Ok(Evidence::of(Hop::Station, sn, KeyState::UnknownTerminal));
        };
        let mut evidence = Evidence::of(Hop::Station, sn, KeyState::Held);
        evidence.suite = newest.suite;
        evidence.waiting = newest.waiting;
        evidence.fingerprint = Some(newest.fingerprint.clone());
        for one in &kept {
            if one.fingerprint != newest.fingerprint && !evidence.earlier.contains(&one.fingerprint) {
                evidence.earlier.push(one.fingerprint.clone());
            }
            let when = clock::rfc3339(one.at)?;
            evidence.said.push(format!("{when}: fingerprint {}, {}", one.fingerprint, one.said));
        }
        Ok(evidence)
    }
}

fn unpacked(journal: &Journal, sn: &Serial) -> Vec<Kept> {
    let runs = journal.unpacked();
    let of = |run: &crate::journal::UnpackedRun| {
        let (at, suite) = (run.began, Some(run.suite));
        let found = run.terminals.iter().filter(|(serial, _)| serial == sn);
        let kept = found.map(move |(_, fingerprint)| Kept {
            at,
            fingerprint: fingerprint.clone(),
            suite,
            waiting: true,
            said: "collected and in no package".to_owned(),
        });
        kept.collect::<Vec<_>>()
    };
    runs.iter().flat_map(of).collect()
}

fn packed(
    journal: &Journal,
    sn: &Serial,
    name: &PackageName,
    at: i64,
    waiting: bool,
    said: String,
) -> Result<Option<Kept>, Error> {
    let package = journal.package(name)?;
    let found = package.terminals().iter().find(|packed| packed.device.sn() == sn);
    Ok(found.map(|packed| Kept { at, fingerprint: packed.fingerprint.clone(), suite: None, waiting, said }))
}

/// What the server said of this terminal.
fn answer(journal: &Journal, sn: &Serial, name: &PackageName, outcome: Outcome) -> Result<String, Error> {
    if outcome == Outcome::ArrivedBefore {
        return Ok("it had arrived before".to_owned());
    }
    Ok(match journal.results(name)? {
        Some(Upload::Taken(results)) => {
            let of = results.iter().find(|result| &result.sn == sn);
            of.map_or_else(|| "nothing of it".to_owned(), ToString::to_string)
        }
        _ => "nothing of it".to_owned(),
    })
}
