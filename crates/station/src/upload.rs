//! Uploading packages (2-wire.md section 6).

use crate::{
    Error, Journal, Package, PackageName, Server,
    http::{Answer, COLLECTIONS},
    results::{self, TerminalResult},
};

/// What the server says about a package that it has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upload {
    /// It took the package, and says for each terminal what became of it.
    Taken(Vec<TerminalResult>),
    /// These very bytes arrived before (409): the answer was lost then. Compare the fingerprints at the KMS.
    ArrivedBefore,
}

impl Upload {
    /// The terminals that people must look at before they are deployed.
    pub fn alarms(&self) -> impl Iterator<Item = &TerminalResult> {
        let results = match self {
            Upload::Taken(results) => results.as_slice(),
            Upload::ArrivedBefore => &[],
        };
        results.iter().filter(|result| result.is_alarm())
    }
}

/// What became of one package of a journal.
#[derive(Debug)]
pub struct Delivery {
    /// The package.
    pub package: PackageName,
    /// What the server said; after an error the package is still waiting.
    pub outcome: Result<Upload, Error>,
}

/// Uploads one waiting package and keeps the answer. One that was answered before is not uploaded again: it gives what
/// the server said then. One thread uploads at a time.
///
/// # Errors
/// [`JournalError::NoSuchPackage`](crate::JournalError), [`JournalError::Write`](crate::JournalError);
/// [`Error::ServerUnreachable`], [`Error::ServerNotTrusted`], [`Error::Forbidden`],
/// [`Error::TooLarge`], [`Error::ServerBusy`], [`Error::ServerStatus`], [`Error::AnswerTooLong`],
/// [`Error::AnswerMalformed`], [`Error::AnswerDoesNotFit`]. The package then is still waiting; to upload it again is
/// safe.
pub fn upload(server: &Server, journal: &Journal, name: &PackageName) -> Result<Upload, Error> {
    let _alone = journal.hold_uploads();
    if let Some(known) = journal.results(name)? {
        return Ok(known);
    }
    let package = journal.package(name)?;
    let answer = server.post_cms(COLLECTIONS, package.cms())?;
    settle(answer, &package, journal, name)
}

/// Uploads all that wait, oldest first. Ends early when the server is away or is not the KMS: the rest would fare no
/// better.
/// The packages' own errors are in each [`Delivery`].
pub fn upload_waiting(server: &Server, journal: &Journal) -> Vec<Delivery> {
    let mut deliveries = Vec::new();
    for queued in journal.waiting() {
        let outcome = upload(server, journal, &queued.name);
        let stop = matches!(
            outcome,
            Err(Error::ServerUnreachable { .. } | Error::ServerNotTrusted { .. } | Error::ServerBusy { .. })
        );
        deliveries.push(Delivery { package: queued.name, outcome });
        if stop {
            break;
        }
    }
    deliveries
}

/// Reads the answer before it is kept: what cannot be read, or cannot be kept, is asked for again, and then is a 409.
fn settle(answer: Answer, package: &Package, journal: &Journal, name: &PackageName) -> Result<Upload, Error> {
    let (upload, body) = match answer.status {
        200 => (Upload::Taken(results::read(&answer.body, package)?), Some(answer.body)),
        409 => (Upload::ArrivedBefore, None),
        _ => return Err(answer.refusal()),
    };
    journal.keep_answer(name, &upload, body)?;
    Ok(upload)
}
