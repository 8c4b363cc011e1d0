//! What is wrong with a KLD, its run or what it was given, and what to do next.

use std::path::PathBuf;

use pki::CertificateRefusal;
use wire::{Serial, Suite};

use crate::Error;

/// Why a KLD refused or could not go on. No text holds key material or a PIN.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KldError {
    /// Cards, files, the server: as at a station.
    #[error(transparent)]
    Station(#[from] Error),
    /// The HSM refused or cannot be reached.
    #[error(transparent)]
    Hsm(#[from] hsm::HsmError),
    /// The KLD was opened without its HSM.
    #[error("this needs the KLD's HSM, which is not running: open the KLD with it")]
    NoHsm,
    /// There is a KLD already.
    #[error("{} is a KLD already; nothing was changed: choose another folder", path.display())]
    AlreadyMade {
        /// The folder.
        path: PathBuf,
    },
    /// Another process uses the KLD.
    #[error("another process uses the KLD in {}: wait until it is done", path.display())]
    InUse {
        /// The folder.
        path: PathBuf,
    },
    /// The KLD's own file cannot be read.
    #[error("{} is damaged: {why}; restore the KLD's folder from its backup", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A line of a run's journal is not what was written.
    #[error(
        "the journal {} was changed at line {line}: nobody can say which terminals were served; load no more under it",
        path.display()
    )]
    JournalDamaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1; 0 where it is no text at all.
        line: usize,
    },
    /// A name is not one that certificates and reports can carry.
    #[error("{text:?} is no name for {what}: 1 to 32 of A-Z a-z 0-9 - . _")]
    Name {
        /// Of what.
        what: &'static str,
        /// What was written.
        text: String,
    },
    /// No key pair has been made.
    #[error("this KLD has no key pair yet: make it and its request first (kld request)")]
    NoKeyPair,
    /// No certificate has been installed.
    #[error("this KLD has no downloader certificate: have its request signed and install it (kld install)")]
    NoCertificate,
    /// The certificate is of another key.
    #[error("the certificate is not of this KLD's key: have the newest request signed")]
    OtherKey,
    /// The file holds no certificate, or cannot be read.
    #[error("no certificate can be read: {why}")]
    CertificateUnreadable {
        /// What is wrong with it.
        why: String,
    },
    /// The certificate is refused.
    #[error("the downloader certificate is refused: {0}")]
    CertificateRefused(#[source] CertificateRefusal),
    /// No exchange key of this suite.
    #[error(
        "this KLD has no exchange key of suite {suite}, under which the KMS takes its report: agree one by components and import it first"
    )]
    NoExchangeKey {
        /// The suite.
        suite: Suite,
    },
    /// A suite that this KLD has not.
    #[error("suite {suite} is none that this KLD loads in: 01 and 02 are")]
    Suite {
        /// The suite asked for.
        suite: Suite,
    },
    /// No such DIK1.
    #[error("no DIK1 {} is here: import it first", label.as_deref().unwrap_or("at all"))]
    NoDik1 {
        /// The label asked for.
        label: Option<String>,
    },
    /// Several DIK1, and none was named.
    #[error("there are several DIK1 here: say from which to derive, dik2:LABEL")]
    WhichDik1,
    /// What is to be loaded cannot be read.
    #[error("{text:?} is nothing to load: write tmk:SLOT with a slot from 0 to 99, dmk, dik2 or dik2:LABEL")]
    What {
        /// What was written.
        text: String,
    },
    /// Nothing is to be loaded.
    #[error("say what each terminal of the run gets: tmk:SLOT, dmk, dik2")]
    NothingToLoad,
    /// Two keys for one place.
    #[error("{what} stands for a place that another key of this run goes to: name each place once")]
    PlaceTwice {
        /// The first of them.
        what: String,
    },
    /// A line of the list is no terminal.
    #[error(
        "line {number} of the list is no terminal: {line:?}; write its serial, and behind it that of an external PIN pad"
    )]
    ListLine {
        /// The line, from 1.
        number: usize,
        /// What stands there.
        line: String,
    },
    /// A serial stands twice in the list.
    #[error("{sn} stands twice in the list: each terminal is served once")]
    ListedTwice {
        /// The serial.
        sn: Serial,
    },
    /// The list is empty.
    #[error("the list names no terminal: a run is against a list of those that it may serve")]
    EmptyList,
    /// The list is too long.
    #[error("the list has more than {max} terminals: divide it into several runs")]
    LongList {
        /// The limit.
        max: usize,
    },
    /// A run is open already.
    #[error("run {run} is open: close it first (kld run close)")]
    RunOpen {
        /// Its name.
        run: String,
    },
    /// No run is open.
    #[error("no run is open: open one under both cards (kld run open)")]
    NoRun,
    /// The run is closed.
    #[error("run {run} is closed: open another")]
    RunClosed {
        /// Its name.
        run: String,
    },
    /// The run was stopped.
    #[error(
        "run {run} was stopped: {why}; close it, and find out which terminal is the true one before you go on"
    )]
    RunStopped {
        /// Its name.
        run: String,
        /// Why.
        why: String,
    },
}
