//! Being collected over TCP.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flows::collect::{CollectKey, station};
use pki::Role;
use wire::{ErrorCode, ErrorMessage, Fields, Frame, FrameDecoder, MessageType};

use crate::collect::{Event, serve_with};
use crate::testing::{collect_frame, estate};
use crate::{LinkLimits, Terminal};

/// Serves a terminal while `talk` runs; gives back what happened.
fn served(terminal: &mut Terminal, limits: LinkLimits, talk: impl FnOnce(SocketAddr) + Send) -> Vec<Event> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    let mut events = Vec::new();
    std::thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            // Also when `talk` fails, so that the test ends.
            struct Stop<'a>(&'a AtomicBool);
            impl Drop for Stop<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::SeqCst);
                }
            }
            let _stop = Stop(stop);
            talk(address);
        });
        let stopped = || stop.load(Ordering::SeqCst);
        serve_with(&listener, limits, terminal, &stopped, &mut |event| events.push(event.clone())).unwrap();
    });
    events
}

fn read_frame(stream: &mut TcpStream) -> Frame {
    let mut decoder = FrameDecoder::new();
    let mut byte = [0];
    loop {
        if let Some(frame) = decoder.next().unwrap() {
            return frame;
        }
        stream.read_exact(&mut byte).unwrap();
        decoder.push(&byte).unwrap();
    }
}

fn read_error(stream: &mut TcpStream) -> ErrorCode {
    let message = read_frame(stream).message().unwrap();
    assert_eq!(message.kind, MessageType::Error);
    // After an ERROR both sides close.
    assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    ErrorMessage::read(&message.fields).known_code().unwrap()
}

#[test]
fn station_collects_over_tcp_twice_on_two_connections() {
    let mut terminal = estate().terminal();
    let events = served(&mut terminal, LinkLimits::default(), |address| {
        let leaf = estate().certificate(Role::KmsWork).der().to_vec();
        let mut all = Vec::new();
        for _ in 0..2 {
            let key = CollectKey::Certificate { leaf: leaf.clone(), intermediates: Vec::new() };
            let (frame, state) = station::Start::new(key, 256).begin().unwrap();
            let mut stream = TcpStream::connect(address).unwrap();
            stream.write_all(frame.bytes()).unwrap();
            all.push(state.on_frame(&read_frame(&mut stream)).unwrap());
        }
        assert_eq!(all[0], all[1]);
    });
    let collected: Vec<bool> = events
        .iter()
        .filter_map(|event| match event {
            Event::Collected { again, .. } => Some(*again),
            _ => None,
        })
        .collect();
    assert_eq!(collected, [false, true]);
}

#[test]
fn refusals_leave_over_tcp_and_the_next_connection_is_served() {
    let mut terminal = estate().terminal();
    let events = served(&mut terminal, LinkLimits::default(), |address| {
        let wrong_role = collect_frame(&estate().certificate(Role::Operator));
        let wrong_order = Frame::new(MessageType::Done, &Fields::new()).unwrap();
        for (bytes, code) in [
            (wrong_role.bytes(), ErrorCode::CertificateRefused),
            (wrong_order.bytes(), ErrorCode::UnexpectedMessage),
            (&[0, 2, 1, 0x99], ErrorCode::UnexpectedMessage),
            (&[0, 2, 9, 0x51], ErrorCode::Malformed),
            (&[0, 1, 1], ErrorCode::Malformed),
        ] {
            let mut stream = TcpStream::connect(address).unwrap();
            // More than was asked for does not keep the ERROR from arriving.
            stream.write_all(&[bytes, &[0; 64]].concat()).unwrap();
            assert_eq!(read_error(&mut stream), code);
        }
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(estate().collect().bytes()).unwrap();
        assert_eq!(read_frame(&mut stream).kind().unwrap(), MessageType::Collected);
    });
    assert!(matches!(events.last(), Some(Event::Collected { .. })));
}

#[test]
fn silence_and_slowness_are_000a() {
    let limits = LinkLimits { idle: Duration::from_millis(150), message: Duration::from_millis(300) };
    let mut terminal = estate().terminal();
    let events = served(&mut terminal, limits, |address| {
        let mut silent = TcpStream::connect(address).unwrap();
        assert_eq!(read_error(&mut silent), ErrorCode::Timeout);
        let mut slow = TcpStream::connect(address).unwrap();
        for byte in estate().collect().bytes().iter().take(20) {
            if slow.write_all(&[*byte]).is_err() {
                break;
            }
            std::thread::sleep(Duration::from_millis(40));
        }
        assert_eq!(read_error(&mut slow), ErrorCode::Timeout);
    });
    let failed: Vec<&Event> =
        events.iter().filter(|event| matches!(event, Event::LinkFailed { .. })).collect();
    assert_eq!(failed.len(), 2, "{events:?}");
}

#[test]
fn error_of_the_station_is_not_answered() {
    let mut terminal = estate().terminal();
    let events = served(&mut terminal, LinkLimits::default(), |address| {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(wire::error_frame(ErrorCode::Busy, "later").bytes()).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    });
    assert!(matches!(&events[1], Event::PeerError { message } if message.text == "later"));
}
