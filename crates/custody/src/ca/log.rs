//! The CA's log: every signature it ever made, as numbered JSON lines, each with the hash of the one before.
//!
//! A line is `{"entry":{…},"hash":"…"}`; the hash is SHA-256 over the JSON text of the entry, which holds its
//! number and the hash before it (64 zeros in the first). A line must be exactly what this program writes.

use std::path::{Path, PathBuf};

use pki::{Certificate, Crl, Revocation, RevocationReason, Role};
use serde::{Deserialize, Serialize};

use super::secret::Custodians;
use crate::error::Error;
use crate::files::{self, Mode};

/// The log's name in the CA's folder.
pub(super) const FILE: &str = "log";
/// Longest log read, in bytes: some hundred thousand certificates.
const MAX_LOG_LEN: u64 = 256 * 1024 * 1024;

/// What a certificate was issued for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Use {
    /// A role of 2-wire.md section 5.
    Role(Role),
    /// A CA below this one.
    Intermediate,
    /// The MTMS's P-256 key for key agreement, beside its other one, which signs: two certificates of one role.
    MtmsAgreement,
    /// A TLS server.
    TlsServer,
    /// A TLS client.
    TlsClient,
}

impl std::fmt::Display for Use {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Role(role) => role.fmt(f),
            Self::Intermediate => f.write_str("intermediate"),
            Self::MtmsAgreement => f.write_str("mtms-agreement"),
            Self::TlsServer => f.write_str("tls-server"),
            Self::TlsClient => f.write_str("tls-client"),
        }
    }
}

/// A certificate that the CA issued.
#[derive(Debug, Clone)]
pub struct Issued {
    /// Counted from 1; names the file.
    pub number: u64,
    /// When, unix seconds.
    pub at: i64,
    /// What for.
    pub purpose: Use,
    /// The certificate.
    pub certificate: Certificate,
    /// When and why it was revoked, if it was.
    pub revoked: Option<Revocation>,
}

/// Everything that a CA has done, by its log.
#[derive(Debug, Clone, Default)]
pub struct Record {
    root_sha256: Option<String>,
    custodians: Option<Custodians>,
    handing_over: Option<Option<Custodians>>,
    token: Option<String>,
    key_sha256: Option<String>,
    issued: Vec<Issued>,
    crl_number: u64,
    crl_next_update: i64,
    entries: u64,
    head: String,
}

impl Record {
    /// Every certificate issued, in order.
    #[must_use]
    pub fn issued(&self) -> &[Issued] {
        &self.issued
    }

    /// The two people who keep the CA; nothing where it has one passphrase.
    #[must_use]
    pub fn custodians(&self) -> Option<&Custodians> {
        self.custodians.as_ref()
    }

    /// To whom a handing over was begun that has no end in the log: two people, or one. The token then has the PIN of these
    /// or of [`Record::custodians`].
    #[must_use]
    pub fn handing_over(&self) -> Option<Option<&Custodians>> {
        self.handing_over.as_ref().map(Option::as_ref)
    }

    /// The token on which the root's key was made, as a URI of RFC 7512; nothing where it is in a file.
    #[must_use]
    pub fn token(&self) -> Option<&str> {
        self.token.as_deref()
    }

    /// The number of the newest revocation list.
    #[must_use]
    pub fn crl_number(&self) -> u64 {
        self.crl_number
    }

    /// When the newest revocation list must be renewed, unix seconds.
    #[must_use]
    pub fn crl_next_update(&self) -> i64 {
        self.crl_next_update
    }

    /// How many lines the log has.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.entries
    }

    /// The hash of the last line, lower-case hex. Kept elsewhere, it shows whether the log was rewritten.
    #[must_use]
    pub fn head(&self) -> &str {
        &self.head
    }

    /// SHA-256 of the key file since it was handed over, lower-case hex.
    pub(super) fn key_sha256(&self) -> Option<&str> {
        self.key_sha256.as_deref()
    }

    pub(super) fn root_sha256(&self) -> Option<&str> {
        self.root_sha256.as_deref()
    }
}

/// What was signed, or decided on the way to a signature.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "act", rename_all = "lowercase")]
pub(super) enum Act {
    /// The root itself, who keeps it, and where its key is.
    Root {
        subject: String,
        serial: String,
        sha256: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        custodians: Option<[String; 2]>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        token: Option<String>,
    },
    /// The token's PIN is about to be changed, for these keepers. A line of `Keepers` ends it, whoever they are then.
    HandingOver {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        custodians: Option<[String; 2]>,
    },
    /// New keepers, and the key file that is theirs.
    Keepers {
        #[serde(default, skip_serializing_if = "Option::is_none")]
        custodians: Option<[String; 2]>,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        key_sha256: Option<String>,
    },
    /// A certificate.
    Issue { certificate_number: u64, purpose: String, subject: String, serial: String, pem: String },
    /// A revocation, which the next list carries.
    Revoke { serial: String, reason: String },
    /// A revocation list.
    Crl { crl_number: u64, revoked: u64, next_update: i64 },
}

impl Act {
    pub(super) fn root(root: &Certificate, custodians: Option<&Custodians>, token: Option<String>) -> Self {
        Self::Root {
            subject: root.subject().to_string(),
            serial: root.serial_hex(),
            sha256: root.sha256_hex(),
            custodians: custodians.map(|both| both.names().clone()),
            token,
        }
    }

    pub(super) fn handing_over(custodians: Option<&Custodians>) -> Self {
        Self::HandingOver { custodians: custodians.map(|both| both.names().clone()) }
    }

    pub(super) fn keepers(custodians: Option<&Custodians>, key_sha256: Option<String>) -> Self {
        Self::Keepers { custodians: custodians.map(|both| both.names().clone()), key_sha256 }
    }

    pub(super) fn issue(number: u64, purpose: Use, certificate: &Certificate) -> Self {
        Self::Issue {
            certificate_number: number,
            purpose: purpose.to_string(),
            subject: certificate.subject().to_string(),
            serial: certificate.serial_hex(),
            pem: certificate.pem(),
        }
    }

    pub(super) fn crl(crl: &Crl) -> Self {
        Self::Crl { crl_number: crl.number(), revoked: crl.len() as u64, next_update: crl.next_update() }
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    number: u64,
    at: i64,
    prev: String,
    #[serde(flatten)]
    act: Act,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Line {
    entry: Entry,
    hash: String,
}

/// The log on disk and what it says.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
    /// Length of the whole lines, in bytes.
    len: u64,
    record: Record,
}

impl Log {
    /// A new, empty log.
    pub(super) fn create(path: &Path) -> Result<Self, Error> {
        files::create(path, b"", Mode::Public)?;
        Ok(Self {
            path: path.to_owned(),
            len: 0,
            record: Record { head: "0".repeat(64), ..Record::default() },
        })
    }

    /// Reads and checks a log. An end without a line end was never finished: its act did not happen.
    pub(super) fn read(path: &Path) -> Result<Self, Error> {
        let text = files::read(path, MAX_LOG_LEN)?;
        let mut log = Self {
            path: path.to_owned(),
            len: 0,
            record: Record { head: "0".repeat(64), ..Record::default() },
        };
        for text in text.split_inclusive('\n') {
            let Some(json) = text.strip_suffix('\n') else { break };
            let line = log.check(json).map_err(|why| log.broken(why))?;
            log.take(line).map_err(|why| log.broken(why))?;
            log.len += text.len() as u64;
        }
        Ok(log)
    }

    pub(super) fn record(&self) -> &Record {
        &self.record
    }

    pub(super) fn into_record(self) -> Record {
        self.record
    }

    /// Adds an act; it is on disk when this returns.
    pub(super) fn append(&mut self, at: i64, act: Act) -> Result<(), Error> {
        let entry = Entry { number: self.record.entries + 1, at, prev: self.record.head.clone(), act };
        let hash = hash(&entry).map_err(|why| self.broken(why))?;
        let line = Line { entry, hash };
        let json = serde_json::to_string(&line).map_err(|error| self.broken(error.to_string()))?;
        files::append_at(&self.path, self.len, format!("{json}\n").as_bytes())?;
        self.len += json.len() as u64 + 1;
        self.take(line).map_err(|why| self.broken(why))
    }

    /// A line that follows the last one, unchanged.
    fn check(&self, json: &str) -> Result<Line, String> {
        let line: Line = serde_json::from_str(json).map_err(|error| error.to_string())?;
        if serde_json::to_string(&line).map_err(|error| error.to_string())? != json {
            return Err("it is not as this program writes it".into());
        }
        if line.entry.number != self.record.entries + 1 {
            return Err(format!("it has the number {}", line.entry.number));
        }
        if line.entry.prev != self.record.head {
            return Err("it does not follow the line before".into());
        }
        if line.hash != hash(&line.entry)? {
            return Err("its hash is wrong".into());
        }
        Ok(line)
    }

    fn take(&mut self, line: Line) -> Result<(), String> {
        let at = line.entry.at;
        let record = &mut self.record;
        match line.entry.act {
            Act::Root { sha256, custodians, token, .. } if record.entries == 0 => {
                record.root_sha256 = Some(sha256);
                record.token = token;
                record.custodians = custodians.map(both).transpose()?;
            }
            Act::Root { .. } => return Err("a second root".into()),
            Act::HandingOver { custodians } => {
                record.handing_over = Some(custodians.map(both).transpose()?);
            }
            Act::Keepers { custodians, key_sha256 } => {
                record.handing_over = None;
                record.custodians = custodians.map(both).transpose()?;
                record.key_sha256 = key_sha256;
            }
            Act::Issue { certificate_number, purpose, serial, pem, .. } => {
                let certificate = Certificate::from_pem(&pem).map_err(|error| error.to_string())?;
                if certificate.serial_hex() != serial {
                    return Err("its certificate has another serial number".into());
                }
                if certificate_number != record.issued.len() as u64 + 1 {
                    return Err(format!("it has the certificate number {certificate_number}"));
                }
                let purpose = parse_use(&purpose)?;
                let revoked = None;
                record.issued.push(Issued { number: certificate_number, at, purpose, certificate, revoked });
            }
            Act::Revoke { serial, reason } => {
                let reason: RevocationReason =
                    reason.parse().map_err(|error: pki::Error| error.to_string())?;
                let found = record.issued.iter_mut().find(|issued| issued.certificate.serial_hex() == serial);
                let issued = found.ok_or("it revokes a certificate that was never issued")?;
                issued.revoked = Some(Revocation { when: at, reason });
            }
            Act::Crl { crl_number, next_update, .. } => {
                if crl_number <= record.crl_number {
                    return Err(format!("revocation list {crl_number} comes too late"));
                }
                record.crl_number = crl_number;
                record.crl_next_update = next_update;
            }
        }
        record.entries += 1;
        record.head = line.hash;
        Ok(())
    }

    fn broken(&self, why: String) -> Error {
        Error::Log { path: self.path.clone(), line: self.record.entries + 1, why }
    }
}

fn both([first, second]: [String; 2]) -> Result<Custodians, String> {
    Custodians::new(&first, &second).map_err(|error| error.to_string())
}

fn hash(entry: &Entry) -> Result<String, String> {
    let json = serde_json::to_string(entry).map_err(|error| error.to_string())?;
    let digest = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, json.as_bytes());
    Ok(digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect())
}

fn parse_use(word: &str) -> Result<Use, String> {
    match word {
        "intermediate" => Ok(Use::Intermediate),
        "mtms-agreement" => Ok(Use::MtmsAgreement),
        "tls-server" => Ok(Use::TlsServer),
        "tls-client" => Ok(Use::TlsClient),
        role => role.parse().map(Use::Role).map_err(|error: pki::Error| error.to_string()),
    }
}
