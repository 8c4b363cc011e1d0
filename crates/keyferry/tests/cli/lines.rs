//! Terminals on lines: found by themselves, collected, repaired from there, and gone without a trace.

use std::fs;

use serde_json::{Value, json};

use crate::support::{
    estate::Estate,
    folders::edit,
    server::Server,
    station::{command, run_station},
    tool::{keyferry, run},
};

/// An estate whose station looks for terminals in its folder `ports`.
fn estate() -> Estate {
    let estate = Estate::new();
    fs::create_dir(estate.path("ports")).unwrap();
    let pattern = format!("[\"{}/*\"]", estate.path("ports").display());
    edit(&estate.path("station.toml"), &[("[\"/dev/ttyUSB*\", \"/dev/ttyACM*\"]", &pattern)]);
    estate
}

#[test]
fn terminals_that_are_plugged_in_are_listed_and_collected_by_one_word() {
    let estate = estate();
    let server = Server::start(&estate);
    let nothing = run_station(&estate, &["ports"]).good();
    assert!(nothing.contains("nothing is plugged in"), "{nothing}");
    let serials = ["SN-1", "SN-2", "SN-3"];
    let at = |sn: &str| estate.path(&format!("ports/{sn}"));
    let waiting =
        serials.map(|sn| estate.make_terminal(sn).start_at("collect", &format!("pty:{}", at(sn).display())));
    // Another name for one of them.
    std::os::unix::fs::symlink(fs::read_link(at("SN-2")).unwrap(), estate.path("ports/by-id")).unwrap();
    let listed = run_station(&estate, &["ports", "--json"]).good();
    let listed: Vec<Value> = listed.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let port = |name: &str| {
        json!({ "plugged": format!("serial:{}?baud=115200", at(name).display()),
                "about": "pseudo-terminal" })
    };
    assert_eq!(listed, serials.map(port));

    let said = run(command(&estate, "station.toml").arg("--plugged")).json();
    let taken = said["uploads"][0]["outcome"]["taken"].as_array().unwrap();
    assert!(taken.len() == 3 && taken.iter().all(|one| one["fingerprint_agrees"] == true), "{said}");
    for (sn, waiting) in serials.iter().zip(waiting) {
        let collected = said["collected"].as_array().unwrap().iter().find(|one| one["sn"] == *sn).unwrap();
        assert_eq!(waiting.fingerprint().as_deref(), collected["fingerprint"].as_str());
        assert!(fs::symlink_metadata(at(sn)).is_err(), "the terminal's line goes with it");
    }
    assert!(server.stop().success());
}

#[test]
fn a_terminal_on_a_line_is_collected_again_by_its_address_and_ends_in_order() {
    let estate = estate();
    let server = Server::start(&estate);
    let terminal = estate.make_terminal("SN-1");
    let path = estate.path("ports/line");
    let listening = terminal.start_at("listen", &format!("pty:{}", path.display()));
    let address = format!("SN-1@serial:{}?baud=9600", path.display());
    let collect = || run(command(&estate, "station.toml").args(["--terminal", &address]));
    let said = collect().json();
    // The answer is the one of before.
    assert_eq!(collect().json()["collected"], said["collected"]);
    assert!(listening.end());
    assert_eq!(said["collected"][0]["fingerprint"], terminal.fingerprint().as_str());
    assert!(fs::symlink_metadata(&path).is_err());
    let gone = collect();
    assert!(
        gone.out.contains("nothing is plugged in at") && gone.out.contains("station ports"),
        "{}",
        gone.out
    );
    assert!(server.stop().success());
}

#[test]
fn what_is_no_line_is_refused_with_what_to_write() {
    let estate = estate();
    let terminal = estate.make_terminal("SN-1");
    for address in ["serial:/dev/ttyS0?baud=1", "pty:", "somewhere"] {
        let refused = run(keyferry(["terminal", "listen", "--listen", address]).arg(&terminal.folder));
        // A wrong use of the command.
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.err.contains("serial:/dev/ttyS0?baud="), "{}", refused.err);
    }
    edit(&estate.path("station.toml"), &[("115200", "1")]);
    let refused = run_station(&estate, &["ports"]).refused();
    assert!(refused.contains("300 to 4000000 bits a second"), "{refused}");
}
