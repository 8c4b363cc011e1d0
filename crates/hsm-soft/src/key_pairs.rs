//! RSA private keys, parsed once: parsing costs more than using.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
};

use hsm::{KeyBlock, Refusal};
use paycrypto::{digest, rsa::PrivateKey};

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
