//! One file a command.

mod agree;
mod allow_suite;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod ca;
pub(crate) mod calc;
mod cards;
pub(crate) mod card;
pub(crate) mod component;
pub(crate) mod device;
pub(crate) mod host;
pub(crate) mod hsm;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod kld;
pub(crate) mod kms;
pub(crate) mod mtms;
pub(crate) mod repair;
pub(crate) mod rks;
pub(crate) mod server;
pub(crate) mod station;
pub(crate) mod suite;
mod suites;
pub(crate) mod terminal;
pub(crate) mod tms;
pub(crate) mod window;
pub(crate) mod work_key;
