//! Why a document cannot be used.

/// Why a document cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BatchError {
    /// No JSON, or not of the form that such a document has.
    #[error("the document is not JSON of its form: {0}")]
    Json(#[from] serde_json::Error),
    /// Of another version.
    #[error("version {0} is not known; this program knows version 1")]
    Version(u32),
    /// A member has a value that it cannot have.
    #[error("{member} {defect}")]
    Member {
        /// Which one.
        member: &'static str,
        /// What is wrong with it.
        defect: &'static str,
    },
    /// More than a document may list.
    #[error("{found} {what}; at most {limit} may be in one document: split it")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there may be.
        limit: usize,
    },
    /// A serial that is listed twice.
    #[error("serial {0:?} stands twice in it")]
    SerialTwice(String),
}

impl BatchError {
    /// A member with a value that it cannot have.
    pub(crate) fn member(member: &'static str, defect: &'static str) -> BatchError {
        BatchError::Member { member, defect }
    }
}
