//! The attacks of the specification's list, each a test by its name, against suite 01: what stops them is in
//! `docs/security.md`, which [`table`] holds to the tests.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]
#![allow(clippy::cast_possible_truncation, reason = "sizes here are the test's own")]

// The support of the servers' and the KLD's tests names their crates so.
extern crate server as keyferry_server;

#[path = "../../../server/tests/support/mod.rs"]
mod support;

mod blocks;
mod forge;
mod real;
mod sessions;
