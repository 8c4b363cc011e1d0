//! What a vendor, and an acquirer who approves, does with a package: away from any server, with a card of the role
//! package-signing.

use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
    str::FromStr,
};

use anyhow::{Context as _, Result, bail};
use base64ct::{Base64, Encoding as _};
use clap::Args;
use pki::{KeyFamily, Role};
use serde_json::{Value, json};
use server::tms::Manifest as VendorManifest;
use sha2::{Digest as _, Sha256};
use station::CardSource;
use wire::{Manifest, ModelId, PackageId, PackageKind, PackageName, PackageVersion, VendorId};

use crate::{commands::cards, files::write};

/// Sign a package as its vendor: makes the file that an acquirer publishes it with.
#[derive(Args)]
pub(crate) struct Sign {
    /// The package's content.
    file: PathBuf,
    /// Vendor id.
    #[arg(long)]
    vendor: VendorId,
    /// The package's name, 1–64 bytes.
    #[arg(long)]
    name: PackageName,
    /// Its semantic version.
    #[arg(long, value_name = "VERSION")]
    package_version: PackageVersion,
    /// application, parameters (a JSON merge patch) or data-file.
    #[arg(long, value_parser = kind)]
    kind: PackageKind,
    /// For this model only; may be repeated.
    #[arg(long = "model", value_name = "MODEL")]
    models: Vec<ModelId>,
    /// Another package that must be there first, NAME@RANGE as in libpay@>=1.2; may be repeated.
    #[arg(long = "requires", value_name = "NAME@RANGE")]
    requires: Vec<Needs>,
    /// Where it is in the vendor's repository; NAME-VERSION if left out.
    #[arg(long)]
    path: Option<String>,
    #[command(flatten)]
    card: SigningCard,
    /// The file to make, JSON.
    #[arg(long)]
    out: PathBuf,
}

/// Approve a package as the acquirer: where a vendor's terminals demand that too.
#[derive(Args)]
pub(crate) struct Approve {
    /// The file that the vendor made.
    manifest: PathBuf,
    #[command(flatten)]
    card: SigningCard,
    /// The file to make, JSON.
    #[arg(long)]
    out: PathBuf,
}

/// Who signs.
#[derive(Args)]
struct SigningCard {
    /// The card, of the role package-signing: a file, or a token's pkcs11: URI.
    #[arg(long, value_name = "CARD")]
    card: CardSource,
    /// Read the card's PIN from this file (mode 0600).
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
}

impl Sign {
    pub(super) fn run(self) -> Result<()> {
        let (size, sha256) = measure(&self.file)?;
        let id = PackageId { name: self.name, version: self.package_version, kind: self.kind };
        let path = self.path.unwrap_or_else(|| format!("{}-{}", id.name, id.version));
        let manifest = Manifest { id, size, sha256 };
        let mut file = self.card.sign(&manifest)?;
        let requires: Vec<_> =
            self.requires.iter().map(|needs| json!({ "name": needs.name, "version": needs.range })).collect();
        merge(
            &mut file,
            json!({ "vendor": self.vendor.as_str(), "name": manifest.id.name.as_str(),
                    "version": manifest.id.version.to_string(), "kind": word(manifest.id.kind),
                    "models": self.models.iter().map(ModelId::as_str).collect::<Vec<_>>(), "size": size,
                    "sha256": hex(&sha256), "requires": requires, "path": path }),
        );
        let text = serde_json::to_string_pretty(&file)?;
        // What is written can be published, as far as a vendor can know.
        VendorManifest::from_json(&text)?;
        write(&self.out, &text, 0o644)?;
        say!("{} signed: {}", manifest.id, self.out.display());
        Ok(())
    }
}

impl Approve {
    pub(super) fn run(self) -> Result<()> {
        let manifest = read_manifest(&self.manifest)?;
        let mut approval = self.card.sign(&manifest.package())?;
        let digest: [u8; 32] = Sha256::digest(manifest.signed_bytes()).into();
        merge(&mut approval, json!({ "manifest_sha256": hex(&digest) }));
        write(&self.out, &serde_json::to_string_pretty(&approval)?, 0o644)?;
        say!("{} approved: {}", manifest.package().id, self.out.display());
        Ok(())
    }
}

impl SigningCard {
    /// Signature and certificates, as both files hold them.
    fn sign(&self, manifest: &Manifest) -> Result<Value> {
        let card = self.card.insert()?;
        let (certificate, chain) = (card.certificate(), card.chain());
        if certificate.role() != Some(Role::PackageSigning) {
            bail!("{} is no card of the role {}", self.card, Role::PackageSigning.word());
        }
        let pin = cards::pin(card.as_ref(), "package signing card", self.pin_file.clone())?;
        let signer = card.open(&pin)?;
        let scheme = KeyFamily::of(signer.spki_der())?.text_scheme();
        let signature = signer.sign(scheme, &manifest.signed_bytes())?;
        let between = chain.iter().filter(|link| link.subject() != link.issuer());
        Ok(json!({ "signature": Base64::encode_string(&signature),
                   "certificate": Base64::encode_string(certificate.der()),
                   "intermediates": between.map(|link| Base64::encode_string(link.der())).collect::<Vec<_>>() }))
    }
}

/// The vendor's file.
pub(super) fn read_manifest(path: &Path) -> Result<VendorManifest> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    VendorManifest::from_json(&text).with_context(|| path.display().to_string())
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Size and SHA-256 of a file of any length.
pub(super) fn measure(path: &Path) -> Result<(u64, [u8; 32])> {
    let cannot = || format!("cannot read {}", path.display());
    let mut file = File::open(path).with_context(cannot)?;
    let (mut digest, mut size, mut buffer) = (Sha256::new(), 0_u64, vec![0; 1 << 16]);
    loop {
        let read = file.read(&mut buffer).with_context(cannot)?;
        let Some(bytes @ [_, ..]) = buffer.get(..read) else { break };
        digest.update(bytes);
        size += bytes.len() as u64;
    }
    Ok((size, digest.finalize().into()))
}

/// The words for kinds, on the command line and in the file.
const KINDS: [(&str, PackageKind); 3] = [
    ("application", PackageKind::Application),
    ("parameters", PackageKind::Parameters),
    ("data-file", PackageKind::DataFile),
];

fn kind(word: &str) -> Result<PackageKind, String> {
    let found = KINDS.iter().find(|(known, _)| *known == word);
    found.map(|(_, kind)| *kind).ok_or_else(|| "application, parameters or data-file".into())
}

fn word(kind: PackageKind) -> &'static str {
    KINDS.iter().find(|(_, known)| *known == kind).map_or("", |(word, _)| word)
}

/// NAME@RANGE.
#[derive(Debug, Clone)]
struct Needs {
    name: String,
    range: String,
}

impl FromStr for Needs {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, range) = text.rsplit_once('@').context("write NAME@RANGE, as in libpay@>=1.2")?;
        let range: semver::VersionReq = range.parse().context("the range is not one of semantic versions")?;
        let name = PackageName::parse(name)?.as_str().to_owned();
        Ok(Self { name, range: range.to_string() })
    }
}
