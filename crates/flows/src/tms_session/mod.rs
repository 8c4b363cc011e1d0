//! Flow E, the session: terminal and TMS prove themselves to each other under a fresh DWK, and a session key is made
//! (1-systems.md E, steps 1–4; 2-wire.md section 4, flow E).

mod error;
pub mod messages;
mod pad;
pub mod terminal;
pub mod tms;

pub use error::Reason;
pub use messages::{Identification, Transaction};
pub use pad::{OperatorPassword, PadProof, TmsPad};

/// The end of a session on one side.
pub type Fault = crate::Fault<Reason>;
