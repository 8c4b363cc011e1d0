//! P-256 keys, and a small estate of suite 02.

use std::sync::LazyLock;

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};

use super::support::{NOW, Who, name, years};
use crate::issue::{self, Issuer, Template};
use crate::*;

/// A private key of the tests.
pub(super) struct EcKey {
    pair: EcdsaKeyPair,
    spki: Vec<u8>,
}

impl EcKey {
    fn new() -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let spki: PublicKeyX509Der<'_> = pair.public_key().as_der().unwrap();
        let spki = spki.as_ref().to_vec();
        Self { pair, spki }
    }

    pub(super) fn pem(&self) -> String {
        let pkcs8 = self.pair.to_pkcs8v1().unwrap();
        der::pem::encode_string("PRIVATE KEY", der::pem::LineEnding::LF, pkcs8.as_ref()).unwrap()
    }
}

impl Signer for EcKey {
    fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    fn sign(&self, scheme: Scheme, message: &[u8]) -> Result<Vec<u8>, SignError> {
        if scheme != Scheme::EcdsaP256Sha256 {
            return Err(SignError::new("a P-256 key"));
        }
        Ok(self.pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec())
    }
}

pub(super) fn ec(who: Who) -> &'static EcKey {
    static KEYS: LazyLock<[EcKey; 4]> = LazyLock::new(|| std::array::from_fn(|_| EcKey::new()));
    &KEYS[who as usize]
}

/// The root of suite 02; it allows one CA below it.
pub(super) fn ec_root() -> Certificate {
    static ROOT: LazyLock<Certificate> =
        LazyLock::new(|| issue::root(&name("EC root"), ec(Who::Root), years(10), 1).unwrap());
    ROOT.clone()
}

pub(super) fn ec_intermediate() -> Certificate {
    static CA: LazyLock<Certificate> = LazyLock::new(|| {
        let root = ec_root();
        let issuer = Issuer::new(&root, ec(Who::Root)).unwrap();
        let spki = ec(Who::Intermediate).spki_der();
        issue::intermediate(&issuer, &name("EC intermediate"), spki, years(5), 0).unwrap()
    });
    CA.clone()
}

/// Whom a leaf of this role is about.
pub(super) fn subject(role: Role) -> Name {
    match role {
        Role::Device => Name::device("Terminal", Some("Keyferry tests"), "SN-1001").unwrap(),
        _ => name("Leaf"),
    }
}

/// A leaf under the root.
pub(super) fn ec_leaf(role: Role) -> Certificate {
    let root = ec_root();
    let issuer = Issuer::new(&root, ec(Who::Root)).unwrap();
    issue::leaf(&issuer, role, &subject(role), ec(Who::Leaf).spki_der(), years(1)).unwrap()
}

/// The bare beginning of a certificate under the root, for `change` to complete.
pub(super) fn odd_ec_leaf(subject: &Name, change: impl FnOnce(&mut Template)) -> Certificate {
    let spki = ec(Who::Leaf).spki_der();
    let mut template = Template::new(ec_root().subject(), subject, spki, years(1)).unwrap();
    template.not_a_ca().unwrap();
    change(&mut template);
    template.sign(ec(Who::Root)).unwrap()
}

/// Every role, under both roots.
pub(super) fn both_roots() -> TrustList {
    let mut trust = TrustList::new();
    trust.add(ec_root(), &Role::ALL);
    trust.add(super::support::root(), &Role::ALL);
    trust
}

pub(super) const SUITE_02: fn() -> Policy = || Policy { family: KeyFamily::P256, ..Policy::default() };

/// Checks a leaf as suite 02 does.
pub(super) fn check_ec(leaf: &Certificate, role: Role) -> Result<Verified, CertificateRefusal> {
    SUITE_02().verify_chain(leaf, &[], &both_roots(), role, NOW, &CrlSet::new())
}

/// The roles that have P-256 keys.
pub(super) fn ec_roles() -> impl Iterator<Item = Role> {
    Role::ALL.into_iter().filter(|role| role.has_keys_of(KeyFamily::P256))
}
