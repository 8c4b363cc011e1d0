//! An estate moves in from another system: real HSM, real database, blocks made by the other side's own key.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]
#![allow(clippy::cast_possible_truncation, reason = "sizes here are the test's own")]

#[path = "../support/mod.rs"]
mod support;

mod again;
mod moving;
mod other;
mod refusals;
