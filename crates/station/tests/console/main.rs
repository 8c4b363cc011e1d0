//! The station's console: what it shows, what each key does, and what it asks for; no terminal, no clock, no thread.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]

mod cards;
mod desk;
mod keys;
mod page;
mod pins;
mod queue;
mod situations;
mod terminals;
mod windows;
