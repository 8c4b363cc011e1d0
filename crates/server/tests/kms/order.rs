//! Every message in every state: one is expected, ERROR ends in silence, all others are 0003.

use crate::support::{
    line::{End, Line, connect},
    raw::{Raw, confirm},
    sign_in::SIGN_IN,
    tlv::{self, frame},
    world::{Server, World},
};

/// The messages that open a flow on the terminal port.
const OPENERS: [u8; 4] = [tlv::HELLO, tlv::RKS_AUTH, tlv::COLLECT_ASK, SIGN_IN];

fn each_type_but(expected: &[u8], open: impl Fn(&Server) -> Line, server: &Server) {
    for kind in tlv::ALL_TYPES.into_iter().filter(|kind| !expected.contains(kind)) {
        let mut line = open(server);
        line.send(&frame(kind, &[]));
        let end = if kind == tlv::ERROR { End::Closed } else { End::Code(0x0003) };
        assert_eq!(line.end(), end, "type {kind:02X}");
    }
}

#[test]
fn only_openers_open_a_conversation() {
    let server = World::new().start(&crate::support::world::Options::default());
    each_type_but(&OPENERS, |server| connect(server.terminals), &server);
}

#[test]
fn only_reply_follows_the_challenge() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    let challenged = |server: &Server| {
        let mut line = connect(server.terminals);
        terminal.ask(&mut line, 0).unwrap();
        line
    };
    each_type_but(&[tlv::REPLY], challenged, &server);
    assert_eq!(world.count("tmks"), 0);
}

#[test]
fn only_confirm_follows_the_key() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    let keyed = |server: &Server| {
        let mut line = connect(server.terminals);
        terminal.fetch(&mut line, 0).unwrap();
        line
    };
    each_type_but(&[tlv::CONFIRM], keyed, &server);
    assert_eq!(world.keys("SN-1", 0, "pending").len(), 1);
    assert!(world.keys("SN-1", 0, "active").is_empty());
}

#[test]
fn only_openers_follow_done() {
    let terminal = Raw::new("SN-1");
    let (_world, server) = World::with(&[&terminal]);
    let done = |server: &Server| {
        let mut line = connect(server.terminals);
        terminal.download_on(&mut line, 0).unwrap();
        line
    };
    // A second KEY_CONFIRM among them: it confirms nothing.
    each_type_but(&OPENERS, done, &server);
}

#[test]
fn a_dropped_or_doubled_message_ends_the_flow() {
    let terminal = Raw::new("SN-1");
    let (world, server) = World::with(&[&terminal]);
    let mut line = connect(server.terminals);
    terminal.ask(&mut line, 0).unwrap();
    line.send(&terminal.hello(0, [1; 8]));
    assert_eq!(line.end(), End::Code(0x0003), "HELLO twice");

    let mut line = connect(server.terminals);
    terminal.ask(&mut line, 0).unwrap();
    line.send(&confirm(&[1, 2, 3]));
    assert_eq!(line.end(), End::Code(0x0003), "without TK_REPLY");
    assert_eq!(world.count("tmks"), 0);
}

#[test]
fn a_flood_of_wrong_messages_is_answered_once() {
    let server = World::new().start(&crate::support::world::Options::default());
    let mut line = connect(server.terminals);
    line.try_send(&frame(tlv::DONE, &[]).repeat(2000));
    assert_eq!(line.end(), End::Code(0x0003));
}
