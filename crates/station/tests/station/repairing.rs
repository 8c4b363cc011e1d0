//! Repair, at the product's own terminal in memory, over TCP.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use flows::{
    collect::{Collected, station},
    tmk_download::{
        kms::{Confirm, ExpectHello},
        terminal::Start,
    },
};
use keyferry_station::{
    Checks, Error, FileCard, LinkLimits,
    link::LinkError,
    repair::{MAX_VALID_MINUTES, RepairCard, RepairFault, RepairSettings, Repaired, repair},
};
use paycrypto::{blocks::wrap_tmk, keys::Tmk, rsa::PrivateKey, tk::UncheckedTk};
use pki::{Certificate, CertificateRefusal, Role};
use terminal::{
    FixedClock, LifeCycle, NewTerminal, PinPad, Terminal, TrustedRoot, board::SharedBoard, collect, listen,
};
use wire::{Device, ErrorCode, ErrorMessage, Frame, Kcv, MessageType, Serial, Slot};

use crate::estate::{ADMINISTRATOR_PIN, Cards, ESTATE, expired, now, valid};
use crate::fake_terminal::{receive, sending};

const SN: &str = "SN-1001";
const CARD: &str = "repair.pem";
const QUICK: LinkLimits = LinkLimits {
    connect: Duration::from_secs(2),
    idle: Duration::from_secs(5),
    message: Duration::from_secs(5),
};

fn serial(text: &str) -> Serial {
    Serial::parse(text).unwrap()
}

/// The vendor's card, as a file; another person's key serves.
fn vendors() -> (Cards, Certificate) {
    let cards = Cards::none();
    let leaf = ESTATE.leaf(Role::RepairAuthorisation, "Vera Vendor", &ESTATE.administrator, valid());
    cards.write(CARD, &ESTATE.administrator, &leaf);
    (cards, leaf)
}

fn open(cards: &Cards, checks: &Checks) -> Result<RepairCard, Error> {
    RepairCard::open(Box::new(FileCard::insert(&cards.path(CARD))?), ADMINISTRATOR_PIN, checks)
}

fn repair_at(card: &RepairCard, address: SocketAddr, sn: &str) -> Result<Repaired, RepairFault> {
    let settings = RepairSettings { limits: QUICK, ..RepairSettings::default() };
    repair(card, &address.to_string(), &serial(sn), &settings)
}

/// A deployed terminal with a TMK, which believes the estate's root as its vendor's, and its sensors.
fn deployed() -> (Terminal, SharedBoard) {
    deployed_of(TrustedRoot::of_vendor(ESTATE.root.clone()), None)
}

fn deployed_of(vendor: TrustedRoot, pin_pad: Option<&str>) -> (Terminal, SharedBoard) {
    let mut roles = vendor.roles.clone();
    roles.push(Role::KmsWork);
    let root = TrustedRoot { roles, ..vendor };
    let new =
        NewTerminal { roots: vec![root], pin_pad: pin_pad.map(serial), ..NewTerminal::named(serial(SN)) };
    let mut terminal = Terminal::in_memory(new).unwrap();
    let board = SharedBoard::default();
    terminal.set_board(board.clone());
    download(&mut terminal);
    assert_eq!((terminal.pad().life_cycle(), terminal.pad().slots().len()), (LifeCycle::Deployed, 1));
    (terminal, board)
}

/// Collects the terminal and loads a TMK, by a KMS with clear keys.
fn download(terminal: &mut Terminal) {
    let work = PrivateKey::generate(2048).unwrap();
    let leaf = ESTATE.leaf_of(Role::KmsWork, "KMS", work.spki_der(), valid());
    let key = flows::collect::CollectKey::Certificate {
        leaf: leaf.der().to_vec(),
        intermediates: vec![ESTATE.intermediate.der().to_vec()],
    };
    let (ask, _) = station::Start::new(key, 256).begin().unwrap();
    let collected = <Collected>::read(&collect::answer(terminal, &ask).unwrap().frame).unwrap();
    let clear = work.oaep_decrypt(&collected.ctk_pu).unwrap();
    let tk = UncheckedTk::new(clear).check().unwrap();
    let tmk = Tmk::generate().unwrap();

    let (device, slot) = (terminal.device().clone(), Slot::new(3).unwrap());
    let place = format!("{}/{slot}", device.pin_pad());
    let pad = terminal.pad_mut();
    let (hello, at_terminal) = Start::new(device, slot).begin(pad).unwrap();
    let hello = ExpectHello::new().on_frame(&hello).unwrap();
    let crnd1 = tk.auk().answer(hello.rnd1());
    let (challenge, at_kms) = hello.challenge(crnd1, [0x80, 1, 2, 3, 4, 5, 6, 7]).unwrap();
    let (reply, at_terminal) = at_terminal.on_frame(pad, &challenge).unwrap();
    let reply = at_kms.on_frame(&reply).unwrap();
    let block = wrap_tmk(tk.tek(), &tmk, &place, reply.context().as_bytes()).unwrap();
    let (key, at_kms) = reply.deliver(&block, Kcv::Tdes(tmk.kcv())).unwrap();
    let (confirm, at_terminal) = at_terminal.on_frame(pad, &key).unwrap();
    let Confirm::Opened(confirmed) = at_kms.on_frame(&confirm).unwrap().compare() else {
        panic!("wrong check value")
    };
    at_terminal.on_frame(pad, &confirmed.done().unwrap()).unwrap();
}

fn tampered() -> Terminal {
    tampered_with().0
}

fn tampered_with() -> (Terminal, SharedBoard) {
    let (mut terminal, board) = deployed();
    board.change(|readings| readings.lid_open = true);
    terminal.poll().unwrap_err();
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Tampered);
    (terminal, board)
}

/// The terminal, listening until it is taken back.
struct Listening {
    address: SocketAddr,
    stop: Arc<AtomicBool>,
    events: Arc<Mutex<Vec<listen::Event>>>,
    thread: JoinHandle<Terminal>,
}

impl Listening {
    fn start(mut terminal: Terminal) -> Listening {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, events) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (stopped, happened) = (Arc::clone(&stop), Arc::clone(&events));
        let thread = thread::spawn(move || {
            let mut keep = |event: &listen::Event| happened.lock().unwrap().push(event.clone());
            listen::serve(&listener, &mut terminal, &|| stopped.load(Ordering::Relaxed), &mut keep).unwrap();
            terminal
        });
        Listening { address, stop, events, thread }
    }

    fn take(self) -> (Terminal, Vec<listen::Event>) {
        // What the station said last may still be on its way.
        thread::sleep(Duration::from_millis(50));
        self.stop.store(true, Ordering::Relaxed);
        let terminal = self.thread.join().unwrap();
        (terminal, std::mem::take(&mut self.events.lock().unwrap()))
    }
}

/// The code of the terminal's refusal of an authorisation.
fn refused(result: Result<Repaired, RepairFault>) -> ErrorCode {
    match result {
        Err(RepairFault::Refused(message)) => message.known_code().unwrap(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_tampered_terminal_is_repaired() {
    let (cards, _) = vendors();
    let listening = Listening::start(tampered());
    let before = now();
    let card = open(&cards, &ESTATE.checks()).unwrap();
    let done = repair_at(&card, listening.address, SN).unwrap();
    assert_eq!(done.device, Device::built_in(serial(SN)));
    assert!((before + 3600..=now() + 3600).contains(&done.expiry.unix()), "{}", done.expiry);
    let (terminal, events) = listening.take();
    assert!(events.contains(&listen::Event::Repaired), "{events:?}");
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Repair);
    assert!(terminal.pad().slots().is_empty() && terminal.pad().open_challenge().is_none());
}

#[test]
fn keys_of_a_deployed_terminal_are_wiped_and_it_is_collected_again() {
    let (cards, _) = vendors();
    let listening =
        Listening::start(deployed_of(TrustedRoot::of_vendor(ESTATE.root.clone()), Some("PP-7")).0);
    let card = open(&cards, &ESTATE.checks()).unwrap();
    let done = repair_at(&card, listening.address, SN).unwrap();
    assert_eq!(done.device.pin_pad(), &serial("PP-7"));
    let (mut terminal, _) = listening.take();
    assert_eq!((terminal.pad().life_cycle(), terminal.pad().slots().len()), (LifeCycle::Repair, 0));
    assert!(terminal.pad().latch().is_none());
    download(&mut terminal);
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Deployed);
}

#[test]
fn an_authorisation_that_expired_by_the_terminals_clock_is_0008() {
    let (cards, _) = vendors();
    let mut terminal = tampered();
    terminal.set_clock(FixedClock(now() + 2 * 3600));
    let listening = Listening::start(terminal);
    let card = open(&cards, &ESTATE.checks()).unwrap();
    let refusal = repair_at(&card, listening.address, SN).unwrap_err();
    assert!(refusal.advice().contains("compare the clocks"), "{}", refusal.advice());
    assert!(refusal.to_string().contains("expired"), "{refusal}");
    assert_eq!(refused(Err(refusal)), ErrorCode::NotPermittedNow);
    // The challenge is still good: a longer authorisation repairs it.
    let longer = RepairSettings { valid_minutes: 180, limits: QUICK };
    repair(&card, &listening.address.to_string(), &serial(SN), &longer).unwrap();
    assert_eq!(listening.take().0.pad().life_cycle(), LifeCycle::Repair);
}

#[test]
fn an_authorisation_for_no_time_or_too_long_is_not_made() {
    let (cards, _) = vendors();
    let card = open(&cards, &ESTATE.checks()).unwrap();
    for valid_minutes in [0, MAX_VALID_MINUTES + 1] {
        let settings = RepairSettings { valid_minutes, limits: QUICK };
        let refusal = repair(&card, "127.0.0.1:1", &serial(SN), &settings).unwrap_err();
        assert!(matches!(refusal, RepairFault::Validity { minutes } if minutes == valid_minutes));
    }
}

fn card_refused(cards: &Cards, checks: &Checks) -> CertificateRefusal {
    match open(cards, checks) {
        Err(Error::CardRefused { role: Role::RepairAuthorisation, reason, .. }) => reason,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_card_of_every_other_role_is_refused() {
    for role in Role::SUITE_01.into_iter().filter(|role| *role != Role::RepairAuthorisation) {
        let cards = Cards::none();
        let leaf = ESTATE.leaf(role, "Other", &ESTATE.administrator, valid());
        cards.write(CARD, &ESTATE.administrator, &leaf);
        let reason = card_refused(&cards, &ESTATE.checks());
        assert!(matches!(reason, CertificateRefusal::WrongRole { found, .. } if found == role), "{reason}");
    }
}

#[test]
fn an_expired_and_a_revoked_card_are_refused() {
    let (cards, leaf) = vendors();
    let reason = card_refused(&cards, &ESTATE.checks_revoking(&[&leaf]));
    assert!(matches!(reason, CertificateRefusal::Revoked { .. }), "{reason}");
    let leaf = ESTATE.leaf(Role::RepairAuthorisation, "Vera Vendor", &ESTATE.administrator, expired());
    cards.write(CARD, &ESTATE.administrator, &leaf);
    let reason = card_refused(&cards, &ESTATE.checks());
    assert!(matches!(reason, CertificateRefusal::Expired { .. }), "{reason}");
}

#[test]
fn a_wrong_pin_and_a_card_taken_out_are_refused() {
    let (cards, _) = vendors();
    let face = FileCard::insert(&cards.path(CARD)).unwrap();
    let wrong = RepairCard::open(Box::new(face), "wrong-pin", &ESTATE.checks());
    assert!(matches!(wrong, Err(Error::CardPin { .. })), "{wrong:?}");
    let card = open(&cards, &ESTATE.checks()).unwrap();
    cards.remove(CARD);
    let listening = Listening::start(tampered());
    let refusal = repair_at(&card, listening.address, SN).unwrap_err();
    assert!(matches!(refusal, RepairFault::Card(Error::CardMissing { .. })), "{refusal}");
    let (terminal, events) = listening.take();
    assert_eq!((events.len(), terminal.pad().life_cycle()), (0, LifeCycle::Tampered));
}

#[test]
fn a_root_that_may_not_authorise_repairs_at_this_terminal_is_000d() {
    let (cards, _) = vendors();
    let (terminal, _) = deployed_of(TrustedRoot::of_acquirer(ESTATE.root.clone()), None);
    let listening = Listening::start(terminal);
    let card = open(&cards, &ESTATE.checks()).unwrap();
    assert_eq!(refused(repair_at(&card, listening.address, SN)), ErrorCode::CertificateRefused);
    let (terminal, _) = listening.take();
    assert_eq!((terminal.pad().life_cycle(), terminal.pad().slots().len()), (LifeCycle::Deployed, 1));
}

#[test]
fn a_terminal_of_another_serial_is_0004_and_gets_no_signature() {
    let (cards, _) = vendors();
    let listening = Listening::start(tampered());
    let card = open(&cards, &ESTATE.checks()).unwrap();
    let refusal = repair_at(&card, listening.address, "SN-1002").unwrap_err();
    let RepairFault::OtherSerial { expected, found } = &refusal else { panic!("{refusal}") };
    assert_eq!((expected, found), (&serial("SN-1002"), &serial(SN)));
    let (terminal, events) = listening.take();
    let told = |event: &listen::Event| match event {
        listen::Event::PeerError { message } => message.known_code() == Some(ErrorCode::UnknownTerminal),
        _ => false,
    };
    assert!(events.iter().any(told), "{events:?}");
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Tampered);
}

/// Stands between station and terminal, and keeps what the station sent.
fn relay(terminal: SocketAddr) -> (SocketAddr, JoinHandle<Vec<Frame>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let thread = thread::spawn(move || {
        let (mut station, _) = listener.accept().unwrap();
        let mut onward = TcpStream::connect(terminal).unwrap();
        let mut pass = || {
            let frame = receive(&mut station);
            onward.write_all(frame.bytes()).unwrap();
            station.write_all(receive(&mut onward).bytes()).unwrap();
            frame
        };
        vec![pass(), pass()]
    });
    (address, thread)
}

fn told(address: SocketAddr, frame: &Frame) -> ErrorCode {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(frame.bytes()).unwrap();
    let message = receive(&mut stream).message().unwrap();
    assert_eq!(message.kind, MessageType::Error);
    ErrorMessage::read(&message.fields).known_code().unwrap()
}

#[test]
fn a_challenge_is_used_once() {
    let (cards, _) = vendors();
    let card = open(&cards, &ESTATE.checks()).unwrap();
    let (terminal, board) = tampered_with();
    let listening = Listening::start(terminal);
    let (between, kept) = relay(listening.address);
    repair_at(&card, between, SN).unwrap();
    let sent = kept.join().unwrap();
    let authorisation = sent.last().unwrap();
    assert_eq!(authorisation.kind().unwrap(), MessageType::Repair);
    // In repair: no challenge is open, and none is given.
    assert_eq!(told(listening.address, authorisation), ErrorCode::NotPermittedNow);
    let again = repair_at(&card, listening.address, SN).unwrap_err();
    assert!(matches!(&again, RepairFault::NoChallenge(message)
        if message.known_code() == Some(ErrorCode::NotPermittedNow)));
    assert!(again.advice().contains("deployed or tampered"), "{}", again.advice());
    // Deployed again, with a new challenge open: the old authorisation is not over it.
    let (mut terminal, _) = listening.take();
    board.change(|readings| readings.lid_open = false);
    download(&mut terminal);
    terminal.pad_mut().repair_challenge().unwrap();
    let listening = Listening::start(terminal);
    assert_eq!(told(listening.address, authorisation), ErrorCode::ServerAuthenticationFailed);
    let (terminal, _) = listening.take();
    assert_eq!((terminal.pad().life_cycle(), terminal.pad().slots().len()), (LifeCycle::Deployed, 1));
}

#[test]
fn a_terminal_in_production_gives_no_challenge() {
    let (cards, _) = vendors();
    let card = open(&cards, &ESTATE.checks()).unwrap();
    let listening = Listening::start(Terminal::in_memory(NewTerminal::named(serial(SN))).unwrap());
    let refusal = repair_at(&card, listening.address, SN).unwrap_err();
    assert!(matches!(refusal, RepairFault::NoChallenge(_)), "{refusal}");
    listening.take();
}

#[test]
fn a_lost_done_is_not_taken_for_a_failure() {
    let (cards, _) = vendors();
    let card = open(&cards, &ESTATE.checks()).unwrap();
    let listening = Listening::start(tampered());
    let front = TcpListener::bind("127.0.0.1:0").unwrap();
    let (address, behind) = (front.local_addr().unwrap(), listening.address);
    let thread = thread::spawn(move || {
        let (mut station, _) = front.accept().unwrap();
        let mut onward = TcpStream::connect(behind).unwrap();
        onward.write_all(receive(&mut station).bytes()).unwrap();
        station.write_all(receive(&mut onward).bytes()).unwrap();
        onward.write_all(receive(&mut station).bytes()).unwrap();
        // DONE stays here.
        receive(&mut onward);
    });
    let refusal = repair_at(&card, address, SN).unwrap_err();
    thread.join().unwrap();
    assert!(matches!(refusal, RepairFault::Unknown(LinkError::Closed)), "{refusal}");
    assert_eq!(listening.take().0.pad().life_cycle(), LifeCycle::Repair);
}

#[test]
fn answers_that_are_none_are_refused() {
    let (cards, _) = vendors();
    let card = open(&cards, &ESTATE.checks()).unwrap();
    let settings = RepairSettings { limits: QUICK, ..RepairSettings::default() };
    let at = |target: keyferry_station::Target| {
        repair(&card, target.address(), &serial(SN), &settings).unwrap_err()
    };
    let garbage = at(sending(vec![0, 1, 1]));
    assert!(matches!(garbage, RepairFault::Link(LinkError::Malformed(_))), "{garbage}");
    let done = flows::Done.write().unwrap();
    let out_of_order = at(sending(done.bytes().to_vec()));
    assert!(matches!(out_of_order, RepairFault::Flow(_)), "{out_of_order}");
    let closed = at(sending(Vec::new()));
    assert!(matches!(closed, RepairFault::Link(LinkError::Closed)), "{closed}");
}
