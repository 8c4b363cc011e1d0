//! From a run to the journal, and from the journal to packages.

use flows::{EcAes, Tdes, collect::Collected};
use sha2::{Digest as _, Sha256};
use wire::{Frame, Serial};

use super::{
    Journal, JournalError, PackageName, UnpackedRun,
    record::{self, Person, Record},
    state::Kept,
};
use crate::{
    BothCards, Ceremony, Error, PackSettings, Package, WorkCertificate, clock,
    collect::{CollectedTerminal, FailedTerminal, StationSuite, settle::settle},
};

/// What packing came to.
#[derive(Debug, Default)]
pub struct Packing {
    /// Packages that were signed and kept, oldest run first.
    pub packed: Vec<PackageName>,
    /// Runs that stay as they are, each with its reason.
    pub left: Vec<LeftRun>,
    /// Terminals whose answers are not used, because another one of the same run contradicts them.
    pub withdrawn: Vec<WithdrawnTerminal>,
}

/// A run that was not packed.
#[derive(Debug)]
pub struct LeftRun {
    /// The run.
    pub run: UnpackedRun,
    /// Why it was not packed, and what to do: [`JournalError::OtherPeople`], [`Error::CeremonyOver`],
    /// [`Error::CeremonyOfOtherStation`].
    pub why: Error,
}

/// A terminal whose answer is not used.
#[derive(Debug)]
pub struct WithdrawnTerminal {
    /// Its serial.
    pub sn: Serial,
    /// Why, and what to do next.
    pub why: String,
}

/// Packs everything that was collected under these two cards and is in no package: a package for each run, or several where
/// it has more terminals than one takes. Each is in the journal when it counts.
///
/// What others collected stays theirs to pack: a package names who collected. What was collected in a ceremony that is over
/// stays too, for the KMS takes it no more.
///
/// # Errors
/// [`Error::StationName`]; what [`BothCards::check`] says; [`Error::Signing`]; the journal's own. What was packed
/// before the error is kept.
pub fn pack_collected(journal: &Journal, cards: &BothCards, station: &str) -> Result<Packing, Error> {
    crate::package::check_name(station)?;
    cards.check()?;
    let mut packing = Packing::default();
    for run in journal.unpacked() {
        let record = journal.run(run.run)?;
        let packed = if record.operator.key != person(cards.operator()).key
            || record.administrator.key != person(cards.administrator()).key
        {
            let (operator, administrator) = (run.operator.clone(), run.administrator.clone());
            Err(JournalError::OtherPeople { operator, administrator }.into())
        } else if record.suite == Tdes::NUMBER {
            journal.pack_run::<Tdes>(&run, &record, cards, station, &mut packing)
        } else {
            journal.pack_run::<EcAes>(&run, &record, cards, station, &mut packing)
        };
        match packed {
            Ok(()) => {}
            Err(
                why @ (Error::CeremonyOver { .. }
                | Error::CeremonyOfOtherStation { .. }
                | Error::Journal(JournalError::OtherPeople { .. })),
            ) => packing.left.push(LeftRun { run, why }),
            Err(error) => return Err(error),
        }
    }
    Ok(packing)
}

impl Journal {
    /// Begins a run; gives its number.
    pub(crate) fn begin_run<S: StationSuite>(
        &self,
        cards: &BothCards,
        work: &WorkCertificate<S>,
        replaces: bool,
    ) -> Result<u64, Error> {
        let ceremony = S::kept(work.ceremony()).map(|ceremony| record::Ceremony {
            station: ceremony.station().to_owned(),
            nonce: *ceremony.nonce(),
            expires_at: ceremony.expires_at(),
        });
        self.append(Record::Run(record::Run {
            at: clock::now(),
            suite: S::NUMBER,
            work_certificate_sha256: work.sha256_hex(),
            ceremony,
            replaces,
            operator: person(cards.operator()),
            administrator: person(cards.administrator()),
        }))
    }

    /// Keeps a terminal's answer; gives its number.
    pub(crate) fn keep_collected<S: StationSuite>(
        &self,
        run: u64,
        terminal: &CollectedTerminal<S>,
    ) -> Result<u64, Error> {
        self.append(Record::Collected(record::Collected {
            run,
            at: clock::now(),
            target: terminal.target().to_string(),
            sn: terminal.device().sn().to_string(),
            fingerprint: terminal.fingerprint(),
            frame: terminal.frame().payload().to_vec(),
        }))
    }

    /// Splits off answers that contradict each other, and keeps that they are not used.
    ///
    /// That it cannot be kept loses nothing: they contradict each other when the run is packed, too.
    pub(crate) fn settle<S: StationSuite>(
        &self,
        collected: Vec<CollectedTerminal<S>>,
    ) -> (Vec<CollectedTerminal<S>>, Vec<FailedTerminal>) {
        let (good, refused) = settle(collected);
        for failed in &refused {
            if let Some(answer) = failed.kept() {
                let _ = self.withdraw(answer, &failed.fault().to_string());
            }
        }
        (good, refused)
    }

    fn run(&self, number: u64) -> Result<record::Run, Error> {
        let inner = self.lock();
        let run = inner.state.runs.get(&number).map(|open| open.run.clone());
        run.ok_or_else(|| JournalError::NoSuchPackage { name: format!("of run {number}") }.into())
    }

    fn pack_run<S: StationSuite>(
        &self,
        run: &UnpackedRun,
        record: &record::Run,
        cards: &BothCards,
        station: &str,
        packing: &mut Packing,
    ) -> Result<(), Error> {
        let ceremony = record
            .ceremony
            .as_ref()
            .map(|ceremony| Ceremony::restore(ceremony.station.clone(), ceremony.nonce, ceremony.expires_at));
        let ceremony = S::restored(ceremony).ok_or(Error::CeremonyMixed)?;
        S::is_open(&ceremony, clock::now())?;
        let collected = self.collected::<S>(run.run, record, &ceremony)?;
        let (good, refused) = self.settle(collected);
        packing.withdrawn.extend(refused.iter().filter_map(|failed| {
            let why = format!("{} -> {}", failed.fault(), failed.fault().advice());
            Some(WithdrawnTerminal { sn: failed.sn()?.clone(), why })
        }));
        let settings = PackSettings { station: station.to_owned(), replaces: record.replaces };
        for terminals in good.chunks(S::MAX_TERMINALS) {
            let package = Package::sign(cards, terminals, &settings)?;
            let answers = terminals.iter().map(CollectedTerminal::kept).collect();
            packing.packed.push(self.keep_of(&package, run.run, answers)?);
        }
        Ok(())
    }

    /// A run's answers that are in no package.
    fn collected<S: StationSuite>(
        &self,
        run: u64,
        record: &record::Run,
        ceremony: &S::Ceremony,
    ) -> Result<Vec<CollectedTerminal<S>>, Error> {
        let places: Vec<_> = {
            let inner = self.lock();
            let open = inner.state.runs.get(&run);
            let answers = open.into_iter().flat_map(|open| open.answers.iter());
            answers.map(|(number, Kept { place, .. })| (*number, *place)).collect()
        };
        let mut terminals = Vec::with_capacity(places.len());
        for (number, place) in places {
            let Record::Collected(kept) = self.read(place)? else { continue };
            let unreadable = || {
                let (path, damage) = (self.folder.clone(), super::Damage::Meaning);
                Error::from(JournalError::Damaged { path, record: number, damage })
            };
            let frame = Frame::from_payload(&kept.frame).map_err(|_| unreadable())?;
            let answer = Collected::<S>::read(&frame).map_err(|_| unreadable())?;
            let target = kept.target.parse().map_err(|_| unreadable())?;
            let work = record.work_certificate_sha256.clone();
            let restored =
                CollectedTerminal::restored((number, target), (answer, frame), ceremony.clone(), work);
            terminals.push(restored);
        }
        // In the order of their serials: which one answered first is of no interest a day later.
        terminals.sort_by(|one, other| one.device().sn().as_str().cmp(other.device().sn().as_str()));
        Ok(terminals)
    }
}

fn person(certificate: &pki::Certificate) -> Person {
    Person { name: certificate.subject().to_string(), key: Sha256::digest(certificate.spki_der()).into() }
}
