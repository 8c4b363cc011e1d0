//! Being collected: the terminal listens, a station asks for its TK (1-systems.md A and D; 2-wire.md sections 4 and 5).
//!
//! | file | what |
//! |---|---|
//! | `accept.rs` | whether a public key may get the TK |
//! | `answer.rs` | one COLLECT and its answer, without a socket |
//! | `serve.rs` | listening |

mod accept;
mod answer;
mod serve;
mod suite;
#[cfg(test)]
mod tests;

pub(crate) use answer::decide;
pub use answer::{Answer, Refusal, answer};
pub use serve::{DEFAULT_ADDRESS, Event, serve, serve_line, serve_with};
pub(crate) use suite::TerminalSuite;
