//! The HSM's process and the server's: what protects them, and how one ends with the other.

use std::{fs, os::unix::net::UnixStream};

use rustix::process::{Pid, Signal, kill_process};

use crate::support::{
    estate::{Estate, init},
    folders::{edit, mode},
    process,
    server::{self, Server},
    tool::{keyferry, run, until},
};

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

#[test]
fn r2_the_hsm_has_no_core_dump_no_debugger_and_locked_memory_or_a_warning() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    let hsm = server.hsm();
    assert_eq!(process::limit(hsm, "Max core file size"), ("0".into(), "0".into()));
    // Of a process that is not dumpable, root owns what /proc shows, whoever runs it.
    assert_eq!(process::owner_of_environ(hsm), 0);
    if rustix::process::geteuid().is_root() {
        // Then the owner tells nothing; but a process without the capability must not be let in.
        let mut other = std::process::Command::new("chroot");
        let maps = format!("/proc/{hsm}/maps");
        let refused = other.args(["--userspec=65534:65534", "/", "cat", &maps]).output().unwrap();
        assert!(!refused.status.success());
    } else {
        assert!(fs::read(format!("/proc/{hsm}/maps")).is_err(), "even the same user cannot look");
    }
    let locked = process::status(hsm, "VmLck").unwrap();
    let locked: u64 = locked.split(' ').next().unwrap().parse().unwrap();
    assert!(
        locked > 0 || server.log().contains("memory is not locked and may be swapped"),
        "{}",
        server.log()
    );
}

#[test]
fn the_hsms_socket_and_its_folder_are_for_their_owner_alone() {
    let estate = Estate::new();
    let _server = Server::start(&estate);
    assert_eq!(mode(&estate.path("run/hsm.sock")), 0o600);
    assert_eq!(mode(&estate.path("run")), 0o700);
    assert_eq!(fs::read_dir(estate.path("run")).unwrap().count(), 1, "no other name for the socket");
}

#[test]
fn the_hsm_ends_when_the_server_is_killed() {
    let estate = Estate::new();
    let server = Server::start(&estate);
    let hsm = server.hsm();
    server.kill();
    until("the HSM ends with its server", || !process::runs(hsm));
    // What it leaves behind is a dead socket, which does not keep the next one from starting.
    until("nobody serves there", || UnixStream::connect(estate.path("run/hsm.sock")).is_err());
    assert!(Server::start(&estate).stop().success());
}

#[test]
fn the_server_ends_with_a_message_when_the_hsm_is_killed() {
    let estate = Estate::collected();
    let mut server = Server::start(&estate);
    kill(server.hsm());
    assert_eq!(server.ended().code(), Some(1));
    let log = server.log();
    assert!(
        log.contains("the HSM process ended; the server cannot work without it. Start the server again"),
        "{log}"
    );
    drop(server);
    let server = Server::start(&estate);
    estate.terminal("SN-1").key(&server.terminals, 0);
}

#[test]
fn a_second_server_on_the_same_estate_is_refused_and_harms_nothing() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let hsm = server.hsm();
    server::fails(&estate).refused_with("another HSM serves here");
    assert!(process::runs(hsm));
    let key = estate.terminal("SN-1").key(&server.terminals, 0);
    assert_eq!(estate.terminal("SN-1").kcv(0), Some(key));
    assert!(server.stop().success());
    estate.verify_audit().good();
}

#[test]
fn a_server_whose_port_is_taken_says_which_and_leaves_no_hsm_behind() {
    for (name, setting) in [("terminal_port.listen", "[terminal_port]"), ("https.listen", "[https]")] {
        let estate = Estate::new();
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let listen = |port: &str| format!("{setting}\nlisten = \"{port}\"");
        edit(&estate.path("keyferry.toml"), &[(&listen("127.0.0.1:0"), &listen(&address))]);
        let said = server::fails(&estate).refused();
        assert!(said.contains(&format!("cannot listen on {address} ({name})")), "{said}");
        until("the HSM ended", || UnixStream::connect(estate.path("run/hsm.sock")).is_err());
    }
}

#[test]
fn ctrl_c_at_the_terminal_stops_server_and_hsm_in_order() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let hsm = server.hsm();
    estate.terminal("SN-1").key(&server.terminals, 0);
    assert!(server.interrupt().success(), "{}", fs::read_to_string(estate.log()).unwrap());
    until("the HSM ends with its server", || !process::runs(hsm));
    let log = fs::read_to_string(estate.log()).unwrap();
    assert!(!log.contains("ERROR"), "{log}");
    assert_eq!(
        crate::support::records::events(&estate.path("keyferry.db")).last().unwrap(),
        "server.stopped"
    );
    estate.verify_audit().good();
}

#[test]
fn an_hsm_that_runs_by_itself_outlives_the_server() {
    use std::{io::BufRead as _, process::Stdio};
    let estate = Estate::collected();
    edit(&estate.path("keyferry.toml"), &[("start = true", "start = false")]);
    server::fails(&estate).refused_with("hsm.sock");
    let mut command = keyferry(["hsm", "serve", "--folder"]);
    command.arg(estate.path("hsm")).arg("--socket").arg(estate.path("run/hsm.sock"));
    command.arg("--passphrase-file").arg(estate.secret("hsm-passphrase")).stdout(Stdio::piped());
    let mut hsm = command.spawn().unwrap();
    let mut said = String::new();
    std::io::BufReader::new(hsm.stdout.take().unwrap()).read_line(&mut said).unwrap();
    assert!(said.starts_with("serving on "), "{said}");
    let mut keys = Vec::new();
    for slot in 0..2 {
        let server = Server::start_as(&estate, &mut estate.configured(&["server"]));
        assert!(process::children(server.pid()).is_empty());
        keys.push(estate.terminal("SN-1").key(&server.terminals, slot));
        assert!(server.stop().success());
    }
    assert!(hsm.try_wait().unwrap().is_none());
    hsm.kill().unwrap();
    hsm.wait().unwrap();
    assert_eq!(keys, [0, 1].map(|slot| estate.terminal("SN-1").kcv(slot).unwrap()));
}

#[test]
fn keys_of_an_older_generation_of_the_lmk_still_work() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let key = estate.terminal("SN-1").key(&server.terminals, 0);
    assert!(server.stop().success());
    let mut next = keyferry(["hsm", "next-generation", "--folder"]);
    next.arg(estate.path("hsm")).arg("--passphrase-file").arg(estate.secret("hsm-passphrase"));
    run(&mut next).good();
    assert_eq!(mode(&estate.path("hsm/lmk.sealed")), 0o600);
    let server = Server::start(&estate);
    assert!(server.log().contains("generation=2"), "{}", server.log());
    // TEK and AUK of the first generation, and a TK that is opened by a work key of the first.
    assert_eq!(estate.terminal("SN-1").kcv(0), Some(key));
    estate.terminal("SN-1").key(&server.terminals, 1);
    estate.terminal("SN-2").key(&server.terminals, 0);
    assert!(server.stop().success());
}

#[test]
fn an_hsm_folder_of_another_estate_opens_nothing_and_says_so() {
    let (estate, other) = (Estate::collected(), Estate::empty());
    init(&other.path(""), &other.secrets()).good();
    fs::copy(other.path("hsm/lmk.sealed"), estate.path("hsm/lmk.sealed")).unwrap();
    let said = server::fails(&estate).refused();
    assert!(said.contains("does not open under this LMK"), "{said}");
}

#[test]
fn a_folder_too_deep_for_a_unix_socket_is_named() {
    let estate = Estate::new();
    let socket = format!("socket = \"{}/hsm.sock\"", "d".repeat(100));
    edit(&estate.path("keyferry.toml"), &[("socket = \"run/hsm.sock\"", &socket)]);
    let said = server::fails(&estate).refused();
    assert!(said.contains("hsm.sock"), "{said}");
    assert!(!said.contains("120 s"), "at once, not after a wait: {said}");
}
