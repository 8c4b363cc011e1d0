//! An existing estate moves in.

use std::{
    fs::File,
    io::{BufReader, IsTerminal as _, Seek as _},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use server::{
    host::zone::By,
    import::{Counts, Estate as Moving, Report, digest, run},
};

use super::{
    host::Under,
    kms::{Estate, connect_hsm},
};
use crate::{files::write, show};

/// Who is named in the audit.
const ACTOR: &str = "keyferry kms import";
/// Refusals that people are shown; the report has more.
const SHOWN: usize = 20;

/// Take in an existing estate: terminals with their TMKs and DMKs as key blocks under a zone master key.
///
/// The file has a line of JSON for each terminal: {"sn":"…","pin_pad":"…","vendor":"…","model":"…","terminal_id":"…",
/// "merchant_id":"…","tmks":[{"slot":0,"block":"…","kcv":"…"}],"dmk":{"block":"…","kcv":"…"}}; all but sn may be left
/// out. Broken off, it is run again with the same file. A terminal that is known is never changed.
#[derive(Args)]
pub(crate) struct Import {
    #[command(flatten)]
    estate: Estate,
    #[command(flatten)]
    under: Under,
    /// The file, JSON lines.
    file: PathBuf,
    /// Where the estate comes from, for the audit.
    #[arg(long)]
    source: String,
    /// Where the reconciliation report goes, JSON.
    #[arg(long)]
    report: PathBuf,
}

impl Import {
    pub(super) async fn run(self) -> Result<()> {
        if self.report.exists() {
            bail!("{} exists; nothing was changed", self.report.display());
        }
        let (config, store) = self.estate.open()?;
        let under = self.under.block()?;
        let mut file =
            File::open(&self.file).with_context(|| format!("cannot read {}", self.file.display()))?;
        let digest = digest(&mut file)?;
        file.rewind()?;
        let (_child, hsm) = connect_hsm(&config, self.under.passphrase_file.as_ref()).await?;
        let moving = Moving { source: &self.source, digest, under: &under };
        let by = By { owner: &config.acquirer.id, actor: ACTOR };
        let bar = bar();
        let mut progress = |counts: &Counts| {
            bar.set_position(counts.lines);
            bar.set_message(format!("{} accepted, {} refused", counts.accepted, counts.refused));
        };
        let done = run(&hsm, &store, &mut BufReader::new(file), moving, by, &mut progress).await;
        bar.finish_and_clear();
        let (report, error) = match done {
            Ok(report) => (report, None),
            Err(stopped) => (*stopped.report, Some(stopped.error)),
        };
        write(&self.report, &serde_json::to_string_pretty(&report)?, 0o644)?;
        self.show(&report);
        if let Some(error) = error {
            return Err(error)
                .context("the import stopped; mend the cause and run it again with the same file");
        }
        if report.file_changed {
            bail!("the file was changed while it was read: run it again, and compare the report");
        }
        if report.counts.refused > 0 {
            bail!("{} terminals did not move in; mend their lines and run it again", report.counts.refused);
        }
        Ok(())
    }

    fn show(&self, report: &Report) {
        let counts = &report.counts;
        let rows = [
            ("lines", counts.lines),
            ("moved in", counts.accepted),
            ("known already, with the same keys", counts.already_known),
            ("refused", counts.refused),
            ("check values compared", counts.keys_compared),
            ("keys without a check value", counts.keys_not_compared),
        ];
        let rows: Vec<_> = rows.iter().map(|(what, n)| vec![(*what).to_owned(), n.to_string()]).collect();
        show::table(&["", ""], &rows);
        for refused in report.refusals.iter().take(SHOWN) {
            let (sn, why) = (refused.sn.as_deref().unwrap_or("?"), show::plain(&refused.why));
            say!("line {}, {}: {why}", refused.line, show::plain(sn));
        }
        say!("report: {}", self.report.display());
    }
}

/// Only where somebody looks.
fn bar() -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{pos} lines, {per_sec}, {elapsed}: {msg}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
