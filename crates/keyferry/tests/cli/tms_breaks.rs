//! SIGKILL at either end of a download, a full disk in the middle of one, a slow line: nothing is lost.

use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::Path,
    process::{Child, Stdio},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use crate::support::{
    disk::Disk,
    estate::Estate,
    folders::copy,
    kld::LOADED,
    pump::SerialLine,
    records,
    server::Server,
    terminals::Terminal,
    tool::{keyferry, run, until, wait},
};

/// Bytes of a file on its way.
fn came(terminal: &Terminal) -> u64 {
    let entries = fs::read_dir(terminal.folder.join("packages/incoming")).into_iter().flatten().flatten();
    let parts = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with("part-"));
    parts.filter_map(|entry| Some(entry.metadata().ok()?.len())).sum()
}

fn start(terminal: &Terminal, server: &Server) -> Child {
    let mut command = terminal.tms(&server.terminals, &[]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn a_terminal_killed_in_the_middle_of_a_file_goes_on_there() {
    const SIZE: u64 = 3 << 20;
    let estate = Estate::loaded();
    estate.folder_vendor();
    estate.published("app", "1.0.0", 1000);
    estate.deploy("app@1.0.0", &[]).good();
    let server = Server::start(&estate);
    let terminal = estate.terminal("SHOP-1");
    terminal.update(&server.terminals, &[]).good();
    estate.published("app", "2.0.0", usize::try_from(SIZE).unwrap());
    estate.deploy("app@2.0.0", &[]).good();
    // Killed when a part more is there; whatever the machine's speed, in the middle of the file.
    for part in [1, 2] {
        let mut update = start(&terminal, &server);
        until("a part of the file is there", || {
            came(&terminal) > part << 20 || update.try_wait().unwrap().is_some()
        });
        update.kill().unwrap();
        let ended = update.wait().unwrap();
        assert_eq!(ended.signal(), Some(9), "the whole file came before it was killed: {ended}");
        assert_eq!(terminal.installed(), ["app 1.0.0 (application)"], "it runs what it ran");
    }
    let said = terminal.update(&server.terminals, &[]).json();
    assert_eq!(terminal.installed(), ["app 2.0.0 (application)"]);
    let bytes = said["bytes"].as_u64().unwrap();
    assert!(bytes < SIZE - (1 << 20), "what was safe does not come again: {said}");
    let deployment = &estate.deployments()[1];
    assert_eq!((&deployment["installed"], &deployment["failed"]), (&1.into(), &0.into()), "{deployment}");
}

#[test]
fn a_server_killed_in_the_middle_of_a_deployment_loses_none_of_it() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    estate.published("app", "1.0.0", 400_000);
    estate.deploy("app@1.0.0", &[]).good();
    let terminals = LOADED.map(|sn| estate.terminal(sn));
    for kill_after in [60_000, 200_000, 330_000] {
        let server = Server::start(&estate);
        let over = AtomicBool::new(false);
        thread::scope(|scope| {
            for terminal in &terminals {
                let (address, over) = (server.terminals.clone(), &over);
                // Again and again, as terminals do that cannot reach their server.
                scope.spawn(move || {
                    while !over.load(Ordering::Relaxed) && terminal.update(&address, &[]).code != Some(0) {}
                });
            }
            let there = |terminal: &Terminal| {
                came(terminal) >= kill_after || terminal.folder.join("packages/a/area.json").exists()
            };
            until("a download is in the middle", || terminals.iter().any(there));
            server.kill();
            over.store(true, Ordering::Relaxed);
        });
        for terminal in &terminals {
            // It opens, and has all of it or nothing.
            assert!(terminal.installed().len() <= 1);
        }
        estate.verify_audit().good();
    }
    let server = Server::start(&estate);
    for terminal in &terminals {
        terminal.update(&server.terminals, &[]).good();
        assert_eq!(terminal.installed(), ["app 1.0.0 (application)"]);
    }
    let deployment = &estate.deployments()[0];
    for (what, count) in [("offered", 4), ("installed", 4), ("failed", 0)] {
        assert_eq!(deployment[what], count, "{deployment}");
    }
    assert!(server.stop().success());
    estate.verify_audit().good();
}

#[test]
fn a_disk_that_fills_up_in_mid_download_is_named_and_the_terminal_runs_on() {
    let estate = Estate::loaded();
    let at = estate.folder().join("disk");
    let Some(disk) = Disk::mount(&at, "4m") else { return };
    estate.folder_vendor();
    let server = Server::start(&estate);
    let terminal = Terminal { sn: "SHOP-1".into(), folder: at.join("SHOP-1") };
    copy(&estate.terminal("SHOP-1").folder, &terminal.folder);
    estate.published("app", "1.0.0", 1000);
    estate.deploy("app@1.0.0", &[]).good();
    terminal.update(&server.terminals, &[]).good();
    let big = |version: &str| {
        estate.published("app", version, 2_500_000);
        estate.deploy(&format!("app@{version}"), &["--stop-at-least", "9"]).good();
    };
    let works = |terminal: &Terminal| {
        assert_eq!(terminal.installed(), ["app 1.0.0 (application)"]);
        let mut sign_in = keyferry(["terminal", "sign-in", "--slot", "0", "--server", &server.terminals]);
        run(sign_in.arg(&terminal.folder)).good();
    };
    // Too little room from the start, and none that is left to others but for the terminal's own state.
    let filler = at.join("filler");
    fs::write(&filler, vec![0; 1_500_000]).unwrap();
    big("2.0.0");
    let ran = terminal.update(&server.terminals, &[]);
    let said: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    ran.refused_with("1 packages were refused; the TMS was told why");
    let why = said["refused"][0]["why"].as_str().unwrap();
    assert!(why.contains("this terminal has no room for it: free some"), "{said}");
    works(&terminal);
    fs::remove_file(&filler).unwrap();
    // Full to the last byte while the file is coming.
    big("2.1.0");
    let mut update = start(&terminal, &server);
    until("some of the file is there", || came(&terminal) > 200_000);
    let filler = disk.fill();
    let ended = wait(&mut update).unwrap();
    assert_eq!(ended.code(), Some(1));
    // Others took what it leaves free for its own state.
    terminal.update(&server.terminals, &[]).refused_with("No space left on device");
    assert_eq!(terminal.installed(), ["app 1.0.0 (application)"]);
    fs::remove_file(filler).unwrap();
    works(&terminal);
    estate.deploy("app@2.1.0", &[]).good();
    let said = terminal.update(&server.terminals, &[]).json();
    assert_eq!(terminal.installed(), ["app 2.1.0 (application)"]);
    assert!(said["bytes"].as_u64().unwrap() <= 2_500_000);
}

fn serial(path: &Path) -> String {
    format!("serial:{}?baud=9600", path.display())
}

#[test]
fn everything_goes_over_a_serial_line_of_9600_baud() {
    let estate = Estate::loaded();
    estate.folder_vendor();
    estate.published("app", "1.0.0", 700);
    estate.deploy("app@1.0.0", &[]).good();
    let server = Server::start(&estate);
    let line = SerialLine::to(&server.terminals, 9_600);
    let terminal = estate.terminal("SHOP-4");
    let address = serial(&line.path);
    let said = terminal.update(&address, &[]).json();
    assert_eq!(said["bytes"], 700, "{said}");
    assert_eq!(terminal.installed(), ["app 1.0.0 (application)"]);
    // The next conversation on the same line.
    let mut sign_in = keyferry(["terminal", "sign-in", "--json", "--slot", "0", "--server", &address]);
    let said = run(sign_in.arg(&terminal.folder)).json();
    assert_eq!(said["kcvs"].as_array().unwrap().len(), 2, "{said}");
    let installed = "SELECT count(*) FROM offers WHERE state = 'installed'";
    assert_eq!(records::number(&estate.path("keyferry.db"), installed), 1);
}
