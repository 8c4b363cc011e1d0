//! Collecting over lines: the station and the product's own terminal, each at a pseudo-terminal, and between them somebody
//! who delays, makes noise and pulls plugs.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that goes wrong stops here, as it should")]

mod cable;
mod cuts;
#[path = "../station/estate.rs"]
#[allow(dead_code, reason = "the station's tests use all of it")]
mod estate;
#[path = "../station/fake_server.rs"]
#[allow(dead_code, reason = "the station's tests use all of it")]
mod fake_server;
#[path = "../station/fake_terminal.rs"]
#[allow(dead_code, reason = "the station's tests use all of it")]
mod fake_terminal;
#[path = "../station/journals.rs"]
#[allow(dead_code, reason = "the station's tests use all of it")]
mod journals;
mod noise;
mod others;
mod several;
#[path = "../station/suite_02.rs"]
#[allow(dead_code, reason = "the station's tests use all of it")]
mod suite_02;
mod world;
