//! Against suite 01, TDES and RSA.

mod blocks;
mod device;
mod floods;
mod forge;
mod keys;
mod kills;
mod loaders;
mod oracle;
mod proofs;
mod real;
mod roles;
mod sessions;
mod suites;
mod uploads;

pub(crate) use device::{DISTURBED, Power};
pub(crate) use forge::{Block, Victim, certificate, collect_frame, random_key};
