//! The key loading device against its real software HSM: with the product's terminal, and with one written from
//! 2-wire.md alone.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that goes wrong stops here, as it should")]

#[path = "../station/estate.rs"]
#[allow(dead_code, reason = "the station's tests use all of it")]
mod estate;
#[path = "../station/fake_server.rs"]
mod fake_server;
mod independent;
mod independent_02;
mod lines;
mod listening;
mod loading;
mod loading_02;
mod product;
mod refusals;
mod reports;
mod runs;
mod setup;
mod world;
mod world_02;
