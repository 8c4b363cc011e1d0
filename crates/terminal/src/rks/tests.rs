//! Downloads from an RKS that knows bytes only, over a line.

use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use paycrypto::keys::Tmk;
use wire::{ErrorCode, ErrorMessage};

use super::*;
use crate::board::SharedBoard;
use crate::testing::peers::{Rks, done, foreign, load, rks_keys};
use crate::testing::{estate, slot};

const FACTOR: &[u8] = b"factor";

fn identified() -> (Terminal, SharedBoard, Rks) {
    let (mut terminal, board) = estate().full_terminal();
    let rks = Rks::new();
    load(&mut terminal, &rks.dik2(FACTOR), "SN-1001/00", Some(FACTOR)).unwrap();
    (terminal, board, rks)
}

/// One run of a server that gives a TMK for each of these slots; its end is the RKS_AUTH that it got.
fn run_server(
    link: &mut Link<UnixStream>,
    rks: &mut Rks,
    slots: &[u8],
    more: bool,
) -> Result<Frame, LinkError> {
    let auth = link.receive()?;
    link.send(&rks.cert(&auth, &estate().certificate(Role::RksWork)))?;
    let factor = link.receive()?;
    link.send(&rks.token(&factor))?;
    let proof = link.receive()?;
    rks.prove(&proof);
    let mut blocks: Vec<String> = Vec::new();
    for index in slots {
        let before: Vec<_> = blocks.iter().map(String::as_str).collect();
        let block = rks.block(&Tmk::generate().unwrap(), &format!("SN-1001/{index:02}"), &before);
        blocks.push(block);
    }
    link.send(&rks_keys(&blocks.iter().map(String::as_str).collect::<Vec<_>>(), more))?;
    link.receive()?;
    link.send(&done())?;
    Ok(auth)
}

/// A server that runs once for each of these, and the slot that was asked for first each time.
fn server(mut rks: Rks, runs: Vec<(Vec<u8>, bool)>) -> (Link<UnixStream>, JoinHandle<Vec<u8>>) {
    let (near, far) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        runs.iter()
            .map_while(|(slots, more)| run_server(&mut link, &mut rks, slots, *more).ok())
            .map(|auth| auth.message().unwrap().fields.slot().unwrap().index())
            .collect()
    });
    (Link::new(near), thread)
}

#[test]
fn more_runs_the_flow_again_until_the_set_is_complete() {
    let (mut terminal, _, rks) = identified();
    let (link, thread) = server(rks, vec![(vec![1, 2], true), (vec![5], true), (vec![7], false)]);
    let (loaded, _) = rks_load(&mut terminal, link, &[slot(7), slot(1), slot(2), slot(5)]).unwrap();
    assert_eq!((loaded.runs, loaded.kcvs.len()), (3, 4));
    // Each run asks for the first slot that is missing.
    assert_eq!(thread.join().unwrap(), [1, 5, 7]);
    assert_eq!(terminal.pad().slots().len(), 4);
}

#[test]
fn a_server_that_stops_too_early_is_named() {
    let (mut terminal, _, rks) = identified();
    let (link, _thread) = server(rks, vec![(vec![1], false)]);
    let error = rks_load(&mut terminal, link, &[slot(1), slot(2)]).unwrap_err();
    let RksError::Incomplete { missing } = &error else { panic!("{error}") };
    assert_eq!(missing, &[slot(2)]);
    assert!(error.to_string().contains("slot 02"), "{error}");
    assert_eq!(terminal.pad().slots().len(), 1);
}

#[test]
fn a_server_without_an_end_is_left() {
    let (mut terminal, _, rks) = identified();
    let (link, _thread) = server(rks, vec![(vec![1], true); MAX_RUNS + 1]);
    let error = rks_load(&mut terminal, link, &[slot(1)]).unwrap_err();
    assert!(matches!(error, RksError::TooManyRuns { .. }), "{error}");
}

#[test]
fn nothing_wanted_is_nothing_said() {
    let (mut terminal, _, rks) = identified();
    let (link, thread) = server(rks, vec![(vec![1], false)]);
    assert!(matches!(rks_load(&mut terminal, link, &[]), Err(RksError::NothingWanted)));
    assert!(thread.join().unwrap().is_empty());
}

/// What a server with this certificate is told after RKS_CERT.
fn told(certificate: &pki::Certificate) -> (Option<ErrorCode>, String) {
    let (mut terminal, _, mut rks) = identified();
    let (near, far) = UnixStream::pair().unwrap();
    let certificate = certificate.clone();
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        let auth = link.receive().unwrap();
        link.send(&rks.cert(&auth, &certificate)).unwrap();
        ErrorMessage::read(&link.receive().unwrap().message().unwrap().fields).known_code()
    });
    let error = rks_load(&mut terminal, Link::new(near), &[slot(1)]).unwrap_err();
    assert_eq!(terminal.pad().refusals().newest().unwrap().check, "certificate");
    (thread.join().unwrap(), error.to_string())
}

#[test]
fn a_terminal_without_a_dik2_says_nothing_on_the_line() {
    let (mut terminal, _) = estate().full_terminal();
    let (near, far) = UnixStream::pair().unwrap();
    let error = rks_load(&mut terminal, Link::new(near), &[slot(1)]).unwrap_err();
    assert!(error.to_string().contains("no DIK2"), "{error}");
    assert!(matches!(Link::new(far).receive(), Err(LinkError::Closed)));
}

#[test]
fn a_server_of_another_root_or_role_is_0005() {
    for certificate in [foreign(Role::RksWork).1, estate().certificate(Role::KmsWork)] {
        let (code, error) = told(&certificate);
        assert_eq!(code, Some(ErrorCode::ServerAuthenticationFailed));
        assert!(error.starts_with("0005"), "{error}");
    }
}

#[test]
fn lid_opened_while_the_terminal_waits_for_the_server_is_0008() {
    let (mut terminal, board, mut rks) = identified();
    let (near, far) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        let auth = link.receive().unwrap();
        link.send(&rks.cert(&auth, &estate().certificate(Role::RksWork))).unwrap();
        link.receive().unwrap();
        board.change(|readings| readings.lid_open = true);
        ErrorMessage::read(&link.receive().unwrap().message().unwrap().fields)
    });
    rks_load(&mut terminal, Link::new(near), &[slot(1)]).unwrap_err();
    let error = thread.join().unwrap();
    assert_eq!(error.known_code(), Some(ErrorCode::NotPermittedNow));
    assert_eq!(flows::RefusalRecord::read(&error.refusals[0]).unwrap().check, "lid");
    assert_eq!(terminal.pad().life_cycle(), crate::LifeCycle::Tampered);
    assert!(terminal.pad().identity().is_none());
}

#[test]
fn refusals_are_told_with_rks_auth_and_once() {
    let (mut terminal, board, mut rks) = identified();
    board.change(|readings| readings.celsius = 80);
    rks_load(&mut terminal, Link::new(UnixStream::pair().unwrap().0), &[slot(1)]).unwrap_err();
    board.change(|readings| readings.celsius = 20);
    let (near, far) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        [1, 2].map(|index| {
            let auth = run_server(&mut link, &mut rks, &[index], index == 1).unwrap();
            let fields = auth.message().unwrap().fields;
            let records = fields.templates(wire::Tag::REFUSAL_RECORD);
            records.map(|record| flows::RefusalRecord::read(record).unwrap().reading).collect::<Vec<_>>()
        })
    });
    rks_load(&mut terminal, Link::new(near), &[slot(1), slot(2)]).unwrap();
    assert_eq!(thread.join().unwrap(), [vec!["80 C".to_owned()], vec![]]);
    assert_eq!(terminal.status().refusals.reported, 1);
}
