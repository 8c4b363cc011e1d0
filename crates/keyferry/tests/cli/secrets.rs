//! Passphrases and PINs: where they may come from and where they never appear.

use std::{fs, os::unix::fs::PermissionsExt, process::Command};

use crate::support::{
    estate::{Estate, SECRETS},
    folders::{files, snapshot, write_secret},
    process, scan,
    server::{self, Server},
    station,
    tool::{keyferry, run},
};

#[test]
fn a_passphrase_file_that_others_can_read_is_refused() {
    let estate = Estate::new();
    for mode in [0o640, 0o604, 0o620, 0o602] {
        fs::set_permissions(estate.secret("hsm-passphrase"), fs::Permissions::from_mode(mode)).unwrap();
        let before = snapshot(&estate.path(""));
        let said = server::fails(&estate).refused();
        assert!(
            said.contains(&format!("can be read by others (mode {mode:o}); make it private: chmod 600")),
            "{said}"
        );
        let after = snapshot(&estate.path(""));
        let untouched =
            |(path, _): &(&std::path::PathBuf, _)| !path.to_string_lossy().contains("keyferry.db");
        assert!(before.iter().filter(untouched).eq(after.iter().filter(untouched)));
    }
    fs::set_permissions(estate.secret("hsm-passphrase"), fs::Permissions::from_mode(0o400)).unwrap();
    assert!(Server::start(&estate).stop().success());
}

#[test]
fn a_wrong_passphrase_is_a_clear_error_and_changes_nothing() {
    let estate = Estate::new();
    let sealed = fs::read(estate.path("hsm/lmk.sealed")).unwrap();
    for wrong in ["another long passphrase\n", "\n", "hsm-zcq4-passphrase-w8vK\n", "hsm-zcq4-passphrase-w8v"]
    {
        write_secret(&estate.secret("hsm-passphrase"), wrong);
        server::fails(&estate).refused_with("wrong passphrase, or ");
        write_secret(&estate.secret("ca-passphrase"), wrong);
        let before = snapshot(&estate.path("ca"));
        run(&mut estate.ca(&["crl"])).refused_with("the PIN or passphrase is wrong");
        assert_eq!(snapshot(&estate.path("ca")), before);
    }
    assert_eq!(fs::read(estate.path("hsm/lmk.sealed")).unwrap(), sealed);
    assert_eq!(fs::read_dir(estate.path("hsm")).unwrap().count(), 1);
}

#[test]
fn a_passphrase_comes_through_a_file_descriptor() {
    let estate = Estate::new();
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$0\" server --config \"$1\" --passphrase-fd 3 3<\"$2\""]);
    shell.arg(env!("CARGO_BIN_EXE_keyferry"));
    shell.arg(estate.path("keyferry.toml")).arg(estate.secret("hsm-passphrase"));
    assert!(Server::start_as(&estate, &mut shell).stop().success());
    // A pipe can be read once only; that is enough.
    let mut shell = Command::new("bash");
    shell.args(["-c", "exec \"$0\" server --config \"$1\" --passphrase-fd 3 3< <(cat \"$2\")"]);
    shell.arg(env!("CARGO_BIN_EXE_keyferry"));
    shell.arg(estate.path("keyferry.toml")).arg(estate.secret("hsm-passphrase"));
    assert!(Server::start_as(&estate, &mut shell).stop().success());
}

#[test]
fn a_descriptor_that_is_not_open_or_two_sources_are_refused() {
    let estate = Estate::new();
    run(&mut estate.configured(&["server", "--passphrase-fd", "77"]))
        .refused_with("cannot read file descriptor 77");
    let mut both = server::command(&estate);
    assert_eq!(run(both.args(["--passphrase-fd", "3"])).code, Some(2));
    // Nobody is there to be asked.
    run(Command::new("setsid")
        .arg("-w")
        .arg(env!("CARGO_BIN_EXE_keyferry"))
        .args(["hsm", "serve", "--socket"])
        .arg(estate.path("run/hsm.sock"))
        .arg("--folder")
        .arg(estate.path("hsm")))
    .refused_with("no terminal to ask at; give the secret with its -file option");
}

#[test]
fn no_program_takes_a_secret_as_an_argument() {
    for arguments in [
        &["server"][..],
        &["hsm", "serve"],
        &["hsm", "component", "enter"],
        &["hsm", "component", "combine"],
        &["ca", "root"],
        &["ca", "card"],
        &["ca", "hand-over"],
        &["ca", "tls"],
        &["card", "request"],
        &["card", "install"],
        &["card", "change-pin"],
        &["station", "collect"],
        &["init"],
        &["kld", "run", "load"],
        &["kld", "import", "dik1"],
        &["rks", "dik1", "export"],
        &["tms", "package", "sign"],
        &["tms", "package", "approve"],
        &["tms", "operator", "set"],
        &["host", "zone-key", "import"],
        &["host", "zone-key", "make"],
        &["kms", "import"],
        &["terminal", "tms"],
        &["terminal", "pin"],
    ] {
        let help = run(keyferry(arguments).arg("--help")).good();
        for line in help.lines().filter(|line| line.trim_start().starts_with("--")) {
            let option = line.split_whitespace().next().unwrap();
            let secret = ["pin", "pan", "passphrase", "password", "secret", "key"]
                .iter()
                .any(|word| option.contains(word));
            let fine = option.ends_with("-file") || option.ends_with("-fd") || option == "--secrets";
            // A terminal's PIN pad has a serial, which is none.
            assert!(!secret || fine || option == "--pin-pad", "{arguments:?} {option}");
        }
    }
}

#[test]
fn r33_no_secret_is_in_a_command_line_an_environment_a_log_or_a_file() {
    let estate = Estate::new();
    edit_log_level(&estate);
    let needles: Vec<_> = SECRETS.iter().map(|(name, secret)| scan::raw(name, secret.as_bytes())).collect();
    let server = Server::start(&estate);
    for pid in [server.pid(), server.hsm()] {
        let told = process::told_to_all(pid);
        assert!(!told.is_empty());
        assert_eq!(scan::found_in(&told, &needles), Vec::<&str>::new());
    }
    let terminal = estate.make_terminal("SN-9");
    let collection = station::collect(&estate, &[&terminal], &[]);
    let said = [collection.ran.out.clone(), collection.ran.err.clone()].concat();
    assert_eq!(scan::found_in(said.as_bytes(), &needles), Vec::<&str>::new());
    collection.ran.good();
    // The HSM reads its passphrase by itself: the server never had it.
    assert_eq!(scan::found_in_memory(server.pid(), &needles).unwrap(), Vec::<String>::new());
    assert!(server.stop().success());
    for path in files(estate.folder()).iter().filter(|path| !path.starts_with(estate.secrets())) {
        assert_eq!(
            scan::found_in(&fs::read(path).unwrap(), &needles),
            Vec::<&str>::new(),
            "{}",
            path.display()
        );
    }
}

fn edit_log_level(estate: &Estate) {
    crate::support::folders::edit(
        &estate.path("keyferry.toml"),
        &[("level = \"info\"", "level = \"trace\"")],
    );
}
