//! R1 of docs/spec/4-requirements.md: no clear key outside the HSM's process. The keys are known here, because the
//! test plays a terminal and opens the HSM's folder; they are looked for everywhere else.

use std::{fs, net::TcpListener, thread};

use crate::support::{
    estate::{Estate, SECRETS, init_of},
    folders::edit,
    lmk,
    played::Played,
    records, scan,
    server::Server,
    station,
    tool::{keyferry, run},
};

#[test]
fn r1_no_key_is_in_the_servers_memory_or_any_file_or_log() {
    let estate = Estate::new();
    edit(&estate.path("keyferry.toml"), &[("level = \"info\"", "level = \"trace\"")]);
    let server = Server::start(&estate);

    let played = Played::new("PLAYED-1");
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let said = thread::scope(|scope| {
        let fingerprint = scope.spawn(|| played.be_collected(&listener));
        let mut command = station::command(&estate, "station.toml");
        let said = run(command.args(["--terminal", &address])).json();
        assert_eq!(said["collected"][0]["fingerprint"], fingerprint.join().unwrap());
        said
    });
    assert_eq!(said["uploads"][0]["outcome"]["taken"][0]["ok"], true, "{said}");
    assert_eq!(said["uploads"][0]["outcome"]["taken"][0]["fingerprint_agrees"], true, "{said}");
    // The first download opens TK, the second uses its blocks.
    let tmks = [0, 1].map(|slot| played.download(&server.terminals, slot));

    let mut keys = scan::key("TEK", played.tk.tek().expose());
    keys.extend(scan::key("AUK", played.tk.auk().expose()));
    for tmk in &tmks {
        keys.extend(scan::key("TMK", tmk.expose()));
    }
    let secrets = lmk::open(&estate.path("hsm"), SECRETS[0].1);
    keys.extend(scan::key("LMK", &secrets.lmk));
    keys.extend(scan::key("the strangers' secret", &secrets.stranger));
    let database = estate.path("keyferry.db");
    let work = records::string(&database, "SELECT private_block FROM work_keys");
    let tls = fs::read_to_string(estate.path("tls/server.key-block")).unwrap();
    for (what, block) in [("work key", work), ("TLS key", tls)] {
        let pkcs8 = secrets.unwrap(&block);
        assert!(pkcs8.len() > 1000, "RSA-2048 in PKCS #8");
        // Somewhere inside d, p and q: nothing public is there.
        for at in [350, 600, 730] {
            keys.extend(scan::key(&format!("{what} at {at}"), &pkcs8[at..at + 32]));
        }
    }

    // The scan finds what is there: the serial in the server's memory, the LMK in the HSM's, where root may look.
    let public = [scan::raw("serial", b"PLAYED-1")];
    assert!(!scan::found_in_memory(server.pid(), &public).unwrap().is_empty());
    assert!(!scan::found_in_files(&estate.path(""), &public).is_empty());
    match scan::found_in_memory(server.hsm(), &keys) {
        Ok(found) => assert!(found.iter().any(|what| what.starts_with("LMK")), "{found:?}"),
        Err(error) => assert!(!rustix::process::geteuid().is_root(), "{error}"),
    }

    assert_eq!(scan::found_in_memory(server.pid(), &keys).unwrap(), Vec::<String>::new());
    assert!(
        server.log().contains("TRACE") || server.log().contains("DEBUG"),
        "the log is as full as it gets"
    );
    assert_eq!(scan::found_in_files(estate.folder(), &keys), Vec::<String>::new());
    assert!(server.stop().success());
    assert_eq!(scan::found_in_files(estate.folder(), &keys), Vec::<String>::new());
}

/// In suite 02 the terminal is the product's: its keys are known here by what the HSM keeps of them.
#[test]
fn r1_no_key_of_suite_02_is_in_the_servers_memory_or_any_file_or_log() {
    let estate = Estate::empty();
    run(&mut init_of("2", &estate.path(""), &estate.secrets())).good();
    edit(&estate.path("keyferry.toml"), &[("level = \"info\"", "level = \"trace\"")]);
    let server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-1");
    let (request, certificate) = (estate.folder().join("device.csr"), estate.folder().join("device.pem"));
    run(keyferry(["terminal", "device-request", "--out"]).arg(&request).arg(&terminal.folder)).good();
    let mut issue = estate.ca(&["issue", "--role", "device", "--pin-pad", "SN-1"]);
    run(issue.arg("--request").arg(&request).arg("--out").arg(&certificate)).good();
    let mut install = keyferry(["terminal", "device-install", "--certificate"]);
    run(install.arg(&certificate).arg(&terminal.folder)).good();
    station::collect(&estate, &[&terminal], &[]).ran.good();
    for slot in [0, 1, 0] {
        terminal.download(&server.terminals, slot, &[]).good();
    }

    let secrets = lmk::open(&estate.path("hsm"), SECRETS[0].1);
    let mut keys = scan::key("LMK", &secrets.lmk);
    let database = estate.path("keyferry.db");
    for (what, columns) in [
        ("TEK", "SELECT tek FROM terminals"),
        ("AUK", "SELECT auk FROM terminals"),
        ("TMK", "SELECT block FROM tmks"),
    ] {
        let blocks = records::strings(&database, columns);
        assert!(!blocks.is_empty(), "{what}");
        blocks.iter().for_each(|block| keys.extend(scan::key(what, &secrets.unwrap(block))));
    }
    let work = secrets.unwrap(&records::string(&database, "SELECT private_block FROM work_keys"));
    assert_eq!(work.len(), 32, "a scalar of P-256");
    keys.extend(scan::key("the work key", &work));

    match scan::found_in_memory(server.hsm(), &keys) {
        Ok(found) => assert!(found.iter().any(|what| what.starts_with("LMK")), "{found:?}"),
        Err(error) => assert!(!rustix::process::geteuid().is_root(), "{error}"),
    }
    assert_eq!(scan::found_in_memory(server.pid(), &keys).unwrap(), Vec::<String>::new());
    assert_eq!(scan::found_in_files(estate.folder(), &keys), Vec::<String>::new());
    assert!(server.stop().success());
    assert_eq!(scan::found_in_files(estate.folder(), &keys), Vec::<String>::new());
}

#[test]
fn r1_no_key_is_in_a_software_terminals_files_or_output() {
    // Its keys are not known here, but the file that stands for its battery-backed memory is.
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SN-1");
    let ran = terminal.download(&server.terminals, 0, &[]);
    let battery = terminal.folder.join("battery.key");
    let needles = scan::key("battery key", &fs::read(&battery).unwrap());
    assert_eq!(
        scan::found_in([ran.out.as_bytes(), ran.err.as_bytes()].concat().as_slice(), &needles),
        Vec::<&str>::new()
    );
    assert_eq!(scan::found_in_memory(server.pid(), &needles).unwrap(), Vec::<String>::new());
    fs::remove_file(&battery).unwrap();
    assert_eq!(scan::found_in_files(estate.folder(), &needles), Vec::<String>::new());
}
