//! Downloads over a link: cut lines, refusals told to the KMS, time limits.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use paycrypto::TdesKey;
use paycrypto::keys::Tmk;
use paycrypto::tk::CheckedTk;
use wire::{ErrorCode, Fields, MessageType};

use super::*;
use crate::testing::{Kms, estate, slot};
use crate::{LifeCycle, LinkLimits, PinPad};

fn collected() -> (Terminal, Kms) {
    let mut terminal = estate().terminal();
    let kms = estate().collected(&mut terminal);
    (terminal, kms)
}

/// Runs a KMS that gives this key on the other end of a line; its end is what it got back.
fn kms_thread(kms: &Kms, tmk: &Tmk) -> (UnixStream, JoinHandle<Result<(), LinkError>>) {
    let (near, far) = UnixStream::pair().unwrap();
    let clear = kms.tk.to_clear();
    let key = TdesKey::from_bytes(tmk.expose()).unwrap();
    let thread = thread::spawn(move || {
        let kms = Kms { tk: paycrypto::tk::UncheckedTk::new(clear).check().unwrap() };
        let tmk = Tmk::from_key(key).unwrap();
        let mut link = Link::new(far);
        let (challenge, state) = kms.challenge(&link.receive()?).unwrap();
        link.send(&challenge)?;
        let (key, state) = kms.key(state, &link.receive()?, &tmk).unwrap();
        link.send(&key)?;
        let done = kms.done(state, &link.receive()?).unwrap();
        link.send(&done)
    });
    (near, thread)
}

#[test]
fn key_arrives_and_the_terminal_is_deployed() {
    let (mut terminal, kms) = collected();
    let tmk = Tmk::generate().unwrap();
    let (stream, thread) = kms_thread(&kms, &tmk);
    let downloaded = download(&mut terminal, stream, slot(3)).unwrap();
    thread.join().unwrap().unwrap();
    assert_eq!(downloaded, Downloaded { slot: slot(3), kcv: Kcv::Tdes(tmk.kcv()) });
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Deployed);
}

#[test]
fn several_slots_over_one_link() {
    let (mut terminal, kms) = collected();
    let (near, far) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        for _ in 0..2 {
            let tmk = Tmk::generate().unwrap();
            let (challenge, state) = kms.challenge(&link.receive().unwrap()).unwrap();
            link.send(&challenge).unwrap();
            let (key, state) = kms.key(state, &link.receive().unwrap(), &tmk).unwrap();
            link.send(&key).unwrap();
            let done = kms.done(state, &link.receive().unwrap()).unwrap();
            link.send(&done).unwrap();
        }
    });
    let (_, link) = download_over(&mut terminal, Link::new(near), slot(1), None).unwrap();
    download_over(&mut terminal, link, slot(2), None).unwrap();
    thread.join().unwrap();
    assert_eq!(terminal.pad().slots().len(), 2);
}

#[test]
fn line_cut_after_each_message_then_the_same_key_arrives() {
    for step in Step::ALL {
        let (mut terminal, kms) = collected();
        let old = Tmk::generate().unwrap();
        kms.load(&mut terminal, slot(3), &old).unwrap();
        let tmk = Tmk::generate().unwrap();

        let (stream, thread) = kms_thread(&kms, &tmk);
        let cut = download_over(&mut terminal, Link::new(stream), slot(3), Some(CutAfter(step)));
        match step {
            Step::Done => assert!(cut.is_ok()),
            _ => assert!(matches!(cut.unwrap_err(), DownloadError::Cut(at) if at == step), "{step:?}"),
        }
        // The KMS meets the cut; after KEY_CONFIRM its DONE may have left before it.
        let met = thread.join().unwrap();
        assert!(step == Step::Confirm || met.is_err() == (step < Step::Confirm), "{step:?} {met:?}");

        let slots = terminal.pad().slots();
        let expected = if step < Step::Key { (&old, None) } else { (&tmk, Some(Kcv::Tdes(old.kcv()))) };
        assert_eq!((slots[0].kcv, slots[0].previous), (Kcv::Tdes(expected.0.kcv()), expected.1), "{step:?}");

        let (stream, thread) = kms_thread(&kms, &tmk);
        let downloaded = download(&mut terminal, stream, slot(3)).unwrap();
        thread.join().unwrap().unwrap();
        assert_eq!(downloaded.kcv, Kcv::Tdes(tmk.kcv()));
        assert_eq!(terminal.pad().slots()[0].previous, Some(Kcv::Tdes(old.kcv())), "{step:?}");
    }
}

/// What a KMS that answers TK_HELLO with these bytes gets back, and what the terminal says.
fn answered_with(
    answer: impl FnOnce(&Frame) -> Vec<u8> + Send + 'static,
) -> (Option<ErrorCode>, DownloadError) {
    let (mut terminal, _) = collected();
    let (near, far) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut raw = far.try_clone().unwrap();
        let mut link = Link::new(far);
        let hello = link.receive().unwrap();
        raw.write_all(&answer(&hello)).unwrap();
        let frame = link.receive().ok()?;
        ErrorMessage::read(&frame.message().unwrap().fields).known_code()
    });
    let error = download(&mut terminal, near, slot(3)).unwrap_err();
    (thread.join().unwrap(), error)
}

#[test]
fn false_kms_is_told_0005() {
    let (told, error) = answered_with(|hello| {
        let stranger = Kms { tk: CheckedTk::generate().unwrap() };
        stranger.challenge(hello).unwrap().0.bytes().to_vec()
    });
    assert_eq!(told, Some(ErrorCode::ServerAuthenticationFailed));
    assert!(error.to_string().starts_with("0005"), "{error}");
}

#[test]
fn reflected_hello_is_told_0003_and_reflected_challenge_0002() {
    let (told, _) = answered_with(|hello| hello.bytes().to_vec());
    assert_eq!(told, Some(ErrorCode::UnexpectedMessage));
    let (told, _) = answered_with(|hello| {
        let rnd1: [u8; 8] = hello.message().unwrap().fields.exactly(wire::Tag::RND1).unwrap();
        let mut fields = Fields::new();
        fields.push(wire::Tag::CRND1, &rnd1).unwrap();
        fields.push(wire::Tag::RND2, &rnd1).unwrap();
        Frame::new(MessageType::TkChallenge, &fields).unwrap().bytes().to_vec()
    });
    assert_eq!(told, Some(ErrorCode::Malformed));
}

#[test]
fn garbage_is_told_0002() {
    let (told, error) = answered_with(|_| vec![0, 0]);
    assert_eq!(told, Some(ErrorCode::Malformed));
    assert!(matches!(error, DownloadError::Link(LinkError::Malformed(_))));
}

#[test]
fn error_of_the_server_is_given_on_and_not_answered() {
    let (told, error) = answered_with(|_| error_frame(ErrorCode::Busy, "later").bytes().to_vec());
    assert_eq!(told, None);
    let DownloadError::Refused(message) = error else { panic!("{error}") };
    assert_eq!((message.known_code(), message.text.as_str()), (Some(ErrorCode::Busy), "later"));
}

#[test]
fn uncollected_terminal_says_nothing_on_the_line() {
    let mut terminal = estate().terminal();
    let (near, far) = UnixStream::pair().unwrap();
    let error = download(&mut terminal, near, slot(0)).unwrap_err();
    assert!(error.to_string().contains("collect the terminal first"), "{error}");
    assert!(matches!(Link::new(far).receive(), Err(LinkError::Closed)));
}

#[test]
fn silent_server_is_told_000a() {
    let (mut terminal, _) = collected();
    let (near, far) = UnixStream::pair().unwrap();
    let limits = LinkLimits { idle: Duration::from_millis(100), message: Duration::from_secs(1) };
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        link.receive().unwrap();
        let frame = link.receive().unwrap();
        ErrorMessage::read(&frame.message().unwrap().fields).known_code()
    });
    let error = download_over(&mut terminal, Link::with_limits(near, limits), slot(3), None).unwrap_err();
    assert!(matches!(error, DownloadError::Link(LinkError::Idle(_))), "{error}");
    assert_eq!(thread.join().unwrap(), Some(ErrorCode::Timeout));
}

#[test]
fn refusals_are_told_with_tk_hello_until_a_download_is_done() {
    let (mut terminal, kms) = collected();
    let board = crate::board::SharedBoard::default();
    terminal.set_board(board.clone());
    board.change(|readings| readings.millivolts = 2500);
    let (near, _far) = UnixStream::pair().unwrap();
    download(&mut terminal, near, slot(3)).unwrap_err();
    board.change(|readings| readings.millivolts = 3300);
    for (cut, expected) in [(true, 1), (false, 1), (false, 0)] {
        let (near, far) = UnixStream::pair().unwrap();
        let clear = kms.tk.to_clear();
        let thread = thread::spawn(move || {
            let kms = Kms { tk: paycrypto::tk::UncheckedTk::new(clear).check().unwrap() };
            let mut link = Link::new(far);
            let hello = link.receive().unwrap();
            let count = hello.message().unwrap().fields.templates(wire::Tag::REFUSAL_RECORD).count();
            if cut {
                return count;
            }
            let (challenge, state) = kms.challenge(&hello).unwrap();
            link.send(&challenge).unwrap();
            let (key, state) = kms.key(state, &link.receive().unwrap(), &Tmk::generate().unwrap()).unwrap();
            link.send(&key).unwrap();
            let done = kms.done(state, &link.receive().unwrap()).unwrap();
            link.send(&done).unwrap();
            count
        });
        assert_eq!(download(&mut terminal, near, slot(3)).is_err(), cut);
        assert_eq!(thread.join().unwrap(), expected);
    }
    assert_eq!(terminal.status().refusals.reported, 1);
}

#[test]
fn lid_opened_while_the_terminal_waits_for_the_kms_is_0008() {
    let (mut terminal, kms) = collected();
    let board = crate::board::SharedBoard::default();
    terminal.set_board(board.clone());
    kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    let (near, far) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        link.receive().unwrap();
        board.change(|readings| readings.lid_open = true);
        ErrorMessage::read(&link.receive().unwrap().message().unwrap().fields)
    });
    let error = download(&mut terminal, near, slot(3)).unwrap_err();
    assert!(error.to_string().starts_with("0008"), "{error}");
    let told = thread.join().unwrap();
    assert_eq!(told.known_code(), Some(ErrorCode::NotPermittedNow));
    assert_eq!(flows::RefusalRecord::read(&told.refusals[0]).unwrap().check, "lid");
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Tampered);
}
