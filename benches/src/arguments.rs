//! The command line.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result, bail};

use crate::line::Sizes;

pub(crate) const HELP: &str = "\
Prints what Keyferry does a second beside what this machine could do at most, as ratios of one run.

cargo run --release -p keyferry-benches -- [PARTS] [OPTIONS]

  keys             downloads of keys, flows A and C, and uploads
  keys-02          downloads by flow A in suite 02 beside suite 01, the bare exchange, the bare operations
  rks-02           the same by flow C; and whether the time of an answer tells a known serial
  tms              handshakes and sealed frames of flow E
  pins             PIN translations of flow F
  estate-update    many terminals that update at once: time and memory
  factory          a production order from the factory to its buyer's KMS, killed in the middle
                   without any of these: all of them

  --seconds N      seconds for each measurement, in turns (3)
  --turns N        turns that these seconds are cut into (3)
  --concurrency N  connections, or acts, at once (32)
  --terminals N    terminals in the database (512)
  --fleet N        terminals that update at once (1000)
  --order N        terminals in the production order (100000)
  --json           one JSON document instead of the table
  --help           this
";

/// What this process is to be. The benchmark starts itself again for the processes that it measures.
pub(crate) enum Role {
    Help,
    Bench(Arguments),
    /// The HSM of this folder.
    Hsm(PathBuf),
    /// The server of this folder.
    Server(PathBuf),
    /// The bare peer of messages of these sizes.
    Peer(Sizes),
    /// The same, which commits as a server does, to a database in this folder.
    CommittingPeer(PathBuf, Sizes),
}

/// What is measured, and for how long.
#[derive(Debug, Clone)]
pub(crate) struct Arguments {
    pub(crate) seconds: u64,
    pub(crate) turns: u32,
    pub(crate) concurrency: usize,
    pub(crate) terminals: usize,
    pub(crate) fleet: usize,
    pub(crate) order: usize,
    pub(crate) json: bool,
    parts: Vec<Part>,
}

/// A part of the benchmarks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Keys,
    Keys02,
    Rks02,
    Tms,
    Pins,
    EstateUpdate,
    Factory,
}

impl Arguments {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Role> {
        let mut found = Arguments {
            seconds: 3,
            turns: 3,
            concurrency: 32,
            terminals: 512,
            fleet: 1000,
            order: 100_000,
            json: false,
            parts: Vec::new(),
        };
        while let Some(word) = words.next() {
            let mut value = || words.next().with_context(|| format!("{word} needs a value"));
            match word.as_str() {
                "--help" | "-h" => return Ok(Role::Help),
                "keys" => found.parts.push(Part::Keys),
                "keys-02" => found.parts.push(Part::Keys02),
                "rks-02" => found.parts.push(Part::Rks02),
                "tms" => found.parts.push(Part::Tms),
                "pins" => found.parts.push(Part::Pins),
                "estate-update" => found.parts.push(Part::EstateUpdate),
                "factory" => found.parts.push(Part::Factory),
                "--order" => found.order = value()?.parse()?,
                "--fleet" => found.fleet = value()?.parse()?,
                "--json" => found.json = true,
                "--seconds" => found.seconds = value()?.parse()?,
                "--turns" => found.turns = value()?.parse()?,
                "--concurrency" => found.concurrency = value()?.parse()?,
                "--terminals" => found.terminals = value()?.parse()?,
                "--as-hsm" => return Ok(Role::Hsm(value()?.into())),
                "--as-server" => return Ok(Role::Server(value()?.into())),
                "--as-committing-peer" => {
                    let sizes = Sizes::from_text(&value()?)?;
                    return Ok(Role::CommittingPeer(value()?.into(), sizes));
                }
                "--as-peer" => return Ok(Role::Peer(Sizes::from_text(&value()?)?)),
                other => bail!("no such part or option: {other}; see --help"),
            }
        }
        let Arguments { seconds, turns, concurrency, terminals, .. } = found;
        if seconds == 0 || turns == 0 || concurrency == 0 {
            bail!("--seconds, --turns and --concurrency must be at least 1");
        }
        if terminals < concurrency {
            bail!("--terminals must be at least --concurrency: each connection has terminals of its own");
        }
        Ok(Role::Bench(found))
    }

    /// Whether this part is to run.
    pub(crate) fn has(&self, part: Part) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// Whether anything else than the factory is to run.
    pub(crate) fn has_other_than_factory(&self) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|part| *part != Part::Factory)
    }

    /// Whether a part runs whose terminals the TMS manages.
    pub(crate) fn has_managed(&self) -> bool {
        [Part::Tms, Part::Pins, Part::EstateUpdate].into_iter().any(|part| self.has(part))
    }

    /// One turn of one measurement.
    pub(crate) fn slice(&self) -> Duration {
        Duration::from_secs(self.seconds) / self.turns
    }
}
