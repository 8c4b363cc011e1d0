//! The product's terminal against the product's server, over TCP: from its collection to a PIN at the issuer.

use std::{
    net::TcpListener,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use paycrypto::TdesKey;
use pki::Role;
use serde_json::json;
use terminal::{
    Link, NewTerminal, Terminal, TransactionPad, TrustedRoot, listen,
    pinblock::{Format, Pan, Pin, decode},
    sign_in::{SignInError, sign_in},
};
use wire::Slot;

use crate::{
    sign_ins::active,
    support::{
        estate::ESTATE,
        line::connect,
        package::{entry_of, package, signed},
        posp::{POSP, Posp, RawZone, bytes_of, item},
        raw::Raw,
        tlv::{self, field, frame},
        world::{Options, Server, World},
    },
};

const SN: &str = "SN-1001";
const PAN: &str = "4012345678909";

/// A terminal that was collected; its TK is in the server.
fn collected(server: &Server) -> Terminal {
    let roots = vec![TrustedRoot { certificate: ESTATE.root.clone(), roles: vec![Role::KmsWork] }];
    let mut terminal =
        Terminal::in_memory(NewTerminal { roots, ..NewTerminal::named(SN.parse().unwrap()) }).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    let ciphertext = thread::scope(|scope| {
        scope.spawn(|| {
            let stopped = || stop.load(Ordering::Relaxed);
            listen::serve(&listener, &mut terminal, &stopped, &mut |_| {}).unwrap();
        });
        let mut line = connect(address);
        let certificate = field(tlv::CERTIFICATE, ESTATE.work.certificate.der());
        line.send(&frame(tlv::COLLECT, &[field(tlv::SUITE, &[1]), certificate].concat()));
        let ciphertext = line.expect(tlv::COLLECTED).unwrap().get(tlv::CTK_PU).to_vec();
        stop.store(true, Ordering::Relaxed);
        ciphertext
    });
    let package = package(&[entry_of(&Raw::new(SN), &ciphertext)]);
    server.collect_raw(&signed(&ESTATE.operator, &package));
    terminal
}

fn sign_in_at(server: &Server, terminal: &mut Terminal, slot: Slot) -> Vec<String> {
    let link = || Ok::<_, SignInError>(Link::new(terminal::connect(server.terminals).unwrap()));
    let signed_in = sign_in(terminal, link, slot).unwrap();
    signed_in.kcvs.iter().map(ToString::to_string).collect()
}

#[test]
fn a_pin_from_the_products_pin_pad_opens_at_the_issuer() {
    let world = World::new();
    let server = world.start(&Options { more: format!("{POSP}[host]\ntdk = true\n"), ..Options::default() });
    let mut terminal = collected(&server);
    let slot = Slot::new(1).unwrap();
    terminal::download(&mut terminal, terminal::connect(server.terminals).unwrap(), slot).unwrap();
    let first = sign_in_at(&server, &mut terminal, slot);
    let second = sign_in_at(&server, &mut terminal, slot);
    assert_eq!((first.len(), second.len()), (3, 3));
    assert!(first != second && active(&server, SN, 1) == second);

    let zone = RawZone::import(&server, "issuer-1");
    let mut posp = Posp::connect(&server);
    let (pin, pan) = (|| Pin::new("93842").unwrap(), Pan::new(PAN).unwrap());
    for (number, format) in [(0, Format::Iso0), (3, Format::Iso3)] {
        let block = terminal.pad_mut().pin_block(slot, pin(), &pan, format).unwrap();
        let one = item(SN, 1, PAN, (number, 3), &block, "issuer-1");
        let answer = posp.post("/v1/pin/translate", &one);
        assert_eq!(answer.status, 200, "{answer:?}");
        let translated = bytes_of(&answer.json["pin_block"]).try_into().unwrap();
        let clear = TdesKey::from_bytes(&zone.key).unwrap().decrypt_block(translated);
        assert!(decode(Format::Iso3, &clear, Some(&pan)).unwrap().matches(&pin()));
    }
    let mac = terminal.pad_mut().mac(slot, b"message").unwrap();
    let mac: String = mac.iter().map(|byte| format!("{byte:02X}")).collect();
    let check = json!({ "sn": SN, "slot": 1, "data": "bWVzc2FnZQ==", "mac": mac });
    assert_eq!(posp.post("/v1/mac/verify", &check).json, json!({ "ok": true }));
    world.assert_audit_good();
}

/// Its download was cut before DONE: it holds a TMK that is pending at the host.
#[test]
fn the_products_terminal_signs_in_after_a_download_that_was_cut() {
    let world = World::new();
    let server = world.start(&Options::default());
    let mut terminal = collected(&server);
    let slot = Slot::new(1).unwrap();
    let stream = || terminal::connect(server.terminals).unwrap();
    terminal::download(&mut terminal, stream(), slot).unwrap();
    let cut = Some(terminal::CutAfter(terminal::Step::Key));
    assert!(terminal::download_over(&mut terminal, Link::new(stream()), slot, cut).is_err());
    let pending = world.keys(SN, 1, "pending");
    assert_eq!(pending.len(), 1);
    let kcvs = sign_in_at(&server, &mut terminal, slot);
    assert_eq!(active(&server, SN, 1), kcvs);
    assert_eq!(world.keys(SN, 1, "active"), pending, "the key that the terminal has, and had not confirmed");
}
