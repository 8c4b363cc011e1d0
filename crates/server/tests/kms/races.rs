//! Several at once: reflection, replay, races, floods (3-hardened.md attacks 1, 3, 22, 25).

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    line::{End, connect},
    raw::{Raw, confirm, encrypt, rnd1},
    tlv::{self, field, frame},
    world::{Options, Server, World},
};

const BUSY: End = End::Code(0x000B);

/// Tries to have one server answer the other's challenge, in both ways that there are.
fn reflect(victim: &Server, oracle: &Server, terminal: &Raw) {
    // The victim's Rnd2 as Rnd1 to the oracle: the top bit gives it away.
    let mut line = connect(victim.terminals);
    let asked = terminal.ask(&mut line, 0).unwrap();
    let mut second = connect(oracle.terminals);
    second.send(&terminal.hello(0, asked.rnd2));
    assert_eq!(second.end(), End::Code(0x0002));
    // With the bit turned: an answer, but to another question.
    let mut turned = asked.rnd2;
    turned[0] &= 0x7F;
    let answer = terminal.ask_with(&mut connect(oracle.terminals), 0, turned).unwrap().crnd1;
    line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &answer)));
    assert_eq!(line.end(), End::Code(0x0006));
    // The victim's own Crnd1 sent back.
    let mut line = connect(victim.terminals);
    let asked = terminal.ask(&mut line, 0).unwrap();
    line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &asked.crnd1)));
    assert_eq!(line.end(), End::Code(0x0006));
}

#[test]
fn reflection_over_two_sockets_fails() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    reflect(&server, &server, &terminal);
    assert_eq!(world.count("tmks"), 0);
}

#[test]
fn reflection_over_two_servers_of_one_estate_fails() {
    let terminal = Raw::new("SN-1");
    let (world, first) = World::with(&[&terminal]);
    let second = world.start(&Options::default());
    reflect(&first, &second, &terminal);
    reflect(&second, &first, &terminal);
    assert_eq!(world.count("tmks"), 0);
}

#[test]
fn a_session_played_again_gets_nothing() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    let (slot, rnd1) = (0, rnd1());
    let mut line = connect(server.terminals);
    let asked = terminal.ask_with(&mut line, slot, rnd1).unwrap();
    let context = terminal.prove(&mut line, &asked);
    let tmk = terminal.open(&line.expect(tlv::KEY).unwrap(), slot, &context);
    line.send(&confirm(&tmk.kcv));
    line.expect(tlv::DONE).unwrap();

    let mut line = connect(server.terminals);
    let again = terminal.ask_with(&mut line, slot, rnd1).unwrap();
    assert_eq!(again.crnd1, asked.crnd1);
    assert_ne!(again.rnd2, asked.rnd2, "every challenge is new");
    line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &encrypt(&terminal.auk, asked.rnd2))));
    assert_eq!(line.end(), End::Code(0x0006));
    assert!(world.keys("SN-1", slot, "pending").is_empty());
    assert_eq!(world.keys("SN-1", slot, "active").len(), 1);
}

#[test]
fn an_answer_of_one_connection_is_none_on_another() {
    let terminals = [Raw::new("SN-1"), Raw::new("SN-2")];
    let (world, server) = World::with(&[&terminals[0], &terminals[1]]);
    let mut lines = [connect(server.terminals), connect(server.terminals)];
    let mut asked = Vec::new();
    for line in &mut lines {
        asked.push(terminals[0].ask(line, 0).unwrap());
    }
    let crossed = [asked[1].rnd2, asked[0].rnd2];
    for (line, rnd2) in lines.iter_mut().zip(crossed) {
        line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &encrypt(&terminals[0].auk, rnd2))));
        assert_eq!(line.end(), End::Code(0x0006));
    }
    // One terminal's key under another's serial.
    let thief = Raw { sn: "SN-2".into(), pin_pad: None, tek: vec![], auk: terminals[0].auk.clone() };
    let mut line = connect(server.terminals);
    let asked = thief.ask(&mut line, 0).unwrap();
    line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &encrypt(&thief.auk, asked.rnd2))));
    assert_eq!(line.end(), End::Code(0x0006));
    assert_eq!(world.count("tmks"), 0);
}

#[test]
fn of_two_downloads_at_once_one_wins() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    let mut lines = [connect(server.terminals), connect(server.terminals)];
    let asked: Vec<_> = lines.iter_mut().map(|line| terminal.ask(line, 0).unwrap()).collect();
    // The later one answers first, and wins.
    let context = terminal.prove(&mut lines[1], &asked[1]);
    let tmk = terminal.open(&lines[1].expect(tlv::KEY).unwrap(), 0, &context);
    terminal.prove(&mut lines[0], &asked[0]);
    assert_eq!(lines[0].end(), BUSY);
    assert_eq!(world.keys("SN-1", 0, "pending").len(), 1);
    lines[1].send(&confirm(&tmk.kcv));
    lines[1].expect(tlv::DONE).unwrap();
    assert_eq!(world.events("tmk.made", "SN-1").len(), 1);
    assert!(world.keys("SN-1", 0, "pending").is_empty());
}

#[test]
fn one_that_lost_is_told_without_being_asked() {
    let terminal = Raw::new("SN-1");
    let (_world, server) = World::with(&[&terminal]);
    let mut waiting = connect(server.terminals);
    terminal.ask(&mut waiting, 0).unwrap();
    terminal.download(server.terminals, 0).unwrap();
    assert_eq!(waiting.end(), BUSY);
}

#[test]
fn two_servers_of_one_estate_never_make_two_pending_keys() {
    let terminal = Raw::new("SN-1");
    let (world, first) = World::with(&[&terminal]);
    let second = world.start(&Options::default());
    let servers = [first.terminals, second.terminals];
    let outcomes: Vec<_> = thread::scope(|scope| {
        let terminal = &terminal;
        let all: Vec<_> = (0..12)
            .map(|number| scope.spawn(move || terminal.fetch(&mut connect(servers[number % 2]), 0)))
            .collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    let keys: Vec<_> = outcomes.iter().filter_map(|outcome| outcome.as_ref().ok()).collect();
    assert!(!keys.is_empty());
    assert!(keys.iter().all(|tmk| tmk.key == keys[0].key), "whoever got a key got the same");
    assert!(outcomes.iter().all(|outcome| outcome.as_ref().err().is_none_or(|end| *end == BUSY)));
    assert_eq!(world.count("tmks"), 1);
    assert_eq!(world.events("tmk.made", "SN-1").len(), 1);
    assert_eq!(terminal.download(second.terminals, 0).unwrap().key, keys[0].key);
    assert_eq!(world.keys("SN-1", 0, "active").len(), 1);
    world.assert_audit_good();
}

#[test]
fn idle_hellos_from_the_same_address_do_not_stop_a_download() {
    let terminal = Raw::new("SN-1");
    let (_world, server) = World::with(&[&terminal]);
    let mut idle: Vec<_> = (0..40).map(|_| connect(server.terminals)).collect();
    for line in &mut idle {
        line.send(&terminal.impostor().hello(0, rnd1()));
    }
    terminal.download(server.terminals, 0).unwrap();
    // The download that won ends the others, and at once.
    let won = Instant::now();
    for line in &mut idle {
        line.expect(tlv::CHALLENGE).unwrap();
        assert_eq!(line.end(), BUSY);
    }
    assert!(won.elapsed() < Duration::from_secs(1));
}

#[test]
fn hellos_past_the_fourth_put_out_the_oldest_even_if_nobody_wins() {
    let terminal = Raw::new("SN-1");
    let (_world, server) = World::with(&[&terminal]);
    let mut lines: Vec<_> = (0..5).map(|_| connect(server.terminals)).collect();
    for line in &mut lines {
        terminal.ask(line, 0).unwrap();
    }
    assert_eq!(lines[0].end(), BUSY);
    // The other four are open as before.
    for line in &mut lines[1..] {
        line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &[1; 8])));
        assert_eq!(line.end(), End::Code(0x0006));
    }
}

/// Runs `download` while two threads say HELLO with this terminal's serial as fast as they can.
fn in_a_flood<T>(server: &Server, terminal: &Raw, download: impl FnOnce() -> T) -> T {
    let (address, over) = (server.terminals, AtomicBool::new(false));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut open = Vec::new();
                while !over.load(Ordering::Relaxed) {
                    let mut line = connect(address);
                    line.try_send(&terminal.impostor().hello(0, rnd1()));
                    open.push(line);
                    if open.len() == 100 {
                        open.clear();
                    }
                }
            });
        }
        thread::sleep(Duration::from_millis(200));
        let downloaded = download();
        over.store(true, Ordering::Relaxed);
        downloaded
    })
}

#[test]
fn r40_a_flood_of_hellos_for_one_serial_stops_none_of_its_downloads() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    let address = server.terminals;
    let served: Vec<_> =
        in_a_flood(&server, &terminal, || (0..10).map(|_| terminal.download(address, 0)).collect());
    assert!(served.iter().all(Result::is_ok), "{served:?}");
    assert_eq!(world.events("tmk.confirmed", "SN-1").len(), 10);
}

#[test]
fn a_flood_does_not_stop_a_terminal_on_a_slow_line() {
    let terminal = Raw::new("SN-1");
    let (_world, server) = World::with(&[&terminal]);
    let served = in_a_flood(&server, &terminal, || {
        let mut line = connect(server.terminals);
        let asked = terminal.ask(&mut line, 0)?;
        thread::sleep(Duration::from_millis(2500));
        let context = terminal.prove(&mut line, &asked);
        Ok::<_, End>(terminal.open(&line.expect(tlv::KEY)?, 0, &context))
    });
    assert!(served.is_ok(), "{served:?}");
}
