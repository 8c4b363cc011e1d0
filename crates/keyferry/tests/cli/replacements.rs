//! A terminal that was repaired: its new key replaces the old one only when a second person says so.

use serde_json::Value;

use crate::support::{
    estate::Estate,
    records,
    server::Server,
    station::{collect, collect_with, command, decide, make_card, other_station, run_station},
    terminals::Terminal,
    tool::run,
};

/// SN-1 with a key in slot 0, then made anew and collected as a replacement. The old terminal is kept beside it.
struct Repaired {
    estate: Estate,
    server: Server,
    old: Terminal,
    new: Terminal,
    old_key: String,
    fingerprint: String,
}

fn repaired() -> Repaired {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let new = estate.terminal("SN-1");
    let old_key = new.key(&server.terminals, 0);
    let old = Terminal { sn: "SN-1".into(), folder: estate.folder().join("old") };
    std::fs::rename(&new.folder, &old.folder).unwrap();
    let new = estate.make_terminal("SN-1");
    let collection = collect(&estate, &[&new], &["--replace"]);
    assert_eq!(collection.ran.code, Some(0), "{:?}", collection.ran);
    let said: Value = serde_json::from_str(&collection.ran.out).unwrap();
    let result = &said["uploads"][0]["outcome"]["taken"][0];
    assert_eq!((&result["ok"], &result["sn"]), (&true.into(), &"SN-1".into()), "{said}");
    let fingerprint = collection.shown[0].clone();
    Repaired { estate, server, old, new, old_key, fingerprint }
}

fn waiting(estate: &Estate) -> i64 {
    records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM replacements WHERE state = 'waiting'")
}

#[test]
fn an_approved_replacement_ends_the_old_key() {
    let Repaired { estate, server, old, new, old_key, fingerprint } = repaired();
    let listed = run_station(&estate, &["replacements"]).good();
    assert!(
        listed.contains("SN-1") && listed.contains(&fingerprint) && listed.contains("First operator"),
        "{listed}"
    );
    // Until then the old key stands, and the new one is worth nothing.
    new.download(&server.terminals, 1, &[]).refused();
    assert_eq!(
        old.key(&server.terminals, 1),
        records::kcv(&estate.path("keyferry.db"), "SN-1", 1, "active").unwrap()
    );

    assert!(decide(&estate, "station.toml", "approve", "1", &fingerprint).good().contains("SN-1: done"));
    assert_eq!(waiting(&estate), 0);
    old.download(&server.terminals, 0, &[]).refused();
    let key = new.key(&server.terminals, 0);
    assert_ne!(key, old_key);
    assert_eq!(old.kcv(0), Some(old_key));
    assert_eq!(records::kcv(&estate.path("keyferry.db"), "SN-1", 0, "active"), Some(key));
    // Decided once.
    decide(&estate, "station.toml", "approve", "1", &fingerprint).refused_with("replacement 1 does not wait");
    assert!(!run_station(&estate, &["replacements"]).good().contains("SN-1"));
    assert!(server.stop().success());
    estate.verify_audit().good();
}

#[test]
fn a_rejected_replacement_leaves_the_old_key() {
    let Repaired { estate, server, old, new, fingerprint, .. } = repaired();
    decide(&estate, "station.toml", "reject", "1", &fingerprint).good();
    assert_eq!(waiting(&estate), 0);
    old.key(&server.terminals, 0);
    new.download(&server.terminals, 0, &[]).refused();
}

#[test]
fn a_wrong_fingerprint_or_number_is_not_approved() {
    let Repaired { estate, server: _server, fingerprint, .. } = repaired();
    let mut wrong = fingerprint.clone();
    let last = if wrong.ends_with('0') { "1" } else { "0" };
    wrong.replace_range(19.., last);
    let said = decide(&estate, "station.toml", "approve", "1", &wrong).refused();
    assert!(said.contains("approve nothing before you know why"), "{said}");
    let said = decide(&estate, "station.toml", "approve", "1", "").refused();
    assert!(said.contains("the fingerprint you gave is not that of replacement 1"), "{said}");
    decide(&estate, "station.toml", "approve", "2", &fingerprint).refused_with("replacement 2 does not wait");
    assert_eq!(waiting(&estate), 1);
}

#[test]
fn who_collected_does_not_approve() {
    let Repaired { estate, server, .. } = repaired();
    // Collected by somebody with both kinds of card: the operator of this collection is an administrator elsewhere.
    make_card(&estate, "twice-operator.pem", "Double Agent", "operator");
    make_card(&estate, "twice-administrator.pem", "Double Agent", "administrator");
    let new = estate.terminal("SN-2");
    new.remove();
    let new = estate.make_terminal("SN-2");
    other_station(&estate, "double.toml", &[("cards/operator.pem", "cards/twice-operator.pem")]);
    let collection = collect_with(&[&new], command(&estate, "double.toml").arg("--replace"));
    collection.ran.good();
    other_station(&estate, "approver.toml", &[("cards/administrator.pem", "cards/twice-administrator.pem")]);
    decide(&estate, "approver.toml", "approve", "2", &collection.shown[0])
        .refused_with("signed this collection and cannot approve it: another person must");
    assert_eq!(waiting(&estate), 2);
    new.download(&server.terminals, 0, &[]).refused();
    // Another administrator may.
    decide(&estate, "station.toml", "approve", "2", &collection.shown[0]).good();
    new.key(&server.terminals, 0);
}

#[test]
fn an_operator_card_does_not_approve() {
    let Repaired { estate, server: _server, fingerprint, .. } = repaired();
    make_card(&estate, "second.pem", "Second operator", "operator");
    other_station(&estate, "operator.toml", &[("cards/administrator.pem", "cards/second.pem")]);
    let mut approve =
        crate::support::tool::keyferry(["station", "approve", "1", "--fingerprint", &fingerprint]);
    approve.arg("--config").arg(estate.path("operator.toml"));
    run(approve.arg("--administrator-pin-file").arg(estate.secret("operator-pin")))
        .refused_with("is refused as administrator card");
    assert_eq!(waiting(&estate), 1);
}

#[test]
fn a_known_terminal_without_replace_is_an_alarm_and_changes_nothing() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let old = Terminal { sn: "SN-1".into(), folder: estate.folder().join("old") };
    std::fs::rename(estate.terminal("SN-1").folder, &old.folder).unwrap();
    let new = estate.make_terminal("SN-1");
    let collection = collect(&estate, &[&new], &[]);
    assert_eq!(collection.ran.code, Some(1), "{:?}", collection.ran);
    let said: Value = serde_json::from_str(&collection.ran.out).unwrap();
    assert_eq!(said["uploads"][0]["outcome"]["taken"][0]["ok"], false, "{said}");
    assert_eq!(waiting(&estate), 0);
    new.download(&server.terminals, 0, &[]).refused();
    old.key(&server.terminals, 0);
}
