//! A key and its certificate on a token: a smart card, a USB token, or any other device that speaks PKCS #11
//! (OASIS PKCS #11 v2.40 and newer). The key is made there and never leaves; whoever holds the PIN has it sign.
//!
//! ```text
//! TokenUri ─► Token::find() ─► face(), present(), pin_state()     no PIN
//!                 │
//!                 └─ open(PIN) ─► TokenSigner: pki::Signer
//! ```
//!
//! Unlike a file, a token **counts wrong PINs** and locks itself. It tells no number, only three flags, which
//! [`PinState`] has. No PIN is tried here on a token that says that it is locked.
//!
//! A token can be taken out at any moment. [`Token::present`] therefore asks the module anew each time, down to the
//! certificate's bytes, and compares manufacturer, model and serial with those of the token that was found first: another
//! token with the same label is another token. See `slot` for what a module is asked.
//!
//! A program has one context for each module, since a second `C_Initialize` is an error (v2.40 section 5.4), and a login
//! holds for all sessions of a program with a token (section 5.6). So [`Token::open`] makes the token compare the PIN even
//! where it is open already: an open token is no way round its PIN.
//!
//! `unsafe` is in the `cryptoki` crate. The module itself is foreign code inside this process: name one that you trust.

mod face;
mod fault;
mod keys;
mod login;
mod making;
mod module;
mod pin;
mod signer;
mod slot;
mod uri;

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use pki::Certificate;

use crate::card::CardFace;
use crate::error::Error;
use crate::signer::KeyKind;

use module::Module;
use slot::Identity;

pub use pin::PinState;
pub use signer::TokenSigner;
pub use uri::{MAX_URI_LEN, TokenUri};

/// Longest label of a token, in bytes (PKCS #11 v2.40 section 3.2, `CK_TOKEN_INFO`).
pub const MAX_LABEL_LEN: usize = 32;

/// A token that was found: one device, with its serial, whatever slot it is in.
#[derive(Clone)]
pub struct Token {
    module: Arc<Module>,
    uri: TokenUri,
    identity: Identity,
    /// The certificate that it had when it was found, DER.
    leaf: Option<Vec<u8>>,
}

impl Token {
    /// Looks for the token. Needs no PIN; a token without a certificate is found too.
    ///
    /// # Errors
    /// [`Error::TokenMissing`]; [`Error::TokenAmbiguous`] when several tokens or certificates fit the URI;
    /// [`Error::TokenModule`] when the module cannot be used; [`Error::Token`].
    pub fn find(uri: &TokenUri) -> Result<Self, Error> {
        let module = Module::at(uri.module())?;
        let (identity, leaf) = {
            let entered = module.enter();
            let (slot, identity) = match entered.find(uri) {
                // Some modules list their tokens only once, when they are initialised.
                Err(Error::TokenMissing { .. }) if entered.start_again()? => entered.find(uri)?,
                other => other?,
            };
            let session = entered.session(slot).map_err(fault::of(uri.label(), "open a session"))?;
            match face::read(&session, uri) {
                Ok(face) => (identity, Some(face.certificate.der().to_vec())),
                Err(Error::TokenNoCertificate { .. }) => (identity, None),
                Err(error) => return Err(error),
            }
        };
        Ok(Self { module, uri: uri.clone(), identity, leaf })
    }

    /// What the token shows without its PIN: the certificate that the URI names, and those above it that it holds,
    /// nearest first.
    ///
    /// # Errors
    /// [`Error::TokenMissing`], [`Error::TokenNoCertificate`], [`Error::TokenAmbiguous`], [`Error::Pki`] for a
    /// certificate that cannot be read, [`Error::Token`].
    pub fn face(&self) -> Result<CardFace, Error> {
        let entered = self.module.enter();
        let slot = entered.slot_of(&self.identity)?;
        let session = entered.session(slot).map_err(fault::of(self.label(), "open a session"))?;
        face::read(&session, &self.uri)
    }

    /// Whether this very token is there now, with the certificate that it had when it was found. Asks the module anew
    /// each time; whatever goes wrong means no.
    #[must_use]
    pub fn present(&self) -> bool {
        let entered = self.module.enter();
        let Ok(slot) = entered.slot_of(&self.identity) else { return false };
        let Ok(session) = entered.session(slot) else { return false };
        match &self.leaf {
            Some(leaf) => face::holds(&session, leaf),
            None => session.get_session_info().is_ok(),
        }
    }

    /// What the token tells of its PIN.
    ///
    /// # Errors
    /// [`Error::TokenMissing`], [`Error::Token`].
    pub fn pin_state(&self) -> Result<PinState, Error> {
        let entered = self.module.enter();
        let slot = entered.slot_of(&self.identity)?;
        Ok(PinState::of(&entered.info(slot, self.label())?))
    }

    /// Whether the PIN is typed at the token's own reader. [`Token::open`] is then called with an empty PIN.
    ///
    /// # Errors
    /// [`Error::TokenMissing`], [`Error::Token`].
    pub fn asks_pin_itself(&self) -> Result<bool, Error> {
        let entered = self.module.enter();
        let slot = entered.slot_of(&self.identity)?;
        Ok(entered.info(slot, self.label())?.protected_authentication_path())
    }

    /// Opens the token with its PIN and finds the key that the URI names: by its label, else by the certificate's
    /// identifier, else the only one there is.
    ///
    /// # Errors
    /// [`Error::WrongTokenPin`]; [`Error::NoPin`], [`Error::TokenPinLength`], [`Error::PinLocked`], for which no PIN was tried; [`Error::PinNotSet`];
    /// [`Error::TokenNoKey`], [`Error::TokenAmbiguous`]; [`Error::TokenKey`] for a key that is not used here or is not
    /// the certificate's; [`Error::TokenMissing`], [`Error::Token`].
    pub fn open(&self, pin: &str) -> Result<TokenSigner, Error> {
        TokenSigner::open(self, pin)
    }

    /// Makes a signing key on the token: sensitive, never extractable, for signatures only; what was asked is read back
    /// and compared.
    ///
    /// # Errors
    /// As [`Token::open`]; [`Error::TokenKeyExists`] when it has a key of this label; [`Error::KeySize`];
    /// [`Error::TokenKey`] when the token made another key than was asked for, which is then destroyed.
    pub fn make_key(&self, pin: &str, kind: KeyKind, label: &str) -> Result<TokenSigner, Error> {
        making::make_key(self, pin, kind, label)
    }

    /// Keeps a certificate of one of the token's keys, and those above it, on the token. An older certificate of the
    /// same key is taken away after the new one is there.
    ///
    /// # Errors
    /// As [`Token::open`]; [`Error::TokenNoKey`] when no key on the token is the certificate's.
    pub fn keep_certificates(
        &self,
        pin: &str,
        leaf: &Certificate,
        chain: &[Certificate],
    ) -> Result<(), Error> {
        making::keep_certificates(self, pin, leaf, chain)
    }

    /// Puts another PIN on the token.
    ///
    /// # Errors
    /// As [`Token::check_new_pin`] and [`Token::open`].
    pub fn change_pin(&self, pin: &str, new_pin: &str) -> Result<(), Error> {
        login::change_pin(self, pin, new_pin)
    }

    /// Whether the token takes this as its new PIN, as far as it tells; no PIN is tried.
    ///
    /// # Errors
    /// [`Error::ShortPin`]; [`Error::TokenPinLength`]; [`Error::PinAtReader`] where it is typed at the reader, and cannot be
    /// changed here; [`Error::TokenMissing`], [`Error::Token`].
    pub fn check_new_pin(&self, new_pin: &str) -> Result<(), Error> {
        login::check_new(self, new_pin)
    }

    /// Makes the one uninitialised token of a module ready: a label, the security officer's PIN, the user's PIN.
    ///
    /// # Errors
    /// As [`Token::make_ready`].
    pub fn initialise(module: &Path, label: &str, so_pin: &str, pin: &str) -> Result<Self, Error> {
        Self::make_ready(&TokenUri::new(module, label), so_pin, pin)
    }

    /// Makes the one uninitialised token ready that has the serial, manufacturer and model which the URI names.
    ///
    /// # Errors
    /// [`Error::TokenTaken`] when a token of this label is there; [`Error::NoFreeToken`]; [`Error::TokenAmbiguous`] when
    /// several fit; [`Error::ShortPin`]; [`Error::TokenPinLength`]; [`Error::TokenUri`] for a label that no token can have; [`Error::TokenModule`], [`Error::Token`].
    pub fn make_ready(uri: &TokenUri, so_pin: &str, pin: &str) -> Result<Self, Error> {
        making::initialise(uri, so_pin, pin)
    }

    /// Its label.
    #[must_use]
    pub fn label(&self) -> &str {
        &self.identity.label
    }

    /// Its serial, as the maker gave it.
    #[must_use]
    pub fn serial(&self) -> &str {
        &self.identity.serial
    }

    /// The URI by which it was found.
    #[must_use]
    pub fn uri(&self) -> &TokenUri {
        &self.uri
    }

    /// The URI that names this very token: with its serial.
    #[must_use]
    pub fn exact_uri(&self) -> TokenUri {
        self.uri.clone().with_serial(self.serial())
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("identity", &self.identity).finish_non_exhaustive()
    }
}
