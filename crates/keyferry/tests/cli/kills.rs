//! SIGKILL at any moment loses nothing that was finished and halves nothing that was not.

use std::{
    process::Stdio,
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use crate::support::{
    estate::{COLLECTED, Estate},
    records,
    server::Server,
    tool::keyferry,
};

const ROUNDS: u8 = 10;
const SLOTS: u8 = 3;

/// Milliseconds after which the server is killed: none twice, from before the first download to after the last.
fn moment(round: u8) -> Duration {
    let mut random = [0; 1];
    paycrypto::random::fill(&mut random).unwrap();
    Duration::from_millis(u64::from(round) * 12 + u64::from(random[0] % 12))
}

#[test]
fn a_server_killed_again_and_again_keeps_both_ends_agreed() {
    let estate = Estate::collected();
    let database = estate.path("keyferry.db");
    let mut finished = 0;
    for round in 0..ROUNDS {
        let server = Server::start(&estate);
        let address = server.terminals.clone();
        let over = AtomicBool::new(false);
        finished += thread::scope(|scope| {
            let downloads = COLLECTED.map(|sn| {
                let (terminal, address, over) = (estate.terminal(sn), &address, &over);
                scope.spawn(move || {
                    let mut done = 0;
                    while !over.load(Ordering::Relaxed) {
                        done += u32::from(terminal.download(address, round % SLOTS, &[]).code == Some(0));
                    }
                    done
                })
            });
            thread::sleep(moment(round));
            server.kill();
            over.store(true, Ordering::Relaxed);
            downloads.into_iter().map(|download| download.join().unwrap()).sum::<u32>()
        });
        // What a terminal holds, the KMS holds too: as the active key, or, where KEY_CONFIRM was lost, the pending one.
        for sn in COLLECTED {
            for held in estate.terminal(sn).status()["slots"].as_array().unwrap() {
                let slot = u8::try_from(held["slot"].as_u64().unwrap()).unwrap();
                let known = ["active", "pending"].map(|state| records::kcv(&database, sn, slot, state));
                let kcv = held["kcv"].as_str().map(str::to_owned);
                assert!(known.contains(&kcv), "{sn} slot {slot}: {kcv:?} is not in {known:?}");
            }
        }
    }
    assert!(finished > 0, "no download ever finished: the test shows nothing");
    estate.verify_audit().good();

    // And all goes on as if nothing had happened.
    let server = Server::start(&estate);
    for sn in COLLECTED {
        for slot in 0..SLOTS {
            let key = estate.terminal(sn).key(&server.terminals, slot);
            assert_eq!(records::kcv(&database, sn, slot, "active"), Some(key));
            assert_eq!(records::kcv(&database, sn, slot, "pending"), None);
        }
    }
    assert!(server.stop().success());
    estate.verify_audit().good();
    let twice = records::number(
        &database,
        "SELECT count(*) FROM (SELECT kcv FROM tmks GROUP BY sn, slot, kcv HAVING count(*) > 1)",
    );
    assert_eq!(twice, 0, "no key was kept twice");
}

#[test]
fn a_terminal_killed_again_and_again_always_gets_its_key_in_the_end() {
    let estate = Estate::collected();
    let server = Server::start(&estate);
    let database = estate.path("keyferry.db");
    let terminal = estate.terminal("SN-1");
    for round in 0..3 * ROUNDS {
        let slot = round % SLOTS;
        let mut command = keyferry(["terminal", "download", "--server", &server.terminals, "--slot"]);
        let mut download =
            command.arg(slot.to_string()).arg(&terminal.folder).stdout(Stdio::null()).spawn().unwrap();
        thread::sleep(moment(round) / 4);
        download.kill().unwrap();
        download.wait().unwrap();
        // Old state or new, never half of one: it opens, and what it holds is known.
        if let Some(kcv) = terminal.kcv(slot) {
            let known = records::slot(&database, "SN-1", slot);
            assert!(known.iter().any(|held| held.kcv == kcv), "round {round}: {kcv} is not in {known:?}");
        }
    }
    for slot in 0..SLOTS {
        let key = terminal.key(&server.terminals, slot);
        assert_eq!(terminal.kcv(slot), Some(key.clone()));
        assert_eq!(records::kcv(&database, "SN-1", slot, "active"), Some(key));
        assert_eq!(records::kcv(&database, "SN-1", slot, "pending"), None);
    }
    assert!(server.stop().success());
    estate.verify_audit().good();
}
