//! `keyferry card`: what the holder of a card does with it, away from the CA. Requests and certificates are files that may
//! be carried; nothing here needs a network.

mod install;
mod place;
mod receipt;
mod request;
mod show;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use pki::{Certificate, Role};

pub(crate) use place::Blank;
pub(crate) use receipt::Receipt;

use place::{Place, Which};

use crate::secret::Source;

/// Roles whose key a person holds.
pub(crate) const PEOPLE: [Role; 5] =
    [Role::Operator, Role::Administrator, Role::PackageSigning, Role::RepairAuthorisation, Role::Mtms];
/// Longest certificate file read, in bytes.
const MAX_CERTIFICATES: u64 = 128 * 1024;

/// A card in its holder's hands: make its key, install its certificate, look at it, change its PIN.
#[derive(Subcommand)]
pub(crate) enum Card {
    /// Make a key and a request for its certificate, to be carried to the CA.
    Request(request::Request),
    /// Put the certificate that the CA issued onto the card, and print what its holder signs for.
    Install(install::Install),
    /// Show a card: whose it is, for what, until when.
    Show(show::Show),
    /// Put another PIN on a card.
    ChangePin(ChangePin),
}

/// Put another PIN on a card.
#[derive(Args)]
pub(crate) struct ChangePin {
    #[command(flatten)]
    card: Which,
    /// Read the card's present PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// Read its new PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    new_pin_file: Option<PathBuf>,
}

impl Card {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Request(request) => request.run()?,
            Self::Install(install) => install.run()?,
            Self::Show(show) => show.run()?,
            Self::ChangePin(change) => change.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl ChangePin {
    fn run(self) -> Result<()> {
        let (old, new) = (Source::file(self.pin_file), Source::file(self.new_pin_file));
        let card = self.card.place()?;
        match &card {
            Place::File(path) => {
                custody::card::change_pin(path, &old.read("card PIN")?, &new.choose("card PIN")?)?;
            }
            Place::Token(uri) => {
                let token = place::found(uri)?;
                if token.asks_pin_itself()? {
                    return Err(custody::Error::PinAtReader { token: token.label().to_owned() }.into());
                }
                token.change_pin(&place::pin(&token, &old)?, &new.choose("card PIN")?)?;
            }
        }
        say!("{card} has its new PIN");
        Ok(())
    }
}

/// Why a role has no card.
pub(crate) fn for_people() -> String {
    format!("cards are for people who sign: {}", PEOPLE.map(Role::word).join(", "))
}

/// The certificates of a file in PEM, in their order.
fn certificates(path: &Path) -> Result<Vec<Certificate>> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_CERTIFICATES).read_to_string(&mut text))
        .with_context(|| format!("cannot read {}", path.display()))?;
    let found = Certificate::all_from_pem(&text).with_context(|| path.display().to_string())?;
    if found.is_empty() { anyhow::bail!("{} holds no certificate", path.display()) } else { Ok(found) }
}
