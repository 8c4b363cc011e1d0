use std::{path::PathBuf, process::ExitCode};

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use store::{AuditRow, SqliteOptions, SqliteStore, Store as _, limits::PAGE, verify_audit_file};

use crate::time;

/// The audit: every event, each chained to the one before.
#[derive(Subcommand)]
pub(crate) enum Audit {
    /// Check the whole chain; needs no server and changes nothing.
    Verify(File),
    /// Print events.
    Show(Show),
}

/// Which database.
#[derive(Args)]
pub(crate) struct File {
    /// The database file.
    #[arg(long, default_value = "keyferry.db")]
    store: PathBuf,
}

/// Print events.
#[derive(Args)]
pub(crate) struct Show {
    #[command(flatten)]
    file: File,
    /// The first event.
    #[arg(long, default_value_t = 1)]
    from: i64,
    /// How many at most.
    #[arg(long, default_value_t = 100)]
    limit: u64,
    /// The last so many events instead.
    #[arg(long, conflicts_with_all = ["from", "limit"])]
    last: Option<u64>,
    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Verify(file) => {
                let verdict = verify_audit_file(&file.store)?;
                if let Some(broken) = verdict.broken_at {
                    say!("BROKEN at event {}: {}", broken.seq, broken.why);
                    say!("keep the file as it is, compare with a backup, and find out who could write to it");
                    return Ok(ExitCode::FAILURE);
                }
                say!("good: {} events, head {}", verdict.events, verdict.head_hash_hex);
                say!("keep the head elsewhere: it shows later whether the whole chain was written anew");
                Ok(ExitCode::SUCCESS)
            }
            Self::Show(show) => show.run(),
        }
    }
}

impl Show {
    fn run(self) -> Result<ExitCode> {
        if !self.file.store.exists() {
            bail!("there is no database {}; name it with --store", self.file.store.display());
        }
        let store = SqliteStore::open(&self.file.store, SqliteOptions::default())?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (mut from, mut left) = (self.from, self.limit);
        if let Some(last) = self.last {
            let events = runtime.block_on(store.overview())?.events;
            from = i64::try_from(events.saturating_sub(last))?.saturating_add(1);
            left = last;
        }
        while left > 0 {
            let page = u32::try_from(left.min(PAGE.into()))?;
            let rows = runtime.block_on(store.audit_page(from, page))?;
            let Some(end) = rows.last().map(|row| row.seq) else { break };
            left = left.saturating_sub(rows.len() as u64);
            from = end.saturating_add(1);
            rows.iter().for_each(|row| self.print(row));
        }
        Ok(ExitCode::SUCCESS)
    }

    fn print(&self, row: &AuditRow) {
        if self.json {
            let detail: serde_json::Value = serde_json::from_str(&row.detail).unwrap_or_default();
            let line = serde_json::json!({ "seq": row.seq, "at": time::text(row.at / 1000), "kind": row.kind,
                    "actor": row.actor, "subject": row.subject, "detail": detail });
            say!("{line}");
        } else {
            let at = time::text(row.at / 1000);
            say!("{:>6}  {at}  {:<24} {} -> {}  {}", row.seq, row.kind, row.actor, row.subject, row.detail);
        }
    }
}
