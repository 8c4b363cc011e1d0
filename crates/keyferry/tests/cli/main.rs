//! The program as people run it: real processes, files, sockets and signals.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]

#[path = "../support/mod.rs"]
mod support;

mod agreeing;
mod audit;
mod ca;
mod calc;
mod canary;
mod cards;
mod ceremonies;
mod config;
mod custodians;
mod demo;
mod diagnosing;
mod dispatching;
mod full_disk;
mod help;
mod host;
mod hsm_process;
mod import;
mod init;
mod journal;
mod kills;
mod kld;
mod lines;
mod memory;
mod orders;
mod parting;
mod replacements;
mod secrets;
mod station;
mod station_page;
mod terminal;
mod terminal_tms;
mod tms_breaks;
mod tms_deployments;
mod tms_operators;
mod tms_packages;
mod token_cards;
mod tokens;
mod transactions;
mod windows;
mod work_keys;
