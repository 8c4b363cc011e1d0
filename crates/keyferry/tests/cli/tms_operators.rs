//! Operators at terminals: demanded, proved by a password that never travels, locked after five wrong ones.

use std::fs;

use crate::support::{
    estate::Estate,
    folders::{edit, write_secret},
    kld::LOADED,
    records,
    server::Server,
    tool::{Ran, keyferry, run},
};

const PASSWORD: &str = "correct-horse-q7zm";

fn set(estate: &Estate, id: &str, password: &str) -> Ran {
    let file = estate.secret("operator-password");
    write_secret(&file, password);
    let mut set = estate.tms(&["operator", "set", id, "--password-file", file.to_str().unwrap()]);
    run(set.arg("--passphrase-file").arg(estate.secret("hsm-passphrase")))
}

fn unlock(estate: &Estate, id: &str) -> Ran {
    run(&mut estate.tms(&["operator", "unlock", id]))
}

#[test]
fn an_operator_is_entered_with_a_password_that_is_one() {
    let estate = Estate::loaded();
    set(&estate, "OP-1", "1234567").refused_with("a password has at least 8 characters; nothing was changed");
    assert_eq!(set(&estate, "no id", PASSWORD).code, Some(2));
    let open = estate.folder().join("open");
    fs::write(&open, PASSWORD).unwrap();
    let mut others = estate.tms(&["operator", "set", "OP-1"]);
    run(others.arg("--password-file").arg(&open)).refused_with("can be read by others");
    let number = |sql| records::number(&estate.path("keyferry.db"), sql);
    assert_eq!(number("SELECT count(*) FROM operators"), 0);
    set(&estate, "OP-1", PASSWORD).good();
    set(&estate, "OP-1", "another-password").good();
    assert_eq!(number("SELECT count(*) FROM operators"), 1);
    assert_eq!(number("SELECT count(*) FROM audit WHERE kind = 'tms.operator-set'"), 2);
    unlock(&estate, "OP-1").refused_with("operator OP-1 is not locked, or not known");
    unlock(&estate, "OP-2").refused_with("operator OP-2 is not locked, or not known");
    run(keyferry(["tms", "operator", "unlock"]).arg("OP-1").current_dir(estate.folder()))
        .refused_with("keyferry.toml");
}

#[test]
fn five_wrong_passwords_lock_an_operator_until_somebody_unlocks_him() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    edit(&estate.path("keyferry.toml"), &[("operator_required = false", "operator_required = true")]);
    estate.published("app", "1.0.0", 200);
    estate.deploy("app@1.0.0", &[]).good();
    let server = Server::start(&estate);
    // The running server's HSM enters him.
    set(&estate, "OP-1", PASSWORD).good();
    let terminal = estate.terminal("SHOP-1");
    let as_operator = |id: &str, password: &str| {
        let file = estate.secret("typed");
        write_secret(&file, password);
        let file = file.to_str().unwrap().to_owned();
        terminal.update(&server.terminals, &["--operator", id, "--password-file", &file])
    };
    terminal.update(&server.terminals, &[]).refused_with("the acquirer demands an operator");
    as_operator("OP-2", PASSWORD).refused_with("operator refused");
    as_operator("OP-1", "correct-horse-q7zn").refused_with("operator refused");
    // A right one starts the count anew.
    as_operator("OP-1", PASSWORD).good();
    assert!(terminal.has("app 1.0.0"));
    for _ in 0..5 {
        as_operator("OP-1", "wrong-password").refused_with("operator refused");
    }
    let said = as_operator("OP-1", PASSWORD).refused();
    assert!(said.contains("operator refused"), "the right one does not help him now: {said}");
    let kinds = records::events(&estate.path("keyferry.db"));
    let count = |kind: &str| kinds.iter().filter(|known| *known == kind).count();
    assert_eq!(count("alarm.operator-locked"), 1, "{kinds:?}");
    assert!(count("tms.operator-failed") >= 6, "{kinds:?}");
    assert!(unlock(&estate, "OP-1").good().contains("may try again"));
    let events = records::events(&estate.path("keyferry.db"));
    assert_eq!(events.last().map(String::as_str), Some("tms.operator-unlocked"));
    as_operator("OP-1", PASSWORD).good();
    // He is one for every terminal, and for keys too.
    let other = estate.terminal(LOADED[1]);
    other.update(&server.terminals, &["--slot", "1"]).refused_with("the acquirer demands an operator");
    let file = estate.secret("typed").to_str().unwrap().to_owned();
    other.update(&server.terminals, &["--slot", "1", "--operator", "OP-1", "--password-file", &file]).good();
    estate.verify_audit().good();
}
