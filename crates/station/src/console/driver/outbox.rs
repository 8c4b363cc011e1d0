//! Packages, between the disk and the screen.

use super::super::{Answer, Parcel, Told};
use crate::{Error, FingerprintCheck, Journal, PackageName, Server, TerminalResult, Upload, upload};

/// The server's code for a key that is kept until a second person approves it.
const AWAITS_APPROVAL: &str = "awaits-approval";

/// What waits, oldest first.
pub(super) fn waiting(journal: &Journal) -> Result<Vec<Parcel>, Error> {
    journal.waiting().iter().map(|queued| parcel(journal, &queued.name)).collect()
}

/// One package.
pub(super) fn parcel(journal: &Journal, name: &PackageName) -> Result<Parcel, Error> {
    let package = journal.package(name)?;
    let serials = package.terminals().iter().map(|packed| packed.device.sn().to_string()).collect();
    Ok(Parcel { id: name.to_string(), serials })
}

/// Sends one, and says what came of it; with an error where the server was not there to answer.
pub(super) fn send(server: &Server, journal: &Journal, name: &PackageName) -> (Answer, Option<Error>) {
    match upload(server, journal, name) {
        Ok(Upload::Taken(results)) => (Answer::Taken(results.iter().map(told).collect()), None),
        Ok(Upload::ArrivedBefore) => (Answer::ArrivedBefore, None),
        Err(error) if is_away(&error) => (Answer::NotSent(error.to_string()), Some(error)),
        Err(error) => (Answer::Refused(error.to_string()), None),
    }
}

/// Whether an error says that the server was not there, or not the KMS.
pub(super) fn is_away(error: &Error) -> bool {
    matches!(
        error,
        Error::ServerUnreachable { .. } | Error::ServerNotTrusted { .. } | Error::ServerBusy { .. }
    )
}

fn told(result: &TerminalResult) -> Told {
    let agrees = match result.fingerprint {
        FingerprintCheck::Same(_) => "the KMS shows the same fingerprint",
        _ => "",
    };
    // Some texts begin with their code.
    let code = if result.text.starts_with(&result.code) { "" } else { result.code.as_str() };
    let said = [code, result.text.as_str(), agrees];
    let said: Vec<_> = said.into_iter().filter(|part| !part.is_empty()).collect();
    Told {
        sn: result.sn.to_string(),
        ok: result.ok,
        awaits: result.ok && result.code == AWAITS_APPROVAL,
        said: said.join("; "),
        alarm: result.is_alarm().then(|| result.to_string()),
    }
}
