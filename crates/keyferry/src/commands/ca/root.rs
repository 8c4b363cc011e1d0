//! `keyferry ca root`: the root, in a folder or with its key on a token.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args;
use custody::{
    ca::{Ca as Authority, NewCa},
    token::{Token, TokenUri},
};
use pki::Name;

use super::{
    days,
    keepers::{Asking, Folder, People},
    kind,
};
use crate::{commands::suite::SuiteName, time};

/// Make a root.
#[derive(Args)]
pub(crate) struct Root {
    #[command(flatten)]
    folder: Folder,
    /// Its name.
    #[arg(long)]
    subject: String,
    /// Its organisation.
    #[arg(long)]
    organisation: Option<String>,
    /// Days that it is valid.
    #[arg(long, default_value_t = 3653, value_parser = days())]
    days: u32,
    /// Of which suite its certificates are: 2 has P-256 keys, 1 has RSA keys.
    #[arg(long, default_value_t = SuiteName::EcAes)]
    suite: SuiteName,
    /// RSA bits with --suite 1: 2048, 3072 or 4096.
    #[arg(long, value_name = "BITS")]
    bits: Option<usize>,
    /// For trials: marked so in the root, which no estate for production believes.
    #[arg(long)]
    trial: bool,
    #[command(flatten)]
    people: People,
    /// Make the root's key on this token, which never gives it out: pkcs11:token=LABEL?module-path=/…/module.so. Its PIN
    /// is what opens the CA; of two people each has a part of it.
    #[arg(long, value_name = "URI")]
    token: Option<TokenUri>,
    /// Make a blank token ready first, under the label of the URI and new PINs.
    #[arg(long, requires = "token")]
    initialise: bool,
    /// With --initialise: read the PIN of the token's security officer, who may set a new PIN, from this file (mode 0600).
    /// Of two people each has a part of it too: give it twice.
    #[arg(long = "so-pin-file", value_name = "FILE", requires = "initialise")]
    so_pin_files: Vec<PathBuf>,
}

impl Root {
    pub(super) fn run(self) -> Result<()> {
        let custodians = self.people.custodians()?;
        let new = NewCa {
            days: self.days,
            for_trials: self.trial,
            custodians,
            token: self.token.clone(),
            ..NewCa::new(
                Name::new(&self.subject, self.organisation.as_deref())?,
                kind(self.suite.keys(), self.bits)?,
            )
        };
        let asking = Asking { custodians: new.custodians.as_ref(), on_token: new.token.is_some() };
        let given = if self.token.is_none() || self.initialise {
            asking.choose(self.folder.files())?
        } else {
            asking.read(self.folder.files())?
        };
        if let (Some(uri), true) = (&self.token, self.initialise) {
            let officer = asking.choose_officer(&self.so_pin_files)?;
            Token::make_ready(uri, &officer.pin(), &given.pin())?;
            say!("token {} made ready", uri.label());
        }
        let ca = Authority::create(&self.folder.ca, &new, given.secret(), time::now_seconds());
        let ca = match (&self.token, ca) {
            (Some(_), Err(error @ custody::Error::TokenMissing { .. })) => {
                return Err(error).context("a blank token is made ready by --initialise");
            }
            (_, ca) => ca?,
        };
        say!("root {} in {}", ca.root().subject(), self.folder.ca.display());
        say!("SHA-256 {}", ca.root().sha256_hex());
        if let Some(token) = ca.record().token() {
            say!("its key is on {token}");
        }
        if let Some(both) = &new.custodians {
            say!("kept by {both}: everything it signs needs both");
        }
        if self.trial {
            say!("It is for trials: no estate for production believes it.");
        }
        if pki::ARC_IS_EXAMPLE {
            say!("Roles use RFC 5612's example number 1.3.6.1.4.1.32473: fit for trials, not for a release.");
        }
        Ok(())
    }
}
