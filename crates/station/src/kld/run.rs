//! Runs: each against a list of terminals, each terminal once, everything in a journal.

use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use wire::{Kcv, Suite};

use super::{
    Kld, KldError, Listed, What,
    event::{Event, Opened, Tally},
    journal::Journal,
    suite::known,
    what,
};
use crate::{BothCards, Checks, Error, clock, files};

/// Version of a journal.
const VERSION: u32 = 1;
/// What a journal's file name ends with.
const JOURNAL: &str = ".journal";

/// A run of a KLD.
#[derive(Debug)]
pub struct Run {
    journal: Journal,
    pub(super) tally: Tally,
    /// Earlier runs, once they were read: while this one is open there are no others.
    history: Option<Arc<History>>,
}

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunStatus {
    /// Its name: when it was opened, UTC.
    pub run: String,
    /// What each terminal gets.
    pub what: Vec<What>,
    /// Terminals on its list.
    pub listed: usize,
    /// Terminals that have all their keys.
    pub loaded: usize,
    /// Terminals for which a key left, and that have not all of theirs, or whose keys are compromised.
    pub failed: Vec<Listed>,
    /// Attempts that were refused before a key left.
    pub refused: usize,
    /// Listed terminals that were not served.
    pub missing: Vec<Listed>,
    /// Why it was stopped.
    pub stopped: Option<String>,
    /// Whether it is closed.
    pub closed: bool,
}

impl Kld {
    /// Opens a run in this suite under both cards.
    ///
    /// # Errors
    /// What [`BothCards::check`] says; [`KldError::Suite`]; [`KldError::RunOpen`]; what is missing for it: [`KldError::NoKeyPair`],
    /// [`KldError::NoCertificate`], [`KldError::CertificateRefused`], [`KldError::NoExchangeKey`], [`KldError::NoDik1`],
    /// [`KldError::WhichDik1`]; [`KldError::NothingToLoad`], [`KldError::PlaceTwice`], [`KldError::EmptyList`].
    pub fn open_run(
        &self,
        suite: Suite,
        cards: &BothCards,
        checks: &Checks,
        terminals: &[Listed],
        wanted: &[What],
    ) -> Result<Run, KldError> {
        cards.check()?;
        if let Some(run) = self.newest_run()?.filter(|run| run.tally.closed_at.is_none()) {
            return Err(KldError::RunOpen { run: run.tally.opened.run });
        }
        what::check(wanted)?;
        if terminals.is_empty() {
            return Err(KldError::EmptyList);
        }
        self.downloader(known(suite)?, checks)?;
        let (exchange_key, _) = self.exchange(suite)?;
        let what = wanted.iter().map(|what| self.named(suite, what)).collect::<Result<Vec<_>, _>>()?;
        let folder = self.runs();
        files::make_folder(&folder)?;
        let (at, run) = self.new_name()?;
        let opened = Opened {
            version: VERSION,
            run: run.clone(),
            at,
            what,
            terminals: terminals.to_vec(),
            suite: suite.byte(),
            exchange_key: exchange_key.to_owned(),
            operator: cards.operator().subject().to_string(),
            administrator: cards.administrator().subject().to_string(),
        };
        // Under another name until its first line is there: a journal that can be seen has a beginning.
        let (path, part) = (self.journal_path(&run), files::part_of(&self.journal_path(&run)));
        let _ = fs::remove_file(&part);
        let mut journal = Journal::create(&part)?;
        journal.append(&Event::Opened(opened.clone()))?;
        drop(journal);
        files::rename(&part, &path)?;
        read(&path)
    }

    /// The run that is open.
    ///
    /// # Errors
    /// [`KldError::NoRun`]; [`KldError::JournalDamaged`].
    pub fn current_run(&self) -> Result<Run, KldError> {
        self.newest_run()?.filter(|run| run.tally.closed_at.is_none()).ok_or(KldError::NoRun)
    }

    /// The run that was opened last.
    ///
    /// # Errors
    /// [`KldError::JournalDamaged`], [`Error::File`].
    pub fn newest_run(&self) -> Result<Option<Run>, KldError> {
        self.run_names()?.last().map(|run| read(&self.journal_path(run))).transpose()
    }

    /// All runs, oldest first.
    ///
    /// # Errors
    /// [`KldError::JournalDamaged`], [`Error::File`].
    pub fn all_runs(&self) -> Result<Vec<Run>, KldError> {
        self.run_names()?.iter().map(|run| read(&self.journal_path(run))).collect()
    }

    /// What is known of terminals from earlier runs.
    pub(super) fn history(&self, current: &mut Run) -> Result<Arc<History>, KldError> {
        if let Some(history) = &current.history {
            return Ok(Arc::clone(history));
        }
        let mut history = History::default();
        for run in self.all_runs()? {
            if run.tally.opened.run != current.tally.opened.run {
                history.add(run.tally);
            }
        }
        Ok(Arc::clone(current.history.insert(Arc::new(history))))
    }

    /// A name that sorts behind all others, also when the clock was set back: the time of opening and a number.
    fn new_name(&self) -> Result<(i64, String), KldError> {
        let at = clock::now();
        let time = clock::rfc3339(at)?.replace(['-', ':'], "");
        let known = self.run_names()?;
        let last = known.last().and_then(|last| last.rsplit_once('-'));
        let name = match last {
            Some((last, number)) if last >= time.as_str() => {
                let number: u32 = number.parse().unwrap_or_default();
                format!("{last}-{:04}", number.saturating_add(1))
            }
            _ => format!("{time}-{:04}", 1),
        };
        Ok((at, name))
    }

    /// A DIK2 with the label of the DIK1 that it is derived from.
    fn named(&self, suite: Suite, what: &What) -> Result<What, KldError> {
        match what {
            What::Dik2 { label } => {
                let (label, _) = self.dik1(suite, label.as_deref())?;
                Ok(What::Dik2 { label: Some(label.to_owned()) })
            }
            other => Ok(other.clone()),
        }
    }

    fn journal_path(&self, run: &str) -> PathBuf {
        self.runs().join(format!("{run}{JOURNAL}"))
    }

    fn run_names(&self) -> Result<Vec<String>, KldError> {
        let folder = self.runs();
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let list = || -> std::io::Result<Vec<String>> {
            let names =
                fs::read_dir(&folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
            names.collect()
        };
        let names = list().map_err(Error::file("list", &folder))?;
        let mut runs: Vec<_> =
            names.iter().filter_map(|name| name.strip_suffix(JOURNAL)).map(str::to_owned).collect();
        runs.sort();
        Ok(runs)
    }
}

impl Run {
    /// Its name.
    pub fn name(&self) -> &str {
        &self.tally.opened.run
    }

    /// The suite that it loads in.
    pub fn suite(&self) -> Suite {
        Suite::new(self.tally.opened.suite)
    }

    /// How far it is.
    pub fn status(&self) -> RunStatus {
        let tally = &self.tally;
        let (good, bad): (Vec<_>, Vec<_>) =
            tally.served.iter().partition(|served| served.is_good(tally.opened.what.len()));
        RunStatus {
            run: tally.opened.run.clone(),
            what: tally.opened.what.clone(),
            listed: tally.opened.terminals.len(),
            loaded: good.len(),
            failed: bad.iter().map(|served| served.terminal.clone()).collect(),
            refused: tally.refused.len(),
            missing: tally.missing().into_iter().cloned().collect(),
            stopped: tally.stopped.clone(),
            closed: tally.closed_at.is_some(),
        }
    }

    /// Refuses when nothing may be loaded under it.
    pub(super) fn check_open(&self) -> Result<(), KldError> {
        let run = || self.tally.opened.run.clone();
        match (&self.tally.closed_at, &self.tally.stopped) {
            (Some(_), _) => Err(KldError::RunClosed { run: run() }),
            (None, Some(why)) => Err(KldError::RunStopped { run: run(), why: why.clone() }),
            (None, None) => Ok(()),
        }
    }

    /// Writes down what is about to happen.
    pub(super) fn say(&mut self, event: &Event) -> Result<(), KldError> {
        self.journal.append(event)?;
        self.tally.apply(event);
        Ok(())
    }
}

fn read(path: &Path) -> Result<Run, KldError> {
    let damaged = || KldError::JournalDamaged { path: path.to_owned(), line: 1 };
    let (journal, events) = Journal::open::<Event>(path)?;
    let mut events = events.into_iter();
    let Some(Event::Opened(opened)) = events.next() else { return Err(damaged()) };
    if opened.version != VERSION {
        return Err(damaged());
    }
    let mut tally = Tally::new(opened);
    events.for_each(|event| tally.apply(&event));
    Ok(Run { journal, tally, history: None })
}

/// Earlier runs: the check values that a place had, and how far its load counter went.
#[derive(Debug, Default)]
pub(super) struct History {
    kcvs: Vec<(String, What, Kcv)>,
    counters: HashMap<(String, u8), u64>,
}

/// How far a KLD goes with a slot's load counter at each loading (3-hardened.md, "Transcript and keys"). A terminal takes a
/// counter that is higher than the one it stored, by at most 65 536. Between two visits the KMS counts on from what the
/// report says: with this step the KLD is above the KMS after as many as 1 023 sendings. A counter that left is never used
/// again, so a wider step would lock out a terminal that a few keys never reached, and a PIN pad that counts from its
/// beginning for a new owner after some visits: this one allows for 64 of either.
const COUNTER_STEP: u64 = 1_024;

impl History {
    fn add(&mut self, tally: Tally) {
        for served in tally.served {
            for (key, _) in served.keys {
                let pin_pad = served.terminal.pin_pad().to_owned();
                if let (Some(slot), Some(counter)) = (key.what.slot(), key.counter) {
                    let highest = self.counters.entry((pin_pad.clone(), slot)).or_default();
                    *highest = counter.max(*highest);
                }
                if let Ok(kcv) = key.kcv.parse() {
                    self.kcvs.push((pin_pad, key.what, kcv));
                }
            }
        }
    }

    /// Check values of keys of suite 01 that left for this place: no two TMKs of a slot may share one.
    pub(super) fn tdes_check_values(&self, pin_pad: &str, what: &What) -> Vec<[u8; 3]> {
        let tdes = |kcv| if let Kcv::Tdes(kcv) = kcv { Some(kcv) } else { None };
        self.of(pin_pad, what).filter_map(tdes).collect()
    }

    /// The same of suite 02.
    pub(super) fn aes_check_values(&self, pin_pad: &str, what: &What) -> Vec<[u8; 5]> {
        let aes = |kcv| if let Kcv::Aes(kcv) = kcv { Some(kcv) } else { None };
        self.of(pin_pad, what).filter_map(aes).collect()
    }

    /// The load counter for the next TMK of this slot.
    pub(super) fn next_counter(&self, pin_pad: &str, slot: u8) -> u64 {
        let last = self.counters.get(&(pin_pad.to_owned(), slot)).copied().unwrap_or_default();
        last.saturating_add(COUNTER_STEP)
    }

    fn of<'a>(&'a self, pin_pad: &'a str, what: &'a What) -> impl Iterator<Item = Kcv> + 'a {
        let same = self.kcvs.iter().filter(move |(pad, of, _)| pad == pin_pad && of == what);
        same.map(|(_, _, kcv)| *kcv)
    }
}
