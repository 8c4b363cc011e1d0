//! The KMS on real sockets, in front of a real HSM and a real database, against a terminal and a station written from
//! the specification alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]
#![allow(clippy::cast_possible_truncation, reason = "sizes here are the test's own")]

#[path = "../support/mod.rs"]
mod support;

mod cuts;
mod downloads;
mod entries;
mod failures;
mod frames;
mod limits;
mod order;
mod quotas;
mod races;
mod replacements;
mod strangers;
mod suite_02;
mod tampering;
mod trials;
mod uploads;
mod whole_path;
