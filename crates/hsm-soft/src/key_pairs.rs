//! Private keys of key pairs. Those of RSA are parsed once: parsing costs more than using.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use hsm::{KeyBlock, Refusal};
use paycrypto::{
    digest,
    ec::{AgreementKey, SCALAR, SigningKey},
    rsa::PrivateKey,
};
use zeroize::Zeroizing;

use crate::{
    lmk::{Binding, Lmk},
    purpose::Purpose,
};

/// Keys kept parsed: an acquirer has one active and a few that only open.
const KEPT: usize = 16;

/// Parsed keys by the hash of (purpose, owner, block), the oldest given up first.
#[derive(Default)]
pub(crate) struct KeyPairs {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    keys: HashMap<[u8; 32], Arc<PrivateKey>>,
    order: VecDeque<[u8; 32]>,
}

impl KeyPairs {
    /// The private key in `block`, checked for purpose and owner when it is first opened.
    pub(crate) fn open(
        &self,
        lmk: &Lmk,
        block: &KeyBlock,
        purpose: Purpose,
        owner: &str,
    ) -> Result<Arc<PrivateKey>, Refusal> {
        let name = format!("{}\n{owner}\n{}", purpose.rule().text, block.as_str());
        let name = digest::sha256(name.as_bytes());
        if let Some(key) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).keys.get(&name) {
            return Ok(Arc::clone(key));
        }
        // Parsed outside the lock: two that come at once both parse, and the second result is kept.
        let bound = Binding { place: None, owner, tk_hash: None };
        let opened = lmk.open("the key pair", block, purpose, bound)?;
        let key = PrivateKey::from_pkcs8(&opened.key)
            .map(Arc::new)
            .map_err(|e| Refusal::WrongUse { what: "the key pair".into(), found: e.to_string() })?;
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.keys.insert(name, Arc::clone(&key)).is_none() {
            kept.order.push_back(name);
        }
        if kept.order.len() > KEPT
            && let Some(oldest) = kept.order.pop_front()
        {
            kept.keys.remove(&oldest);
        }
        Ok(key)
    }
}

/// The KMS's key for key agreement, of suite 02.
pub(crate) fn open_agreement(lmk: &Lmk, block: &KeyBlock, owner: &str) -> Result<AgreementKey, Refusal> {
    AgreementKey::from_scalar(&*scalar(lmk, block, Purpose::KmsAgreement, owner)?).map_err(|e| poor(&e))
}

/// A signing key of suite 02.
pub(crate) fn open_signing(
    lmk: &Lmk,
    block: &KeyBlock,
    purpose: Purpose,
    owner: &str,
) -> Result<SigningKey, Refusal> {
    SigningKey::from_scalar(&*scalar(lmk, block, purpose, owner)?).map_err(|e| poor(&e))
}

/// The public half of a P-256 key, as `SubjectPublicKeyInfo` in DER.
pub(crate) fn ec_public(
    lmk: &Lmk,
    block: &KeyBlock,
    purpose: Purpose,
    owner: &str,
) -> Result<Vec<u8>, Refusal> {
    let scalar = scalar(lmk, block, purpose, owner)?;
    AgreementKey::from_scalar(&scalar).map(|key| key.spki_der()).map_err(|e| poor(&e))
}

fn scalar(
    lmk: &Lmk,
    block: &KeyBlock,
    purpose: Purpose,
    owner: &str,
) -> Result<Zeroizing<[u8; SCALAR]>, Refusal> {
    let bound = Binding { place: None, owner, tk_hash: None };
    let opened = lmk.open("the key pair", block, purpose, bound)?;
    let mut scalar = Zeroizing::new([0; SCALAR]);
    if opened.key.len() != SCALAR {
        return Err(poor(&"no P-256 key"));
    }
    scalar.copy_from_slice(&opened.key);
    Ok(scalar)
}

fn poor(found: &dyn std::fmt::Display) -> Refusal {
    Refusal::WrongUse { what: "the key pair".into(), found: found.to_string() }
}
