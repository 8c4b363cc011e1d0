use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::{Args, Subcommand};
use store::{SqliteOptions, SqliteStore, Store as _, verify_audit_file};

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
    limit: u32,
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
                    println!("BROKEN at event {}: {}", broken.seq, broken.why);
                    println!(
                        "keep the file as it is, compare with a backup, and find out who could write to it"
                    );
                    return Ok(ExitCode::FAILURE);
                }
                println!("good: {} events, head {}", verdict.events, verdict.head_hash_hex);
                println!("keep the head elsewhere: it shows later whether the whole chain was written anew");
                Ok(ExitCode::SUCCESS)
            }
            Self::Show(show) => show.run(),
        }
    }
}

impl Show {
    fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let rows = runtime.block_on(async {
            SqliteStore::open(&self.file.store, SqliteOptions::default())?
                .audit_page(self.from, self.limit)
                .await
        })?;
        for row in rows {
            if self.json {
                let detail: serde_json::Value = serde_json::from_str(&row.detail).unwrap_or_default();
                let line = serde_json::json!({ "seq": row.seq, "at": time::text(row.at / 1000), "kind": row.kind,
                    "actor": row.actor, "subject": row.subject, "detail": detail });
                println!("{line}");
            } else {
                let at = time::text(row.at / 1000);
                println!(
                    "{:>6}  {at}  {:<24} {} -> {}  {}",
                    row.seq, row.kind, row.actor, row.subject, row.detail
                );
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
