//! A transport key on its way from the factory: over station, MTMS and batch to the KMS, and what is said where it parts.

use serde_json::Value;

use crate::support::{
    houses::{Houses, Servers},
    records,
    station::{collect, decide},
    tool::{keyferry, run},
};

const SERIALS: [&str; 2] = ["SN-1", "SN-2"];

/// An order whose terminals are collected at the MTMS.
fn collected() -> (Houses, Servers) {
    let (houses, servers) = Houses::with_order(&SERIALS);
    let terminals = SERIALS.map(|sn| houses.mtms.terminal(sn));
    let collection = collect(&houses.mtms, &terminals.iter().collect::<Vec<_>>(), &[]);
    assert_eq!(collection.ran.code, Some(0), "{:?}", collection.ran);
    (houses, servers)
}

/// What all four hold of a terminal's TK.
fn diagnose(houses: &Houses, sn: &str) -> (Option<i32>, Value) {
    let (mtms, kms) = (&houses.mtms, &houses.kms);
    let mut command = keyferry(["diagnose", sn, "--json", "--terminal"]);
    command.arg(mtms.terminal(sn).folder).arg("--station").arg(mtms.path("station.toml"));
    command.arg("--station-passphrase-file").arg(mtms.secret("station-passphrase"));
    command.arg("--mtms").arg(mtms.path("keyferry.toml")).arg("--kms").arg(kms.path("keyferry.toml"));
    let ran = run(&mut command);
    (ran.code, serde_json::from_str(&ran.out).unwrap_or_else(|error| panic!("{error}: {ran:?}")))
}

#[track_caller]
fn parts(houses: &Houses, sn: &str, from: &str, to: &str) -> Value {
    let (code, said) = diagnose(houses, sn);
    let found = &said["diagnosis"];
    assert_eq!(
        (code, found["from"].as_str(), found["to"].as_str()),
        (Some(1), Some(from), Some(to)),
        "{said:#}"
    );
    said
}

#[track_caller]
fn agree(houses: &Houses, sn: &str) {
    let (code, said) = diagnose(houses, sn);
    assert_eq!((code, said["evidence"].as_array().unwrap().len()), (Some(0), 4), "{said:#}");
}

#[test]
fn from_the_factory_to_the_download_all_four_agree() {
    let (houses, servers) = collected();
    let said = parts(&houses, "SN-1", "mtms", "kms");
    assert_eq!(said["evidence"][3]["key"], "unknown-terminal");
    assert!(said["diagnosis"]["advice"][0].as_str().unwrap().contains("mtms dispatch"), "{said:#}");
    houses.dispatch().good();
    agree(&houses, "SN-1");
    houses.mtms.terminal("SN-1").key(&servers.kms.terminals, 0);
    agree(&houses, "SN-1");
    agree(&houses, "SN-2");
    // Collected again at the vendor: the KMS still has the TK before.
    houses.mtms.terminal("SN-2").remove();
    let new = houses.make_terminal("SN-2");
    let collection = collect(&houses.mtms, &[&new], &["--replace"]);
    assert_eq!(collection.ran.code, Some(0), "{:?}", collection.ran);
    parts(&houses, "SN-2", "station", "mtms");
    decide(&houses.mtms, "station.toml", "approve", "1", &collection.shown[0]).good();
    let said = parts(&houses, "SN-2", "mtms", "kms");
    assert_eq!(
        (&said["evidence"][2]["tk_generation"], &said["evidence"][2]["waiting"]),
        (&2.into(), &true.into())
    );
    assert!(servers.kms.stop().success() && servers.mtms.stop().success());
    houses.kms.verify_audit().good();
    houses.mtms.verify_audit().good();
}

#[test]
fn another_terminals_tk_in_the_batch_is_found_where_it_was_swapped() {
    let (houses, _servers) = collected();
    // Before the batch, by somebody who can write to the MTMS's database.
    records::tamper(
        &houses.mtms.path("keyferry.db"),
        "CREATE TEMP TABLE other AS SELECT sn, ctk_pu AS held FROM terminals; \
         UPDATE terminals SET ctk_pu = (SELECT held FROM other WHERE other.sn <> terminals.sn)",
    );
    houses.dispatch();
    let said = parts(&houses, "SN-1", "station", "mtms");
    assert_ne!(said["evidence"][0]["tek"], said["evidence"][2]["tek"], "{said:#}");
}
