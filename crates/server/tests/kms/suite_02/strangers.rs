//! A stranger learns nothing about serials in suite 02 either: the same messages, lengths and codes.

use super::{serve, serve_with};
use crate::support::{
    ec::{CONFIRMATION, Side},
    kms_ec::Ec,
    line::{End, connect},
    raw::Raw,
    tlv::{self, field, frame},
    world::{Options, Server},
};

/// All that a stranger gets.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    challenge: (u8, Vec<(u16, usize)>),
    /// The bytes after a guessed TK_REPLY.
    end: Vec<u8>,
}

fn seen(server: &Server, stranger: &Ec, slot: u8) -> Seen {
    let mut line = connect(server.terminals);
    line.send(&stranger.hello(slot, &Side::new()));
    let challenge = line.expect(tlv::CHALLENGE).unwrap();
    let before = line.received().len();
    line.send(&frame(tlv::REPLY, &field(CONFIRMATION, &[0x5A; 32])));
    assert_eq!(line.end(), End::Code(0x0006));
    Seen { challenge: challenge.shape(), end: line.received()[before..].to_vec() }
}

#[test]
fn r29_an_unknown_serial_is_answered_as_a_known_one_with_a_wrong_key() {
    let (built_in, external) = (Ec::new("SN-1"), Ec::with_pin_pad("SN-2", "PP-2"));
    let (world, server) = serve(&[&built_in, &external]);
    let old = Raw::new("SN-3");
    server.collect(&[&old]);
    let options = Options { slots: [0, 1], replace_active: false, ..super::options() };
    built_in.download(server.terminals, 0).unwrap();
    server.stop();
    let server = world.start(&options);
    let strangers = [
        ("known serial, wrong key", built_in.impostor(), 0),
        ("known pair, wrong key", external.impostor(), 0),
        ("unknown serial", Ec::new("SN-9"), 0),
        ("unknown serial with a known PIN pad", Ec::with_pin_pad("SN-9", "PP-2"), 0),
        ("external, asked without", Ec::new("SN-2"), 0),
        ("one of suite 01", Ec::new("SN-3"), 0),
        ("a slot that the acquirer has not", built_in.impostor(), 50),
    ];
    let all: Vec<_> =
        strangers.iter().map(|(who, stranger, slot)| (who, seen(&server, stranger, *slot))).collect();
    for (who, what) in &all {
        assert_eq!(what, &all[0].1, "{who}");
    }
    assert_eq!(world.count("tmks"), 1);
    server.stop();
    let reason = |serial: &str| world.events("terminal.refused", serial)[0].detail["reason"].clone();
    assert_eq!(reason("SN-9"), "unknown serial");
    assert_eq!(reason("SN-1"), "wrong answer to the challenge");
    assert_eq!(reason("SN-3"), "another suite than its transport key's");
}

/// What MAC_S is made with for a stranger nobody has, and it is never the same.
#[test]
fn r11_no_stranger_is_given_a_proof_of_anything() {
    let terminal = Ec::new("SN-1");
    let (_world, server) = serve(&[&terminal]);
    for stranger in [terminal.impostor(), Ec::new("SN-9")] {
        let asked = stranger.ask(&mut connect(server.terminals), 0).unwrap();
        assert!(!asked.proven);
    }
    assert!(terminal.ask(&mut connect(server.terminals), 0).unwrap().proven);
}

/// What nobody reads is hashed all the same: a peer that says too much is told so, known or not, proven or not.
#[test]
fn too_long_a_conversation_is_refused_to_everybody_alike() {
    let terminal = Ec::new("SN-1");
    let (world, server) = serve(&[&terminal]);
    let filling = [field(0xDF7E, &[0; 40_000]), field(0xDF7F, &[0; 5_000])];
    for (who, peer) in
        [("known", &terminal), ("stranger", &Ec::new("SN-9")), ("impostor", &terminal.impostor())]
    {
        let mut line = connect(server.terminals);
        let asked = peer.ask_with(&mut line, 0, &filling[0]).unwrap();
        let reply = [field(CONFIRMATION, &asked.mac_t()), filling[0].clone()].concat();
        line.send(&frame(tlv::REPLY, &reply));
        assert_eq!(line.end(), End::Code(0x0002), "{who}");
    }
    assert_eq!(world.count("tmks"), 0);
    // Within what is taken it changes nothing but the transcript.
    let mut line = connect(server.terminals);
    let asked = terminal.ask_with(&mut line, 0, &filling[1]).unwrap();
    let mac_t = asked.mac_t();
    terminal.receive(&mut line, asked, &mac_t).unwrap();
}

/// The right answer of a terminal that is another acquirer's.
#[test]
fn a_terminal_of_another_acquirer_gets_nothing_even_with_its_key() {
    let terminal = Ec::new("SN-1");
    let (world, server) = serve_with(&[&terminal], &super::options());
    world.sql().execute("UPDATE terminals SET acquirer = 'ACQ-2'", []).unwrap();
    let mut line = connect(server.terminals);
    let asked = terminal.ask(&mut line, 0).unwrap();
    assert!(!asked.proven);
    let mac_t = asked.mac_t();
    assert_eq!(terminal.receive(&mut line, asked, &mac_t).map(|_| ()), Err(End::Code(0x0006)));
    assert_eq!(world.count("tmks"), 0);
}
