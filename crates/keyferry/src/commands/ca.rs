use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use custody::{
    ca::{Ca as Authority, DEFAULT_CRL_DAYS, NewCa},
    card,
    keyfile::{self, KeyKind},
};
use pki::{
    Certificate, KeyFamily, Name, RevocationReason, Role, Signer as _,
    csr::{self, Csr},
    issue::ServerName,
};

use super::suite::SuiteName;
use crate::{files::write, secret::Source, show, time};

/// The certificate authority: a folder, no network.
#[derive(Subcommand)]
pub(crate) enum Ca {
    /// Make a root.
    Root(Root),
    /// Issue a certificate for a request (PKCS #10).
    Issue(Issue),
    /// Issue a TLS server's or client's certificate for a request.
    Tls(Tls),
    /// Make a card: a PIN-protected key file with its certificate.
    Card(Card),
    /// Revoke a certificate and write a new revocation list.
    Revoke(Revoke),
    /// Write a new revocation list.
    Crl(Crl),
    /// List what was issued.
    List(List),
}

/// The CA's folder and its passphrase.
#[derive(Args)]
pub(crate) struct Folder {
    /// The CA's folder.
    #[arg(long, default_value = "ca")]
    ca: PathBuf,
    /// Read the CA's passphrase from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    ca_passphrase_file: Option<PathBuf>,
}

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
}

/// Issue a certificate.
#[derive(Args)]
pub(crate) struct Issue {
    #[command(flatten)]
    folder: Folder,
    /// The request, PKCS #10 in PEM or DER.
    #[arg(long)]
    request: PathBuf,
    /// kms-work, downloader, rks-work, operator, administrator, mtms, package-signing, repair-authorisation, device,
    /// rks-signing.
    #[arg(long, value_parser = role)]
    role: Role,
    /// With the role device: the PIN pad whose key it is. The request must name this very serial.
    #[arg(long, value_name = "SERIAL", required_if_eq("role", "device"))]
    pin_pad: Option<String>,
    /// Days that it is valid.
    #[arg(long, default_value_t = 365, value_parser = days())]
    days: u32,
    /// Where the certificate goes.
    #[arg(long)]
    out: PathBuf,
}

/// Issue a TLS server's or client's certificate.
#[derive(Args)]
pub(crate) struct Tls {
    #[command(flatten)]
    folder: Folder,
    /// The request, PKCS #10 in PEM or DER.
    #[arg(long)]
    request: PathBuf,
    /// Host name or address of a server; may be repeated.
    #[arg(long = "server-name", value_name = "NAME", required_unless_present = "client")]
    names: Vec<String>,
    /// For a client, such as a POSP: the common name in the request is what the server knows it by.
    #[arg(long, conflicts_with = "names")]
    client: bool,
    /// Days that it is valid.
    #[arg(long, default_value_t = 397, value_parser = days())]
    days: u32,
    /// Where the certificate goes.
    #[arg(long)]
    out: PathBuf,
}

/// Roles whose key a person holds.
const PEOPLE: [Role; 4] =
    [Role::Operator, Role::Administrator, Role::PackageSigning, Role::RepairAuthorisation];

/// Make a card.
#[derive(Args)]
pub(crate) struct Card {
    #[command(flatten)]
    folder: Folder,
    /// Whose card it is.
    #[arg(long)]
    subject: String,
    /// The organisation.
    #[arg(long)]
    organisation: Option<String>,
    /// operator, administrator, package-signing or repair-authorisation.
    #[arg(long, value_parser = role)]
    role: Role,
    /// Days that its certificate is valid.
    #[arg(long, default_value_t = 365, value_parser = days())]
    days: u32,
    /// RSA bits of a card from an RSA root: 2048, 3072 or 4096. A card from a P-256 root has a P-256 key.
    #[arg(long, value_name = "BITS")]
    bits: Option<usize>,
    /// Read the card's new PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// The card file to make.
    #[arg(long)]
    out: PathBuf,
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

impl Folder {
    fn open(&self) -> Result<Authority> {
        let passphrase = Source::file(self.ca_passphrase_file.clone()).read("CA passphrase")?;
        Ok(Authority::open(&self.ca, &passphrase)?)
    }
}

impl Root {
    fn run(self) -> Result<()> {
        let passphrase = Source::file(self.folder.ca_passphrase_file.clone()).choose("CA passphrase")?;
        let new = NewCa {
            days: self.days,
            for_trials: self.trial,
            ..NewCa::new(
                Name::new(&self.subject, self.organisation.as_deref())?,
                kind(self.suite.keys(), self.bits)?,
            )
        };
        let ca = Authority::create(&self.folder.ca, &new, &passphrase, time::now_seconds())?;
        say!("root {} in {}", ca.root().subject(), self.folder.ca.display());
        say!("SHA-256 {}", ca.root().sha256_hex());
        if self.trial {
            say!("It is for trials: no estate for production believes it.");
        }
        if pki::ARC_IS_EXAMPLE {
            say!("Roles use RFC 5612's example number 1.3.6.1.4.1.32473: fit for trials, not for a release.");
        }
        Ok(())
    }
}

impl Issue {
    fn run(self) -> Result<()> {
        must_be_new(&self.out)?;
        let request = read_request(&self.request)?;
        let (mut ca, now) = (self.folder.open()?, time::now_seconds());
        let certificate = match (self.role, &self.pin_pad) {
            (Role::Device, Some(pin_pad)) => ca.issue_device(&request, pin_pad, self.days, now)?,
            (Role::Device, None) => bail!("--pin-pad is missing: say whose key it is, as its case says"),
            (_, Some(_)) => bail!("--pin-pad is for the role device"),
            (role, None) => ca.issue(&request, role, self.days, now)?,
        };
        write(&self.out, &certificate.pem(), 0o644)?;
        issued(&certificate, &self.out);
        Ok(())
    }
}

impl Tls {
    fn run(self) -> Result<()> {
        must_be_new(&self.out)?;
        let request = read_request(&self.request)?;
        let names = self.names.iter().map(|name| name.parse()).collect::<Result<Vec<ServerName>, _>>()?;
        let mut ca = self.folder.open()?;
        let (subject, spki, now) = (&request.subject, &request.spki, time::now_seconds());
        let certificate = if self.client {
            ca.tls_client(subject, spki, self.days, now)?
        } else {
            ca.tls_server(subject, spki, &names, self.days, now)?
        };
        write(&self.out, &certificate.pem(), 0o644)?;
        issued(&certificate, &self.out);
        Ok(())
    }
}

impl Card {
    fn run(self) -> Result<()> {
        if !PEOPLE.contains(&self.role) {
            bail!(
                "cards are for people who sign: {}; use `keyferry ca issue` for {}",
                PEOPLE.map(Role::word).join(", "),
                self.role.word()
            );
        }
        let mut ca = self.folder.open()?;
        let pin = Source::file(self.pin_file).choose("card PIN")?;
        let subject = Name::new(&self.subject, self.organisation.as_deref())?;
        let made = make_card(&mut ca, &self.out, &subject, self.role, self.bits, self.days, &pin)?;
        issued(&made, &self.out);
        Ok(())
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
        say!("{} log entries, head {}", record.entries(), record.head());
        say!(
            "revocation list {}, renew before {}",
            record.crl_number(),
            time::text(record.crl_next_update())
        );
        Ok(())
    }
}

/// Makes a key under a PIN, certifies it, and writes both as a card.
pub(crate) fn make_card(
    ca: &mut Authority,
    path: &Path,
    subject: &Name,
    role: Role,
    bits: Option<usize>,
    days: u32,
    pin: &str,
) -> Result<Certificate> {
    must_be_new(path)?;
    let (signer, pem) = keyfile::generate(kind(ca.family(), bits)?, pin)?;
    let request = Csr { subject: subject.clone(), spki: signer.spki_der().to_vec() };
    let certificate = ca.issue(&request, role, days, time::now_seconds())?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    card::write_card(path, &pem, &certificate, &[])?;
    Ok(certificate)
}

/// A key of this family; RSA of the usual size where none was named.
fn kind(family: KeyFamily, bits: Option<usize>) -> Result<KeyKind> {
    match (family, bits) {
        (KeyFamily::Rsa, Some(bits)) => Ok(KeyKind::Rsa(bits)),
        (KeyFamily::P256, Some(_)) => bail!("--bits is for RSA; keys of suite 2 are P-256"),
        (family, None) => Ok(KeyKind::usual(family)),
    }
}

/// Looked at before anything is signed: what is issued must not be for nobody.
fn must_be_new(path: &Path) -> Result<()> {
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

fn issued(certificate: &Certificate, path: &Path) {
    say!("{}", certificate.subject());
    say!("serial {}", certificate.serial_hex());
    say!("SHA-256 {}", certificate.sha256_hex());
    say!("valid until {}", time::text(certificate.not_after()));
    say!("written to {}", path.display());
}

pub(crate) fn role(word: &str) -> Result<Role, String> {
    Role::ALL.into_iter().find(|role| role.word() == word).ok_or_else(|| {
        let words: Vec<_> = Role::ALL.iter().map(|role| role.word()).collect();
        format!("roles are {}", words.join(", "))
    })
}

/// At least one: what ends as it begins is good for nothing, and a revocation list that does would stop everything.
fn days() -> impl clap::builder::TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(1..)
}

fn reason(word: &str) -> Result<RevocationReason, String> {
    RevocationReason::ALL.into_iter().find(|reason| reason.word() == word).ok_or_else(|| {
        let words: Vec<_> = RevocationReason::ALL.iter().map(|reason| reason.word()).collect();
        format!("reasons are {}", words.join(", "))
    })
}
