//! R22: chains good and bad, made from a description of one line each.
//!
//! A line is what comes of it, a colon, and the chain from the root down, `>` between its certificates. A certificate
//! is `ca` (with the number of CAs that it allows below it) or the word of a role, with what is unusual about it.
//! Behind `|` stand the root's revocation lists, in the order of their coming. All are of suite 02; the checker wants
//! an operator.

use const_oid::{ObjectIdentifier, db::rfc5280::ID_KP_SERVER_AUTH};
use x509_cert::ext::pkix::{BasicConstraints, KeyUsages};

use super::p256_support::*;
use super::support::*;
use crate::issue::{self, Issuer, Revoked, Template, Validity, build_crl, ca_usage, extension};
use crate::*;

const CHAINS: &str = "
    good: operator
    good: ca 0 > operator
    good: operator | 7 clears
    WrongRole: administrator
    WrongRole: ca 0 > kms-work
    NoRole: operator usage-none
    NoRole: operator usage-server
    NoRole: operator usage-any
    SeveralRoles: operator usage-two
    EkuNotCritical: operator usage-optional
    KeyUsage: operator signs-nothing
    KeyUsage: operator agrees-on-keys
    KeyUsage: operator signs-certificates
    BasicConstraints: operator says-it-is-a-ca
    BasicConstraints: operator says-nothing-of-ca
    UnknownCriticalExtension: operator critical-novelty
    good: operator novelty
    NotYetValid: operator tomorrow
    Expired: operator yesterday
    Expired: ca 0 yesterday > operator
    BadSignature: operator by-a-stranger
    BadSignature: ca 0 by-a-stranger > operator
    UnknownRoot: operator of-a-foreign-root
    WeakKey: operator rsa-key
    WeakKey: operator rsa-1024-key
    WeakKey: operator curve-p384-key
    WeakKey: ca 0 rsa-key > operator
    WeakKey: ca 0 curve-p384-key > operator
    NotACa: operator > operator
    NotACa: ca 0 says-nothing-of-ca > operator
    BasicConstraints: ca 0 ca-not-critical > operator
    KeyUsage: ca 0 signs-nothing > operator
    EkuInCa: ca 0 usage-operator > operator
    PathLength: ca 1 > ca 0 > operator
    NameChaining: ca 0 > operator of-a-foreign-root
    good: ca 0 > operator | 7 clears
    Revoked: operator | 7 revokes-leaf
    Revoked: ca 0 > operator | 7 revokes-ca
    Revoked: operator | 8 revokes-leaf, 7 clears
    good: operator | 7 revokes-leaf, 8 clears
    Revoked: operator | 7 overdue revokes-leaf
    CrlExpired: operator | 7 overdue
    CrlNotYetValid: operator | 7 tomorrow
    CrlSignature: operator | 7 by-a-stranger
    CrlMissing: operator | none
";

#[test]
fn r22_chains_of_a_description_are_believed_or_refused_as_it_says() {
    let mut lines = 0;
    for line in CHAINS.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (wanted, description) = line.split_once(": ").unwrap();
        let (chain, lists) = description.split_once(" | ").unwrap_or((description, ""));
        let chain = made(chain);
        let policy = match lists {
            "none" => Policy { missing_crl: CrlPolicy::Required, ..SUITE_02() },
            _ => SUITE_02(),
        };
        let crls = crls(lists, &chain);
        let mut trust = TrustList::new();
        trust.add(ec_root(), &[Role::Operator, Role::Administrator, Role::KmsWork]);
        let (leaf, above) = chain.split_last().unwrap();
        let nearest_first: Vec<_> = above.iter().rev().cloned().collect();
        let found = policy.verify_chain(leaf, &nearest_first, &trust, Role::Operator, NOW, &crls);
        let found = found.map_or_else(|refusal| format!("{refusal:?}"), |_| "good".into());
        let found = found.split([' ', '(']).next().unwrap();
        assert_eq!(found, wanted, "{line}");
        lines += 1;
    }
    assert_eq!(lines, 45);
}

/// The certificates from the root's own down.
fn made(description: &str) -> Vec<Certificate> {
    let mut chain: Vec<Certificate> = Vec::new();
    for (words, holder) in description.split(" > ").zip([Who::Intermediate, Who::Leaf, Who::Stranger]) {
        let last = chain.len() + 1 == description.split(" > ").count();
        let holder = if last { Who::Leaf } else { holder };
        let (issuer, signer) = match chain.last() {
            None => (ec_root(), Who::Root),
            Some(above) => (above.clone(), [Who::Intermediate, Who::Leaf][chain.len() - 1]),
        };
        chain.push(certificate(words, &issuer, signer, holder));
    }
    chain
}

fn certificate(words: &str, issuer: &Certificate, signer: Who, holder: Who) -> Certificate {
    let words: Vec<&str> = words.split(' ').collect();
    let has = |word| words.contains(&word);
    let spki = match () {
        () if has("rsa-key") => key(holder).spki_der().to_vec(),
        () if has("rsa-1024-key") => OpensslKey::rsa("1024").spki_der().to_vec(),
        () if has("curve-p384-key") => OpensslKey::curve("secp384r1").spki_der().to_vec(),
        () => ec(holder).spki_der().to_vec(),
    };
    let valid = match () {
        () if has("yesterday") => Validity { not_before: NOW - 9 * DAY, not_after: NOW - DAY },
        () if has("tomorrow") => Validity { not_before: NOW + DAY, not_after: NOW + 9 * DAY },
        () => years(1),
    };
    let foreign = name("Foreign");
    let above = if has("of-a-foreign-root") { &foreign } else { issuer.subject() };
    let mut template = Template::new(above, &name(words[0]), &spki, valid).unwrap();
    match words[0].parse::<Role>() {
        Ok(role) => leaf(&mut template, role, &has),
        Err(_) => ca(&mut template, words[1].parse().unwrap(), &has),
    }
    for critical in [true, false] {
        if has(if critical { "critical-novelty" } else { "novelty" }) {
            let oid = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.32473.1");
            template.push_raw(extension(oid, critical, &true).unwrap());
        }
    }
    template.sign(ec(if has("by-a-stranger") { Who::Stranger } else { signer })).unwrap()
}

fn leaf(template: &mut Template, role: Role, has: &impl Fn(&'static str) -> bool) {
    match () {
        () if has("says-it-is-a-ca") => template.ca(0).unwrap(),
        () if has("says-nothing-of-ca") => {}
        () => template.not_a_ca().unwrap(),
    }
    match () {
        () if has("signs-nothing") => {}
        () if has("agrees-on-keys") => template.key_usage(KeyUsages::KeyAgreement).unwrap(),
        () if has("signs-certificates") => template.key_usage(ca_usage()).unwrap(),
        // The KMS's key of suite 02 is for agreement.
        () if role == Role::KmsWork => template.key_usage(KeyUsages::KeyAgreement).unwrap(),
        () => template.key_usage(KeyUsages::DigitalSignature).unwrap(),
    }
    let any = ObjectIdentifier::new_unwrap("2.5.29.37.0");
    match () {
        () if has("usage-none") => {}
        () if has("usage-server") => template.extended_key_usage(true, vec![ID_KP_SERVER_AUTH]).unwrap(),
        () if has("usage-any") => template.extended_key_usage(true, vec![any]).unwrap(),
        () if has("usage-two") => {
            template.extended_key_usage(true, vec![role.oid(), Role::Administrator.oid()]).unwrap();
        }
        () => template.extended_key_usage(!has("usage-optional"), vec![role.oid()]).unwrap(),
    }
}

fn ca(template: &mut Template, below: u8, has: &impl Fn(&'static str) -> bool) {
    let constraints = BasicConstraints { ca: true, path_len_constraint: Some(below) };
    if !has("says-nothing-of-ca") {
        template.push(!has("ca-not-critical"), &constraints).unwrap();
    }
    let usage = if has("signs-nothing") { KeyUsages::DigitalSignature.into() } else { ca_usage() };
    template.key_usage(usage).unwrap();
    if has("usage-operator") {
        template.extended_key_usage(true, vec![Role::Operator.oid()]).unwrap();
    }
}

fn crls(lists: &str, chain: &[Certificate]) -> CrlSet {
    let mut set = CrlSet::new();
    for list in lists.split(", ").filter(|list| !list.is_empty() && *list != "none") {
        let words: Vec<&str> = list.split(' ').collect();
        let has = |word| words.contains(&word);
        let (from, until) = match () {
            () if has("overdue") => (NOW - 9 * DAY, NOW - DAY),
            () if has("tomorrow") => (NOW + DAY, NOW + 9 * DAY),
            () => (NOW - DAY, NOW + DAY),
        };
        let revoked = match () {
            () if has("revokes-leaf") => chain.last(),
            () if has("revokes-ca") => chain.first(),
            () => None,
        };
        let revoked: Vec<_> = revoked
            .map(|certificate| Revoked {
                serial: certificate.serial().to_vec(),
                when: NOW - DAY,
                reason: RevocationReason::KeyCompromise,
            })
            .into_iter()
            .collect();
        let root = ec_root();
        let twin = issue::root(root.subject(), ec(Who::Stranger), years(10), 1).unwrap();
        let issuer = match has("by-a-stranger") {
            true => Issuer::new(&twin, ec(Who::Stranger)),
            false => Issuer::new(&root, ec(Who::Root)),
        };
        set.add(build_crl(&issuer.unwrap(), words[0].parse().unwrap(), from, until, &revoked).unwrap());
    }
    set
}
