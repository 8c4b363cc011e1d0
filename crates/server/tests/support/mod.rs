//! What the tests of the servers share: an estate with a real HSM behind its real socket, servers on real ports, and
//! the other side of every line, written from `docs/spec/2-wire.md` alone.

#![allow(dead_code, reason = "each test crate uses its part")]

pub(crate) mod audit;
pub(crate) mod canary;
pub(crate) mod ec;
pub(crate) mod estate;
pub(crate) mod https;
pub(crate) mod kld;
pub(crate) mod kld_ec;
pub(crate) mod kms_ec;
pub(crate) mod line;
pub(crate) mod package;
pub(crate) mod partner;
pub(crate) mod posp;
pub(crate) mod raw;
pub(crate) mod rks;
pub(crate) mod rks_ec;
pub(crate) mod shop;
pub(crate) mod sign_in;
pub(crate) mod sign_in_ec;
pub(crate) mod switch;
pub(crate) mod tlv;
pub(crate) mod tms;
pub(crate) mod tms_ec;
pub(crate) mod world;
