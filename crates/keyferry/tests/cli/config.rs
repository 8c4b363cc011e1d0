//! The configuration file, and files that are not as they must be, at the start of a server.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{
    estate::Estate,
    folders::edit,
    records,
    server::{self, Server},
    tool::run,
};

#[test]
fn a_setting_that_is_misspelt_or_out_of_range_is_named() {
    let changes = [
        ("idle_seconds = 30", "idle_secondz = 30", "idle_secondz"),
        ("idle_seconds = 30", "idle_seconds = 0", "terminal_port.idle_seconds must be 1 to 300"),
        ("slots = [0, 9]", "slots = [9, 0]", "acquirer.slots must be [first, last] within 0 to 99"),
        ("slots = [0, 9]", "slots = [0, 100]", "acquirer.slots"),
        ("id = \"CLI\"", "id = \"C L I\"", "acquirer.id must be 1 to 32"),
        ("level = \"info\"", "level = 7", "level"),
        ("roles = [\"kms-work\"", "roles = [\"emperor\"", "\"emperor\" is no role"),
        ("\"ca/crl.pem\"", "\"ca/none.pem\"", "none.pem"),
        (
            "certificate = \"tls/server.pem\"",
            "certificate = \"ca/root.pem\"",
            "TLS certificate and key cannot be used",
        ),
    ];
    let estate = Estate::new();
    let path = estate.path("keyferry.toml");
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, named) in changes {
        fs::write(&path, &good).unwrap();
        edit(&path, &[(from, to)]);
        let said = server::fails(&estate).refused();
        assert!(said.contains(named), "{to}: {said}");
    }
    assert_eq!(
        records::number(
            &estate.path("keyferry.db"),
            "SELECT count(*) FROM audit WHERE kind = 'server.started'"
        ),
        0
    );
}

#[test]
fn a_file_that_others_can_read_is_refused_where_it_must_be_private() {
    for name in ["keyferry.db", "hsm/lmk.sealed", "tls/server.key-block"] {
        let estate = Estate::new();
        fs::set_permissions(estate.path(name), fs::Permissions::from_mode(0o644)).unwrap();
        let said = server::fails(&estate).refused();
        let file = name.rsplit('/').next().unwrap();
        assert!(said.contains(file) && said.contains("644"), "{name}: {said}");
    }
}

#[test]
fn another_programs_database_is_left_alone() {
    let estate = Estate::new();
    let path = estate.path("keyferry.db");
    fs::remove_file(&path).unwrap();
    records::tamper(&path, "CREATE TABLE mine (letter TEXT); INSERT INTO mine VALUES ('dear');");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let before = fs::read(&path).unwrap();
    server::fails(&estate).refused_with("keyferry.db is not a Keyferry store");
    run(&mut estate.configured(&["kms", "overview"])).refused_with("keyferry.db is not a Keyferry store");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn another_acquirers_name_in_the_file_opens_no_key() {
    // The owner is bound into every block; a server with another one cannot use them.
    let estate = Estate::new();
    edit(&estate.path("keyferry.toml"), &[("id = \"CLI\"", "id = \"OTHER\"")]);
    server::fails(&estate).refused_with("belongs to owner CLI, not to OTHER");
}

#[test]
fn logs_are_lines_of_json_when_asked_for() {
    let estate = Estate::collected();
    edit(
        &estate.path("keyferry.toml"),
        &[("json = false", "json = true"), ("level = \"info\"", "level = \"debug\"")],
    );
    let server = Server::start(&estate);
    estate.terminal("SN-1").key(&server.terminals, 0);
    assert!(server.stop().success());
    let log = fs::read_to_string(estate.log()).unwrap();
    let lines: Vec<serde_json::Value> = log.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.len() > 3);
    assert!(lines.iter().all(|line| line["level"].is_string() && line["timestamp"].is_string()));
}
