//! Roles: each as every other, and extended key usages that are no role.

use const_oid::db::rfc5280::ID_KP_SERVER_AUTH;
use x509_cert::ext::pkix::KeyUsages;

use super::support::*;
use crate::*;

#[test]
fn r22_every_role_passes_as_itself_and_is_refused_as_every_other() {
    for found in Role::SUITE_01 {
        let leaf = leaf(found);
        assert_eq!(leaf.role(), Some(found));
        for wanted in Role::SUITE_01 {
            match check(&leaf, wanted) {
                Ok(verified) => {
                    assert_eq!(wanted, found);
                    assert_eq!(verified.role(), found);
                }
                Err(refused) => {
                    assert_ne!(wanted, found);
                    assert!(
                        matches!(refused, CertificateRefusal::WrongRole { wanted: w, found: f, .. }
                            if w == wanted && f == found),
                        "{found} as {wanted}: {refused}"
                    );
                }
            }
        }
    }
}

#[test]
fn numbers_words_and_object_identifiers_name_the_same_roles() {
    // 2-wire.md section 5.
    let table = [
        (1, "kms-work"),
        (2, "downloader"),
        (3, "rks-work"),
        (4, "operator"),
        (5, "administrator"),
        (6, "mtms"),
        (7, "package-signing"),
        (8, "repair-authorisation"),
        // 3-hardened.md.
        (9, "device"),
        (10, "rks-signing"),
    ];
    for (number, word) in table {
        let role = Role::from_number(number).unwrap();
        assert_eq!(role.to_string(), word);
        assert_eq!(word.parse::<Role>().unwrap(), role);
        assert_eq!(role.oid().to_string(), format!("1.3.6.1.4.1.32473.4711.{number}"));
        assert_eq!(role.oid().parent().unwrap(), ARC);
        assert_eq!(Role::from_oid(&role.oid()), Some(role));
    }
    assert_eq!(Role::from_number(0), None);
    assert_eq!(Role::from_number(11), None);
    assert!("king".parse::<Role>().is_err());
}

/// While the number is RFC 5612's, the tools must be told so.
#[test]
fn the_arc_is_an_example_exactly_while_it_is_under_32473() {
    assert_eq!(ARC_IS_EXAMPLE, ARC.to_string().starts_with("1.3.6.1.4.1.32473."));
}

fn with_usages(critical: bool, usages: Vec<const_oid::ObjectIdentifier>) -> Certificate {
    odd_leaf(|leaf| {
        leaf.not_a_ca().unwrap();
        leaf.key_usage(KeyUsages::DigitalSignature).unwrap();
        leaf.extended_key_usage(critical, usages).unwrap();
    })
}

#[test]
fn a_role_that_is_not_critical_is_refused() {
    let leaf = with_usages(false, vec![Role::Operator.oid()]);
    assert!(matches!(refusal(&leaf, Role::Operator), CertificateRefusal::EkuNotCritical { .. }));
}

#[test]
fn two_roles_in_one_certificate_are_refused_as_either() {
    let leaf = with_usages(true, vec![Role::Operator.oid(), Role::Administrator.oid()]);
    assert_eq!(leaf.role(), None);
    for role in [Role::Operator, Role::Administrator] {
        assert!(matches!(refusal(&leaf, role), CertificateRefusal::SeveralRoles { count: 2, .. }));
    }
}

#[test]
fn a_role_beside_a_common_usage_is_refused() {
    let leaf = with_usages(true, vec![Role::Operator.oid(), ID_KP_SERVER_AUTH]);
    assert!(matches!(refusal(&leaf, Role::Operator), CertificateRefusal::SeveralRoles { count: 2, .. }));
}

#[test]
fn a_certificate_without_a_role_is_refused() {
    let none = odd_leaf(|leaf| {
        leaf.not_a_ca().unwrap();
        leaf.key_usage(KeyUsages::DigitalSignature).unwrap();
    });
    let unknown = const_oid::ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.4711.11");
    for leaf in [none, with_usages(true, vec![ID_KP_SERVER_AUTH]), with_usages(true, vec![unknown])] {
        assert!(matches!(refusal(&leaf, Role::Operator), CertificateRefusal::NoRole { .. }));
    }
}
