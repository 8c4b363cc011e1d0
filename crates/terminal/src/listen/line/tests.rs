//! Listening on lines: pseudo-terminals that the terminal makes, and serial ports that come and go.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::symlink;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use wire::{ErrorCode, ErrorMessage, Frame, MessageType};

use super::*;
use crate::testing::line::Pseudo;
use crate::testing::{collect_frame, estate};
use crate::{LinkError, Stream};

/// Quick, so that tests are.
const QUICK: LinkLimits = LinkLimits { idle: Duration::from_millis(700), message: Duration::from_secs(20) };

/// Serves a terminal on a line while `talk` runs; gives back what happened.
fn served(address: &str, talk: impl FnOnce(&Mutex<Vec<Event>>) + Send) -> Vec<Event> {
    let (mut terminal, _) = estate().full_terminal();
    let mut port = LinePort::open(&address.parse().unwrap()).unwrap();
    let (stop, events) = (AtomicBool::new(false), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        let (stop, events) = (&stop, &events);
        scope.spawn(move || {
            // Also when `talk` fails, so that the test ends.
            struct Stop<'a>(&'a AtomicBool);
            impl Drop for Stop<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::SeqCst);
                }
            }
            let _stop = Stop(stop);
            talk(events);
        });
        let stopped = || stop.load(Ordering::SeqCst);
        let mut keep = |event: &Event| events.lock().unwrap().push(event.clone());
        serve_line_flows(&mut port, Flows::All, QUICK, &mut terminal, &stopped, &mut keep).unwrap();
    });
    events.into_inner().unwrap()
}

/// The other end of a pseudo-terminal, as a station has it.
fn other_end(path: &std::path::Path) -> Link<Serial> {
    let address = SerialAddress { path: path.to_str().unwrap().to_owned(), baud: 115_200 };
    Link::new(Serial::open(&address).unwrap())
}

fn error_code(frame: &Frame) -> ErrorCode {
    let message = frame.message().unwrap();
    assert_eq!(message.kind, MessageType::Error);
    ErrorMessage::read(&message.fields).known_code().unwrap()
}

fn until(events: &Mutex<Vec<Event>>, wanted: impl Fn(&Event) -> bool) {
    while !events.lock().unwrap().iter().any(&wanted) {
        std::thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn addresses_are_read_and_shown() {
    for text in ["serial:/dev/ttyS0?baud=9600", "pty:/run/terminal-7"] {
        let address: LineAddress = text.parse().unwrap();
        assert!(LineAddress::is_meant(text));
        assert_eq!(address.to_string(), text);
    }
    for text in ["pty:", "serial:", "serial:/dev/ttyS0?baud=1", "/dev/ttyS0", "127.0.0.1:7802"] {
        assert!(text.parse::<LineAddress>().is_err(), "{text}");
    }
    assert!(!LineAddress::is_meant("127.0.0.1:7802"));
}

#[test]
fn a_pseudo_terminal_is_collected_twice_with_the_same_bytes_and_its_link_goes_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("terminal");
    let (mut answers, collect) = (Vec::new(), estate().collect());
    let events = served(&format!("pty:{}", path.display()), |_| {
        for _ in 0..2 {
            let mut link = other_end(&path);
            link.send(&collect).unwrap();
            answers.push(link.receive().unwrap());
        }
    });
    assert_eq!(answers[0].kind().unwrap(), MessageType::Collected);
    assert_eq!(answers[0].bytes(), answers[1].bytes());
    let again: Vec<bool> = events
        .iter()
        .filter_map(|event| match event {
            Event::Collected { again, .. } => Some(*again),
            _ => None,
        })
        .collect();
    assert_eq!(again, [false, true]);
    assert!(fs::symlink_metadata(&path).is_err());
}

#[test]
fn a_link_that_a_killed_terminal_left_is_replaced_and_nothing_else_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("terminal");
    symlink("/dev/pts/99999", &path).unwrap();
    let pty = Pty::make(&path).unwrap();
    assert_eq!(fs::read_link(&path).unwrap(), pty.device());
    // The next one's link is not this one's to remove.
    let next = Pty::make(&path).unwrap();
    drop(pty);
    assert_eq!(fs::read_link(&path).unwrap(), next.device());
    drop(next);
    let file = |path: &std::path::Path| fs::write(path, "mine").unwrap();
    let link = |path: &std::path::Path| symlink("/etc/hostname", path).unwrap();
    for make in [file as fn(&std::path::Path), link] {
        make(&path);
        assert_eq!(Pty::make(&path).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        fs::remove_file(&path).unwrap();
    }
}

#[test]
fn half_a_message_of_a_caller_who_went_away_does_not_spoil_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("terminal");
    let collect = estate().collect();
    let failed = |event: &Event| matches!(event, Event::LinkFailed { .. });
    let events = served(&format!("pty:{}", path.display()), |events| {
        for (number, cut) in [1, 2, 3, 40, collect.bytes().len() - 1].into_iter().enumerate() {
            let address = SerialAddress { path: path.to_str().unwrap().to_owned(), baud: 115_200 };
            let mut half = Serial::open(&address).unwrap();
            half.limit(Duration::from_secs(9), Duration::from_secs(9)).unwrap();
            half.write_all(&collect.bytes()[..cut]).unwrap();
            drop(half);
            let failures = || events.lock().unwrap().iter().filter(|event| failed(event)).count();
            while failures() <= number {
                std::thread::sleep(Duration::from_millis(5));
            }
            let mut link = other_end(&path);
            link.send(&collect).unwrap();
            assert_eq!(link.receive().unwrap().kind().unwrap(), MessageType::Collected, "cut after {cut}");
        }
    });
    let failed = events.iter().filter(|event| failed(event)).count();
    assert_eq!(failed, 5, "{events:?}");
}

#[test]
fn noise_is_told_thrown_away_until_it_stops_and_the_next_beginning_is_one() {
    let (mut far, near) = Pseudo::open(115_200);
    drop(near);
    let address = far.address(115_200).to_string();
    let events = served(&address, |_| {
        std::thread::sleep(2 * crate::link::QUIET);
        // A length of zero, and then more than was asked for.
        far.write_all(&[0, 0, 1, 2, 3]).unwrap();
        for _ in 0..5 {
            std::thread::sleep(crate::link::QUIET / 3);
            far.write_all(&[0, 200, 1, 0x51]).unwrap();
        }
        let mut decoder = wire::FrameDecoder::new();
        let mut receive = |far: &mut Pseudo| loop {
            if let Some(frame) = decoder.next().unwrap() {
                return frame;
            }
            let mut byte = [0];
            far.read_exact(&mut byte).unwrap();
            decoder.push(&byte).unwrap();
        };
        assert_eq!(error_code(&receive(&mut far)), ErrorCode::Malformed);
        std::thread::sleep(2 * crate::link::QUIET);
        // Noise that begins a frame which never ends is 000A, and then forgotten.
        far.write_all(&[0x7F, 0xFF, 1]).unwrap();
        assert_eq!(error_code(&receive(&mut far)), ErrorCode::Timeout);
        std::thread::sleep(2 * crate::link::QUIET);
        // A refusal is followed by silence too, and the line goes on.
        let operator = collect_frame(&estate().certificate(pki::Role::Operator));
        far.write_all(operator.bytes()).unwrap();
        assert_eq!(error_code(&receive(&mut far)), ErrorCode::CertificateRefused);
        std::thread::sleep(2 * crate::link::QUIET);
        far.write_all(estate().collect().bytes()).unwrap();
        assert_eq!(receive(&mut far).kind().unwrap(), MessageType::Collected);
    });
    let failed = events.iter().filter(|event| matches!(event, Event::LinkFailed { .. })).count();
    assert_eq!(failed, 2, "{events:?}");
}

#[test]
fn a_line_is_silent_while_nobody_asks_for_longer_than_a_message_may_be_awaited() {
    let (mut far, near) = Pseudo::open(115_200);
    drop(near);
    let events = served(&far.address(115_200).to_string(), |_| {
        std::thread::sleep(2 * QUICK.idle);
        far.write_all(estate().collect().bytes()).unwrap();
        let mut first = [0; 4];
        far.read_exact(&mut first).unwrap();
        assert_eq!(first[3], MessageType::Collected.byte());
    });
    assert!(matches!(&events[..], [Event::Collected { .. }]), "{events:?}");
}

#[test]
fn a_port_that_is_pulled_out_is_told_and_served_again_when_it_is_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("port");
    let plug = || {
        let (far, near) = Pseudo::open(115_200);
        symlink(far.address(115_200).path, &path).unwrap();
        drop(near);
        far
    };
    let first = plug();
    let line = path.to_str().unwrap().to_owned();
    let events = served(&format!("serial:{line}?baud=115200"), |events| {
        // In the middle of a message.
        let mut first = first;
        std::thread::sleep(2 * crate::link::QUIET);
        first.write_all(&estate().collect().bytes()[..100]).unwrap();
        std::thread::sleep(crate::link::QUIET);
        fs::remove_file(&path).unwrap();
        drop(first);
        until(events, |event| matches!(event, Event::LineGone { .. }));
        let mut second = plug();
        until(events, |event| matches!(event, Event::LineBack { .. }));
        std::thread::sleep(2 * crate::link::QUIET);
        second.write_all(estate().collect().bytes()).unwrap();
        let mut head = [0; 4];
        second.read_exact(&mut head).unwrap();
        assert_eq!(head[3], MessageType::Collected.byte());
    });
    let cut = LinkError::Broken.to_string();
    assert!(
        matches!(&events[..4], [
            Event::LinkFailed { reason },
            Event::LineGone { line: gone },
            Event::LineBack { line: back },
            Event::Collected { again: false, .. },
        ] if *reason == cut && *gone == line && *back == line),
        "{events:?}"
    );
}

#[test]
fn what_is_no_line_is_not_listened_on() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for path in [file.path().to_str().unwrap(), "/nowhere/tty"] {
        let address: LineAddress = format!("serial:{path}").parse().unwrap();
        assert!(LinePort::open(&address).is_err(), "{path}");
    }
    assert!(LinePort::open(&"pty:/nowhere/link".parse().unwrap()).is_err());
}
