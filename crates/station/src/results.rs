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

#[cfg(test)]
mod tests {
    use wire::Device;

    use super::*;

    const OURS: [&str; 2] = ["0123456789ABCDEF0123", "FEDCBA98765432100123"];

    fn packed() -> Vec<Packed> {
        let packed = |(sn, fingerprint): (&str, &str)| Packed {
            device: Device::built_in(Serial::parse(sn).unwrap()),
            fingerprint: fingerprint.to_owned(),
        };
        [("SN-1", OURS[0]), ("SN-2", OURS[1])].map(packed).to_vec()
    }

    fn compared(body: &str) -> Result<Vec<TerminalResult>, Error> {
        compare(serde_json::from_str::<Body>(body).unwrap().results, &packed())
    }

    /// Two results, the second as given.
    fn second(line: &str) -> TerminalResult {
        let first = format!(r#"{{"sn":"SN-1","ok":true,"fingerprint":"{}"}}"#, OURS[0]);
        compared(&format!(r#"{{"results":[{first},{line}],"more":1}}"#)).unwrap().remove(1)
    }

    #[test]
    fn the_same_fingerprint_is_no_alarm() {
        let result = second(&format!(r#"{{"sn":"SN-2","ok":true,"fingerprint":"{}"}}"#, OURS[1]));
        assert_eq!(result.fingerprint, FingerprintCheck::Same(OURS[1].to_owned()));
        assert!(!result.is_alarm());
        assert_eq!(result.to_string(), format!("SN-2  {}  taken", OURS[1]));
    }

    #[test]
    fn another_fingerprint_is_an_alarm_that_nobody_overlooks() {
        for ok in [true, false] {
            let result = second(&format!(r#"{{"sn":"SN-2","ok":{ok},"fingerprint":"{}"}}"#, OURS[0]));
            assert!(result.is_alarm());
            let said = result.to_string();
            assert!(said.contains("ALARM") && said.contains(OURS[0]) && said.contains(OURS[1]), "{said}");
        }
    }

    #[test]
    fn lower_case_is_another_fingerprint() {
        let lower = OURS[1].to_lowercase();
        assert!(second(&format!(r#"{{"sn":"SN-2","ok":true,"fingerprint":"{lower}"}}"#)).is_alarm());
    }

    #[test]
    fn terminal_taken_without_a_fingerprint_is_an_alarm_and_a_refused_one_is_not() {
        for missing in ["", r#","fingerprint":"""#, r#","fingerprint":null"#] {
            assert!(second(&format!(r#"{{"sn":"SN-2","ok":true{missing}}}"#)).is_alarm());
            let refused =
                second(&format!(r#"{{"sn":"SN-2","ok":false,"code":"c","text":"a\u001b[2Jb"{missing}}}"#));
            assert!(!refused.is_alarm());
            assert!(refused.to_string().ends_with("REFUSED  c  a [2Jb"), "{refused}");
        }
    }

    #[test]
    fn results_of_other_terminals_or_in_another_order_do_not_fit() {
        for body in [
            r#"{"results":[]}"#,
            r#"{"results":[{"sn":"SN-1","ok":true}]}"#,
            r#"{"results":[{"sn":"SN-2","ok":true},{"sn":"SN-1","ok":true}]}"#,
            r#"{"results":[{"sn":"SN-1","ok":true},{"sn":"SN-3","ok":true}]}"#,
            r#"{"results":[{"sn":"SN-1","ok":true},{"sn":"SN-2","ok":true},{"sn":"SN-3","ok":true}]}"#,
        ] {
            assert!(matches!(compared(body), Err(Error::AnswerDoesNotFit { .. })), "{body}");
        }
    }
}
