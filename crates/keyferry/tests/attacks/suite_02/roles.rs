//! Certificates: every role in every other's place.

use std::fs;

use base64ct::{Base64, Encoding};
use flows::device_certificate::DevicePad;
use pki::{
    Certificate, KeyFamily, Name, Role, Scheme, Signer,
    cms::{self, Signatory},
    issue::{self, Issuer},
};
use serde_json::{Value, json};
use terminal::{Terminal, TrustedRoot, collect};

use super::peer::{
    KLD_ACCEPT, KLD_CONNECT, PEER, SLOT_C, SN, certified, collect_frame, new_terminal, opening, signed,
};
use crate::{
    independent_02::{Quirk, Terminal as Independent},
    play::{against, slot, visited},
    support::{
        ec::{EcKey, Side, random},
        estate::{DAY, ESTATE, name, now, root_valid, valid},
        https::{self, CMS},
        kms_ec::{self, Ec, KMS_EC, STATION, asking, ceremony, package},
        line::End,
        rks_ec::{self, EcDevice},
        shop::Shop,
        tlv::{self, field, frame},
        world::{Options, Server, World, results},
    },
    world_02::{EC, load, open_run, ready},
};

const SERVER_NOT_PROVEN: End = End::Code(0x0005);
const CERTIFICATE_REFUSED: End = End::Code(0x000D);
const REPAIR_CHALLENGE: u8 = 0x54;
const REPAIR: u8 = 0x55;
const REPAIR_ASK: u8 = 0x56;

/// A root of the tester's that the terminal believes for every role, and certificates under it on the tester's key. One
/// role has no keys of this suite: then it is one of suite 01.
struct Ca {
    key: EcKey,
    root: Certificate,
}

impl Ca {
    fn new() -> Ca {
        let key = EcKey::new();
        let root = issue::root(&name("Tester's root"), &key, root_valid(), 1).unwrap();
        Ca { key, root }
    }

    fn terminal(&self) -> Terminal {
        let mut new = new_terminal();
        new.roots.push(TrustedRoot { certificate: self.root.clone(), roles: Role::ALL.to_vec() });
        certified(new)
    }

    fn leaf(&self, role: Role) -> Certificate {
        if !role.has_keys_of(KeyFamily::P256) {
            return ESTATE.card(role, "Tester", valid()).certificate;
        }
        let issuer = Issuer::new(&self.root, &self.key).unwrap();
        issue::leaf(&issuer, role, &subject(SN), PEER.spki_der(), valid()).unwrap()
    }

    fn agreement_leaf(&self, role: Role) -> Option<Certificate> {
        let issuer = Issuer::new(&self.root, &self.key).unwrap();
        issue::agreement_leaf(&issuer, role, &subject(SN), PEER.spki_der(), valid()).ok()
    }
}

fn subject(serial: &str) -> Name {
    Name::device("Tester", None, serial).unwrap()
}

/// Attack 11: every role in the place of every other, at the terminal: COLLECT, KLD_CONNECT, RKS_CERT, REPAIR, and the
/// certificate of its own device key.
#[test]
fn role_mix() {
    let ca = Ca::new();
    for role in Role::ALL {
        // The MTMS has a key for signatures too, which nothing is sealed to.
        for (certificate, agrees) in
            [(Some(ca.leaf(role)), role == Role::KmsWork), (ca.agreement_leaf(role), true)]
        {
            let Some(certificate) = certificate else { continue };
            let collected = collect::answer(&mut ca.terminal(), &collect_frame(&certificate, &random()));
            let expected = agrees && matches!(role, Role::KmsWork | Role::Mtms);
            assert_eq!(collected.is_ok(), expected, "COLLECT of {role}");
            if let Err(refusal) = collected {
                assert_eq!(refusal.fault.code.number(), 0x000D, "COLLECT of {role}");
            }
        }
        let mut pos = ca.terminal();
        let expected = |right: Role| if role == right { Ok(()) } else { Err(CERTIFICATE_REFUSED) };
        assert_eq!(
            kld_connect(&mut pos, &ca.leaf(role)),
            expected(Role::Downloader),
            "KLD_CONNECT of {role}"
        );
        assert_eq!(repair(&ca, role), expected(Role::RepairAuthorisation), "REPAIR of {role}");

        let request = pos.pad_mut().device_request().unwrap();
        let spki = pki::csr::parse_and_verify(&request).unwrap().spki;
        let own = if role.has_keys_of(KeyFamily::P256) {
            KMS_EC.certify_spki(role, SN, &spki)
        } else {
            ca.leaf(role)
        };
        let installed = pos.pad_mut().install_device_certificate(own.der(), &[]);
        assert_eq!(installed.is_ok(), role == Role::Device, "a device certificate of {role}");
        let expected = if role == Role::RksSigning { Ok(()) } else { Err(SERVER_NOT_PROVEN) };
        assert_eq!(rks_cert(&ca, &ca.leaf(role)), expected, "RKS_CERT of {role}");
    }
}

/// How a terminal takes this KLD's certificate.
fn kld_connect(pos: &mut Terminal, certificate: &Certificate) -> Result<(), End> {
    let hello = frame(KLD_CONNECT, &[field(tlv::SUITE, &[2]), opening(certificate, &Side::new())].concat());
    visited(pos, |line| {
        line.send(&hello);
        line.expect(KLD_ACCEPT).map(drop)
    })
}

/// How a terminal that has a DIK2 takes this RKS's certificate.
fn rks_cert(ca: &Ca, certificate: &Certificate) -> Result<(), End> {
    let mut victim = super::victim::Victim::holding(ca.terminal());
    victim.deliver(super::victim::Carrier::BDik2, &super::block::Block::wrap).unwrap();
    let load = |stream| {
        let link = terminal::Link::new(stream);
        terminal::rks_load(&mut victim.terminal, link, &[slot(SLOT_C)]).map(drop)
    };
    let (_, end) = against(load, |line| {
        let auth = line.expect(tlv::RKS_AUTH)?;
        let fields = opening(certificate, &Side::new());
        line.send(&signed(tlv::RKS_CERT, &fields, &[], b'C', &auth.frame));
        line.expect(tlv::RKS_FACTOR).map(drop)
    });
    end
}

/// How a terminal in use takes a repair authorisation by this role.
fn repair(ca: &Ca, role: Role) -> Result<(), End> {
    let mut victim = super::victim::Victim::holding(ca.terminal());
    victim.deliver(super::victim::Carrier::BTmk, &super::block::Block::wrap).unwrap();
    visited(&mut victim.terminal, |line| {
        line.send(&frame(REPAIR_ASK, &[]));
        let challenge = line.expect(REPAIR_CHALLENGE)?.get(0xDF26).to_vec();
        let expiry = [0x49, 0x12, 0x31, 0x23, 0x59, 0x59];
        let text = [b"KF repair", SN.as_bytes(), &[0], SN.as_bytes(), &[0], &challenge, &expiry].concat();
        let signature = PEER.sign(Scheme::EcdsaP256Sha256, &text).unwrap();
        let certificate = field(tlv::CERTIFICATE, ca.leaf(role).der());
        line.send(&frame(REPAIR, &[certificate, field(0xDF27, &expiry), field(0xDF49, &signature)].concat()));
        line.expect(tlv::DONE).map(drop)
    })
}

/// Somebody with a card of this role, on a P-256 key where the role has one.
struct Card {
    certificate: Certificate,
    key: Option<EcKey>,
}

impl Card {
    fn new(role: Role, who: &str) -> Card {
        if !role.has_keys_of(KeyFamily::P256) {
            return Card { certificate: ESTATE.card(role, who, valid()).certificate, key: None };
        }
        let key = EcKey::new();
        Card { certificate: KMS_EC.certify(role, who, &key), key: Some(key) }
    }

    fn signatory(&self) -> Signatory<'_> {
        let signer: &dyn Signer = match &self.key {
            Some(key) => key,
            None => ESTATE.operator.key(),
        };
        Signatory { signer, certificate: &self.certificate, chain: &[] }
    }

    fn sign(&self, content: &Value) -> Vec<u8> {
        let Signatory { signer, certificate, chain } = self.signatory();
        cms::sign(content.to_string().as_bytes(), signer, certificate, chain, now()).unwrap()
    }

    fn sign_with(&self, other: &Card, content: &Value) -> Vec<u8> {
        let both = [self.signatory(), other.signatory()];
        cms::sign_by_both(content.to_string().as_bytes(), both, now()).unwrap()
    }
}

/// A server that believes both roots for every role: what it refuses, it refuses for the role.
fn believing_all() -> (World, Server) {
    let world = World::new();
    world.start(&Options { suite_02: true, ..Options::default() }).stop();
    let path = world.folder().join("keyferry.toml");
    let all: Vec<_> = Role::ALL.iter().map(|role| format!("{:?}", role.word())).collect();
    let all = format!("roles = [{}]", all.join(", "));
    // Whatever the roots are believed for otherwise.
    let mut parts = fs::read_to_string(&path).unwrap();
    let mut written = String::new();
    while let Some((before, rest)) = parts.split_once("roles = [") {
        let (_, after) = rest.split_once(']').unwrap();
        written += &format!("{before}{all}");
        parts = after.to_owned();
    }
    written += &parts;
    assert_eq!(written.matches(&all).count(), 2);
    fs::write(&path, written).unwrap();
    let server = world.try_start_as_written().unwrap();
    kms_ec::install(&server);
    rks_ec::install(&server);
    (world, server)
}

/// Attack 11, at the servers: both cards of a package and of an allowance, the card of a ceremony, of a KLD's report and
/// of an approval, and the certificate of a device.
#[test]
fn role_mix_at_the_servers() {
    let (world, server) = believing_all();
    let nonce = ceremony(&server, STATION);
    let (operator, administrator) =
        (Card::new(Role::Operator, "Olga"), Card::new(Role::Administrator, "Adam"));
    for role in Role::ALL {
        let card = Card::new(role, &format!("card-{}", role.word()));
        let post = |path: &str, cms: &[u8]| https::post(server.https, path, CMS, cms);
        let is = |right: Role| role == right;
        let taken = |what: &str, answer: &https::Answer, right: bool| {
            assert_eq!(answer.status == 403, !right, "{what} by {role}: {answer:?}");
            assert!(right || answer.code() == "card-refused", "{what} by {role}: {answer:?}");
        };
        let content =
            |side: &str| package(&nonce, &[Ec::new(&format!("SN-{}-{side}", role.word())).entry(&nonce)]);
        let first = card.sign_with(&administrator, &content("1"));
        taken("a package, first", &post("/v1/collections", &first), is(Role::Operator));
        let second = operator.sign_with(&card, &content("2"));
        taken("a package, second", &post("/v1/collections", &second), is(Role::Administrator));
        taken("a ceremony", &post("/v1/ceremonies", &card.sign(&asking(STATION))), is(Role::Operator));
        let report = rks_ec::report(&format!("run {role}"), &[EcDevice::new("SN-K").entry()]);
        taken("a report", &post("/v1/kld-reports", &card.sign(&report)), is(Role::Operator));
        let word = post("/v1/approvals", &card.sign(&json!({})));
        taken("an approval", &word, is(Role::Administrator));
        let allowance = kms_ec::allowance("SN-1", now() + DAY);
        let first = post("/v1/suites", &card.sign_with(&administrator, &allowance));
        taken("an allowance, first", &first, is(Role::Operator));
        let second = post("/v1/suites", &operator.sign_with(&card, &allowance));
        taken("an allowance, second", &second, is(Role::Administrator));

        let sn = format!("SN-{}-D", role.word());
        let device = Card::new(role, &sn);
        let Some(key) = device.key else { continue };
        let terminal = Ec { certificate: device.certificate, device: key, ..Ec::new(&sn) };
        let collected = package(&nonce, &[terminal.entry(&nonce)]);
        let answer = post("/v1/collections", &operator.sign_with(&administrator, &collected));
        let expected = if is(Role::Device) { "stored" } else { "000D" };
        assert_eq!(results(&answer)[0]["code"], json!(expected), "a device certificate of {role}");
    }
    assert_eq!(world.count("terminals"), 4, "one by each right card, the device's, and the report's");
}

/// Attack 11: the signer of a package, and the device that a KLD loads.
#[test]
fn role_mix_of_packages_and_devices() {
    let options = Options { suite_02: true, more: "[tms]\n".into(), ..Options::default() };
    let shop = Shop::with_options(&[], &options);
    let ca = Ca::new();
    shop.put_vendor(store::Vendor {
        roots: vec![ca.root.der().to_vec(), ESTATE.root.der().to_vec()],
        ..shop.maker.vendor(&shop.files())
    });
    fs::write(shop.files().join("app-1.0.0.bin"), b"bytes").unwrap();
    for role in Role::ALL {
        let mut manifest = shop.maker.manifest("app", "1.0.0", b"bytes");
        manifest["certificate"] = json!(Base64::encode_string(ca.leaf(role).der()));
        let bytes = server::tms::Manifest::from_json(&manifest.to_string()).unwrap().signed_bytes();
        let signature = PEER.sign(Scheme::EcdsaP256Sha256, &bytes).unwrap();
        manifest["signature"] = json!(Base64::encode_string(&signature));
        let published = shop.publish(&manifest, None);
        assert_eq!(
            published.is_ok(),
            role == Role::PackageSigning,
            "a package of {role}: {:?}",
            published.err()
        );
    }
    let (world, _) = ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
    for role in Role::ALL.into_iter().filter(|role| role.has_keys_of(KeyFamily::P256)) {
        let terminal = Independent::new("SN-1", None);
        let spki = terminal.key.spki_der();
        let certificate = EC.leaf(role, &subject("SN-1"), &spki, crate::estate::valid());
        let (address, running) = Independent { certificate, ..terminal }.start(Quirk::None);
        let loaded = load(&mut kld, &mut run, address);
        let (_, got) = running.join().unwrap();
        let right = role == Role::Device;
        assert_eq!(
            (loaded.is_ok(), got.kcvs.len()),
            (right, usize::from(right)),
            "{role}: {:?}",
            loaded.err()
        );
        assert!(right || got.error == Some(0x000D), "{role}: {:?}", got.error);
    }
}
