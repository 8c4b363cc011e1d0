//! Both flows of suite 02 over lines, driven as a terminal drives them.

use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use paycrypto::ec::LoadedKey;
use paycrypto::ec::keys::{Dik2, Tmk};
use wire::{ErrorCode, ErrorMessage, Frame, Kcv};

use super::peers::{EcKey, Kld, Rks, acquirer, rks_keys};
use crate::listen::{self, Event};
use crate::testing::slot;
use crate::{Link, PinPad, Terminal, rks_load};

const PLACE: &str = "SN-1001/03";
const OWN: &str = "SN-1001/00";
const FACTOR: &[u8] = b"factor";

/// What a terminal tells of one caller.
fn served(terminal: &mut Terminal, caller: impl FnOnce(&mut Link<TcpStream>) + Send) -> Vec<Event> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let over = AtomicBool::new(false);
    let mut events = Vec::new();
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut link = Link::new(TcpStream::connect(address).unwrap());
            caller(&mut link);
            // The terminal has read DONE when its end of the line is closed.
            drop(link);
            thread::sleep(std::time::Duration::from_millis(50));
            over.store(true, Ordering::Release);
        });
        let stop = || over.load(Ordering::Acquire);
        listen::serve(&listener, terminal, &stop, &mut |event| events.push(event.clone())).unwrap();
    });
    events.retain(|event| !matches!(event, Event::Connected { .. }));
    events
}

fn ask(link: &mut Link<TcpStream>, frame: &Frame) -> Frame {
    link.send(frame).unwrap();
    link.receive().unwrap()
}

fn error_of(frame: &Frame) -> Option<ErrorCode> {
    ErrorMessage::read(&frame.message().unwrap().fields).known_code()
}

/// A KLD loads this DIK2.
fn load_dik2(terminal: &mut Terminal, dik2: &Dik2) -> Vec<Event> {
    served(terminal, |link| {
        let mut kld = Kld::new();
        let connect = kld.connect.clone();
        kld.take(&ask(link, &connect));
        let key = kld.key(&kld.block(dik2, OWN), Some(FACTOR));
        let confirm = ask(link, &key);
        link.send(&kld.done(&key, &confirm, LoadedKey { index: 0, kcv: dik2.kcv() })).unwrap();
    })
}

#[test]
fn a_kld_of_suite_02_is_served_by_its_first_message() {
    let mut terminal = acquirer().terminal();
    let dik2 = Dik2::generate().unwrap();
    let events = load_dik2(&mut terminal, &dik2);
    assert_eq!(events, [Event::Loaded { kcv: Kcv::Aes(dik2.kcv()) }]);
    assert!(terminal.pad().identity().unwrap().done);
}

#[test]
fn a_kld_that_signs_with_another_key_hears_0005() {
    let mut terminal = acquirer().terminal();
    served(&mut terminal, |link| {
        let mut kld = Kld::new();
        let connect = kld.connect.clone();
        kld.take(&ask(link, &connect));
        let key = kld.signed(&EcKey::new(), &kld.tmk(&Tmk::generate().unwrap(), PLACE, 1), None);
        assert_eq!(error_of(&ask(link, &key)), Some(ErrorCode::ServerAuthenticationFailed));
    });
    assert!(terminal.pad().slots().is_empty());
}

/// The suite chooses the chain: a root of suite 01 vouches for no signer of suite 02.
#[test]
fn a_certificate_of_suite_01_loads_nothing_in_suite_02() {
    let mut terminal = acquirer().terminal();
    let leaf = crate::testing::estate().certificate(pki::Role::Downloader);
    served(&mut terminal, |link| {
        let connect = super::changed(&Kld::new().connect, |fields| fields[1].1 = leaf.der().to_vec());
        assert_eq!(error_of(&ask(link, &connect)), Some(ErrorCode::CertificateRefused));
    });
}

/// An RKS that gives one TMK for slot 03, and whose first message must be of suite 02.
fn serve_rks(link: &mut Link<UnixStream>, rks: &mut Rks, signer: &EcKey, tmk: &Tmk) -> Option<()> {
    let auth = link.receive().ok()?;
    assert_eq!(flows::suite::asked(&auth), wire::Suite::EC_AES);
    link.send(&rks.cert(&auth, signer)).ok()?;
    let factor = link.receive().ok()?;
    if factor.kind() == Ok(wire::MessageType::Error) {
        assert_eq!(error_of(&factor), Some(ErrorCode::ServerAuthenticationFailed));
        return None;
    }
    link.send(&rks.token(&factor)).ok()?;
    let proof = link.receive().ok()?;
    rks.take(&proof);
    let keys = rks_keys(&[&rks.tmk(tmk, PLACE, 1, &[])]);
    link.send(&keys).ok()?;
    let confirm = link.receive().ok()?;
    link.send(&rks.done(&keys, &confirm, &[LoadedKey { index: 3, kcv: tmk.kcv() }])).ok()
}

#[test]
fn keys_are_fetched_in_the_suite_of_dik2() {
    let (mut terminal, mut rks) = (acquirer().terminal(), Rks::new());
    load_dik2(&mut terminal, &rks.dik2(FACTOR));
    let tmk = Tmk::generate().unwrap();
    let kcv = Kcv::Aes(tmk.kcv());
    let (near, far) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || serve_rks(&mut Link::new(far), &mut rks, &acquirer().work, &tmk));
    let (loaded, _) = rks_load(&mut terminal, Link::new(near), &[slot(3)]).unwrap();
    assert_eq!((loaded.kcvs, loaded.runs), (vec![kcv], 1));
    assert_eq!(server.join().unwrap(), Some(()));
    assert!(terminal.pad().slots()[0].done);
}

#[test]
fn an_rks_that_signs_with_another_key_gets_no_factor() {
    let (mut terminal, mut rks) = (acquirer().terminal(), Rks::new());
    load_dik2(&mut terminal, &rks.dik2(FACTOR));
    let (near, far) = UnixStream::pair().unwrap();
    let server = thread::spawn(move || {
        serve_rks(&mut Link::new(far), &mut rks, &EcKey::new(), &Tmk::generate().unwrap())
    });
    assert!(rks_load(&mut terminal, Link::new(near), &[slot(3)]).is_err());
    assert_eq!(server.join().unwrap(), None);
    assert!(terminal.pad().slots().is_empty());
}
