//! What the tests of the command line share: the real program, estates that it made, servers and terminals as
//! processes, and a terminal played by the test itself.

pub(crate) mod canary;
pub(crate) mod ceremony;
pub(crate) mod disk;
pub(crate) mod estate;
pub(crate) mod factory;
pub(crate) mod folders;
pub(crate) mod houses;
pub(crate) mod kld;
pub(crate) mod lmk;
pub(crate) mod played;
pub(crate) mod posp;
pub(crate) mod process;
pub(crate) mod pump;
pub(crate) mod records;
pub(crate) mod scan;
pub(crate) mod server;
pub(crate) mod station;
pub(crate) mod terminals;
pub(crate) mod tms;
pub(crate) mod tokens;
pub(crate) mod tool;
pub(crate) mod typing;
