//! What can be wrong with a journal, and what to do then.

use std::{io, path::PathBuf};

/// Why a journal was refused, or could not be written. No text holds a passphrase or what a record says.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// There is no journal in this folder.
    #[error(
        "there is no journal in {}: correct [collect] journal, or make one with `keyferry station journal --new`",
        folder.display()
    )]
    Missing {
        /// The folder.
        folder: PathBuf,
    },
    /// There is one already.
    #[error("there is a journal in {} already; it stays as it is", folder.display())]
    Exists {
        /// The folder.
        folder: PathBuf,
    },
    /// Another process has it open.
    #[error("another station process uses the journal {}: wait until it is done, or close it", folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The passphrase opens nothing.
    #[error("wrong station passphrase for the journal {}", folder.display())]
    WrongPassphrase {
        /// The folder.
        folder: PathBuf,
    },
    /// The new passphrase is too short.
    #[error("the station passphrase has {found} characters and needs at least {wanted}")]
    ShortPassphrase {
        /// Characters it has.
        found: usize,
        /// Characters it needs.
        wanted: usize,
    },
    /// The file with the key is not what was written, or is gone.
    #[error(
        "{} is damaged or missing: without it the journal cannot be read. Put back a copy of this file; if there is none, \
         move the folder away, make a new journal with `keyferry station journal --new`, and collect again what was not uploaded",
        path.display()
    )]
    Key {
        /// The file.
        path: PathBuf,
    },
    /// The journal is not what was written.
    #[error(
        "the journal {} is damaged at record {record}: {damage}. Nothing was changed; keep a copy of the folder for whoever \
         looks into it. {}",
        path.display(), damage.advice()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The number of the first record that is not sound; numbers begin at 1 and run on over files.
        record: u64,
        /// What was found.
        damage: Damage,
    },
    /// A record could not be written; it is not in the journal.
    #[error("cannot write the journal {}: {source}; make room on the disk, then try again", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// An earlier failure leaves it open what is on the disk.
    #[error("the journal {} could not be written before: end this program and start it again", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
    },
    /// A record is longer than a journal takes.
    #[error(
        "a record of {found} bytes is longer than the {max} that the journal takes: collect fewer terminals in one run"
    )]
    TooLong {
        /// Bytes it has.
        found: usize,
        /// The limit.
        max: usize,
    },
    /// No open package has this name.
    #[error("no package {name} waits in the journal; list them with `keyferry station journal`")]
    NoSuchPackage {
        /// What was asked for.
        name: String,
    },
    /// What was collected under two cards can be packed under these two only.
    #[error(
        "collected by {operator} with {administrator}: these two pack it (keyferry station pack), or the terminals are \
         collected again"
    )]
    OtherPeople {
        /// The operator who collected.
        operator: String,
        /// The administrator who was there.
        administrator: String,
    },
    /// The system gave no random numbers, or refused a calculation.
    #[error("{0}; restart the station")]
    Crypto(&'static str),
}

/// In what way a journal is not what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Damage {
    /// The record is not the one that was written in this place.
    #[error("it is not the record that was written there: one was changed, taken out, put in or moved")]
    Record,
    /// The head of the file.
    #[error("the head of the file was changed, or the file was moved")]
    Head,
    /// The file is of another journal.
    #[error("the file is of another journal")]
    OtherJournal,
    /// Records that were on the disk are not there.
    #[error("its last records, which were on the disk, are gone")]
    Cut,
    /// The mark is not there, or not one of this journal.
    #[error(
        "its mark, which says how far it was on the disk, is gone or was changed: records at its end may be gone too"
    )]
    Mark,
    /// A whole file is not there.
    #[error("a file of the journal is gone")]
    File,
    /// Sound, and not understood.
    #[error("it is sound and says what this version does not know: use the version that wrote it")]
    Meaning,
}

impl Damage {
    /// What to do next.
    fn advice(self) -> &'static str {
        match self {
            Self::Record | Self::Cut | Self::Mark => {
                "Then go on with what is sound in it: `keyferry station journal --rescue`"
            }
            Self::Head | Self::OtherJournal | Self::File => {
                "Put the file that belongs there back; if there is none, move the folder away, make a new journal with \
                 `keyferry station journal --new`, and collect again what was not uploaded"
            }
            Self::Meaning => "Nothing is lost",
        }
    }
}
