//! What each system holds of a terminal's transport key, and where they part. Nothing here shows a key.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use hsm::{
    Client, Hsm as _, HsmError, KeyBlock, Refusal,
    commands::{TkCheckValues, TkSource, TransportKeyBlocks},
};
use serde_json::Value;
use server::Config;
use station::diagnosis::{Diagnosis, Evidence, Hop, KeyState, MAX_EVIDENCE, Verdict, diagnose};
use store::{
    AuditRow, DeviceStore as _, HistoryCollection, OrderStore as _, SerialHistory, SqliteStore, Store as _,
    TerminalRecord, TkRecord,
};
use terminal::Terminal as Device;
use wire::{Kcv, Serial};

use super::{
    kms::{Estate, connect_hsm},
    packages::Passphrase,
    station::{Config as StationConfig, Settings},
};
use crate::{files, out::with_causes, time};

/// Refusals of the terminal that are told along, the newest.
const REFUSALS: u32 = 10;
/// Events of the audit that are looked through for the terminal, the newest.
const LOOKED_AT: i64 = 20_000;

/// How evidence leaves.
#[derive(Args)]
pub(crate) struct Output {
    /// As JSON.
    #[arg(long)]
    json: bool,
    /// Write it, as JSON, into this new file, for `keyferry diagnose --evidence`.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// What this terminal holds of its transport key: fingerprint and check values.
#[derive(Args)]
pub(crate) struct OfTerminal {
    /// The terminal's folder.
    folder: PathBuf,
    #[command(flatten)]
    output: Output,
}

/// What this station's journal has of a terminal's transport key: fingerprints and packages.
#[derive(Args)]
pub(crate) struct OfStation {
    #[command(flatten)]
    config: StationConfig,
    #[command(flatten)]
    passphrase: Passphrase,
    /// The terminal.
    sn: Serial,
    #[command(flatten)]
    output: Output,
}

/// What this server holds of a terminal's transport key: fingerprint, check values, what came and went.
#[derive(Args)]
pub(crate) struct OfServer {
    #[command(flatten)]
    estate: Estate,
    /// The terminal.
    sn: Serial,
    /// The HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    output: Output,
}

/// Compare what terminal, station, MTMS and KMS hold of a terminal's transport key, and name the hop where they part.
/// Ends with 0 when all agree, 1 when they part, 2 when something is missing.
#[derive(Args)]
pub(crate) struct Diagnose {
    /// The terminal.
    sn: Serial,
    /// The terminal's folder.
    #[arg(long, value_name = "DIR")]
    terminal: Option<PathBuf>,
    /// The station's configuration file.
    #[arg(long, value_name = "FILE")]
    station: Option<PathBuf>,
    #[command(flatten)]
    passphrase: Passphrase,
    /// The MTMS's configuration file.
    #[arg(long, value_name = "FILE")]
    mtms: Option<PathBuf>,
    /// The MTMS's HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE", requires = "mtms")]
    mtms_passphrase_file: Option<PathBuf>,
    /// The KMS's configuration file.
    #[arg(long, value_name = "FILE")]
    kms: Option<PathBuf>,
    /// The KMS's HSM reads its passphrase from this file, where no HSM is running.
    #[arg(long, value_name = "FILE", requires = "kms")]
    kms_passphrase_file: Option<PathBuf>,
    /// A file that an evidence command wrote elsewhere; may be repeated.
    #[arg(long, value_name = "FILE")]
    evidence: Vec<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl OfTerminal {
    pub(crate) fn run(self) -> Result<ExitCode> {
        self.output.give(&of_terminal(&self.folder)?)
    }
}

impl OfStation {
    pub(crate) fn run(self) -> Result<ExitCode> {
        self.output.give(&of_station(&self.config.config, &self.passphrase, &self.sn)?)
    }
}

impl OfServer {
    pub(crate) async fn run(self, hop: Hop) -> Result<()> {
        let evidence = of_server(hop, &self.estate.config, self.passphrase_file.as_ref(), &self.sn).await?;
        self.output.give(&evidence).map(drop)
    }
}

impl Diagnose {
    /// Whatever keeps it from comparing is something that is missing: 1 is said of keys that part, and of nothing else.
    pub(crate) fn run(self) -> Result<ExitCode> {
        self.compare().or_else(|error| {
            complain!("keyferry: {}", with_causes(&error));
            Ok(ExitCode::from(Verdict::Missing.exit_code()))
        })
    }

    fn compare(self) -> Result<ExitCode> {
        let evidence = self.ask()?;
        if let Some(other) = evidence.iter().find(|one| one.sn != self.sn.as_str()) {
            bail!("the {}'s evidence is of terminal {}, not of {}", other.hop, other.sn, self.sn);
        }
        let diagnosis = diagnose(&evidence)?;
        if self.json {
            let document = serde_json::json!({ "diagnosis": diagnosis, "evidence": evidence });
            say!("{}", serde_json::to_string_pretty(&document)?);
        } else {
            evidence.iter().for_each(show);
            tell(&diagnosis);
        }
        Ok(ExitCode::from(diagnosis.verdict.exit_code()))
    }

    /// Asks every hop that was named. One that cannot be asked is told, and the others are compared.
    fn ask(&self) -> Result<Vec<Evidence>> {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        let mut asked = Vec::new();
        if let Some(folder) = &self.terminal {
            asked.push(of_terminal(folder).with_context(|| "the terminal cannot be asked"));
        }
        if let Some(config) = &self.station {
            let evidence = of_station(config, &self.passphrase, &self.sn);
            asked.push(evidence.with_context(|| "the station cannot be asked"));
        }
        for (hop, config, passphrase) in [
            (Hop::Mtms, &self.mtms, &self.mtms_passphrase_file),
            (Hop::Kms, &self.kms, &self.kms_passphrase_file),
        ] {
            if let Some(config) = config {
                let evidence = runtime.block_on(of_server(hop, config, passphrase.as_ref(), &self.sn));
                asked.push(evidence.with_context(|| format!("the {hop} cannot be asked")));
            }
        }
        asked.extend(self.evidence.iter().map(|path| read(path)));
        let told = |answer: Result<Evidence>| {
            answer.inspect_err(|error| complain!("keyferry: {}", with_causes(error))).ok()
        };
        Ok(asked.into_iter().filter_map(told).collect())
    }
}

impl Output {
    fn give(&self, evidence: &Evidence) -> Result<ExitCode> {
        if let Some(path) = &self.out {
            files::write(path, &evidence.to_json()?, 0o644)?;
        }
        if self.json {
            say!("{}", evidence.to_json()?);
        } else {
            show(evidence);
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(evidence: &Evidence) {
    let key = match evidence.key {
        KeyState::Held => "has a TK",
        KeyState::None => "has no TK that may be used",
        KeyState::UnknownTerminal => "does not know the terminal",
    };
    say!("{:<12} {} {key}", evidence.hop.to_string(), evidence.sn);
    let line = |name: &str, value: &Option<String>| {
        if let Some(value) = value {
            say!("  {name:<12} {value}");
        }
    };
    line("suite", &evidence.suite.map(|suite| suite.to_string()));
    line("fingerprint", &evidence.fingerprint);
    line("TEK", &evidence.tek);
    line("AUK", &evidence.auk);
    line("generation", &evidence.tk_generation.map(|generation| generation.to_string()));
    for earlier in &evidence.earlier {
        say!("  {:<12} {earlier}", "earlier");
    }
    if evidence.waiting {
        say!("  {:<12} it has not been handed on", "waiting");
    }
    for said in &evidence.said {
        say!("  {said}");
    }
}

fn tell(diagnosis: &Diagnosis) {
    say!("");
    match diagnosis.verdict {
        Verdict::Agree => say!("{}: all hold the same transport key", diagnosis.sn),
        Verdict::Part { from, to } => say!("{}: they part between {from} and {to}", diagnosis.sn),
        Verdict::Missing => say!("{}: something is missing for an answer", diagnosis.sn),
    }
    for found in &diagnosis.found {
        say!("  {found}");
    }
    for (number, advice) in (1..).zip(&diagnosis.advice) {
        say!("{number}. {advice}");
    }
}

fn read(path: &Path) -> Result<Evidence> {
    let cannot = || format!("cannot read {}", path.display());
    let length = fs::metadata(path).with_context(cannot)?.len();
    if usize::try_from(length).is_ok_and(|length| length <= MAX_EVIDENCE) {
        return Evidence::read(&fs::read(path).with_context(cannot)?)
            .with_context(|| path.display().to_string());
    }
    bail!("{} is no evidence: {length} bytes are too many", path.display())
}

fn of_terminal(folder: &Path) -> Result<Evidence> {
    let status = Device::open(folder)?.status();
    let sn = Serial::parse(&status.sn)?;
    let key = if status.transport_key.is_some() { KeyState::Held } else { KeyState::None };
    let mut evidence = Evidence::of(Hop::Terminal, &sn, key);
    evidence.fingerprint = status.collected.as_ref().map(|collected| collected.fingerprint.clone());
    if let Some(held) = &status.transport_key {
        evidence.suite = Some(held.suite);
        (evidence.tek, evidence.auk) = (Some(held.tek_kcv.clone()), Some(held.auk_kcv.clone()));
    }
    evidence.said.push(format!("state: {}", status.life_cycle));
    let newest = status.refusals.records.iter().rev().take(REFUSALS as usize);
    evidence.said.extend(newest.map(|refusal| {
        format!("refused {}: {}, {}", time::text(refusal.when), refusal.check, refusal.reading)
    }));
    Ok(evidence)
}

fn of_station(config: &Path, passphrase: &Passphrase, sn: &Serial) -> Result<Evidence> {
    let settings = Settings::read(config)?;
    Ok(Evidence::of_journal(&settings.journal(passphrase)?, sn)?)
}

/// A KMS's word, or an MTMS's: both are servers with a store and an HSM.
async fn of_server(
    hop: Hop,
    config: &Path,
    passphrase_file: Option<&PathBuf>,
    sn: &Serial,
) -> Result<Evidence> {
    let config = Config::read(config)?;
    let store = super::server::open_store(&config)?;
    let history = store.serial_history(sn).await?;
    let mut evidence = match store.terminal(sn).await? {
        Some(terminal) => {
            let (_child, hsm) = connect_hsm(&config, passphrase_file).await?;
            of_record(hop, &store, &hsm, &terminal).await?
        }
        None => Evidence::of(hop, sn, KeyState::UnknownTerminal),
    };
    tell_history(&mut evidence, &history);
    tell_refusals(&mut evidence, &store, sn).await?;
    Ok(evidence)
}

async fn of_record(
    hop: Hop,
    store: &SqliteStore,
    hsm: &Client,
    terminal: &TerminalRecord,
) -> Result<Evidence> {
    let mut evidence = Evidence::of(hop, &terminal.sn, KeyState::None);
    evidence.tk_generation = Some(terminal.tk_generation);
    let Some(tk) = source(store, &terminal.tk).await? else { return Ok(evidence) };
    evidence.suite = Some(terminal.suite.byte());
    evidence.fingerprint = Some(match &terminal.tk {
        // Of the ciphertext that is there, not of what was noted about it when it came.
        TkRecord::Ciphertext { ctk_pu, .. } => wire::fingerprint(&terminal.sn, ctk_pu),
        _ => terminal.fingerprint.clone(),
    });
    let (pin_pad, owner) = (terminal.key_serial().to_string(), terminal.acquirer.clone());
    match hsm.call(TkCheckValues { tk, pin_pad, owner }).await {
        Ok(values) => {
            evidence.key = KeyState::Held;
            evidence.tek = Some(Kcv::from_bytes(&values.tek)?.to_string());
            evidence.auk = Some(Kcv::from_bytes(&values.auk)?.to_string());
        }
        // A TK that fails its checks has no check values (R16); why, is evidence too.
        Err(HsmError::Refused(refusal)) if is_of_the_key(&refusal) => {
            evidence.said.push(format!("the HSM refuses the TK: {refusal}"));
        }
        Err(error) => return Err(error.into()),
    }
    Ok(evidence)
}

/// Whether a refusal says something of the key, and not of the question.
fn is_of_the_key(refusal: &Refusal) -> bool {
    matches!(
        refusal,
        Refusal::TransportKey { .. }
            | Refusal::UnknownKey { .. }
            | Refusal::WrongPlace { .. }
            | Refusal::WrongOwner { .. }
            | Refusal::WrongUse { .. }
    )
}

async fn source(store: &SqliteStore, tk: &TkRecord) -> Result<Option<TkSource>> {
    Ok(match tk {
        TkRecord::Ciphertext { ctk_pu, work_certificate_sha256 } => {
            let Some(work_key) = store.work_key(work_certificate_sha256).await? else {
                bail!("the work key of certificate {work_certificate_sha256} is not in the store");
            };
            let work_key = KeyBlock::from_text(work_key.private_block);
            Some(TkSource::Collected { work_key, ctk_pu: ctk_pu.clone() })
        }
        TkRecord::Blocks { tek, auk } => {
            let [tek, auk] = [tek, auk].map(|block| KeyBlock::from_text(block.clone()));
            Some(TkSource::Held(TransportKeyBlocks { tek, auk }))
        }
        TkRecord::None => None,
    })
}

fn tell_history(evidence: &mut Evidence, history: &SerialHistory) {
    let current = evidence.fingerprint.clone();
    for one in history.collections.iter().rev() {
        let differs = current.as_ref().is_none_or(|has| !has.eq_ignore_ascii_case(&one.fingerprint));
        if one.state == "replaced" && differs && !evidence.earlier.contains(&one.fingerprint) {
            evidence.earlier.push(one.fingerprint.clone());
        }
        evidence.said.push(collection(one));
    }
    for batch in &history.sent {
        let result = batch
            .item
            .result
            .as_ref()
            .map_or_else(|| "not answered".to_owned(), |result| format!("{}: {}", result.code, result.text));
        evidence.said.push(format!(
            "TK {} went to {} in a batch of {} at {}: {result}",
            batch.item.tk_generation,
            batch.buyer,
            batch.order,
            time::text(batch.item.created_at / 1000)
        ));
    }
    for batch in &history.received {
        evidence.said.push(format!(
            "{}: came from {} in a batch of {}, {}: {}",
            time::text(batch.received_at / 1000),
            batch.partner,
            batch.order,
            batch.result.code,
            batch.result.text
        ));
    }
    if evidence.hop == Hop::Mtms && evidence.key == KeyState::Held {
        let arrived = |sent: &store::HistoryBatch| {
            Some(sent.item.tk_generation) == evidence.tk_generation && sent.item.result.is_some()
        };
        evidence.waiting = !history.sent.iter().any(arrived);
    }
}

fn collection(one: &HistoryCollection) -> String {
    let at = time::text(one.uploaded_at / 1000);
    format!("{at}: fingerprint {} came from {}, {}", one.fingerprint, one.station, one.state)
}

/// An event's time and kind, and the reason that it gives.
fn refusal(row: &AuditRow) -> String {
    let detail: Value = serde_json::from_str(&row.detail).unwrap_or_default();
    let reason = ["reason", "text", "why", "code"].iter().find_map(|name| detail[name].as_str());
    format!("{}: {} {}", time::text(row.at / 1000), row.kind, reason.unwrap_or_default())
        .trim_end()
        .to_owned()
}

/// What the terminal itself told, and what the audit has of it.
async fn tell_refusals(evidence: &mut Evidence, store: &SqliteStore, sn: &Serial) -> Result<()> {
    for entry in store.refusals(Some(sn), REFUSALS).await? {
        let (check, reading) = (&entry.refusal.check, &entry.refusal.reading);
        let at = time::text(entry.received_at / 1000);
        evidence.said.push(format!("{at}: the terminal refused, {check}: {reading}"));
    }
    let last = i64::try_from(store.overview().await?.events).unwrap_or(i64::MAX);
    let mut from = last.saturating_sub(LOOKED_AT).max(1);
    let mut refused = Vec::new();
    while from <= last {
        let page = store.audit_page(from, store::limits::PAGE).await?;
        let Some(newest) = page.last() else { break };
        from = newest.seq.saturating_add(1);
        let of_it = page.into_iter().filter(|row| row.subject == sn.as_str() && row.kind.contains("refused"));
        refused.extend(of_it.map(|row| refusal(&row)));
    }
    let newest = refused.len().saturating_sub(REFUSALS as usize);
    evidence.said.extend(refused.into_iter().skip(newest));
    Ok(())
}
