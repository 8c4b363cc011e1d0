//! What a vendor hands over with a package's file, and what an acquirer says to it: two JSON files.

use base64ct::{Base64, Encoding};
use semver::VersionReq;
use serde::{Deserialize, Deserializer, de::Error as _};
use sha2::{Digest, Sha256};
use store::{Requirement, StoredSignature, limits::PATH};
use wire::{ModelId, PackageId, PackageKind, PackageName, PackageVersion, VendorId};

/// What a package may require beside itself, at most.
pub const MAX_REQUIREMENTS: usize = 16;
/// Models that a package may name, at most.
pub const MAX_MODELS: usize = 256;
/// The largest file, bytes.
pub const MAX_FILE: u64 = 4 << 30;

/// A package's manifest as its vendor writes it.
///
/// ```json
/// {"vendor":"VND","name":"pay-app","version":"1.2.0","kind":"application","models":["M-1"],"size":1048576,
///  "sha256":"64 hex digits","requires":[{"name":"lib","version":"^1.4"}],"path":"pay-app/1.2.0.bin",
///  "signature":"base64","certificate":"base64 of DER","intermediates":["base64 of DER"]}
/// ```
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The vendor's id.
    #[serde(deserialize_with = "parsed")]
    pub vendor: VendorId,
    /// The package's name.
    #[serde(deserialize_with = "parsed")]
    pub name: PackageName,
    /// Its semantic version.
    #[serde(deserialize_with = "parsed")]
    pub version: PackageVersion,
    /// `application`, `parameters` or `data-file`.
    #[serde(deserialize_with = "kind")]
    pub kind: PackageKind,
    /// Models that it is for; none: all of the vendor's.
    #[serde(default)]
    pub models: Vec<String>,
    /// Bytes of its file.
    pub size: u64,
    /// SHA-256 of its file, hex.
    #[serde(deserialize_with = "digest")]
    pub sha256: [u8; 32],
    /// What it requires.
    #[serde(default)]
    pub requires: Vec<Requirement>,
    /// Where its file is in the vendor's repository.
    pub path: String,
    /// The vendor's signature over [`Manifest::signed_bytes`].
    #[serde(deserialize_with = "base64")]
    pub signature: Vec<u8>,
    /// The signer's certificate, DER.
    #[serde(deserialize_with = "base64")]
    pub certificate: Vec<u8>,
    /// The certificates between it and its root, nearest to it first, DER.
    #[serde(default, deserialize_with = "base64s")]
    pub intermediates: Vec<Vec<u8>>,
}

/// An acquirer's approval of a package: its signature over the same bytes.
///
/// `manifest_sha256`, where it is there, is SHA-256 of these bytes, hex: so that people see which package was approved.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approval {
    /// SHA-256 of the signed bytes.
    #[serde(default, deserialize_with = "optional_digest")]
    pub manifest_sha256: Option<[u8; 32]>,
    /// The acquirer's signature over [`Manifest::signed_bytes`].
    #[serde(deserialize_with = "base64")]
    pub signature: Vec<u8>,
    /// The signer's certificate, DER.
    #[serde(deserialize_with = "base64")]
    pub certificate: Vec<u8>,
    /// The certificates between it and its root, nearest to it first, DER.
    #[serde(default, deserialize_with = "base64s")]
    pub intermediates: Vec<Vec<u8>>,
}

/// Why a manifest is none that can be published, whoever signed it.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// It is not the JSON that it should be.
    #[error("not a manifest: {0}")]
    Json(#[from] serde_json::Error),
    /// A model is no model id.
    #[error("models: {0:?} is no model id: 1 to 20 of A-Z a-z 0-9 - . _")]
    Model(String),
    /// Too many models or requirements.
    #[error("{0} has more than {1} entries")]
    TooMany(&'static str, usize),
    /// A requirement's name is no package name, or its version no range of versions.
    #[error("requires: {0:?} {1:?} is no package with a range of versions such as \">=1.2, <2\"")]
    Requirement(String, String),
    /// The file has no content, or more than 4 GiB.
    #[error("size must be 1 to {MAX_FILE} bytes")]
    Size,
    /// The path leads out of the repository, or is none.
    #[error(
        "path must be a relative path of at most {PATH} bytes, with / between its parts and without . and .."
    )]
    Path,
    /// An approval is of another package.
    #[error("the approval is for another package: its manifest_sha256 is not this manifest's")]
    OtherManifest,
}

impl Manifest {
    /// Reads a manifest and checks all that can be checked without its vendor.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn from_json(json: &str) -> Result<Self, ManifestError> {
        let manifest: Self = serde_json::from_str(json)?;
        manifest.check()?;
        Ok(manifest)
    }

    fn check(&self) -> Result<(), ManifestError> {
        if self.models.len() > MAX_MODELS {
            return Err(ManifestError::TooMany("models", MAX_MODELS));
        }
        if let Some(bad) = self.models.iter().find(|model| ModelId::parse(model).is_err()) {
            return Err(ManifestError::Model(bad.clone()));
        }
        if self.requires.len() > MAX_REQUIREMENTS {
            return Err(ManifestError::TooMany("requires", MAX_REQUIREMENTS));
        }
        let broken = |one: &&Requirement| {
            PackageName::parse(&one.name).is_err() || VersionReq::parse(&one.version).is_err()
        };
        if let Some(Requirement { name, version }) = self.requires.iter().find(broken) {
            return Err(ManifestError::Requirement(name.clone(), version.clone()));
        }
        if !(1..=MAX_FILE).contains(&self.size) {
            return Err(ManifestError::Size);
        }
        if is_inside(&self.path) { Ok(()) } else { Err(ManifestError::Path) }
    }

    /// The package as terminals are told of it.
    #[must_use]
    pub fn package(&self) -> wire::Manifest {
        let id = PackageId { name: self.name.clone(), version: self.version.clone(), kind: self.kind };
        wire::Manifest { id, size: self.size, sha256: self.sha256 }
    }

    /// What vendor and acquirer sign: name, version, kind, size and hash (2-wire.md section 2).
    #[must_use]
    pub fn signed_bytes(&self) -> Vec<u8> {
        self.package().signed_bytes()
    }

    /// The vendor's signature as it is kept.
    pub(crate) fn stored_signature(&self) -> StoredSignature {
        stored(&self.signature, &self.certificate, &self.intermediates)
    }
}

impl Approval {
    /// Reads an approval of `manifest`.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn from_json(json: &str, manifest: &Manifest) -> Result<Self, ManifestError> {
        let approval: Self = serde_json::from_str(json)?;
        let is_of = |sha256| Sha256::digest(manifest.signed_bytes()).as_slice() == sha256;
        if approval.manifest_sha256.as_ref().is_none_or(is_of) {
            Ok(approval)
        } else {
            Err(ManifestError::OtherManifest)
        }
    }

    /// The acquirer's signature as it is kept.
    pub(crate) fn stored_signature(&self) -> StoredSignature {
        stored(&self.signature, &self.certificate, &self.intermediates)
    }
}

fn stored(signature: &[u8], certificate: &[u8], intermediates: &[Vec<u8>]) -> StoredSignature {
    StoredSignature {
        certificate: certificate.to_vec(),
        intermediates: intermediates.concat(),
        signature: signature.to_vec(),
    }
}

/// Whether a path stays inside of whatever it is a path in: a folder, a URL, a table.
fn is_inside(path: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.len() <= PATH
        && !path.chars().any(|c| c.is_control() || matches!(c, '\\' | '?' | '#' | '%' | ':'))
        && path.split('/').all(part)
}

fn parsed<'de, D: Deserializer<'de>, T: std::str::FromStr>(from: D) -> Result<T, D::Error>
where
    T::Err: std::fmt::Display,
{
    String::deserialize(from)?.parse().map_err(D::Error::custom)
}

fn kind<'de, D: Deserializer<'de>>(from: D) -> Result<PackageKind, D::Error> {
    match String::deserialize(from)?.as_str() {
        "application" => Ok(PackageKind::Application),
        "parameters" => Ok(PackageKind::Parameters),
        "data-file" => Ok(PackageKind::DataFile),
        other => Err(D::Error::unknown_variant(other, &["application", "parameters", "data-file"])),
    }
}

fn digest<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
    let text = String::deserialize(from)?;
    from_hex(&text).ok_or_else(|| D::Error::custom("a SHA-256 is 64 hex digits"))
}

fn optional_digest<'de, D: Deserializer<'de>>(from: D) -> Result<Option<[u8; 32]>, D::Error> {
    digest(from).map(Some)
}

fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut digest = [0; 32];
    if text.len() != 2 * digest.len() {
        return None;
    }
    for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)) {
        for digit in pair {
            *byte = *byte << 4 | u8::try_from(char::from(*digit).to_digit(16)?).ok()?;
        }
    }
    Some(digest)
}

fn base64<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    decoded(&String::deserialize(from)?)
}

fn base64s<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Vec<u8>>, D::Error> {
    Vec::<String>::deserialize(from)?.iter().map(|text| decoded(text)).collect()
}

fn decoded<E: serde::de::Error>(text: &str) -> Result<Vec<u8>, E> {
    Base64::decode_vec(text).map_err(|_| E::custom("not base64 with its padding and without line ends"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn good() -> Value {
        json!({ "vendor": "VND", "name": "pay-app", "version": "1.2.0", "kind": "application", "models": ["M-1"],
                "size": 7, "sha256": "ab".repeat(32), "requires": [{ "name": "lib", "version": "^1.4" }],
                "path": "pay-app/1.2.0.bin", "signature": "AQI=", "certificate": "MAA=", "intermediates": ["MAE="] })
    }

    fn with(name: &str, value: Value) -> Result<Manifest, ManifestError> {
        let mut manifest = good();
        manifest[name] = value;
        Manifest::from_json(&manifest.to_string())
    }

    #[test]
    fn a_manifest_is_read_and_its_signed_bytes_are_those_of_the_wire() {
        let manifest = Manifest::from_json(&good().to_string()).unwrap();
        assert_eq!(manifest.stored_signature().intermediates, [0x30, 1]);
        let mut signed = b"\xDF\x41\x07pay-app\xDF\x42\x051.2.0\xDF\x43\x01\x01\xDF\x44\x08".to_vec();
        signed.extend([0, 0, 0, 0, 0, 0, 0, 7, 0xDF, 0x45, 0x20]);
        signed.extend([0xAB; 32]);
        assert_eq!(manifest.signed_bytes(), signed);
        assert_eq!(with("kind", json!("data-file")).unwrap().kind, PackageKind::DataFile);
    }

    #[test]
    fn what_is_no_manifest_is_refused() {
        for (name, value) in [
            ("vendor", json!("too-long-a-vendor")),
            ("name", json!("../up")),
            ("version", json!("1.2")),
            ("kind", json!("program")),
            ("size", json!(-1)),
            ("sha256", json!("ab")),
            ("sha256", json!("zz".repeat(32))),
            ("signature", json!("AQI")),
            ("certificate", json!(7)),
            ("unknown", json!(1)),
        ] {
            assert!(matches!(with(name, value.clone()), Err(ManifestError::Json(_))), "{name} {value}");
        }
        assert!(matches!(with("models", json!(["a b"])), Err(ManifestError::Model(_))));
        assert!(matches!(with("models", json!(vec!["M"; MAX_MODELS + 1])), Err(ManifestError::TooMany(..))));
        let requirement = json!({ "name": "lib", "version": "*" });
        let many = |count| with("requires", json!(vec![requirement.clone(); count]));
        assert!(many(MAX_REQUIREMENTS).is_ok());
        assert!(matches!(many(MAX_REQUIREMENTS + 1), Err(ManifestError::TooMany(..))));
        for (name, version) in [("a/b", "*"), ("lib", "newest")] {
            let bad = json!([{ "name": name, "version": version }]);
            assert!(matches!(with("requires", bad), Err(ManifestError::Requirement(..))));
        }
        assert!(with("size", json!(MAX_FILE)).is_ok());
        for size in [0, MAX_FILE + 1] {
            assert!(matches!(with("size", json!(size)), Err(ManifestError::Size)));
        }
    }

    #[test]
    fn a_path_that_leads_out_of_its_repository_is_refused() {
        for path in [
            "",
            "/etc/passwd",
            "a/../b",
            "..",
            "a//b",
            "a/",
            ".",
            "a\\b",
            "a?b",
            "a#b",
            "%2e%2e/b",
            "c:b",
            "a\nb",
        ] {
            assert!(matches!(with("path", json!(path)), Err(ManifestError::Path)), "{path:?}");
        }
        assert!(matches!(with("path", json!("a".repeat(PATH + 1))), Err(ManifestError::Path)));
        for path in ["a", "a/b.bin", "..a", "ä/1.0.0+x", "a b"] {
            assert!(with("path", json!(path)).is_ok(), "{path:?}");
        }
    }

    #[test]
    fn an_approval_of_another_manifest_is_refused() {
        let manifest = Manifest::from_json(&good().to_string()).unwrap();
        let read = |json: Value| Approval::from_json(&json.to_string(), &manifest);
        let mut approval = json!({ "signature": "AQI=", "certificate": "MAA=" });
        assert_eq!(read(approval.clone()).unwrap().manifest_sha256, None);
        let digest: [u8; 32] = Sha256::digest(manifest.signed_bytes()).into();
        approval["manifest_sha256"] =
            json!(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        assert!(read(approval.clone()).is_ok());
        approval["manifest_sha256"] = json!("00".repeat(32));
        assert!(matches!(read(approval), Err(ManifestError::OtherManifest)));
    }
}
