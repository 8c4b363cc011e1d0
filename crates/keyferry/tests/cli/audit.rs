//! The audit, against somebody who can write to the database.

use std::fs;

use serde_json::Value;

use crate::support::{
    estate::Estate,
    records::{self, tamper},
    server::Server,
    tool::{keyferry, run},
};

/// An estate with a history: collected, downloaded, refused, stopped.
fn with_history() -> Estate {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    estate.terminal("SN-1").key(&server.terminals, 0);
    estate.terminal("SN-2").key(&server.terminals, 0);
    assert!(server.stop().success());
    estate
}

const NO_TRIGGERS: &str = "DROP TRIGGER audit_is_never_changed; DROP TRIGGER audit_is_never_deleted; \
     DROP TRIGGER audit_grows_by_one; DROP TRIGGER audit_end_only_advances;";

#[test]
fn a_chain_that_nobody_touched_is_good_and_checking_it_changes_nothing() {
    let estate = with_history();
    let database = estate.path("keyferry.db");
    let events = records::number(&database, "SELECT count(*) FROM audit");
    assert!(events > 10);
    let before = fs::read(&database).unwrap();
    let said = estate.verify_audit().good();
    assert!(said.starts_with(&format!("good: {events} events, head ")), "{said}");
    assert_eq!(estate.verify_audit().good(), said);
    assert_eq!(fs::read(&database).unwrap(), before);
}

#[test]
fn r31_what_people_begin_an_estate_with_is_in_its_audit() {
    let events = records::events(&Estate::new().path("keyferry.db"));
    for kind in ["acquirer.added", "certificate.added", "work-key.installed"] {
        assert_eq!(events.iter().filter(|found| *found == kind).count(), 1, "{kind} in {events:?}");
    }
}

#[test]
fn one_changed_byte_in_any_column_is_found_and_its_event_named() {
    let estate = with_history();
    let database = estate.path("keyferry.db");
    let good = fs::read(&database).unwrap();
    let changes = [
        ("at = at + 1", 4),
        ("kind = replace(kind, 'a', 'b')", 2),
        ("actor = actor || '.'", 5),
        ("subject = 'x' || substr(subject, 2)", 3),
        ("detail = replace(detail, '}', ' }')", 6),
        ("hash = zeroblob(32)", 7),
        ("prev_hash = zeroblob(32)", 8),
    ];
    for (change, seq) in changes {
        fs::write(&database, &good).unwrap();
        tamper(&database, &format!("{NO_TRIGGERS} UPDATE audit SET {change} WHERE seq = {seq}"));
        let ran = estate.verify_audit();
        assert_eq!(ran.code, Some(1), "{change}: {ran:?}");
        assert!(ran.out.starts_with(&format!("BROKEN at event {seq}: ")), "{change}: {}", ran.out);
    }
}

#[test]
fn deletion_reordering_and_truncation_are_found() {
    let estate = with_history();
    let database = estate.path("keyferry.db");
    let good = fs::read(&database).unwrap();
    let last = records::number(&database, "SELECT max(seq) FROM audit");
    let acts = [
        ("DELETE FROM audit WHERE seq = 5".to_owned(), 5),
        ("DELETE FROM audit WHERE seq = 1".to_owned(), 1),
        (format!("DELETE FROM audit WHERE seq > {last} - 2"), last - 1),
        (
            "UPDATE audit SET seq = -1 WHERE seq = 4; UPDATE audit SET seq = 4 WHERE seq = 5; \
          UPDATE audit SET seq = 5 WHERE seq = -1"
                .to_owned(),
            4,
        ),
        (format!("DELETE FROM audit WHERE seq = {last}; UPDATE audit_end SET seq = {last} - 1"), last - 1),
    ];
    for (act, seq) in acts {
        fs::write(&database, &good).unwrap();
        tamper(&database, &format!("{NO_TRIGGERS} {act}"));
        let ran = estate.verify_audit();
        assert_eq!(ran.code, Some(1), "{act}: {ran:?}");
        assert!(ran.out.starts_with(&format!("BROKEN at event {seq}: ")), "{act}: {}", ran.out);
    }
}

#[test]
fn the_database_itself_refuses_to_change_its_audit() {
    let estate = with_history();
    let connection = rusqlite::Connection::open(estate.path("keyferry.db")).unwrap();
    for act in [
        "UPDATE audit SET actor = 'x' WHERE seq = 1",
        "DELETE FROM audit WHERE seq = 1",
        "DELETE FROM audit_end",
    ] {
        let refused = connection.execute_batch(act).unwrap_err().to_string();
        assert!(refused.contains("the audit"), "{act}: {refused}");
    }
}

#[test]
fn every_event_can_be_shown_page_by_page() {
    let estate = with_history();
    let database = estate.path("keyferry.db");
    let show = |from: &str, limit: &str| {
        let mut command = keyferry(["audit", "show", "--json", "--from", from, "--limit", limit, "--store"]);
        run(command.arg(&database)).good()
    };
    let whole: Vec<Value> =
        show("1", "1000").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: Vec<_> = whole.iter().map(|event| event["kind"].as_str().unwrap().to_owned()).collect();
    assert_eq!(kinds, records::events(&database));
    assert_eq!(whole[2]["seq"], 3);
    let page: Vec<Value> = show("3", "2").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(page, whole[2..4]);
    assert_eq!(show("100000", "10"), "");
}

#[test]
fn a_file_that_is_no_store_is_named_and_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    let verify = || run(keyferry(["audit", "verify", "--store"]).arg(&path));
    verify().refused_with("letter.txt");
    assert!(!path.exists(), "checking makes no file");
    fs::write(&path, "a letter, and no database at all").unwrap();
    verify().refused_with("letter.txt is not a Keyferry store");
    assert_eq!(fs::read(&path).unwrap(), b"a letter, and no database at all");
}
