//! An operator's or administrator's card as a file: the encrypted key, its certificate, and the chain, in one
//! PEM text. It stands in for a smart card; what it cannot do is said in the crate's first lines: it cannot
//! lock itself after wrong PINs.

use std::path::{Path, PathBuf};

use pki::{Certificate, Signer as _};

use crate::error::Error;
use crate::files::{self, Mode};
use crate::keyfile::{self, SoftSigner};

/// The file's name inside a card's folder.
pub const CARD_FILE: &str = "card.pem";
/// Longest card file read, in bytes.
pub const MAX_CARD_LEN: u64 = 128 * 1024;

/// An opened card.
#[derive(Debug)]
pub struct Card {
    /// The key: signs until it is dropped.
    pub signer: SoftSigner,
    /// The certificate of the key.
    pub certificate: Certificate,
    /// The certificates from it towards the root, nearest first.
    pub chain: Vec<Certificate>,
}

/// What a card shows without its PIN.
#[derive(Debug, Clone)]
pub struct CardFace {
    /// The certificate of the card's key.
    pub certificate: Certificate,
    /// The certificates from it towards the root, nearest first.
    pub chain: Vec<Certificate>,
}

/// Writes a card: a file that must not exist yet, mode 0600. A folder in place of a file gets a
/// [`CARD_FILE`] in it. `key_pem` comes from [`keyfile::generate`], `certificate` and `chain` from the CA.
///
/// # Errors
/// [`Error::KeyFile`] when `key_pem` is not encrypted, [`Error::Exists`], [`Error::Io`].
pub fn write_card(
    path: &Path,
    key_pem: &str,
    certificate: &Certificate,
    chain: &[Certificate],
) -> Result<(), Error> {
    let text = card_text(key_block(key_pem)?, certificate, chain);
    files::create(&file(path), text.as_bytes(), Mode::Secret)
}

/// Puts a certificate onto a card whose key was made before it: the key file of [`keyfile::write`] becomes a card, and a
/// card that has a certificate gets the new one in its place. The file is replaced in one step.
///
/// # Errors
/// [`Error::WrongPin`]; [`Error::KeyMismatch`] for a certificate of another key; [`Error::KeyFile`], [`Error::Io`].
pub fn install(
    path: &Path,
    pin: &str,
    certificate: &Certificate,
    chain: &[Certificate],
) -> Result<(), Error> {
    let path = file(path);
    let text = files::read(&path, MAX_CARD_LEN)?;
    let key = key_block(&text)?;
    if keyfile::open(key, pin)?.spki_der() != certificate.spki_der() {
        return Err(Error::KeyMismatch { subject: certificate.subject().to_string() });
    }
    files::replace(&path, card_text(key, certificate, chain).as_bytes(), Mode::Secret)
}

/// Opens a card with its PIN and checks that key and certificate belong together.
///
/// # Errors
/// [`Error::WrongPin`], [`Error::KeyMismatch`], [`Error::NoCertificate`], [`Error::KeyFile`], [`Error::Io`].
pub fn read_card(path: &Path, pin: &str) -> Result<Card, Error> {
    let text = files::read(&file(path), MAX_CARD_LEN)?;
    let face = face(path, &text)?;
    let signer = keyfile::open(key_block(&text)?, pin)?;
    if signer.spki_der() != face.certificate.spki_der() {
        return Err(Error::KeyMismatch { subject: face.certificate.subject().to_string() });
    }
    Ok(Card { signer, certificate: face.certificate, chain: face.chain })
}

/// Reads what a card shows without its PIN.
///
/// # Errors
/// [`Error::NoCertificate`], [`Error::Pki`], [`Error::Io`].
pub fn read_face(path: &Path) -> Result<CardFace, Error> {
    face(path, &files::read(&file(path), MAX_CARD_LEN)?)
}

/// Puts another PIN on a card; the old file is replaced in one step.
///
/// # Errors
/// As [`read_card`]; [`Error::ShortPin`].
pub fn change_pin(path: &Path, pin: &str, new_pin: &str) -> Result<(), Error> {
    let path = file(path);
    let text = files::read(&path, MAX_CARD_LEN)?;
    let face = face(&path, &text)?;
    let new = keyfile::change_pin(key_block(&text)?, pin, new_pin)?;
    let new = card_text(key_block(&new)?, &face.certificate, &face.chain);
    files::replace(&path, new.as_bytes(), Mode::Secret)
}

/// Key, certificate and chain, one after another.
fn card_text(key: &str, certificate: &Certificate, chain: &[Certificate]) -> String {
    let certificates = std::iter::once(certificate).chain(chain);
    certificates.fold(format!("{key}\n"), |text, member| text + &member.pem())
}

fn file(path: &Path) -> PathBuf {
    if path.is_dir() { path.join(CARD_FILE) } else { path.to_owned() }
}

fn face(path: &Path, text: &str) -> Result<CardFace, Error> {
    let mut certificates = Certificate::all_from_pem(text)?.into_iter();
    let certificate = certificates.next().ok_or_else(|| Error::NoCertificate { path: path.to_owned() })?;
    Ok(CardFace { certificate, chain: certificates.collect() })
}

/// The encrypted key of a text, from its first dash to its last.
fn key_block(text: &str) -> Result<&str, Error> {
    let (begin, end) =
        (format!("-----BEGIN {}-----", keyfile::LABEL), format!("-----END {}-----", keyfile::LABEL));
    let missing = || Error::KeyFile("it holds no ENCRYPTED PRIVATE KEY");
    let start = text.find(&begin).ok_or_else(missing)?;
    let from_start = text.get(start..).ok_or_else(missing)?;
    let stop = from_start.find(&end).ok_or_else(missing)?;
    from_start.get(..stop + end.len()).ok_or_else(missing)
}
