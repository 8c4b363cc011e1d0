//! Why the store could not do it.

use std::path::PathBuf;

use wire::Serial;

/// Why the store could not do it. Whatever the variant: **nothing of the act happened.**
///
/// The exceptions are [`StoreError::Unanswered`] and [`StoreError::Io`], which say so.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No such terminal.
    #[error("no terminal {0} in the store; collect it first")]
    NoSuchTerminal(Serial),
    /// No such acquirer.
    #[error("no acquirer {0:?} in the store; add it first")]
    NoSuchAcquirer(String),
    /// No such certificate.
    #[error("no certificate {0} in the store; add it before what refers to it")]
    NoSuchCertificate(String),
    /// No such order.
    #[error("no order {0:?} in the store; enter it first")]
    NoSuchOrder(String),
    /// No such batch.
    #[error("no batch {0} in the store")]
    NoSuchBatch(i64),
    /// No such vendor.
    #[error("no vendor {0:?} in the store; add it first")]
    NoSuchVendor(String),
    /// No such package of that vendor, or it is withdrawn.
    #[error("no package {0} of this vendor that may be deployed; publish it first")]
    NoSuchPackage(i64),
    /// A file lacks chunks, or has one of the wrong size.
    #[error("the file {path:?} is not {size} bytes in whole chunks; put every chunk before finishing it")]
    Unfinished {
        /// Which file.
        path: String,
        /// How large it was said to be.
        size: u64,
    },
    /// It is there already, and may not be written over.
    #[error("{what} {id:?} is in the store already")]
    AlreadyThere {
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        id: String,
    },
    /// Larger than the store takes.
    #[error("{what} is longer than {limit} bytes; the store does not take it")]
    TooLarge {
        /// What is too large.
        what: &'static str,
        /// How large it may be, in bytes.
        limit: usize,
    },
    /// More at once than the store takes.
    #[error("more than {limit} {what} at once; do it in several acts")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there may be.
        limit: usize,
    },
    /// A value that no such thing can have.
    #[error("{0}")]
    Invalid(&'static str),
    /// The disk is full.
    #[error("the disk is full: nothing was written; make room and try again")]
    DiskFull,
    /// The file cannot be written.
    #[error("the store is read-only: nothing was written; check the file's owner, mode and mount")]
    ReadOnly,
    /// Another process holds the file's write lock.
    #[error(
        "another process is writing to the store: nothing was written; stop it, or try again in a moment"
    )]
    Busy,
    /// The disk failed. The act shows nowhere; but if the machine goes down before the next commit, it may turn
    /// out to have reached the disk after all.
    #[error("the disk failed ({0}); check the disk before going on")]
    Io(String),
    /// The file is not what was once written to it.
    #[error("the store is damaged ({0}); stop the server and restore a backup")]
    Damaged(String),
    /// The file cannot be opened.
    #[error("cannot open {path}: {why}")]
    CannotOpen {
        /// Which file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// Others can read or write the file.
    #[error("{path} can be read or written by other users (mode {mode:03o}); run: chmod 600 {path}")]
    Permissions {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Some other program's file.
    #[error("{path} is not a Keyferry store; name the right file")]
    NotAStore {
        /// Which file.
        path: PathBuf,
    },
    /// Written by a newer version, or its migrations were tampered with.
    #[error(
        "the store's layout is not one that this version knows ({0}); use the version that wrote it, or a newer one"
    )]
    UnknownLayout(String),
    /// The act failed in an unforeseen way and was undone.
    #[error("an act panicked and was undone; please report this with the log")]
    ActPanicked,
    /// The store is closing.
    #[error("the store is closed")]
    Closed,
    /// The writer ended between taking the act and answering: whether it happened is known only after looking.
    #[error("the store ended before it answered; look whether the act happened before repeating it")]
    Unanswered,
    /// A rule of the database itself refused the act: a mistake in this program.
    #[error("the database's own rules refuse this ({0}); please report this")]
    Rule(String),
    /// Anything else the database says.
    #[error("the database refuses: {0}")]
    Database(String),
}
