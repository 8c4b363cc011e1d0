//! The product's terminal against the product's server, over TCP: DIK2 injected by a KLD written from section 4 alone.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::rsa::PrivateKey;
use pki::{
    Role,
    issue::{self, Issuer},
};
use sha2::{Digest, Sha256};
use terminal::{Link, NewTerminal, Terminal, TrustedRoot, listen, rks_load};
use wire::Slot;

use super::{loading::with, windows::open};
use crate::support::{
    estate::{ESTATE, name, valid},
    line::connect,
    rks::{RawDevice, hex},
    tlv::{self, field, frame},
    world::Options,
};

const KLD_CONNECT: u8 = 0x21;
const KLD_ACCEPT: u8 = 0x22;
const KLD_KEY: u8 = 0x23;
const C_RND1_RND2: u16 = 0xDF10;
const C_CTMK_RND2: u16 = 0xDF11;
const FACTOR: u16 = 0xDF23;

fn product(sn: &str) -> Terminal {
    let roles = vec![Role::KmsWork, Role::Downloader, Role::RksWork];
    let roots = vec![TrustedRoot { certificate: ESTATE.root.clone(), roles }];
    Terminal::in_memory(NewTerminal { roots, ..NewTerminal::named(sn.parse().unwrap()) }).unwrap()
}

/// Runs `visit` against the terminal's own listener.
fn visited(mut terminal: Terminal, visit: impl FnOnce(SocketAddr)) -> Terminal {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let stopped = || stop.load(Ordering::Relaxed);
            listen::serve(&listener, &mut terminal, &stopped, &mut |_| {}).unwrap();
        });
        visit(address);
        thread::sleep(std::time::Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        serving.join().unwrap();
    });
    terminal
}

/// Flow B from the KLD's side: DIK2 and its factor.
fn inject(address: SocketAddr, device: &RawDevice) {
    let key = PrivateKey::generate(2048).unwrap();
    let issuer = Issuer::new(&ESTATE.root, ESTATE.root_key()).unwrap();
    let certificate =
        issue::leaf(&issuer, Role::Downloader, &name("KLD-7"), key.spki_der(), valid()).unwrap();
    let mut line = connect(address);
    let hello = [field(tlv::SUITE, &[1]), field(tlv::CERTIFICATE, certificate.der())].concat();
    let hello = frame(KLD_CONNECT, &hello);
    line.send(&hello);
    let accept = line.expect(KLD_ACCEPT).unwrap();
    assert_eq!(accept.get(tlv::SN), device.sn.as_bytes());
    let opened = key.oaep_decrypt(accept.get(C_RND1_RND2)).unwrap();
    let (rnd1, rnd2) = opened.split_at(24);
    let context = hex(&Sha256::digest([hello, accept.frame.clone()].concat())[..16]);
    let header = Header::new(
        Version::B,
        Usage::parse("12").unwrap(),
        Algorithm::TDES,
        Mode::parse("N").unwrap(),
        Exportability::NOT_EXPORTABLE,
    );
    let header = header.with_optional("10", device.place(0)).unwrap().with_optional("11", context).unwrap();
    let block = Kbpk::new(Version::B, rnd1).unwrap().wrap(&header, &device.dik2).unwrap();
    let content =
        [field(tlv::KEY_BLOCK, block.as_bytes()), field(tlv::RND2, rnd2), field(FACTOR, &device.factor)];
    let signed = key.type1_sign(&content.concat()).unwrap();
    line.send(&frame(KLD_KEY, &field(C_CTMK_RND2, &signed)));
    line.expect(tlv::CONFIRM).unwrap();
    line.send(&frame(tlv::DONE, &[]));
}

#[test]
fn the_products_terminal_is_loaded_by_the_products_server_over_several_runs() {
    let device = RawDevice::new("SN-1001");
    let options = Options { rks: Some((vec![0, 1, 5], true, 3)), ..Options::default() };
    let (world, server) = with(&[&device], &options);
    let mut terminal = visited(product("SN-1001"), |address| inject(address, &device));
    let link = || Link::new(terminal::connect(server.terminals).unwrap());
    let slots = [0, 5].map(|slot| Slot::new(slot).unwrap());
    let (loaded, _link) = rks_load(&mut terminal, link(), &slots).unwrap();
    // It goes on with the next slot that it misses.
    assert_eq!((loaded.runs, loaded.kcvs.len()), (2, 6));
    for (index, slot) in [0, 5].into_iter().enumerate() {
        assert_eq!(world.keys("SN-1001", slot, "active"), [loaded.kcvs[3 * index].to_string()]);
    }
    // Once more: a new key, and as long as there is more, the acquirer's whole set.
    let (again, _link) = rks_load(&mut terminal, link(), &slots[..1]).unwrap();
    assert_eq!((again.runs, again.kcvs.len()), (3, 9));
    assert_eq!(world.keys("SN-1001", 1, "active"), [again.kcvs[3].to_string()]);
    assert_eq!(world.keys("SN-1001", 0, "active"), [again.kcvs[0].to_string()]);
    // Another factor than the registered one is no device here.
    world.sql().execute("UPDATE devices SET factor_digest = zeroblob(32)", []).unwrap();
    assert!(rks_load(&mut terminal, link(), &slots).is_err());
    world.assert_audit_good();
}

#[test]
fn the_products_terminal_is_collected_where_it_asks() {
    let (world, server) = with(&[], &Options::default());
    let mut terminal = product("SN-1001");
    let ask = |terminal: &mut Terminal| {
        let link = Link::new(terminal::connect(server.terminals).unwrap());
        terminal::ask_over(terminal, link).map(drop)
    };
    assert!(ask(&mut terminal).is_err(), "no window is open");
    open(&server, &["SN-1001"]);
    ask(&mut terminal).unwrap();
    ask(&mut terminal).expect("the latch's bytes again");
    let kept: String =
        world.sql().query_row("SELECT fingerprint FROM terminals", [], |row| row.get(0)).unwrap();
    assert_eq!(terminal.status().collected.map(|collected| collected.fingerprint), Some(kept));
    assert_eq!(world.count("collections"), 2, "the empty report of the start, and this");
}
