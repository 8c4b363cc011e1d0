//! The remote key server on real sockets, in front of a real HSM and a real database, against a device and a KLD's
//! reports written from the specification alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]
#![allow(clippy::cast_possible_truncation, reason = "sizes here are the test's own")]

#[path = "../support/mod.rs"]
mod support;

mod loading;
mod order;
mod product;
mod reports;
mod strangers;
mod suite_02;
mod windows;
