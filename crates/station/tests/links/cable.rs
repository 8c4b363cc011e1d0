//! A cable between two pseudo-terminals: what one end is given the other one gets, byte by byte, but for what the test does
//! to it in between.

use std::{
    collections::VecDeque,
    fs::{self, File},
    io::{ErrorKind, Read, Write},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    fs::{Mode, OFlags, fcntl_getfl, fcntl_setfl},
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{OptionalActions, tcgetattr, tcsetattr},
};

/// How long a plug is out.
const OUT: Duration = Duration::from_millis(30);

/// In which direction a byte goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum To {
    Terminal,
    Station,
}

/// What happens on the way, counted from the plan's first byte in that direction.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    /// The station's plug is pulled after so many bytes, and put back.
    Pull(To, usize),
    /// The plug is pulled and stays out.
    PullForGood(To, usize),
    /// These bytes come before the byte of this number.
    Noise(To, usize, Vec<u8>),
    /// This byte arrives with these bits turned over.
    Turn(To, usize, u8),
    /// Each byte takes so long.
    Slow(Duration),
}

/// What the cable does and has seen.
#[derive(Debug, Default)]
struct Plan {
    acts: Vec<Act>,
    /// Bytes carried to the terminal and to the station since the plan was made.
    carried: [usize; 2],
    /// All that was carried to the station.
    answers: Vec<u8>,
    /// All that was carried to the terminal.
    questions: Vec<u8>,
    /// Put into the terminal's end as they are; what comes back is in `echo`.
    probe: Option<Vec<u8>>,
    echo: Vec<u8>,
    probing: bool,
}

/// A cable that lives until it is dropped.
pub(crate) struct Cable {
    plan: Arc<Mutex<Plan>>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Cable {
    /// From the terminal's line at `terminal` to a port of the station's that is made at `port`.
    pub(crate) fn between(terminal: &Path, port: &Path) -> Cable {
        let (plan, over) = (Arc::<Mutex<Plan>>::default(), Arc::new(AtomicBool::new(false)));
        let mut carrier = Carrier {
            terminal: open(terminal),
            station: Some(plug(port)),
            port: port.to_owned(),
            plan: Arc::clone(&plan),
        };
        let ends = Arc::clone(&over);
        let thread = thread::spawn(move || {
            while !ends.load(Ordering::Relaxed) {
                carrier.carry();
            }
            let _ = fs::remove_file(&carrier.port);
        });
        Cable { plan, over, thread: Some(thread) }
    }

    /// From now on this happens, instead of what happened until now.
    pub(crate) fn plan(&self, acts: &[Act]) {
        *self.plan.lock().unwrap() = Plan { acts: acts.to_vec(), ..Plan::default() };
    }

    /// What was carried in this direction since the plan was made.
    pub(crate) fn carried(&self, to: To) -> Vec<u8> {
        let plan = self.plan.lock().unwrap();
        match to {
            To::Terminal => plan.questions.clone(),
            To::Station => plan.answers.clone(),
        }
    }

    /// Says this to the terminal past the station, and gives all that it says to it, when it has said so many bytes and
    /// then nothing for a moment.
    pub(crate) fn probe(&self, question: &[u8], length: usize) -> Vec<u8> {
        self.plan(&[]);
        {
            let mut plan = self.plan.lock().unwrap();
            (plan.probe, plan.probing) = (Some(question.to_vec()), true);
        }
        for _ in 0..2_000 {
            thread::sleep(Duration::from_millis(5));
            if self.plan.lock().unwrap().echo.len() >= length {
                break;
            }
        }
        thread::sleep(Duration::from_millis(20));
        let mut plan = self.plan.lock().unwrap();
        plan.probing = false;
        std::mem::take(&mut plan.echo)
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Who carries the bytes.
struct Carrier {
    terminal: File,
    station: Option<File>,
    port: PathBuf,
    plan: Arc<Mutex<Plan>>,
}

impl Carrier {
    fn carry(&mut self) {
        let from_terminal = read(Some(&self.terminal));
        let from_station = read(self.station.as_ref());
        let probe = {
            let mut plan = self.plan.lock().unwrap();
            let probe = plan.probe.take();
            if plan.probing {
                plan.echo.extend_from_slice(&from_terminal);
            }
            probe
        };
        if let Some(probe) = probe {
            write(Some(&self.terminal), &probe);
        }
        if from_terminal.is_empty() && from_station.is_empty() {
            wait(&self.terminal, self.station.as_ref());
            return;
        }
        if !self.plan.lock().unwrap().probing {
            self.pass(To::Station, from_terminal.into());
        }
        self.pass(To::Terminal, from_station.into());
    }

    fn pass(&mut self, to: To, mut bytes: VecDeque<u8>) {
        while let Some(mut byte) = bytes.pop_front() {
            let (mut before, mut after, mut slow) = (Vec::new(), None, Duration::ZERO);
            {
                let mut plan = self.plan.lock().unwrap();
                let place = plan.carried[to as usize];
                for act in &plan.acts {
                    match act {
                        Act::Noise(way, at, noise) if *way == to && *at == place => before.extend(noise),
                        Act::Turn(way, at, bits) if *way == to && *at == place => byte ^= bits,
                        Act::Pull(way, at) if *way == to && *at == place => after = Some(true),
                        Act::PullForGood(way, at) if *way == to && *at == place => after = Some(false),
                        Act::Slow(takes) => slow = *takes,
                        _ => {}
                    }
                }
                if after.is_none() {
                    plan.carried[to as usize] += 1;
                    let seen = if to == To::Station { &mut plan.answers } else { &mut plan.questions };
                    seen.extend_from_slice(&before);
                    seen.push(byte);
                } else {
                    plan.acts.retain(|act| !matches!(act, Act::Pull(..) | Act::PullForGood(..)));
                }
            }
            if let Some(back) = after {
                self.pull(back);
                // What was on the way is lost.
                return;
            }
            thread::sleep(slow);
            before.push(byte);
            write(if to == To::Station { self.station.as_ref() } else { Some(&self.terminal) }, &before);
        }
    }

    fn pull(&mut self, back: bool) {
        fs::remove_file(&self.port).unwrap();
        self.station = None;
        if back {
            thread::sleep(OUT);
            self.station = Some(plug(&self.port));
        }
    }
}

/// The station's port: a new pseudo-terminal under this name.
fn plug(port: &Path) -> File {
    let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&end).unwrap();
    unlockpt(&end).unwrap();
    let mut modes = tcgetattr(&end).unwrap();
    modes.make_raw();
    tcsetattr(&end, OptionalActions::Now, &modes).unwrap();
    fcntl_setfl(&end, fcntl_getfl(&end).unwrap() | OFlags::NONBLOCK).unwrap();
    symlink(ptsname(&end, Vec::new()).unwrap().into_string().unwrap(), port).unwrap();
    File::from(end)
}

fn open(path: &Path) -> File {
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    File::from(rustix::fs::open(path, flags, Mode::empty()).unwrap())
}

/// What is there; nothing of a line that nobody has open.
fn read(line: Option<&File>) -> Vec<u8> {
    let mut buffer = [0; 256];
    match line.map(|mut line| line.read(&mut buffer)) {
        Some(Ok(count)) => buffer[..count].to_vec(),
        _ => Vec::new(),
    }
}

/// Writes what the line takes; a line that nobody reads loses the rest, as cables do.
fn write(line: Option<&File>, mut bytes: &[u8]) {
    let Some(mut line) = line else { return };
    for _ in 0..1_000 {
        match line.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(Duration::from_millis(1)),
            Err(_) => return,
        }
        if bytes.is_empty() {
            return;
        }
    }
}

fn wait(terminal: &File, station: Option<&File>) {
    let mut lines: Vec<PollFd<'_>> = [Some(terminal), station]
        .into_iter()
        .flatten()
        .map(|line| PollFd::new(line, PollFlags::IN))
        .collect();
    let slice = Timespec { tv_sec: 0, tv_nsec: 5_000_000 };
    let _ = poll(&mut lines, Some(&slice));
    if lines.iter().any(|line| line.revents().contains(PollFlags::HUP)) {
        // Nobody has that end open, which poll says at once, again and again.
        thread::sleep(Duration::from_millis(5));
    }
}
