//! Sign-in on real sockets, in front of a real HSM and a real database, against a terminal written from the
//! specification alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]
#![allow(clippy::cast_possible_truncation, reason = "sizes here are the test's own")]

#[path = "../support/mod.rs"]
mod support;

mod carried;
mod product;
mod refusals;
mod sign_ins;
mod suite_02;
