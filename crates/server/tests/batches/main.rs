//! Orders and batches between a vendor's MTMS and an acquirer's KMS (2-wire.md section 6), over real HTTPS, in front of a
//! real HSM and a real database, against an MTMS written from the specification alone.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]
#![allow(clippy::cast_possible_truncation, reason = "sizes here are the test's own")]

#[path = "../support/mod.rs"]
mod support;

mod again;
mod configuration;
mod large;
mod mtms;
mod orders;
mod refusals;
mod replacements;
mod taking;

use serde_json::Value;
use support::{
    https::Answer,
    kms_ec,
    partner::{Agreed, sections},
    world::{Options, Server, World, results},
};

/// A KMS of both suites with these partners.
fn kms(partners: &[&Agreed]) -> (World, Server) {
    let world = World::new();
    let server = world.start(&options(&world, partners));
    kms_ec::install(&server);
    (world, server)
}

/// How such a KMS is configured.
fn options(world: &World, partners: &[&Agreed]) -> Options {
    Options { suite_02: true, more: sections(world, partners), ..Options::default() }
}

/// What became of each terminal: serial, whether it is there, code.
fn told(answer: &Answer) -> Vec<(String, bool, String)> {
    results(answer).iter().map(line).collect()
}

fn line(result: &Value) -> (String, bool, String) {
    let text = |member: &str| result[member].as_str().unwrap().to_owned();
    (text("sn"), result["ok"].as_bool().unwrap(), text("code"))
}

fn is(sn: &str, ok: bool, code: &str) -> (String, bool, String) {
    (sn.to_owned(), ok, code.to_owned())
}

fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code()), (status, code), "{answer:?}");
    assert!(answer.json["error"]["text"].as_str().is_some_and(|text| !text.is_empty()));
}

fn assert_nothing_stored(world: &World) {
    for table in [
        "terminals",
        "collections",
        "replacements",
        "received_batches",
        "received_items",
        "device_certificates",
        "key_suites",
    ] {
        assert_eq!(world.count(table), 0, "{table}");
    }
    assert!(world.audit().iter().all(|event| event.kind != "batch.received"));
    world.assert_audit_good();
}
