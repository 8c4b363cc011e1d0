//! Terminal management on real sockets, in front of a real HSM and a real database, against a terminal and a vendor
//! written from the specification alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]
#![allow(clippy::cast_possible_truncation, reason = "sizes here are the test's own")]

#[path = "../support/mod.rs"]
mod support;

mod deployments;
mod keys;
mod loading;
mod many;
mod operators;
mod product;
mod publishing;
mod seals;
mod sessions;
mod strangers;
mod suite_02;
mod tampering;
