//! `keyferry station console` as people use it: keys, a screen, cables, cards, and a server that goes and comes back.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod support;

mod desk;
mod pins;
mod runs;
mod screen;
mod suite_02;
mod terminal;
mod tokens;
