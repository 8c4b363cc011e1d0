//! R40: limits hold before the HSM is asked, and somebody unknown costs it no more than a terminal.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, TcpStream},
    thread,
    time::Duration,
};

use crate::support::{
    line::{End, connect},
    raw::{Raw, rnd1},
    switch::Switch,
    tlv::{self, field, frame},
    world::{Options, World},
};

const BUSY: End = End::Code(0x000B);

/// Waits until the HSM is asked no more, and tells what it was asked.
fn settled(switch: &Switch) -> Vec<&'static str> {
    let mut asked = switch.asked();
    loop {
        thread::sleep(Duration::from_millis(100));
        match switch.asked() {
            more if more.is_empty() => break asked,
            more => asked.extend(more),
        }
    }
}

#[test]
fn r40_connections_past_a_limit_cost_the_hsm_nothing() {
    for options in [
        Options { max_connections: 3, ..Options::default() },
        Options { max_connections_per_address: 3, ..Options::default() },
    ] {
        let terminal = Raw::new("SN-1");
        let world = World::new();
        let (server, switch) = world.start_switched(&options);
        server.collect(&[&terminal]);
        let mut open: Vec<_> = (0..3).map(|_| connect(server.terminals)).collect();
        for line in &mut open {
            terminal.ask(line, 0).unwrap();
        }
        assert!(!settled(&switch).is_empty(), "those within the limit are answered");
        for _ in 0..20 {
            let mut line = connect(server.terminals);
            line.try_send(&terminal.hello(0, rnd1()));
            assert_eq!(line.end(), BUSY);
        }
        assert_eq!(settled(&switch), Vec::<&str>::new());
    }
}

#[test]
fn r40_what_is_no_message_costs_the_hsm_nothing() {
    let world = World::new();
    let (server, switch) = world.start_switched(&Options::default());
    settled(&switch);
    let hello = Raw::new("SN-1").hello(0, rnd1());
    let without_serial = frame(tlv::HELLO, &field(tlv::SUITE, &[1]));
    let nobodys = frame(0x7F, &hello[4..]);
    let cut = &hello[..hello.len() - 1];
    for bad in [&hello[..3], cut, &without_serial, &nobodys, &[0xFF; 64], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut stream = TcpStream::connect(server.terminals).unwrap();
        stream.write_all(bad).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        // Whether an answer comes or the connection just ends: what matters here is what it costs.
        let _ = stream.read_to_end(&mut Vec::new());
    }
    assert_eq!(settled(&switch), Vec::<&str>::new());
}

#[test]
fn r40_an_unknown_serial_costs_the_hsm_no_more_than_a_known_one() {
    let (known, other) = (Raw::new("SN-1"), Raw::with_pin_pad("SN-2", "PP-2"));
    let world = World::new();
    let (server, switch) = world.start_switched(&Options::default());
    server.collect(&[&known, &other]);
    // The first download of a terminal opens its TK, which is none of a stranger's doing.
    for terminal in [&known, &other] {
        terminal.download(server.terminals, 0).unwrap();
    }
    settled(&switch);
    let costs = [known.impostor(), Raw::new("SN-9"), Raw::with_pin_pad("SN-2", "PP-9"), Raw::new("SN-2")]
        .map(|stranger| {
            assert_eq!(stranger.intrude(server.terminals, 0), End::Code(0x0006));
            settled(&switch)
        });
    // A stranger's challenge has a command of its own, which does the same work under a secret that nobody has.
    for cost in &costs {
        assert!(matches!(cost[..], ["AnswerChallenge" | "AnswerStranger", "ReleaseTmk"]), "{cost:?}");
    }
    // A terminal's own download costs at least that much.
    known.download(server.terminals, 0).unwrap();
    assert!(settled(&switch).len() >= costs[0].len());
}
