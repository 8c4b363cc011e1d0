//! What only looks, one file for each group. A read is a function of a connection.

use crate::limits;

pub(super) mod audit;
pub(super) mod batches;
pub(super) mod certificates;
pub(super) mod deployments;
pub(super) mod devices;
pub(super) mod estate;
pub(super) mod host;
pub(super) mod orders;
pub(super) mod packages;
pub(super) mod refusals;
pub(super) mod slots;
pub(super) mod status;
pub(super) mod suites;
pub(super) mod terminals;
pub(super) mod windows;

/// A page's length as asked for, within what one page may hold.
fn page(limit: u32) -> u32 {
    limit.min(limits::PAGE)
}
