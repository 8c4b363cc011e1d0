//! `keyferry station journal`: what the station keeps until the server has it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::{Value, json};
use station::{
    Journal,
    journal::{Answered, Outcome, PackageName, Queued, Rescued, UnpackedRun},
};
use wire::Serial;

use super::{
    packages::Passphrase,
    station::{Config, Settings},
};
use crate::{secret::Source, show, time};

/// Show the journal: what is not packed, what waits, what was answered. Or look after it.
#[derive(Args)]
pub(crate) struct JournalCommand {
    #[command(flatten)]
    config: Config,
    #[command(flatten)]
    passphrase: Passphrase,
    #[command(flatten)]
    act: Act,
    /// With --new-passphrase: read the new one from this file (mode 0600).
    #[arg(long, value_name = "FILE", requires = "new_passphrase")]
    new_passphrase_file: Option<PathBuf>,
    /// With --give-up: why, for whoever reads the journal later.
    #[arg(long, value_name = "TEXT", requires = "give_up")]
    because: Option<String>,
    /// With --export: the file to make.
    #[arg(long, value_name = "FILE", requires = "export")]
    out: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// What is done; without any of these the journal is shown.
#[derive(Args)]
#[group(multiple = false)]
struct Act {
    /// Make the journal that the configuration names.
    #[arg(long)]
    new: bool,
    /// Put the journal under another passphrase.
    #[arg(long)]
    new_passphrase: bool,
    /// Read all of it and check every record.
    #[arg(long)]
    check: bool,
    /// After damage: go on with what is sound; the damaged file is kept under another name.
    #[arg(long)]
    rescue: bool,
    /// Delete old files, in which all is answered, from before this day (2026-01-31) or time (RFC 3339).
    #[arg(long, value_name = "DAY")]
    forget_before: Option<String>,
    /// Give up a waiting package, by its name, or what was collected of a terminal and is not packed, by its serial.
    #[arg(long, value_name = "PACKAGE|SERIAL", requires = "because")]
    give_up: Option<String>,
    /// Write a package into a file, as it is uploaded.
    #[arg(long, value_name = "PACKAGE", requires = "out")]
    export: Option<String>,
}

impl JournalCommand {
    pub(super) fn run(self) -> Result<ExitCode> {
        let settings = Settings::read(&self.config.config)?;
        if self.act.new {
            let journal = Journal::create(&settings.journal_folder(), &self.passphrase.choose()?)?;
            say!("a new journal is in {}", journal.folder().display());
            return Ok(ExitCode::SUCCESS);
        }
        if self.act.rescue {
            let rescued = Journal::rescue(&settings.journal_folder(), &self.passphrase.read()?)?;
            tell_rescue(&rescued);
            return Ok(ExitCode::SUCCESS);
        }
        let journal = settings.journal(&self.passphrase)?;
        if self.act.new_passphrase {
            let new = Source::file(self.new_passphrase_file).choose("new station passphrase")?;
            journal.change_passphrase(&new)?;
            say!("the journal opens with the new passphrase only");
        } else if self.act.check {
            let checked = journal.check()?;
            say!(
                "{} records in {} files ({} bytes) are as they were written",
                checked.records,
                checked.files,
                checked.bytes
            );
        } else if let Some(day) = &self.act.forget_before {
            let forgotten = journal.forget_before(day_of(day)?)?;
            say!("{forgotten} files deleted");
        } else if let Some(what) = &self.act.give_up {
            give_up(&journal, what, self.because.as_deref().unwrap_or_default())?;
        } else if let (Some(name), Some(out)) = (&self.act.export, &self.out) {
            export(&journal, name, out)?;
        } else if self.json {
            say!("{}", as_json(&journal));
        } else {
            show_journal(&journal);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell_rescue(rescued: &Rescued) {
    match (&rescued.damaged, rescued.damage) {
        (Some(path), Some(damage)) => {
            say!("the damaged file is kept as {}: {damage}", path.display());
            let overview = rescued.journal.overview();
            say!(
                "{} terminals that are not packed and {} packages that wait were saved; collect again what is missing",
                overview.unpacked,
                overview.waiting
            );
        }
        _ => say!("the journal is as it was written; nothing was changed"),
    }
}

fn give_up(journal: &Journal, what: &str, why: &str) -> Result<()> {
    if let Some(name) = find(journal, what) {
        journal.give_up(&name, why)?;
        say!("package {name} is given up; collect its terminals again");
        return Ok(());
    }
    let given = match Serial::parse(what) {
        Ok(sn) => journal.give_up_terminal(&sn, why)?,
        Err(_) => 0,
    };
    if given == 0 {
        bail!(
            "{what} is neither a package that waits nor a terminal that is not packed; list them with `keyferry station journal`"
        );
    }
    say!("what was collected of {what} is given up; collect it again");
    Ok(())
}

/// The waiting package whose name begins so, if there is one alone.
fn find(journal: &Journal, begin: &str) -> Option<PackageName> {
    let waiting = journal.waiting();
    let mut fitting = waiting.iter().filter(|queued| fits(&queued.name, begin));
    let first = fitting.next()?;
    fitting.next().is_none().then_some(first.name)
}

/// Fewer digits than these are no name.
const FEWEST_DIGITS: usize = 8;

fn fits(name: &PackageName, begin: &str) -> bool {
    begin.len() >= FEWEST_DIGITS && name.to_string().starts_with(&begin.to_ascii_lowercase())
}

fn export(journal: &Journal, begin: &str, out: &Path) -> Result<()> {
    let answered = journal.answered();
    let all = journal.waiting().into_iter().chain(answered.into_iter().map(|answered| answered.package));
    let mut fitting = all.filter(|queued| fits(&queued.name, begin));
    let (Some(queued), None) = (fitting.next(), fitting.next()) else {
        bail!("no package, or more than one, begins with {begin}; list them with `keyferry station journal`");
    };
    let package = journal.package(&queued.name)?;
    let mut options = fs::OpenOptions::new();
    let file = options.write(true).create_new(true).open(out);
    let written = file.and_then(|mut file| std::io::Write::write_all(&mut file, package.cms()));
    written.with_context(|| format!("cannot write {}", out.display()))?;
    say!("package {} is in {}", queued.name, out.display());
    Ok(())
}

/// The begin of a day, or a time.
fn day_of(text: &str) -> Result<i64> {
    time::parse(text)
        .or_else(|| time::parse(&format!("{text}T00:00:00Z")))
        .with_context(|| format!("{text} is no day: write 2026-01-31"))
}

fn show_journal(journal: &Journal) {
    let (unpacked, waiting, answered) = (journal.unpacked(), journal.waiting(), journal.answered());
    if unpacked.is_empty() && waiting.is_empty() {
        say!("all that was collected is packed, and all packages are answered");
    }
    for run in &unpacked {
        let ends = run.ends.map(|ends| format!(", pack it before {}", time::text(ends)));
        say!(
            "collected and not packed: {} by {} with {}{}",
            time::text(run.began),
            run.operator,
            run.administrator,
            ends.unwrap_or_default()
        );
        let row = |(sn, fingerprint): &(Serial, String)| vec![sn.to_string(), fingerprint.clone()];
        show::table(&["serial", "fingerprint"], &run.terminals.iter().map(row).collect::<Vec<_>>());
    }
    if !waiting.is_empty() {
        say!("packages that wait for the server:");
        let row = |queued: &Queued| {
            let ends = queued.ends.map(time::text);
            vec![
                queued.name.to_string(),
                time::text(queued.packed),
                queued.terminals.to_string(),
                ends.unwrap_or_else(|| "-".into()),
            ]
        };
        show::table(
            &["package", "packed", "terminals", "upload before"],
            &waiting.iter().map(row).collect::<Vec<_>>(),
        );
    }
    if !answered.is_empty() {
        say!("answered packages:");
        let row = |answered: &Answered| {
            vec![
                answered.package.name.to_string(),
                time::text(answered.at),
                answered.package.terminals.to_string(),
                outcome(answered.outcome),
            ]
        };
        show::table(
            &["package", "answered", "terminals", "outcome"],
            &answered.iter().map(row).collect::<Vec<_>>(),
        );
    }
}

fn outcome(outcome: Outcome) -> String {
    match outcome {
        Outcome::ArrivedBefore => "arrived before".into(),
        Outcome::Taken { refused: 0, alarms: 0 } => "taken".into(),
        Outcome::Taken { refused, alarms } => format!("{refused} refused, {alarms} ALARMS"),
    }
}

fn as_json(journal: &Journal) -> Value {
    let run = |run: &UnpackedRun| {
        json!({
            "began": run.began, "operator": run.operator, "administrator": run.administrator,
            "suite": run.suite, "replaces": run.replaces, "ends": run.ends,
            "terminals": run.terminals.iter().map(|(sn, fingerprint)| {
                json!({ "sn": sn.as_str(), "fingerprint": fingerprint })
            }).collect::<Vec<_>>(),
        })
    };
    let queued = |queued: &Queued| {
        json!({ "package": queued.name.to_string(), "packed": queued.packed, "terminals": queued.terminals,
                "bytes": queued.bytes, "ends": queued.ends })
    };
    let answered = |answered: &Answered| {
        json!({ "package": answered.package.name.to_string(), "answered": answered.at,
                "terminals": answered.package.terminals, "outcome": outcome(answered.outcome) })
    };
    json!({
        "unpacked": journal.unpacked().iter().map(run).collect::<Vec<_>>(),
        "waiting": journal.waiting().iter().map(queued).collect::<Vec<_>>(),
        "answered": journal.answered().iter().map(answered).collect::<Vec<_>>(),
    })
}
