//! Where a card is, as settings and command lines say it.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use custody::token::TokenUri;
use serde::{Deserialize, Deserializer, de::Error as _};

use super::{FileCard, TokenCard};
use crate::{Card, Error};

/// Where a card is: a file, or a token by its PKCS #11 URI.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CardSource {
    /// A file, or a folder with a `card.pem`.
    File(PathBuf),
    /// A token: `pkcs11:token=LABEL?module-path=/…/module.so`.
    Token(Box<TokenUri>),
}

impl CardSource {
    /// The card there, as it shows itself without its PIN.
    ///
    /// # Errors
    /// [`Error::CardMissing`], [`Error::CardUnreadable`].
    pub fn insert(&self) -> Result<Box<dyn Card>, Error> {
        Ok(match self {
            CardSource::File(path) => Box::new(FileCard::insert(path)?),
            CardSource::Token(uri) => Box::new(TokenCard::insert(uri)?),
        })
    }

    /// The same, where a relative path begins in this folder.
    #[must_use]
    pub fn within(&self, folder: &Path) -> CardSource {
        match self {
            CardSource::File(path) => CardSource::File(folder.join(path)),
            token @ CardSource::Token(_) => token.clone(),
        }
    }
}

impl FromStr for CardSource {
    type Err = Error;

    fn from_str(text: &str) -> Result<CardSource, Error> {
        if !TokenUri::is_meant(text) {
            return Ok(CardSource::File(text.into()));
        }
        match text.parse() {
            Ok(uri) => Ok(CardSource::Token(Box::new(uri))),
            Err(error) => Err(Error::CardSource { why: error.to_string() }),
        }
    }
}

/// A string in a settings file.
impl<'de> Deserialize<'de> for CardSource {
    fn deserialize<D: Deserializer<'de>>(text: D) -> Result<CardSource, D::Error> {
        String::deserialize(text)?.parse().map_err(D::Error::custom)
    }
}

impl fmt::Display for CardSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CardSource::File(path) => path.display().fmt(f),
            CardSource::Token(uri) => uri.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_uri_means_a_token_and_everything_else_a_file() {
        let uri = "pkcs11:token=Olga?module-path=/m.so";
        let token: CardSource = uri.parse().unwrap();
        assert!(matches!(&token, CardSource::Token(uri) if uri.label() == "Olga"));
        assert_eq!((token.to_string().as_str(), &token.within(Path::new("/station"))), (uri, &token));
        let file: CardSource = "cards/operator.pem".parse().unwrap();
        assert_eq!(
            file.within(Path::new("/station")),
            CardSource::File("/station/cards/operator.pem".into())
        );
        assert_eq!(file.to_string(), "cards/operator.pem");
    }

    #[test]
    fn a_uri_with_a_defect_is_no_file_name() {
        let error = "pkcs11:token=Olga?pin-value=123456".parse::<CardSource>().unwrap_err();
        assert!(matches!(&error, Error::CardSource { why } if why.contains("pin-value")), "{error}");
        assert!(!error.to_string().contains("123456"));
    }

    #[test]
    fn a_settings_file_names_either() {
        #[derive(Deserialize)]
        struct Cards {
            card: CardSource,
        }
        let read = |text: &str| toml::from_str::<Cards>(text).map(|cards| cards.card);
        assert!(matches!(read("card = 'a.pem'"), Ok(CardSource::File(_))));
        assert!(matches!(read("card = 'pkcs11:token=a?module-path=/m.so'"), Ok(CardSource::Token(_))));
        let error = read("card = 'pkcs11:token=a'").unwrap_err();
        assert!(error.to_string().contains("names no module"), "{error}");
    }
}
