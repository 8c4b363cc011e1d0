//! R30 of docs/spec/4-requirements.md: no audit, no operation. The disk is full, or refuses to be written to.

use std::{fs, path::Path, process::Command};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::support::{
    disk::Disk,
    estate::Estate,
    folders::edit,
    records,
    server::{self, Server},
    tool::run,
};

/// All TMKs and events, to see that nothing was added.
fn counts(database: &Path) -> [i64; 3] {
    [
        "SELECT count(*) FROM tmks",
        "SELECT count(*) FROM audit",
        "SELECT count(*) FROM terminals WHERE tek IS NOT NULL",
    ]
    .map(|sql| records::number(database, sql))
}

/// Downloads that must fail, then ones that must work, around whatever takes the disk away and gives it back.
fn without_a_disk(
    estate: &Estate,
    server: &Server,
    database: &Path,
    away: impl FnOnce(),
    back: impl FnOnce(),
) {
    // One terminal whose TK is not opened yet, one whose TK is in use.
    let (new, known) = (estate.terminal("SN-1"), estate.terminal("SN-2"));
    let first = known.key(&server.terminals, 0);
    away();
    let before = counts(database);
    for terminal in [&new, &known] {
        for slot in [0, 1] {
            let said = terminal.download(&server.terminals, slot, &[]).refused();
            assert!(said.contains("0001"), "internal failure, and no more is told: {said}");
            assert!(!said.contains("disk"), "{said}");
        }
    }
    assert_eq!(counts(database), before, "nothing half stored");
    assert_eq!((new.kcv(0), known.kcv(0), known.kcv(1)), (None, Some(first), None));
    back();
    for terminal in [&new, &known] {
        for slot in [0, 1] {
            let key = terminal.key(&server.terminals, slot);
            assert_eq!(terminal.kcv(slot), Some(key.clone()));
            assert_eq!(records::kcv(database, &terminal.sn, slot, "active"), Some(key));
        }
    }
    run(crate::support::tool::keyferry(["audit", "verify", "--store"]).arg(database)).good();
}

#[test]
fn r30_on_a_full_disk_no_key_is_given_out_and_with_room_again_all_goes_on() {
    let estate = Estate::collected();
    let at = estate.folder().join("disk");
    let Some(disk) = Disk::mount(&at, "2m") else { return };
    let database = at.join("keyferry.db");
    fs::copy(estate.path("keyferry.db"), &database).unwrap();
    let path = format!("path = \"{}\"", database.display());
    edit(&estate.path("keyferry.toml"), &[("path = \"keyferry.db\"", &path)]);
    let server = Server::start(&estate);
    let mut filler = None;
    let room = std::cell::RefCell::new(&mut filler);
    without_a_disk(
        &estate,
        &server,
        &database,
        || **room.borrow_mut() = Some(disk.fill()),
        || fs::remove_file(room.borrow_mut().take().unwrap()).unwrap(),
    );
    assert!(server.log().contains("the disk is full"), "{}", server.log());
    assert!(server.stop().success());
}

#[test]
fn r30_a_disk_that_refuses_to_be_written_to_stops_no_more_than_it_must() {
    // The system refuses every write of the server past the first byte of a file; its reads still work.
    let estate = Estate::collected();
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"]);
    let command = server::command(&estate);
    shell.arg(command.get_program()).args(command.get_args());
    let server = Server::start_as(&estate, &mut shell);
    let pid = Pid::from_raw(server.pid());
    let usual = rustix::process::getrlimit(Resource::Fsize);
    let tight = Rlimit { current: Some(1), ..usual };
    without_a_disk(
        &estate,
        &server,
        &estate.path("keyferry.db"),
        || {
            prlimit(pid, Resource::Fsize, tight).unwrap();
        },
        || {
            prlimit(pid, Resource::Fsize, usual).unwrap();
        },
    );
    assert!(server.stop().success());
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    let estate = Estate::collected();
    edit(&estate.path("keyferry.toml"), &[("level = \"info\"", "level = \"trace\"")]);
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" 2>/dev/full", "sh"]);
    let command = server::command(&estate);
    shell.arg(command.get_program()).args(command.get_args());
    let server = Server::start_as(&estate, &mut shell);
    estate.terminal("SN-1").key(&server.terminals, 0);
    assert!(server.stop().success());
    estate.verify_audit().good();
}
