//! The report of a run: what the KMS and the TMS must know of it, signed by the operator card.
//!
//! JSON, in CMS SignedData as packages are (2-wire.md section 6):
//!
//! ```text
//! {"version":1,"kld":"…","run":"…","opened_at":"RFC 3339","closed_at":"RFC 3339","exchange_key":"…",
//!  "terminals":[{"sn":"…","pin_pad_sn":"…","ok":true|false,"code":"…",
//!                "keys":[{"kind":"tmk|dmk|dik2","slot":0,"label":"…","kcv":"…","load_counter":0,"block":"…","factor":"…",
//!                          "unconfirmed":true}]}],
//!  "compromised":[{"sn":"…","kind":"…","slot":0,"kcv":"…"}],
//!  "missing":[{"sn":"…"}],"refused":[{"sn":"…","code":"…","at":"RFC 3339"}],"stopped":"…"}
//! ```
//!
//! `terminals` are those for which a key left. `ok` says that every key of the run is loaded and none compromised; else
//! `code` is the wire's, or `compromised`, `unconfirmed`, `incomplete`, `link` or `kld`. A key is listed when the
//! terminal confirmed it, and with `unconfirmed` when nobody knows whether it has it; one that it refused is not listed.
//! `exchange_key` is the name under which both sides keep it. `block` is the TMK or DMK, `factor` the factor of a DIK2,
//! `label` that of its DIK1; both are X9.143 under the exchange key, bound to their place: version B in suite 01, in suite 02
//! version D under an AES exchange key, and `load_counter` is the one that a TMK left with. What is empty or does
//! not apply is left out, but the first eight are always there.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    Kld, KldError, Listed, Run, What,
    event::{Event, Handed, KeyState, Served, Tally},
};
use crate::{BothCards, Error, Server, clock, files, text::printable};

/// Where reports go.
const REPORTS: &str = "/v1/kld-reports";
/// Version of the content.
const VERSION: u32 = 1;
const WAITING: &str = ".waiting.cms";
const SENT: &str = ".sent.cms";
const ANSWER: &str = ".answer.json";
/// The longest report read back, bytes.
const MAX_REPORT: u64 = 64 * 1024 * 1024;

#[derive(Serialize)]
struct Content<'a> {
    version: u32,
    kld: &'a str,
    run: &'a str,
    opened_at: String,
    closed_at: String,
    exchange_key: &'a str,
    terminals: Vec<Terminal<'a>>,
    compromised: Vec<Compromised<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    missing: Vec<&'a Listed>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<RefusedLine<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stopped: Option<&'a str>,
}

#[derive(Serialize)]
struct Terminal<'a> {
    #[serde(flatten)]
    terminal: &'a Listed,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<&'a str>,
    keys: Vec<Key<'a>>,
}

#[derive(Serialize)]
struct Key<'a> {
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    label: Option<&'a str>,
    kcv: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    load_counter: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    block: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    factor: Option<&'a str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unconfirmed: bool,
}

#[derive(Serialize)]
struct Compromised<'a> {
    #[serde(flatten)]
    terminal: &'a Listed,
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    slot: Option<u8>,
    kcv: &'a str,
}

#[derive(Serialize)]
struct RefusedLine<'a> {
    #[serde(flatten)]
    terminal: Option<&'a Listed>,
    code: &'a str,
    at: String,
}

/// A report on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// The run.
    pub run: String,
    /// The CMS SignedData, DER: to be uploaded, or carried.
    pub path: PathBuf,
}

/// What became of a report that was uploaded.
#[derive(Debug)]
pub struct ReportDelivery {
    /// The run.
    pub run: String,
    /// What the server says of each terminal; nothing where the report had arrived before. After an error it still waits.
    pub outcome: Result<Option<Vec<ReportResult>>, Error>,
}

/// What the server says of one terminal of a report.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ReportResult {
    /// Its serial.
    pub sn: String,
    /// Whether its keys were taken.
    pub ok: bool,
    /// The server's code.
    #[serde(default)]
    pub code: Option<String>,
    /// The server's text.
    #[serde(default)]
    pub text: Option<String>,
}

#[derive(Deserialize)]
struct Answer {
    results: Vec<ReportResult>,
}

impl Kld {
    /// Closes the newest run under both cards: nothing more is loaded under it. Writes its report, signed by the operator
    /// card. If that failed at the run that was closed last, it is written now.
    ///
    /// # Errors
    /// What [`BothCards::check`] says; [`KldError::NoRun`]; [`Error::Signing`], [`Error::File`].
    pub fn close_run(&self, cards: &BothCards) -> Result<ReportFile, KldError> {
        cards.check()?;
        let mut run = self.newest_run()?.ok_or(KldError::NoRun)?;
        if run.tally.closed_at.is_none() {
            run.say(&Event::Closed { at: clock::now() })?;
        } else if self.report_path(run.name(), WAITING).exists()
            || self.report_path(run.name(), SENT).exists()
        {
            return Err(KldError::NoRun);
        }
        files::make_folder(&self.reports())?;
        let path = self.report_path(run.name(), WAITING);
        let cms = cards.sign(&content(self.name(), &run)?, clock::now())?;
        files::write_whole(&path, &cms)?;
        Ok(ReportFile { run: run.name().to_owned(), path })
    }

    /// The reports that no server has yet, oldest first.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn waiting_reports(&self) -> Result<Vec<ReportFile>, KldError> {
        let folder = self.reports();
        if !folder.exists() {
            return Ok(Vec::new());
        }
        let names = || -> std::io::Result<Vec<String>> {
            let entries = fs::read_dir(&folder)?;
            entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
        };
        let names = names().map_err(Error::file("list", &folder))?;
        let mut reports: Vec<_> = names
            .iter()
            .filter_map(|name| name.strip_suffix(WAITING))
            .map(|run| ReportFile { run: run.to_owned(), path: self.report_path(run, WAITING) })
            .collect();
        reports.sort_by(|one, other| one.run.cmp(&other.run));
        Ok(reports)
    }

    /// Uploads the reports that wait, oldest first, until one cannot be delivered.
    ///
    /// # Errors
    /// [`Error::File`] when they cannot be listed; each report's own trouble is in its [`ReportDelivery`].
    pub fn upload_reports(&self, server: &Server) -> Result<Vec<ReportDelivery>, KldError> {
        let mut deliveries = Vec::new();
        for report in self.waiting_reports()? {
            let outcome = self.upload(server, &report);
            let stop = outcome.is_err();
            deliveries.push(ReportDelivery { run: report.run, outcome });
            if stop {
                break;
            }
        }
        Ok(deliveries)
    }

    /// Marks a report that was carried by hand as delivered.
    ///
    /// # Errors
    /// [`Error::File`], also when no report of this run waits.
    pub fn report_carried(&self, run: &str) -> Result<(), KldError> {
        Ok(files::rename(&self.report_path(run, WAITING), &self.report_path(run, SENT))?)
    }

    fn upload(&self, server: &Server, report: &ReportFile) -> Result<Option<Vec<ReportResult>>, Error> {
        let answer = server.post_cms(REPORTS, &files::read(&report.path, MAX_REPORT)?)?;
        let results = match answer.status {
            // Read before anything is marked: what cannot be read is asked for again, and then is a 409.
            200 => {
                let read = read_answer(&answer.body)?;
                files::write_whole(&self.report_path(&report.run, ANSWER), &answer.body)?;
                Some(read)
            }
            // These very bytes arrived before.
            409 => None,
            _ => return Err(answer.refusal()),
        };
        files::rename(&report.path, &self.report_path(&report.run, SENT))?;
        Ok(results)
    }

    fn report_path(&self, run: &str, state: &str) -> PathBuf {
        self.reports().join(Path::new(&format!("{run}{state}")))
    }
}

fn read_answer(body: &[u8]) -> Result<Vec<ReportResult>, Error> {
    let answer: Answer = serde_json::from_slice(body)
        .map_err(|error| Error::AnswerMalformed { why: printable(&error.to_string()) })?;
    let shown = |text: Option<String>| text.as_deref().map(printable);
    let result = |line: ReportResult| ReportResult {
        sn: printable(&line.sn),
        ok: line.ok,
        code: shown(line.code),
        text: shown(line.text),
    };
    Ok(answer.results.into_iter().map(result).collect())
}

fn content(kld: &str, run: &Run) -> Result<Vec<u8>, KldError> {
    let Tally { opened, served, refused, stopped, closed_at } = &run.tally;
    let content = Content {
        version: VERSION,
        kld,
        run: &opened.run,
        opened_at: clock::rfc3339(opened.at)?,
        closed_at: clock::rfc3339(closed_at.unwrap_or(opened.at))?,
        exchange_key: &opened.exchange_key,
        terminals: served.iter().map(|served| terminal(served, opened.what.len())).collect(),
        compromised: served.iter().filter(|served| served.compromised).flat_map(compromised).collect(),
        missing: run.tally.missing(),
        refused: refused
            .iter()
            .map(|refused| {
                let at = clock::rfc3339(refused.at)?;
                Ok(RefusedLine { terminal: refused.terminal.as_ref(), code: &refused.code, at })
            })
            .collect::<Result<_, Error>>()?,
        stopped: stopped.as_deref(),
    };
    serde_json::to_vec(&content)
        .map_err(|error| Error::Signing { card: "operator".to_owned(), why: error.to_string() }.into())
}

fn terminal(served: &Served, wanted: usize) -> Terminal<'_> {
    let ok = served.is_good(wanted);
    let unconfirmed = served.keys.iter().any(|(_, state)| *state == KeyState::Unconfirmed);
    let code = match &served.code {
        _ if ok => None,
        _ if served.compromised => Some("compromised"),
        Some(code) => Some(code.as_str()),
        // Where a crash ended it, no failure was written down.
        None if unconfirmed => Some("unconfirmed"),
        None => Some("incomplete"),
    };
    let keys = served.keys.iter().filter(|(_, state)| *state != KeyState::NotLoaded);
    let keys = keys.map(|(key, state)| entry(key, *state == KeyState::Unconfirmed)).collect();
    Terminal { terminal: &served.terminal, ok, code, keys }
}

fn entry(key: &Handed, unconfirmed: bool) -> Key<'_> {
    let escrow = Some(key.escrow.as_str());
    let (label, block, factor) = match &key.what {
        What::Dik2 { label } => (label.as_deref(), None, escrow),
        What::Tmk { .. } | What::Dmk => (None, escrow, None),
    };
    Key {
        kind: key.what.kind(),
        slot: key.what.slot(),
        label,
        kcv: &key.kcv,
        load_counter: key.counter,
        block,
        factor,
        unconfirmed,
    }
}

/// Every key that left for a terminal whose serial came twice, loaded or not: the false one may have any of them.
fn compromised(served: &Served) -> impl Iterator<Item = Compromised<'_>> {
    served.keys.iter().map(|(key, _)| Compromised {
        terminal: &served.terminal,
        kind: key.what.kind(),
        slot: key.what.slot(),
        kcv: &key.kcv,
    })
}
