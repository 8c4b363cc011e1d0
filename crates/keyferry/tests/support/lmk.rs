//! Opens an HSM's folder as somebody does who knows the passphrase: the layout is that of `hsm-soft`'s `sealed.rs`.

use std::{fs, path::Path};

use argon2::{Algorithm, Argon2, Params, Version};
use keyblock::Kbpk;
use paycrypto::{AesKey, gcm::GcmKey};

const HEAD: usize = 48;

/// The secrets of a software HSM.
pub(crate) struct Secrets {
    pub(crate) lmk: Vec<u8>,
    /// What it answers strangers with.
    pub(crate) stranger: Vec<u8>,
}

pub(crate) fn open(folder: &Path, passphrase: &str) -> Secrets {
    let sealed = fs::read(folder.join("lmk.sealed")).unwrap();
    let (head, rest) = sealed.split_at(HEAD);
    assert_eq!(head[..8], *b"KFSEAL01");
    let number = |at: usize| u32::from_le_bytes(head[at..at + 4].try_into().unwrap());
    let params = Params::new(number(8), number(12), number(16), Some(32)).unwrap();
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), &head[20..36], &mut key)
        .unwrap();
    let gcm = GcmKey::new(&AesKey::from_bytes(&key).unwrap()).unwrap();
    let state = gcm.open(head, &[&head[36..], rest].concat()).unwrap();
    // A list of one generation, then the secret.
    assert_eq!((state.len(), state[0]), (65, 1));
    Secrets { lmk: state[1..33].to_vec(), stranger: state[33..].to_vec() }
}

impl Secrets {
    /// What a text holds, if it is a block under the LMK.
    pub(crate) fn open_block(&self, text: &str) -> Option<Vec<u8>> {
        let lmk = Kbpk::new(keyblock::Version::D, &self.lmk).unwrap();
        Some(lmk.unwrap(text.trim()).ok()?.key.to_vec())
    }

    /// What a block under the LMK holds.
    pub(crate) fn unwrap(&self, block: &str) -> Vec<u8> {
        Kbpk::new(keyblock::Version::D, &self.lmk).unwrap().unwrap(block.trim()).unwrap().key.to_vec()
    }
}
