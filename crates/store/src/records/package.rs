//! Vendors and their packages (flow E).

use serde::{Deserialize, Serialize};

/// Who makes terminals and what runs on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vendor {
    /// Vendor id, as terminals tell it (DF30).
    pub id: String,
    /// For people.
    pub name: String,
    /// Model ids (DF31) that the vendor's packages are for; empty: any.
    pub models: Vec<String>,
    /// Roots under which the vendor's package signers stand, DER.
    pub roots: Vec<Vec<u8>>,
    /// Where its packages are: JSON that the server understands.
    pub repository: String,
    /// Whether its packages need the acquirer's approval (FF24).
    pub approval_required: bool,
    /// Whether an operator must prove himself at the terminal (DF3F).
    pub operator_required: bool,
    /// When it was first entered, Unix milliseconds. Not looked at when a vendor is put.
    pub created_at: i64,
}

/// A package's signature, with what is needed to check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredSignature {
    /// The signer's certificate, DER.
    pub certificate: Vec<u8>,
    /// Certificates between it and its root: DER, one behind the other, nearest first.
    pub intermediates: Vec<u8>,
    /// The signature over the package's manifest (2-wire.md section 2).
    pub signature: Vec<u8>,
}

/// Another package of the same vendor that one needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Its name.
    pub name: String,
    /// Which versions will do: a requirement of semantic versions, such as `>=1.2, <2`.
    pub version: String,
}

/// A package to be published. Its content is in the vendor's repository and was checked against `sha256`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewPackage {
    /// The vendor's id.
    pub vendor: String,
    /// Its name (DF41).
    pub name: String,
    /// Its semantic version (DF42).
    pub version: String,
    /// 1 application, 2 parameters, 3 data file (DF43).
    pub kind: u8,
    /// Models that it is for; empty: all of the vendor's.
    pub models: Vec<String>,
    /// Bytes of its content (DF44).
    pub size: u64,
    /// SHA-256 of its content (DF45).
    pub sha256: [u8; 32],
    /// The vendor's signature.
    pub signature: StoredSignature,
    /// The acquirer's approval, if it has one.
    pub approval: Option<StoredSignature>,
    /// What it needs beside itself.
    pub requires: Vec<Requirement>,
    /// Where its content is in the vendor's repository.
    pub path: String,
}

/// A published package.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Package {
    /// Unique in the store, never used again.
    pub id: i64,
    /// The vendor's id.
    pub vendor: String,
    /// Its name (DF41).
    pub name: String,
    /// Its semantic version (DF42).
    pub version: String,
    /// 1 application, 2 parameters, 3 data file (DF43).
    pub kind: u8,
    /// Models that it is for; empty: all of the vendor's.
    pub models: Vec<String>,
    /// Bytes of its content (DF44).
    pub size: u64,
    /// SHA-256 of its content (DF45).
    pub sha256: [u8; 32],
    /// The vendor's signature.
    pub signature: StoredSignature,
    /// The acquirer's approval, if it has one.
    pub approval: Option<StoredSignature>,
    /// What it needs beside itself.
    pub requires: Vec<Requirement>,
    /// Where its content is in the vendor's repository.
    pub path: String,
    /// When it was published, Unix milliseconds.
    pub published_at: i64,
    /// When it was withdrawn, Unix milliseconds: no terminal gets it any more.
    pub withdrawn_at: Option<i64>,
}

/// What became of [`TmsStore::put_package`](crate::TmsStore::put_package).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PackageOutcome {
    /// It is published, under this id.
    Stored(i64),
    /// The same package was published before, under this id. An approval that it lacked and a new path are kept, with
    /// the event; otherwise nothing was written.
    AlreadyThere(i64),
    /// Another package has this name and version. Nothing was written.
    Differs,
}

/// A file of the database repository, complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileRecord {
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its content, as told when it was finished.
    pub sha256: [u8; 32],
    /// Bytes in each chunk but the last: [`limits::FILE_CHUNK`](crate::limits::FILE_CHUNK).
    pub chunk: u32,
}
