//! The host interface on real sockets, in front of a real HSM and a real database: who is let in, and what a POSP gets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]
#![allow(clippy::cast_possible_truncation, reason = "sizes here are the test's own")]

#[path = "../support/mod.rs"]
mod support;

mod batches;
mod brake;
mod clients;
mod limits;
mod macs;
mod names;
mod pins;
mod policy;
mod setting;
mod suite_02;
mod zones;
