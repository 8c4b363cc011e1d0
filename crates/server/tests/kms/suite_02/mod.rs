//! The KMS in suite 02 (3-hardened.md, A), against terminals and a station written from the specification alone.

mod asking;
mod collections;
mod downgrade;
mod downloads;
mod strangers;

use crate::support::{
    kms_ec::{self, Ec},
    world::{Options, Server, World},
};

fn options() -> Options {
    Options { suite_02: true, ..Options::default() }
}

/// A world with the KMS's keys of both suites, a server on it, and these terminals collected in suite 02.
fn serve(terminals: &[&Ec]) -> (World, Server) {
    serve_with(terminals, &options())
}

fn serve_with(terminals: &[&Ec], options: &Options) -> (World, Server) {
    let world = World::new();
    let server = world.start(options);
    kms_ec::install(&server);
    if !terminals.is_empty() {
        kms_ec::collect_all(&server, terminals);
    }
    (world, server)
}

/// The load counter that the store keeps for a slot.
fn load_counter(world: &World, serial: &str, slot: u8) -> i64 {
    let sql = "SELECT counter FROM load_counters WHERE key_serial = ?1 AND slot = ?2";
    world.sql().query_row(sql, (serial, slot), |row| row.get(0)).unwrap()
}
