//! Anything from outside: an error, never a panic, and never a pass.

use std::sync::LazyLock;

use proptest::prelude::*;

use super::support::*;
use crate::*;

static LEAF: LazyLock<Certificate> = LazyLock::new(|| leaf(Role::Operator));
static DEEP: LazyLock<(Certificate, Certificate)> =
    LazyLock::new(|| (deep_leaf(Role::Operator), intermediate()));
static PACKAGE: LazyLock<Vec<u8>> = LazyLock::new(|| {
    cms::sign(b"{\"version\":1}", key(Who::Leaf), &DEEP.0, &[intermediate(), root()], NOW).unwrap()
});

#[test]
fn a_certificate_changed_in_any_bit_is_refused() {
    let good = LEAF.der();
    for index in 0..good.len() {
        for bit in 0..8 {
            let mut changed = good.to_vec();
            changed[index] ^= 1 << bit;
            if let Ok(changed) = Certificate::from_der(&changed) {
                assert!(check(&changed, Role::Operator).is_err(), "byte {index}, bit {bit}");
            }
        }
    }
}

#[test]
fn an_intermediate_changed_in_any_byte_is_refused() {
    let (leaf, ca) = &*DEEP;
    for index in 0..ca.der().len() {
        let mut changed = ca.der().to_vec();
        changed[index] ^= 0x01;
        if let Ok(changed) = Certificate::from_der(&changed) {
            let result = verify_chain(leaf, &[changed], &trust(), Role::Operator, NOW, &CrlSet::new());
            assert!(result.is_err(), "byte {index}");
        }
    }
}

#[test]
fn a_certificate_with_a_byte_more_or_less_is_malformed() {
    let good = LEAF.der();
    for len in 0..good.len() {
        assert!(matches!(Certificate::from_der(&good[..len]), Err(Error::Malformed { .. })), "{len}");
    }
    let mut longer = good.to_vec();
    longer.push(0);
    assert!(matches!(Certificate::from_der(&longer), Err(Error::Malformed { .. })));
}

#[test]
fn inputs_past_their_limits_are_too_long() {
    let long = vec![0x30; MAX_CERTIFICATE_LEN + 1];
    assert!(matches!(Certificate::from_der(&long), Err(Error::TooLong { .. })));
    assert!(matches!(csr::parse_and_verify(&long), Err(Error::TooLong { .. })));
    assert!(matches!(Certificate::from_der(&long[1..]), Err(Error::Malformed { .. })));
    let long = vec![0x30; MAX_CRL_LEN + 1];
    assert!(matches!(Crl::from_der(&long), Err(Error::TooLong { .. })));
    let text = "x".repeat(MAX_CERTIFICATE_LEN * 2 + 1);
    assert!(matches!(Certificate::from_pem(&text), Err(Error::TooLong { .. })));
}

#[test]
fn the_chain_of_field_df0d_is_read_in_order_and_bounded() {
    let mut bytes = intermediate().der().to_vec();
    bytes.extend_from_slice(root().der());
    assert_eq!(Certificate::all_from_der(&bytes).unwrap(), [intermediate(), root()]);
    assert_eq!(Certificate::all_from_der(&[]).unwrap(), []);
    assert!(Certificate::all_from_der(&bytes[..bytes.len() - 1]).is_err());
    let many = root().der().repeat(MAX_INTERMEDIATES + 2);
    assert!(Certificate::all_from_der(&many).is_err());
}

proptest! {
    #[test]
    fn random_bytes_are_an_error_everywhere(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(Certificate::from_der(&bytes).is_err());
        prop_assert!(Crl::from_der(&bytes).is_err());
        prop_assert!(csr::parse_and_verify(&bytes).is_err());
        prop_assert!(cms::open(&bytes).is_err());
        prop_assert!(PublicKey::from_spki(&bytes).is_err());
        prop_assert!(Name::from_der(&bytes).is_err() || bytes.first() == Some(&0x30));
        let text = String::from_utf8_lossy(&bytes);
        prop_assert!(Certificate::from_pem(&text).is_err());
        prop_assert_eq!(Certificate::all_from_pem(&text).unwrap(), []);
    }

    #[test]
    fn a_certificate_changed_in_several_places_is_an_error_or_a_refusal(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..8),
    ) {
        let mut bytes = LEAF.der().to_vec();
        let len = bytes.len();
        for (index, change) in changes {
            bytes[index.index(len)] ^= change;
        }
        prop_assume!(bytes != LEAF.der());
        if let Ok(changed) = Certificate::from_der(&bytes) {
            prop_assert!(check(&changed, Role::Operator).is_err());
        }
    }

    #[test]
    fn a_certificate_with_bytes_cut_out_or_put_in_is_an_error_or_a_refusal(
        at in any::<prop::sample::Index>(),
        cut in 0_usize..40,
        put in proptest::collection::vec(any::<u8>(), 0..40),
    ) {
        let mut bytes = LEAF.der().to_vec();
        let at = at.index(bytes.len());
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, put);
        prop_assume!(bytes != LEAF.der());
        if let Ok(changed) = Certificate::from_der(&bytes) {
            prop_assert!(check(&changed, Role::Operator).is_err());
        }
    }

    #[test]
    fn a_package_changed_in_several_places_is_refused(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
    ) {
        let mut bytes = PACKAGE.clone();
        let len = bytes.len();
        for (index, change) in changes {
            bytes[index.index(len)] ^= change;
        }
        prop_assume!(bytes != *PACKAGE);
        if let Ok(package) = cms::open(&bytes) {
            // The certificates' own signatures are the chain's business.
            let signer = package.only_signer().unwrap();
            let chain = &signer.intermediates;
            let result =
                verify_chain(&signer.certificate, chain, &trust(), Role::Operator, NOW, &CrlSet::new());
            prop_assert!(result.is_err());
        }
    }
}
