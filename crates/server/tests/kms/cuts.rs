//! A download cut anywhere: the same pending key again, and the old one in force until the new one is confirmed.

use std::{thread, time::Duration};

use crate::support::{
    line::{End, connect},
    raw::{Raw, confirm},
    tlv,
    world::{Options, World},
};

fn hex(kcv: [u8; 3]) -> String {
    kcv.map(|byte| format!("{byte:02X}")).concat()
}

/// What the tests before the cut have: a terminal with an active key in slot 0.
fn loaded() -> (World, crate::support::world::Server, Raw, String) {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    let old = hex(terminal.download(server.terminals, 0).unwrap().kcv);
    (world, server, terminal, old)
}

#[test]
fn r11_cut_after_hello_or_challenge_makes_no_key() {
    let (world, server, terminal, old) = loaded();
    let mut line = connect(server.terminals);
    line.send(&terminal.hello(0, [1; 8]));
    drop(line);
    let mut line = connect(server.terminals);
    terminal.ask(&mut line, 0).unwrap();
    drop(line);
    // Inside a frame.
    let mut line = connect(server.terminals);
    line.send(&terminal.hello(0, [1; 8])[..9]);
    drop(line);
    terminal.download(server.terminals, 1).unwrap();
    assert!(world.keys("SN-1", 0, "pending").is_empty());
    assert_eq!(world.keys("SN-1", 0, "active"), [old]);
}

#[test]
fn cut_after_reply_keeps_one_pending_key_and_the_old_one() {
    let (world, server, terminal, old) = loaded();
    for _ in 0..3 {
        let mut line = connect(server.terminals);
        let asked = terminal.ask(&mut line, 0).unwrap();
        terminal.prove(&mut line, &asked);
    }
    until(|| world.keys("SN-1", 0, "pending").len() == 1);
    assert_eq!(world.keys("SN-1", 0, "active"), std::slice::from_ref(&old));
    let pending = world.keys("SN-1", 0, "pending");
    // A cut download whose TK_REPLY is checked only now wins over one that has just begun: 000B, try again.
    let mut served = Err(End::Code(0x000B));
    until(|| {
        served = terminal.download(server.terminals, 0);
        served != Err(End::Code(0x000B))
    });
    assert_eq!(hex(served.unwrap().kcv), pending[0]);
    assert_eq!(world.keys("SN-1", 0, "active"), pending);
    assert_eq!(world.keys("SN-1", 0, "retired"), [old]);
}

#[test]
fn cut_after_key_gives_the_same_key_in_another_block() {
    let (world, server, terminal, old) = loaded();
    let first = terminal.fetch(&mut connect(server.terminals), 0).unwrap();
    let second = terminal.fetch(&mut connect(server.terminals), 0).unwrap();
    assert_eq!(first.key, second.key);
    assert_ne!(first.block, second.block, "bound to its own conversation");
    assert_eq!(world.keys("SN-1", 0, "pending"), [hex(first.kcv)]);
    assert_eq!(world.keys("SN-1", 0, "active"), [old]);
    assert_eq!(world.events("tmk.made", "SN-1").len(), 2);
    assert_eq!(world.events("tmk.sent-again", "SN-1").len(), 1);
    // A pending key of one slot is not given out in another.
    assert_ne!(terminal.download(server.terminals, 1).unwrap().key, first.key);
    assert_eq!(terminal.download(server.terminals, 0).unwrap().key, first.key);
    world.assert_audit_good();
}

#[test]
fn cut_after_confirm_has_confirmed() {
    let (world, server, terminal, old) = loaded();
    let mut line = connect(server.terminals);
    let tmk = terminal.fetch(&mut line, 0).unwrap();
    line.send(&confirm(&tmk.kcv));
    drop(line);
    until(|| world.keys("SN-1", 0, "active") == [hex(tmk.kcv)]);
    assert_eq!(world.keys("SN-1", 0, "retired"), [old]);
    assert_ne!(terminal.download(server.terminals, 0).unwrap().kcv, tmk.kcv, "a new request, a new key");
}

#[test]
fn a_wrong_check_value_leaves_the_key_pending_and_an_alarm() {
    let (world, server, terminal, old) = loaded();
    let mut pending = None;
    for wrong in [[0, 0, 0], [0xFF, 0xFF, 0xFF]] {
        let mut line = connect(server.terminals);
        let tmk = terminal.fetch(&mut line, 0).unwrap();
        assert_eq!(pending.get_or_insert(tmk.key.clone()), &tmk.key, "sent again next time");
        line.send(&confirm(&wrong));
        assert_eq!(line.end(), End::Code(0x0007));
    }
    // The old key's check value is as wrong as any.
    let mut line = connect(server.terminals);
    let tmk = terminal.fetch(&mut line, 0).unwrap();
    let stale: Vec<u8> = (0..3).map(|at| u8::from_str_radix(&old[2 * at..2 * at + 2], 16).unwrap()).collect();
    line.send(&confirm(&stale));
    assert_eq!(line.end(), End::Code(0x0007));
    assert_eq!(world.keys("SN-1", 0, "pending"), [hex(tmk.kcv)]);
    assert_eq!(world.keys("SN-1", 0, "active"), [old]);
    let alarms = world.events("alarm.wrong-check-value", "SN-1");
    assert_eq!(alarms.len(), 3);
    assert!(alarms.iter().all(|alarm| alarm.detail["kcv"] == hex(tmk.kcv)));
    assert_eq!(Some(terminal.download(server.terminals, 0).unwrap().key), pending);
    world.assert_audit_good();
}

#[test]
fn killed_between_key_and_confirm_the_server_gives_the_same_key_again() {
    let (world, server, terminal, old) = loaded();
    let mut line = connect(server.terminals);
    let first = terminal.fetch(&mut line, 0).unwrap();
    server.kill();
    line.try_send(&confirm(&first.kcv));
    assert_eq!(line.end(), End::Closed);
    let server = world.start(&Options::default());
    assert_eq!(world.keys("SN-1", 0, "pending"), [hex(first.kcv)]);
    assert_eq!(world.keys("SN-1", 0, "active"), std::slice::from_ref(&old));
    assert_eq!(terminal.download(server.terminals, 0).unwrap().key, first.key);
    assert_eq!(world.keys("SN-1", 0, "active"), [hex(first.kcv)]);
    assert_eq!(world.keys("SN-1", 0, "retired"), [old]);
    world.assert_audit_good();
}

#[test]
fn killed_between_confirm_and_done_the_key_is_pending_or_active_never_lost() {
    let (world, mut server, terminal, mut active) = loaded();
    for _ in 0..5 {
        let mut line = connect(server.terminals);
        let tmk = terminal.fetch(&mut line, 0).unwrap();
        line.send(&confirm(&tmk.kcv));
        server.kill();
        server = world.start(&Options::default());
        let [pending, now] = ["pending", "active"].map(|state| world.keys("SN-1", 0, state));
        if pending.is_empty() {
            assert_eq!(now, [hex(tmk.kcv)]);
        } else {
            assert_eq!((&pending[..], &now[..]), (&[hex(tmk.kcv)][..], std::slice::from_ref(&active)));
            assert_eq!(terminal.download(server.terminals, 0).unwrap().key, tmk.key);
        }
        active = hex(tmk.kcv);
        assert_eq!(world.keys("SN-1", 0, "active"), std::slice::from_ref(&active));
    }
    world.assert_audit_good();
}

#[test]
fn killed_before_the_challenge_is_answered_nothing_is_left() {
    let (world, server, terminal, _) = loaded();
    let mut line = connect(server.terminals);
    let asked = terminal.ask(&mut line, 1).unwrap();
    server.kill();
    let server = world.start(&Options::default());
    terminal.prove(&mut line, &asked);
    assert_eq!(line.end(), End::Closed);
    assert!(world.keys("SN-1", 1, "pending").is_empty());
    terminal.download(server.terminals, 1).unwrap();
}

#[test]
fn a_server_told_to_stop_lets_a_running_download_end() {
    let (world, server, terminal, _) = loaded();
    let mut line = connect(server.terminals);
    let tmk = terminal.fetch(&mut line, 0).unwrap();
    let stopping = thread::spawn(move || server.stop());
    thread::sleep(Duration::from_millis(100));
    line.send(&confirm(&tmk.kcv));
    line.expect(tlv::DONE).unwrap();
    assert_eq!(line.end(), End::Closed, "and no further one begins");
    stopping.join().unwrap();
    assert_eq!(world.keys("SN-1", 0, "active"), [hex(tmk.kcv)]);
    assert_eq!(world.audit().last().unwrap().kind, "server.stopped");
}

/// Waits for what the server does after the line is cut.
fn until(mut condition: impl FnMut() -> bool) {
    for _ in 0..200 {
        if condition() {
            return;
        }
        thread::sleep(Duration::from_millis(20));
    }
    panic!("it did not happen");
}
