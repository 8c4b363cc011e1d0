//! Certifying a device key over a cable: the PIN pad's request goes to the CA, its certificate comes back (3-hardened.md,
//! "Primitives"). The terminal listens, the station or KLD connects. Message types 57 to 59 are this project's own.
//!
//! ```text
//! CA                      station                            terminal                PIN pad
//!    |                       | --DEVICE_ASK-------------------> |                       |
//!    |                       | <--DEVICE_REQUEST: SN, DF50----- | <--PKCS #10---------- |  key made at production
//!    | <--request----------- |                                  |                       |
//!    | --certificate-------> | --DEVICE_CERTIFICATE: DF1A-----> | --checked-----------> |  installed
//!    |                       | <--DONE------------------------- |                       |
//! ```
//!
//! The CA may take days: the key stays, and every DEVICE_ASK gets a request for it. So DEVICE_CERTIFICATE may also come on a
//! later connection ([`terminal::ExpectCertificate::resume`]).
//!
//! # Threats answered
//!
//! - *Another PIN pad's request under this serial*: the request is signed by the key that it is for, its subject names the
//!   PIN pad, and the station sends it on only for a terminal on its list (0004); that the terminal at the cable is that one
//!   is what people see, as it is in collecting.
//! - *A certificate of another key or serial*: the PIN pad installs none but its own key's, with its own serial (000D).
//! - *A device whose key is changed in the field*: only in production or repair (0008).

mod error;
pub mod messages;
mod pad;
pub mod station;
pub mod terminal;

pub use error::Reason;
pub use pad::{DevicePad, InstallRefusal};

/// The end of a certification on one side.
pub type Fault = crate::Fault<Reason>;

#[cfg(test)]
mod tests;
