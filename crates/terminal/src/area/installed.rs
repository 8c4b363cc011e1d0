//! What an area holds: a list of manifests beside the files.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use wire::{Manifest, PackageId, PackageKind, PackageName, PackageVersion};

use super::AreaError;
use super::storage::{FileName, PackageStorage, Room, read_whole};

/// Version of the stored form.
const VERSION: u32 = 1;
/// The list's name in its area.
const LIST: &str = "area.json";
/// What a person calls it.
const WHAT: &str = "list of installed packages";
/// Longest list, bytes: thousands of packages.
const MAX_LIST: usize = 1 << 20;

/// A package in an area.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Installed {
    /// What its vendor signed. Of parameters, size and hash are the last patch's.
    pub(crate) manifest: Manifest,
}

impl Installed {
    /// Where its content lies: parameters are one document of their name, whatever patches made it.
    pub(crate) fn file(&self) -> FileName {
        match self.manifest.id.kind {
            PackageKind::Parameters => {
                FileName::digest("document", self.manifest.id.name.as_str().as_bytes())
            }
            PackageKind::Application | PackageKind::DataFile => {
                FileName::digest("package", &self.manifest.signed_bytes())
            }
        }
    }
}

impl Installed {
    /// Whether a file of this length, or none, can be its content. That its bytes are the signed ones was checked when
    /// they came.
    pub(super) fn is_there(&self, length: Option<u64>) -> bool {
        match self.manifest.id.kind {
            PackageKind::Parameters => length.is_some(),
            PackageKind::Application | PackageKind::DataFile => length == Some(self.manifest.size),
        }
    }
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    version: u32,
    packages: Vec<StoredPackage>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredPackage {
    name: String,
    version: String,
    kind: u8,
    size: u64,
    sha256: String,
}

/// Reads an area's list.
pub(super) fn load(storage: &dyn PackageStorage, room: Room) -> Result<Vec<Installed>, AreaError> {
    let damaged = AreaError::Damaged { what: WHAT };
    let Some(bytes) = read_whole(storage, room, &FileName::fixed(LIST), MAX_LIST)? else {
        return Err(damaged);
    };
    read(&bytes).ok_or(damaged)
}

/// Reads the list of the area before: nothing, where the first set of packages failed and nothing ran before.
pub(super) fn load_or_empty(storage: &dyn PackageStorage, room: Room) -> Result<Vec<Installed>, AreaError> {
    match storage.length(room, &FileName::fixed(LIST))? {
        None => Ok(Vec::new()),
        Some(_) => load(storage, room),
    }
}

/// Writes an area's list; it is safe when this returns.
pub(super) fn store(
    storage: &mut dyn PackageStorage,
    room: Room,
    installed: &[Installed],
) -> Result<(), AreaError> {
    let packages = installed.iter().map(|package| {
        let Manifest { id, size, sha256 } = &package.manifest;
        StoredPackage {
            name: id.name.as_str().to_owned(),
            version: id.version.to_string(),
            kind: id.kind.byte(),
            size: *size,
            sha256: hex(sha256),
        }
    });
    let stored = Stored { version: VERSION, packages: packages.collect() };
    let bytes = serde_json::to_vec(&stored).map_err(|_| AreaError::Damaged { what: WHAT })?;
    storage.replace(room, &FileName::fixed(LIST), &bytes)
}

fn read(bytes: &[u8]) -> Option<Vec<Installed>> {
    let stored: Stored = serde_json::from_slice(bytes).ok()?;
    if stored.version != VERSION {
        return None;
    }
    let package = |package: StoredPackage| {
        let id = PackageId {
            name: PackageName::parse(&package.name).ok()?,
            version: PackageVersion::parse(&package.version).ok()?,
            kind: PackageKind::from_byte(package.kind).ok()?,
        };
        let manifest = Manifest { id, size: package.size, sha256: unhex(&package.sha256)? };
        Some(Installed { manifest })
    };
    stored.packages.into_iter().map(package).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}"); // writing to a String cannot fail
        text
    })
}

fn unhex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 || !text.is_ascii() {
        return None;
    }
    for (index, byte) in bytes.iter_mut().enumerate() {
        *byte = u8::from_str_radix(text.get(2 * index..2 * index + 2)?, 16).ok()?;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::area::MemoryPackages;

    fn package(name: &str, kind: PackageKind) -> Installed {
        let id = PackageId { name: name.parse().unwrap(), version: "1.2.3-rc.1+b7".parse().unwrap(), kind };
        Installed { manifest: Manifest { id, size: u64::MAX, sha256: [0xA5; 32] } }
    }

    #[test]
    fn a_list_is_read_as_it_was_written() {
        let mut storage = MemoryPackages::default();
        let list = [package("päy app", PackageKind::Application), package("menu", PackageKind::Parameters)];
        store(&mut storage, Room::B, &list).unwrap();
        assert_eq!(load(&storage, Room::B).unwrap(), list);
    }

    #[test]
    fn a_list_that_is_missing_changed_or_of_another_version_is_named() {
        let mut storage = MemoryPackages::default();
        assert!(matches!(load(&storage, Room::A), Err(AreaError::Damaged { .. })));
        let bad = [
            r#"{"version":2,"packages":[]}"#,
            r#"{"version":1}"#,
            r#"{"version":1,"packages":[{"name":"../a","version":"1.0.0","kind":1,"size":1,"sha256":""}]}"#,
            "",
        ];
        for bytes in bad {
            storage.replace(Room::A, &FileName::fixed(LIST), bytes.as_bytes()).unwrap();
            assert!(matches!(load(&storage, Room::A), Err(AreaError::Damaged { .. })), "{bytes}");
        }
    }

    #[test]
    fn contents_lie_apart_by_manifest_and_documents_by_name() {
        let [one, mut other] = [0, 1].map(|_| package("app", PackageKind::DataFile));
        other.manifest.sha256 = [1; 32];
        assert_ne!(one.file(), other.file());
        let [one, mut other] = [0, 1].map(|_| package("app", PackageKind::Parameters));
        other.manifest.sha256 = [1; 32];
        assert_eq!(one.file(), other.file());
    }
}
