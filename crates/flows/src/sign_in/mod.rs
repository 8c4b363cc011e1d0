//! Flow F: a terminal gets its working keys from the host under its TMK (1-systems.md F, step 1; 2-wire.md section 4,
//! flow F).

mod error;
pub mod host;
pub mod messages;
mod pad;
pub mod terminal;

pub use error::Reason;
pub use pad::SignInPad;

/// The end of a sign-in on one side.
pub type Fault = crate::Fault<Reason>;
