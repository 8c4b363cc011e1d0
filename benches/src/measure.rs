//! Counting what is done in a time, and who had the processors meanwhile.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::Result;

use crate::children::Children;

/// So much in so much time.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Rate {
    pub(crate) done: u64,
    pub(crate) time: Duration,
}

impl Rate {
    /// Adds another turn.
    pub(crate) fn add(&mut self, turn: Rate) {
        self.done += turn.done;
        self.time += turn.time;
    }

    /// The rate of something that takes two of these.
    pub(crate) fn half(self) -> Rate {
        Rate { time: self.time * 2, ..self }
    }

    #[allow(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^53")]
    pub(crate) fn per_second(self) -> f64 {
        if self.time.is_zero() { 0.0 } else { self.done as f64 / self.time.as_secs_f64() }
    }
}

/// One of several that work at once, each on its own.
pub(crate) trait Work: Send + 'static {
    /// Does it once.
    fn once(&mut self) -> impl Future<Output = Result<()>> + Send;
}

/// Lets all of them work, again and again, until `time` is over. What is under way then is finished, and its time
/// counts.
pub(crate) async fn repeat<W: Work>(workers: Vec<W>, time: Duration) -> Result<Rate> {
    let started = Instant::now();
    let tasks: Vec<_> = workers
        .into_iter()
        .map(|mut worker| {
            tokio::spawn(async move {
                let mut done = 0_u64;
                while started.elapsed() < time {
                    worker.once().await?;
                    done += 1;
                }
                Ok::<u64, anyhow::Error>(done)
            })
        })
        .collect();
    let mut done = 0;
    for task in tasks {
        done += task.await??;
    }
    Ok(Rate { done, time: started.elapsed() })
}

/// A tick of proc(5): Linux shows a hundred a second on every machine that we know.
const TICK_MICROSECONDS: u64 = 10_000;

/// Processor time used so far, in ticks of the system's clock.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Shares {
    pub(crate) terminals: u64,
    pub(crate) server: u64,
    pub(crate) hsm: u64,
    pub(crate) peer: u64,
    /// All that the machine did, these included.
    pub(crate) machine: u64,
    /// All that it could have done.
    pub(crate) capacity: u64,
}

impl Shares {
    /// All zero where the system does not tell.
    pub(crate) fn now(children: &Children) -> Shares {
        let (machine, capacity) = machine().unwrap_or_default();
        Shares {
            terminals: process(std::process::id()).unwrap_or_default(),
            server: children.server_pid().and_then(process).unwrap_or_default(),
            hsm: children.hsm_pid().and_then(process).unwrap_or_default(),
            peer: children.peer_pids().filter_map(process).sum(),
            machine,
            capacity,
        }
    }

    /// What was used since then.
    pub(crate) fn since(self, children: &Children) -> Shares {
        let now = Shares::now(children);
        Shares {
            terminals: now.terminals.saturating_sub(self.terminals),
            server: now.server.saturating_sub(self.server),
            hsm: now.hsm.saturating_sub(self.hsm),
            peer: now.peer.saturating_sub(self.peer),
            machine: now.machine.saturating_sub(self.machine),
            capacity: now.capacity.saturating_sub(self.capacity),
        }
    }

    /// What the benchmark's processes used.
    pub(crate) fn ours(self) -> u64 {
        self.terminals + self.server + self.hsm + self.peer
    }

    /// Percent of the processors that others took meanwhile.
    pub(crate) fn others(self) -> u64 {
        (100 * self.machine.saturating_sub(self.ours())).checked_div(self.capacity).unwrap_or_default()
    }

    /// Microseconds of the benchmark's processor time for each of so many.
    pub(crate) fn microseconds_each(self, done: u64) -> u64 {
        microseconds_each(self.ours(), done)
    }

    pub(crate) fn add(&mut self, turn: Shares) {
        self.terminals += turn.terminals;
        self.server += turn.server;
        self.hsm += turn.hsm;
        self.peer += turn.peer;
        self.machine += turn.machine;
        self.capacity += turn.capacity;
    }
}

/// Microseconds of these ticks for each of so many.
pub(crate) fn microseconds_each(ticks: u64, done: u64) -> u64 {
    (ticks * TICK_MICROSECONDS).checked_div(done).unwrap_or_default()
}

/// The same with fractions, of what is too small for whole ones.
#[allow(clippy::cast_precision_loss, reason = "counts of a benchmark are far below 2^53")]
pub(crate) fn microseconds(ticks: u64, done: u64) -> f64 {
    if done == 0 { 0.0 } else { (ticks * TICK_MICROSECONDS) as f64 / done as f64 }
}

/// User and system time of a process (proc(5), `/proc/PID/stat`, fields 14 and 15).
fn process(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; field 3 follows it.
    let (_, fields) = text.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11).map(str::parse::<u64>);
    Some(fields.next()?.ok()? + fields.next()?.ok()?)
}

/// Busy time and all time of the machine's processors (`/proc/stat`, first line).
fn machine() -> Option<(u64, u64)> {
    let text = fs::read_to_string("/proc/stat").ok()?;
    let times = text.lines().next()?.split_whitespace().skip(1).take(8);
    let times: Vec<u64> = times.map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, idle, iowait, irq, softirq, steal] = times.try_into().ok()?;
    let busy = user + nice + system + irq + softirq + steal;
    Some((busy, busy + idle + iowait))
}
