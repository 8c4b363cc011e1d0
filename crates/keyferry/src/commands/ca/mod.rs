//! `keyferry ca`: a folder, no network. Everything here is [`custody::ca`]'s; this is how people ask for it.

mod card;
mod issue;
mod keepers;
mod root;

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use custody::{
    ca::{Ca as Authority, DEFAULT_CRL_DAYS},
    keyfile::KeyKind,
};
use pki::{
    Certificate, KeyFamily, RevocationReason, Role,
    csr::{self, Csr},
};

pub(crate) use card::make_card;
pub(crate) use keepers::Folder;

use crate::{show, time};

/// The certificate authority: a folder, no network.
#[derive(Subcommand)]
pub(crate) enum Ca {
    /// Make a root.
    Root(root::Root),
    /// Issue a certificate for a request (PKCS #10).
    Issue(issue::Issue),
    /// Issue a TLS server's or client's certificate for a request.
    Tls(issue::Tls),
    /// Make a card, or certify one whose key was made elsewhere, and print what its holder signs for.
    Card(card::Card),
    HandOver(keepers::HandOver),
    /// Revoke a certificate and write a new revocation list.
    Revoke(Revoke),
    /// Write a new revocation list.
    Crl(Crl),
    /// List what was issued.
    List(List),
}

/// Revoke a certificate.
#[derive(Args)]
pub(crate) struct Revoke {
    #[command(flatten)]
    folder: Folder,
    /// Its serial number, hex (see `keyferry ca list`).
    #[arg(long)]
    serial: String,
    /// unspecified, key-compromise, ca-compromise, affiliation-changed, superseded, cessation-of-operation,
    /// privilege-withdrawn.
    #[arg(long, value_parser = reason, default_value = "unspecified")]
    reason: RevocationReason,
}

/// Write a new revocation list.
#[derive(Args)]
pub(crate) struct Crl {
    #[command(flatten)]
    folder: Folder,
    /// Days until it must be renewed.
    #[arg(long, default_value_t = DEFAULT_CRL_DAYS, value_parser = days())]
    days: u32,
}

/// List what was issued.
#[derive(Args)]
pub(crate) struct List {
    /// The CA's folder.
    #[arg(long, default_value = "ca")]
    ca: PathBuf,
}

impl Ca {
    pub(crate) fn run(self) -> Result<ExitCode> {
        match self {
            Self::Root(root) => root.run()?,
            Self::Issue(issue) => issue.run()?,
            Self::Tls(tls) => tls.run()?,
            Self::Card(card) => card.run()?,
            Self::HandOver(hand_over) => hand_over.run()?,
            Self::Revoke(revoke) => {
                let mut ca = revoke.folder.open()?;
                let crl = ca.revoke(&revoke.serial, revoke.reason, time::now_seconds())?;
                say!("revoked {}; revocation list number {} written", revoke.serial, crl.number());
            }
            Self::Crl(crl) => {
                let list = crl.folder.open()?.crl(crl.days, time::now_seconds())?;
                let until = time::text(list.next_update());
                say!("revocation list number {}, {} revoked, good until {until}", list.number(), list.len());
            }
            Self::List(list) => list.run()?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(self) -> Result<()> {
        let record = Authority::read(&self.ca)?;
        let rows: Vec<_> = record
            .issued()
            .iter()
            .map(|issued| {
                let certificate = &issued.certificate;
                let state = match issued.revoked {
                    Some(revocation) => format!("revoked {}", time::text(revocation.when)),
                    None if certificate.not_after() < time::now_seconds() => "expired".into(),
                    None => format!("until {}", time::text(certificate.not_after())),
                };
                vec![
                    issued.number.to_string(),
                    issued.purpose.to_string(),
                    certificate.subject().to_string(),
                    certificate.serial_hex(),
                    state,
                ]
            })
            .collect();
        show::table(&["no", "purpose", "subject", "serial", "state"], &rows);
        if let Some(token) = record.token() {
            say!("the root's key was made on {token}");
        }
        if let Some(custodians) = record.custodians() {
            say!("kept by {custodians}: everything it signs needs both");
        }
        say!("{} log entries, head {}", record.entries(), record.head());
        say!(
            "revocation list {}, renew before {}",
            record.crl_number(),
            time::text(record.crl_next_update())
        );
        Ok(())
    }
}

/// A key of this family; RSA of the usual size where none was named.
pub(crate) fn kind(family: KeyFamily, bits: Option<usize>) -> Result<KeyKind> {
    match (family, bits) {
        (KeyFamily::Rsa, Some(bits)) => Ok(KeyKind::Rsa(bits)),
        (KeyFamily::P256, Some(_)) => bail!("--bits is for RSA; keys of suite 2 are P-256"),
        (family, None) => Ok(KeyKind::usual(family)),
    }
}

/// Looked at before anything is signed: what is issued must not be for nobody.
pub(crate) fn must_be_new(path: &Path) -> Result<()> {
    if path.exists() {
        bail!("{} exists; nothing was changed", path.display());
    }
    Ok(())
}

fn read_request(path: &Path) -> Result<Csr> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let der = match std::str::from_utf8(&bytes) {
        Ok(text) if text.contains("-----BEGIN") => csr::from_pem(text)?,
        _ => bytes,
    };
    Ok(csr::parse_and_verify(&der)?)
}

/// Says what was issued, and where it is.
pub(crate) fn issued(certificate: &Certificate, path: &Path) {
    print(certificate);
    say!("written to {}", path.display());
}

/// Says what was issued.
fn print(certificate: &Certificate) {
    say!("{}", certificate.subject());
    say!("serial {}", certificate.serial_hex());
    say!("SHA-256 {}", certificate.sha256_hex());
    say!("valid until {}", time::text(certificate.not_after()));
}

pub(crate) fn role(word: &str) -> Result<Role, String> {
    Role::ALL.into_iter().find(|role| role.word() == word).ok_or_else(|| {
        let words: Vec<_> = Role::ALL.iter().map(|role| role.word()).collect();
        format!("roles are {}", words.join(", "))
    })
}

/// At least one: what ends as it begins is good for nothing, and a revocation list that does would stop everything.
pub(crate) fn days() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..)
}

fn reason(word: &str) -> Result<RevocationReason, String> {
    RevocationReason::ALL.into_iter().find(|reason| reason.word() == word).ok_or_else(|| {
        let words: Vec<_> = RevocationReason::ALL.iter().map(|reason| reason.word()).collect();
        format!("reasons are {}", words.join(", "))
    })
}
