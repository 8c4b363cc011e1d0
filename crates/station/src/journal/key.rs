//! The journal's key, under the station passphrase.

use std::path::Path;

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hmac,
};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::JournalError;
use crate::{Error, files};

/// The fewest characters of a station passphrase.
pub const MIN_PASSPHRASE: usize = 12;

/// Bytes of a journal's name for itself.
pub(super) const ID_LEN: usize = 16;
/// The file.
pub(super) const KEY_FILE: &str = "key.sealed";

const MAGIC: &[u8; 8] = b"KFJKEY01";
/// What the mark's key is made of, beside the journal's.
const MARK_LABEL: &[u8] = b"KFJ mark";
const SALT_LEN: usize = 16;
const KEY_LEN: usize = 32;
const TAG_LEN: usize = 16;
const SUM_LEN: usize = 32;
const FILE_LEN: usize = MAGIC.len() + ID_LEN + 3 * 4 + SALT_LEN + NONCE_LEN + KEY_LEN + TAG_LEN + SUM_LEN;
/// RFC 9106 section 4, second recommended option: 64 MiB, three passes.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
/// A file that asks for more memory, passes or lanes than this was not made by us.
const MAX_COST: Cost = Cost { memory_kib: 4 * 1024 * 1024, passes: 64, lanes: 64 };

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// The key of one journal. Its bytes are there until it is dropped, for a change of the passphrase.
pub(super) struct Key {
    pub(super) id: [u8; ID_LEN],
    bytes: Zeroizing<[u8; KEY_LEN]>,
    pub(super) cipher: LessSafeKey,
}

impl Key {
    /// A new one.
    pub(super) fn make() -> Result<Key, Error> {
        let mut id = [0; ID_LEN];
        random(&mut id)?;
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        random(&mut *bytes)?;
        Key::of(id, bytes)
    }

    pub(super) fn of(id: [u8; ID_LEN], bytes: Zeroizing<[u8; KEY_LEN]>) -> Result<Key, Error> {
        let cipher = cipher(&*bytes)?;
        Ok(Key { id, bytes, cipher })
    }

    /// The key of the mark. It is for nothing else, and says nothing of the journal's.
    pub(super) fn mark_key(&self) -> hmac::Key {
        let of_journal = hmac::Key::new(hmac::HMAC_SHA256, &*self.bytes);
        hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&of_journal, MARK_LABEL).as_ref())
    }

    /// Opens the one in this folder.
    pub(super) fn open(folder: &Path, passphrase: &str) -> Result<Key, Error> {
        let path = folder.join(KEY_FILE);
        let damaged = || JournalError::Key { path: path.clone() };
        let file = files::read(&path, FILE_LEN as u64).map_err(|_| damaged())?;
        let (body, sum) = file.split_at_checked(FILE_LEN - SUM_LEN).ok_or_else(damaged)?;
        if Sha256::digest(body).as_slice() != sum {
            return Err(damaged().into());
        }
        let (head, sealed) = body.split_at_checked(body.len() - KEY_LEN - TAG_LEN).ok_or_else(damaged)?;
        let parsed = Head::parse(head).ok_or_else(damaged)?;
        let opener = stretch(passphrase, &parsed.salt, parsed.cost)?;
        let mut sealed = Zeroizing::new(sealed.to_vec());
        let opened = opener
            .open_in_place(Nonce::assume_unique_for_key(parsed.nonce), Aad::from(head), &mut sealed)
            .map_err(|_| JournalError::WrongPassphrase { folder: folder.to_owned() })?;
        let mut bytes = Zeroizing::new([0; KEY_LEN]);
        bytes.copy_from_slice(opened);
        Key::of(parsed.id, bytes)
    }

    /// Writes it under this passphrase, in the place of the one that is there.
    pub(super) fn save(&self, folder: &Path, passphrase: &str) -> Result<(), Error> {
        let found = passphrase.chars().count();
        if found < MIN_PASSPHRASE {
            return Err(JournalError::ShortPassphrase { found, wanted: MIN_PASSPHRASE }.into());
        }
        let mut head = Head { id: self.id, cost: COST, salt: [0; SALT_LEN], nonce: [0; NONCE_LEN] };
        random(&mut head.salt)?;
        random(&mut head.nonce)?;
        let mut file = head.bytes();
        let mut sealed = Zeroizing::new(self.bytes.to_vec());
        stretch(passphrase, &head.salt, head.cost)?
            .seal_in_place_append_tag(
                Nonce::assume_unique_for_key(head.nonce),
                Aad::from(&file),
                &mut *sealed,
            )
            .map_err(|_| JournalError::Crypto("the journal's key could not be sealed"))?;
        file.extend_from_slice(&sealed);
        let sum = Sha256::digest(&file);
        file.extend_from_slice(&sum);
        files::write_whole(&folder.join(KEY_FILE), &file)
    }
}

struct Head {
    id: [u8; ID_LEN],
    cost: Cost,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Head> {
        let rest = bytes.strip_prefix(MAGIC)?;
        let (id, rest) = rest.split_first_chunk::<ID_LEN>()?;
        let (memory, rest) = rest.split_first_chunk::<4>()?;
        let (passes, rest) = rest.split_first_chunk::<4>()?;
        let (lanes, rest) = rest.split_first_chunk::<4>()?;
        let (salt, rest) = rest.split_first_chunk::<SALT_LEN>()?;
        let nonce = <[u8; NONCE_LEN]>::try_from(rest).ok()?;
        let cost = Cost {
            memory_kib: u32::from_le_bytes(*memory),
            passes: u32::from_le_bytes(*passes),
            lanes: u32::from_le_bytes(*lanes),
        };
        let sound = (COST.memory_kib..=MAX_COST.memory_kib).contains(&cost.memory_kib)
            && (COST.passes..=MAX_COST.passes).contains(&cost.passes)
            && (1..=MAX_COST.lanes).contains(&cost.lanes);
        sound.then_some(Head { id: *id, cost, salt: *salt, nonce })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(FILE_LEN);
        bytes.extend(MAGIC);
        bytes.extend(self.id);
        for number in [self.cost.memory_kib, self.cost.passes, self.cost.lanes] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.salt);
        bytes.extend(self.nonce);
        bytes
    }
}

fn stretch(passphrase: &str, salt: &[u8], cost: Cost) -> Result<LessSafeKey, Error> {
    let bad = |_| JournalError::Crypto("the station passphrase could not be worked on");
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(KEY_LEN)).map_err(bad)?;
    let mut key = Zeroizing::new([0; KEY_LEN]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(bad)?;
    cipher(&*key)
}

fn cipher(key: &[u8]) -> Result<LessSafeKey, Error> {
    let key = UnboundKey::new(&AES_256_GCM, key).map_err(|_| JournalError::Crypto("AES took no key"))?;
    Ok(LessSafeKey::new(key))
}

/// Fills with random bytes.
pub(super) fn random(bytes: &mut [u8]) -> Result<(), Error> {
    let failed = |_| JournalError::Crypto("the operating system gave no random numbers");
    Ok(aws_lc_rs::rand::fill(bytes).map_err(failed)?)
}
