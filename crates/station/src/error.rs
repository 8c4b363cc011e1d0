//! The crate's error: what is wrong and what to do next, for the person at the station.

use std::{io, path::PathBuf};

use pki::{CertificateRefusal, Role};

/// Why the station refused or could not go on. No text holds key material or a PIN.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A card cannot be read.
    #[error("the card {card} cannot be read: {why}")]
    CardUnreadable {
        /// The card's name.
        card: String,
        /// What is wrong with it.
        why: String,
    },
    /// The card is not there (any more).
    #[error("the card {card} is not present: insert it and begin again")]
    CardMissing {
        /// The card's name.
        card: String,
    },
    /// What is said to be a card's place is none.
    #[error("this is no place of a card: {why}")]
    CardSource {
        /// What is wrong with it.
        why: String,
    },
    /// The card is locked.
    #[error(
        "the card {card} is locked and no PIN was tried: have it unlocked by who holds its PUK or SO PIN"
    )]
    CardLocked {
        /// The card's name.
        card: String,
    },
    /// The card's PIN is wrong, or the card does not open.
    #[error("the card {card} does not open: {why}")]
    CardPin {
        /// The card's name.
        card: String,
        /// What it said.
        why: String,
    },
    /// The key on the card is not the one that its certificate was issued for.
    #[error("the key on the card {card} does not belong to its certificate: have the card issued again")]
    CardKey {
        /// The card's name.
        card: String,
    },
    /// The card's certificate does not make it this role's card.
    #[error("the card {card} is refused as {role} card: {reason}")]
    CardRefused {
        /// The card's name.
        card: String,
        /// What it was presented as.
        role: Role,
        /// Why it is not.
        #[source]
        reason: CertificateRefusal,
    },
    /// Operator and administrator card are one, or one person's.
    #[error(
        "operator and administrator card have the same {what}: two people must come, each with a card of their own"
    )]
    SameCard {
        /// What both have: certificate, key or subject.
        what: &'static str,
    },
    /// The certificate that terminals would encrypt their TK to is refused.
    #[error("the work certificate is refused, nothing was sent to a terminal: {0}")]
    WorkCertificate(#[source] CertificateRefusal),
    /// A target is no `host:port` and no serial line.
    #[error(
        "{text:?} is no address of a terminal: write host:port or serial:/dev/ttyUSB0?baud=115200, with SERIAL@ before \
         it where you know whose it is"
    )]
    Target {
        /// What was written.
        text: String,
    },
    /// A pattern of `[links]` names no ports.
    #[error("{text:?} in [links] cannot be used: {why}")]
    PortPattern {
        /// The pattern, or the speed.
        text: String,
        /// What is wrong with it.
        why: String,
    },
    /// More terminals than fit into one package.
    #[error("{found} terminals are more than the {max} of one run: collect them in several runs")]
    TooManyTerminals {
        /// How many were asked for.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// A package without a terminal.
    #[error("nothing was collected, so there is nothing to pack")]
    NothingCollected,
    /// The station's name cannot stand in a package.
    #[error("the station's name must have 1 to {max} characters, none of them a control character")]
    StationName {
        /// The limit in characters.
        max: usize,
    },
    /// The package was not signed.
    #[error("the card {card} did not sign: {why}")]
    Signing {
        /// The card's name.
        card: String,
        /// What it said.
        why: String,
    },
    /// The ceremony's time is over.
    #[error("the ceremony ended at {ended}: ask the KMS for today's (station ceremony), then collect again")]
    CeremonyOver {
        /// When, RFC 3339.
        ended: String,
    },
    /// The file of a ceremony cannot be read.
    #[error("the ceremony in {} cannot be read: {why}; ask the KMS for another", path.display())]
    CeremonyDamaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// Terminals of several ceremonies in one package.
    #[error("these terminals were collected in several ceremonies: pack those of each by themselves")]
    CeremonyMixed,
    /// The ceremony is that of another station.
    #[error("the ceremony is the station {station}'s: ask the KMS for one of this station")]
    CeremonyOfOtherStation {
        /// Whose it is.
        station: String,
    },
    /// The journal refuses, or cannot be written.
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    /// A file or folder of the station.
    #[error("cannot {act} {}: {source}", path.display())]
    File {
        /// What was tried.
        act: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The server's address is none.
    #[error("{url:?} is no server address: write https://host or https://host:port")]
    ServerAddress {
        /// What was written.
        url: String,
    },
    /// The server's CA file holds no certificate.
    #[error("the CA file for the server holds no certificate: {why}")]
    ServerCa {
        /// What is wrong with it.
        why: String,
    },
    /// No answer from the server; what was to be sent may have arrived.
    #[error("no answer from {server}: {why}; the package stays in the journal, upload it again later")]
    ServerUnreachable {
        /// Its address.
        server: String,
        /// What happened.
        why: String,
    },
    /// TLS: the server did not prove itself under the one CA that is trusted.
    #[error(
        "{server} did not prove that it is the KMS: {why}; check address and CA file, and do not go on if both are right"
    )]
    ServerNotTrusted {
        /// Its address.
        server: String,
        /// What happened.
        why: String,
    },
    /// 403: signature, chain, role or revocation of the signer's card.
    #[error(
        "the server refused the signature (403): {text}; nothing was stored: check the card's role, dates and revocation and the server's roots"
    )]
    Forbidden {
        /// What the server wrote.
        text: String,
    },
    /// 409 where it does not mean that a package arrived before.
    #[error("the server refused (409): {text}; list the replacements again and decide on what is there then")]
    Conflict {
        /// What the server wrote.
        text: String,
    },
    /// 413.
    #[error("the package is too large for the server (413): collect fewer terminals in one run")]
    TooLarge,
    /// 429 or 503.
    #[error("the server is busy ({status}): upload again in a few minutes")]
    ServerBusy {
        /// The HTTP status.
        status: u16,
    },
    /// Any other status.
    #[error("the server answered {status}, which was not expected: {text}; see its log")]
    ServerStatus {
        /// The HTTP status.
        status: u16,
        /// What the server wrote.
        text: String,
    },
    /// The answer is longer than is read.
    #[error("the server's answer is longer than {max} bytes: check that the address is the KMS's")]
    AnswerTooLong {
        /// The limit in bytes.
        max: u64,
    },
    /// The answer cannot be read.
    #[error("the server's answer cannot be read: {why}; check that both sides have fitting versions")]
    AnswerMalformed {
        /// What is wrong with it.
        why: String,
    },
    /// The answer is not about the terminals that were sent.
    #[error("the server's answer does not fit what was sent: {why}; the package stays in the journal")]
    AnswerDoesNotFit {
        /// What does not fit.
        why: String,
    },
    /// The one who signed the collection may not approve it.
    #[error("{signer} signed this collection and cannot approve it: another person must")]
    OwnCollection {
        /// The name in both certificates.
        signer: String,
    },
    /// A request for collection windows that is not one, or asks for what no server opens.
    #[error("the request for collection windows is refused: {why}; have the operator ask again")]
    WindowRequest {
        /// What is wrong with it.
        why: String,
    },
    /// Who signed the request for collection windows is no operator.
    #[error("the request for collection windows is not signed with a good operator card: {0}")]
    WindowOperator(#[source] CertificateRefusal),
    /// The one who asked for collection windows may not open them.
    #[error(
        "this card and the one that signed the request have the same {what}: a second person must open windows"
    )]
    OwnRequest {
        /// What both have: certificate, key or subject.
        what: &'static str,
    },
    /// 409 to an order: another order is in its way.
    #[error("the server did not take the order (409): {text}; nothing was entered")]
    OrderConflict {
        /// What the server wrote.
        text: String,
    },
    /// 409 to the opening of collection windows.
    #[error(
        "the server opened no windows (409): {text}; a request opens windows once: have the operator ask again"
    )]
    WindowConflict {
        /// What the server wrote.
        text: String,
    },
    /// There is no revocation list yet.
    #[error("there is no revocation list at {}: fetch it from the server first", path.display())]
    CrlMissing {
        /// Where it would be.
        path: PathBuf,
    },
    /// There is no revocation list yet, and the server does not answer.
    #[error("there is no revocation list at {}, and none can be fetched: {why}", path.display())]
    CrlNotFetched {
        /// Where it would be.
        path: PathBuf,
        /// Why the server gave none.
        why: String,
    },
    /// The server has no revocation list.
    #[error("the server has no revocation list: install the CA's there first")]
    CrlNotAtServer,
    /// The revocation list was fetched too long ago.
    #[error(
        "the revocation list was fetched {hours} hours ago, more than the {max_hours} allowed: fetch it again"
    )]
    CrlTooOld {
        /// Its age.
        hours: u64,
        /// The limit.
        max_hours: u64,
    },
    /// The server offered a revocation list during the work that is not believed.
    #[error("the work stops, since the server's new revocation list is refused: {why}")]
    CrlRefused {
        /// Why.
        why: String,
    },
    /// The revocation list was fetched later than it is now.
    #[error("the revocation list was fetched at {fetched}, which is in the future: set the station's clock")]
    CrlFromFuture {
        /// When, RFC 3339.
        fetched: String,
    },
    /// The revocation list cannot be read.
    #[error("the revocation list cannot be read: {why}; fetch it again")]
    CrlMalformed {
        /// What is wrong with it.
        why: String,
    },
    /// A newly fetched list is older than the one at hand, or lacks an issuer.
    #[error(
        "the server's revocation list of {issuer} has number {found}, the one at hand {known}: someone may hide a revocation; ask the CA"
    )]
    CrlWentBack {
        /// Whose list.
        issuer: String,
        /// The number at hand.
        known: u64,
        /// The number that came; 0 where none came.
        found: u64,
    },
    /// There is no terminal to draw the console on, or it is gone.
    #[error("the console cannot use this terminal: {source}; without one, use `keyferry station collect`")]
    Screen {
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A part of the console has failed.
    #[error(
        "the console's own part {part:?} failed; nothing that was kept is lost: start it again, and report this"
    )]
    ConsoleFailed {
        /// Which.
        part: &'static str,
    },
    /// The file of the work certificate is none.
    #[error("{} is no certificate: {why}; fetch the KMS's work certificate again", path.display())]
    WorkCertificateUnreadable {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A time that no calendar has.
    #[error("{0} is no time that can be written as RFC 3339")]
    Time(i64),
}

impl Error {
    /// An error of the file system.
    pub(crate) fn file(act: &'static str, path: &std::path::Path) -> impl FnOnce(io::Error) -> Error {
        let path = path.to_owned();
        move |source| Error::File { act, path, source }
    }
}
