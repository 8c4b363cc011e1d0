//! Where the root's private key is: in an encrypted file, or on a token, which makes it and never gives it out.

use std::path::Path;

use pki::{Certificate, Signer};
use zeroize::Zeroizing;

use super::log::Record;
use super::secret::{MIN_PASSPHRASE_CHARS, MIN_PIN_PART_CHARS, Secret};
use super::{KEY_FILE, NewCa, hand_over};
use crate::error::Error;
use crate::files::{self, Mode};
use crate::keyfile;
use crate::token::{MAX_URI_LEN, Token, TokenUri};

/// Names the token, where the key is on one.
const TOKEN_FILE: &str = "root.token";
/// The key's label on a token, unless the URI names another.
const KEY_LABEL: &str = "root";

pub(super) type Key = Box<dyn Signer + Send + Sync>;

/// Whether there is a key, or the name of the token that has it.
pub(super) fn is_there(dir: &Path) -> bool {
    dir.join(KEY_FILE).is_file() || dir.join(TOKEN_FILE).is_file()
}

/// A new root key.
pub(super) struct NewKey {
    pub(super) key: Key,
    on: Option<(Token, Zeroizing<String>)>,
}

impl NewKey {
    /// Refuses what no new CA is put under, before anything is made.
    pub(super) fn check(new: &NewCa, secret: &Secret<'_>) -> Result<(), Error> {
        match (&new.token, secret) {
            (None, _) => secret.check_new(MIN_PASSPHRASE_CHARS)?,
            (Some(_), Secret::Two(_)) => secret.check_new(MIN_PIN_PART_CHARS)?,
            // The token has its own rules, and refuses by them.
            (Some(_), Secret::One(_)) => {}
        }
        secret.of(new.custodians.as_ref()).map(|_| ())
    }

    /// Makes it, and writes into the CA's folder what opens it again.
    pub(super) fn make(dir: &Path, new: &NewCa, secret: &Secret<'_>) -> Result<Self, Error> {
        let custodians = new.custodians.as_ref();
        match &new.token {
            None => {
                let (key, pem) = keyfile::generate(new.key, &secret.passphrase(custodians)?)?;
                keyfile::write(&dir.join(KEY_FILE), &pem)?;
                Ok(Self { key: Box::new(key), on: None })
            }
            Some(uri) => {
                let label = uri.object().unwrap_or(KEY_LABEL);
                let uri = uri.clone().with_object(label);
                let (token, pin) = (Token::find(&uri)?, secret.pin(custodians)?);
                let key = token.make_key(&pin, new.key, label)?;
                let name = format!("{}\n", token.exact_uri());
                files::create(&dir.join(TOKEN_FILE), name.as_bytes(), Mode::Public)?;
                Ok(Self { key: Box::new(key), on: Some((token, pin)) })
            }
        }
    }

    /// The token that it is on.
    pub(super) fn token(&self) -> Option<String> {
        self.on.as_ref().map(|(token, _)| token.exact_uri().to_string())
    }

    /// Keeps the root beside its key on the token, so that the token says what it is.
    pub(super) fn keep(&self, root: &Certificate) -> Result<(), Error> {
        match &self.on {
            Some((token, pin)) => token.keep_certificates(pin, root, &[]),
            None => Ok(()),
        }
    }
}

/// The token that has the key, as the folder names it.
pub(super) fn token(dir: &Path) -> Result<Option<TokenUri>, Error> {
    let name = dir.join(TOKEN_FILE);
    if !name.is_file() {
        return Ok(None);
    }
    let limit = u64::try_from(MAX_URI_LEN).unwrap_or(u64::MAX).saturating_add(1); // and its line end
    files::read(&name, limit)?.trim_end().parse().map(Some)
}

/// Opens the key with what its keepers gave.
pub(super) fn open(dir: &Path, record: &Record, secret: &Secret<'_>) -> Result<Key, Error> {
    let custodians = record.custodians();
    if let Some(uri) = token(dir)? {
        let pin = secret.pin(hand_over::keepers_of(record, secret)?)?;
        return Ok(Box::new(Token::find(&uri)?.open(&pin)?));
    }
    let passphrase = secret.passphrase(custodians)?;
    hand_over::settle(dir, record)?;
    match keyfile::open(&keyfile::read(&dir.join(KEY_FILE))?, &passphrase) {
        Ok(key) => Ok(Box::new(key)),
        Err(Error::WrongPin) if let Some(both) = custodians => {
            Err(Error::WrongPassphrases { custodians: both.to_string() })
        }
        Err(error) => Err(error),
    }
}
