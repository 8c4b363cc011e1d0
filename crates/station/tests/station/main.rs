//! The station against fake terminals and a fake server, over real sockets.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that goes wrong stops here, as it should")]

mod agreeing;
mod approving;
mod cards;
mod ceremonies;
mod certifying;
mod collecting;
mod collecting_02;
mod disk;
mod estate;
mod fake_server;
mod fake_terminal;
mod journals;
mod keeping;
mod openssl;
mod packing;
mod repacking;
mod repairing;
mod suite_02;
mod uploading;
mod windows;
