//! Device keys that are certified over the cable: the terminal's role with a PIN pad of a few lines, on real sockets, and a
//! CA.

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use custody::{
    ca::{Ca, NewCa},
    keyfile::KeyKind,
};
use flows::{
    PadRefusal,
    device_certificate::{
        DevicePad, InstallRefusal, messages,
        terminal::{Ask, ExpectCertificate},
    },
};
use keyferry_station::{
    Checks, LinkLimits, Target,
    device::{self, DeviceCertificate, DeviceFault},
    link::{Link, LinkError},
};
use pki::{Certificate, CertificateRefusal, CrlSet, Name, Role, Signer as _, TrustList, csr};
use terminal::{NewTerminal, PinPad, Terminal, listen};
use wire::{Device, ErrorCode, ErrorMessage, Frame, FrameDecoder, MessageType, error_frame};

use crate::{
    estate::{Key, name, now},
    fake_terminal::{receive, sending, serial, terminal},
    suite_02::ec_key,
};

/// What a terminal was told and installed.
#[derive(Debug, Default)]
struct Seen {
    installed: Vec<Vec<u8>>,
    error: Option<ErrorCode>,
}

/// A PIN pad that makes a request under `asks_as`, and installs its own key's certificate.
struct Pad {
    device: Device,
    key: Key,
    asks_as: Name,
    seen: Arc<Mutex<Seen>>,
}

impl Pad {
    fn new(sn: &str, pin_pad: Option<&str>) -> Pad {
        Pad::asking(sn, pin_pad, Name::device("PIN pad", None, pin_pad.unwrap_or(sn)).unwrap())
    }

    fn asking(sn: &str, pin_pad: Option<&str>, asks_as: Name) -> Pad {
        let device = Device::new(serial(sn), pin_pad.map(serial)).unwrap();
        Pad { device, key: ec_key("device-passphrase"), asks_as, seen: Arc::default() }
    }

    /// Serves stations, as a terminal in production does.
    fn listen(self) -> (Target, Arc<Mutex<Seen>>) {
        let seen = Arc::clone(&self.seen);
        let pad = Mutex::new(self);
        (terminal(move |mut stream| pad.lock().unwrap().serve(&mut stream)), seen)
    }

    fn serve(&mut self, stream: &mut TcpStream) {
        let ask = Ask::read(&receive(stream)).unwrap();
        let device = self.device.clone();
        let (request, _) = ask.request(self, &device).unwrap();
        stream.write_all(request.bytes()).unwrap();
        // A station that only came for the request has closed.
        let Some(frame) = next(stream) else { return };
        if frame.kind() == Ok(MessageType::Error) {
            let told = ErrorMessage::read(&frame.message().unwrap().fields);
            self.seen.lock().unwrap().error = told.known_code();
            return;
        }
        let offered = ExpectCertificate::resume().on_frame(&frame).unwrap();
        let answer = offered.install(self).unwrap_or_else(|fault| fault.answer().unwrap());
        stream.write_all(answer.bytes()).unwrap();
    }
}

impl DevicePad for Pad {
    fn device_request(&mut self) -> Result<Vec<u8>, PadRefusal> {
        Ok(csr::build(&self.asks_as, &self.key.signer).unwrap())
    }

    fn install_device_certificate(&mut self, leaf: &[u8], _: &[Vec<u8>]) -> Result<(), InstallRefusal> {
        if Certificate::from_der(leaf).unwrap().spki_der() != self.key.signer.spki_der() {
            return Err(InstallRefusal::Certificate { why: "another key's".to_owned() });
        }
        self.seen.lock().unwrap().installed.push(leaf.to_vec());
        Ok(())
    }
}

/// The next frame, if the station did not close.
fn next(stream: &mut TcpStream) -> Option<Frame> {
    let mut decoder = FrameDecoder::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(frame) = decoder.next().unwrap() {
            return Some(frame);
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => decoder.push(&buffer[..read]).unwrap(),
        }
    }
}

/// A CA of device certificates, and a station's checks by it.
fn authority() -> (tempfile::TempDir, Ca, Checks) {
    let folder = tempfile::tempdir().unwrap();
    let new = NewCa::new(name("Device root"), KeyKind::P256);
    let ca = Ca::create(&folder.path().join("ca"), &new, "a long passphrase of tests", now()).unwrap();
    let mut trust = TrustList::new();
    trust.add(ca.root().clone(), &[Role::Device]);
    let mut crls = CrlSet::new();
    crls.add_pem(&std::fs::read_to_string(folder.path().join("ca/crl.pem")).unwrap()).unwrap();
    (folder, ca, Checks::new(trust, crls))
}

fn to(target: &Target) -> impl FnOnce() -> Result<Link, LinkError> {
    let address = target.address().to_owned();
    move || Link::connect(&address, LinkLimits::default())
}

#[test]
fn a_device_key_is_requested_certified_and_installed() {
    let (_folder, mut ca, checks) = authority();
    let (target, seen) = Pad::new("SN-1", Some("PP-1")).listen();
    let request = device::request(Some(&serial("SN-1")), to(&target)).unwrap();
    assert_eq!(request.device().pin_pad(), &serial("PP-1"));
    // Days later, from the file that the station wrote.
    let read = csr::parse_and_verify(&csr::from_pem(&request.pem()).unwrap()).unwrap();
    assert_eq!(&read, request.csr());
    let issued = ca.issue_device(&read, "PP-1", 3650, now()).unwrap();
    let certificate = DeviceCertificate::from_pem(&issued.pem(), &checks).unwrap();
    assert_eq!(certificate.pin_pad(), Some("PP-1"));
    let device = device::install(&certificate, Some(&serial("SN-1")), to(&target)).unwrap();
    assert_eq!(device.sn(), &serial("SN-1"));
    assert_eq!(seen.lock().unwrap().installed, [issued.der().to_vec()]);
    // Again, as after a line that broke before DONE.
    device::install(&certificate, None, to(&target)).unwrap();
}

#[test]
fn another_serial_than_expected_is_0004() {
    let (target, seen) = Pad::new("SN-1", None).listen();
    let fault = device::request(Some(&serial("SN-2")), to(&target)).unwrap_err();
    assert!(matches!(&fault, DeviceFault::OtherSerial { found, .. } if *found == serial("SN-1")), "{fault}");
    // The next connection comes after the first was served to its end.
    device::request(None, to(&target)).unwrap();
    assert_eq!(seen.lock().unwrap().error, Some(ErrorCode::UnknownTerminal));
}

#[test]
fn a_request_under_another_name_is_refused() {
    let others = [
        Pad::asking("SN-1", None, Name::device("PIN pad", None, "SN-2").unwrap()),
        Pad::asking("SN-1", None, name("No serial")),
        // An external PIN pad's request names the PIN pad, not the terminal.
        Pad::asking("SN-1", Some("PP-1"), Name::device("PIN pad", None, "SN-1").unwrap()),
    ];
    for pad in others {
        let (target, _) = pad.listen();
        let fault = device::request(None, to(&target)).unwrap_err();
        assert!(matches!(fault, DeviceFault::Request { .. }), "{fault}");
    }
}

#[test]
fn a_certificate_of_another_terminal_or_key_is_not_even_sent() {
    let (_folder, mut ca, checks) = authority();
    let certified = |ca: &mut Ca, pad: &Pad, serial: &str| {
        let csr = csr::parse_and_verify(&csr::build(&pad.asks_as, &pad.key.signer).unwrap()).unwrap();
        let issued = ca.issue_device(&csr, serial, 3650, now()).unwrap();
        DeviceCertificate::from_pem(&issued.pem(), &checks).unwrap()
    };
    let other = certified(&mut ca, &Pad::new("SN-2", None), "SN-2");
    // Of the same serial, and a key that was there before.
    let old = certified(&mut ca, &Pad::new("SN-1", None), "SN-1");
    for certificate in [other, old] {
        let (target, seen) = Pad::new("SN-1", None).listen();
        let fault = device::install(&certificate, None, to(&target)).unwrap_err();
        assert!(matches!(fault, DeviceFault::OtherCertificate { .. }), "{fault}");
        device::request(None, to(&target)).unwrap();
        let seen = seen.lock().unwrap();
        assert!(seen.installed.is_empty());
        assert_eq!(seen.error, Some(ErrorCode::NotPermittedNow));
    }
}

#[test]
fn a_certificate_that_a_collection_would_refuse_is_not_carried() {
    let (_folder, mut ca, checks) = authority();
    let pad = Pad::new("SN-1", None);
    let csr = csr::parse_and_verify(&csr::build(&pad.asks_as, &pad.key.signer).unwrap()).unwrap();
    let issued = ca.issue_device(&csr, "SN-1", 1, now() - 10 * 86_400).unwrap();
    let refused = DeviceCertificate::from_pem(&issued.pem(), &checks).unwrap_err();
    let expired =
        |fault: &DeviceFault| matches!(fault, DeviceFault::Certificate(CertificateRefusal::Expired { .. }));
    assert!(expired(&refused), "{refused}");
    let operator = ec_key("operator-pin");
    let csr = csr::Csr { subject: name("Olga"), spki: operator.signer.spki_der().to_vec() };
    let card = ca.issue(&csr, Role::Operator, 30, now()).unwrap();
    for text in [card.pem(), String::new(), "no certificate".to_owned()] {
        let refused = DeviceCertificate::from_pem(&text, &checks);
        assert!(matches!(refused, Err(DeviceFault::Certificate(_))), "{text:?}");
    }
}

#[test]
fn a_terminals_refusal_is_told_with_what_to_do() {
    for (code, word) in [
        (ErrorCode::NotPermittedNow, "production and repair"),
        (ErrorCode::UnexpectedMessage, "update its software"),
    ] {
        let target = sending(error_frame(code, "").bytes().to_vec());
        let fault = device::request(None, to(&target)).unwrap_err();
        assert!(matches!(&fault, DeviceFault::Refused(message) if message.known_code() == Some(code)));
        assert!(fault.advice().contains(word), "{}", fault.advice());
    }
    let target = sending(Vec::new());
    let fault = device::request(None, to(&target)).unwrap_err();
    assert!(matches!(fault, DeviceFault::Link(LinkError::Closed)), "{fault}");
}

/// The product's terminal, listening for as long as the act takes.
fn listening<T>(terminal: &mut Terminal, act: impl FnOnce(&Target) -> T) -> (T, Vec<listen::Event>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string().parse().unwrap();
    let stop = AtomicBool::new(false);
    let mut events = Vec::new();
    let done = thread::scope(|scope| {
        let served = scope.spawn(|| {
            let mut heard = |event: &listen::Event| events.push(event.clone());
            listen::serve(&listener, terminal, &|| stop.load(Ordering::Relaxed), &mut heard).unwrap();
        });
        let done = act(&target);
        // What the station said last is read before the terminal stops.
        thread::sleep(Duration::from_millis(50));
        stop.store(true, Ordering::Relaxed);
        served.join().unwrap();
        done
    });
    (done, events)
}

#[test]
fn the_products_terminal_keeps_its_key_and_installs_its_certificate() {
    let (_folder, mut ca, checks) = authority();
    let mut terminal = Terminal::in_memory(NewTerminal::named(serial("SN-1001"))).unwrap();
    let (request, events) = listening(&mut terminal, |target| device::request(None, to(target)).unwrap());
    assert!(events.contains(&listen::Event::DeviceKeyAsked), "{events:?}");
    let issued = ca.issue_device(request.csr(), "SN-1001", 3650, now()).unwrap();
    let certificate = DeviceCertificate::from_pem(&issued.pem(), &checks).unwrap();
    let (device, events) =
        listening(&mut terminal, |target| device::install(&certificate, None, to(target)).unwrap());
    assert_eq!(device.sn(), &serial("SN-1001"));
    assert!(events.contains(&listen::Event::DeviceCertified), "{events:?}");

    // In the field nobody certifies it anew.
    terminal.pad_mut().deploy().unwrap();
    let (fault, events) = listening(&mut terminal, |target| device::request(None, to(target)).unwrap_err());
    assert!(fault.advice().contains("production and repair"), "{fault}");
    let refused = |event: &listen::Event| {
        matches!(event, listen::Event::Refused { code: ErrorCode::NotPermittedNow, .. })
    };
    assert!(events.iter().any(refused), "{events:?}");
}

#[test]
fn the_products_terminal_installs_no_certificate_of_another_role_key_or_serial() {
    let (_folder, mut ca, _) = authority();
    let mut terminal = Terminal::in_memory(NewTerminal::named(serial("SN-1001"))).unwrap();
    let own = csr::parse_and_verify(&terminal.pad_mut().device_request().unwrap()).unwrap();
    let other = ec_key("device-passphrase").signer.spki_der().to_vec();
    let device = |serial: &str| Name::device("PIN pad", None, serial).unwrap();
    let mut issue = |role, subject: Name, spki: &[u8]| {
        let csr = csr::Csr { subject, spki: spki.to_vec() };
        ca.issue(&csr, role, 30, now()).unwrap().der().to_vec()
    };
    let offers = [
        ("another key", issue(Role::Device, device("SN-1001"), &other)),
        ("another role", issue(Role::Operator, name("Olga"), ec_key("operator-pin").signer.spki_der())),
        ("another serial", issue(Role::Device, device("SN-1002"), &own.spki)),
        ("no certificate", vec![0x30, 0]),
    ];
    for (what, leaf) in offers {
        let offer = messages::DeviceCertificate { leaf, intermediates: Vec::new() }.write().unwrap();
        let (answer, _) = listening(&mut terminal, |target| {
            let mut link = to(target)().unwrap();
            link.send(&offer).unwrap();
            link.receive().unwrap()
        });
        let told = ErrorMessage::read(&answer.message().unwrap().fields).known_code();
        assert_eq!(told, Some(ErrorCode::CertificateRefused), "{what}");
    }
}
