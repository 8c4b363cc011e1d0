//! Why a package is not installed.

use wire::{PackageKind, PackageName, PackageVersion};

/// Why a package is not installed. The TMS is told code and words in its report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PackageRefusal {
    /// The vendor's certificate or signature does not hold.
    #[error("the vendor's signature: {why}")]
    Signature {
        /// What is wrong with it.
        why: String,
    },
    /// This terminal demands an approval, and there is none.
    #[error("this terminal demands the acquirer's approval: have the package approved")]
    NotApproved,
    /// The acquirer's certificate or signature does not hold.
    #[error("the acquirer's approval: {why}")]
    Approval {
        /// What is wrong with it.
        why: String,
    },
    /// The content is not the one that was signed.
    #[error("the content has another hash than the one that was signed: publish it again")]
    Hash,
    /// It is larger than a package may be.
    #[error("{size} bytes are more than the {most} that a package of its kind may have")]
    Size {
        /// Its bytes.
        size: u64,
        /// What is allowed.
        most: u64,
    },
    /// The disk has no room for it; what came of it is kept.
    #[error("this terminal has no room for it: free some, and it goes on where it stood")]
    NoRoom,
    /// There are as many packages as one terminal may have.
    #[error("this terminal has as many packages as it may")]
    TooMany,
    /// It is older than what is installed.
    #[error("version {installed} is installed, and this terminal takes no older one")]
    Older {
        /// What is installed.
        installed: PackageVersion,
    },
    /// What is installed has this version and other bytes.
    #[error("this version is installed with other content: publish the new one under a new version")]
    Changed,
    /// What is installed under this name is of another kind.
    #[error("a package of the kind {installed} is installed under this name")]
    Kind {
        /// The installed one's kind.
        installed: PackageKind,
    },
    /// The plan names this package a second time.
    #[error("the plan names two packages of this name")]
    Twice,
    /// Parameters are no JSON, or too long.
    #[error("the parameters cannot be used: {why}")]
    Patch {
        /// Why.
        why: String,
    },
    /// There is no schema for these parameters, or none that can be used.
    #[error("the schema {name} {why}")]
    Schema {
        /// The data file's name.
        name: String,
        /// What is wrong with it.
        why: String,
    },
    /// The document that the patch makes does not hold to its schema.
    #[error("the parameters would not hold to their schema: {why}")]
    Invalid {
        /// Where, and what is wrong there; without the value itself.
        why: String,
    },
    /// Another package of this plan, which it needs, is refused.
    #[error("it needs {name}, which is refused")]
    DependsOn {
        /// That package.
        name: PackageName,
    },
    /// The TMS does not give its content.
    #[error("the TMS does not give it: {why}")]
    NotGiven {
        /// The TMS's words.
        why: String,
    },
    /// It was installed, its first start failed, and the area before runs again.
    #[error("its first start failed: {why}")]
    Start {
        /// The start hook's reason.
        why: String,
    },
}

impl PackageRefusal {
    /// Whether what came of the package may still be needed: it was not the package's fault.
    pub(crate) fn may_pass(&self) -> bool {
        matches!(self, PackageRefusal::NoRoom | PackageRefusal::NotGiven { .. })
    }

    /// A word for programs, which stays.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            PackageRefusal::Signature { .. } => "signature",
            PackageRefusal::NotApproved | PackageRefusal::Approval { .. } => "approval",
            PackageRefusal::Hash => "hash",
            PackageRefusal::Size { .. } => "size",
            PackageRefusal::NoRoom => "room",
            PackageRefusal::TooMany => "many",
            PackageRefusal::Older { .. } => "older",
            PackageRefusal::Changed => "changed",
            PackageRefusal::Kind { .. } => "kind",
            PackageRefusal::Twice => "twice",
            PackageRefusal::Patch { .. } => "patch",
            PackageRefusal::Schema { .. } | PackageRefusal::Invalid { .. } => "schema",
            PackageRefusal::DependsOn { .. } => "depends",
            PackageRefusal::NotGiven { .. } => "not-given",
            PackageRefusal::Start { .. } => "start",
        }
    }
}
