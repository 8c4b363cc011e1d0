//! Suite 02: flows A and C beside suite 01, beside the bare exchange with as many commits, and beside the bare
//! operations, all in one run; and whether the time of an answer tells a known serial from a stranger.

mod devices;
mod estate;
mod fleet;
mod measure;
mod operations;
mod run;
mod terminals;
mod timing;

pub(crate) use estate::{EcEstate, ExchangeKeyEc};
pub(crate) use measure::run;
