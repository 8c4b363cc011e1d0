//! Packages that two people signed, RSA and P-256 cards, among ourselves and with the real `openssl`.

use super::p256_support::*;
use super::support::*;
use crate::cms::{BothRefusal, CmsRefusal, Signatory, SignedPackage, open, sign, sign_by_both, verify_both};
use crate::issue::{self, Issuer};
use crate::*;

const CONTENT: &[u8] = br#"{"version":1,"station":"S-1","terminals":[]}"#;
const ROLES: [Role; 2] = [Role::Operator, Role::Administrator];

/// A P-256 card under the root of suite 02.
fn card(role: Role, subject: &str, who: Who) -> Certificate {
    let root = ec_root();
    let issuer = Issuer::new(&root, ec(Who::Root)).unwrap();
    issue::leaf(&issuer, role, &name(subject), ec(who).spki_der(), years(1)).unwrap()
}

fn signatory(who: Who, certificate: &Certificate) -> Signatory<'_> {
    Signatory { signer: ec(who), certificate, chain: &[] }
}

fn both(operator: &Certificate, administrator: &Certificate) -> Vec<u8> {
    let both = [signatory(Who::Leaf, operator), signatory(Who::Intermediate, administrator)];
    sign_by_both(CONTENT, both, NOW).unwrap()
}

fn check(package: &SignedPackage) -> Result<[Verified; 2], BothRefusal> {
    verify_both(package, ROLES, |signer, role| {
        let chain = &signer.intermediates;
        SUITE_02().verify_chain(&signer.certificate, chain, &both_roots(), role, NOW, &CrlSet::new())
    })
}

#[test]
fn two_cards_sign_one_content_and_each_is_found_by_its_role() {
    let (operator, administrator) =
        (card(Role::Operator, "Op", Who::Leaf), card(Role::Administrator, "Ad", Who::Intermediate));
    // In either order of signing.
    let package = open(&both(&operator, &administrator)).unwrap();
    let swapped = [signatory(Who::Intermediate, &administrator), signatory(Who::Leaf, &operator)];
    let swapped = open(&sign_by_both(CONTENT, swapped, NOW).unwrap()).unwrap();
    for package in [package, swapped] {
        assert_eq!(package.content, CONTENT);
        let [first, second] = check(&package).unwrap();
        assert_eq!((first.certificate(), second.certificate()), (&operator, &administrator));
        assert_eq!(
            package.only_signer().unwrap_err(),
            CmsRefusal::SignerCount { found: 2, wanted: 1 },
            "two never pass for one"
        );
    }
}

#[test]
fn an_rsa_and_a_p256_card_can_sign_together() {
    let (operator, administrator) =
        (leaf(Role::Operator), card(Role::Administrator, "Ad", Who::Intermediate));
    let first = Signatory { signer: key(Who::Leaf), certificate: &operator, chain: &[] };
    let package = sign_by_both(CONTENT, [first, signatory(Who::Intermediate, &administrator)], NOW).unwrap();
    let found = verify_both(&open(&package).unwrap(), ROLES, |signer, role| {
        let family = if role == Role::Operator { KeyFamily::Rsa } else { KeyFamily::P256 };
        let policy = Policy { family, ..Policy::default() };
        policy.verify_chain(&signer.certificate, &[], &both_roots(), role, NOW, &CrlSet::new())
    });
    assert_eq!(found.unwrap()[0].certificate(), &operator);
}

#[test]
fn one_signature_is_no_dual_control() {
    let der = sign(CONTENT, ec(Who::Leaf), &card(Role::Operator, "Op", Who::Leaf), &[], NOW).unwrap();
    let refused = check(&open(&der).unwrap()).unwrap_err();
    assert_eq!(refused, BothRefusal::Package(CmsRefusal::SignerCount { found: 1, wanted: 2 }));
}

#[test]
fn one_person_with_two_cards_or_one_key_with_two_certificates_is_refused() {
    let operator = card(Role::Operator, "Same", Who::Leaf);
    let same_subject = card(Role::Administrator, "Same", Who::Intermediate);
    let refused = check(&open(&both(&operator, &same_subject)).unwrap()).unwrap_err();
    assert!(matches!(refused, BothRefusal::OnePerson { .. }), "{refused}");

    let same_key = card(Role::Administrator, "Other", Who::Leaf);
    let der = sign_by_both(CONTENT, [signatory(Who::Leaf, &operator), signatory(Who::Leaf, &same_key)], NOW);
    let refused = check(&open(&der.unwrap()).unwrap()).unwrap_err();
    assert!(matches!(refused, BothRefusal::OnePerson { .. }), "{refused}");

    let twice = [signatory(Who::Leaf, &operator), signatory(Who::Leaf, &operator)];
    let refused = sign_by_both(CONTENT, twice, NOW).unwrap_err();
    assert!(refused.to_string().contains(&CmsRefusal::SameSigner.to_string()), "{refused}");
}

#[test]
fn cards_of_other_roles_are_refused() {
    let wrong = |first: Role, second: Role| {
        let (one, other) = (card(first, "One", Who::Leaf), card(second, "Other", Who::Intermediate));
        check(&open(&both(&one, &other)).unwrap()).unwrap_err()
    };
    for (first, second) in [
        (Role::Operator, Role::Operator),
        (Role::Administrator, Role::Administrator),
        (Role::Operator, Role::Mtms),
        (Role::PackageSigning, Role::Administrator),
    ] {
        let refused = wrong(first, second);
        let by_role = matches!(refused, BothRefusal::Certificate(CertificateRefusal::WrongRole { .. }));
        assert!(by_role, "{first} and {second}: {refused}");
    }
}

#[test]
fn r13_a_package_of_two_changed_in_any_byte_is_refused() {
    let good =
        both(&card(Role::Operator, "Op", Who::Leaf), &card(Role::Administrator, "Ad", Who::Intermediate));
    for index in 0..good.len() {
        let mut changed = good.clone();
        changed[index] ^= 0x01;
        if let Ok(package) = open(&changed) {
            assert!(check(&package).is_err(), "byte {index}");
        }
    }
}

#[test]
fn ecdsa_with_another_digest_is_refused() {
    // Only the name of the algorithm is changed, to ecdsa-with-SHA384.
    let leaf = card(Role::Operator, "Op", Who::Leaf);
    let der = sign(CONTENT, ec(Who::Leaf), &leaf, &[], NOW).unwrap();
    let oid = [0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x04, 0x03, 0x02];
    let at = der.windows(oid.len()).rposition(|window| window == oid).unwrap();
    let mut sha384 = der.clone();
    sha384[at + oid.len() - 1] = 0x03;
    assert_eq!(open(&sha384).unwrap_err(), CmsRefusal::Algorithm);
}

#[test]
fn openssl_verifies_our_package_of_two_and_we_open_its_own() {
    let shell = Shell::new();
    let (operator, administrator) =
        (card(Role::Operator, "Op", Who::Leaf), card(Role::Administrator, "Ad", Who::Intermediate));
    shell.write("root.pem", ec_root().pem());
    shell.write("package.der", both(&operator, &administrator));
    let verify = "cms -verify -binary -purpose any -CAfile root.pem -inform DER -out out";
    shell.openssl(&format!("{verify} -attime {NOW} -in package.der"));
    assert_eq!(shell.read("out"), CONTENT);

    for (file, certificate, who) in [("op", &operator, Who::Leaf), ("ad", &administrator, Who::Intermediate)]
    {
        shell.write(&format!("{file}.pem"), certificate.pem());
        shell.write(&format!("{file}.key"), ec(who).pem());
    }
    shell.write("content", CONTENT);
    let sign = "cms -sign -binary -nodetach -md sha256 -signer op.pem -inkey op.key -in content -outform DER";
    shell.openssl(&format!("{sign} -signer ad.pem -inkey ad.key -out theirs.der"));
    let [first, second] = check(&open(&shell.read("theirs.der")).unwrap()).unwrap();
    assert_eq!((first.certificate(), second.certificate()), (&operator, &administrator));
    // One alone, by the key's identifier.
    shell.openssl(&format!("{sign} -keyid -out one.der"));
    let one = open(&shell.read("one.der")).unwrap();
    assert_eq!(one.only_signer().unwrap().certificate, operator);
}
