//! A terminal at one end of a cable, and a station at the other, in either suite.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use flows::device_certificate::DevicePad;
use keyferry_station::{
    CollectFault, CollectSettings, CollectionRun, LinkLimits, Progress, StationSuite, Target, collect,
};
use pki::{Name, Role, csr};
use terminal::{
    LinkLimits as TerminalLimits, NewTerminal, PinPad, Terminal, TrustedRoot,
    listen::{self, LinePort},
};

use crate::{
    cable::{Act, Cable, To},
    estate::{BOTH, ESTATE, valid},
    fake_terminal::serial,
    journals::journal,
    suite_02::{EC, EC_CARDS},
};

/// The suite that a test collects in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Suite {
    Tdes,
    EcAes,
}

/// A terminal, its cable, and the station's port.
pub(crate) struct Rig {
    pub(crate) suite: Suite,
    pub(crate) cable: Cable,
    pub(crate) port: PathBuf,
    pub(crate) target: Target,
    pub(crate) events: Arc<Mutex<Vec<listen::Event>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
    _folder: tempfile::TempDir,
}

/// A run of one terminal, told.
#[derive(Debug)]
pub(crate) struct Told {
    /// COLLECTED, or why there is none.
    pub(crate) outcome: Result<Vec<u8>, String>,
    /// Why it was asked again, each time.
    pub(crate) again: Vec<String>,
}

/// Quick, so that tests are; a terminal gives up before its station does, as at a slow line it may.
pub(crate) fn settings() -> CollectSettings {
    let limits = LinkLimits {
        connect: Duration::from_secs(2),
        idle: Duration::from_millis(2_500),
        message: Duration::from_secs(60),
    };
    CollectSettings {
        limits,
        // A hundred cables on few processors fall behind: how many times it takes is not what is looked at.
        tries: 10,
        pause: Duration::from_millis(20),
        away: Duration::from_secs(10),
        parallel: 64,
        ..CollectSettings::default()
    }
}

fn terminal(suite: Suite, sn: &str) -> Terminal {
    let root = match suite {
        Suite::Tdes => ESTATE.root.clone(),
        Suite::EcAes => EC.root.clone(),
    };
    let new = NewTerminal { roots: vec![TrustedRoot::of_acquirer(root)], ..NewTerminal::named(serial(sn)) };
    let mut terminal = Terminal::in_memory(new).unwrap();
    if suite == Suite::EcAes {
        let request = csr::parse_and_verify(&terminal.pad_mut().device_request().unwrap()).unwrap();
        let subject = Name::device("PIN pad", None, sn).unwrap();
        let leaf = EC.leaf(Role::Device, &subject, &request.spki, valid());
        terminal.pad_mut().install_device_certificate(leaf.der(), &[]).unwrap();
    }
    assert_eq!(terminal.pad().life_cycle(), terminal::LifeCycle::Production);
    terminal
}

impl Rig {
    pub(crate) fn new(suite: Suite, sn: &str) -> Rig {
        let folder = tempfile::tempdir().unwrap();
        let (line, port) = (folder.path().join("terminal"), folder.path().join("port"));
        let mut at = LinePort::open(&format!("pty:{}", line.display()).parse().unwrap()).unwrap();
        let cable = Cable::between(&line, &port);
        let (stop, events) = (Arc::new(AtomicBool::new(false)), Arc::<Mutex<Vec<listen::Event>>>::default());
        let (ends, heard) = (Arc::clone(&stop), Arc::clone(&events));
        let mut terminal = terminal(suite, sn);
        let thread = thread::spawn(move || {
            let limits =
                TerminalLimits { idle: Duration::from_millis(1_500), message: Duration::from_secs(60) };
            let stopped = || ends.load(Ordering::Relaxed);
            let mut keep = |event: &listen::Event| heard.lock().unwrap().push(event.clone());
            listen::serve_line_with(&mut at, limits, &mut terminal, &stopped, &mut keep).unwrap();
        });
        let target = format!("serial:{}?baud=115200", port.display()).parse().unwrap();
        Rig { suite, cable, port, target, events, stop, thread: Some(thread), _folder: folder }
    }

    /// Collects it once while this happens on the cable.
    pub(crate) fn collect(&self, acts: &[Act], settings: &CollectSettings) -> Told {
        self.cable.plan(acts);
        collect_in(self.suite, std::slice::from_ref(&self.target), settings).remove(0)
    }

    /// COLLECT and COLLECTED, as they are said when nothing disturbs them.
    pub(crate) fn said(&self) -> (Vec<u8>, Vec<u8>) {
        let told = self.collect(&[], &settings());
        let answer = told.outcome.unwrap();
        assert!(told.again.is_empty(), "{:?}", told.again);
        let (question, answers) = (self.cable.carried(To::Terminal), self.cable.carried(To::Station));
        let asked = answers.len() / answer.len();
        assert_eq!(answers, answer.repeat(asked));
        (question[..question.len() / asked].to_vec(), answer)
    }

    /// The run ended well, and the answer is the one of before. In suite 02 it may be a new one where the terminal took what
    /// the line made of the question for another one of the same KMS: TK is then sealed anew, for the question that was
    /// asked last.
    pub(crate) fn ended_well(&self, told: &Told, before: &[u8]) -> Result<Vec<u8>, String> {
        let answer = told.outcome.clone()?;
        let took_another = |why: &String| why.contains("did not sign");
        let may_be_new = self.suite == Suite::EcAes && told.again.iter().any(took_another);
        if answer == before || may_be_new {
            Ok(answer)
        } else {
            Err(format!("another answer: {:?}", told.again))
        }
    }

    /// Nothing is left of anything: who asks gets this answer, at once and no byte more.
    pub(crate) fn is_clean(&self, question: &[u8], answer: &[u8]) -> bool {
        self.cable.probe(question, answer.len()) == answer
    }
}

impl Drop for Rig {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Collects these terminals in one run; what happened to each.
pub(crate) fn collect_in(suite: Suite, targets: &[Target], settings: &CollectSettings) -> Vec<Told> {
    let heard = Heard::default();
    match suite {
        Suite::Tdes => {
            let work = work_01();
            let run = collect(&BOTH.1, &work, targets, settings, journal(), &heard).unwrap();
            told(targets, &run, &heard)
        }
        Suite::EcAes => {
            let work = work_02();
            let run = collect(&EC_CARDS.1, &work, targets, settings, journal(), &heard).unwrap();
            told(targets, &run, &heard)
        }
    }
}

/// One certificate for all, or the terminals would take a second one for another KMS's.
fn work_01() -> keyferry_station::WorkCertificate {
    static LEAF: std::sync::LazyLock<pki::Certificate> =
        std::sync::LazyLock::new(|| ESTATE.work_leaf(Role::KmsWork));
    keyferry_station::WorkCertificate::check(LEAF.clone(), &ESTATE.chain(), &ESTATE.checks()).unwrap()
}

fn work_02() -> keyferry_station::WorkCertificate<flows::EcAes> {
    static LEAF: std::sync::LazyLock<pki::Certificate> = std::sync::LazyLock::new(|| EC.work_leaf());
    let ceremony = crate::suite_02::ceremony();
    keyferry_station::WorkCertificate::check_under(ceremony, LEAF.clone(), &[], &EC.checks()).unwrap()
}

fn told<S: StationSuite>(targets: &[Target], run: &CollectionRun<S>, heard: &Heard) -> Vec<Told> {
    let heard = heard.0.lock().unwrap();
    let of = |target: &Target| {
        let collected = run.collected.iter().find(|terminal| terminal.target() == target);
        let failed = run.failed.iter().find(|failed| failed.target() == target);
        let outcome = match (collected, failed) {
            (Some(terminal), None) => Ok(terminal.frame().bytes().to_vec()),
            (None, Some(failed)) => Err(failed.to_string()),
            both => panic!("{both:?}"),
        };
        let again = heard.iter().filter(|(at, _)| at == target).map(|(_, why)| why.clone()).collect();
        Told { outcome, again }
    };
    targets.iter().map(of).collect()
}

/// Writes down why terminals are asked again.
#[derive(Default)]
struct Heard(Mutex<Vec<(Target, String)>>);

impl Progress for Heard {
    fn again(&self, target: &Target, why: &CollectFault) {
        self.0.lock().unwrap().push((target.clone(), why.to_string()));
    }
}
