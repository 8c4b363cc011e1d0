//! The crate's error: what is wrong with a terminal on this machine.
//!
//! What goes wrong in a conversation is a fault of its flow, a [`LinkError`](crate::LinkError) or a
//! [`DownloadError`](crate::DownloadError) instead.

use std::path::PathBuf;

use flows::{PadRefusal, tmk_download};
use paycrypto::tk::TkDefect;

/// Why a terminal could not be made, opened or changed. Never carries key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The folder holds no terminal.
    #[error("{} holds no terminal: name another folder, or make one with `keyferry terminal new`", .folder.display())]
    NotATerminal {
        /// The folder.
        folder: PathBuf,
    },
    /// A new terminal was to be made where one is.
    #[error("{} holds a terminal already: name another folder, or remove this one if it is no longer wanted", .folder.display())]
    AlreadyATerminal {
        /// The folder.
        folder: PathBuf,
    },
    /// A new terminal was to be made in storage that holds one.
    #[error("this storage holds a terminal already: open it, or take another")]
    StorageNotEmpty,
    /// Another process, or another part of this one, uses the terminal.
    #[error("the terminal in {} is in use by another process: wait until it ends", .folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The file that stands for battery-backed memory is gone, and with it every key.
    #[error(
        "{} is gone: the battery was removed and every key with it; make the terminal anew and collect it again",
        .file.display()
    )]
    BatteryRemoved {
        /// The missing file.
        file: PathBuf,
    },
    /// Others than the owner may read the battery-backed memory.
    #[error("{} may be read by others (mode {mode:03o}): set it to 600 and decide whether its keys are still secret", .file.display())]
    BatteryExposed {
        /// The file.
        file: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The battery-backed memory does not have its length.
    #[error("{} has {found} bytes instead of 32: it is damaged; make the terminal anew", .file.display())]
    BatteryDamaged {
        /// The file.
        file: PathBuf,
        /// Bytes found.
        found: usize,
    },
    /// A state file is gone while the battery is there.
    #[error("the terminal's {what} is gone: restore its file, or make the terminal anew")]
    StateMissing {
        /// Which state.
        what: &'static str,
    },
    /// A state does not open or cannot be read: changed, of another terminal, or of another version.
    #[error(
        "the terminal's {what} was changed, or belongs to another terminal or version: make the terminal anew"
    )]
    StateDamaged {
        /// Which state.
        what: &'static str,
    },
    /// The PIN pad's state and the device's name different PIN pads.
    #[error(
        "the PIN pad has the serial {found}, the device expects {expected}: files of two terminals were mixed"
    )]
    OtherPinPad {
        /// What the device expects.
        expected: wire::Serial,
        /// What the PIN pad says.
        found: wire::Serial,
    },
    /// The stored TK does not pass its check.
    #[error(transparent)]
    Tk(#[from] TkDefect),
    /// A file operation failed. Nothing was changed.
    #[error("cannot {act} {}: {source}", .path.display())]
    Io {
        /// What was being done.
        act: &'static str,
        /// To what.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Vendor and model go together.
    #[error("a terminal has a vendor and a model, or neither: give both")]
    VendorWithoutModel,
    /// A serial, or the pair of them, is none.
    #[error(transparent)]
    Malformed(#[from] wire::Malformed),
    /// A root certificate cannot be used.
    #[error("the root {subject} cannot be used: it is no CA certificate")]
    NotARoot {
        /// Whom it names.
        subject: String,
    },
    /// A root for trials beside one for production, or the reverse: a terminal is one thing for life.
    #[error(transparent)]
    OtherEstate(pki::Error),
    /// Random numbers or sealing failed.
    #[error(transparent)]
    Crypto(#[from] paycrypto::Error),
    /// The PIN pad refused.
    #[error(transparent)]
    Pad(#[from] tmk_download::PadRefusal),
    /// The PIN pad refused something outside of a TMK download.
    #[error(transparent)]
    PinPad(#[from] PadRefusal),
    /// A board file cannot be used.
    #[error("{} is no board file: {why}; remove it for a board with nominal readings", .file.display())]
    BoardFile {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// A sensor's operating range is not inside its tamper range.
    #[error("the operating range of the {sensor} must lie inside its tamper range")]
    SensorRanges {
        /// Which sensor.
        sensor: &'static str,
    },
    /// A revocation list that no root of this terminal signed.
    #[error("no root of this terminal signed the revocation list of {issuer}")]
    ForeignCrl {
        /// In whose name it is.
        issuer: String,
    },
    /// A revocation list whose number does not rise.
    #[error("the revocation list of {issuer} has the number {found}, and {held} is here: bring a newer one")]
    OldCrl {
        /// Whose it is.
        issuer: String,
        /// The number of the list held.
        held: u64,
        /// The number that came.
        found: u64,
    },
    /// A root was to be exchanged that is the vendor's.
    #[error("the role {role} is the vendor's: an acquirer's root is for kms-work, downloader and rks-work")]
    VendorRole {
        /// The role.
        role: pki::Role,
    },
}
