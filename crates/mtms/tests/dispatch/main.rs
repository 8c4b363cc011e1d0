//! An order, from collected transport keys to receipts, between a real MTMS and a real KMS: each with its own HSM and CA,
//! and the KMS's own server in between.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod breaks;
mod delivering;
mod played;
mod receipts;
mod refusals;
mod repairs;
mod sites;
mod world;
