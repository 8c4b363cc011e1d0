//! What the server says about each terminal of a package (2-wire.md section 6).

use serde::Deserialize;
use wire::Serial;

use crate::{Error, Package, package::Packed, text::printable};

/// What became of one terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TerminalResult {
    /// Its serial.
    pub sn: Serial,
    /// Whether the KMS took it.
    pub ok: bool,
    /// The server's code, empty where it gave none.
    pub code: String,
    /// The server's text, empty where it gave none.
    pub text: String,
    /// Whether the KMS has what the station collected.
    pub fingerprint: FingerprintCheck,
}

/// The station's fingerprint against the KMS's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FingerprintCheck {
    /// The same.
    Same(String),
    /// Something was replaced on the way: an alarm.
    Different {
        /// What the station collected.
        ours: String,
        /// What the KMS has.
        theirs: String,
    },
    /// The server gave none. For a terminal that it took this is an alarm too.
    Missing {
        /// What the station collected.
        ours: String,
    },
}

impl TerminalResult {
    /// Whether people must look at this before the terminal is deployed: the KMS took something, and not provably what
    /// the station collected.
    pub fn is_alarm(&self) -> bool {
        match self.fingerprint {
            FingerprintCheck::Same(_) => false,
            FingerprintCheck::Different { .. } => true,
            FingerprintCheck::Missing { .. } => self.ok,
        }
    }
}

impl std::fmt::Display for TerminalResult {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}  ", self.sn)?;
        match &self.fingerprint {
            FingerprintCheck::Different { ours, theirs } => write!(
                f,
                "ALARM: collected as {ours}, but the KMS has {theirs}: do not deploy it, find out who replaced it; "
            )?,
            FingerprintCheck::Missing { ours } if self.ok => write!(
                f,
                "ALARM: collected as {ours}, but the KMS shows no fingerprint: compare at the KMS before it is deployed; "
            )?,
            FingerprintCheck::Same(fingerprint) | FingerprintCheck::Missing { ours: fingerprint } => {
                write!(f, "{fingerprint}  ")?;
            }
        }
        f.write_str(if self.ok { "taken" } else { "REFUSED" })?;
        for part in [&self.code, &self.text] {
            if !part.is_empty() {
                write!(f, "  {part}")?;
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
struct Body {
    results: Vec<Line>,
}

#[derive(Deserialize)]
struct Line {
    sn: String,
    ok: bool,
    #[serde(default)]
    code: Option<String>,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    fingerprint: Option<String>,
}

/// Reads the body of a 200 and holds it against the package: one result for each terminal, in order.
pub(crate) fn read(body: &[u8], package: &Package) -> Result<Vec<TerminalResult>, Error> {
    let body: Body = serde_json::from_slice(body)
        .map_err(|error| Error::AnswerMalformed { why: printable(&error.to_string()) })?;
    compare(body.results, package.terminals())
}

fn compare(lines: Vec<Line>, packed: &[Packed]) -> Result<Vec<TerminalResult>, Error> {
    if lines.len() != packed.len() {
        let why = format!("{} results for {} terminals", lines.len(), packed.len());
        return Err(Error::AnswerDoesNotFit { why });
    }
    lines.into_iter().zip(packed).map(|(line, packed)| result(line, packed)).collect()
}

fn result(line: Line, packed: &Packed) -> Result<TerminalResult, Error> {
    let sn = packed.device.sn();
    if line.sn != sn.as_str() {
        let why = format!("a result for {} in the place of {sn}", printable(&line.sn));
        return Err(Error::AnswerDoesNotFit { why });
    }
    let ours = packed.fingerprint.clone();
    let fingerprint = match line.fingerprint {
        Some(theirs) if theirs == ours => FingerprintCheck::Same(ours),
        Some(theirs) if !theirs.is_empty() => {
            FingerprintCheck::Different { ours, theirs: printable(&theirs) }
        }
        _ => FingerprintCheck::Missing { ours },
    };
    let text = |text: Option<String>| text.as_deref().map(printable).unwrap_or_default();
    Ok(TerminalResult {
        sn: sn.clone(),
        ok: line.ok,
        code: text(line.code),
        text: text(line.text),
        fingerprint,
    })
}
