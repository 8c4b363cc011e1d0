//! Revocation.

use super::support::*;
use crate::issue::{self, Issuer, Revoked, build_crl};
use crate::*;

fn list(number: u64, revoked: &[&Certificate], until: i64) -> Crl {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let revoked: Vec<Revoked> = revoked
        .iter()
        .map(|certificate| Revoked {
            serial: certificate.serial().to_vec(),
            when: NOW - 100,
            reason: RevocationReason::KeyCompromise,
        })
        .collect();
    build_crl(&issuer, number, NOW - 10 * DAY, until, &revoked).unwrap()
}

fn set(lists: impl IntoIterator<Item = Crl>) -> CrlSet {
    let mut set = CrlSet::new();
    for list in lists {
        set.add(list);
    }
    set
}

fn with(leaf: &Certificate, crls: &CrlSet) -> Result<Verified, CertificateRefusal> {
    verify_chain(leaf, &[], &trust(), Role::Operator, NOW, crls)
}

#[test]
fn a_certificate_that_is_not_on_the_list_passes() {
    with(&leaf(Role::Operator), &set([list(1, &[&leaf(Role::Operator)], NOW + DAY)])).unwrap();
}

#[test]
fn a_revoked_certificate_is_refused() {
    let leaf = leaf(Role::Operator);
    let crl = list(1, &[&leaf], NOW + DAY);
    assert_eq!(
        crl.revocation(leaf.serial()),
        Some(Revocation { when: NOW - 100, reason: RevocationReason::KeyCompromise })
    );
    assert!(
        matches!(with(&leaf, &set([crl])), Err(CertificateRefusal::Revoked { when, .. }) if when == NOW - 100)
    );
}

#[test]
fn a_revoked_intermediate_is_refused_with_everything_below_it() {
    let crls = set([list(1, &[&intermediate()], NOW + DAY)]);
    let leaf = deep_leaf(Role::Operator);
    let refused = verify_chain(&leaf, &[intermediate()], &trust(), Role::Operator, NOW, &crls).unwrap_err();
    assert!(
        matches!(refused, CertificateRefusal::Revoked { subject, .. } if subject.contains("Intermediate"))
    );
}

#[test]
fn the_list_of_another_issuer_says_nothing() {
    // The same serial number, revoked by a CA that did not issue it.
    let leaf = leaf(Role::Operator);
    let ca = intermediate();
    let issuer = Issuer::new(&ca, key(Who::Intermediate)).unwrap();
    let entry = Revoked { serial: leaf.serial().to_vec(), when: NOW, reason: RevocationReason::Unspecified };
    let crl = build_crl(&issuer, 1, NOW, NOW + DAY, &[entry]).unwrap();
    with(&leaf, &set([crl])).unwrap();
}

#[test]
fn a_list_signed_by_someone_else_is_refused() {
    // The stranger calls itself by the root's name.
    let twin = issue::root(root().subject(), key(Who::Stranger), years(10), 1).unwrap();
    let issuer = Issuer::new(&twin, key(Who::Stranger)).unwrap();
    let forged = build_crl(&issuer, 99, NOW, NOW + DAY, &[]).unwrap();
    let leaf = leaf(Role::Operator);
    assert!(matches!(with(&leaf, &set([forged.clone()])), Err(CertificateRefusal::CrlSignature { .. })));
    // Beside a good list the forged one hides nothing, whatever its number.
    let good = list(1, &[&leaf], NOW + DAY);
    assert!(matches!(with(&leaf, &set([forged, good])), Err(CertificateRefusal::Revoked { .. })));
}

#[test]
fn a_list_changed_in_any_byte_is_not_believed() {
    let leaf = leaf(Role::Operator);
    let good = list(1, &[&leaf], NOW + DAY);
    let mut believed = 0;
    for index in 0..good.der().len() {
        let mut changed = good.der().to_vec();
        changed[index] ^= 0x01;
        let Ok(changed) = Crl::from_der(&changed) else { continue };
        if changed.issuer() != root().subject() {
            continue;
        }
        believed += usize::from(!matches!(
            with(&leaf, &set([changed])),
            Err(CertificateRefusal::CrlSignature { .. })
        ));
    }
    assert_eq!(believed, 0);
}

#[test]
fn a_list_past_its_next_update_is_too_old_and_at_it_is_not() {
    let leaf = leaf(Role::Operator);
    with(&leaf, &set([list(1, &[], NOW)])).unwrap();
    assert!(matches!(
        with(&leaf, &set([list(1, &[], NOW - 1)])),
        Err(CertificateRefusal::CrlExpired { since, .. }) if since == NOW - 1
    ));
}

#[test]
fn a_revocation_on_an_old_list_still_counts() {
    let leaf = leaf(Role::Operator);
    assert!(matches!(
        with(&leaf, &set([list(1, &[&leaf], NOW - 1)])),
        Err(CertificateRefusal::Revoked { .. })
    ));
}

#[test]
fn a_list_from_the_future_is_refused() {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let crl = build_crl(&issuer, 1, NOW + 1, NOW + DAY, &[]).unwrap();
    assert!(matches!(
        with(&leaf(Role::Operator), &set([crl])),
        Err(CertificateRefusal::CrlNotYetValid { since, .. }) if since == NOW + 1
    ));
}

#[test]
fn r21_r22_the_highest_number_counts_in_whatever_order_lists_come() {
    let leaf = leaf(Role::Operator);
    let old = || list(7, &[], NOW + DAY);
    let new = || list(8, &[&leaf], NOW + DAY);
    for crls in [set([old(), new()]), set([new(), old()])] {
        assert!(matches!(with(&leaf, &crls), Err(CertificateRefusal::Revoked { .. })));
    }
}

#[test]
fn a_missing_list_is_tolerated_or_refused_as_the_policy_says() {
    let leaf = leaf(Role::Operator);
    let none = CrlSet::new();
    let required = Policy { missing_crl: CrlPolicy::Required, ..Policy::default() };
    with(&leaf, &none).unwrap();
    let refused = required.verify_chain(&leaf, &[], &trust(), Role::Operator, NOW, &none).unwrap_err();
    assert!(matches!(refused, CertificateRefusal::CrlMissing { .. }));
    required
        .verify_chain(&leaf, &[], &trust(), Role::Operator, NOW, &set([list(1, &[], NOW + DAY)]))
        .unwrap();
    // Every issuer of a chain needs its list.
    let refused = required
        .verify_chain(
            &deep_leaf(Role::Operator),
            &[intermediate()],
            &trust(),
            Role::Operator,
            NOW,
            &set([list(1, &[], NOW + DAY)]),
        )
        .unwrap_err();
    assert!(matches!(refused, CertificateRefusal::CrlMissing { issuer } if issuer.contains("Intermediate")));
}

#[test]
fn reasons_numbers_and_dates_come_back_as_they_were_written() {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let entries: Vec<Revoked> = RevocationReason::ALL
        .into_iter()
        .zip(1_u8..)
        .map(|(reason, serial)| Revoked { serial: vec![0xF0, serial], when: NOW + i64::from(serial), reason })
        .collect();
    let crl = build_crl(&issuer, u64::MAX, NOW, NOW + DAY, &entries).unwrap();
    let again = Crl::from_pem(&crl.pem()).unwrap();
    assert_eq!((again.number(), again.this_update(), again.next_update()), (u64::MAX, NOW, NOW + DAY));
    assert_eq!(again.len(), entries.len());
    for entry in entries {
        let found = again.revocation(&entry.serial).unwrap();
        assert_eq!((found.when, found.reason), (entry.when, entry.reason));
        assert_eq!(entry.reason.word().parse::<RevocationReason>().unwrap(), entry.reason);
    }
}

#[test]
fn a_list_that_would_end_before_it_begins_is_not_made() {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    assert!(matches!(build_crl(&issuer, 1, NOW, NOW, &[]), Err(Error::Request(_))));
}
