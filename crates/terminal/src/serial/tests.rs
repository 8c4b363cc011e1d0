//! Serial lines over pseudo-terminals.

use std::io::ErrorKind;

use super::*;
use crate::testing::line::Pseudo;
use crate::{Link, LinkError, LinkLimits};

#[test]
fn bytes_pass_as_they_are_in_both_directions() {
    let (mut far, mut near) = Pseudo::open(9_600);
    // Every byte, those among them that a terminal line would take for itself.
    let all: Vec<u8> = (0..=255).collect();
    near.write_all(&all).unwrap();
    let mut came = vec![0; all.len()];
    far.read_exact(&mut came).unwrap();
    assert_eq!(came, all);
    far.write_all(&all).unwrap();
    near.limit(Duration::from_secs(60), Duration::from_secs(60)).unwrap();
    near.read_exact(&mut came).unwrap();
    assert_eq!(came, all);
    assert_eq!(near.baud(), Some(9_600));
    let line = termios::tcgetattr(&near.fd).unwrap();
    assert_eq!((line.input_speed(), line.output_speed()), (9_600, 9_600));
}

#[test]
fn silence_is_a_timeout_and_an_unread_line_too() {
    let (_far, mut near) = Pseudo::open(9_600);
    near.limit(Duration::from_millis(5), Duration::from_millis(5)).unwrap();
    assert_eq!(near.read(&mut [0; 8]).unwrap_err().kind(), ErrorKind::TimedOut);
    let full = near.write_all(&[0; 1 << 20]).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::TimedOut);
    let limits = LinkLimits { idle: Duration::from_millis(5), message: Duration::from_secs(1) };
    assert!(matches!(Link::with_limits(near, limits).receive(), Err(LinkError::Idle(_))));
}

#[test]
fn the_other_side_gone_is_the_end() {
    let (far, near) = Pseudo::open(9_600);
    drop(far);
    assert!(matches!(Link::new(near).receive(), Err(LinkError::Closed)));
}

#[test]
fn what_lay_in_the_line_is_thrown_away() {
    let (mut far, first) = Pseudo::open(9_600);
    far.write_all(b"left over").unwrap();
    first.wait(PollFlags::IN, None).unwrap();
    let mut again = Serial::open(&far.address(9_600)).unwrap();
    drop(first);
    far.write_all(b"new").unwrap();
    let mut came = [0; 3];
    again.read_exact(&mut came).unwrap();
    assert_eq!(&came, b"new");
}

#[test]
fn what_is_no_line_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    assert!(
        Serial::open(&SerialAddress { path: file.path().to_str().unwrap().into(), baud: 9_600 }).is_err()
    );
    assert!(Serial::open(&SerialAddress { path: "/nowhere/tty".into(), baud: 9_600 }).is_err());
}
