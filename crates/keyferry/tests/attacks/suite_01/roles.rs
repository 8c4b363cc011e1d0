//! Certificates: every role in every other's place, keys that are too small, and no certificate at all.

use std::{fs, process::Command};

use pki::{Certificate, Role};
use serde_json::json;
use terminal::{Settings, Terminal, collect};
use wire::Frame;

use super::forge::{Block, PEER, Victim, certificate, collect_frame, new_terminal, terminal, visited};
use crate::support::{
    estate::{ESTATE, valid},
    https::{self, CMS},
    line::End,
    package::{entry, package, signed},
    raw::Raw,
    rks::{RawDevice, report},
    shop::Shop,
    tlv::{self, Message, field, frame},
    world::{Options, World},
};

const CERTIFICATE_REFUSED: End = End::Code(0x000D);

/// Attack 11: every role of suite 01 in the place of every other, at the terminal and at the servers.
#[test]
fn role_mix() {
    for role in Role::SUITE_01 {
        let mut pos = terminal();
        let collected = collect::answer(&mut pos, &collect_frame(&certificate(role)));
        assert_eq!(collected.is_ok(), matches!(role, Role::KmsWork | Role::Mtms), "COLLECT of {role:?}");
        if let Err(refusal) = collected {
            assert_eq!(refusal.fault.code.number(), 0x000D);
        }
        let mut pos = terminal();
        let connect = [field(tlv::SUITE, &[1]), field(tlv::CERTIFICATE, certificate(role).der())].concat();
        let end = visited(&mut pos, |line| {
            line.send(&frame(0x21, &connect));
            line.expect(0x22).map(drop)
        });
        let expected = if role == Role::Downloader { Ok(()) } else { Err(CERTIFICATE_REFUSED) };
        assert_eq!(end, expected, "KLD_CONNECT of {role:?}");
        let rks = rks_cert(&mut Victim::new(), &certificate(role));
        assert_eq!(rks.is_ok(), role == Role::RksWork, "RKS_CERT of {role:?}: {rks:?}");
    }
    let world = World::new();
    let server = world.start(&Options::default());
    for role in Role::SUITE_01 {
        let card = ESTATE.card(role, "Some Body", valid());
        let post = |path: &str, content| https::post(server.https, path, CMS, &signed(&card, &content));
        let collection = post("/v1/collections", package(&[entry(&Raw::new("SN-1"))]));
        let kld = post("/v1/kld-reports", report(&format!("{role:?}"), &[RawDevice::new("SN-2").entry()]));
        let operator = role == Role::Operator;
        assert_eq!((collection.status == 200, kld.status == 200), (operator, operator), "{role:?}");
        assert!(operator || (collection.code(), kld.code()) == ("card-refused", "card-refused"));
        let approval = post("/v1/approvals", json!({}));
        let refused = (approval.status, approval.code()) == (403, "card-refused");
        assert_eq!(refused, role != Role::Administrator, "{role:?}: {approval:?}");
    }
    let shop = Shop::with(&[], "");
    fs::write(shop.files().join("app-1.0.0.bin"), b"bytes").unwrap();
    for role in Role::SUITE_01 {
        let mut manifest = shop.maker.manifest("app", "1.0.0", b"bytes");
        let der = shop.maker.certificate(role).der().to_vec();
        manifest["certificate"] = json!(<base64ct::Base64 as base64ct::Encoding>::encode_string(&der));
        shop.maker.resign(&mut manifest);
        let published = shop.publish(&manifest, None);
        assert_eq!(published.is_ok(), role == Role::PackageSigning, "a package of {role:?}");
    }
}

/// How a terminal that wants keys takes this RKS certificate.
fn rks_cert(victim: &mut Victim, certificate: &Certificate) -> Result<(), End> {
    let load = |stream| {
        let slot = [super::forge::slot(super::forge::SLOT_C)];
        terminal::rks_load(&mut victim.terminal, terminal::Link::new(stream), &slot).map(drop)
    };
    super::forge::against(load, |line| {
        line.expect(tlv::RKS_AUTH)?;
        line.send(&frame(tlv::RKS_CERT, &field(tlv::CERTIFICATE, certificate.der())));
        line.expect(tlv::RKS_FACTOR).map(drop)
    })
    .1
}

/// COLLECT with a public key alone.
fn bare(spki: &[u8]) -> Frame {
    let fields = [field(tlv::SUITE, &[1]), field(0xDF12, spki)].concat();
    Frame::from_payload(&[&[1, tlv::COLLECT][..], &fields].concat()).unwrap()
}

/// Attack 16: a public key without a certificate, where production did not allow one.
#[test]
fn bare_key() {
    let mut pos = terminal();
    assert!(!pos.status().settings.allow_bare_key, "by default it is not allowed");
    let refusal = collect::answer(&mut pos, &bare(PEER.spki_der())).unwrap_err();
    assert_eq!(refusal.fault.code.number(), 0x000D);
    assert!(pos.status().collected.is_none());
    // Both at once are no way round.
    let both = [
        field(tlv::SUITE, &[1]),
        field(tlv::CERTIFICATE, certificate(Role::KmsWork).der()),
        field(0xDF12, PEER.spki_der()),
    ];
    let both = Frame::from_payload(&[&[1, tlv::COLLECT][..], &both.concat()].concat()).unwrap();
    assert_eq!(collect::answer(&mut pos, &both).unwrap_err().fault.code.number(), 0x0002);
    collect::answer(&mut pos, &collect_frame(&certificate(Role::KmsWork))).unwrap();

    let settings = Settings { allow_bare_key: true, ..Settings::default() };
    let mut pos = Terminal::in_memory(terminal::NewTerminal { settings, ..new_terminal() }).unwrap();
    let answer = collect::answer(&mut pos, &bare(PEER.spki_der())).unwrap();
    assert_eq!(answer.collector, terminal::Collector::BareKey, "and the terminal says for whom it was");
    assert!(!Message::read(answer.frame.bytes()).get(tlv::CTK_PU).is_empty());
}

/// A self-signed certificate of OpenSSL's, with a key of this size and exponent: PEM, and SubjectPublicKeyInfo.
fn openssl(folder: &std::path::Path, bits: &str, exponent: &str) -> (String, Vec<u8>) {
    let run = |arguments: &[&str]| {
        let ran = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    };
    let (bits, exponent) = (format!("rsa_keygen_bits:{bits}"), format!("rsa_keygen_pubexp:{exponent}"));
    run(&["genpkey", "-algorithm", "RSA", "-pkeyopt", &bits, "-pkeyopt", &exponent, "-out", "weak.key"]);
    run(&["pkey", "-in", "weak.key", "-pubout", "-outform", "DER", "-out", "weak.spki"]);
    let subject = ["-subj", "/O=Test acquirer/CN=Weak root", "-days", "30", "-out", "weak.pem"];
    run(&[&["req", "-x509", "-new", "-sha256", "-key", "weak.key"], &subject[..]].concat());
    let request = ["-subj", "/CN=Weak", "-outform", "DER", "-out", "weak.csr"];
    run(&[&["req", "-new", "-sha256", "-key", "weak.key"], &request[..]].concat());
    let read = |name: &str| fs::read(folder.join(name)).unwrap();
    (String::from_utf8(read("weak.pem")).unwrap(), read("weak.spki"))
}

/// Attack 9: e = 3 and 1 024 bits, refused when they are configured, certified, and used.
#[test]
fn weak_rsa() {
    let folder = tempfile::tempdir().unwrap();
    for (bits, exponent) in [("1024", "65537"), ("2048", "3"), ("2040", "65537"), ("2048", "65535")] {
        let (pem, spki) = openssl(folder.path(), bits, exponent);
        let what = format!("{bits} bits, e = {exponent}");
        // No CA takes a request for it, and no terminal a certificate.
        let request = fs::read(folder.path().join("weak.csr")).unwrap();
        assert!(pki::csr::parse_and_verify(&request).is_err(), "{what}");
        let issuer = pki::issue::Issuer::new(&ESTATE.root, ESTATE.root_key()).unwrap();
        let name = crate::support::estate::name("Weak");
        if let Ok(leaf) = pki::issue::leaf(&issuer, Role::KmsWork, &name, &spki, valid()) {
            let refusal = collect::answer(&mut terminal(), &collect_frame(&leaf)).unwrap_err();
            assert_eq!(refusal.fault.code.number(), 0x000D, "{what}");
        }
        // No terminal encrypts to it, even where a bare key is allowed.
        let settings = Settings { allow_bare_key: true, ..Settings::default() };
        let mut pos = Terminal::in_memory(terminal::NewTerminal { settings, ..new_terminal() }).unwrap();
        let refusal = collect::answer(&mut pos, &bare(&spki)).unwrap_err();
        assert_eq!(refusal.fault.code.number(), 0x000D, "{what}");
        assert!(paycrypto::rsa::PublicKey::from_spki(&spki).is_err(), "{what}");
        // No server starts with it as a root, no terminal believes one.
        let world = World::new();
        world.write("root.pem", &pem);
        let started = world.try_start(&Options::default());
        let as_root = Certificate::from_pem(&pem).map(|certificate| {
            let mut pos = terminal();
            let root = terminal::TrustedRoot::for_collecting(certificate.clone());
            let _ = pos.install_root(&root);
            collect::answer(&mut pos, &collect_frame(&certificate)).is_ok()
        });
        assert!(!as_root.unwrap_or(false), "{what}");
        assert!(started.is_err(), "{what}");
    }
    assert_eq!(Victim::new().deliver(super::forge::Carrier::ATmk, &Block::wrap), Ok(()));
}
