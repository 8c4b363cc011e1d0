//! What the records come to: what is open, and where it lies. Frames and packages stay on disk.

use std::collections::{BTreeMap, HashMap};

use sha2::{Digest as _, Sha256};

use super::{
    file::Place,
    record::{Digest, Record, Run},
};

/// All that is open, and what was answered in this file.
#[derive(Debug, Default)]
pub(super) struct State {
    /// By the number of the run's record.
    pub(super) runs: BTreeMap<u64, OpenRun>,
    /// Packages without an answer, by the number of their record: oldest first.
    pub(super) waiting: BTreeMap<u64, Waiting>,
    /// Packages with one, oldest answer first.
    pub(super) answered: Vec<Answered>,
    packages: HashMap<Digest, Known>,
    /// Where a serial's unpacked answers are: run and record.
    serials: HashMap<String, Vec<(u64, u64)>>,
}

/// A run, and those of its answers that are in no package.
#[derive(Debug)]
pub(super) struct OpenRun {
    pub(super) run: Run,
    pub(super) answers: BTreeMap<u64, Kept>,
}

/// An answer that is in no package.
#[derive(Debug)]
pub(super) struct Kept {
    pub(super) place: Place,
    pub(super) sn: String,
    pub(super) fingerprint: String,
}

/// A package that the server has not answered.
#[derive(Debug, Clone)]
pub(super) struct Waiting {
    pub(super) digest: Digest,
    pub(super) place: Place,
    pub(super) at: i64,
    pub(super) terminals: u32,
    pub(super) bytes: usize,
    /// When its ceremony ends, unix seconds.
    pub(super) ends: Option<i64>,
}

/// A package that the server has answered.
#[derive(Debug, Clone)]
pub(super) struct Answered {
    pub(super) package: Waiting,
    pub(super) place: Place,
    pub(super) at: i64,
    /// Refused and alarming terminals; absent after a 409.
    pub(super) taken: Option<(u32, u32)>,
}

/// What is known of a package's bytes.
#[derive(Debug, Clone, Copy)]
enum Known {
    Waiting(u64),
    Answered(usize),
    Dropped,
}

impl State {
    /// Takes up a record. What it speaks of and is not open any more, or was lost with a damaged record, is passed over:
    /// a sound record made sense when it was written.
    pub(super) fn take(&mut self, record: Record, place: Place) {
        let number = place.link.number;
        match record {
            Record::Run(run) => {
                self.runs.insert(number, OpenRun { run, answers: BTreeMap::new() });
            }
            Record::Collected(collected) => {
                if !self.runs.contains_key(&collected.run) {
                    return;
                }
                self.supersede(&collected.sn, collected.run);
                self.serials.entry(collected.sn.clone()).or_default().push((collected.run, number));
                let kept = Kept { place, sn: collected.sn, fingerprint: collected.fingerprint };
                if let Some(run) = self.runs.get_mut(&collected.run) {
                    run.answers.insert(number, kept);
                }
            }
            Record::Package(package) => {
                let digest: Digest = Sha256::digest(&package.cms).into();
                self.remove(Some(package.run), &package.answers);
                let ends = self.runs.get(&package.run).and_then(|open| open.run.ceremony.as_ref());
                let ends = ends.map(|ceremony| ceremony.expires_at);
                let (at, terminals, bytes) = (package.at, package.terminals, package.cms.len());
                self.waiting.insert(number, Waiting { digest, place, at, terminals, bytes, ends });
                self.packages.insert(digest, Known::Waiting(number));
            }
            Record::Answer(answer) => {
                if let Some(package) = self.unqueue(&answer.package) {
                    self.packages.insert(answer.package, Known::Answered(self.answered.len()));
                    let taken = answer.taken.map(|taken| (taken.refused, taken.alarms));
                    self.answered.push(Answered { package, place, at: answer.at, taken });
                }
            }
            Record::Dropped(dropped) => {
                self.remove(None, &dropped.answers);
                for digest in &dropped.packages {
                    if self.unqueue(digest).is_some() {
                        self.packages.insert(*digest, Known::Dropped);
                    }
                }
            }
        }
    }

    /// Whether nothing waits for anything.
    pub(super) fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.runs.values().all(|run| run.answers.is_empty())
    }

    /// Whether this package was kept before, in whatever state it is.
    pub(super) fn knows(&self, digest: &Digest) -> bool {
        self.packages.contains_key(digest)
    }

    pub(super) fn waiting(&self, digest: &Digest) -> Option<&Waiting> {
        match self.packages.get(digest)? {
            Known::Waiting(number) => self.waiting.get(number),
            _ => None,
        }
    }

    pub(super) fn answered(&self, digest: &Digest) -> Option<&Answered> {
        match self.packages.get(digest)? {
            Known::Answered(index) => self.answered.get(*index),
            _ => None,
        }
    }

    /// The numbers of a serial's unpacked answers.
    pub(super) fn answers_of(&self, sn: &str) -> Vec<u64> {
        self.serials.get(sn).into_iter().flatten().map(|(_, number)| *number).collect()
    }

    /// A terminal's answer in another run takes the place of its earlier ones: its PIN pad has only the last TK.
    fn supersede(&mut self, sn: &str, run: u64) {
        let Some(all) = self.serials.get_mut(sn) else { return };
        let (here, earlier): (Vec<_>, Vec<_>) = all.iter().copied().partition(|(of, _)| *of == run);
        *all = here;
        for (of, number) in earlier {
            if let Some(open) = self.runs.get_mut(&of) {
                open.answers.remove(&number);
            }
        }
    }

    /// Takes answers away, of this run or of whichever has them.
    fn remove(&mut self, run: Option<u64>, answers: &[u64]) {
        for number in answers {
            let kept = match run {
                Some(run) => self.runs.get_mut(&run).and_then(|open| open.answers.remove(number)),
                None => self.runs.values_mut().find_map(|open| open.answers.remove(number)),
            };
            let Some(kept) = kept else { continue };
            if let Some(all) = self.serials.get_mut(&kept.sn) {
                all.retain(|(_, of)| of != number);
                if all.is_empty() {
                    self.serials.remove(&kept.sn);
                }
            }
        }
    }

    fn unqueue(&mut self, digest: &Digest) -> Option<Waiting> {
        match self.packages.get(digest)? {
            Known::Waiting(number) => self.waiting.remove(number),
            _ => None,
        }
    }
}
