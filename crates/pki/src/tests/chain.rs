//! Every refusal of `verify_chain` but those of roles, keys and revocation lists.

use const_oid::ObjectIdentifier;
use const_oid::db::rfc5280::{ID_CE_EXT_KEY_USAGE, ID_CE_KEY_USAGE};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsage, KeyUsages};

use super::support::*;
use crate::issue::{self, Issuer, Template, Validity, ca_usage, extension};
use crate::*;

fn at(leaf: &Certificate, intermediates: &[Certificate], at: i64) -> Result<Verified, CertificateRefusal> {
    verify_chain(leaf, intermediates, &trust(), Role::Operator, at, &CrlSet::new())
}

/// An intermediate made by `change`, and a leaf under it.
fn odd_ca(change: impl FnOnce(&mut Template)) -> (Certificate, Certificate) {
    let mut template =
        Template::new(root().subject(), &name("Odd CA"), key(Who::Intermediate).spki_der(), years(5))
            .unwrap();
    change(&mut template);
    let ca = template.sign(key(Who::Root)).unwrap();
    let mut leaf = Template::new(ca.subject(), &name("Below"), key(Who::Leaf).spki_der(), years(1)).unwrap();
    leaf.not_a_ca().unwrap();
    leaf.key_usage(KeyUsages::DigitalSignature).unwrap();
    leaf.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
    (ca, leaf.sign(key(Who::Intermediate)).unwrap())
}

#[test]
fn a_leaf_under_the_root_is_verified() {
    let leaf = leaf(Role::Operator);
    let verified = check(&leaf, Role::Operator).unwrap();
    assert_eq!(verified.certificate(), &leaf);
    assert_eq!(verified.root(), &root());
    assert_eq!(verified.role(), Role::Operator);
}

#[test]
fn a_leaf_under_an_intermediate_is_verified_with_and_without_the_root_in_the_chain() {
    let leaf = deep_leaf(Role::Operator);
    at(&leaf, &[intermediate()], NOW).unwrap();
    at(&leaf, &[intermediate(), root()], NOW).unwrap();
}

#[test]
fn the_first_and_last_second_are_valid_and_their_neighbours_are_not() {
    let leaf = leaf(Role::Operator);
    let (first, last) = (leaf.not_before(), leaf.not_after());
    at(&leaf, &[], first).unwrap();
    at(&leaf, &[], last).unwrap();
    // The root begins at the same second: its reason comes first.
    assert!(matches!(
        at(&leaf, &[], first - 1),
        Err(CertificateRefusal::NotYetValid { since, .. }) if since == first
    ));
    assert!(matches!(
        at(&leaf, &[], last + 1),
        Err(CertificateRefusal::Expired { since, ref subject }) if since == last && subject.contains("Leaf")
    ));
}

#[test]
fn a_leaf_that_begins_tomorrow_is_not_yet_valid() {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let tomorrow = Validity::days(NOW + DAY, 10);
    let leaf = issue::leaf(&issuer, Role::Operator, &name("L"), key(Who::Leaf).spki_der(), tomorrow).unwrap();
    assert!(matches!(
        refusal(&leaf, Role::Operator),
        CertificateRefusal::NotYetValid { since, .. } if since == NOW + DAY
    ));
}

#[test]
fn an_expired_intermediate_is_refused_though_its_leaf_is_in_date() {
    let (ca, leaf) = {
        let mut template = Template::new(
            root().subject(),
            &name("Old CA"),
            key(Who::Intermediate).spki_der(),
            Validity { not_before: NOW - 9 * DAY, not_after: NOW - DAY },
        )
        .unwrap();
        template.ca(0).unwrap();
        template.key_usage(ca_usage()).unwrap();
        let ca = template.sign(key(Who::Root)).unwrap();
        let mut leaf = Template::new(ca.subject(), &name("L"), key(Who::Leaf).spki_der(), years(1)).unwrap();
        leaf.not_a_ca().unwrap();
        (ca, leaf.sign(key(Who::Intermediate)).unwrap())
    };
    assert!(matches!(
        at(&leaf, &[ca], NOW),
        Err(CertificateRefusal::Expired { ref subject, .. }) if subject.contains("Old CA")
    ));
}

#[test]
fn a_foreign_root_is_refused() {
    let foreign = issue::root(&name("Foreign"), key(Who::Stranger), years(10), 1).unwrap();
    let issuer = Issuer::new(&foreign, key(Who::Stranger)).unwrap();
    let leaf = issue::leaf(&issuer, Role::Operator, &name("L"), key(Who::Leaf).spki_der(), years(1)).unwrap();
    assert!(matches!(refusal(&leaf, Role::Operator), CertificateRefusal::UnknownRoot { .. }));
    assert!(matches!(at(&leaf, &[foreign], NOW), Err(CertificateRefusal::UnknownRoot { .. })));
}

#[test]
fn a_foreign_root_with_the_same_name_is_refused() {
    let twin = issue::root(root().subject(), key(Who::Stranger), years(10), 1).unwrap();
    let issuer = Issuer::new(&twin, key(Who::Stranger)).unwrap();
    let leaf = issue::leaf(&issuer, Role::Operator, &name("L"), key(Who::Leaf).spki_der(), years(1)).unwrap();
    assert!(matches!(refusal(&leaf, Role::Operator), CertificateRefusal::UnknownRoot { .. }));
    // Without key identifiers the names alone match: then the signature tells.
    let mut bare = Template::new(root().subject(), &name("L"), key(Who::Leaf).spki_der(), years(1)).unwrap();
    bare.not_a_ca().unwrap();
    let bare = bare.sign(key(Who::Stranger)).unwrap();
    assert!(matches!(refusal(&bare, Role::Operator), CertificateRefusal::BadSignature { .. }));
}

#[test]
fn another_certificate_of_the_roots_own_key_is_not_the_root() {
    // Byte for byte, not by key: this root was made anew by the same key under the same name.
    let again = issue::root(root().subject(), key(Who::Root), years(10), 2).unwrap();
    let leaf = leaf(Role::Operator);
    assert!(matches!(at(&leaf, &[again], NOW), Err(CertificateRefusal::UnknownRoot { .. })));
}

#[test]
fn two_roots_of_one_name_are_told_apart_by_their_keys() {
    let twin = issue::root(root().subject(), key(Who::Stranger), years(10), 1).unwrap();
    let mut trust = TrustList::new();
    trust.add(twin.clone(), &[Role::Mtms]);
    trust.add(root(), &[Role::Operator]);
    let verified =
        verify_chain(&leaf(Role::Operator), &[], &trust, Role::Operator, NOW, &CrlSet::new()).unwrap();
    assert_eq!(verified.root(), &root());
}

#[test]
fn an_intermediate_that_is_no_ca_is_refused() {
    // An operator's card signs another operator's certificate.
    let card = leaf(Role::Operator);
    let mut forged =
        Template::new(card.subject(), &name("F"), key(Who::Stranger).spki_der(), years(1)).unwrap();
    forged.not_a_ca().unwrap();
    forged.key_usage(KeyUsages::DigitalSignature).unwrap();
    forged.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
    let forged = forged.sign(key(Who::Leaf)).unwrap();
    assert!(matches!(
        at(&forged, &[card], NOW),
        Err(CertificateRefusal::NotACa { ref subject }) if subject.contains("Leaf")
    ));
}

#[test]
fn an_intermediate_without_basic_constraints_is_refused() {
    let (ca, leaf) = odd_ca(|ca| ca.key_usage(ca_usage()).unwrap());
    assert!(matches!(at(&leaf, &[ca], NOW), Err(CertificateRefusal::NotACa { .. })));
}

#[test]
fn an_intermediate_whose_basic_constraints_are_not_critical_is_refused() {
    let (ca, leaf) = odd_ca(|ca| {
        ca.push(false, &BasicConstraints { ca: true, path_len_constraint: Some(0) }).unwrap();
        ca.key_usage(ca_usage()).unwrap();
    });
    assert!(matches!(at(&leaf, &[ca], NOW), Err(CertificateRefusal::BasicConstraints { .. })));
}

#[test]
fn an_intermediate_that_may_not_sign_certificates_is_refused() {
    for usage in [
        KeyUsages::CRLSign.into(),
        KeyUsages::KeyCertSign.into(),
        KeyUsages::DigitalSignature | KeyUsages::CRLSign,
    ] {
        let (ca, leaf) = odd_ca(|ca| {
            ca.ca(0).unwrap();
            ca.key_usage(usage).unwrap();
        });
        assert!(matches!(at(&leaf, &[ca], NOW), Err(CertificateRefusal::KeyUsage { .. })));
    }
    let (ca, leaf) = odd_ca(|ca| ca.ca(0).unwrap());
    assert!(matches!(at(&leaf, &[ca], NOW), Err(CertificateRefusal::KeyUsage { .. })));
}

#[test]
fn an_intermediate_with_an_extended_key_usage_is_refused() {
    let (ca, leaf) = odd_ca(|ca| {
        ca.ca(0).unwrap();
        ca.key_usage(ca_usage()).unwrap();
        ca.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
    });
    assert!(matches!(at(&leaf, &[ca], NOW), Err(CertificateRefusal::EkuInCa { .. })));
}

/// A chain of CAs, all with the intermediate's key, each allowing `path_lens` in turn, and a leaf.
fn tower(path_lens: &[u8]) -> (Certificate, Vec<Certificate>) {
    let mut chain: Vec<Certificate> = Vec::new();
    let mut signer = key(Who::Root);
    for (floor, path_len) in path_lens.iter().enumerate() {
        let issuer = chain.first().cloned().unwrap_or_else(root);
        let mut ca = Template::new(
            issuer.subject(),
            &name(&format!("CA {floor}")),
            key(Who::Intermediate).spki_der(),
            years(1),
        )
        .unwrap();
        ca.ca(*path_len).unwrap();
        ca.key_usage(ca_usage()).unwrap();
        chain.insert(0, ca.sign(signer).unwrap());
        signer = key(Who::Intermediate);
    }
    let issuer = chain.first().cloned().unwrap_or_else(root);
    let mut leaf =
        Template::new(issuer.subject(), &name("Top"), key(Who::Leaf).spki_der(), years(1)).unwrap();
    leaf.not_a_ca().unwrap();
    leaf.key_usage(KeyUsages::DigitalSignature).unwrap();
    leaf.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
    (leaf.sign(signer).unwrap(), chain)
}

#[test]
fn a_path_as_long_as_allowed_is_verified() {
    let (leaf, chain) = tower(&[1, 0]);
    at(&leaf, &chain, NOW).unwrap();
}

#[test]
fn a_path_longer_than_an_intermediate_allows_is_refused() {
    let (leaf, chain) = tower(&[0, 0]);
    assert!(matches!(
        at(&leaf, &chain, NOW),
        Err(CertificateRefusal::PathLength { allowed: 0, found: 1, ref subject }) if subject.contains("CA 0")
    ));
}

#[test]
fn a_path_longer_than_the_root_allows_is_refused() {
    let (leaf, chain) = tower(&[2, 1, 0]);
    assert!(matches!(
        at(&leaf, &chain, NOW),
        Err(CertificateRefusal::PathLength { allowed: 2, found: 3, ref subject }) if subject.contains("Root")
    ));
}

#[test]
fn a_chain_of_the_greatest_length_is_looked_at_and_one_more_is_not() {
    let (leaf, chain) = tower(&[9; MAX_INTERMEDIATES]);
    assert!(matches!(at(&leaf, &chain, NOW), Err(CertificateRefusal::PathLength { .. })));
    let (leaf, chain) = tower(&[9; MAX_INTERMEDIATES + 1]);
    assert!(matches!(
        at(&leaf, &chain, NOW),
        Err(CertificateRefusal::ChainTooLong { found, max: MAX_INTERMEDIATES }) if found == MAX_INTERMEDIATES + 1
    ));
}

#[test]
fn a_policy_may_allow_fewer_intermediates() {
    let policy = Policy { max_intermediates: 0, ..Policy::default() };
    let refused = policy
        .verify_chain(&deep_leaf(Role::Mtms), &[intermediate()], &trust(), Role::Mtms, NOW, &CrlSet::new())
        .unwrap_err();
    assert!(matches!(refused, CertificateRefusal::ChainTooLong { found: 1, max: 0 }));
}

#[test]
fn a_chain_in_the_wrong_order_or_with_a_gap_is_refused() {
    let (leaf, mut chain) = tower(&[1, 0]);
    chain.reverse();
    assert!(matches!(at(&leaf, &chain, NOW), Err(CertificateRefusal::NameChaining { .. })));
    assert!(matches!(at(&deep_leaf(Role::Operator), &[], NOW), Err(CertificateRefusal::UnknownRoot { .. })));
}

#[test]
fn a_root_is_refused_for_a_role_that_it_may_not_issue() {
    let mut trust = TrustList::new();
    trust.add(root(), &[Role::KmsWork]);
    let refused =
        verify_chain(&leaf(Role::Operator), &[], &trust, Role::Operator, NOW, &CrlSet::new()).unwrap_err();
    assert!(matches!(refused, CertificateRefusal::RoleNotAllowedForRoot { role: Role::Operator, .. }));
    trust.add(root(), &[Role::Operator]);
    verify_chain(&leaf(Role::Operator), &[], &trust, Role::Operator, NOW, &CrlSet::new()).unwrap();
    verify_chain(&leaf(Role::KmsWork), &[], &trust, Role::KmsWork, NOW, &CrlSet::new()).unwrap();
}

#[test]
fn an_empty_trust_list_trusts_nobody() {
    let refused =
        verify_chain(&leaf(Role::Mtms), &[], &TrustList::new(), Role::Mtms, NOW, &CrlSet::new()).unwrap_err();
    assert!(matches!(refused, CertificateRefusal::UnknownRoot { .. }));
}

#[test]
fn a_ca_is_no_leaf() {
    assert!(matches!(refusal(&intermediate(), Role::Operator), CertificateRefusal::BasicConstraints { .. }));
    assert!(matches!(refusal(&root(), Role::Operator), CertificateRefusal::BasicConstraints { .. }));
}

#[test]
fn a_leaf_without_critical_basic_constraints_is_refused() {
    let without = odd_leaf(|leaf| {
        leaf.key_usage(KeyUsages::DigitalSignature).unwrap();
        leaf.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
    });
    let lax = odd_leaf(|leaf| {
        leaf.push(false, &BasicConstraints { ca: false, path_len_constraint: None }).unwrap();
        leaf.key_usage(KeyUsages::DigitalSignature).unwrap();
        leaf.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
    });
    for leaf in [without, lax] {
        assert!(matches!(refusal(&leaf, Role::Operator), CertificateRefusal::BasicConstraints { .. }));
    }
}

#[test]
fn an_unknown_critical_extension_is_refused_and_an_unknown_other_one_is_not() {
    let oid = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.4711.99");
    let with = |critical| {
        odd_leaf(|leaf| {
            leaf.not_a_ca().unwrap();
            leaf.key_usage(KeyUsages::DigitalSignature).unwrap();
            leaf.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
            leaf.push_raw(extension(oid, critical, &der::asn1::Null).unwrap());
        })
    };
    check(&with(false), Role::Operator).unwrap();
    assert!(matches!(
        refusal(&with(true), Role::Operator),
        CertificateRefusal::UnknownCriticalExtension { oid: found, .. } if found == oid
    ));
}

#[test]
fn a_key_usage_that_is_not_critical_or_not_the_roles_is_refused() {
    let with = |critical, usage| {
        odd_leaf(|leaf| {
            leaf.not_a_ca().unwrap();
            leaf.push_raw(extension(ID_CE_KEY_USAGE, critical, &KeyUsage(usage)).unwrap());
            leaf.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
        })
    };
    let right = KeyUsages::DigitalSignature.into();
    check(&with(true, right), Role::Operator).unwrap();
    for leaf in [
        with(false, right),
        with(true, KeyUsages::KeyEncipherment.into()),
        with(true, KeyUsages::DigitalSignature | KeyUsages::KeyEncipherment),
        with(true, KeyUsages::DigitalSignature | KeyUsages::NonRepudiation),
    ] {
        assert!(matches!(refusal(&leaf, Role::Operator), CertificateRefusal::KeyUsage { .. }));
    }
}

#[test]
fn a_repeated_extension_is_malformed() {
    let mut template =
        Template::new(root().subject(), &name("L"), key(Who::Leaf).spki_der(), years(1)).unwrap();
    for role in [Role::Operator, Role::Administrator] {
        template.push_raw(
            extension(ID_CE_EXT_KEY_USAGE, true, &x509_cert::ext::pkix::ExtendedKeyUsage(vec![role.oid()]))
                .unwrap(),
        );
    }
    assert!(matches!(template.sign(key(Who::Root)), Err(Error::Malformed { .. })));
}
