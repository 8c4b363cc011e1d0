//! Limits of time and number on the terminal port.

use std::{
    io::Read as _,
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use crate::support::{
    line::{End, connect},
    raw::{Raw, rnd1},
    world::{Options, World},
};

const BUSY: End = End::Code(0x000B);
const TIMEOUT: End = End::Code(0x000A);

#[test]
fn r40_past_the_connection_cap_is_busy_until_one_leaves() {
    let terminal = Raw::new("SN-1");
    let options = Options { max_connections: 3, ..Options::default() };
    let (_world, server) = World::with_options(&[&terminal], &options);
    let mut open: Vec<_> = (0..3).map(|_| connect(server.terminals)).collect();
    for line in &mut open {
        terminal.ask(line, 0).unwrap();
    }
    for _ in 0..5 {
        assert_eq!(connect(server.terminals).end(), BUSY);
    }
    open.clear();
    let free = Instant::now() + Duration::from_secs(5);
    while terminal.download(server.terminals, 0).is_err() {
        assert!(Instant::now() < free, "a place comes free");
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn r40_past_the_cap_of_an_address_is_busy_for_that_address() {
    let terminal = Raw::new("SN-1");
    let options = Options { max_connections_per_address: 2, ..Options::default() };
    let (_world, server) = World::with_options(&[&terminal], &options);
    let mut open: Vec<_> = (0..2).map(|_| connect(server.terminals)).collect();
    for line in &mut open {
        terminal.ask(line, 0).unwrap();
    }
    let mut third = connect(server.terminals);
    third.try_send(&terminal.hello(0, rnd1()));
    assert_eq!(third.end(), BUSY, "told so even after it has spoken");
    terminal.ask(&mut connect_from([127, 0, 0, 2], &server), 0).expect("another address has its own places");
}

/// A connection from another address of this machine.
fn connect_from(
    address: [u8; 4],
    server: &crate::support::world::Server,
) -> crate::support::line::Line<TcpStream> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let stream = runtime.block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind((address, 0).into()).unwrap();
        socket.connect(server.terminals).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    crate::support::line::Line::over(stream)
}

#[test]
fn a_tls_port_says_nothing_in_clear_even_when_it_is_full() {
    let options = Options { max_connections: 1, tls: true, ..Options::default() };
    let server = World::new().start(&options);
    let _first = TcpStream::connect(server.terminals).unwrap();
    let mut second = TcpStream::connect(server.terminals).unwrap();
    second.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let mut answer = Vec::new();
    second.read_to_end(&mut answer).unwrap();
    assert!(answer.is_empty(), "{answer:02X?}");
}

#[test]
fn silence_is_a_timeout_in_every_state() {
    let terminal = Raw::new("SN-1");
    let options = Options { idle_seconds: 1, ..Options::default() };
    let (world, server) = World::with_options(&[&terminal], &options);
    let mut lines: Vec<_> = (0..5).map(|_| connect(server.terminals)).collect();
    let started = Instant::now();
    lines[1].send(&terminal.hello(0, rnd1())[..7]);
    terminal.ask(&mut lines[2], 0).unwrap();
    terminal.download_on(&mut lines[3], 1).unwrap();
    let pending = terminal.fetch(&mut lines[4], 0).unwrap();
    // lines[2] lost to the downloads, and was told so before its time was up or is told of the timeout.
    for (number, line) in lines.iter_mut().enumerate() {
        let end = line.end();
        assert!(end == TIMEOUT || (number == 2 && end == BUSY), "line {number}: {end:?}");
    }
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(terminal.download(server.terminals, 0).unwrap().key, pending.key);
    assert_eq!(world.keys("SN-1", 0, "active").len(), 1);
}

#[test]
fn a_byte_now_and_then_is_no_silence() {
    let terminal = Raw::new("SN-1");
    let options = Options { idle_seconds: 1, ..Options::default() };
    let (_world, server) = World::with_options(&[&terminal], &options);
    let mut line = connect(server.terminals);
    let hello = terminal.hello(0, rnd1());
    for part in hello.chunks(hello.len().div_ceil(4)) {
        thread::sleep(Duration::from_millis(500));
        line.send(part);
    }
    line.expect(crate::support::tlv::CHALLENGE).unwrap();
}
