//! Collecting transport keys from many terminals at once, under two cards.

mod ec_aes;
mod exchange;
mod fault;
pub(crate) mod settle;
mod suite;
mod target;
mod tdes;
mod watch;

use std::{
    collections::HashSet,
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::Duration,
};

use flows::{Tdes, collect::Collected};
use wire::{Device, Fields, Frame, ModelId, Serial, VendorId};

use crate::{BothCards, Error, Journal, Progress, WorkCertificate, clock, link::LinkLimits};

pub use fault::CollectFault;
pub use suite::StationSuite;
pub use target::Target;

use exchange::Asking;
use watch::Watch;

/// Most terminals in one run of suite 01; see [`StationSuite::MAX_TERMINALS`].
pub const MAX_TERMINALS: usize = 10_000;
/// Most terminals asked at the same time.
pub const MAX_PARALLEL: usize = 256;
/// Terminals asked at the same time unless the run says otherwise.
pub const DEFAULT_PARALLEL: usize = 16;
/// How often a terminal is asked unless the run says otherwise.
pub const DEFAULT_TRIES: u32 = 3;
/// How long the station waits before it asks again, unless the run says otherwise.
pub const DEFAULT_PAUSE: Duration = Duration::from_secs(1);
/// How long an unplugged line may stay away, unless the run says otherwise: time to put a plug back.
pub const DEFAULT_AWAY: Duration = Duration::from_secs(30);

/// How a run is done.
#[derive(Debug, Clone)]
pub struct CollectSettings {
    /// Terminals asked at the same time, 1 to [`MAX_PARALLEL`].
    pub parallel: usize,
    /// The serials that may be collected, where the run has a list.
    pub allowed: Option<Vec<Serial>>,
    /// How long each link waits.
    pub limits: LinkLimits,
    /// Whether the KMS knows the terminals already, and the new TKs are to replace theirs.
    pub replaces: bool,
    /// How often a terminal is asked whose line fails before it answers, at least once.
    pub tries: u32,
    /// How long the station waits before it asks again.
    pub pause: Duration,
    /// How long a serial line that was unplugged may stay away before its terminal counts as failed.
    pub away: Duration,
}

impl Default for CollectSettings {
    fn default() -> CollectSettings {
        CollectSettings {
            parallel: DEFAULT_PARALLEL,
            allowed: None,
            limits: LinkLimits::default(),
            replaces: false,
            tries: DEFAULT_TRIES,
            pause: DEFAULT_PAUSE,
            away: DEFAULT_AWAY,
        }
    }
}

/// A terminal that was collected.
#[derive(Debug, Clone)]
pub struct CollectedTerminal<S: StationSuite = Tdes> {
    target: Target,
    answer: Collected<S>,
    frame: Frame,
    ceremony: S::Ceremony,
    work_certificate_sha256: String,
    /// Its number in the journal.
    kept: u64,
}

impl<S: StationSuite> CollectedTerminal<S> {
    /// One that the journal kept.
    pub(crate) fn restored(
        (kept, target): (u64, Target),
        (answer, frame): (Collected<S>, Frame),
        ceremony: S::Ceremony,
        work_certificate_sha256: String,
    ) -> CollectedTerminal<S> {
        CollectedTerminal { target, answer, frame, ceremony, work_certificate_sha256, kept }
    }

    /// Its number in the journal.
    pub(crate) fn kept(&self) -> u64 {
        self.kept
    }

    /// Where it was.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its serial and its PIN pad's.
    pub fn device(&self) -> &Device {
        &self.answer.device
    }

    /// The vendor.
    pub fn vendor(&self) -> Option<&VendorId> {
        self.answer.vendor.as_ref()
    }

    /// The model.
    pub fn model(&self) -> Option<&ModelId> {
        self.answer.model.as_ref()
    }

    /// COLLECTED as it came.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// What the run was under beside the work certificate.
    pub fn ceremony(&self) -> &S::Ceremony {
        &self.ceremony
    }

    /// DF09: TK under the work certificate's key.
    pub fn ctk_pu(&self) -> &[u8] {
        &self.answer.ctk_pu
    }

    /// Records of refusals that the terminal sent along (FF23).
    pub fn refusals(&self) -> &[Fields] {
        &self.answer.refusals
    }

    /// The fingerprint, 20 upper-case hex digits: the terminal's display shows the same (2-wire.md section 4).
    pub fn fingerprint(&self) -> String {
        self.answer.fingerprint()
    }

    /// SHA-256 of the certificate that it encrypted to, lower-case hex.
    pub fn work_certificate_sha256(&self) -> &str {
        &self.work_certificate_sha256
    }

    /// The key of who made the TK, where the suite has one.
    fn maker_key(&self) -> Option<Vec<u8>> {
        S::maker_key(&self.answer)
    }

    fn refuse(self, fault: CollectFault) -> FailedTerminal {
        FailedTerminal {
            target: self.target,
            sn: Some(self.answer.device.sn().clone()),
            fault: Box::new(fault),
            kept: Some(self.kept),
        }
    }
}

/// A terminal that was not collected, with its reason. Its `Display` has both, and what to do next.
#[derive(Debug)]
pub struct FailedTerminal {
    target: Target,
    sn: Option<Serial>,
    fault: Box<CollectFault>,
    kept: Option<u64>,
}

impl FailedTerminal {
    /// Where it was, or should have been.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// The serial that it gave, if it came so far.
    pub fn sn(&self) -> Option<&Serial> {
        self.sn.as_ref()
    }

    /// The number of its answer in the journal, where it was kept before it was refused.
    pub(crate) fn kept(&self) -> Option<u64> {
        self.kept
    }

    /// Why it was not collected; [`CollectFault::advice`] says what to do next.
    pub fn fault(&self) -> &CollectFault {
        &self.fault
    }
}

impl fmt::Display for FailedTerminal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}  FAILED: {} -> {}", self.target, self.fault, self.fault.advice())
    }
}

/// What a run brought, each list in the order of its targets.
#[derive(Debug)]
pub struct CollectionRun<S: StationSuite = Tdes> {
    /// To be packed.
    pub collected: Vec<CollectedTerminal<S>>,
    /// Each with its reason.
    pub failed: Vec<FailedTerminal>,
    /// Serials on the list that were not collected.
    pub missing: Vec<Serial>,
}

/// Asks every target for its TK under the work certificate, several at a time. Both cards must stay: they are checked
/// before each terminal is asked, after it has answered, and five times a second meanwhile. When one goes, every exchange is
/// broken off and no further terminal is asked, even if the card comes back: a run is of two people who are both there.
///
/// An answer is in the journal before it counts; [`pack_collected`](crate::pack_collected) packs what is there.
///
/// # Errors
/// [`Error::TooManyTerminals`]; [`Error::CeremonyOver`]; what [`BothCards::check`] says when no terminal has been asked yet;
/// the journal's when it cannot be written even then. Later troubles are each terminal's own, in
/// [`CollectionRun::failed`].
pub fn collect<S: StationSuite>(
    cards: &BothCards,
    work: &WorkCertificate<S>,
    targets: &[Target],
    settings: &CollectSettings,
    journal: &Journal,
    progress: &dyn Progress,
) -> Result<CollectionRun<S>, Error> {
    if targets.len() > S::MAX_TERMINALS {
        return Err(Error::TooManyTerminals { found: targets.len(), max: S::MAX_TERMINALS });
    }
    cards.check()?;
    S::is_open(work.ceremony(), clock::now())?;
    let allowed: Option<HashSet<&Serial>> = settings.allowed.as_ref().map(|list| list.iter().collect());
    let keeper =
        Keeper { journal, run: journal.begin_run(cards, work, settings.replaces)?, refused: OnceLock::new() };
    let asking = Asking::new(settings, allowed.as_ref());
    let run = Run { watch: Watch::over(cards), work, asking, keeper };

    let mut run_result = CollectionRun { collected: Vec::new(), failed: Vec::new(), missing: Vec::new() };
    progress.started(targets.len());
    for outcome in ask_all(&run, targets, settings.parallel, progress) {
        match outcome {
            Ok(terminal) => run_result.collected.push(terminal),
            Err(failed) => run_result.failed.push(failed),
        }
    }
    let (collected, refused) = journal.settle(run_result.collected);
    refused.iter().for_each(|failed| progress.withdrawn(failed));
    progress.finished();
    run_result.collected = collected;
    run_result.failed.extend(refused);
    run_result.missing = missing(settings.allowed.as_deref().unwrap_or_default(), &run_result.collected);
    Ok(run_result)
}

type Outcome<S> = Result<CollectedTerminal<S>, FailedTerminal>;

/// What all threads of a run share.
struct Run<'a, S: StationSuite> {
    watch: Watch<'a>,
    work: &'a WorkCertificate<S>,
    asking: Asking<'a>,
    keeper: Keeper<'a>,
}

/// Hands answers to the journal.
struct Keeper<'a> {
    journal: &'a Journal,
    /// The run's number in it.
    run: u64,
    /// Why it takes no more.
    refused: OnceLock<String>,
}

impl Keeper<'_> {
    /// Once the journal has refused an answer, no further terminal is asked for one.
    fn is_open(&self) -> Result<(), CollectFault> {
        match self.refused.get() {
            None => Ok(()),
            Some(why) => Err(CollectFault::NotKept { why: why.clone() }),
        }
    }

    /// Has the answer on disk, or refuses it.
    fn keep<S: StationSuite>(&self, terminal: &mut CollectedTerminal<S>) -> Result<(), CollectFault> {
        match self.journal.keep_collected(self.run, terminal) {
            Ok(number) => {
                terminal.kept = number;
                Ok(())
            }
            Err(error) => {
                let why = error.to_string();
                let _ = self.refused.set(why.clone());
                Err(CollectFault::NotKept { why })
            }
        }
    }
}

/// Asks all, by as many threads as may work at a time; answers come back in the order of the targets.
fn ask_all<S: StationSuite>(
    run: &Run<'_, S>,
    targets: &[Target],
    parallel: usize,
    progress: &dyn Progress,
) -> Vec<Outcome<S>> {
    let mut seen = HashSet::new();
    let first: Vec<bool> = targets.iter().map(|target| seen.insert(target.identity())).collect();
    let answers: Vec<OnceLock<Outcome<S>>> = targets.iter().map(|_| OnceLock::new()).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            let place = next.fetch_add(1, Ordering::Relaxed);
            let (Some(target), Some(first), Some(answer)) =
                (targets.get(place), first.get(place), answers.get(place))
            else {
                return;
            };
            let ask = || {
                if *first {
                    run.ask(target, progress)
                } else {
                    Err(failed(target, None, CollectFault::TargetTwice))
                }
            };
            // Kept before anyone is told: a display that fails must not lose an answer.
            match answer.get_or_init(ask) {
                Ok(terminal) => {
                    progress.collected(terminal.target(), terminal.device(), &terminal.fingerprint());
                }
                Err(failed) => progress.failed(failed),
            }
        }
    };
    let threads = parallel.clamp(1, MAX_PARALLEL).min(targets.len());
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let patrol = scope.spawn(|| run.watch.patrol(|| done.load(Ordering::SeqCst)));
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        // A thread that failed leaves its terminal without an answer, which is told below.
        threads.into_iter().for_each(|thread| drop(thread.join()));
        done.store(true, Ordering::SeqCst);
        patrol.thread().unpark();
    });
    let unasked = |target| Err(failed(target, None, CollectFault::Internal));
    answers
        .into_iter()
        .zip(targets)
        .map(|(answer, target)| answer.into_inner().unwrap_or_else(|| unasked(target)))
        .collect()
}

impl<S: StationSuite> Run<'_, S> {
    fn ask(&self, target: &Target, progress: &dyn Progress) -> Outcome<S> {
        self.watch.check().map_err(|why| failed(target, None, CollectFault::Cards(why)))?;
        self.keeper.is_open().map_err(|fault| failed(target, None, fault))?;
        progress.asking(target);
        let (answer, frame) = self.exchange_until_clear(target, progress).map_err(|fault| {
            let sn = fault.answered_by().cloned();
            failed(target, sn, fault)
        })?;
        let mut terminal = CollectedTerminal {
            target: target.clone(),
            answer,
            frame,
            ceremony: self.work.ceremony().clone(),
            work_certificate_sha256: self.work.sha256_hex(),
            kept: 0,
        };
        match self.keeper.keep(&mut terminal) {
            Ok(()) => Ok(terminal),
            Err(fault) => Err(failed(target, Some(terminal.answer.device.sn().clone()), fault)),
        }
    }
}

fn failed(target: &Target, sn: Option<Serial>, fault: CollectFault) -> FailedTerminal {
    FailedTerminal { target: target.clone(), sn, fault: Box::new(fault), kept: None }
}

/// The serials of the list that no terminal brought.
fn missing<S: StationSuite>(allowed: &[Serial], collected: &[CollectedTerminal<S>]) -> Vec<Serial> {
    let brought: HashSet<&Serial> = collected.iter().map(|terminal| terminal.device().sn()).collect();
    let mut named = HashSet::new();
    allowed.iter().filter(|sn| !brought.contains(sn) && named.insert(*sn)).cloned().collect()
}
