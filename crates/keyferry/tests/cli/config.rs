//! The configuration file, and files that are not as they must be, at the start of a server.

use std::{fs, os::unix::fs::PermissionsExt};

use crate::support::{
    estate::{Estate, init_of},
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
    are_named(&changes);
}

#[test]
fn r10_an_estate_for_trials_never_becomes_one_for_production_nor_the_reverse() {
    let production = Estate::new();
    let trials = Estate::empty();
    run(init_of("1", &trials.path(""), &trials.secrets()).arg("--trial")).good();
    for (estate, is, says, root_is) in
        [(&production, "true", "false", "production"), (&trials, "false", "true", "trials")]
    {
        assert!(Server::start(estate).stop().success());
        let change = [(format!("production = {is}"), format!("production = {says}"))];
        edit(
            &estate.path("keyferry.toml"),
            &change.each_ref().map(|(from, to)| (from.as_str(), to.as_str())),
        );
        let said = server::fails(estate).refused();
        assert!(said.contains("ca/root.pem") && said.contains(&format!("is for {root_is}")), "{said}");
    }
}

#[test]
fn so_are_those_of_terminal_management_sign_in_and_posps() {
    const POSP: &str = "listen = \"127.0.0.1:0\"\nclient_root = \"ca/root.pem\"\nclients = [\"posp-1\"]";
    let posp = |from: &str, to: &str| {
        assert!(from.is_empty() || POSP.contains(from));
        format!(
            "[posp]\n{}\n[log]",
            if from.is_empty() { format!("{POSP}\n{to}") } else { POSP.replace(from, to) }
        )
    };
    let posps = [
        (posp("", "emperor = 1"), "emperor"),
        (posp("", "max_body_mib = 17"), "posp.max_body_mib must be 1 to 16"),
        (posp("", "max_requests_per_client = 0"), "posp.max_requests_per_client must be at least 1"),
        (posp("[\"posp-1\"]", "[]"), "posp.clients must name"),
        (posp("\"127.0.0.1:0\"", "\"here\""), "listen"),
        (posp("ca/root.pem", "ca/none.pem"), "none.pem"),
        (posp("clients =", "client ="), "client"),
    ];
    let mut changes: Vec<_> = posps.iter().map(|(to, named)| ("[log]", to.as_str(), *named)).collect();
    changes.extend([
        ("check_date = false", "check_dates = false", "check_dates"),
        ("check_date = false", "check_date = \"no\"", "check_date"),
        ("check_date = false", "answers_at_once = 0", "tms.answers_at_once must be 1 to 1024"),
        ("check_date = false", "answers_at_once = 1025", "tms.answers_at_once must be 1 to 1024"),
        ("pik_length = 24", "pik_length = 8", "host.pik_length must be 16 or 24"),
        ("pik_length = 24", "pik_lenght = 24", "pik_lenght"),
        ("max_age_hours = 24", "max_age_hours = 8785", "host.max_age_hours must be 0 (no limit) to 8784"),
        ("max_age_hours = 24", "max_age_hours = -1", "max_age_hours"),
        ("max_uses = 0", "max_uses = 1.5", "max_uses"),
    ]);
    are_named(&changes);
}

/// A server with any of these changes does not start, and says why.
fn are_named(changes: &[(&str, &str, &str)]) {
    let estate = Estate::new();
    let path = estate.path("keyferry.toml");
    let good = fs::read_to_string(&path).unwrap();
    for &(from, to, named) in changes {
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
