//! Flow E, the sealed phase: inventory, plan, packages and report (1-systems.md E, steps 5–7; 2-wire.md section 7).

mod error;
pub mod messages;
pub mod sealed;

pub use error::Reason;
pub use messages::{Data, Done, Get, Inventory, Plan, Report};
pub use sealed::{Counters, Exhausted, INNER_MAX, MAX_SEALED_BLOCKS};

/// The end of the sealed phase on one side.
pub type Fault = crate::Fault<Reason>;
