//! Other keys than P-256's where this suite demands one, and points that are none.

use std::{fs, path::Path, process::Command};

use pki::{Certificate, Role, issue::Issuer};
use terminal::{NewTerminal, Terminal, TrustedRoot, collect, rks_load};

use super::{
    block::Block,
    peer::{
        KLD_ACCEPT, KLD_CONNECT, SLOT_A, SLOT_C, SLOT_E, certificate, certified, challenge, collect_frame,
        new_terminal, opening, signed, terminal,
    },
    victim::{Carrier, Victim},
};
use crate::{
    play::{against, slot, visited},
    suite_01,
    support::{
        ec::{CONFIRMATION, EcKey, NONCE, Side, random},
        estate::{ESTATE, valid},
        kms_ec::{self, Ec, KMS_EC, STATION, by_both, ceremony, package},
        line::{End, connect},
        rks_ec::{self, EcDevice},
        tlv::{self, field, frame},
        tms as e,
        tms_ec::EcPos,
        world::{Options, World, results},
    },
};

const MALFORMED: End = End::Code(0x0002);
const CERTIFICATE_REFUSED: End = End::Code(0x000D);

fn openssl(folder: &Path, arguments: &[&str]) {
    let ran = Command::new("openssl").args(arguments).current_dir(folder).output().unwrap();
    assert!(ran.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&ran.stderr));
}

/// A P-256 root of OpenSSL's, which certifies any key.
struct Ca(tempfile::TempDir);

impl Ca {
    fn new() -> Ca {
        let folder = tempfile::tempdir().unwrap();
        let curve = "ec_paramgen_curve:P-256";
        openssl(folder.path(), &["genpkey", "-algorithm", "EC", "-pkeyopt", curve, "-out", "ca.key"]);
        let extensions = "[req]\ndistinguished_name=dn\n[dn]\n[ca]\nbasicConstraints=critical,CA:TRUE\n\
                          keyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
        fs::write(folder.path().join("ca.cnf"), extensions).unwrap();
        let subject = ["-subj", "/O=Test acquirer/CN=Any keys", "-days", "30", "-out", "ca.pem"];
        let request = ["req", "-x509", "-new", "-sha256", "-key", "ca.key", "-config", "ca.cnf"];
        openssl(folder.path(), &[&request[..], &["-extensions", "ca"], &subject].concat());
        Ca(folder)
    }

    fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.0.path().join(name)).unwrap()
    }

    fn root(&self) -> Certificate {
        Certificate::from_pem(&String::from_utf8(self.read("ca.pem")).unwrap()).unwrap()
    }

    /// A key of this algorithm: its request and SubjectPublicKeyInfo.
    fn key(&self, algorithm: &[&str]) -> (Vec<u8>, Vec<u8>) {
        openssl(self.0.path(), &[&["genpkey", "-out", "any.key"], algorithm].concat());
        openssl(self.0.path(), &["pkey", "-in", "any.key", "-pubout", "-outform", "DER", "-out", "any.spki"]);
        let subject = ["-subj", "/CN=Any/serialNumber=SN-1001"];
        openssl(
            self.0.path(),
            &[&["req", "-new", "-key", "any.key", "-out", "any.pem"], &subject[..]].concat(),
        );
        openssl(self.0.path(), &["req", "-in", "any.pem", "-outform", "DER", "-out", "any.csr"]);
        (self.read("any.csr"), self.read("any.spki"))
    }

    /// A certificate for the key made last, with the extensions that this role has.
    fn leaf(&self, role: Role, usage: &str) -> Vec<u8> {
        let extensions = format!(
            "[leaf]\nbasicConstraints=critical,CA:FALSE\nkeyUsage=critical,{usage}\n\
             extendedKeyUsage=critical,{}\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
            role.oid()
        );
        fs::write(self.0.path().join("leaf.cnf"), extensions).unwrap();
        let by = ["-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-sha256", "-days", "20"];
        let with = ["-extfile", "leaf.cnf", "-extensions", "leaf", "-outform", "DER", "-out", "any.cer"];
        openssl(self.0.path(), &[&["x509", "-req", "-in", "any.pem"], &by[..], &with].concat());
        self.read("any.cer")
    }

    fn terminal(&self) -> Terminal {
        let mut new: NewTerminal = new_terminal();
        new.roots.push(TrustedRoot { certificate: self.root(), roles: Role::ALL.to_vec() });
        certified(new)
    }
}

/// COLLECT of suite 02 with this certificate, whatever it is.
fn collect_with(pos: &mut Terminal, der: &[u8]) -> Result<(), u16> {
    let fields = [field(tlv::SUITE, &[2]), field(tlv::CERTIFICATE, der), field(NONCE, &random::<32>())];
    let frame = wire::Frame::from_payload(&[&[1, tlv::COLLECT][..], &fields.concat()].concat()).unwrap();
    collect::answer(pos, &frame).map(drop).map_err(|refusal| refusal.fault.code.number())
}

/// KLD_CONNECT with this certificate.
fn connect_with(pos: &mut Terminal, suite: u8, der: &[u8], side: &Side) -> Result<(), End> {
    let mut fields = [field(tlv::SUITE, &[suite]), field(tlv::CERTIFICATE, der)].concat();
    fields.extend(if suite == 2 { side.fields() } else { Vec::new() });
    visited(pos, |line| {
        line.send(&frame(KLD_CONNECT, &fields));
        line.expect(KLD_ACCEPT).map(drop)
    })
}

/// Attack 9 where there is no RSA: RSA, other curves and curves spelt out, in certificates of a root that is believed; for
/// the KMS, a KLD and a device.
#[test]
fn weak_rsa() {
    let ca = Ca::new();
    let ec = |curve| ["-algorithm", "EC", "-pkeyopt", curve].map(str::to_owned).to_vec();
    let rsa = |bits: &str| {
        vec!["-algorithm".into(), "RSA".into(), "-pkeyopt".into(), format!("rsa_keygen_bits:{bits}")]
    };
    let explicit = [ec("ec_paramgen_curve:P-256"), vec!["-pkeyopt".into(), "ec_param_enc:explicit".into()]];
    let keys = [
        ("P-256", ec("ec_paramgen_curve:P-256")),
        ("P-256 spelt out", explicit.concat()),
        ("P-384", ec("ec_paramgen_curve:P-384")),
        ("secp256k1", ec("ec_paramgen_curve:secp256k1")),
        ("P-224", ec("ec_paramgen_curve:secp224r1")),
        ("brainpool", ec("ec_paramgen_curve:brainpoolP256r1")),
        ("RSA 2048", rsa("2048")),
        ("RSA 1024", rsa("1024")),
        ("RSA, e = 3", [rsa("2048"), vec!["-pkeyopt".into(), "rsa_keygen_pubexp:3".into()]].concat()),
    ];
    let world = World::new();
    let server = world.start(&Options { suite_02: true, ..Options::default() });
    kms_ec::install(&server);
    let nonce = ceremony(&server, STATION);
    for (what, algorithm) in &keys {
        let good = *what == "P-256";
        let algorithm: Vec<_> = algorithm.iter().map(String::as_str).collect();
        let (request, spki) = ca.key(&algorithm);
        let taken = pki::csr::parse_and_verify(&request);
        assert_eq!(taken.is_ok(), good || *what == "RSA 2048", "a request: {what}");
        // A P-256 CA certifies no other key for a role of a flow.
        let (root_key, subject) = (EcKey::new(), pki::Name::device("Any", None, "SN-1001").unwrap());
        let root_name = crate::support::estate::name("Any root");
        let root = pki::issue::root(&root_name, &root_key, crate::support::estate::root_valid(), 1).unwrap();
        let issuer = Issuer::new(&root, &root_key).unwrap();
        for role in [Role::KmsWork, Role::Downloader, Role::RksSigning, Role::Device, Role::Operator] {
            let issued = pki::issue::leaf(&issuer, role, &subject, &spki, valid());
            assert_eq!(issued.is_ok(), good, "{role} issued for {what}");
        }
        // One that does all the same.
        let encrypts = if what.starts_with("RSA") { "keyEncipherment" } else { "keyAgreement" };
        for usage in [encrypts, "digitalSignature"] {
            let collected = collect_with(&mut ca.terminal(), &ca.leaf(Role::KmsWork, usage));
            let expected = if good && usage == encrypts { Ok(()) } else { Err(0x000D) };
            assert_eq!(collected, expected, "COLLECT: {what}, {usage}");
        }
        let kld = ca.leaf(Role::Downloader, "digitalSignature");
        let expected = if good { Ok(()) } else { Err(CERTIFICATE_REFUSED) };
        let connected = connect_with(&mut ca.terminal(), 2, &kld, &Side::new());
        assert_eq!(connected, expected, "KLD_CONNECT: {what}");
        let device = ca.leaf(Role::Device, "digitalSignature");
        // Some cannot even be read.
        if let (false, Ok(certificate)) = (good, Certificate::from_der(&device)) {
            let entry = Ec { certificate, ..Ec::new("SN-1001") }.entry(&nonce);
            let answer = server.upload(&by_both(&package(&nonce, &[entry])));
            assert_eq!(results(&answer)[0]["code"], "000D", "a device certificate: {what}");
        }
    }
    assert_eq!(world.count("terminals"), 0);
}

/// Attack 9: genuine certificates of the one suite in the other.
#[test]
fn weak_rsa_of_the_other_suite() {
    let rsa = suite_01::certificate;
    assert_eq!(collect_with(&mut terminal(), ESTATE.work.certificate.der()), Err(0x000D));
    assert_eq!(collect_with(&mut terminal(), rsa(Role::Mtms).der()), Err(0x000D));
    let connected = connect_with(&mut terminal(), 2, rsa(Role::Downloader).der(), &Side::new());
    assert_eq!(connected, Err(CERTIFICATE_REFUSED));
    let lower = [field(tlv::SUITE, &[1]), field(tlv::CERTIFICATE, KMS_EC.work.der())].concat();
    let lower = wire::Frame::from_payload(&[&[1, tlv::COLLECT][..], &lower].concat()).unwrap();
    assert_eq!(collect::answer(&mut terminal(), &lower).unwrap_err().fault.code.number(), 0x000D);
    let ec = certificate(Role::Downloader);
    assert_eq!(connect_with(&mut terminal(), 1, ec.der(), &Side::new()), Err(CERTIFICATE_REFUSED));
    collect::answer(&mut terminal(), &collect_frame(&KMS_EC.work, &random())).unwrap();
}

/// Values of DF13 that are no point of P-256 in the one form that travels.
fn no_points() -> Vec<(&'static str, Vec<u8>)> {
    let good = Side::new().point;
    let with = |first: u8, x: &[u8], y: &[u8]| [&[first], x, y].concat();
    let (x, y) = (&good[1..33], &good[33..]);
    let mut off = good.clone();
    off[64] ^= 1;
    let p: Vec<u8> = [&[0xFF; 4][..], &[0, 0, 0, 1], &[0; 12], &[0xFF; 12]].concat();
    vec![
        ("off the curve", off),
        ("x and y turned", with(4, y, x)),
        ("0, 0", with(4, &[0; 32], &[0; 32])),
        ("infinity, padded", vec![0; 65]),
        ("infinity", vec![0]),
        ("x = p", with(4, &p, y)),
        ("y = p", with(4, x, &p)),
        ("all ones", with(4, &[0xFF; 32], &[0xFF; 32])),
        ("compressed", with(2 + (y[31] & 1), x, &[])),
        ("compressed, padded", with(2 + (y[31] & 1), x, &[0; 32])),
        ("hybrid", with(6 + (y[31] & 1), x, y)),
        ("without its first byte", [x, y].concat()),
        ("a byte more", [&good[..], &[0]].concat()),
        ("empty", Vec::new()),
    ]
}

/// Attack 9, where the weak thing is an ephemeral key: at the servers, known and stranger alike.
#[test]
fn weak_rsa_points_at_the_servers() {
    let (terminal, device, pos) = (Ec::new("SN-1"), EcDevice::new("SN-1"), EcPos::new("SN-1"));
    let options = Options { suite_02: true, more: "[tms]\n".into(), ..Options::default() };
    let shop = crate::support::shop::Shop::with_options(&[], &options);
    kms_ec::install(&shop.server);
    rks_ec::install(&shop.server);
    kms_ec::collect_all(&shop.server, &[&terminal]);
    let mut entry = device.entry();
    entry["keys"].as_array_mut().unwrap().extend(pos.entry()["keys"].as_array().unwrap().clone());
    rks_ec::take(&shop.server, &rks_ec::report("run-02", &[entry]));
    for (what, point) in no_points() {
        let mut side = Side::new();
        side.point = point;
        for sn in ["SN-1", "SN-9"] {
            let hellos = [
                Ec { sn: sn.into(), ..terminal.impostor() }.hello(0, &side),
                EcDevice { sn: sn.into(), ..device.clone() }.auth(0, &side),
                EcPos { sn: sn.into(), ..pos.clone() }.hello("0002", None, &side, &[0; 10]),
            ];
            for hello in hellos {
                let mut line = connect(shop.server.terminals);
                line.send(&hello);
                assert_eq!(line.end(), MALFORMED, "{what} for {sn}");
            }
        }
    }
    assert_eq!(shop.world.count("tmks"), 0);
}

/// Attack 9, the same at the terminal, from a KMS, an RKS, a TMS and a KLD.
#[test]
fn weak_rsa_points_at_the_terminal() {
    let mut victim = Victim::new();
    for (what, point) in no_points() {
        let mut side = Side::new();
        side.point = point;
        let mut ends = Vec::new();
        let pos = &mut victim.terminal;
        let download = |stream| terminal::download(pos, stream, slot(SLOT_A)).map(drop);
        ends.push(
            against(download, |line| {
                line.expect(tlv::HELLO)?;
                let proof = field(CONFIRMATION, &random::<32>());
                line.send(&frame(tlv::CHALLENGE, &[side.fields(), proof].concat()));
                line.expect(tlv::REPLY).map(drop)
            })
            .1,
        );
        let pos = &mut victim.terminal;
        let load = |stream| rks_load(pos, terminal::Link::new(stream), &[slot(SLOT_C)]).map(drop);
        ends.push(
            against(load, |line| {
                let auth = line.expect(tlv::RKS_AUTH)?;
                let fields = opening(&certificate(Role::RksSigning), &side);
                line.send(&signed(tlv::RKS_CERT, &fields, &[], b'C', &auth.frame));
                line.expect(tlv::RKS_FACTOR).map(drop)
            })
            .1,
        );
        let pos = &mut victim.terminal;
        let load =
            |stream| terminal::tms::load_key(pos, terminal::Link::new(stream), slot(SLOT_E), None).map(drop);
        ends.push(
            against(load, |line| {
                line.expect(e::HELLO)?;
                line.send(&challenge(&side, Some(random())));
                line.expect(e::PROOF).map(drop)
            })
            .1,
        );
        let kld = certificate(Role::Downloader);
        ends.push(connect_with(&mut victim.terminal, 2, kld.der(), &side));
        assert_eq!(ends, [Err(MALFORMED); 4], "{what}");
    }
    for carrier in [Carrier::ATmk, Carrier::CTmk, Carrier::ETmk] {
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()));
    }
}
