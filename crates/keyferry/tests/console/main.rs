//! `keyferry station console` as people use it: keys, a screen, cables, cards, and a server that goes and comes back.

#![cfg(target_os = "linux")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here, as it should"
)]

#[path = "../support/mod.rs"]
#[allow(dead_code, reason = "other tests use the rest of it")]
mod support;

use std::{
    fs,
    io::{BufRead, BufReader, Lines},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::support::{
    estate::{Estate, SECRETS},
    folders::edit,
    records,
    screen::Screen,
    server::Server,
    terminals::Terminal,
    tool::{keyferry, until},
};

const OPERATOR_PIN: &str = SECRETS[2].1;
const ADMINISTRATOR_PIN: &str = SECRETS[3].1;
const SIZE: (u16, u16) = (100, 30);

/// A terminal that listens at a cable; unplugged when dropped.
struct Cable {
    child: Child,
    out: Lines<BufReader<ChildStdout>>,
    path: PathBuf,
}

impl Cable {
    fn plug(estate: &Estate, terminal: &Terminal, name: &str) -> Cable {
        let path = estate.folder().join(name);
        let mut command = keyferry(["terminal", "listen", "--json", "--listen"]);
        command.arg(format!("pty:{}", path.display())).arg(&terminal.folder);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap()).lines();
        Cable { child, out, path }
    }

    /// The fingerprint that it displayed when it was collected, in the groups in which people compare it.
    fn fingerprint(&mut self) -> String {
        let fingerprint = self.out.by_ref().find_map(|line| {
            let said: Value = serde_json::from_str(&line.unwrap()).unwrap();
            said["fingerprint"].as_str().map(str::to_owned)
        });
        let fingerprint = fingerprint.unwrap();
        let groups = fingerprint.as_bytes().chunks(4).map(|group| std::str::from_utf8(group).unwrap());
        groups.collect::<Vec<_>>().join(" ")
    }
}

impl Drop for Cable {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = fs::remove_file(&self.path);
    }
}

/// The station's cables are this estate's own.
fn with_cables(estate: &Estate) {
    let station = estate.path("station.toml");
    let mut text = fs::read_to_string(&station).unwrap();
    let cables = format!("serial = [\"{}/tty-*\"]", estate.folder().display());
    if text.contains("[links]") {
        let lines =
            text.lines().map(|line| if line.starts_with("serial = ") { cables.as_str() } else { line });
        text = lines.collect::<Vec<_>>().join("\n");
    } else {
        text.push_str(&format!("\n[links]\n{cables}\nbaud = 115200\n"));
    }
    fs::write(&station, text).unwrap();
}

fn console(estate: &Estate) -> Command {
    let mut command = keyferry(["station", "console", "--config"]);
    command.arg(estate.path("station.toml"));
    command.arg("--station-passphrase-file").arg(estate.secret("station-passphrase"));
    command
}

/// How many terminals the KMS knows.
fn known(estate: &Estate) -> i64 {
    records::number(&estate.path("keyferry.db"), "SELECT count(*) FROM terminals")
}

fn both_present(screen: &mut Screen) {
    screen.until("both cards", |text| text.matches(" present ").count() == 2);
}

fn give_pins(screen: &mut Screen) {
    screen.sees("1 of 2: the operator card's PIN");
    screen.enter(OPERATOR_PIN);
    screen.sees("2 of 2: the administrator card's PIN");
    screen.enter(ADMINISTRATOR_PIN);
}

#[test]
fn one_key_collects_what_is_plugged_in_and_packages_wait_for_the_server() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    // It comes back where it was.
    let listen = format!("[https]\nlisten = \"{}\"", server.https);
    edit(&estate.path("keyferry.toml"), &[("[https]\nlisten = \"127.0.0.1:0\"", &listen)]);
    with_cables(&estate);
    let terminals = ["SN-1", "SN-2", "SN-3"].map(|sn| estate.make_terminal(sn));
    let mut first = Cable::plug(&estate, &terminals[0], "tty-1");
    let mut second = Cable::plug(&estate, &terminals[1], "tty-2");

    let mut screen = Screen::start(&console(&estate), SIZE);
    both_present(&mut screen);
    screen.sees("Server reachable");
    screen.sees("Plugged in: 2 terminals");
    screen.press(" ");
    screen.sees("1 of 2: the operator card's PIN");
    screen.enter("not the PIN");
    screen.sees("the PIN or passphrase is wrong");
    give_pins(&mut screen);
    let text = screen.until("both taken", |text| text.matches(" TAKEN ").count() >= 2);
    for (terminal, cable) in terminals.iter().zip([&mut first, &mut second]) {
        assert!(text.contains(&terminal.sn) && text.contains(&cable.fingerprint()), "{text}");
    }
    screen.sees("The KMS took 2 of 2.");
    assert_eq!(known(&estate), 2);

    // The server dies; another terminal is plugged in and found by itself. No PIN is asked again.
    server.kill();
    let mut third = Cable::plug(&estate, &terminals[2], "tty-3");
    screen.sees("Plugged in: 3 terminals");
    screen.press(" ");
    screen.sees("WAITING");
    let text = screen.sees("Server NOT REACHABLE");
    assert!(text.contains("1 waiting"), "{text}");
    screen.sees(&third.fingerprint());
    assert_eq!(known(&estate), 2);

    // It is started again, and has everything without a key being pressed.
    let server = Server::start(&estate);
    let text = screen.sees("2 answered");
    assert!(text.contains("0 waiting") && text.matches(" TAKEN ").count() >= 3, "{text}");
    assert_eq!(known(&estate), 3);

    // A card is pulled out, and put back: its PIN is asked again.
    let (card, pocket) = (estate.path("cards/operator.pem"), estate.folder().join("pocket.pem"));
    fs::rename(&card, &pocket).unwrap();
    screen.sees("THE OPERATOR CARD WAS PULLED OUT");
    screen.press(" q");
    fs::rename(&pocket, &card).unwrap();
    both_present(&mut screen);
    let text = screen.text();
    assert!(text.contains("STOP STOP STOP"), "{text}");
    screen.press("\r");
    screen.sees_no("STOP");
    // Selected, so that it is collected again.
    screen.press("\r");
    screen.sees("1 of 2: the operator card's PIN");
    screen.press("\x1b");
    screen.sees("No PIN was given");

    let raw = screen.raw();
    for pin in [OPERATOR_PIN, ADMINISTRATOR_PIN, "not the PIN"] {
        assert!(!raw.windows(pin.len()).any(|window| window == pin.as_bytes()), "{pin} was on the screen");
    }
    screen.press("q");
    assert!(screen.ends().success());
    assert!(server.stop().success());
}

#[test]
fn a_card_that_is_pulled_out_stops_a_run_and_what_has_answered_is_packed_later() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    with_cables(&estate);
    edit(&estate.path("station.toml"), &[("parallel = 16", "parallel = 1")]);
    let terminal = estate.make_terminal("SN-1");
    let _first = Cable::plug(&estate, &terminal, "tty-1");
    let mut screen = Screen::start(&console(&estate), SIZE);
    both_present(&mut screen);
    screen.sees("Plugged in: 1 terminal");
    // One that never says anything: the test holds its cable's other end.
    let silent = silent(&estate, "tty-2");
    screen.sees("Plugged in: 2 terminals");
    screen.press(" ");
    give_pins(&mut screen);
    screen
        .until("one answered, one asked", |text| text.contains("1 of 2 answered") && text.contains("asking"));
    let (card, pocket) = (estate.path("cards/administrator.pem"), estate.folder().join("pocket.pem"));
    fs::rename(&card, &pocket).unwrap();
    screen.sees("THE ADMINISTRATOR CARD WAS PULLED OUT");
    screen.sees("1 of 2 terminals had answered");
    screen.press("\r");
    // It still listens to the silent one: quitting asks first.
    screen.press("q");
    screen.sees("Quit all the same?");
    screen.press("n");
    screen.sees_no("Quit all the same?");
    screen.press("qy");
    assert!(screen.ends().success());
    assert_eq!(known(&estate), 0);

    // The next day, with both cards, what had answered is packed and uploaded.
    drop(silent);
    fs::rename(&pocket, &card).unwrap();
    let mut screen = Screen::start(&console(&estate), SIZE);
    screen.sees("1 terminal NOT PACKED");
    both_present(&mut screen);
    screen.press(" ");
    give_pins(&mut screen);
    screen.until("it is answered", |text| !text.contains("NOT PACKED") && text.contains("The KMS took"));
    until("the KMS knows it", || known(&estate) == 1);
    screen.press("q");
    assert!(screen.ends().success());
}

#[test]
fn a_window_is_resized_colours_stay_away_and_a_signal_gives_the_terminal_back() {
    let estate = Estate::new();
    let mut command = console(&estate);
    command.env("NO_COLOR", "1");
    let mut screen = Screen::start(&command, SIZE);
    screen.sees("Server NOT REACHABLE");
    screen.resize((60, 12));
    screen.sees("This window is 60x12");
    screen.resize((120, 40));
    screen.sees("Space collect all");
    let raw = String::from_utf8_lossy(&screen.raw()).into_owned();
    for colour in ["\x1b[3", "\x1b[4", "\x1b[9"] {
        let numbers = raw.match_indices(colour).filter_map(|(at, _)| raw[at + 2..].split('m').next());
        let mut colours = numbers.filter(|text| {
            text.split(';').all(|n| n.parse::<u8>().is_ok())
                && text
                    .split(';')
                    .filter_map(|n| n.parse::<u8>().ok())
                    .any(|n| (30..=38).contains(&n) || (40..=48).contains(&n) || n >= 90)
        });
        assert_eq!(colours.next(), None, "a colour");
    }
    kill_process(Pid::from_raw(screen.pid()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(screen.ends().code(), Some(128 + 15));
}

#[test]
fn without_a_terminal_it_says_what_to_use_instead() {
    let estate = Estate::new();
    crate::support::tool::run(&mut console(&estate)).refused_with("use `keyferry station collect`");
}

/// A cable with nobody at its end.
fn silent(estate: &Estate, name: &str) -> Silent {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let path = estate.folder().join(name);
    std::os::unix::fs::symlink(ptsname(&master, Vec::new()).unwrap().into_string().unwrap(), &path).unwrap();
    Silent { path, _master: master }
}

struct Silent {
    path: PathBuf,
    _master: std::os::fd::OwnedFd,
}

impl Drop for Silent {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
