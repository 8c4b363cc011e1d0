//! A card that is a PKCS #11 token: a smart card in a reader, a USB token, SoftHSM.
//!
//! It is taken out when its module says so, when its serial, label, maker or model is another's, or when its certificate is
//! not what it was; see [`custody::token`].

use std::sync::{Arc, Mutex, PoisonError, Weak};

use custody::card::CardFace;
use custody::token::{PinState, Token, TokenSigner, TokenUri};
use pki::{Certificate, Scheme, SignError, Signer};

use crate::{Card, Error};

/// A card on a token.
#[derive(Debug)]
pub struct TokenCard {
    token: Token,
    name: String,
    face: CardFace,
    /// The key, while whoever opened the card has it.
    opened: Mutex<Weak<TokenSigner>>,
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
                Ok(TokenCard { token, name, face, opened: Mutex::default() })
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

    /// A card that was opened must also have stayed open: one that was out for a moment is there again, and is closed.
    fn present(&self) -> bool {
        let opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner).upgrade();
        self.token.present() && opened.is_none_or(|signer| signer.is_open())
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
            Ok(signer) => {
                let signer = Arc::new(signer);
                *self.opened.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(&signer);
                Ok(Box::new(Key(signer)))
            }
            Err(custody::Error::TokenMissing { .. }) => Err(Error::CardMissing { card: card() }),
            Err(custody::Error::PinLocked { .. }) => Err(Error::CardLocked { card: card() }),
            Err(custody::Error::KeyMismatch { .. }) => Err(Error::CardKey { card: card() }),
            Err(error) => Err(Error::CardPin { card: card(), why: error.to_string() }),
        }
    }
}

/// The key of an opened card, which the card itself watches.
struct Key(Arc<TokenSigner>);

impl Signer for Key {
    fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.0.sign(scheme, message)
    }
}
