//! Signing in over a line, with a host that knows bytes only.

use std::os::unix::net::UnixStream;
use std::thread::{self, JoinHandle};

use paycrypto::keys;
use wire::{ErrorMessage, error_frame};

use super::*;
use crate::LinkError;
use crate::testing::peers::load;
use crate::testing::session_peers::Host;
use crate::testing::{estate, slot};

const PLACE: &str = "SN-1001/03";

/// A terminal with an older and a newer TMK in slot 3, and a host for each.
fn loaded() -> (Terminal, Host, Host) {
    let (mut terminal, _) = estate().full_terminal();
    let host = |terminal: &mut Terminal| {
        let tmk = keys::Tmk::generate().unwrap();
        load(terminal, &tmk, PLACE, None).unwrap();
        Host::new(&tmk)
    };
    let older = host(&mut terminal);
    let newer = host(&mut terminal);
    (terminal, older, newer)
}

/// Answers one SIGN_IN, with 0006 where it names a TMK that this host does not hold; its end is what came last.
fn serve(far: UnixStream, host: &Host) -> Result<Frame, LinkError> {
    let mut link = Link::new(far);
    let sign_in = link.receive()?;
    if sign_in.message().unwrap().fields.tdes_kcv().unwrap() != Kcv::Tdes(host.tmk.kcv()) {
        let code = ErrorCode::TerminalAuthenticationFailed;
        link.end_with(&error_frame(code, code.text()));
        return Ok(sign_in);
    }
    link.send(&host.working_keys(&sign_in, PLACE))?;
    let confirm = link.receive()?;
    link.send(&host.done(&sign_in))?;
    Ok(confirm)
}

/// A host that serves so many connections, one after another.
fn host(host: Host, connections: usize) -> (Vec<Link<UnixStream>>, JoinHandle<usize>) {
    let (near, far): (Vec<_>, Vec<_>) = (0..connections)
        .map(|_| UnixStream::pair().unwrap())
        .map(|(near, far)| (Link::new(near), far))
        .unzip();
    let thread = thread::spawn(move || far.into_iter().filter_map(|far| serve(far, &host).ok()).count());
    (near, thread)
}

fn connect(links: Vec<Link<UnixStream>>) -> impl FnMut() -> Result<Link<UnixStream>, SignInError> {
    let mut links = links.into_iter();
    move || links.next().ok_or_else(|| panic!("asked for another connection"))
}

#[test]
fn the_newest_tmk_signs_in_over_one_connection() {
    let (mut terminal, _, newer) = loaded();
    let kcvs = newer.kcvs();
    let (links, _thread) = host(newer, 1);
    let signed_in = sign_in(&mut terminal, connect(links), slot(3)).unwrap();
    assert_eq!(signed_in, SignedIn { slot: slot(3), kcvs, tmk: Tmk::Newest });
    assert_eq!(terminal.status().slots[0].previous_kcv, None);
    assert!(terminal.status().slots[0].pik_kcv.is_some());
}

#[test]
fn a_host_that_does_not_know_the_newest_gets_the_one_before_over_another_connection() {
    let (mut terminal, older, _) = loaded();
    let kcvs = older.kcvs();
    let (links, thread) = host(older, 2);
    let signed_in = sign_in(&mut terminal, connect(links), slot(3)).unwrap();
    assert_eq!(signed_in, SignedIn { slot: slot(3), kcvs, tmk: Tmk::Previous });
    assert_eq!(thread.join().unwrap(), 2);
    assert!(terminal.status().slots[0].previous_kcv.is_some());
}

#[test]
fn a_host_that_knows_neither_is_told_apart_from_a_broken_line() {
    let (mut terminal, ..) = loaded();
    let (links, _thread) = host(Host::new(&keys::Tmk::generate().unwrap()), 2);
    let error = sign_in(&mut terminal, connect(links), slot(3)).unwrap_err();
    let FlowError::Refused(ErrorMessage { code, .. }) = error else { panic!("{error}") };
    assert_eq!(code, ErrorCode::TerminalAuthenticationFailed.number());
    // With one TMK there is nothing else to try.
    let (mut terminal, _) = estate().full_terminal();
    load(&mut terminal, &keys::Tmk::generate().unwrap(), PLACE, None).unwrap();
    let (links, _thread) = host(Host::new(&keys::Tmk::generate().unwrap()), 1);
    let error = sign_in(&mut terminal, connect(links), slot(3)).unwrap_err();
    assert!(matches!(error, FlowError::Refused(_)), "{error}");
}

#[test]
fn a_line_cut_at_each_message_leaves_what_the_next_sign_in_mends() {
    for cut in 0..4 {
        let (mut terminal, _, newer) = loaded();
        let (near, far) = UnixStream::pair().unwrap();
        let again = Host::new(&newer.tmk);
        let thread = thread::spawn(move || {
            let mut link = Link::new(far);
            if cut == 0 {
                return;
            }
            let sign_in = link.receive().unwrap();
            if cut == 1 {
                return;
            }
            link.send(&newer.working_keys(&sign_in, PLACE)).unwrap();
            if cut == 2 {
                return;
            }
            link.receive().unwrap();
        });
        let error = sign_in_over(&mut terminal, Link::new(near), slot(3), Tmk::Newest).unwrap_err();
        assert!(matches!(error, FlowError::Link(_)), "{cut}: {error}");
        thread.join().unwrap();
        assert!(terminal.status().slots[0].pik_kcv.is_none(), "{cut}");
        assert!(terminal.status().slots[0].previous_kcv.is_some(), "{cut}");
        let (links, _thread) = host(again, 1);
        sign_in(&mut terminal, connect(links), slot(3)).unwrap();
    }
}

#[test]
fn a_refusal_tells_the_host_its_code_and_its_record() {
    let (mut terminal, _, newer) = loaded();
    let (near, far) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        let sign_in = link.receive().unwrap();
        link.send(&newer.working_keys(&sign_in, "SN-1001/04")).unwrap();
        let error = link.receive().unwrap();
        ErrorMessage::read(&error.message().unwrap().fields)
    });
    let error = sign_in_over(&mut terminal, Link::new(near), slot(3), Tmk::Newest).unwrap_err();
    assert!(matches!(error, FlowError::Fault { .. }), "{error}");
    let told = thread.join().unwrap();
    assert_eq!(told.code, ErrorCode::KeyRefused.number());
    assert_eq!(told.refusals.len(), 1);
}

#[test]
fn a_slot_without_a_tmk_says_nothing_to_the_host() {
    let (mut terminal, ..) = loaded();
    let (near, far) = UnixStream::pair().unwrap();
    let error = sign_in_over(&mut terminal, Link::new(near), slot(9), Tmk::Newest).unwrap_err();
    assert!(matches!(&error, FlowError::Fault { reason } if reason.to_string().contains("slot 09")));
    assert!(matches!(Link::new(far).receive(), Err(LinkError::Closed)));
}

/// In suite 02: the newest TMK first, and for a host that does not know it the one of suite 01 before it, over another
/// connection.
#[test]
fn the_suite_is_that_of_the_tmk() {
    use paycrypto::ec::keys::Tmk as EcTmk;

    use crate::testing::peers::{frame, tlv, value};
    use crate::testing::session_peers::working_keys_of;
    use crate::testing::session_peers_ec::EcHost;

    let (mut terminal, _) = estate().full_terminal();
    let old = keys::Tmk::generate().unwrap();
    load(&mut terminal, &old, PLACE, None).unwrap();
    let tmk = || EcTmk::from_bytes(&std::array::from_fn(|at| u8::try_from(at * 11 + 5).unwrap()));
    terminal.pad_mut().give_ec_tmk(slot(3), tmk());

    let before = Host::new(&old);
    let kcvs = before.kcvs();
    let (near, far): (Vec<_>, Vec<_>) = (0..2).map(|_| UnixStream::pair().unwrap()).unzip();
    let thread = thread::spawn(move || {
        let mut far = far.into_iter();
        let mut first = Link::new(far.next().unwrap());
        let sign_in = first.receive().unwrap();
        assert_eq!(value(&sign_in, 0xDF01), [2]);
        let code = ErrorCode::TerminalAuthenticationFailed;
        first.end_with(&error_frame(code, code.text()));
        serve(far.next().unwrap(), &before).unwrap();
    });
    let links = near.into_iter().map(Link::new).collect();
    let signed_in = sign_in(&mut terminal, connect(links), slot(3)).unwrap();
    assert_eq!(signed_in, SignedIn { slot: slot(3), kcvs, tmk: Tmk::Previous });
    thread.join().unwrap();

    let host = EcHost::new(&tmk());
    let kcvs = host.kcvs();
    let (near, far) = UnixStream::pair().unwrap();
    let thread = thread::spawn(move || {
        let mut link = Link::new(far);
        let sign_in = link.receive().unwrap();
        let nonce: [u8; 32] = value(&sign_in, 0xDF14).try_into().unwrap();
        let blocks = host.blocks(&sign_in, PLACE);
        link.send(&working_keys_of(&blocks.each_ref().map(String::as_str))).unwrap();
        let confirm = link.receive().unwrap();
        assert_eq!(confirm, frame(0x43, &[tlv(0xDF52, &host.confirmed(&nonce))]));
        link.send(&host.done(&nonce)).unwrap();
    });
    let signed_in = sign_in(&mut terminal, connect(vec![Link::new(near)]), slot(3)).unwrap();
    assert_eq!(signed_in, SignedIn { slot: slot(3), kcvs, tmk: Tmk::Newest });
    thread.join().unwrap();
    assert_eq!(terminal.pad().sign_in_order(slot(3)), [(Suite::EC_AES, 0)]);
}
