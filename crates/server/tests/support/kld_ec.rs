//! A key loading device of suite 02, written from 3-hardened.md alone: it visits the product's terminal by cable.

use std::{
    net::{SocketAddr, TcpListener},
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use flows::device_certificate::DevicePad;
use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use pki::{Role, Scheme, Signer};
use terminal::{NewTerminal, Terminal, TrustedRoot, listen};

use super::{
    ec::{self, EcKey, Keys, RECEIPT, SIGNATURE, Side, assert_ascending, without},
    estate::name,
    line::connect,
    rks::context,
    rks_ec::RKS_EC,
    tlv::{self, field, frame},
};

const KLD_CONNECT: u8 = 0x21;
const KLD_ACCEPT: u8 = 0x22;
const KLD_KEY: u8 = 0x23;
const DEVICE_CERTIFICATE: u16 = 0xDF1A;
const FACTOR: u16 = 0xDF23;

/// The product's terminal, with a certified device key, the acquirer's root of suite 02 and these.
pub(crate) fn product(sn: &str, mut roots: Vec<TrustedRoot>) -> Terminal {
    let roles = vec![Role::Downloader, Role::RksSigning];
    roots.push(TrustedRoot { certificate: RKS_EC.root.clone(), roles });
    let vendor = Some(super::tms::VENDOR.parse().unwrap());
    let model = Some(super::tms::MODEL.parse().unwrap());
    let new = NewTerminal { roots, vendor, model, ..NewTerminal::named(sn.parse().unwrap()) };
    let mut terminal = Terminal::in_memory(new).unwrap();
    let request = terminal.pad_mut().device_request().unwrap();
    let request = pki::csr::parse_and_verify(&request).unwrap();
    let certificate = RKS_EC.issue(Role::Device, &request.subject, &request.spki);
    terminal.pad_mut().install_device_certificate(certificate.der(), &[]).unwrap();
    terminal
}

/// Loads a terminal's DIK2 (usage `12`, with its factor) or DMK (`11`) at its own listener.
pub(crate) fn load(
    mut terminal: Terminal,
    sn: &str,
    usage: &str,
    key: &[u8],
    factor: Option<&[u8]>,
) -> Terminal {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let serving = scope.spawn(|| {
            let stopped = || stop.load(Ordering::Relaxed);
            listen::serve(&listener, &mut terminal, &stopped, &mut |_| {}).unwrap();
        });
        inject(address, sn, usage, key, factor);
        thread::sleep(Duration::from_millis(100));
        stop.store(true, Ordering::Relaxed);
        serving.join().unwrap();
    });
    terminal
}

fn inject(address: SocketAddr, sn: &str, usage: &str, key: &[u8], factor: Option<&[u8]>) {
    let (signer, side) = (EcKey::new(), Side::new());
    let certificate = RKS_EC.issue(Role::Downloader, &name("KLD-7"), signer.spki_der());
    let mut line = connect(address);
    let fields = [field(tlv::SUITE, &[2]), field(tlv::CERTIFICATE, certificate.der()), side.fields()];
    let hello = frame(KLD_CONNECT, &fields.concat());
    line.send(&hello);
    let accept = line.expect(KLD_ACCEPT).unwrap();
    assert_ascending(&accept);
    assert_eq!(accept.get(tlv::SN), sn.as_bytes());
    let bare = [&hello[..], &without(&accept, SIGNATURE)].concat();
    let device = pki::Certificate::from_der(accept.get(DEVICE_CERTIFICATE)).unwrap();
    assert!(ec::is_signed(device.spki_der(), b'B', &bare, accept.get(SIGNATURE)));
    let keys = Keys::new(b'B', &[], &side, &accept, &bare);
    let said = [hello, accept.frame.clone()].concat();
    let header = Header::new(
        Version::D,
        Usage::parse(usage).unwrap(),
        Algorithm::AES,
        Mode::parse("N").unwrap(),
        Exportability::NOT_EXPORTABLE,
    );
    let header = header.with_optional("10", format!("{sn}/00")).unwrap();
    let header = header.with_optional("11", context(&said)).unwrap();
    let block = Kbpk::new(Version::D, &keys.key("kbpk")).unwrap().wrap(&header, key).unwrap();
    let mut fields: Vec<u8> = factor.into_iter().flat_map(|factor| field(FACTOR, factor)).collect();
    fields.extend(field(tlv::KEY_ENTRY, &field(tlv::KEY_BLOCK, block.as_bytes())));
    let over = [b"KF2B", &said[..], &frame(KLD_KEY, &fields)].concat();
    let signature = signer.sign(Scheme::EcdsaP256Sha256, &over).unwrap();
    let load = frame(KLD_KEY, &[field(SIGNATURE, &signature), fields].concat());
    line.send(&load);
    let told = [(0, ec::kcv(key))];
    let said = [said, load].concat();
    let confirm = line.expect(tlv::CONFIRM).unwrap();
    assert_eq!(confirm.get(RECEIPT), keys.receipt("receipt t", &said, &told));
    let said = [said, confirm.frame].concat();
    line.send(&frame(tlv::DONE, &field(RECEIPT, &keys.receipt("receipt s", &said, &told))));
}
