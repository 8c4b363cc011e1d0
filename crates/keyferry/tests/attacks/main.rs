//! The attacks of the specification's list, each a test by its name, against both suites: what stops them is in
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
extern crate station as keyferry_station;

#[path = "../../../server/tests/support/mod.rs"]
mod support;

// The program's own processes.
#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "the program's tests use all of it")]
mod cli;

// A KLD with its HSM and its cards, and a terminal for it that is none of the product's.
#[path = "../../../station/tests/station/estate.rs"]
#[allow(dead_code, reason = "the station's tests use all of it")]
mod estate;
#[path = "../../../station/tests/kld/independent.rs"]
#[allow(dead_code, reason = "the KLD's tests use all of it")]
mod independent;
#[path = "../../../station/tests/kld/independent_02.rs"]
#[allow(dead_code, reason = "the KLD's tests use all of it")]
mod independent_02;
#[path = "../../../station/tests/kld/listening.rs"]
#[allow(dead_code, reason = "the KLD's tests use all of it")]
mod listening;
#[path = "../../../station/tests/kld/world.rs"]
#[allow(dead_code, reason = "the KLD's tests use all of it")]
mod world;
#[path = "../../../station/tests/kld/world_02.rs"]
#[allow(dead_code, reason = "the KLD's tests use all of it")]
mod world_02;

mod crowd;
mod packages;
mod play;
mod suite_01;
mod suite_02;
mod table;
