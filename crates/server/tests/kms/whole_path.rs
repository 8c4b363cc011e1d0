//! The product's own station and terminals against the server; and the terminal that was written from 2-wire.md alone
//! collected by the product's station.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use pki::{Certificate, CrlSet, Role, Signer, TrustList};
use station::{
    BothCards, Card, Checks, CollectSettings, FingerprintCheck, Journal, Quiet, ServerSettings, Upload,
    WorkCertificate, approve, collect, pack_collected, upload,
};
use terminal::{
    NewTerminal, Terminal, TrustedRoot, collect as terminal_collect, connect as terminal_connect,
};
use wire::{Serial, Slot};

use crate::support::{
    estate::{ESTATE, Person},
    raw::Raw,
    tlv::{self, field, frame},
    world::{Options, Server, World},
};

/// A person's card in a reader.
struct TestCard(&'static Person);

struct CardKey(&'static Person);

impl Card for TestCard {
    fn name(&self) -> &str {
        "the test's reader"
    }

    fn certificate(&self) -> &Certificate {
        &self.0.certificate
    }

    fn chain(&self) -> &[Certificate] {
        &[]
    }

    fn present(&self) -> bool {
        true
    }

    fn open(&self, _: &str) -> Result<Box<dyn Signer + Send + Sync>, station::Error> {
        Ok(Box::new(CardKey(self.0)))
    }
}

impl Signer for CardKey {
    fn spki_der(&self) -> &[u8] {
        self.0.key().spki_der()
    }

    fn sign(&self, scheme: pki::Scheme, message: &[u8]) -> Result<Vec<u8>, pki::SignError> {
        self.0.key().sign(scheme, message)
    }
}

fn checks() -> Checks {
    let mut trust = TrustList::new();
    trust.add(ESTATE.root.clone(), &[Role::KmsWork, Role::Operator, Role::Administrator]);
    let mut crls = CrlSet::new();
    crls.add_pem(&ESTATE.crl(1, &[])).unwrap();
    Checks::new(trust, crls)
}

fn cards() -> BothCards {
    let (operator, administrator) = (TestCard(&ESTATE.operator), TestCard(&ESTATE.administrator));
    BothCards::open(Box::new(operator), "", Box::new(administrator), "", &checks()).unwrap()
}

/// Collects the terminals that listen at these addresses, packs and uploads; gives the fingerprints.
fn collect_and_upload(world: &World, server: &Server, at: &[SocketAddr], replaces: bool) -> Vec<String> {
    let (cards, checks) = (cards(), checks());
    let work = WorkCertificate::check(ESTATE.work.certificate.clone(), &[], &checks).unwrap();
    let targets: Vec<_> = at.iter().map(|address| address.to_string().parse().unwrap()).collect();
    let journal = station_journal(&world.folder().join("journal"));
    let settings = CollectSettings { replaces, ..CollectSettings::default() };
    let run = collect(&cards, &work, &targets, &settings, &journal, &Quiet).unwrap();
    assert!(run.failed.is_empty(), "{:?}", run.failed);
    let packed = pack_collected(&journal, &cards, "station 7").unwrap().packed;
    let [package] = packed.as_slice() else { panic!("{packed:?}") };
    let Upload::Taken(results) = upload(&client(server), &journal, package).unwrap() else { panic!("new") };
    results
        .into_iter()
        .map(|result| match result.fingerprint {
            FingerprintCheck::Same(fingerprint) if result.ok => fingerprint,
            other => panic!("{other:?}: {} {}", result.code, result.text),
        })
        .collect()
}

/// The station's journal, made if need be.
fn station_journal(folder: &std::path::Path) -> Journal {
    let passphrase = "a station passphrase";
    Journal::open(folder, passphrase).or_else(|_| Journal::create(folder, passphrase)).unwrap()
}

fn client(server: &Server) -> station::Server {
    station::Server::new(&ServerSettings::new(format!("https://{}", server.https), ESTATE.root.pem()))
        .unwrap()
}

#[test]
fn the_products_terminals_are_collected_and_get_their_keys() {
    let world = World::new();
    let server = world.start(&Options::default());
    let mut terminals: Vec<_> = ["SN-1", "SN-2", "SN-3"]
        .map(|sn| {
            let roots = vec![TrustedRoot::for_collecting(ESTATE.root.clone())];
            let pin_pad = (sn == "SN-2").then(|| Serial::parse("PP-2").unwrap());
            let new = NewTerminal { pin_pad, roots, ..NewTerminal::named(Serial::parse(sn).unwrap()) };
            (Terminal::in_memory(new).unwrap(), TcpListener::bind("127.0.0.1:0").unwrap())
        })
        .into();
    let addresses: Vec<_> = terminals.iter().map(|(_, listener)| listener.local_addr().unwrap()).collect();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        for (terminal, listener) in &mut terminals {
            let stop = || over.load(Ordering::Relaxed);
            scope.spawn(move || {
                terminal_collect::serve(listener, terminal, &stop, &mut |_| {}).unwrap();
            });
        }
        let fingerprints = collect_and_upload(&world, &server, &addresses, false);
        assert_eq!(fingerprints.len(), 3);
        over.store(true, Ordering::Relaxed);
    });
    for (terminal, _) in &mut terminals {
        terminal.deploy().unwrap();
        let sn = terminal.device().sn().to_string();
        for slot in [0, 7, 0] {
            let stream = terminal_connect(server.terminals).unwrap();
            let got = terminal::download(terminal, stream, Slot::new(slot).unwrap()).unwrap();
            assert_eq!(world.keys(&sn, slot, "active"), [got.kcv.to_string()], "both sides show the same");
        }
    }
    world.assert_audit_good();
}

/// Answers one COLLECT as 2-wire.md has it.
fn answer_collect(listener: &TcpListener, terminal: &Raw) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut head = [0; 2];
    stream.read_exact(&mut head).unwrap();
    let mut ask = head.to_vec();
    ask.resize(2 + usize::from(u16::from_be_bytes(head)), 0);
    stream.read_exact(&mut ask[2..]).unwrap();
    let ask = tlv::Message::read(&ask);
    assert_eq!(ask.kind, 0x51);
    assert_eq!(ask.get(tlv::SUITE), [1]);
    assert_eq!(ask.get(0xDF0C), ESTATE.work.certificate.der());
    let mut fields = field(tlv::SN, terminal.sn.as_bytes());
    if let Some(pin_pad) = &terminal.pin_pad {
        fields.extend(field(tlv::PIN_PAD, pin_pad.as_bytes()));
    }
    fields.extend(field(0xDF30, b"KF"));
    fields.extend(field(0xDF31, b"RAW-1"));
    fields.extend(field(0xDF09, &terminal.ciphertext(ESTATE.work.certificate.spki_der())));
    stream.write_all(&frame(0x52, &fields)).unwrap();
    // Until the station has read it and closes.
    let _ = stream.read(&mut head);
}

fn collect_raw(world: &World, server: &Server, terminals: &[Raw], replaces: bool) -> Vec<String> {
    let listeners: Vec<_> = terminals.iter().map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let addresses: Vec<_> = listeners.iter().map(|listener| listener.local_addr().unwrap()).collect();
    thread::scope(|scope| {
        for (terminal, listener) in terminals.iter().zip(&listeners) {
            scope.spawn(move || answer_collect(listener, terminal));
        }
        collect_and_upload(world, server, &addresses, replaces)
    })
}

#[test]
fn a_terminal_written_from_the_wire_document_alone_is_served() {
    let world = World::new();
    let server = world.start(&Options::default());
    let terminals = [Raw::new("RAW-1"), Raw::with_pin_pad("RAW-2", "RAW-PP")];
    collect_raw(&world, &server, &terminals, false);
    for terminal in &terminals {
        for slot in [0, 9] {
            let tmk = terminal.download(server.terminals, slot).unwrap();
            let shown = tmk.kcv.map(|byte| format!("{byte:02X}")).concat();
            assert_eq!(world.keys(&terminal.sn, slot, "active"), [shown]);
        }
    }
}

#[test]
fn the_stations_replacement_waits_for_the_stations_approval() {
    let world = World::new();
    let server = world.start(&Options::default());
    collect_raw(&world, &server, &[Raw::new("RAW-1")], false);
    let new = [Raw::new("RAW-1")];
    let fingerprints = collect_raw(&world, &server, &new, true);
    let waiting = approve::replacements(&client(&server)).unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].fingerprint, fingerprints[0]);
    let card =
        station::AdministratorCard::open(Box::new(TestCard(&ESTATE.administrator)), "", &checks()).unwrap();
    approve::decide(&client(&server), &card, &waiting[0], approve::Decision::Replace).unwrap();
    assert!(approve::decide(&client(&server), &card, &waiting[0], approve::Decision::Replace).is_err());
    new[0].download(server.terminals, 0).unwrap();
    world.assert_audit_good();
}
