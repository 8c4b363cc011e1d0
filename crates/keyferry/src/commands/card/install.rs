//! `keyferry card install`: the certificate that came back from the CA.

use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use pki::{Certificate, CrlSet, KeyFamily, Policy, Role, TrustList, Verified};

use super::{
    PEOPLE, Place, Receipt, Which, certificates, for_people,
    place::{found, pin},
};
use crate::{commands::ca::must_be_new, secret::Source, time};

/// Put a certificate onto a card whose key was made by `keyferry card request`; an older one of the same key is replaced.
#[derive(Args)]
pub(crate) struct Install {
    #[command(flatten)]
    card: Which,
    /// The certificate that the CA issued, PEM.
    #[arg(long, value_name = "FILE")]
    certificate: PathBuf,
    /// The CA's root, PEM: compare its SHA-256 with the one that the CA's people read out.
    #[arg(long, value_name = "FILE")]
    root: PathBuf,
    /// Certificates between it and the root, nearest first, PEM.
    #[arg(long, value_name = "FILE")]
    chain: Option<PathBuf>,
    /// Read the card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// Write what the card's holder signs for to this file too.
    #[arg(long, value_name = "FILE")]
    receipt: Option<PathBuf>,
}

impl Install {
    pub(super) fn run(self) -> Result<()> {
        if let Some(receipt) = &self.receipt {
            must_be_new(receipt)?;
        }
        let certificate = one(&self.certificate)?;
        let chain = self.chain.as_deref().map(certificates).transpose()?.unwrap_or_default();
        let root = one(&self.root)?;
        let verified = check(&certificate, &chain, &root)?;
        let (card, source, role) = (self.card.place()?, Source::file(self.pin_file), verified.role());
        let receipt = match &card {
            Place::File(path) => {
                custody::card::install(path, &source.read("card PIN")?, &certificate, &chain)?;
                Receipt::of_file(&certificate, role, path)
            }
            Place::Token(uri) => {
                let token = found(uri)?;
                let above: Vec<_> = chain.into_iter().chain([root]).collect();
                token.keep_certificates(&pin(&token, &source)?, &certificate, &above)?;
                Receipt::of_token(&certificate, role, &token)
            }
        };
        say!("certificate of {} written to {card}", certificate.subject());
        say!("under the root {}, SHA-256 {}", verified.root().subject(), verified.root().sha256_hex());
        receipt.give(self.receipt.as_deref())
    }
}

fn one(path: &std::path::Path) -> Result<Certificate> {
    certificates(path)?.into_iter().next().with_context(|| format!("{} holds no certificate", path.display()))
}

/// That it is a person's, of this root, in force, and for signatures: what a station would find out too late.
fn check(certificate: &Certificate, chain: &[Certificate], root: &Certificate) -> Result<Verified> {
    let role = certificate.role().filter(|role| PEOPLE.contains(role));
    let Some(role) = role else { bail!("the certificate is for no card; {}", for_people()) };
    let mut trust = TrustList::new();
    trust.add(root.clone(), &Role::ALL);
    let family = KeyFamily::of(certificate.spki_der())?;
    let policy = Policy { family, ..Policy::default() };
    let verified =
        policy.verify_chain(certificate, chain, &trust, role, time::now_seconds(), &CrlSet::new())?;
    if family == KeyFamily::P256 {
        verified.signing_key().context("a card signs; ask the CA for `ca card --request`")?;
    }
    Ok(verified)
}
