//! Requirements that concern every flow at once: the audit (R30, R31) and what is kept and sent (R3).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]
#![allow(clippy::cast_possible_truncation, reason = "sizes here are the test's own")]

#[path = "../support/mod.rs"]
mod support;

mod audited;
mod event_kinds;
mod key_columns;
mod key_fields;
mod yard;
