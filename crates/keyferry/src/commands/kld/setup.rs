use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use clap::Args;
use custody::keyfile::KeyKind;
use pki::Certificate;
use station::{CardSource, kld::Kld as Device};

use super::{Folder, Unseal, settings};
use crate::{commands::suite::SuiteName, files::write, hsm_child, secret::Source, show, time};

/// Bits of a KLD's RSA pair unless told otherwise.
const PAIR_BITS: usize = 2048;

/// Make a KLD.
#[derive(Args)]
pub(crate) struct Init {
    /// The folder to make.
    folder: PathBuf,
    /// The KLD's name, 1–32 of A-Z a-z 0-9 - . _
    #[arg(long)]
    name: String,
    /// The acquirer that its keys belong to.
    #[arg(long)]
    acquirer: String,
    /// The acquirer's root, PEM: issues its certificate and the cards.
    #[arg(long)]
    root: PathBuf,
    /// Where the operator card will be: a file, or a token's pkcs11: URI.
    #[arg(long, value_name = "CARD", default_value = "cards/operator.pem")]
    operator_card: CardSource,
    /// Where the administrator card will be: a file, or a token's pkcs11: URI.
    #[arg(long, value_name = "CARD", default_value = "cards/administrator.pem")]
    administrator_card: CardSource,
    /// The KMS, https://host:port, where the KLD reaches it; else reports and revocation lists are carried.
    #[arg(long, value_name = "URL")]
    kms: Option<String>,
    /// Issues the KMS's TLS certificate, PEM; the acquirer's root unless given.
    #[arg(long, value_name = "FILE", requires = "kms")]
    tls_root: Option<PathBuf>,
    #[command(flatten)]
    unseal: Unseal,
}

/// Make the key pair.
#[derive(Args)]
pub(crate) struct Request {
    #[command(flatten)]
    folder: Folder,
    #[command(flatten)]
    unseal: Unseal,
    /// For which suite: 2 has P-256 keys, 1 has RSA keys.
    #[arg(long, default_value_t = SuiteName::EcAes)]
    suite: SuiteName,
    /// RSA bits with --suite 1: 2048, 3072 or 4096.
    #[arg(long)]
    bits: Option<usize>,
    /// Where the request goes, PKCS #10 in PEM.
    #[arg(long)]
    out: PathBuf,
}

/// Install the certificate.
#[derive(Args)]
pub(crate) struct Install {
    #[command(flatten)]
    folder: Folder,
    /// The downloader certificate, and its intermediates behind it, PEM.
    #[arg(long)]
    certificate: PathBuf,
}

/// Take a revocation list.
#[derive(Args)]
pub(crate) struct TakeCrl {
    #[command(flatten)]
    folder: Folder,
    /// The list, PEM or DER.
    list: PathBuf,
}

/// Show it.
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    folder: Folder,
}

impl Init {
    pub(super) fn run(self) -> Result<()> {
        let folder = &self.folder;
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            bail!("{} is not empty; nothing was changed. Name a new folder", folder.display());
        }
        let root = pem(&self.root)?;
        let tls_root = self.tls_root.as_deref().map(pem).transpose()?;
        Device::create(folder, &self.name, &self.acquirer)?;
        write(&folder.join("root.pem"), &root, 0o644)?;
        if let Some(tls_root) = &tls_root {
            write(&folder.join("tls-root.pem"), tls_root, 0o644)?;
        }
        let kms = self.kms.as_ref().map(|url| {
            let file = if tls_root.is_some() { "tls-root.pem" } else { "root.pem" };
            format!("\n[kms]\nurl = {}\n# Issues its TLS certificate; nothing else is trusted.\ntls_root = \"{file}\"\n", quoted(url))
        });
        let config = include_str!("kld.toml.in")
            .replace("\"@OPERATOR@\"", &quoted(&card(&self.operator_card)))
            .replace("\"@ADMINISTRATOR@\"", &quoted(&card(&self.administrator_card)))
            .replace("@KMS@\n", &kms.unwrap_or_default());
        write(&folder.join(settings::FILE), &config, 0o644)?;
        let passphrase = Source::file(self.unseal.hsm_passphrase_file.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(hsm_child::create(&folder.join("hsm"), &passphrase))?;
        say!("KLD {} for {} in {}", self.name, self.acquirer, folder.display());
        say!("\nNext:");
        say!("  keyferry kld request --kld {} --out kld.csr", folder.display());
        say!("  keyferry ca issue --role downloader --request kld.csr --out kld.pem");
        say!("  keyferry kld install --kld {} --certificate kld.pem", folder.display());
        Ok(())
    }
}

impl Request {
    pub(super) fn run(self) -> Result<()> {
        let kind = match (self.suite, self.bits) {
            (SuiteName::Tdes, bits) => KeyKind::Rsa(bits.unwrap_or(PAIR_BITS)),
            (SuiteName::EcAes, None) => KeyKind::P256,
            (SuiteName::EcAes, Some(_)) => bail!("--bits is for RSA; keys of suite 2 are P-256"),
        };
        let mut running = self.folder.open_with_hsm(&self.unseal)?;
        let request = running.kld.request(kind)?;
        write(&self.out, &request, 0o644)?;
        say!("request {}; have it issued for the role downloader", self.out.display());
        Ok(())
    }
}

impl Install {
    pub(super) fn run(self) -> Result<()> {
        let checks = self.folder.settings()?.checks()?;
        let text = fs::read_to_string(&self.certificate)
            .with_context(|| format!("cannot read {}", self.certificate.display()))?;
        let certificate = self.folder.open()?.install(&text, &checks)?;
        say!("{}", certificate.subject());
        say!("valid until {}", time::text(certificate.not_after()));
        Ok(())
    }
}

impl TakeCrl {
    pub(super) fn run(self) -> Result<()> {
        let bytes = fs::read(&self.list).with_context(|| format!("cannot read {}", self.list.display()))?;
        self.folder.settings()?.revocation_file()?.take(&bytes)?;
        say!("revocation list taken");
        Ok(())
    }
}

impl Status {
    pub(super) fn run(self) -> Result<()> {
        let kld = self.folder.open()?;
        say!("KLD          {}", kld.name());
        say!("acquirer     {}", kld.owner());
        for name in [SuiteName::EcAes, SuiteName::Tdes] {
            let shown = match kld.certificate(name.suite())? {
                Some(certificate) => {
                    format!("{}, until {}", certificate.subject(), time::text(certificate.not_after()))
                }
                None => "none".to_owned(),
            };
            say!("suite {name}      {shown}");
        }
        let rows: Vec<_> = kld.keys().into_iter().map(|(what, kcv)| vec![what, kcv]).collect();
        show::table(&["key", "KCV"], &rows);
        Ok(())
    }
}

/// A certificate's PEM, as written again from what was read.
fn pem(path: &Path) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(Certificate::from_pem(&text).with_context(|| path.display().to_string())?.pem())
}

/// Where a card is, as the settings in another folder say it.
fn card(card: &CardSource) -> String {
    match card {
        CardSource::File(path) => from_folder(path),
        CardSource::Token(uri) => uri.to_string(),
    }
}

/// A path of the command line as the configuration has it: what is there is named from the root, the rest from the KLD's
/// folder.
fn from_folder(path: &Path) -> String {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned()).display().to_string()
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::from(text).to_string()
}
