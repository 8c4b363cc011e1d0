//! Loading, repair and tampering over TCP, by peers that know bytes only.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use paycrypto::keys::Tmk;
use pki::Role;
use wire::{ErrorCode, ErrorMessage, Frame, FrameDecoder, MessageType};

use super::{Event, serve_with};
use crate::board::{Board, BoardError, Readings, SharedBoard};
use crate::testing::peers::{Kld, done, foreign, frame, kld_key, load, repair_frame, tlv, value};
use crate::testing::{DAY, estate};
use crate::{FixedClock, LifeCycle, LinkLimits, PinPad, Terminal};

const PLACE: &str = "SN-1001/03";

/// Serves a terminal while `talk` runs; gives back what happened.
fn served(terminal: &mut Terminal, talk: impl FnOnce(SocketAddr) + Send) -> Vec<Event> {
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
        let limits = LinkLimits { idle: Duration::from_secs(5), message: Duration::from_secs(5) };
        serve_with(&listener, limits, terminal, &stopped, &mut |event| events.push(event.clone())).unwrap();
    });
    events.retain(|event| !matches!(event, Event::Connected { .. }));
    events
}

/// A peer's end of the line.
struct Peer(TcpStream, FrameDecoder);

impl Peer {
    fn new(address: SocketAddr) -> Peer {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        Peer(stream, FrameDecoder::new())
    }

    fn send(&mut self, frame: &Frame) {
        self.0.write_all(frame.bytes()).unwrap();
    }

    fn receive(&mut self) -> Frame {
        let mut byte = [0];
        loop {
            if let Some(frame) = self.1.next().unwrap() {
                return frame;
            }
            self.0.read_exact(&mut byte).unwrap();
            self.1.push(&byte).unwrap();
        }
    }

    /// The ERROR after which both sides close.
    fn error(&mut self) -> (ErrorCode, Vec<String>) {
        let message = self.receive().message().unwrap();
        assert_eq!(message.kind, MessageType::Error);
        assert_eq!(self.0.read(&mut [0]).unwrap(), 0);
        let error = ErrorMessage::read(&message.fields);
        let checks = error.refusals.iter().map(|record| flows::RefusalRecord::read(record).unwrap().check);
        (error.known_code().unwrap(), checks.collect())
    }

    fn ask(&mut self, frame: &Frame) -> Frame {
        self.send(frame);
        self.receive()
    }
}

fn deployed() -> (Terminal, SharedBoard) {
    let (mut terminal, board) = estate().full_terminal();
    load(&mut terminal, &Tmk::generate().unwrap(), PLACE, None).unwrap();
    (terminal, board)
}

#[test]
fn a_kld_loads_two_keys_on_one_connection() {
    let (mut terminal, _) = estate().full_terminal();
    let keys = [Tmk::generate().unwrap(), Tmk::generate().unwrap()];
    let kcvs: Vec<_> = keys.iter().map(|key| wire::Kcv::Tdes(key.kcv())).collect();
    let events = served(&mut terminal, |address| {
        let mut peer = Peer::new(address);
        for (key, place) in keys.iter().zip(["SN-1001/03", "SN-1001/04"]) {
            let mut kld = Kld::new(&estate().certificate(Role::Downloader));
            let connect = kld.connect.clone();
            kld.accept(&peer.ask(&connect));
            let confirm = peer.ask(&kld_key(&kld.fields(&kld.block(key, place), None)));
            let entry = confirm.message().unwrap().fields.templates(wire::Tag::KEY_ENTRY).next().cloned();
            assert_eq!(entry.unwrap().tdes_kcv().unwrap(), wire::Kcv::Tdes(key.kcv()));
            peer.send(&done());
        }
        // The terminal says nothing to DONE; its end of the line says that it has read it.
        peer.0.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(peer.0.read(&mut [0]).unwrap(), 0);
    });
    assert_eq!(events, [Event::Loaded { kcv: kcvs[0] }, Event::Loaded { kcv: kcvs[1] }]);
    assert_eq!((terminal.pad().slots().len(), terminal.pad().life_cycle()), (2, LifeCycle::Deployed));
}

/// What a KLD with this certificate is told.
fn told(terminal: &mut Terminal, certificate: &pki::Certificate, suite: u8) -> (ErrorCode, Vec<String>) {
    let connect = frame(0x21, &[tlv(0xDF01, &[suite]), tlv(0xDF0C, certificate.der())]);
    let mut answer = None;
    served(terminal, |address| {
        let mut peer = Peer::new(address);
        peer.send(&connect);
        answer = Some(peer.error());
    });
    assert!(terminal.pad().slots().is_empty());
    answer.unwrap()
}

#[test]
fn a_kld_of_another_acquirer_is_000d_and_the_terminal_remembers() {
    let (mut terminal, _) = estate().full_terminal();
    let (_, leaf) = foreign(Role::Downloader);
    let expected = (ErrorCode::CertificateRefused, vec!["certificate".to_owned()]);
    assert_eq!(told(&mut terminal, &leaf, 1), expected);
    assert!(terminal.pad().refusals().newest().unwrap().reading.contains("does not know"));
}

#[test]
fn another_role_and_an_expired_certificate_are_000d() {
    let (mut terminal, _) = estate().full_terminal();
    for role in Role::SUITE_01.into_iter().filter(|role| *role != Role::Downloader) {
        let (code, _) = told(&mut terminal, &estate().certificate(role), 1);
        assert_eq!(code, ErrorCode::CertificateRefused, "{role}");
    }
    terminal.set_clock(FixedClock(estate().now + 60 * DAY));
    let (code, _) = told(&mut terminal, &estate().certificate(Role::Downloader), 1);
    assert_eq!(code, ErrorCode::CertificateRefused);
}

#[test]
fn a_suite_that_nobody_has_is_0009_to_a_proven_kld_and_000d_to_another() {
    let (mut terminal, _) = estate().full_terminal();
    let (code, _) = told(&mut terminal, &estate().certificate(Role::Downloader), 3);
    assert_eq!(code, ErrorCode::SuiteNotSupported);
    let (code, _) = told(&mut terminal, &foreign(Role::Downloader).1, 3);
    assert_eq!(code, ErrorCode::CertificateRefused);
}

#[test]
fn a_retired_terminal_is_0008_before_it_looks_at_a_certificate() {
    let (mut terminal, _) = estate().full_terminal();
    terminal.retire().unwrap();
    let (code, checks) = told(&mut terminal, &foreign(Role::Downloader).1, 1);
    assert_eq!((code, checks), (ErrorCode::NotPermittedNow, vec!["life-cycle".to_owned()]));
}

#[test]
fn lid_opened_while_the_terminal_waits_is_0008_at_once() {
    let (mut terminal, board) = deployed();
    let events = served(&mut terminal, |address| {
        let mut peer = Peer::new(address);
        let mut kld = Kld::new(&estate().certificate(Role::Downloader));
        let connect = kld.connect.clone();
        kld.accept(&peer.ask(&connect));
        board.change(|readings| readings.lid_open = true);
        // Nothing is sent: the terminal finds it while it waits.
        assert_eq!(peer.error(), (ErrorCode::NotPermittedNow, vec!["lid".to_owned()]));
    });
    assert!(matches!(&events[..], [Event::Refused { code: ErrorCode::NotPermittedNow, .. }]), "{events:?}");
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Tampered);
    assert!(terminal.pad().slots().is_empty());
}

#[test]
fn lid_opened_while_nobody_is_there_is_told_once() {
    let (mut terminal, board) = deployed();
    let events = served(&mut terminal, |_| {
        board.change(|readings| readings.lid_open = true);
        std::thread::sleep(Duration::from_millis(400));
    });
    assert!(matches!(&events[..], [Event::Tampered { .. }]), "{events:?}");
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Tampered);
}

/// A board that counts the looks at it.
struct Counted(Arc<AtomicUsize>);

impl Board for Counted {
    fn readings(&mut self) -> Result<Readings, BoardError> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Ok(Readings::NOMINAL)
    }
}

#[test]
fn a_caller_who_says_nothing_does_not_keep_the_terminal_from_its_sensors() {
    let (mut terminal, _) = deployed();
    let looks = Arc::new(AtomicUsize::new(0));
    terminal.set_board(Counted(Arc::clone(&looks)));
    served(&mut terminal, |address| {
        let mut peer = Peer::new(address);
        // It is this caller's turn when it is answered; then it says half a message, and no more.
        peer.send(&frame(0x56, &[]));
        peer.receive();
        peer.0.write_all(&[0]).unwrap();
        let before = looks.load(Ordering::SeqCst);
        std::thread::sleep(Duration::from_millis(1000));
        let after = looks.load(Ordering::SeqCst);
        assert!(after >= before + 3, "{before} {after}");
    });
}

#[test]
fn a_repair_over_two_connections() {
    let (mut terminal, board) = deployed();
    board.change(|readings| readings.lid_open = true);
    let _ = terminal.poll();
    let events = served(&mut terminal, |address| {
        let challenge = Peer::new(address).ask(&frame(0x56, &[]));
        assert_eq!(value(&challenge, 0xDF02), b"SN-1001");
        let repair = repair_frame(&value(&challenge, 0xDF26), "SN-1001", estate().now + DAY);
        let answer = Peer::new(address).ask(&repair);
        assert_eq!(answer.bytes(), done().bytes());
        // Used once.
        let mut again = Peer::new(address);
        again.send(&repair);
        assert_eq!(again.error().0, ErrorCode::NotPermittedNow);
    });
    assert!(matches!(&events[..2], [Event::Challenged, Event::Repaired]), "{events:?}");
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Repair);
}

#[test]
fn refusals_of_a_repair_have_their_codes() {
    let (mut terminal, _) = deployed();
    served(&mut terminal, |address| {
        let challenge = value(&Peer::new(address).ask(&frame(0x56, &[])), 0xDF26);
        let told = |frame: &Frame| {
            let mut peer = Peer::new(address);
            peer.send(frame);
            peer.error().0
        };
        let until = estate().now + DAY;
        let wrong_serial = repair_frame(&challenge, "SN-1002", until);
        assert_eq!(told(&wrong_serial), ErrorCode::ServerAuthenticationFailed);
        let expired = repair_frame(&challenge, "SN-1001", estate().now - DAY);
        assert_eq!(told(&expired), ErrorCode::NotPermittedNow);
        let operator = estate().certificate(Role::Operator);
        let expiry = wire::BcdTime::from_unix(until).unwrap();
        let wrong_role = crate::testing::peers::repair_of(&operator, expiry, &[1]);
        assert_eq!(told(&wrong_role), ErrorCode::CertificateRefused);
        let (_, leaf) = foreign(Role::RepairAuthorisation);
        let stranger = crate::testing::peers::repair_of(&leaf, expiry, &[1]);
        assert_eq!(told(&stranger), ErrorCode::CertificateRefused);
        let no_time = frame(0x55, &[tlv(0xDF0C, leaf.der()), tlv(0xDF27, &[0; 6]), tlv(0xDF49, &[1])]);
        assert_eq!(told(&no_time), ErrorCode::Malformed);
    });
    assert_eq!((terminal.pad().life_cycle(), terminal.pad().slots().len()), (LifeCycle::Deployed, 1));
}

#[test]
fn a_terminal_in_production_gives_no_challenge() {
    let (mut terminal, _) = estate().full_terminal();
    served(&mut terminal, |address| {
        let mut peer = Peer::new(address);
        peer.send(&frame(0x56, &[]));
        assert_eq!(peer.error(), (ErrorCode::NotPermittedNow, vec!["repair".to_owned()]));
    });
}

#[test]
fn collecting_goes_on_and_what_begins_no_flow_here_is_0003() {
    let (mut terminal, _) = estate().full_terminal();
    let collect = estate().collect();
    let events = served(&mut terminal, |address| {
        assert_eq!(Peer::new(address).ask(&collect).kind().unwrap(), MessageType::Collected);
        for kind in [0x01, 0x05, 0x06, 0x12, 0x22, 0x23, 0x53, 0x54, 0x77] {
            let mut peer = Peer::new(address);
            peer.send(&frame(kind, &[]));
            assert_eq!(peer.error().0, ErrorCode::UnexpectedMessage, "{kind:02X}");
        }
    });
    assert!(matches!(events[0], Event::Collected { .. }));
}

#[test]
fn a_station_that_only_collects_is_served_by_collecting_alone() {
    let (mut terminal, _) = estate().full_terminal();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut peer = Peer::new(address);
            peer.send(&Kld::new(&estate().certificate(Role::Downloader)).connect);
            let told = peer.error().0;
            stop.store(true, Ordering::SeqCst);
            assert_eq!(told, ErrorCode::UnexpectedMessage);
        });
        let stopped = || stop.load(Ordering::SeqCst);
        crate::collect::serve(&listener, &mut terminal, &stopped, &mut |_| {}).unwrap();
    });
}

#[test]
fn a_caller_who_says_nothing_gives_way_with_000b_when_another_one_waits() {
    let ((mut terminal, _), collect) = (estate().full_terminal(), estate().collect());
    let events = served(&mut terminal, |address| {
        let mut silent = Peer::new(address);
        // It is served, and then says no more.
        silent.ask(&collect);
        let mut waits = Peer::new(address);
        assert_eq!(waits.ask(&collect).kind().unwrap(), MessageType::Collected);
        assert_eq!(silent.error().0, ErrorCode::Busy);
    });
    let told = |event: &Event| matches!(event, Event::LinkFailed { reason } if reason.contains("another"));
    assert!(events.iter().any(told), "{events:?}");
}
