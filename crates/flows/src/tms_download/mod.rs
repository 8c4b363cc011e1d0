//! Flow E, the sealed phase: inventory, plan, packages and report (1-systems.md E, steps 5–7; 2-wire.md section 7).

mod error;
pub mod messages;
pub mod sealed;
pub mod terminal;
pub mod tms;

pub use error::Reason;
pub use messages::{Data, Done, Get, Inventory, Plan, Report};
pub use sealed::{Counters, Exhausted, INNER_MAX, MAX_SEALED_BLOCKS};
pub use terminal::{Fetch, Next, length_for};
pub use tms::Request;

/// The end of the sealed phase on one side.
pub type Fault = crate::Fault<Reason>;
