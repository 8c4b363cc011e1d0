//! Private keys of key pairs. Those that are used again and again are parsed once: parsing costs more than using.

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

/// Parsed keys: RSA's, and those that sign in suite 02.
#[derive(Default)]
pub(crate) struct KeyPairs {
    rsa: Kept<PrivateKey>,
    signing: Kept<SigningKey>,
}

/// Keys of a kind by the hash of (purpose, owner, block), the oldest given up first.
struct Kept<K>(Mutex<Parsed<K>>);

struct Parsed<K> {
    keys: HashMap<[u8; 32], Arc<K>>,
    order: VecDeque<[u8; 32]>,
}

impl<K> Default for Kept<K> {
    fn default() -> Self {
        Self(Mutex::new(Parsed { keys: HashMap::new(), order: VecDeque::new() }))
    }
}

impl<K> Kept<K> {
    /// The key in `block`, which is opened only when it is not kept: its purpose and owner were checked then, and
    /// another purpose or owner is another name.
    fn or_open(
        &self,
        (block, purpose, owner): (&KeyBlock, Purpose, &str),
        open: impl FnOnce() -> Result<K, Refusal>,
    ) -> Result<Arc<K>, Refusal> {
        let name = format!("{}\n{owner}\n{}", purpose.rule().text, block.as_str());
        let name = digest::sha256(name.as_bytes());
        if let Some(key) = self.0.lock().unwrap_or_else(PoisonError::into_inner).keys.get(&name) {
            return Ok(Arc::clone(key));
        }
        // Parsed outside the lock: two that come at once both parse, and the second result is kept.
        let key = Arc::new(open()?);
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
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

impl KeyPairs {
    /// The RSA key in `block`, checked for purpose and owner when it is first opened.
    pub(crate) fn open(
        &self,
        lmk: &Lmk,
        block: &KeyBlock,
        purpose: Purpose,
        owner: &str,
    ) -> Result<Arc<PrivateKey>, Refusal> {
        self.rsa.or_open((block, purpose, owner), || {
            let bound = Binding { place: None, owner, tk_hash: None };
            let opened = lmk.open("the key pair", block, purpose, bound)?;
            PrivateKey::from_pkcs8(&opened.key).map_err(|e| poor(&e))
        })
    }

    /// A signing key of suite 02. Taking it from its block costs more than a signature: the library checks that scalar
    /// and point belong together.
    pub(crate) fn open_signing(
        &self,
        lmk: &Lmk,
        block: &KeyBlock,
        purpose: Purpose,
        owner: &str,
    ) -> Result<Arc<SigningKey>, Refusal> {
        self.signing.or_open((block, purpose, owner), || {
            SigningKey::from_scalar(&*scalar(lmk, block, purpose, owner)?).map_err(|e| poor(&e))
        })
    }
}

/// The KMS's key for key agreement, of suite 02.
pub(crate) fn open_agreement(lmk: &Lmk, block: &KeyBlock, owner: &str) -> Result<AgreementKey, Refusal> {
    AgreementKey::from_scalar(&*scalar(lmk, block, Purpose::KmsAgreement, owner)?).map_err(|e| poor(&e))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kept_key_is_given_for_its_own_use_and_owner_only() {
        let (kept, block) = (Kept::default(), KeyBlock::from_text("D".into()));
        let refused = || Err(Refusal::NotProven);
        kept.or_open((&block, Purpose::RksSigning, "ACQ-1"), || Ok(7)).unwrap();
        assert_eq!(*kept.or_open((&block, Purpose::RksSigning, "ACQ-1"), refused).unwrap(), 7);
        // Both are looked at in the block anew.
        kept.or_open((&block, Purpose::RksSigning, "ACQ-2"), refused).unwrap_err();
        kept.or_open((&block, Purpose::KldSigning, "ACQ-1"), refused).unwrap_err();
        assert_eq!(kept.0.lock().unwrap().order.len(), 1, "nothing is kept of a refusal");
    }
}
