//! The audit chain: each event carries the hash of the one before (4-requirements.md R32).

mod canonical;
mod chain;
mod verdict;

pub(crate) use canonical::canonical_json;
pub(crate) use chain::{Hash, Link, hex};
pub(crate) use verdict::Checker;
pub use verdict::{AuditBreak, AuditFault, AuditRow, AuditVerdict};
