use std::{io, path::PathBuf};

use crate::{agreement::AgreementRefusal, backup::BackupRefusal, components::ComponentRefusal};

/// Why the software HSM could not start or make its folder.
#[derive(Debug, thiserror::Error)]
pub enum HsmSoftError {
    /// There is a local master key already.
    #[error("{0} holds a local master key already; choose another folder, nothing was changed")]
    AlreadyMade(PathBuf),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file that must be private is not.
    #[error("{path} can be read or written by others (mode {mode:o}); make it private: chmod 600")]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The sealed file is not one, or was cut.
    #[error("{0} is not a sealed local master key; restore it from its backup")]
    NotSealed(PathBuf),
    /// The passphrase is wrong, or the sealed file was changed: the seal cannot tell which.
    #[error("wrong passphrase, or {0} was changed")]
    WrongPassphrase(PathBuf),
    /// The passphrase is too short to seal keys under.
    #[error("the passphrase has {found} characters; {wanted} or more are needed")]
    ShortPassphrase {
        /// How many it has.
        found: usize,
        /// How many are needed.
        wanted: usize,
    },
    /// A self-test failed: nothing is served.
    #[error("self-test failed: {0}; this build or this machine must not be used")]
    SelfTest(&'static str),
    /// Random numbers are not to be had, or not good.
    #[error("no good random numbers: {0}")]
    Random(String),
    /// A protection of the process is missing.
    #[error("cannot {what}: {source}; the HSM does not start without it")]
    Process {
        /// Which protection.
        what: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A component, or a set of them, is refused.
    #[error(transparent)]
    Component(#[from] ComponentRefusal),
    /// Keys are not agreed by certificate.
    #[error(transparent)]
    Agreement(#[from] AgreementRefusal),
    /// A backup is not made, or does not open.
    #[error(transparent)]
    Backup(#[from] BackupRefusal),
    /// An act was refused as the HSM's commands are.
    #[error(transparent)]
    Refused(#[from] hsm::Refusal),
    /// Something in the cryptography failed that cannot fail with good input.
    #[error("internal: {0}")]
    Internal(&'static str),
}
