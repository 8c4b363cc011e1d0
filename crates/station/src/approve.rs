//! Approving replacements: a terminal that is known already gets another TK only after a second person's approval
//! (2-wire.md section 6). The approver signs exactly what is executed (4-requirements.md R13).

use serde::{Deserialize, Serialize};
use wire::Serial;

use crate::{AdministratorCard, Error, Server, clock, text::printable};

const REPLACEMENTS: &str = "/v1/replacements";
const APPROVALS: &str = "/v1/approvals";
/// Version of an approval's content.
const VERSION: u32 = 1;
/// Longest list read, bytes.
const MAX_LIST: u64 = 8 * 1024 * 1024;
/// Hex digits of a fingerprint (2-wire.md section 4).
const FINGERPRINT: usize = 20;

/// A replacement that waits for a second person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replacement {
    /// The server's number for it.
    pub id: i64,
    /// The terminal.
    pub sn: Serial,
    /// Its PIN pad, where external.
    pub pin_pad_sn: Option<Serial>,
    /// The fingerprint of the new TK, 20 upper-case hex digits: compare it with the terminal's display.
    pub fingerprint: String,
    /// The fingerprint of the TK that it would replace, where the server says it.
    pub current_fingerprint: Option<String>,
    /// Who signed the collection, or the batch.
    pub signer: String,
    /// The vendor's batch that asks for it; `None` where a station of one's own does.
    pub batch: Option<AskingBatch>,
    /// When it was collected, as the station wrote it; of a batch, when it was put together.
    pub collected_at: String,
}

/// Whose batch asks for a replacement, as the server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AskingBatch {
    /// The order that it is for.
    pub order: String,
    /// The vendor that it came from.
    pub vendor: String,
}

/// What the approver decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Decision {
    /// The new TK takes the old one's place; pending TMKs of the terminal are dropped.
    #[serde(rename = "replace-tk")]
    Replace,
    /// The new TK is thrown away.
    #[serde(rename = "reject-replacement")]
    Reject,
}

#[derive(Deserialize)]
struct Line {
    id: i64,
    sn: String,
    #[serde(default)]
    pin_pad_sn: Option<String>,
    fingerprint: String,
    #[serde(default)]
    current_fingerprint: Option<String>,
    signer: String,
    #[serde(default)]
    batch: Option<BatchLine>,
    collected_at: String,
}

#[derive(Deserialize)]
struct BatchLine {
    order: String,
    vendor: String,
}

#[derive(Serialize)]
struct Approval<'a> {
    version: u32,
    act: Decision,
    id: i64,
    sn: &'a str,
    fingerprint: &'a str,
    approved_at: &'a str,
}

/// The replacements that wait at the server.
///
/// # Errors
/// As [`upload`](crate::upload()): the server's refusals and answers that cannot be read.
pub fn replacements(server: &Server) -> Result<Vec<Replacement>, Error> {
    let answer = server.get(REPLACEMENTS, MAX_LIST)?;
    if answer.status == 200 { read(&answer.body) } else { Err(answer.refusal()) }
}

/// Signs the decision with the administrator card: CMS over number, serial and fingerprint as they were shown.
///
/// # Errors
/// [`Error::OwnCollection`]; [`Error::CardMissing`], [`Error::CardRefused`], [`Error::Signing`].
pub fn sign(
    card: &AdministratorCard,
    replacement: &Replacement,
    decision: Decision,
) -> Result<Vec<u8>, Error> {
    let approver = card.certificate().subject().to_string();
    if approver == replacement.signer {
        return Err(Error::OwnCollection { signer: approver });
    }
    let at = clock::now();
    let approval = Approval {
        version: VERSION,
        act: decision,
        id: replacement.id,
        sn: replacement.sn.as_str(),
        fingerprint: &replacement.fingerprint,
        approved_at: &clock::rfc3339(at)?,
    };
    let content = serde_json::to_vec(&approval)
        .map_err(|error| Error::Signing { card: "administrator".to_owned(), why: error.to_string() })?;
    card.sign(&content, at)
}

/// Signs the decision and sends it. Gives what the server says was done.
///
/// # Errors
/// As [`sign`](fn@sign); the server's refusals, [`Error::Conflict`] when it was decided already or is not the one that
/// was listed.
pub fn decide(
    server: &Server,
    card: &AdministratorCard,
    replacement: &Replacement,
    decision: Decision,
) -> Result<String, Error> {
    let answer = server.post_cms(APPROVALS, &sign(card, replacement, decision)?)?;
    if answer.status == 200 { Ok(answer.text()) } else { Err(answer.refusal()) }
}

fn read(body: &[u8]) -> Result<Vec<Replacement>, Error> {
    let malformed = |why: &str| Error::AnswerMalformed { why: printable(why) };
    let lines: Vec<Line> = serde_json::from_slice(body).map_err(|error| malformed(&error.to_string()))?;
    let serial = |text: &str| Serial::parse(text).map_err(|error| malformed(&error.to_string()));
    let read = |line: Line| {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'A'..=b'F').contains(&byte);
        if line.fingerprint.len() != FINGERPRINT || !line.fingerprint.bytes().all(digit) {
            return Err(malformed("a fingerprint has not 20 upper-case hex digits"));
        }
        Ok(Replacement {
            id: line.id,
            sn: serial(&line.sn)?,
            pin_pad_sn: line.pin_pad_sn.as_deref().map(serial).transpose()?,
            fingerprint: line.fingerprint,
            current_fingerprint: line.current_fingerprint.as_deref().map(printable),
            signer: printable(&line.signer),
            batch: line.batch.map(|batch| AskingBatch {
                order: printable(&batch.order),
                vendor: printable(&batch.vendor),
            }),
            collected_at: printable(&line.collected_at),
        })
    };
    lines.into_iter().map(read).collect()
}
