//! The crate's error: what went wrong, and what to do next.

use std::path::{Path, PathBuf};

use crate::token::PinState;

/// Why an act with a key file, a card or the CA did not happen. No text holds a PIN or key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The PIN or passphrase does not open the key.
    #[error("the PIN or passphrase is wrong (or the key file is damaged); nothing was opened")]
    WrongPin,
    /// The PIN or passphrase chosen for a new key is too short.
    #[error(
        "the PIN or passphrase has fewer than {min} characters; choose a longer one: a file cannot lock itself"
    )]
    ShortPin {
        /// The least number of characters.
        min: usize,
    },
    /// One of the two passphrases is wrong; which one is not known, and would tell too much.
    #[error(
        "one of the two passphrases is wrong, or they came in the wrong order ({custodians}); nothing was opened"
    )]
    WrongPassphrases {
        /// Whose are asked for, in order.
        custodians: String,
    },
    /// Two people keep the CA, and one came alone.
    #[error("two people keep this CA, {custodians}: both give their passphrase; neither opens it alone")]
    TwoPeople {
        /// Who they are.
        custodians: String,
    },
    /// Two secrets for a CA that has one.
    #[error("this CA has one passphrase; give one (two people keep a CA that was made with --two-people)")]
    OnePerson,
    /// Both custodians gave the same secret: that is one person, or two who know each other's.
    #[error("both gave the same secret: two people each have one of their own, unknown to the other")]
    SameSecret,
    /// Both custodians are one person.
    #[error("{name} is named twice: two people keep a CA, and neither opens it alone")]
    SamePerson {
        /// The name.
        name: String,
    },
    /// A custodian's name that cannot be recorded.
    #[error("a custodian's name has 1 to 64 characters; write it as the person's papers have it")]
    CustodianName,
    /// A secret of several lines.
    #[error("a passphrase or PIN is one line of text; choose another")]
    SecretOfLines,
    /// A key size that is not made.
    #[error("RSA keys of {bits} bits are not made; choose 2048, 3072 or 4096")]
    KeySize {
        /// Bits asked for.
        bits: usize,
    },
    /// The key file is not an encrypted PKCS #8 key of a kind that is read here.
    #[error("the key file cannot be read: {0}")]
    KeyFile(&'static str),
    /// The key and the certificate beside it do not belong together.
    #[error("the key is not the one that the certificate of {subject} was issued for")]
    KeyMismatch {
        /// Whose certificate.
        subject: String,
    },
    /// A card file without a certificate.
    #[error("the card {path} holds no certificate; write the card again with the certificate the CA issued")]
    NoCertificate {
        /// The card's file.
        path: PathBuf,
    },
    /// The library made no key or signature, or the operating system gave no random numbers.
    #[error("{0}; try again")]
    Crypto(&'static str),
    /// A file or folder that must be new exists.
    #[error("{path} exists already; nothing was changed: choose another place, or move it away first")]
    Exists {
        /// The file or folder.
        path: PathBuf,
    },
    /// The operating system refused.
    #[error("cannot {action} {path}: {source}")]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A file is longer than any of its kind.
    #[error("{path} has more than {max} bytes: it is not what it should be")]
    TooLong {
        /// The file.
        path: PathBuf,
        /// The limit in bytes.
        max: u64,
    },
    /// Another process has the CA open.
    #[error("the CA in {path} is in use by another process; wait until it is done")]
    Busy {
        /// The CA's folder.
        path: PathBuf,
    },
    /// The folder holds no CA.
    #[error("there is no CA in {path}; make one with `keyferry ca root`")]
    NoCa {
        /// The folder.
        path: PathBuf,
    },
    /// The CA's log does not hang together: someone changed it.
    #[error("line {line} of the CA's log {path}: {why}; compare with a backup before issuing anything")]
    Log {
        /// The log.
        path: PathBuf,
        /// Counted from 1.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// Files of the CA do not agree with its log.
    #[error("the CA in {path} does not agree with its log: {why}; compare with a backup")]
    Inconsistent {
        /// The folder.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// No certificate with this serial number was issued here.
    #[error("this CA issued no certificate with the serial number {serial}; `keyferry ca list` shows them")]
    UnknownSerial {
        /// What was asked for.
        serial: String,
    },
    /// The certificate is revoked already.
    #[error("the certificate {serial} is revoked already; `keyferry ca crl` renews the list")]
    AlreadyRevoked {
        /// Its serial number.
        serial: String,
    },
    /// The key has a certificate for another use: one key, one use.
    #[error("this key has the {found} certificate {serial} already; make a new key for another use")]
    KeyInUse {
        /// What it is certified for.
        found: String,
        /// By which certificate.
        serial: String,
    },
    /// The request is for another PIN pad.
    #[error(
        "the request names {found}, not the PIN pad {wanted}: compare the serials before anything is certified"
    )]
    DeviceSerial {
        /// What its subject says.
        found: String,
        /// The PIN pad's serial, as the person said it.
        wanted: String,
    },
    /// The key is that of another PIN pad.
    #[error(
        "this key was certified for the PIN pad {pin_pad}: two PIN pads never have one key; find out which made it"
    )]
    DeviceKeyTaken {
        /// The other PIN pad.
        pin_pad: String,
    },
    /// The PIN pad has another key whose certificate is in force.
    #[error("the PIN pad {pin_pad} has another key, certified by {serial}: revoke that certificate first")]
    DeviceCertified {
        /// Its serial.
        pin_pad: String,
        /// The certificate's serial number.
        serial: String,
    },
    /// A name of a token that is none.
    #[error("this is no name of a token: {why}; write pkcs11:token=LABEL?module-path=/…/module.so")]
    TokenUri {
        /// What is wrong with it.
        why: String,
    },
    /// A PKCS #11 module cannot be used.
    #[error(
        "the PKCS #11 module {module} cannot be used: {why}; check its path and that its reader service runs"
    )]
    TokenModule {
        /// The module.
        module: PathBuf,
        /// What the system or the module said.
        why: String,
    },
    /// The token is not there, or not any more.
    #[error("the token {token} is not there: insert it and begin again")]
    TokenMissing {
        /// Its label.
        token: String,
    },
    /// Several things on or behind a module fit the name.
    #[error("several {what} fit the name of the token {token}: say which one, by {by}=… in its URI")]
    TokenAmbiguous {
        /// The token's label.
        token: String,
        /// What there are several of.
        what: String,
        /// The attribute of a URI that tells them apart.
        by: &'static str,
    },
    /// The token holds no certificate that fits.
    #[error(
        "the token {token} holds no such certificate: have its key certified, and the certificate kept on it"
    )]
    TokenNoCertificate {
        /// Its label.
        token: String,
    },
    /// The token holds no private key that fits.
    #[error("the token {token} holds no such key: check the label of the key in its URI")]
    TokenNoKey {
        /// Its label.
        token: String,
    },
    /// A key on a token is not one that is used here.
    #[error("the key on the token {token} is refused: {why}")]
    TokenKey {
        /// The token's label.
        token: String,
        /// What is wrong with it.
        why: String,
    },
    /// A key of this label is on the token already.
    #[error("the token {token} has a key {label} already; nothing was changed: choose another label")]
    TokenKeyExists {
        /// The token's label.
        token: String,
        /// The key's.
        label: String,
    },
    /// The token refused the PIN.
    #[error("the PIN of the token {token} is wrong: {state}")]
    WrongTokenPin {
        /// Its label.
        token: String,
        /// What the token tells now.
        state: PinState,
    },
    /// A PIN of a length that the token does not take. No try was spent.
    #[error("the token {token} takes PINs of {min} to {max} bytes; choose another: nothing was changed")]
    TokenPinLength {
        /// Its label.
        token: String,
        /// Fewest bytes.
        min: usize,
        /// Most bytes.
        max: usize,
    },
    /// The token's own rules refuse the PIN.
    #[error("the token {token} refuses this PIN by its own rules, such as digits only; choose another")]
    TokenPinRefused {
        /// Its label.
        token: String,
    },
    /// No PIN was given to a token whose reader asks for none.
    #[error("no PIN was given for the token {token}, and its reader has no keys: type it; no try was spent")]
    NoPin {
        /// Its label.
        token: String,
    },
    /// The PIN is typed at the reader, where this program cannot change it.
    #[error(
        "the PIN of the token {token} is typed at its reader: change it with the maker's program; no try was spent"
    )]
    PinAtReader {
        /// Its label.
        token: String,
    },
    /// A handing over was broken off, and who gives a PIN does not say whose it is.
    #[error(
        "handing this CA over from {from} to {to} was broken off: have both come, and run `keyferry ca hand-over` again \
         with the same new names, the old secrets and the new: it finds out whose stand"
    )]
    HandOverUnsettled {
        /// Who kept it.
        from: String,
        /// Who was to keep it.
        to: String,
    },
    /// The token is locked.
    #[error(
        "the token {token} is locked and no PIN was tried: have it unlocked by who holds its PUK or SO PIN"
    )]
    PinLocked {
        /// Its label.
        token: String,
    },
    /// The token has no PIN yet.
    #[error("the token {token} has no PIN yet: have it made ready by who holds its SO PIN")]
    PinNotSet {
        /// Its label.
        token: String,
    },
    /// A token of this label is there already.
    #[error("a token {label} is there already; nothing was changed: choose another label")]
    TokenTaken {
        /// The label.
        label: String,
    },
    /// No token behind the module is without a label.
    #[error(
        "no uninitialised token that fits is there behind {module}: insert an empty one, and check serial, manufacturer and \
         model if its URI names them"
    )]
    NoFreeToken {
        /// The module.
        module: PathBuf,
    },
    /// A token or its module refused or failed.
    #[error("the token {token} did not {act}: {why}")]
    Token {
        /// Its label.
        token: String,
        /// What was tried.
        act: &'static str,
        /// What the module said.
        why: String,
    },
    /// A certificate, request or list could not be read or made.
    #[error(transparent)]
    Pki(#[from] pki::Error),
}

impl Error {
    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { action, path, source }
    }
}
