//! `keyferry card request`: the key stays with its holder, the request travels.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use custody::keyfile;
use pki::{Name, csr};

use super::{Blank, Place, Which};
use crate::{
    commands::{
        ca::{kind, must_be_new},
        suite::SuiteName,
    },
    files::write,
    secret::Source,
};

/// The label of the key on a token, unless the URI names another.
const KEY_LABEL: &str = "card";

/// Make a key and a request for its certificate.
#[derive(Args)]
pub(crate) struct Request {
    #[command(flatten)]
    card: Which,
    /// Whose card it is.
    #[arg(long)]
    subject: String,
    /// The organisation.
    #[arg(long)]
    organisation: Option<String>,
    /// Of which suite the CA is: 2 has P-256 keys, 1 has RSA keys.
    #[arg(long, default_value_t = SuiteName::EcAes)]
    suite: SuiteName,
    /// RSA bits with --suite 1: 2048, 3072 or 4096.
    #[arg(long, value_name = "BITS")]
    bits: Option<usize>,
    #[command(flatten)]
    blank: Blank,
    /// Read the card's new PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// Where the request goes, PKCS #10 in PEM.
    #[arg(long)]
    out: PathBuf,
}

impl Request {
    pub(super) fn run(self) -> Result<()> {
        must_be_new(&self.out)?;
        let card = self.card.place()?;
        let subject = Name::new(&self.subject, self.organisation.as_deref())?;
        let kind = kind(self.suite.keys(), self.bits)?;
        let pin = Source::file(self.pin_file.clone());
        let request = match &card {
            Place::File(path) => {
                must_be_new(path)?;
                let (signer, pem) = keyfile::generate(kind, &pin.choose("card PIN")?)?;
                let request = csr::build(&subject, &signer)?;
                keyfile::write(path, &pem)?;
                request
            }
            Place::Token(uri) => {
                let (token, pin) = self.blank.token(uri, &pin)?;
                csr::build(&subject, &token.make_key(&pin, kind, uri.object().unwrap_or(KEY_LABEL))?)?
            }
        };
        write(&self.out, &csr::to_pem(&request), 0o644)?;
        say!("{subject}");
        say!("key in {card}");
        say!("request written to {}; carry it to the CA: keyferry ca card --request", self.out.display());
        Ok(())
    }
}
