//! An estate moves in: terminals of another system with the keys that they hold already.
//!
//! The other system gives a file of JSON lines, one terminal each, with its keys as X9.143 blocks under a zone master
//! key that people entered into the HSM by components:
//!
//! ```json
//! {"sn":"SN-1001","pin_pad":"PP-7","vendor":"KF","model":"SIM-1","terminal_id":"00000042","merchant_id":"M-1",
//!  "tmks":[{"slot":3,"block":"B0096K1TB00N0000…","kcv":"742BB1"}],"dmk":{"block":"B0096…","kcv":"08D7B4"}}
//! ```
//!
//! (one line in the file; `pin_pad` only for an external one; all but `sn` may be left out.)
//!
//! [`run`] reads it with bounded memory, has the HSM open each key and compares its check value with the file's. A
//! terminal moves in whole or not at all: where one key is refused, nothing of it is stored. It is stored by acts of up
//! to [`CHUNK`] terminals, so an import that broke off is simply run again: what is there is compared and counted as
//! already known, and it goes on behind it. What an import never does is to change a terminal that is known.
//!
//! This is for people's tools; a server only reads what was stored.

mod check;
mod file;
mod report;

use std::{
    collections::HashMap,
    io::{self, BufRead, Read},
};

use futures_util::{StreamExt, TryStreamExt, stream};
use hsm::{Hsm, HsmError, KeyBlock};
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{EstateImport, ImportedOutcome, ImportedTerminal, Store, StoreError, limits};
use wire::Serial;

use self::{
    check::{Checked, Keys},
    file::{Line, Lines},
};
use crate::{host::zone::By, kms::event};

pub use file::MAX_LINE;
pub use report::{Counts, LISTED, Refused, Report, Why};

/// Terminals that are stored in one act.
pub const CHUNK: usize = limits::IMPORT;
/// Most terminals of one file: what the memory for telling duplicates is reckoned for (about 100 MiB).
pub const MAX_TERMINALS: usize = 2_000_000;

/// Bytes of lines that a chunk holds at most, whatever their number.
const CHUNK_BYTES: usize = 8 * 1024 * 1024;
/// Terminals whose keys are in the HSM at a time.
const CHECKS_AT_ONCE: usize = 32;

/// Which estate moves in.
#[derive(Debug, Clone, Copy)]
pub struct Estate<'a> {
    /// Where it comes from, for people: 1 to 128 bytes.
    pub source: &'a str,
    /// SHA-256 of the file, by [`digest`]: it stands for the estate, so the same file is the same import.
    pub digest: [u8; 32],
    /// The zone master key's block in this HSM.
    pub under: &'a KeyBlock,
}

/// Why an import stopped before the end of its file.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The name of the source is empty or too long.
    #[error("the source has {found} bytes, 1 to 128 are allowed: name the system that the estate comes from")]
    Source {
        /// Bytes that it has.
        found: usize,
    },
    /// The file names too many terminals.
    #[error("the file has more than {MAX_TERMINALS} terminals: cut it in several")]
    TooManyTerminals,
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The HSM does not take the zone master key, or cannot be reached.
    #[error("{0}")]
    Hsm(#[from] HsmError),
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
}

/// An import that stopped: what is counted in the report is stored. Mend the cause and run the same file again.
#[derive(Debug, thiserror::Error)]
#[error("the import stopped at line {}: {error}", report.counts.lines)]
pub struct Stopped {
    /// Why.
    #[source]
    pub error: ImportError,
    /// What was found until then.
    pub report: Box<Report>,
}

/// SHA-256 of a file, which [`Estate::digest`] takes.
///
/// # Errors
/// When it cannot be read.
pub fn digest(file: &mut impl Read) -> io::Result<[u8; 32]> {
    let (mut hash, mut buffer) = (Sha256::new(), vec![0; 64 * 1024]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(read) => hash.update(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Reads the file and moves its terminals in. `progress` hears the counts after each chunk; what they count is stored.
///
/// Reading blocks: this is for a program of its own, not for a server's threads.
///
/// # Errors
/// [`Stopped`], with what was done until then. A terminal that is refused is no error but a line of the report.
pub async fn run<S: Store, H: Hsm>(
    hsm: &H,
    store: &S,
    file: &mut impl BufRead,
    estate: Estate<'_>,
    by: By<'_>,
    progress: &mut dyn FnMut(&Counts),
) -> Result<Report, Stopped> {
    let mut import = Import {
        keys: Keys { hsm, under: estate.under, owner: by.owner },
        store,
        estate,
        by,
        seen: HashMap::new(),
        report: Report::new(estate.source, hex(&estate.digest)),
    };
    match import.all(file, progress).await {
        Ok(()) => Ok(import.report),
        Err(error) => Err(Stopped { error, report: Box::new(import.report) }),
    }
}

/// An import that is running.
struct Import<'a, S, H> {
    keys: Keys<'a, H>,
    store: &'a S,
    estate: Estate<'a>,
    by: By<'a>,
    /// Serials of the file by their digest, with their first line: a tenth of what the serials would take.
    seen: HashMap<[u8; 16], u64>,
    report: Report,
}

impl<S: Store, H: Hsm> Import<'_, S, H> {
    async fn all(
        &mut self,
        file: &mut impl BufRead,
        progress: &mut dyn FnMut(&Counts),
    ) -> Result<(), ImportError> {
        let found = self.estate.source.len();
        if !(1..=limits::NAME).contains(&found) {
            return Err(ImportError::Source { found });
        }
        let mut lines = Lines::new(file);
        loop {
            let (chunk, end) = self.chunk(&mut lines)?;
            self.take(chunk).await?;
            self.report.counts.lines = lines.number();
            progress(&self.report.counts);
            if end {
                break;
            }
        }
        self.report.complete = true;
        self.report.file_changed = lines.sha256() != self.estate.digest;
        let counts = serde_json::to_value(self.report.counts).unwrap_or_default();
        let detail = json!({
            "sha256": self.report.sha256,
            "counts": counts,
            "file_changed": self.report.file_changed,
        });
        self.store
            .audit_append(event("estate.import-ended", self.by.actor, self.estate.source, detail))
            .await?;
        Ok(())
    }

    /// The next lines, and whether they are the last ones.
    fn chunk(&self, lines: &mut Lines<'_, impl BufRead>) -> Result<(Vec<Line>, bool), ImportError> {
        let (mut chunk, mut bytes) = (Vec::new(), 0);
        while chunk.len() < CHUNK && bytes < CHUNK_BYTES {
            let Some(line) = lines.next()? else { return Ok((chunk, true)) };
            bytes += line.length;
            chunk.push(line);
        }
        if self.seen.len() + chunk.len() > MAX_TERMINALS {
            return Err(ImportError::TooManyTerminals);
        }
        Ok((chunk, false))
    }

    /// Checks the terminals of a chunk and stores those that are good in one act.
    async fn take(&mut self, chunk: Vec<Line>) -> Result<(), ImportError> {
        let mut entries = Vec::with_capacity(chunk.len());
        for line in chunk {
            let entry = match (line.entry, self.first_line_of(line.sn.as_ref(), line.number)) {
                (_, Some(first)) => Err(Why::Duplicate { first }),
                (entry, None) => entry,
            };
            entries.push((line.number, line.sn, entry));
        }
        let (keys, store) = (&self.keys, self.store);
        let checks = entries.into_iter().map(|(line, sn, entry)| async move {
            let checked = match entry {
                Ok(entry) => check::check(keys, store, entry).await?,
                Err(why) => Checked::Refused(why),
            };
            Ok::<_, ImportError>((line, sn, checked))
        });
        let checked: Vec<_> = stream::iter(checks).buffered(CHECKS_AT_ONCE).try_collect().await?;
        self.keep(checked).await
    }

    async fn keep(&mut self, checked: Vec<(u64, Option<Serial>, Checked)>) -> Result<(), ImportError> {
        let mut terminals = Vec::new();
        for (_, _, checked) in &checked {
            if let Checked::New { terminal, .. } = checked {
                terminals.push(ImportedTerminal::clone(terminal));
            }
        }
        let outcomes = if terminals.is_empty() { Vec::new() } else { self.store_all(terminals).await? };
        // In the order of the lines; only now, so that what is counted is stored.
        let mut outcomes = outcomes.into_iter();
        for (line, sn, checked) in checked {
            let outcome = match checked {
                Checked::New { compared, .. } => outcomes.next().map(|outcome| (outcome, compared)),
                Checked::Known => Some((ImportedOutcome::AlreadyKnown, (0, 0))),
                Checked::Refused(why) => {
                    self.report.refuse(line, sn.map(|sn| sn.to_string()), &why);
                    continue;
                }
            };
            // The store answers for each: there is no terminal without an outcome.
            let Some((outcome, compared)) = outcome else { continue };
            let sn = sn.map(|sn| sn.to_string());
            match outcome {
                ImportedOutcome::Stored => {
                    self.report.counts.accepted += 1;
                    self.report.counts.keys_compared += compared.0;
                    self.report.counts.keys_not_compared += compared.1;
                }
                ImportedOutcome::AlreadyKnown => self.report.counts.already_known += 1,
                ImportedOutcome::PairTaken => self.report.refuse(line, sn, &Why::PinPadTaken),
                ImportedOutcome::TerminalIdTaken => self.report.refuse(line, sn, &Why::TerminalIdTaken),
                // The file's own check finds it before.
                ImportedOutcome::SlotTwice => {
                    let defect = "a slot is named twice".to_owned();
                    self.report.refuse(line, sn, &Why::Value { field: "tmks", defect });
                }
            }
        }
        Ok(())
    }

    async fn store_all(&self, terminals: Vec<ImportedTerminal>) -> Result<Vec<ImportedOutcome>, ImportError> {
        let detail = json!({ "source": self.estate.source });
        let import = EstateImport {
            digest: self.estate.digest,
            source: self.estate.source.to_owned(),
            acquirer: self.by.owner.to_owned(),
            terminals,
        };
        let event = event("estate.imported", self.by.actor, self.estate.source, detail);
        Ok(self.store.import_estate(import, event).await?)
    }

    /// The line that named this serial before, if one did; else it is remembered.
    fn first_line_of(&mut self, sn: Option<&Serial>, line: u64) -> Option<u64> {
        let digest: [u8; 32] = Sha256::digest(sn?.as_bytes()).into();
        let (key, _) = digest.split_first_chunk::<16>()?;
        let first = *self.seen.entry(*key).or_insert(line);
        (first != line).then_some(first)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
