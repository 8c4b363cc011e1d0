//! Uploading packages (2-wire.md section 6).

use crate::{
    Error, Package, Server, Spool, Spooled,
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

/// What became of one package of a spool.
#[derive(Debug)]
pub struct Delivery {
    /// The package.
    pub spooled: Spooled,
    /// What the server said; after an error the package is still waiting.
    pub outcome: Result<Upload, Error>,
}

/// Uploads one waiting package and marks it as sent.
///
/// # Errors
/// [`Error::PackageDamaged`], [`Error::ServerUnreachable`], [`Error::ServerNotTrusted`], [`Error::Forbidden`],
/// [`Error::TooLarge`], [`Error::ServerBusy`], [`Error::ServerStatus`], [`Error::AnswerTooLong`],
/// [`Error::AnswerMalformed`], [`Error::AnswerDoesNotFit`]. The package then is still waiting; to upload it again is
/// safe.
pub fn upload(server: &Server, spool: &Spool, spooled: &Spooled) -> Result<Upload, Error> {
    let package = spool.load(spooled)?;
    let answer = server.post_cms(COLLECTIONS, package.cms())?;
    settle(&answer, &package, spool, spooled)
}

/// Uploads all that wait, oldest first. Ends early when the server is away or is not the KMS: the rest would fare no
/// better.
///
/// # Errors
/// [`Error::File`] when the spool cannot be listed; the packages' own errors are in each [`Delivery`].
pub fn upload_waiting(server: &Server, spool: &Spool) -> Result<Vec<Delivery>, Error> {
    let mut deliveries = Vec::new();
    for spooled in spool.waiting()? {
        let outcome = upload(server, spool, &spooled);
        let stop = matches!(
            outcome,
            Err(Error::ServerUnreachable { .. } | Error::ServerNotTrusted { .. } | Error::ServerBusy { .. })
        );
        deliveries.push(Delivery { spooled, outcome });
        if stop {
            break;
        }
    }
    Ok(deliveries)
}

/// Reads the answer before anything is marked: what cannot be read is asked for again, and then is a 409.
fn settle(answer: &Answer, package: &Package, spool: &Spool, spooled: &Spooled) -> Result<Upload, Error> {
    match answer.status {
        200 => {
            let results = results::read(&answer.body, package)?;
            spool.mark_sent(spooled, Some(&answer.body))?;
            Ok(Upload::Taken(results))
        }
        409 => {
            spool.mark_sent(spooled, None)?;
            Ok(Upload::ArrivedBefore)
        }
        _ => Err(answer.refusal()),
    }
}
