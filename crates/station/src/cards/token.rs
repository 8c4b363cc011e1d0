//! A card that is a PKCS #11 token: a smart card in a reader, a USB token, SoftHSM.
//!
//! It is taken out when its module says so, when its serial, label, maker or model is another's, or when its certificate is
//! not what it was; see [`custody::token`].

use custody::card::CardFace;
use custody::token::{PinState, Token, TokenUri};
use pki::{Certificate, Signer};

use crate::{Card, Error};

/// A card on a token.
#[derive(Debug)]
pub struct TokenCard {
    token: Token,
    name: String,
    face: CardFace,
}

impl TokenCard {
    /// Reads what the card shows without its PIN.
    ///
    /// # Errors
    /// [`Error::CardMissing`] when the token is not there, [`Error::CardUnreadable`].
    pub fn insert(uri: &TokenUri) -> Result<TokenCard, Error> {
        let read = || {
            let token = Token::find(uri)?;
            let face = token.face()?;
            Ok((token, face))
        };
        match read() {
            Ok((token, face)) => {
                let name = format!("{} (serial {})", token.label(), token.serial());
                Ok(TokenCard { token, name, face })
            }
            Err(custody::Error::TokenMissing { token }) => Err(Error::CardMissing { card: token }),
            Err(error) => Err(Error::CardUnreadable { card: uri.label().to_owned(), why: error.to_string() }),
        }
    }

    /// The token.
    pub fn token(&self) -> &Token {
        &self.token
    }
}

impl Card for TokenCard {
    fn name(&self) -> &str {
        &self.name
    }

    fn certificate(&self) -> &Certificate {
        &self.face.certificate
    }

    fn chain(&self) -> &[Certificate] {
        &self.face.chain
    }

    fn present(&self) -> bool {
        self.token.present()
    }

    fn pin_state(&self) -> Option<PinState> {
        self.token.pin_state().ok()
    }

    fn asks_pin_itself(&self) -> bool {
        self.token.asks_pin_itself().unwrap_or(false)
    }

    fn open(&self, pin: &str) -> Result<Box<dyn Signer + Send + Sync>, Error> {
        let card = || self.name.clone();
        match self.token.open(pin) {
            Ok(signer) => Ok(Box::new(signer)),
            Err(custody::Error::TokenMissing { .. }) => Err(Error::CardMissing { card: card() }),
            Err(custody::Error::PinLocked { .. }) => Err(Error::CardLocked { card: card() }),
            Err(custody::Error::KeyMismatch { .. }) => Err(Error::CardKey { card: card() }),
            Err(error) => Err(Error::CardPin { card: card(), why: error.to_string() }),
        }
    }
}
