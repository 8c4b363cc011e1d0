//! Packages: name, version, kind, and what a vendor signs (2-wire.md section 2, DF41 to DF45).

use alloc::{boxed::Box, string::ToString, vec::Vec};
use core::{fmt, str::FromStr};

use crate::{
    Fields, Malformed, Tag,
    limits::{MAX_PACKAGE_NAME, MAX_PACKAGE_VERSION},
};

/// The name of a package (DF41): 1–64 bytes of UTF-8 without `/`, `\`, NUL and `..`.
///
/// So it cannot climb out of a folder, but it is no file name yet: it may be `.`, hold control characters, or differ
/// from another only by case.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName(Box<str>);

impl PackageName {
    /// Reads a name from text.
    ///
    /// # Errors
    /// [`Malformed::PackageName`].
    pub fn parse(text: &str) -> Result<PackageName, Malformed> {
        let good = (1..=MAX_PACKAGE_NAME).contains(&text.len())
            && !text.contains(['/', '\\', '\0'])
            && !text.contains("..");
        if good { Ok(PackageName(text.into())) } else { Err(Malformed::PackageName) }
    }

    /// Reads a name from a field's value.
    ///
    /// # Errors
    /// [`Malformed::PackageName`], also for what is not UTF-8.
    pub fn from_bytes(bytes: &[u8]) -> Result<PackageName, Malformed> {
        PackageName::parse(core::str::from_utf8(bytes).map_err(|_| Malformed::PackageName)?)
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for PackageName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<PackageName, Malformed> {
        PackageName::parse(text)
    }
}

/// Control characters show escaped: a name comes from outside and must not write to a screen as it likes.
impl fmt::Display for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            if c.is_control() { write!(f, "{}", c.escape_default())? } else { write!(f, "{c}")? }
        }
        Ok(())
    }
}

impl fmt::Debug for PackageName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// The version of a package (DF42): a semantic version of up to 32 characters.
///
/// In the order of precedence of semver.org; versions that differ only in build metadata are different, and the
/// metadata decides last.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageVersion(semver::Version);

impl PackageVersion {
    /// Reads a version from text.
    ///
    /// # Errors
    /// [`Malformed::PackageVersion`].
    pub fn parse(text: &str) -> Result<PackageVersion, Malformed> {
        if text.len() > MAX_PACKAGE_VERSION {
            return Err(Malformed::PackageVersion);
        }
        semver::Version::parse(text).map(PackageVersion).map_err(|_| Malformed::PackageVersion)
    }

    /// Reads a version from a field's value.
    ///
    /// # Errors
    /// [`Malformed::PackageVersion`].
    pub fn from_bytes(bytes: &[u8]) -> Result<PackageVersion, Malformed> {
        PackageVersion::parse(core::str::from_utf8(bytes).map_err(|_| Malformed::PackageVersion)?)
    }

    /// The version, for requirements like `>=1.2, <2`.
    pub fn semver(&self) -> &semver::Version {
        &self.0
    }
}

impl FromStr for PackageVersion {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<PackageVersion, Malformed> {
        PackageVersion::parse(text)
    }
}

/// The text that was read, to the byte: a semantic version has one form.
impl fmt::Display for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

impl fmt::Debug for PackageVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PackageVersion({self})")
    }
}

/// What a package is (DF43).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum PackageKind {
    /// A program.
    Application = 1,
    /// Parameters: a merge patch on a JSON document.
    Parameters = 2,
    /// Any other file.
    DataFile = 3,
}

impl PackageKind {
    /// Every kind, in the order of its byte.
    pub const ALL: &'static [PackageKind] =
        &[PackageKind::Application, PackageKind::Parameters, PackageKind::DataFile];

    /// The kind with this byte.
    ///
    /// # Errors
    /// [`Malformed::FieldValue`].
    pub fn from_byte(byte: u8) -> Result<PackageKind, Malformed> {
        let kind = PackageKind::ALL.iter().find(|kind| kind.byte() == byte);
        kind.copied().ok_or(Malformed::FieldValue { tag: Tag::PACKAGE_KIND })
    }

    /// The byte, as it stands in the field.
    pub fn byte(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for PackageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Application => "application",
            Self::Parameters => "parameters",
            Self::DataFile => "data file",
        })
    }
}

/// Which package: what an inventory tells of one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageId {
    /// Its name.
    pub name: PackageName,
    /// Its version.
    pub version: PackageVersion,
    /// Its kind.
    pub kind: PackageKind,
}

impl PackageId {
    /// Reads DF41, DF42 and DF43.
    ///
    /// # Errors
    /// When one is missing or has a value that it cannot have.
    pub fn from_fields(fields: &Fields) -> Result<PackageId, Malformed> {
        let (name, version) = fields.package()?;
        let [kind] = fields.exactly(Tag::PACKAGE_KIND)?;
        Ok(PackageId { name, version, kind: PackageKind::from_byte(kind)? })
    }

    /// The three fields, as FF22 holds them in an inventory.
    pub fn to_fields(&self) -> Fields {
        let mut fields = Fields::new();
        let _ = self.push(&mut fields); // three different tags and short values: nothing to refuse
        fields
    }

    pub(crate) fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push_package(&self.name, &self.version)?;
        fields.push(Tag::PACKAGE_KIND, &[self.kind.byte()])
    }
}

impl fmt::Display for PackageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} ({})", self.name, self.version, self.kind)
    }
}

/// What a vendor signs of a package: which one, and exactly which bytes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Manifest {
    /// Which package.
    pub id: PackageId,
    /// Bytes of its content (DF44).
    pub size: u64,
    /// SHA-256 of its content (DF45).
    pub sha256: [u8; 32],
}

impl Manifest {
    /// Reads DF41 to DF45.
    ///
    /// # Errors
    /// When one is missing or has a value that it cannot have.
    pub fn from_fields(fields: &Fields) -> Result<Manifest, Malformed> {
        Ok(Manifest {
            id: PackageId::from_fields(fields)?,
            size: u64::from_be_bytes(fields.exactly(Tag::PACKAGE_SIZE)?),
            sha256: fields.exactly(Tag::PACKAGE_SHA256)?,
        })
    }

    /// The five fields, in the order in which they are signed.
    pub fn to_fields(&self) -> Fields {
        let mut fields = self.id.to_fields();
        // Two more tags and short values: nothing to refuse here either.
        let _ = fields.push(Tag::PACKAGE_SIZE, &self.size.to_be_bytes());
        let _ = fields.push(Tag::PACKAGE_SHA256, &self.sha256);
        fields
    }

    /// What a signature (DF49) is over: DF41 DF42 DF43 DF44 DF45 as TLV in that order, so that a name or a version
    /// cannot be put on other bytes.
    pub fn signed_bytes(&self) -> Vec<u8> {
        self.to_fields().encode().unwrap_or_default() // five short fields always encode
    }
}

impl Fields {
    /// A package's name and version (DF41, DF42).
    ///
    /// # Errors
    /// When one is missing or has a value that it cannot have.
    pub fn package(&self) -> Result<(PackageName, PackageVersion), Malformed> {
        let name = PackageName::from_bytes(self.required(Tag::PACKAGE_NAME)?)?;
        Ok((name, PackageVersion::from_bytes(self.required(Tag::PACKAGE_VERSION)?)?))
    }

    /// Adds DF41 and DF42.
    ///
    /// # Errors
    /// When one is there already.
    pub fn push_package(&mut self, name: &PackageName, version: &PackageVersion) -> Result<(), Malformed> {
        self.push(Tag::PACKAGE_NAME, name.as_str().as_bytes())?;
        self.push(Tag::PACKAGE_VERSION, version.to_string().as_bytes())
    }
}

#[cfg(test)]
#[path = "package_tests.rs"]
mod tests;
