//! The CA, cards and key files of suite 02: P-256 from the root down, with the real `openssl` as judge.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use std::fs;

use common::{DAY, NOW, PASSPHRASE, PIN, name, new_ca, new_ec_ca, new_public_key, openssl};
use keyferry_custody::ca::{Ca, Use};
use keyferry_custody::card::{read_card, write_card};
use keyferry_custody::keyfile::{self, KeyKind};
use keyferry_custody::{Error, card};
use pki::csr::{self, Csr};
use pki::{
    Certificate, CrlSet, KeyFamily, Name, Policy, RevocationReason, Role, Scheme, Signer, TrustList, cms,
    verify_signature,
};

fn device(serial: &str) -> Name {
    Name::device("PIN pad", Some("Keyferry tests"), serial).unwrap()
}

/// A request signed by a new P-256 key, as the HSM and the PIN pad make them.
fn request(subject: &Name) -> Csr {
    let (signer, _) = keyfile::generate(KeyKind::P256, PIN).unwrap();
    csr::parse_and_verify(&csr::build(subject, &signer).unwrap()).unwrap()
}

fn ec_roles() -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(|role| role.has_keys_of(KeyFamily::P256))
}

#[test]
fn a_p256_key_opens_with_its_pin_and_signs_in_its_one_way() {
    let (made, pem) = keyfile::generate(KeyKind::P256, PIN).unwrap();
    let opened = keyfile::open(&pem, PIN).unwrap();
    assert_eq!((opened.spki_der(), opened.family()), (made.spki_der(), KeyFamily::P256));
    let signature = opened.sign(Scheme::EcdsaP256Sha256, b"message").unwrap();
    assert_eq!(signature.len(), pki::P256_SIGNATURE_LEN);
    verify_signature(made.spki_der(), Scheme::EcdsaP256Sha256, b"message", &signature).unwrap();
    for scheme in [Scheme::Pkcs1Sha256, Scheme::PssSha256] {
        opened.sign(scheme, b"message").unwrap_err();
    }
    assert!(matches!(keyfile::open(&pem, "271829"), Err(Error::WrongPin)));
    let changed = keyfile::change_pin(&pem, PIN, "another pin").unwrap();
    assert_eq!(keyfile::open(&changed, "another pin").unwrap().spki_der(), made.spki_der());
    assert_eq!(format!("{made:?}"), "SoftSigner(..)");
}

#[test]
fn openssl_opens_our_p256_key_and_we_open_its_own_on_this_curve_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (made, pem) = keyfile::generate(KeyKind::P256, PIN).unwrap();
    keyfile::write(&dir.path().join("key.pem"), &pem).unwrap();
    let public = format!("pkey -in key.pem -passin pass:{PIN} -pubout -outform DER -out spki.der");
    openssl(dir.path(), &public).unwrap();
    assert_eq!(fs::read(dir.path().join("spki.der")).unwrap(), made.spki_der());

    for (curve, ours) in [("prime256v1", true), ("secp384r1", false), ("secp256k1", false)] {
        let make = format!("genpkey -algorithm EC -pkeyopt ec_paramgen_curve:{curve} -out clear.pem");
        openssl(dir.path(), &make).unwrap();
        let encrypt = format!("pkcs8 -topk8 -scrypt -in clear.pem -passout pass:{PIN} -out theirs.pem");
        openssl(dir.path(), &encrypt).unwrap();
        let opened = keyfile::open(&keyfile::read(&dir.path().join("theirs.pem")).unwrap(), PIN);
        match opened {
            Ok(key) => assert!(ours && key.family() == KeyFamily::P256, "{curve}"),
            Err(error) => assert!(!ours && matches!(error, Error::KeyFile(_)), "{curve}: {error}"),
        }
    }
    openssl(dir.path(), "genpkey -algorithm ED25519 -out clear.pem").unwrap();
    openssl(dir.path(), &format!("pkcs8 -topk8 -scrypt -in clear.pem -passout pass:{PIN} -out other.pem"))
        .unwrap();
    let other = keyfile::open(&keyfile::read(&dir.path().join("other.pem")).unwrap(), PIN);
    assert!(matches!(other, Err(Error::KeyFile("it holds neither an RSA nor a P-256 key"))), "{other:?}");
}

#[test]
fn every_role_of_suite_02_is_issued_logged_and_verified_by_openssl() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ec_ca(dir.path());
    assert_eq!(ca.family(), KeyFamily::P256);
    for (index, role) in ec_roles().enumerate() {
        let subject = if role == Role::Device { device("PP-1") } else { name("Leaf") };
        let certificate = ca.issue(&request(&subject), role, 30, NOW).unwrap();
        assert_eq!(certificate.role(), Some(role));
        let file = format!("issued/{:04}.pem", index + 1);
        openssl(&path, &format!("verify -x509_strict -attime {NOW} -CAfile root.pem {file}")).unwrap();
        let shown = openssl(&path, &format!("x509 -in {file} -noout -text")).unwrap();
        let usage = if role == Role::KmsWork { "Key Agreement" } else { "Digital Signature" };
        assert!(shown.contains(&format!("X509v3 Key Usage: critical\n                {usage}\n")), "{shown}");
    }
    drop(ca);
    let ca = Ca::open(&path, PASSPHRASE).unwrap();
    let uses: Vec<Use> = ca.record().issued().iter().map(|issued| issued.purpose).collect();
    assert_eq!(uses, ec_roles().map(Use::Role).collect::<Vec<_>>());
}

#[test]
fn an_intermediate_and_the_lists_of_suite_02_are_verified_by_openssl() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ec_ca(dir.path());
    let below = ca.intermediate(&request(&name("CA below")), 0, 300, NOW).unwrap();
    assert!(below.is_ca() && below.path_len() == Some(0));
    let lost = ca.issue(&request(&device("PP-1")), Role::Device, 300, NOW).unwrap();
    let verify = format!("verify -x509_strict -crl_check -CRLfile crl.pem -CAfile root.pem -attime {NOW}");
    openssl(&path, &format!("{verify} issued/0001.pem")).unwrap();
    ca.revoke(&lost.serial_hex(), RevocationReason::KeyCompromise, NOW).unwrap();
    assert!(openssl(&path, &format!("{verify} issued/0002.pem")).unwrap_err().contains("revoked"));
    let list = fs::read_to_string(path.join("crl.pem")).unwrap();
    pki::Crl::from_pem(&list).unwrap().verify(ca.root()).unwrap();
    let shown = openssl(&path, "crl -in crl.pem -noout -text").unwrap();
    assert!(shown.contains("ecdsa-with-SHA256"), "{shown}");
}

#[test]
fn a_ca_of_one_family_certifies_no_key_of_the_other() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (_, mut ec) = new_ec_ca(one.path());
    let (_, mut rsa) = new_ca(other.path());
    let rsa_key = Csr { subject: name("Card"), spki: new_public_key() };
    for (ca, request) in [(&mut ec, rsa_key), (&mut rsa, request(&name("Card")))] {
        let error = ca.issue(&request, Role::Operator, 30, NOW).unwrap_err();
        assert!(error.to_string().contains("use the CA of its suite"), "{error}");
        assert_eq!(ca.record().issued().len(), 0);
    }
    let rks = ec.issue(&request(&name("RKS")), Role::RksWork, 30, NOW).unwrap_err();
    assert!(
        rks.to_string().contains("no certificate of the role rks-work has keys of the kind P-256"),
        "{rks}"
    );
}

#[test]
fn two_p256_cards_sign_one_package() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut ca) = new_ec_ca(dir.path());
    let cards = [Role::Operator, Role::Administrator].map(|role| {
        let (signer, pem) = keyfile::generate(KeyKind::P256, PIN).unwrap();
        let request = Csr { subject: name(role.word()), spki: signer.spki_der().to_vec() };
        let certificate = ca.issue(&request, role, 365, NOW).unwrap();
        let path = dir.path().join(format!("{role}.pem"));
        write_card(&path, &pem, &certificate, &[ca.root().clone()]).unwrap();
        read_card(&path, PIN).unwrap()
    });
    let [operator, administrator] = cards.each_ref().map(|card| cms::Signatory {
        signer: &card.signer,
        certificate: &card.certificate,
        chain: &card.chain,
    });
    let package = cms::sign_by_both(b"{}", [operator, administrator], NOW).unwrap();
    let mut trust = TrustList::new();
    trust.add(ca.root().clone(), &[Role::Operator, Role::Administrator]);
    let policy = Policy { family: KeyFamily::P256, ..Policy::default() };
    let roles = [Role::Operator, Role::Administrator];
    let opened = cms::open(&package).unwrap();
    cms::verify_both(&opened, roles, |signer, role| {
        let chain = &signer.intermediates;
        policy.verify_chain(&signer.certificate, chain, &trust, role, NOW + DAY, &CrlSet::new())
    })
    .unwrap();
    let face = card::read_face(&dir.path().join("operator.pem")).unwrap();
    assert_eq!(face.certificate, cards[0].certificate);
}

#[test]
fn a_device_is_certified_under_the_serial_that_a_person_said() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ec_ca(dir.path());
    let request = request(&device("PP-7"));
    for (wanted, subject) in [("PP-8", device("PP-7")), ("PP-7", name("No serial"))] {
        let asked = Csr { subject, ..request.clone() };
        let error = ca.issue_device(&asked, wanted, 365, NOW).unwrap_err();
        assert!(matches!(error, Error::DeviceSerial { .. }), "{error}");
    }
    let certificate: Certificate = ca.issue_device(&request, "PP-7", 365, NOW).unwrap();
    assert_eq!(certificate.subject().serial_number(), Some("PP-7"));
    let shown = openssl(&path, "x509 -in issued/0001.pem -noout -subject").unwrap();
    assert!(shown.contains("serialNumber = PP-7"), "{shown}");
    assert_eq!(ca.record().issued().len(), 1);
}

#[test]
fn one_key_is_never_two_pin_pads_nor_has_a_pin_pad_two_keys() {
    let dir = tempfile::tempdir().unwrap();
    let (_, mut ca) = new_ec_ca(dir.path());
    let first = request(&device("PP-1"));
    let certificate = ca.issue_device(&first, "PP-1", 365, NOW).unwrap();
    // Another PIN pad's serial over the same key, even when the first certificate is revoked: `borrowed-certificate`.
    let borrowed = Csr { subject: device("PP-2"), ..first.clone() };
    let taken = |ca: &mut Ca| ca.issue_device(&borrowed, "PP-2", 365, NOW).unwrap_err();
    assert!(matches!(taken(&mut ca), Error::DeviceKeyTaken { pin_pad } if pin_pad == "PP-1"));

    let second = request(&device("PP-1"));
    let refused = ca.issue_device(&second, "PP-1", 365, NOW).unwrap_err();
    let serial = certificate.serial_hex();
    assert!(matches!(refused, Error::DeviceCertified { serial: found, .. } if found == serial));
    // The plain way is no way around.
    assert!(matches!(ca.issue(&second, Role::Device, 365, NOW), Err(Error::DeviceCertified { .. })));
    assert!(matches!(ca.issue(&borrowed, Role::Device, 365, NOW), Err(Error::DeviceKeyTaken { .. })));

    ca.issue_device(&first, "PP-1", 700, NOW + DAY).unwrap(); // a renewal
    for issued in ca.record().issued().to_vec() {
        ca.revoke(&issued.certificate.serial_hex(), RevocationReason::Superseded, NOW + DAY).unwrap();
    }
    ca.issue_device(&second, "PP-1", 365, NOW + DAY).unwrap();
    assert!(matches!(taken(&mut ca), Error::DeviceKeyTaken { .. }));
    // A certificate that ran out stands in no one's way.
    let third = request(&device("PP-1"));
    ca.issue_device(&third, "PP-1", 365, NOW + 400 * DAY).unwrap();
}
