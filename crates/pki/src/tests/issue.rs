//! What is issued, and what is not.

use super::support::*;
use crate::issue::{self, Issuer, ServerName, Validity};
use crate::*;

#[test]
fn serial_numbers_are_positive_of_sixteen_bytes_and_differ() {
    let serials: Vec<Vec<u8>> = (0..20).map(|_| leaf(Role::Mtms).serial().to_vec()).collect();
    for (index, serial) in serials.iter().enumerate() {
        assert_eq!(serial.len(), 16);
        assert!(serial[0] < 0x80);
        assert!(!serials[index + 1..].contains(serial));
    }
}

#[test]
fn names_dates_key_and_identifiers_come_back() {
    let leaf = leaf(Role::Operator);
    assert_eq!(leaf.subject(), &name("Leaf"));
    assert_eq!(leaf.subject().common_name(), Some("Leaf"));
    assert_eq!(leaf.subject().organisation(), Some("Keyferry tests"));
    assert_eq!(leaf.subject().to_string(), "CN=Leaf,O=Keyferry tests");
    assert_eq!(leaf.issuer(), root().subject());
    assert_eq!((leaf.not_before(), leaf.not_after()), (NOW - DAY, NOW + 365 * DAY));
    assert_eq!(leaf.spki_der(), key(Who::Leaf).spki_der());
    assert_eq!(leaf.extensions().authority_key_id.as_deref(), root().subject_key_id());
    assert_eq!(Certificate::from_pem(&leaf.pem()).unwrap(), leaf);
    let both = format!("noise\n{}more\n{}", leaf.pem(), root().pem());
    assert_eq!(Certificate::all_from_pem(&both).unwrap(), [leaf, root()]);
}

#[test]
fn dates_after_2049_are_written_and_read() {
    // 2049-12-31T23:59:59Z is the last UTCTime (RFC 5280 section 4.1.2.5).
    const LAST_UTC_TIME: i64 = 2_524_607_999;
    for not_after in [LAST_UTC_TIME, LAST_UTC_TIME + 1, LAST_UTC_TIME + 50 * 365 * DAY] {
        let validity = Validity { not_before: NOW, not_after };
        let root = issue::root(&name("Long"), key(Who::Root), validity, 0).unwrap();
        assert_eq!(root.not_after(), not_after);
        let generalized = root.der().windows(2).any(|bytes| bytes == [0x18, 0x0F]);
        assert_eq!(generalized, not_after > LAST_UTC_TIME);
    }
}

#[test]
fn impossible_dates_are_refused() {
    let make = |not_before, not_after| {
        issue::root(&name("R"), key(Who::Root), Validity { not_before, not_after }, 0)
    };
    for (from, to) in [(NOW, NOW), (NOW, NOW - 1), (-1, NOW), (NOW, i64::MAX), (i64::MIN, i64::MAX)] {
        assert!(matches!(make(from, to), Err(Error::Request(_))), "{from} to {to}");
    }
    assert_eq!(Validity::days(i64::MAX, 1).not_after, i64::MAX);
}

#[test]
fn nothing_is_issued_that_would_outlive_its_issuer() {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let until = |not_after| {
        let validity = Validity { not_before: NOW, not_after };
        issue::leaf(&issuer, Role::Mtms, &name("L"), key(Who::Leaf).spki_der(), validity)
    };
    until(root.not_after()).unwrap();
    assert!(matches!(until(root.not_after() + 1), Err(Error::Request(_))));
}

#[test]
fn an_intermediate_must_fit_below_its_issuer() {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let make = |path_len| {
        issue::intermediate(&issuer, &name("I"), key(Who::Intermediate).spki_der(), years(1), path_len)
    };
    assert_eq!(make(1).unwrap().path_len(), Some(1));
    assert!(matches!(make(2), Err(Error::Request(_))));
}

#[test]
fn an_issuer_is_a_ca_with_its_own_key() {
    assert!(matches!(Issuer::new(&root(), key(Who::Leaf)), Err(Error::Request(_))));
    assert!(matches!(Issuer::new(&leaf(Role::Operator), key(Who::Leaf)), Err(Error::Request(_))));
}

/// Signs with another key than it says: what it makes must not leave.
struct Liar;

impl Signer for Liar {
    fn spki_der(&self) -> &[u8] {
        key(Who::Root).spki_der()
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        key(Who::Stranger).sign(scheme, message)
    }
}

/// Does not sign at all.
struct Mute;

impl Signer for Mute {
    fn spki_der(&self) -> &[u8] {
        key(Who::Root).spki_der()
    }

    fn sign(&self, _: Scheme, _: &[u8]) -> Result<Vec<u8>, SignError> {
        Err(SignError::new("the card was taken out"))
    }
}

#[test]
fn a_faulty_signer_is_found_before_anything_is_given_out() {
    let root = root();
    let issuer = Issuer::new(&root, &Liar).unwrap();
    let leaf = issue::leaf(&issuer, Role::Mtms, &name("L"), key(Who::Leaf).spki_der(), years(1));
    assert!(matches!(leaf, Err(Error::BadSignature { .. })));
    assert!(matches!(issue::build_crl(&issuer, 1, NOW, NOW + 1, &[]), Err(Error::BadSignature { .. })));
    assert!(matches!(csr::build(&name("L"), &Liar), Err(Error::BadSignature { .. })));
    assert!(matches!(cms::sign(b"", &Liar, &root, &[], NOW), Err(Error::Request(_))));
}

#[test]
fn a_signer_that_refuses_is_heard() {
    let root = root();
    let issuer = Issuer::new(&root, &Mute).unwrap();
    let result = issue::leaf(&issuer, Role::Mtms, &name("L"), key(Who::Leaf).spki_der(), years(1));
    assert_eq!(result.unwrap_err().to_string(), "the private key did not sign: the card was taken out");
}

#[test]
fn names_are_of_1_to_64_characters_without_control_characters() {
    assert!(Name::new("x", None).is_ok());
    assert!(Name::new(&"ü".repeat(64), None).is_ok());
    for bad in ["", &"x".repeat(65), "a\nb", "a\0b"] {
        assert!(matches!(Name::new(bad, None), Err(Error::Name { .. })), "{bad:?}");
        assert!(matches!(Name::new("x", Some(bad)), Err(Error::Name { .. })), "{bad:?}");
    }
    assert_eq!(Name::new("x", None).unwrap().organisation(), None);
}

#[test]
fn server_names_are_host_names_or_addresses() {
    for good in ["kms.example", "localhost", "a-b.c", "127.0.0.1", "::1"] {
        good.parse::<ServerName>().unwrap();
    }
    for bad in ["", ".", "a..b", "-a", "a-", "a b", "ü", "*.example", &"a".repeat(64), &"a.".repeat(127)] {
        assert!(bad.parse::<ServerName>().is_err(), "{bad:?}");
    }
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let none = issue::tls_server(&issuer, &name("T"), key(Who::Leaf).spki_der(), years(1), &[]);
    assert!(matches!(none, Err(Error::Request(_))));
}

#[test]
fn a_tls_server_has_no_role() {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let names = ["kms.example".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    let server = issue::tls_server(&issuer, &name("T"), key(Who::Leaf).spki_der(), years(1), &names).unwrap();
    for role in Role::SUITE_01 {
        assert!(matches!(refusal(&server, role), CertificateRefusal::NoRole { .. }));
    }
}

#[test]
fn a_tls_client_has_no_role() {
    let root = root();
    let issuer = Issuer::new(&root, key(Who::Root)).unwrap();
    let client = issue::tls_client(&issuer, &name("posp-1"), key(Who::Leaf).spki_der(), years(1)).unwrap();
    for role in Role::SUITE_01 {
        assert!(matches!(refusal(&client, role), CertificateRefusal::NoRole { .. }));
    }
    assert!(client.is_for_tls_clients());
    assert!(!root.is_for_tls_clients(), "one that says nothing of its use");
}

#[test]
fn a_request_comes_back_and_a_changed_one_does_not() {
    let der = csr::build(&name("Card 7"), key(Who::Leaf)).unwrap();
    let request = csr::parse_and_verify(&der).unwrap();
    assert_eq!(request.subject, name("Card 7"));
    assert_eq!(request.spki, key(Who::Leaf).spki_der());
    assert_eq!(csr::from_pem(&csr::to_pem(&der)).unwrap(), der);
    for index in 0..der.len() {
        let mut changed = der.clone();
        changed[index] ^= 0x01;
        assert!(csr::parse_and_verify(&changed).is_err(), "byte {index}");
    }
}
