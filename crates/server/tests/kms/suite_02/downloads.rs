//! Flow A of suite 02: as it should go, and what breaks it.

use super::{load_counter, options, serve, serve_with};
use crate::support::{
    ec::{self, CONFIRMATION},
    kms_ec::Ec,
    line::{End, connect},
    rks::hex,
    tlv::{self, field, frame},
    world::{Options, Server},
};

#[test]
fn a_terminal_downloads_in_every_slot_and_again() {
    let terminals = [Ec::new("SN-1"), Ec::with_pin_pad("SN-2", "PP-2")];
    let (world, server) = serve(&[&terminals[0], &terminals[1]]);
    let mut line = connect(server.terminals);
    let mut seen = Vec::new();
    for terminal in &terminals {
        for (slot, counter) in [(0, 1), (9, 1), (0, 2)] {
            let tmk = terminal.download_on(&mut line, slot).unwrap();
            assert_eq!((tmk.slot, &*tmk.usage, tmk.counter), (slot, "K1", Some(counter)));
            assert!(seen.iter().all(|other| *other != tmk.key), "a fresh key each time");
            seen.push(tmk.key);
        }
    }
    assert_eq!(world.keys("SN-1", 0, "active"), [hex(&ec::kcv(&seen[2]))]);
    assert_eq!(world.keys("SN-1", 0, "retired"), [hex(&ec::kcv(&seen[0]))]);
    assert_eq!(world.keys("SN-2", 9, "active"), [hex(&ec::kcv(&seen[4]))]);
    assert_eq!(load_counter(&world, "PP-2", 0), 2);
    assert_eq!(world.events("tmk.confirmed", "SN-1").len(), 3);
    world.assert_audit_good();
}

#[test]
fn a_pending_key_is_sent_again_with_the_next_counter() {
    let terminal = Ec::new("SN-1");
    let (world, server) = serve(&[&terminal]);
    let first = terminal.fetch(&mut connect(server.terminals), 3).unwrap().tmk;
    let again = terminal.fetch(&mut connect(server.terminals), 3).unwrap().tmk;
    assert_eq!((first.counter, again.counter), (Some(1), Some(2)));
    assert_eq!(first.key, again.key, "the same pending key");
    assert_ne!(first.block, again.block);
    // Also over a restart, and when the database was written before the frame left.
    server.kill();
    let server = world.start(&options());
    let third = terminal.download(server.terminals, 3).unwrap();
    assert_eq!((third.counter, &third.key), (Some(3), &first.key));
    assert_eq!(load_counter(&world, "SN-1", 3), 3);
    let sent: Vec<_> = world.events("tmk.sent-again", "SN-1");
    assert_eq!(
        sent.iter().map(|e| e.detail["load_counter"].as_u64()).collect::<Vec<_>>(),
        [Some(2), Some(3)]
    );
}

#[test]
fn a_wrong_receipt_keeps_the_old_key() {
    let terminal = Ec::new("SN-1");
    let (world, server) = serve(&[&terminal]);
    let old = terminal.download(server.terminals, 0).unwrap();
    let fetched = terminal.fetch(&mut connect(server.terminals), 0).unwrap();
    let right = fetched.receipt();
    for wrong in [[0; 32], fetched.done(&ec::confirm(&right))] {
        let mut line = connect(server.terminals);
        terminal.fetch(&mut line, 0).unwrap();
        line.send(&ec::confirm(&wrong));
        assert_eq!(line.end(), End::Code(0x0007));
    }
    // A receipt of one session is worth nothing in the next.
    let mut line = connect(server.terminals);
    let next = terminal.fetch(&mut line, 0).unwrap();
    line.send(&ec::confirm(&right));
    assert_eq!(line.end(), End::Code(0x0007));
    assert_eq!(next.tmk.key, fetched.tmk.key);
    assert_eq!(world.keys("SN-1", 0, "active"), [hex(&old.kcv)]);
    assert_eq!(world.keys("SN-1", 0, "pending"), [hex(&next.tmk.kcv)]);
    assert_eq!(world.events("alarm.wrong-check-value", "SN-1").len(), 3);
    assert_eq!(world.events("tmk.confirmed", "SN-1").len(), 1);
}

/// KEY_CONFIRM of suite 01 confirms nothing here.
#[test]
fn a_check_value_is_no_receipt() {
    let terminal = Ec::new("SN-1");
    let (world, server) = serve(&[&terminal]);
    let mut line = connect(server.terminals);
    let fetched = terminal.fetch(&mut line, 0).unwrap();
    line.send(&crate::support::raw::confirm(&fetched.tmk.kcv));
    assert_eq!(line.end(), End::Code(0x0002));
    assert!(world.keys("SN-1", 0, "active").is_empty());
}

#[test]
fn r11_the_wrong_confirmation_gets_nothing() {
    let terminal = Ec::new("SN-1");
    let (world, server) = serve(&[&terminal]);
    let server_mac = |terminal: &Ec| {
        let mut line = connect(server.terminals);
        let asked = terminal.ask(&mut line, 0).unwrap();
        assert!(asked.proven);
        // `reflection`: the server's own confirmation, as the terminal's.
        let opening = asked.said.clone();
        let reflected = asked.keys.mac("server", &[&opening[..], &frame(tlv::REPLY, &[])].concat());
        terminal.receive(&mut line, asked, &reflected).map(|_| ())
    };
    assert_eq!(server_mac(&terminal), Err(End::Code(0x0006)));
    // `replay`: a right one of another session.
    let mut first = connect(server.terminals);
    let asked = terminal.ask(&mut first, 0).unwrap();
    let mut second = connect(server.terminals);
    let other = terminal.ask(&mut second, 0).unwrap();
    let stolen = asked.mac_t();
    assert_eq!(terminal.receive(&mut second, other, &stolen).map(|_| ()), Err(End::Code(0x0006)));
    assert_eq!(world.count("tmks"), 0);
    // The first one may still have it.
    terminal.receive(&mut first, asked, &stolen).unwrap();
}

#[test]
fn what_is_malformed_is_told_so() {
    let terminal = Ec::new("SN-1");
    let (world, server) = serve(&[&terminal]);
    let own = ec::Side::new();
    let good = terminal.hello(0, &own);
    let fields = &good[4..];
    let mut off_curve = own.fields();
    off_curve[10] ^= 1;
    let nonce = own.fields()[68..].to_vec();
    let unordered = [&nonce[..], &own.fields()[..68]].concat();
    let before = fields.len() - own.fields().len();
    for (what, tail) in [
        ("a point off the curve", off_curve),
        ("another order", unordered),
        ("a short nonce", [&own.fields()[..68], &field(ec::NONCE, &[1; 31])].concat()),
        ("no nonce", own.fields()[..68].to_vec()),
        ("no point", nonce),
    ] {
        for sn in ["SN-1", "SN-9"] {
            let mut hello = frame(tlv::HELLO, &[&fields[..before], &tail].concat());
            let at = hello.windows(4).position(|window| window == b"SN-1").unwrap();
            hello[at..at + 4].copy_from_slice(sn.as_bytes());
            let mut line = connect(server.terminals);
            line.send(&hello);
            assert_eq!(line.end(), End::Code(0x0002), "{what} for {sn}");
        }
    }
    // Another proof in the frame of one.
    let mut line = connect(server.terminals);
    let asked = terminal.ask(&mut line, 0).unwrap();
    let both = [field(CONFIRMATION, &asked.mac_t()), field(ec::RECEIPT, &[0; 32])].concat();
    line.send(&frame(tlv::REPLY, &both));
    assert_eq!(line.end(), End::Code(0x0002));
    assert_eq!(world.count("tmks"), 0);
}

#[test]
fn the_policy_is_told_to_a_proven_terminal() {
    let terminal = Ec::new("SN-1");
    let options = Options { slots: [2, 4], replace_active: false, ..options() };
    let (world, server) = serve_with(&[&terminal], &options);
    assert_eq!(terminal.download(server.terminals, 5), Err(End::Code(0x000C)));
    terminal.download(server.terminals, 2).unwrap();
    assert_eq!(terminal.download(server.terminals, 2), Err(End::Code(0x0008)));
    assert_eq!(world.events("tmk.refused", "SN-1").len(), 2);
}

/// `race`: two nodes, one terminal: one pending key, and no load counter leaves twice.
#[test]
fn two_servers_send_one_key_and_each_counter_once() {
    let terminal = Ec::new("SN-1");
    let (world, first) = serve(&[&terminal]);
    let second = world.start(&options());
    let fetch = |server: &Server| {
        let address = server.terminals;
        let terminal = &terminal;
        move || -> Vec<_> {
            let fetched = (0..6).map(|_| terminal.fetch(&mut connect(address), 0));
            fetched.filter_map(|fetched| fetched.ok().map(|fetched| fetched.tmk)).collect()
        }
    };
    let keys: Vec<_> = std::thread::scope(|scope| {
        let running = [&first, &second, &first, &second].map(|server| scope.spawn(fetch(server)));
        running.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    assert!(keys.len() > 4, "some may lose a race with another and ask again: {}", keys.len());
    assert!(keys.iter().all(|tmk| tmk.key == keys[0].key), "one pending key over all servers");
    let mut counters: Vec<_> = keys.iter().map(|tmk| tmk.counter.unwrap()).collect();
    counters.sort_unstable();
    assert!(counters.windows(2).all(|pair| pair[0] < pair[1]), "{counters:?}");
    assert!(load_counter(&world, "SN-1", 0) >= i64::try_from(*counters.last().unwrap()).unwrap());
    assert_eq!(world.count("tmks"), 1);
    world.assert_audit_good();
}

/// `kill-between`: killed after TK_KEY, before KEY_CONFIRM and after it: the old key or the new one, never none.
#[test]
fn a_server_that_is_killed_leaves_the_key_to_be_had_again() {
    let terminal = Ec::new("SN-1");
    let (world, server) = serve(&[&terminal]);
    let old = terminal.download(server.terminals, 0).unwrap();
    let mut line = connect(server.terminals);
    let fetched = terminal.fetch(&mut line, 0).unwrap();
    server.kill();
    line.try_send(&ec::confirm(&fetched.receipt()));
    assert_eq!(world.keys("SN-1", 0, "active"), [hex(&old.kcv)]);
    let server = world.start(&options());
    let new = terminal.download(server.terminals, 0).unwrap();
    assert_eq!((&new.key, new.counter), (&fetched.tmk.key, Some(3)));
    assert_eq!(world.keys("SN-1", 0, "active"), [hex(&new.kcv)]);
    assert_eq!(world.keys("SN-1", 0, "retired"), [hex(&old.kcv)]);
}
