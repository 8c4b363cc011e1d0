//! Suite 02: chains of P-256 keys, roles `.9` and `.10`, and what does not mix.

use x509_cert::ext::pkix::KeyUsages;

use super::p256_support::*;
use super::support::*;
use crate::issue::{self, Issuer, Revoked, build_crl};
use crate::p256;
use crate::*;

#[test]
fn r22_every_role_of_suite_02_passes_as_itself_and_is_refused_as_every_other() {
    assert_eq!(ec_roles().count(), 9, "all but the RKS's work key");
    for found in ec_roles() {
        let leaf = ec_leaf(found);
        for wanted in Role::ALL {
            match check_ec(&leaf, wanted) {
                Ok(verified) => assert_eq!((wanted, verified.role()), (found, found)),
                Err(CertificateRefusal::WrongRole { wanted: w, found: f, .. }) => {
                    assert_ne!(wanted, found);
                    assert_eq!((w, f), (wanted, found));
                }
                Err(other) => panic!("{found} as {wanted}: {other}"),
            }
        }
    }
}

#[test]
fn a_chain_leads_over_an_intermediate() {
    let ca = ec_intermediate();
    let issuer = Issuer::new(&ca, ec(Who::Intermediate)).unwrap();
    let spki = ec(Who::Leaf).spki_der();
    let leaf = issue::leaf(&issuer, Role::RksSigning, &name("RKS"), spki, years(1)).unwrap();
    let check = |above: &[Certificate]| {
        verify_chain(&leaf, above, &both_roots(), Role::RksSigning, NOW, &CrlSet::new())
    };
    check(std::slice::from_ref(&ca)).unwrap();
    assert!(matches!(check(&[]), Err(CertificateRefusal::UnknownRoot { .. })));
}

#[test]
fn the_roles_of_suite_02_alone_are_p256_under_any_policy() {
    for role in [Role::Device, Role::RksSigning] {
        verify_chain(&ec_leaf(role), &[], &both_roots(), role, NOW, &CrlSet::new()).unwrap();
        let rsa = odd_leaf(|leaf| {
            leaf.not_a_ca().unwrap();
            leaf.key_usage(KeyUsages::DigitalSignature).unwrap();
            leaf.extended_key_usage(true, vec![role.oid()]).unwrap();
        });
        let refused = refusal(&rsa, role);
        let defect = KeyDefect::NotP256;
        assert!(matches!(refused, CertificateRefusal::WeakKey { defect: d, .. } if d == defect), "{refused}");
    }
}

#[test]
fn a_chain_of_one_suite_is_none_of_the_other() {
    for role in Role::SUITE_01 {
        let refused = check_ec(&leaf(role), role).unwrap_err();
        assert!(
            matches!(refused, CertificateRefusal::WeakKey { defect: KeyDefect::NotP256, .. }),
            "{refused}"
        );
    }
    for role in ec_roles().filter(|role| role.has_keys_of(KeyFamily::Rsa)) {
        let checked = verify_chain(&ec_leaf(role), &[], &both_roots(), role, NOW, &CrlSet::new());
        let refused = checked.unwrap_err();
        assert!(
            matches!(refused, CertificateRefusal::WeakKey { defect: KeyDefect::NotRsa, .. }),
            "{refused}"
        );
    }
}

/// A leaf of the operator's role for `spki`, signed by `issuer` whatever may be.
fn crossed(ca: &Certificate, issuer: &dyn Signer, spki: &[u8]) -> Certificate {
    let mut template = issue::Template::new(ca.subject(), &name("Crossed"), spki, years(1)).unwrap();
    template.not_a_ca().unwrap();
    template.key_usage(KeyUsages::DigitalSignature).unwrap();
    template.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
    template.sign(issuer).unwrap()
}

#[test]
fn chains_of_both_kinds_of_keys_are_neither_issued_nor_believed() {
    let (rsa, p256) = (key(Who::Leaf).spki_der(), ec(Who::Leaf).spki_der());
    let under_rsa = crossed(&root(), key(Who::Root), p256);
    let under_p256 = crossed(&ec_root(), ec(Who::Root), rsa);
    for policy in [Policy::default(), SUITE_02()] {
        for leaf in [&under_rsa, &under_p256] {
            let checked = policy.verify_chain(leaf, &[], &both_roots(), Role::Operator, NOW, &CrlSet::new());
            assert!(matches!(checked, Err(CertificateRefusal::WeakKey { .. })), "{checked:?}");
        }
    }
    let (root, ec_root) = (root(), ec_root());
    let rsa_issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let ec_issuer = Issuer::new(&ec_root, ec(Who::Root)).unwrap();
    for (issuer, spki) in [(&rsa_issuer, p256), (&ec_issuer, rsa)] {
        let refused = |made: Result<Certificate, Error>| assert!(matches!(made, Err(Error::Request(_))));
        refused(issue::leaf(issuer, Role::Operator, &name("L"), spki, years(1)));
        refused(issue::intermediate(issuer, &name("I"), spki, years(1), 0));
        // TLS has no role: who serves or calls may have a key of either kind.
        assert!(issue::tls_client(issuer, &name("T"), spki, years(1)).is_ok());
    }
    for role in [Role::Device, Role::RksSigning] {
        let made = issue::leaf(&rsa_issuer, role, &subject(role), rsa, years(1));
        assert!(matches!(made, Err(Error::Request(_))), "{role}");
    }
    let made = issue::leaf(&ec_issuer, Role::RksWork, &name("L"), p256, years(1));
    assert!(matches!(made, Err(Error::Request(_))));
}

#[test]
fn a_p256_root_does_not_vouch_for_an_rsa_signature_nor_an_rsa_root_for_ecdsa() {
    // The issuer's name is right, the algorithm is the other suite's.
    let p256 = ec(Who::Leaf).spki_der();
    let by_rsa = crossed(&ec_root(), key(Who::Root), p256);
    let by_p256 = crossed(&root(), ec(Who::Root), key(Who::Leaf).spki_der());
    assert!(matches!(check_ec(&by_rsa, Role::Operator), Err(CertificateRefusal::Algorithm { .. })));
    assert!(matches!(refusal(&by_p256, Role::Operator), CertificateRefusal::Algorithm { .. }));
}

#[test]
fn a_key_is_for_signatures_or_for_agreement() {
    for role in ec_roles() {
        let verified = check_ec(&ec_leaf(role), role).unwrap();
        let (signing, agreement) = (verified.signing_key(), verified.agreement_point());
        if role == Role::KmsWork {
            assert_eq!(agreement.unwrap(), ec(Who::Leaf).spki_der()[26..]);
            assert!(matches!(signing, Err(CertificateRefusal::KeyUsage { .. })));
        } else {
            assert_eq!(signing.unwrap().point(), &ec(Who::Leaf).spki_der()[26..]);
            assert!(matches!(agreement, Err(CertificateRefusal::KeyUsage { .. })), "{role}");
        }
    }
    let rsa = check(&leaf(Role::Operator), Role::Operator).unwrap();
    assert!(matches!(rsa.signing_key(), Err(CertificateRefusal::WeakKey { .. })));
}

#[test]
fn the_mtms_has_a_certificate_for_each_use_and_others_have_one() {
    let root = ec_root();
    let issuer = Issuer::new(&root, ec(Who::Root)).unwrap();
    let spki = ec(Who::Leaf).spki_der();
    let mtms = issue::agreement_leaf(&issuer, Role::Mtms, &name("MTMS"), spki, years(1)).unwrap();
    let verified = check_ec(&mtms, Role::Mtms).unwrap();
    assert!(verified.agreement_point().is_ok() && verified.signing_key().is_err());
    issue::agreement_leaf(&issuer, Role::KmsWork, &name("KMS"), spki, years(1)).unwrap();
    for role in Role::ALL.into_iter().filter(|role| ![Role::Mtms, Role::KmsWork].contains(role)) {
        let made = issue::agreement_leaf(&issuer, role, &subject(role), spki, years(1));
        assert!(matches!(made, Err(Error::Request(_))), "{role}");
    }
    for usage in [
        KeyUsages::KeyAgreement | KeyUsages::DigitalSignature,
        KeyUsages::KeyEncipherment.into(),
        KeyUsages::DigitalSignature | KeyUsages::NonRepudiation,
    ] {
        for role in ec_roles() {
            let both = odd_ec_leaf(&subject(role), |leaf| {
                leaf.key_usage(usage).unwrap();
                leaf.extended_key_usage(true, vec![role.oid()]).unwrap();
            });
            let refused = check_ec(&both, role);
            assert!(matches!(refused, Err(CertificateRefusal::KeyUsage { .. })), "{role} {usage:?}");
        }
    }
}

#[test]
fn a_device_certificate_says_which_pin_pad_it_belongs_to() {
    let verified = check_ec(&ec_leaf(Role::Device), Role::Device).unwrap();
    assert_eq!(verified.serial_number(), Some("SN-1001"));
    for serial in ["A", "a.b-c_9", &"x".repeat(32)] {
        let name = Name::device("T", None, serial).unwrap();
        assert_eq!(name.serial_number(), Some(serial));
        assert_eq!(Name::from_der(name.der()).unwrap(), name);
    }
    for bad in ["", "SN 1", "SN/1", "ü", &"x".repeat(33)] {
        assert!(matches!(Name::device("T", None, bad), Err(Error::Name { .. })), "{bad:?}");
    }
    assert_eq!(name("T").serial_number(), None);

    let root = ec_root();
    let issuer = Issuer::new(&root, ec(Who::Root)).unwrap();
    let made = issue::leaf(&issuer, Role::Device, &name("T"), ec(Who::Leaf).spki_der(), years(1));
    assert!(matches!(made, Err(Error::Request(_))));
    let device = |subject: &Name| {
        odd_ec_leaf(subject, |leaf| {
            leaf.key_usage(KeyUsages::DigitalSignature).unwrap();
            leaf.extended_key_usage(true, vec![Role::Device.oid()]).unwrap();
        })
    };
    for subject in [name("T"), twice(), odd_serial()] {
        let refused = check_ec(&device(&subject), Role::Device);
        assert!(matches!(refused, Err(CertificateRefusal::SerialNumber { .. })), "{subject}");
    }
}

/// A name with two serial numbers: whose is it?
fn twice() -> Name {
    let mut rdns = Name::device("T", None, "SN-1001").unwrap().to_rdns().unwrap();
    rdns.0.extend(Name::device("T", None, "SN-1002").unwrap().to_rdns().unwrap().0);
    Name::from_rdns(&rdns).unwrap()
}

/// A serial number that no device can have.
fn odd_serial() -> Name {
    let good = Name::device("T", None, "SN-1001").unwrap();
    let at = good.der().windows(7).position(|bytes| bytes == b"SN-1001").unwrap();
    let mut bytes = good.der().to_vec();
    bytes[at + 2] = b'/';
    Name::from_der(&bytes).unwrap()
}

#[test]
fn a_revoked_device_is_refused_and_only_its_own_root_says_so() {
    let (root, leaf) = (ec_root(), ec_leaf(Role::Device));
    let issuer = Issuer::new(&root, ec(Who::Root)).unwrap();
    let entry =
        Revoked { serial: leaf.serial().to_vec(), when: NOW - 5, reason: RevocationReason::KeyCompromise };
    let crl = build_crl(&issuer, 1, NOW - DAY, NOW + DAY, &[entry]).unwrap();
    assert_eq!(Crl::from_der(crl.der()).unwrap().verify(&root), Ok(()));
    assert!(crl.verify(&super::support::root()).is_err());
    let mut crls = CrlSet::new();
    crls.add(crl);
    let checked = verify_chain(&leaf, &[], &both_roots(), Role::Device, NOW, &crls);
    assert!(matches!(checked, Err(CertificateRefusal::Revoked { .. })));
}

#[test]
fn a_request_for_a_device_comes_back_and_a_changed_one_does_not() {
    let der = csr::build(&subject(Role::Device), ec(Who::Leaf)).unwrap();
    let request = csr::parse_and_verify(&der).unwrap();
    assert_eq!(request.subject.serial_number(), Some("SN-1001"));
    assert_eq!(request.spki, ec(Who::Leaf).spki_der());
    for index in 0..der.len() {
        let mut changed = der.clone();
        changed[index] ^= 0x01;
        assert!(csr::parse_and_verify(&changed).is_err(), "byte {index}");
    }
}

#[test]
fn a_certificate_with_any_byte_changed_is_refused() {
    let der = ec_leaf(Role::RksSigning).der().to_vec();
    for index in 0..der.len() {
        let mut changed = der.clone();
        changed[index] ^= 0x01;
        if let Ok(leaf) = Certificate::from_der(&changed) {
            assert!(check_ec(&leaf, Role::RksSigning).is_err(), "byte {index}");
        }
    }
}

#[test]
fn signatures_are_raw_of_their_own_scheme_key_and_message() {
    let (key, other) = (ec(Who::Leaf), ec(Who::Stranger));
    let message = b"KF package";
    let signature = key.sign(Scheme::EcdsaP256Sha256, message).unwrap();
    assert_eq!(signature.len(), P256_SIGNATURE_LEN);
    let verify = |spki: &[u8], scheme, message: &[u8], signature: &[u8]| {
        verify_signature(spki, scheme, message, signature)
    };
    let scheme = Scheme::EcdsaP256Sha256;
    verify(key.spki_der(), scheme, message, &signature).unwrap();
    let bad = Err(Error::BadSignature { what: "the message" });
    assert_eq!(verify(other.spki_der(), scheme, message, &signature), bad);
    assert_eq!(verify(key.spki_der(), scheme, b"KF Package", &signature), bad);
    assert_eq!(verify(key.spki_der(), scheme, message, &p256::to_der(&signature).unwrap()), bad);
    assert_eq!(verify(key.spki_der(), scheme, message, &[0; 64]), bad);
    for rsa in [Scheme::Pkcs1Sha256, Scheme::PssSha256] {
        let refused = verify(key.spki_der(), rsa, message, &signature);
        assert!(matches!(refused, Err(Error::Key { defect: KeyDefect::NotRsa, .. })));
    }
    let rsa = super::support::key(Who::Leaf);
    let refused = verify(rsa.spki_der(), scheme, message, &signature);
    assert!(matches!(refused, Err(Error::Key { defect: KeyDefect::NotP256, .. })));
    assert!(!PublicKey::from_spki(rsa.spki_der()).unwrap().verifies(scheme, message, &signature));

    let public = P256PublicKey::from_spki(key.spki_der()).unwrap();
    assert!(public.verifies(message, &signature));
    let digest = crate::key::sha256(message);
    assert!(public.verifies_digest(&digest, &signature), "a digest is not hashed again");
    assert!(!public.verifies_digest(&crate::key::sha256(&digest), &signature));
    assert!(!public.verifies_digest(&digest, &signature[..63]));
}

#[test]
fn raw_signatures_have_one_der_form() {
    let mut raw = [0; 64];
    assert_eq!(p256::to_der(&raw).unwrap(), [0x30, 6, 2, 1, 0, 2, 1, 0]);
    (raw[31], raw[62], raw[63]) = (0x80, 0x01, 0x02);
    assert_eq!(p256::to_der(&raw).unwrap(), [0x30, 8, 2, 2, 0, 0x80, 2, 2, 1, 2]);
    assert_eq!(p256::to_der(&raw[1..]), None);
    let key = ec(Who::Leaf);
    let public = P256PublicKey::from_spki(key.spki_der()).unwrap();
    // Enough of them that some have a short r or s.
    for count in 0..600_u16 {
        let message = count.to_be_bytes();
        let raw = key.sign(Scheme::EcdsaP256Sha256, &message).unwrap();
        assert!(public.verifies_der(&message, &p256::to_der(&raw).unwrap()));
    }
}

#[test]
fn keys_that_are_no_p256_keys_are_refused() {
    let good = ec(Who::Leaf).spki_der();
    assert_eq!(KeyFamily::of(good), Ok(KeyFamily::P256));
    assert_eq!(KeyFamily::of(key(Who::Leaf).spki_der()), Ok(KeyFamily::Rsa));
    let mut off = good.to_vec();
    off[90] ^= 1;
    assert_eq!(KeyFamily::of(&off), Err(KeyDefect::Point));
    let mut hybrid = good.to_vec();
    hybrid[26] = 6;
    for bad in [&good[..90], &[good, &[0]].concat(), &hybrid] {
        assert_eq!(P256PublicKey::from_spki(bad).err(), Some(KeyDefect::NotP256));
    }
    let p384 = OpensslKey::curve("secp384r1");
    assert_eq!(P256PublicKey::from_spki(p384.spki_der()).err(), Some(KeyDefect::NotP256));
    let leaf = crossed(&ec_root(), ec(Who::Root), p384.spki_der());
    let refused = check_ec(&leaf, Role::Operator);
    assert!(matches!(refused, Err(CertificateRefusal::WeakKey { defect: KeyDefect::NotP256, .. })));
}
