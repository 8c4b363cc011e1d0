//! A key loading device, written from 2-wire.md section 4 alone: it visits the product's terminal by cable.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::rsa::PrivateKey;
use pki::{
    Role,
    issue::{self, Issuer},
};
use sha2::{Digest, Sha256};
use terminal::{Terminal, listen};

use super::{
    estate::{ESTATE, name, valid},
    line::connect,
    rks::hex,
    tlv::{self, field, frame},
};

const KLD_CONNECT: u8 = 0x21;
const KLD_ACCEPT: u8 = 0x22;
const KLD_KEY: u8 = 0x23;
const C_RND1_RND2: u16 = 0xDF10;
const C_CTMK_RND2: u16 = 0xDF11;
const FACTOR: u16 = 0xDF23;

/// What goes into a place of its own: DMK, or DIK2 with its factor.
pub(crate) struct Injected<'a> {
    /// The serial that the terminal must name.
    pub(crate) sn: &'a str,
    /// `11` for DMK, `12` for DIK2.
    pub(crate) usage: &'a str,
    pub(crate) place: String,
    pub(crate) key: &'a [u8],
    pub(crate) factor: Option<&'a [u8]>,
}

/// Loads a terminal at its own listener.
pub(crate) fn load(mut terminal: Terminal, injected: &Injected<'_>) -> Terminal {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let stopped = || stop.load(Ordering::Relaxed);
            listen::serve(&listener, &mut terminal, &stopped, &mut |_| {}).unwrap();
        });
        inject(address, injected);
        thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        serving.join().unwrap();
    });
    terminal
}

fn inject(address: SocketAddr, injected: &Injected<'_>) {
    let key = PrivateKey::generate(2048).unwrap();
    let issuer = Issuer::new(&ESTATE.root, ESTATE.root_key()).unwrap();
    let certificate =
        issue::leaf(&issuer, Role::Downloader, &name("KLD-7"), key.spki_der(), valid()).unwrap();
    let mut line = connect(address);
    let hello = [field(tlv::SUITE, &[1]), field(tlv::CERTIFICATE, certificate.der())].concat();
    let hello = frame(KLD_CONNECT, &hello);
    line.send(&hello);
    let accept = line.expect(KLD_ACCEPT).unwrap();
    assert_eq!(accept.get(tlv::SN), injected.sn.as_bytes());
    let opened = key.oaep_decrypt(accept.get(C_RND1_RND2)).unwrap();
    let (rnd1, rnd2) = opened.split_at(24);
    let context = hex(&Sha256::digest([hello, accept.frame.clone()].concat())[..16]);
    let header = Header::new(
        Version::B,
        Usage::parse(injected.usage).unwrap(),
        Algorithm::TDES,
        Mode::parse("N").unwrap(),
        Exportability::NOT_EXPORTABLE,
    );
    let header = header.with_optional("10", injected.place.as_str()).unwrap();
    let header = header.with_optional("11", context).unwrap();
    let block = Kbpk::new(Version::B, rnd1).unwrap().wrap(&header, injected.key).unwrap();
    let mut content = [field(tlv::KEY_BLOCK, block.as_bytes()), field(tlv::RND2, rnd2)].concat();
    content.extend(injected.factor.into_iter().flat_map(|factor| field(FACTOR, factor)));
    line.send(&frame(KLD_KEY, &field(C_CTMK_RND2, &key.type1_sign(&content).unwrap())));
    line.expect(tlv::CONFIRM).unwrap();
    line.send(&frame(tlv::DONE, &[]));
}
