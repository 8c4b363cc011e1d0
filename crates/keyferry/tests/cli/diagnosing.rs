//! Where a transport key parts: terminal, station, MTMS and KMS asked by their own commands, and the hop that is named.

use std::{collections::HashSet, fs, path::Path, process::Command};

use serde_json::Value;

use crate::support::{
    canary::{self, Known},
    estate::{Estate, SECRETS},
    lmk, records, scan,
    server::Server,
    station::{collect, collect_with, command as command_of, other_station, with_journal},
    terminals::Terminal,
    tool::{Ran, keyferry, run},
};

/// `keyferry diagnose --json` of what this estate's systems hold.
fn command(estate: &Estate, sn: &str, hops: &[&str]) -> Command {
    let mut command = keyferry(["diagnose", sn, "--json"]);
    for hop in hops {
        match *hop {
            "terminal" => command.arg("--terminal").arg(estate.terminal(sn).folder),
            "station" => command
                .arg("--station")
                .arg(estate.path("station.toml"))
                .arg("--station-passphrase-file")
                .arg(estate.secret("station-passphrase")),
            // A KMS in the place of an MTMS: both are servers with a store and an HSM.
            hop => command
                .arg(format!("--{hop}"))
                .arg(estate.path("keyferry.toml"))
                .arg(format!("--{hop}-passphrase-file"))
                .arg(estate.secret("hsm-passphrase")),
        };
    }
    command
}

const DIRECT: [&str; 3] = ["terminal", "station", "kms"];

fn diagnose(estate: &Estate, sn: &str, hops: &[&str]) -> (Option<i32>, Value) {
    let Ran { code, out, err } = run(&mut command(estate, sn, hops));
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")))
}

#[track_caller]
fn parts(found: (Option<i32>, Value), from: &str, to: &str) -> Value {
    let (code, said) = found;
    let diagnosis = &said["diagnosis"];
    assert_eq!((code, diagnosis["verdict"].as_str()), (Some(1), Some("part")), "{said:#}");
    assert_eq!((diagnosis["from"].as_str(), diagnosis["to"].as_str()), (Some(from), Some(to)), "{said:#}");
    said
}

fn advises(said: &Value, wanted: &str) {
    let advice = said["diagnosis"]["advice"].as_array().unwrap();
    assert!(advice.iter().any(|line| line.as_str().unwrap().contains(wanted)), "{wanted:?}: {said:#}");
}

#[test]
fn all_hops_agree_before_and_after_the_first_download() {
    let estate = Estate::collected();
    let agree = |hops: &[&str]| {
        let (code, said) = diagnose(&estate, "SN-1", hops);
        assert_eq!((code, said["diagnosis"]["verdict"].as_str()), (Some(0), Some("agree")), "{said:#}");
        said
    };
    let before = agree(&DIRECT);
    let kcv = |said: &Value, hop: usize| said["evidence"][hop]["tek"].as_str().map(str::to_owned);
    assert_eq!(kcv(&before, 0).unwrap().len(), 6, "R16");
    assert_eq!((kcv(&before, 0), kcv(&before, 1)), (kcv(&before, 2), None), "a station has no key");
    let server = Server::start(&estate);
    estate.terminal("SN-1").key(&server.terminals, 0);
    // By the server's own HSM now, and from blocks instead of the ciphertext.
    let after = agree(&["terminal", "station", "mtms", "kms"]);
    assert_eq!(kcv(&after, 2), kcv(&before, 0));
    agree(&["terminal", "kms"]);
    assert!(server.stop().success());
}

#[test]
fn what_is_not_asked_is_missing_and_a_wrong_terminal_is_refused() {
    let estate = Estate::collected();
    for hops in [&["terminal"][..], &["station", "kms"]] {
        let (code, said) = diagnose(&estate, "SN-1", hops);
        assert_eq!((code, said["diagnosis"]["verdict"].as_str()), (Some(2), Some("missing")), "{said:#}");
    }
    let missing = |ran: Ran, wanted: &str| {
        assert_eq!(ran.code, Some(2), "{ran:?}");
        assert!(ran.err.contains(wanted), "{wanted:?} is not in: {}", ran.err);
    };
    missing(run(&mut keyferry(["diagnose", "SN-1"])), "no evidence");
    let mut other = command(&estate, "SN-1", &["kms"]);
    missing(run(other.arg("--terminal").arg(estate.terminal("SN-2").folder)), "of terminal SN-2");
    // A hop that cannot be asked keeps nobody from comparing the others.
    let mut gone = command(&estate, "SN-1", &["terminal", "kms"]);
    gone.arg("--station").arg(estate.path("nowhere.toml"));
    let ran = run(&mut gone);
    assert_eq!(ran.code, Some(0), "{ran:?}");
    assert!(ran.err.contains("the station cannot be asked"), "{ran:?}");
    missing(run(keyferry(["diagnose", "SN-1", "--terminal"]).arg(estate.path("nowhere"))), "cannot be asked");
}

#[test]
fn a_tk_that_was_collected_again_and_not_uploaded_waits_at_the_station() {
    let estate = Estate::collected();
    estate.terminal("SN-1").remove();
    let new = estate.make_terminal("SN-1");
    // With no server there: what was collected stays at the station.
    let collection = collect(&estate, &[&new], &["--replace", "--offline"]);
    assert_eq!(collection.ran.code, Some(0), "{:?}", collection.ran);
    let said = parts(diagnose(&estate, "SN-1", &DIRECT), "station", "kms");
    advises(&said, "keyferry station upload");
    advises(&said, "earlier collecting");
    assert_eq!(said["evidence"][1]["waiting"], true);
    // Uploaded, it waits for the second person; the KMS still has the old one.
    let server = Server::start(&estate);
    with_journal(&estate, &["upload"]).good();
    assert!(server.stop().success());
    let said = parts(diagnose(&estate, "SN-1", &DIRECT), "station", "kms");
    advises(&said, "waits for approval");
}

#[test]
fn a_terminal_that_another_station_collected_parts_at_this_one() {
    let estate = Estate::collected();
    estate.terminal("SN-1").remove();
    let new = estate.make_terminal("SN-1");
    let said = parts(diagnose(&estate, "SN-1", &DIRECT), "terminal", "station");
    advises(&said, "collect it again");
    other_station(&estate, "other.toml", &[("station/journal", "station/other-journal")]);
    let mut journal = keyferry(["station", "journal", "--new", "--config"]);
    journal.arg(estate.path("other.toml"));
    run(journal.arg("--station-passphrase-file").arg(estate.secret("station-passphrase"))).good();
    let collection =
        collect_with(&[&new], command_of(&estate, "other.toml").args(["--replace", "--offline"]));
    assert_eq!(collection.ran.code, Some(0), "{:?}", collection.ran);
    let said = parts(diagnose(&estate, "SN-1", &DIRECT), "terminal", "station");
    advises(&said, "another station");
    assert!(said["diagnosis"]["found"][0].as_str().unwrap().contains(&collection.shown[0]), "{said:#}");
}

#[test]
fn rows_swapped_at_the_kms_are_named_in_either_form() {
    let estate = Estate::collected();
    let database = estate.path("keyferry.db");
    let swap = |column: &str| {
        records::tamper(
            &database,
            &format!(
                "CREATE TEMP TABLE other AS SELECT sn, {column} AS held FROM terminals WHERE sn IN ('SN-1', 'SN-2'); \
                 UPDATE terminals SET {column} = (SELECT held FROM other WHERE other.sn <> terminals.sn) \
                 WHERE sn IN ('SN-1', 'SN-2')"
            ),
        );
    };
    swap("ctk_pu");
    let said = parts(diagnose(&estate, "SN-1", &DIRECT), "station", "kms");
    assert_ne!(said["evidence"][0]["tek"], said["evidence"][2]["tek"]);
    swap("ctk_pu");
    // As blocks they say where they belong.
    let server = Server::start(&estate);
    for sn in ["SN-1", "SN-2"] {
        estate.terminal(sn).key(&server.terminals, 0);
    }
    assert!(server.stop().success());
    swap("tek");
    let said = parts(diagnose(&estate, "SN-1", &DIRECT), "station", "kms");
    let kms = &said["evidence"][2];
    assert!(kms["tek"].is_null(), "R16: a key that fails its checks has no check value: {kms}");
    assert!(kms["said"].to_string().contains("belongs to place SN-2/00"), "{kms}");
}

#[test]
fn a_terminal_wiped_by_tampering_is_named() {
    let estate = Estate::collected();
    let terminal = estate.terminal("SN-1");
    run(keyferry(["terminal", "sensor", "--lid", "open"]).arg(&terminal.folder)).good();
    let said = parts(diagnose(&estate, "SN-1", &DIRECT), "terminal", "station");
    advises(&said, "repair");
    assert!(said["evidence"][0]["tek"].is_null(), "{said:#}");
}

#[test]
fn a_serial_that_the_kms_does_not_know_is_said_so() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let new = estate.make_terminal("SN-7");
    assert!(server.stop().success());
    let collection = collect(&estate, &[&new], &["--offline"]);
    assert_eq!(collection.ran.code, Some(0), "{:?}", collection.ran);
    let said = parts(diagnose(&estate, "SN-7", &DIRECT), "station", "kms");
    assert_eq!(said["evidence"][2]["key"], "unknown-terminal");
}

#[test]
fn evidence_goes_as_files_and_none_of_it_holds_a_key() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    estate.terminal("SN-1").key(&server.terminals, 0);
    assert!(server.stop().success());
    let file = |name: &str| estate.folder().join(name);
    let mut heard = String::new();
    let mut said = |command: &mut Command| {
        let ran = run(command);
        heard += &ran.out;
        heard += &ran.err;
        ran
    };
    let mut terminal = keyferry(["terminal", "evidence"]);
    said(terminal.arg(estate.terminal("SN-1").folder).arg("--out").arg(file("terminal.json"))).good();
    let mut station = keyferry(["station", "evidence", "SN-1", "--config"]);
    station
        .arg(estate.path("station.toml"))
        .arg("--station-passphrase-file")
        .arg(estate.secret("station-passphrase"));
    said(station.arg("--out").arg(file("station.json"))).good();
    for (hop, name) in [("mtms", "mtms.json"), ("kms", "kms.json")] {
        let mut server = keyferry([hop, "evidence", "SN-1", "--config"]);
        server
            .arg(estate.path("keyferry.toml"))
            .arg("--passphrase-file")
            .arg(estate.secret("hsm-passphrase"));
        said(server.arg("--out").arg(file(name))).good();
    }
    let names = ["terminal.json", "station.json", "mtms.json", "kms.json"];
    for json in [false, true] {
        let mut diagnose = keyferry(["diagnose", "SN-1"]);
        for name in names {
            diagnose.arg("--evidence").arg(file(name));
        }
        if json {
            diagnose.arg("--json");
        }
        let out = said(&mut diagnose).good();
        assert!(out.contains("the TK is not the cause"), "{out}");
    }
    for name in names {
        heard += &fs::read_to_string(file(name)).unwrap();
    }
    // Every key of the estate, its passphrases and PINs.
    let secrets = lmk::open(&estate.path("hsm"), SECRETS[0].1);
    let known: Vec<Known> = canary::in_database(&estate.path("keyferry.db"), &secrets);
    assert!(known.iter().any(|known| known.what.starts_with("K1")), "TEK is among them");
    let mut needles = canary::needles(&known);
    needles.extend(SECRETS.iter().map(|(name, secret)| scan::raw(name, secret.as_bytes())));
    assert_eq!(scan::found_in(heard.as_bytes(), &needles), Vec::<&str>::new());
    // Nor is a file of something else evidence.
    let refused = |path: &Path| {
        let ran = run(keyferry(["diagnose", "SN-1", "--evidence"]).arg(path));
        assert_eq!(ran.code, Some(2), "{ran:?}");
        ran.err
    };
    let distinct: HashSet<_> = [estate.path("keyferry.toml"), estate.path("keyferry.db")]
        .iter()
        .map(|path| refused(path).contains("no evidence"))
        .collect();
    assert_eq!(distinct, HashSet::from([true]));
}

/// For the terminal's own status.
#[test]
fn r16_a_terminals_status_has_the_check_values_of_its_tk_and_nothing_more_of_it() {
    let estate = Estate::collected();
    let terminal: Terminal = estate.terminal("SN-2");
    let status = terminal.status();
    let held = status["transport_key"].as_object().unwrap();
    assert_eq!((held["suite"].as_u64(), held.len()), (Some(1), 3), "{held:?}");
    for name in ["tek_kcv", "auk_kcv"] {
        assert_eq!(held[name].as_str().unwrap().len(), 6);
    }
}
