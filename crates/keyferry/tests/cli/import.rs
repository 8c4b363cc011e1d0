//! `keyferry kms import`: an existing estate moves in, under a zone master key of two people's components.

use std::{fs, path::Path};

use serde_json::{Value, json};

use crate::support::{
    ceremony::{Agreed, component},
    estate::Estate,
    folders::snapshot,
    records,
    tool::{Ran, run},
};

/// A key of the old system's, as its export holds it.
fn exported(master: &Agreed, key: &[u8]) -> Value {
    let fields = calc::HeaderText {
        version: "B",
        usage: "K0",
        algorithm: "T",
        mode: "B",
        key_version: "00",
        exportability: "N",
        key_context: "0",
    };
    let block = calc::wrap(&master.key(), &calc::header(&fields, &[]).unwrap(), key, None).unwrap().block;
    json!({ "block": block.to_string(), "kcv": master.check_value(key) })
}

fn terminal(master: &Agreed, sn: &str, slots: &[u8]) -> Value {
    let tmk = |slot: &u8| {
        let mut tmk = exported(master, &component("tdes"));
        tmk["slot"] = json!(slot);
        tmk
    };
    json!({ "sn": sn, "vendor": "KF", "model": "SIM-1", "terminal_id": format!("T-{sn}"), "merchant_id": "M-1",
            "tmks": slots.iter().map(tmk).collect::<Vec<_>>(), "dmk": exported(master, &component("tdes")) })
}

fn write(path: &Path, lines: &[Value]) {
    fs::write(path, lines.iter().map(|line| format!("{line}\n")).collect::<String>()).unwrap();
}

fn import(estate: &Estate, under: &Path, file: &Path, report: &str) -> (Ran, Value) {
    let report = estate.beside(report);
    let mut command = estate.configured(&["kms", "import", "--source", "old system"]);
    command.arg("--under").arg(under).arg("--report").arg(&report).arg(file);
    let ran = run(command.arg("--passphrase-file").arg(estate.secret("hsm-passphrase")));
    let written = fs::read(&report).map(|bytes| serde_json::from_slice(&bytes).unwrap());
    (ran, written.unwrap_or_default())
}

#[test]
fn an_estate_moves_in_and_each_terminal_that_does_not_is_named() {
    let estate = Estate::new();
    let master = Agreed::new("ZMK-1", "zone-master");
    let under = master.type_in(&estate, &estate.path("hsm"), "ours");
    let file = estate.beside("estate.jsonl");
    let mut wrong = terminal(&master, "OLD-3", &[0]);
    wrong["tmks"][0]["kcv"] = json!("000000");
    let good = [terminal(&master, "OLD-1", &[0, 7]), terminal(&master, "OLD-2", &[3])];
    write(&file, &[good[0].clone(), good[1].clone(), wrong, good[0].clone()]);

    let (ran, report) = import(&estate, &under, &file, "first.json");
    let said = ran.out.clone();
    ran.refused_with("2 terminals did not move in");
    assert!(said.contains("OLD-3"), "{said}");
    let refused = |n: usize| report["refusals"][n]["reason"].as_str().map(str::to_owned);
    assert_eq!((report["accepted"].as_u64(), report["refused"].as_u64()), (Some(2), Some(2)));
    assert_eq!((refused(0).as_deref(), refused(1).as_deref()), (Some("check-value"), Some("duplicate")));
    assert_eq!(report["keys_compared"].as_u64(), Some(5), "three TMKs and two DMKs: {report}");

    // What it knows now, by either side's name.
    let shown = run(&mut estate.configured(&["kms", "terminal", "OLD-1"])).good();
    for (slot, n) in [("00", 0), ("07", 1)] {
        let kcv = good[0]["tmks"][n]["kcv"].as_str().unwrap();
        let held = |line: &str| line.contains(slot) && line.contains("active") && line.contains(kcv);
        assert!(shown.lines().any(held), "{shown}");
    }
    let found = run(&mut estate.configured(&["host", "identity", "find", "--terminal-id", "T-OLD-2"])).good();
    assert!(found.contains("OLD-2") && found.contains("M-1"), "{found}");
    let devices = run(&mut estate.configured(&["rks", "devices"])).good();
    assert!(devices.contains("old system"), "{devices}");

    // Again, mended: what is there is known, the rest moves in.
    write(&file, &[good[0].clone(), good[1].clone(), terminal(&master, "OLD-3", &[0])]);
    let (ran, report) = import(&estate, &under, &file, "second.json");
    ran.good();
    assert_eq!((report["accepted"].as_u64(), report["already_known"].as_u64()), (Some(1), Some(2)));
    assert_eq!(records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM terminals"), 3);
}

#[test]
fn nothing_moves_in_under_another_key_or_over_a_report() {
    let estate = Estate::new();
    let master = Agreed::new("ZMK-1", "zone-master");
    let under = master.type_in(&estate, &estate.path("hsm"), "ours");
    let file = estate.beside("estate.jsonl");
    write(&file, &[terminal(&Agreed::new("ZMK-2", "zone-master"), "OLD-1", &[0])]);
    let (ran, report) = import(&estate, &under, &file, "report.json");
    ran.refused_with("1 terminals did not move in");
    assert_eq!(report["refusals"][0]["reason"], "key-refused");
    assert_eq!(records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM terminals"), 0);

    let before = snapshot(estate.folder());
    let (again, _) = import(&estate, &under, &file, "report.json");
    again.refused_with("report.json exists; nothing was changed");
    let exchange = Agreed::new("EX-1", "exchange");
    assert_eq!(snapshot(estate.folder()), before);
    let other = exchange.type_in(&estate, &estate.path("hsm"), "ours");
    let (ran, _) = import(&estate, &other, &file, "other.json");
    ran.refused_with("holds no zone master key");
    let (ran, _) = import(&estate, &under, Path::new("/nowhere/estate.jsonl"), "other.json");
    ran.refused_with("cannot read /nowhere/estate.jsonl");
}
