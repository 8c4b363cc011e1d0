//! A stranger learns nothing about serials (2-wire.md section 8).

use crate::support::{
    line::{End, connect},
    raw::{Raw, encrypt, rnd1},
    tlv::{self, field, frame},
    world::{Options, Server, World},
};

const REFUSED: End = End::Code(0x0006);

/// All that a stranger gets.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    challenge: (u8, Vec<(u16, usize)>),
    /// The bytes after a guessed TK_REPLY.
    end: Vec<u8>,
}

fn seen(server: &Server, hello: &[u8]) -> Seen {
    let mut line = connect(server.terminals);
    line.send(hello);
    let challenge = line.expect(tlv::CHALLENGE).unwrap();
    let before = line.received().len();
    line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &[0x5A; 8])));
    assert_eq!(line.end(), REFUSED);
    Seen { challenge: challenge.shape(), end: line.received()[before..].to_vec() }
}

fn crnd1(server: &Server, terminal: &Raw, rnd1: [u8; 8]) -> [u8; 8] {
    terminal.ask_with(&mut connect(server.terminals), 0, rnd1).unwrap().crnd1
}

/// Everybody who is no proven terminal of this server's.
fn strangers(built_in: &Raw, external: &Raw, others: &Raw) -> Vec<(&'static str, Raw)> {
    let named = |sn: &str, pin_pad: Option<&str>| Raw { pin_pad: pin_pad.map(Into::into), ..Raw::new(sn) };
    vec![
        ("known serial, wrong key", built_in.impostor()),
        ("known pair, wrong key", external.impostor()),
        ("unknown serial", named("SN-9999", None)),
        ("unknown serial with a PIN pad", named("SN-9999", Some("PP-9999"))),
        ("unknown serial with a known PIN pad", named("SN-9999", external.pin_pad.as_deref())),
        ("built in, asked with a PIN pad", named(&built_in.sn, Some("PP-9999"))),
        ("built in, asked with another's PIN pad", named(&built_in.sn, external.pin_pad.as_deref())),
        ("external, asked without", named(&external.sn, None)),
        ("external, asked with another", named(&external.sn, Some("PP-9999"))),
        ("the PIN pad's serial as the terminal's", named(external.pin_pad.as_deref().unwrap(), None)),
        ("another acquirer's, wrong key", others.impostor()),
    ]
}

#[test]
fn r29_unknown_serial_is_indistinguishable_from_a_wrong_key() {
    let (built_in, external) = (Raw::new("SN-1"), Raw::with_pin_pad("SN-2", "PP-2"));
    let others = Raw::new("SN-3");
    let (world, server) = World::with(&[&built_in, &external]);
    belongs_to_another(&world, &server, &others);
    let mut all = Vec::new();
    for (who, stranger) in strangers(&built_in, &external, &others) {
        let question = rnd1();
        all.push((who, seen(&server, &stranger.hello(0, question))));
        let first = crnd1(&server, &stranger, question);
        assert_eq!(first, crnd1(&server, &stranger, question), "{who}: the same question, the same answer");
        let mut other = question;
        other[7] ^= 1;
        assert_ne!(first, crnd1(&server, &stranger, other), "{who}: another question, another answer");
        assert_ne!(first, encrypt(&stranger.auk, question));
    }
    for (who, what) in &all {
        assert_eq!(what, &all[0].1, "{who} against {}", all[0].0);
    }
    assert_eq!(world.count("tmks"), 0);
}

/// Moves a collected terminal to the other acquirer.
fn belongs_to_another(world: &World, server: &Server, terminal: &Raw) {
    server.collect(&[terminal]);
    let changed =
        world.sql().execute("UPDATE terminals SET acquirer = 'ACQ-2' WHERE sn = ?1", [&terminal.sn]);
    assert_eq!(changed.unwrap(), 1);
}

#[test]
fn a_terminal_of_another_acquirer_gets_nothing_even_with_its_key() {
    let terminal = Raw::new("SN-3");
    let (world, server) = World::with(&[]);
    belongs_to_another(&world, &server, &terminal);
    let mut line = connect(server.terminals);
    let asked = terminal.ask(&mut line, 0).unwrap();
    assert_ne!(asked.crnd1, encrypt(&terminal.auk, asked.rnd1), "AUK is not even touched");
    line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &encrypt(&terminal.auk, asked.rnd2))));
    assert_eq!(line.end(), REFUSED);
    assert_eq!(world.count("tmks"), 0);
}

#[test]
fn the_true_terminal_with_a_wrong_pin_pad_serial_gets_nothing() {
    let terminal = Raw::with_pin_pad("SN-2", "PP-2");
    let (world, server) = World::with(&[&terminal]);
    for pin_pad in [None, Some("PP-3".to_owned())] {
        let moved =
            Raw { sn: terminal.sn.clone(), pin_pad, tek: terminal.tek.clone(), auk: terminal.auk.clone() };
        let mut line = connect(server.terminals);
        let asked = moved.ask(&mut line, 0).unwrap();
        assert_ne!(asked.crnd1, encrypt(&moved.auk, asked.rnd1));
        line.send(&frame(tlv::REPLY, &field(tlv::CRND2, &encrypt(&moved.auk, asked.rnd2))));
        assert_eq!(line.end(), REFUSED);
    }
    assert_eq!(world.count("tmks"), 0);
    terminal.download(server.terminals, 0).unwrap();
}

#[test]
fn what_a_proven_peer_is_told_a_stranger_is_not() {
    let terminal = Raw::new("SN-1");
    let options = Options { slots: [0, 1], replace_active: false, ..Options::default() };
    let (_world, server) = World::with_options(&[&terminal], &options);
    terminal.download(server.terminals, 0).unwrap();
    let suite_03 = |terminal: &Raw| {
        let mut fields = terminal.hello_fields(0, rnd1());
        assert_eq!(fields[..4], [0xDF, 0x01, 1, 1]);
        fields[3] = 3;
        frame(tlv::HELLO, &fields)
    };
    let mut all = Vec::new();
    for stranger in [terminal.impostor(), Raw::new("SN-9")] {
        all.push(seen(&server, &stranger.hello(0, rnd1())));
        all.push(seen(&server, &stranger.hello(99, rnd1())));
        all.push(seen(&server, &suite_03(&stranger)));
    }
    assert!(
        all.iter().all(|one| one == &all[0]),
        "no key for the slot, an active key, a suite: 0006 all of them"
    );
}

#[test]
fn answers_to_strangers_outlast_a_restart() {
    let world = World::new();
    let (stranger, question) = (Raw::new("SN-9"), rnd1());
    let server = world.start(&Options::default());
    let before = crnd1(&server, &stranger, question);
    server.stop();
    let server = world.start(&Options::default());
    assert_eq!(before, crnd1(&server, &stranger, question));
}

#[test]
fn refusals_of_strangers_are_counted_in_the_audit_not_written_one_by_one() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    for stranger in [terminal.impostor(), Raw::new("SN-9")] {
        for _ in 0..5 {
            seen(&server, &stranger.hello(0, rnd1()));
        }
    }
    let mut line = connect(server.terminals);
    terminal.ask(&mut line, 0).unwrap();
    line.send(&frame(tlv::DONE, &[]));
    assert_eq!(line.end(), End::Code(0x0003));
    // What does not even name a serial counts as well.
    for bytes in [frame(tlv::HELLO, &[]), frame(tlv::DONE, &[]), frame(0x7E, &[]), vec![0, 0]] {
        let mut line = connect(server.terminals);
        line.send(&bytes);
        assert!(matches!(line.end(), End::Code(0x0002 | 0x0003)));
    }
    server.stop();
    let refused = |serial: &str| -> Vec<_> {
        let events = world.events("terminal.refused", serial);
        let mut seen: Vec<_> = events
            .iter()
            .map(|event| {
                assert_eq!(event.actor, "127.0.0.1");
                (event.detail["reason"].as_str().unwrap().to_owned(), event.detail["count"].as_u64().unwrap())
            })
            .collect();
        seen.sort();
        seen
    };
    let (wrong, protocol) = ("wrong answer to the challenge".to_owned(), "protocol error".to_owned());
    assert_eq!(refused("SN-1"), [(protocol.clone(), 1), (wrong, 5)]);
    assert_eq!(refused("SN-9"), [("unknown serial".to_owned(), 5)]);
    assert_eq!(refused("(none)"), [(protocol, 4)]);
    world.assert_audit_good();
}
