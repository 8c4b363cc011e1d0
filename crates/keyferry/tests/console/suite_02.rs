//! The console in suite 02, where a run is part of the day's ceremony.

use std::fs;

use crate::{
    desk::{Cable, SIZE, both_present, console, give_pins, known, with_cables},
    screen::Screen,
    support::{
        estate::{Estate, init_of},
        server::Server,
        terminals::Terminal,
        tool::{keyferry, run},
    },
};

fn certified(estate: &Estate, sn: &str) -> Terminal {
    let terminal = estate.make_terminal(sn);
    let (request, certificate) = (estate.folder().join("device.csr"), estate.folder().join("device.pem"));
    let _ = fs::remove_file(&request);
    let _ = fs::remove_file(&certificate);
    run(keyferry(["terminal", "device-request", "--out"]).arg(&request).arg(&terminal.folder)).good();
    let mut issue = estate.ca(&["issue", "--role", "device", "--pin-pad", sn]);
    run(issue.arg("--request").arg(&request).arg("--out").arg(&certificate)).good();
    let mut install = keyferry(["terminal", "device-install", "--certificate"]);
    run(install.arg(&certificate).arg(&terminal.folder)).good();
    terminal
}

#[test]
fn with_the_days_ceremony_kept_terminals_are_collected_without_the_server() {
    let estate = Estate::empty();
    run(&mut init_of("2", &estate.path(""), &estate.secrets())).good();
    let server = Server::start(&estate);
    with_cables(&estate);
    let mut first = Cable::plug(&estate, &certified(&estate, "SN-1"), "tty-1");
    let mut screen = Screen::start(&console(&estate), SIZE);
    both_present(&mut screen);
    screen.sees("Plugged in: 1 terminal");
    screen.press(" ");
    give_pins(&mut screen);
    let text = screen.sees("The KMS took 1 of 1.");
    assert!(text.contains(&first.fingerprint()), "{text}");
    assert_eq!(known(&estate), 1);
    server.kill();

    let mut second = Cable::plug(&estate, &certified(&estate, "SN-2"), "tty-2");
    screen.sees("Plugged in: 2 terminals");
    screen.press(" ");
    screen.sees("1 of 1 collected. The package waits for the server.");
    screen.sees("WAITING");
    screen.sees(&second.fingerprint());

    // Without the ceremony nothing is asked of a terminal, and the reason is said.
    fs::remove_file(estate.path("station/ceremony.json")).unwrap();
    screen.press("\r");
    screen.sees("Collecting ended: no answer from");
    screen.press("q");
    assert!(screen.ends().success());
}
