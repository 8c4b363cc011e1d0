//! Flow E: terminals that the TMS keeps up to date, their handshakes, sealed frames, and many updates at once.
//!
//! They speak by the product's roles (`flows`) over a PIN pad that does all of the cryptography and none of the rest: no
//! state on a disk, no tamper checks.

mod fleet;
mod handshakes;
mod memory;
mod pad;
mod sealed;
mod session;
mod shop;
mod update;

pub(crate) use fleet::{Managed, ManagedFleet, SLOT};
pub(crate) use handshakes::Handshakes;
pub(crate) use memory::Memory;
pub(crate) use pad::{Pad, refused};
pub(crate) use sealed::SealedFrames;
pub(crate) use shop::{BULK, Shop, hex};
pub(crate) use update::update;
