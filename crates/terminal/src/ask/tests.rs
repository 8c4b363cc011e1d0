//! Asking to be collected, of a server that knows bytes only.

use std::os::unix::net::UnixStream;
use std::thread;

use wire::{ErrorCode, ErrorMessage, Frame, MessageType};

use super::*;
use crate::LifeCycle;
use crate::testing::peers::done;
use crate::testing::{Kms, collect_frame, estate};

/// What a server that answers COLLECT_ASK with this gets then.
fn asked(terminal: &mut Terminal, answer: Frame) -> (Result<Answer, AskError>, Frame, Option<Frame>) {
    let (near, far) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        let ask = link.receive().unwrap();
        link.send(&answer).unwrap();
        let got = link.receive().ok();
        let _ = link.send(&done());
        (ask, got)
    });
    let result = ask_over(terminal, Link::new(near)).map(|(answer, _)| answer);
    let (ask, got) = thread.join().unwrap();
    (result, ask, got)
}

#[test]
fn the_server_gets_what_a_station_would_and_asking_again_the_same_bytes() {
    let (mut terminal, _) = estate().full_terminal();
    let collect = estate().collect();
    let (answer, ask, got) = asked(&mut terminal, collect.clone());
    let answer = answer.unwrap();
    assert_eq!(ask.bytes(), [&[0, 16, 1, 0x53, 0xDF, 1, 1, 1, 0xDF, 2, 7][..], b"SN-1001"].concat());
    assert_eq!(got.as_ref(), Some(&answer.frame));
    Kms::of(&answer.frame);
    assert_eq!(terminal.status().collected.unwrap().fingerprint, answer.fingerprint);
    let (again, _, got_again) = asked(&mut terminal, collect.clone());
    assert!(again.unwrap().again);
    assert_eq!(got_again, got);
    // A station with the same certificate too.
    assert_eq!(crate::collect::answer(&mut terminal, &collect).unwrap().frame, got.unwrap());
}

#[test]
fn another_certificate_is_0008_and_a_wrong_role_000d() {
    let (mut terminal, _) = estate().full_terminal();
    let wrong = collect_frame(&estate().certificate(pki::Role::Operator));
    let (refused, _, told) = asked(&mut terminal, wrong);
    assert!(matches!(refused, Err(FlowError::Fault { .. })));
    let code = |frame: Option<Frame>| {
        ErrorMessage::read(&frame.unwrap().message().unwrap().fields).known_code().unwrap()
    };
    assert_eq!(code(told), ErrorCode::CertificateRefused);
    asked(&mut terminal, estate().collect()).0.unwrap();
    let (_, _, told) = asked(&mut terminal, estate().collect());
    assert_eq!(code(told), ErrorCode::NotPermittedNow);
}

#[test]
fn a_server_without_a_window_is_given_on_and_not_answered() {
    let (mut terminal, _) = estate().full_terminal();
    let error = wire::error_frame(ErrorCode::TerminalAuthenticationFailed, "");
    let (refused, _, told) = asked(&mut terminal, error);
    assert!(matches!(refused, Err(FlowError::Refused(_))));
    assert_eq!(told, None);
    assert_eq!(terminal.pad().latch(), None);
}

#[test]
fn a_server_that_takes_it_not_is_named() {
    let (mut terminal, _) = estate().full_terminal();
    let (near, far) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        link.receive().unwrap();
        link.send(&estate().collect()).unwrap();
        assert_eq!(link.receive().unwrap().kind().unwrap(), MessageType::Collected);
        link.send(&wire::error_frame(ErrorCode::Malformed, "")).unwrap();
    });
    let refused = ask_over(&mut terminal, Link::new(near)).map(|_| ()).unwrap_err();
    thread.join().unwrap();
    assert!(matches!(refused, FlowError::Refused(_)), "{refused}");
}

#[test]
fn a_deployed_terminal_says_nothing_on_the_line() {
    let (mut terminal, _) = estate().full_terminal();
    terminal.deploy().unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let refused = ask_over(&mut terminal, Link::new(near)).map(|_| ()).unwrap_err();
    assert!(refused.to_string().starts_with("0008"), "{refused}");
    assert!(matches!(Link::new(far).receive(), Err(crate::LinkError::Closed)));
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Deployed);
}
