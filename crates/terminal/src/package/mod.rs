//! Packages: whose they are, whether they may replace what is installed, and what parameters make of a document.
//!
//! A package is believed by its vendor's signature (role `.7`, leading to the vendor's root), by its hash, and where the
//! terminal's settings demand it by the acquirer's approval. Versions go up, unless the plan of a proven TMS says
//! otherwise and the settings let it. Parameters are merge patches on one document, which must hold to its schema.

mod bounded;
mod content;
mod merge;
mod origin;
mod refusal;
mod schema;
mod set;
mod version;

use serde::{Deserialize, Serialize};

pub use content::MAX_PACKAGE;
pub use merge::merge;
pub use refusal::PackageRefusal;

pub(crate) use content::{check as check_content, check_size};
pub(crate) use origin::check as check_origin;
pub(crate) use set::{Arrived, install};
pub(crate) use version::{Change, check as check_version};

/// What production decides about packages.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PackageSettings {
    /// Whether each package also needs the acquirer's approval (FF24), which leads to an acquirer's root.
    pub approval_demanded: bool,
    /// Whether an older version than the installed one is refused even when the TMS plans it. A TMS plans one only in a
    /// deployment that says so.
    pub refuse_older: bool,
}
