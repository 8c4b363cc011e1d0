//! Cards as files.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use common::{DAY, NOW, PIN, files, mode, name, new_ca, openssl};
use keyferry_custody::card::{self, read_card, read_face, write_card};
use keyferry_custody::keyfile::KeyKind;
use keyferry_custody::{Error, keyfile};
use pki::csr::{self, Csr};
use pki::{Certificate, CrlSet, Role, Signer as _, TrustList, cms, verify_chain};

/// An operator's card of a new CA, in `dir/card.pem`.
fn operator(dir: &std::path::Path) -> (Certificate, Certificate) {
    let (_, mut ca) = new_ca(dir);
    let (signer, pem) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    let request = csr::parse_and_verify(&csr::build(&name("Operator 7"), &signer).unwrap()).unwrap();
    let certificate = ca.issue(&request, Role::Operator, 365, NOW).unwrap();
    write_card(dir, &pem, &certificate, &[ca.root().clone()]).unwrap();
    (certificate, ca.root().clone())
}

#[test]
fn a_card_signs_a_package_that_verifies_here_and_with_openssl() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, root) = operator(dir.path());
    let card = read_card(dir.path(), PIN).unwrap();
    assert_eq!(card.certificate, certificate);
    assert_eq!(card.chain, std::slice::from_ref(&root));

    let package = cms::sign(b"{}", &card.signer, &card.certificate, &card.chain, NOW).unwrap();
    let opened = cms::open(&package).unwrap();
    let signer = opened.only_signer().unwrap();
    let mut trust = TrustList::new();
    trust.add(root.clone(), &[Role::Operator]);
    let chain = &signer.intermediates;
    verify_chain(&signer.certificate, chain, &trust, Role::Operator, NOW, &CrlSet::new()).unwrap();

    std::fs::write(dir.path().join("root.pem"), root.pem()).unwrap();
    std::fs::write(dir.path().join("package"), package).unwrap();
    let verify = "cms -verify -binary -purpose any -CAfile root.pem -inform DER -in package -out out";
    openssl(dir.path(), &format!("{verify} -attime {NOW}")).unwrap();
}

#[test]
fn a_card_is_for_its_owner_alone_replaces_nothing_and_openssl_reads_it() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, root) = operator(dir.path());
    let path = dir.path().join(card::CARD_FILE);
    assert_eq!(mode(&path), 0o600);
    let pem = std::fs::read_to_string(&path).unwrap();
    assert!(matches!(write_card(dir.path(), &pem, &certificate, &[root]), Err(Error::Exists { .. })));
    openssl(dir.path(), "x509 -in card.pem -noout").unwrap();
    openssl(dir.path(), &format!("pkey -in card.pem -passin pass:{PIN} -noout")).unwrap();
    assert_eq!(files(dir.path()), ["ca", "card.pem"]);
}

#[test]
fn a_card_shows_its_face_without_a_pin_and_its_key_only_with_it() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, root) = operator(dir.path());
    let face = read_face(dir.path()).unwrap();
    assert_eq!((face.certificate, face.chain), (certificate, vec![root]));
    assert!(matches!(read_card(dir.path(), "000000"), Err(Error::WrongPin)));
}

#[test]
fn a_card_with_a_new_pin_is_the_same_card() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, _) = operator(dir.path());
    card::change_pin(dir.path(), PIN, "a new pin").unwrap();
    assert_eq!(read_card(dir.path(), "a new pin").unwrap().certificate, certificate);
    assert!(matches!(read_card(dir.path(), PIN), Err(Error::WrongPin)));
    assert!(matches!(card::change_pin(dir.path(), PIN, "a new pin"), Err(Error::WrongPin)));
    assert_eq!(mode(&dir.path().join(card::CARD_FILE)), 0o600);
}

#[test]
fn a_card_whose_key_is_another_ones_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, _) = operator(dir.path());
    let (_, other) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    let path = dir.path().join("mixed.pem");
    write_card(&path, &other, &certificate, &[]).unwrap();
    assert!(matches!(read_card(&path, PIN), Err(Error::KeyMismatch { .. })));
}

#[test]
fn a_card_without_certificate_or_key_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let (certificate, _) = operator(dir.path());
    let (_, key) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    let bare = dir.path().join("bare.pem");
    keyfile::write(&bare, &key).unwrap();
    assert!(matches!(read_card(&bare, PIN), Err(Error::NoCertificate { .. })));
    let keyless = dir.path().join("keyless.pem");
    std::fs::write(&keyless, certificate.pem()).unwrap();
    assert!(matches!(read_card(&keyless, PIN), Err(Error::KeyFile(_))));
    assert!(matches!(
        write_card(&dir.path().join("no.pem"), "no key", &certificate, &[]),
        Err(Error::KeyFile(_))
    ));
    assert!(matches!(read_card(&dir.path().join("absent.pem"), PIN), Err(Error::Io { .. })));
}

#[test]
fn a_revoked_card_is_refused_by_the_list_of_its_ca() {
    let dir = tempfile::tempdir().unwrap();
    let (path, mut ca) = new_ca(dir.path());
    let (signer, _) = keyfile::generate(KeyKind::Rsa(2048), PIN).unwrap();
    let request = Csr { subject: name("Lost card"), spki: signer.spki_der().to_vec() };
    let certificate = ca.issue(&request, Role::Administrator, 365, NOW).unwrap();
    let mut trust = TrustList::new();
    trust.add(ca.root().clone(), &[Role::Administrator]);
    let check = || {
        let mut crls = CrlSet::new();
        crls.add_pem(&std::fs::read_to_string(path.join("crl.pem")).unwrap()).unwrap();
        verify_chain(&certificate, &[], &trust, Role::Administrator, NOW + DAY, &crls)
    };
    check().unwrap();
    ca.revoke(&certificate.serial_hex(), pki::RevocationReason::KeyCompromise, NOW).unwrap();
    assert!(matches!(check(), Err(pki::CertificateRefusal::Revoked { when: NOW, .. })));
}
