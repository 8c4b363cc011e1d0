//! Serial lines, played by pseudo-terminals.

use std::{
    fs::File,
    os::fd::AsFd,
    path::PathBuf,
    thread::{self, JoinHandle},
    time::Duration,
};

use keyferry_station::{
    LinkLimits,
    kld::LoadFault,
    link::{DEFAULT_SPEED, Link, LinkError, SerialLine, Step},
};
use rustix::{
    pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt},
    termios::{ControlModes, InputModes, LocalModes, OutputModes, tcgetattr},
};

use crate::estate::{BOTH, ESTATE};
use crate::independent::{self, Got, Quirk};
use crate::world::{World, open_run};

/// Both ends of a line: the terminal's, and the path that the KLD opens.
pub(crate) fn line() -> (File, PathBuf) {
    let end = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&end).unwrap();
    unlockpt(&end).unwrap();
    let path = ptsname(&end, Vec::new()).unwrap().into_string().unwrap();
    (File::from(end), path.into())
}

fn independent_at(mut end: File) -> JoinHandle<Got> {
    thread::spawn(move || independent::serve(&mut end, "SN-1", None, Quirk::None))
}

#[test]
fn a_terminal_at_a_line_is_loaded() {
    let world = World::ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1", &["tmk:10", "dmk"]);
    let (end, path) = line();
    // Keeps the line up until the KLD has opened it.
    let open = SerialLine::open(&path, DEFAULT_SPEED).unwrap();
    let terminal = independent_at(end);
    let loaded = kld
        .load(&mut run, &BOTH.1, &ESTATE.checks(), None, || Ok(Link::over(open, LinkLimits::default())))
        .unwrap();
    let got = terminal.join().unwrap();
    assert_eq!((loaded.keys.len(), got.kcvs.len(), got.done), (2, 2, 2));
}

#[test]
fn a_line_is_raw_with_8_bits_no_parity_one_stop_bit_and_the_speed_asked_for() {
    let (end, path) = line();
    for speed in [9600, 19_200, 115_200] {
        let open = SerialLine::open(&path, speed).unwrap();
        let modes = tcgetattr(end.as_fd()).unwrap();
        assert_eq!((modes.input_speed(), modes.output_speed()), (speed, speed));
        assert_eq!(modes.control_modes & ControlModes::CSIZE, ControlModes::CS8);
        assert!(!modes.control_modes.intersects(ControlModes::PARENB | ControlModes::CSTOPB));
        assert!(!modes.local_modes.intersects(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG));
        assert!(!modes.input_modes.intersects(InputModes::IXON | InputModes::ICRNL | InputModes::ISTRIP));
        assert!(!modes.output_modes.contains(OutputModes::OPOST));
        drop(open);
    }
}

#[test]
fn a_silent_line_is_a_timeout_and_one_without_another_end_is_unplugged() {
    let limits = LinkLimits { idle: Duration::from_millis(100), ..LinkLimits::default() };
    let (end, path) = line();
    let mut link = Link::over(SerialLine::open(&path, DEFAULT_SPEED).unwrap(), limits);
    assert!(matches!(link.receive(), Err(LinkError::Timeout)));
    drop(end);
    let gone = link.receive();
    assert!(
        matches!(&gone, Err(LinkError::Unplugged { port, step: Step::BeforeAsking }) if *port == path.to_string_lossy()),
        "{gone:?}"
    );
}

#[test]
fn a_path_that_is_no_line_is_a_failure_with_its_name() {
    let world = World::ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1", &["dmk"]);
    let path = world.path().join("kld.json");
    let failure = kld
        .load(&mut run, &BOTH.1, &ESTATE.checks(), None, || {
            Ok(Link::over(SerialLine::open(&path, DEFAULT_SPEED)?, LinkLimits::default()))
        })
        .unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::Link(LinkError::NoLine { .. })), "{failure}");
}
