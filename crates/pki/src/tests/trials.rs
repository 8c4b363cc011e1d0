//! R10: roots for trials and roots for production.

use super::p256_support::*;
use super::support::*;
use crate::issue::{self, Template, ca_usage};
use crate::*;

#[test]
fn r10_a_root_for_trials_says_so_and_no_other_does() {
    for (trial, other) in [
        (issue::trial_root(&name("T"), key(Who::Root), years(1), 1).unwrap(), root()),
        (issue::trial_root(&name("T"), ec(Who::Root), years(1), 1).unwrap(), ec_root()),
    ] {
        assert!(trial.is_for_trials() && !other.is_for_trials());
        trial.must_be_for(false).unwrap();
        other.must_be_for(true).unwrap();
        for (root, production) in [(&trial, true), (&other, false)] {
            let refused = root.must_be_for(production).unwrap_err();
            assert_eq!(
                refused,
                Error::OtherEstate { subject: root.subject().to_string(), production: !production }
            );
        }
        let said = trial.must_be_for(true).unwrap_err().to_string();
        assert!(said.contains("is for trials, and this is an estate for production"), "{said}");
    }
}

#[test]
fn r10_the_mark_survives_as_it_was_made_and_counts_where_it_is_critical_too() {
    let trial = issue::trial_root(&name("T"), ec(Who::Root), years(1), 1).unwrap();
    assert!(Certificate::from_pem(&trial.pem()).unwrap().is_for_trials());
    let mut template = Template::new(&name("T"), &name("T"), ec(Who::Root).spki_der(), years(1)).unwrap();
    template.ca(1).unwrap();
    template.key_usage(ca_usage()).unwrap();
    let mark = issue::extension(TRIAL_MARK, true, &der::asn1::Null).unwrap();
    template.push_raw(mark);
    assert!(template.sign(ec(Who::Root)).unwrap().is_for_trials());
}

#[test]
fn a_root_for_trials_vouches_among_trials_as_any_root_does() {
    let trial = issue::trial_root(ec_root().subject(), ec(Who::Root), years(10), 1).unwrap();
    let mut trust = TrustList::new();
    trust.add(trial.clone(), &Role::ALL);
    let leaf = ec_leaf(Role::Operator);
    let verified = SUITE_02().verify_chain(&leaf, &[], &trust, Role::Operator, NOW, &CrlSet::new()).unwrap();
    assert_eq!(verified.root(), &trial);
}

#[test]
fn r10_no_role_has_the_number_of_the_mark() {
    assert_eq!(TRIAL_MARK.parent(), Some(ARC));
    assert_eq!(Role::from_oid(&TRIAL_MARK), None);
}
