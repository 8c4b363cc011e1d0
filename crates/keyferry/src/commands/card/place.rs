//! Where a card is: a file, or a PKCS #11 token.

use std::{fmt, path::PathBuf, str::FromStr};

use anyhow::{Context as _, Result};
use clap::Args;
use custody::token::{PinState, Token, TokenUri};
use zeroize::Zeroizing;

use crate::secret::Source;

/// A file, or a token by its URI.
#[derive(Debug, Clone)]
pub(super) enum Place {
    File(PathBuf),
    Token(TokenUri),
}

impl FromStr for Place {
    type Err = custody::Error;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if TokenUri::is_meant(text) { text.parse().map(Self::Token) } else { Ok(Self::File(text.into())) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.display().fmt(f),
            Self::Token(uri) => uri.fmt(f),
        }
    }
}

/// Which card.
#[derive(Args)]
pub(super) struct Which {
    /// The card: a file, or a token as pkcs11:token=LABEL[;object=KEY]?module-path=/…/module.so
    #[arg(required_unless_present = "token")]
    card: Option<Place>,
    /// The card is on this token.
    #[arg(long, value_name = "URI", conflicts_with = "card")]
    token: Option<TokenUri>,
}

impl Which {
    pub(super) fn place(&self) -> Result<Place> {
        let token = self.token.clone().map(Place::Token);
        self.card.clone().or(token).context("which card? name its file, or its token")
    }
}

/// Whether a token is made ready first.
#[derive(Args)]
pub(crate) struct Blank {
    /// Make a blank token ready first, under the label of its URI and new PINs.
    #[arg(long)]
    initialise: bool,
    /// With --initialise: read the PIN of the token's security officer, who may unlock it, from this file (mode 0600).
    #[arg(long, value_name = "FILE", requires = "initialise")]
    so_pin_file: Option<PathBuf>,
}

impl Blank {
    /// The token, made ready where that was asked, and the PIN that its holder chose or has.
    pub(crate) fn token(&self, uri: &TokenUri, source: &Source) -> Result<(Token, Zeroizing<String>)> {
        if !self.initialise {
            let token = found(uri).context("a blank token is made ready by --initialise")?;
            let pin = pin(&token, source)?;
            return Ok((token, pin));
        }
        let officer = Source::file(self.so_pin_file.clone()).choose("security officer's PIN of the token")?;
        let pin = source.choose("card PIN")?;
        let token = Token::make_ready(uri, &officer, &pin)?;
        say!("token {} made ready, serial {}", token.label(), token.serial());
        Ok((token, pin))
    }
}

/// The token that a URI names.
pub(super) fn found(uri: &TokenUri) -> Result<Token> {
    Ok(Token::find(uri)?)
}

/// Asks for a token's PIN, having said what the token tells of it; one with keys of its own asks itself.
pub(super) fn pin(token: &Token, source: &Source) -> Result<Zeroizing<String>> {
    match token.pin_state()? {
        PinState::Untried => {}
        state => complain!("{}: {state}", token.label()),
    }
    if token.asks_pin_itself()? {
        complain!("{}: type the PIN at its reader", token.label());
        return Ok(Zeroizing::default());
    }
    source.read("card PIN")
}
