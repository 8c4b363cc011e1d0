//! The sealed file: what the HSM must not lose, under a passphrase.
//!
//! `"KFSEAL01" ‖ memory KiB (4) ‖ passes (4) ‖ lanes (4) ‖ salt (16) ‖ nonce (12) ‖ AES-256-GCM`, numbers
//! little-endian; everything before the ciphertext is authenticated with it. The key is Argon2id (RFC 9106) of the
//! passphrase; its parameters stand in the file, so that they can be raised later, and have a floor, so that a
//! changed file cannot lower them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
};

use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use crate::HsmSoftError;

/// The fewest characters of a passphrase.
pub const MIN_PASSPHRASE: usize = 12;

const MAGIC: &[u8; 8] = b"KFSEAL01";
const SALT_LEN: usize = 16;
const HEAD_LEN: usize = MAGIC.len() + 3 * 4 + SALT_LEN + NONCE_LEN;
/// RFC 9106 section 4, second recommended option: 64 MiB, three passes.
const COST: Cost = Cost { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
/// A sealed file asking for more memory than this is refused: it was not made by us.
const MAX_MEMORY_KIB: u32 = 4 * 1024 * 1024;
const MAX_PASSES: u32 = 64;
const MAX_FILE: u64 = 1 << 20;

#[derive(Clone, Copy)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// Writes `secret` to a new file that only its owner can read. The file is whole on disk when this returns.
///
/// # Errors
/// [`HsmSoftError::ShortPassphrase`], [`HsmSoftError::AlreadyMade`] when the file exists, [`HsmSoftError::File`],
/// [`HsmSoftError::Random`].
pub(crate) fn create(path: &Path, passphrase: &str, secret: &[u8]) -> Result<(), HsmSoftError> {
    let bytes = seal(passphrase, secret)?;
    write_new(path, &bytes)
}

/// Replaces a sealed file by another, atomically.
///
/// # Errors
/// As [`create`], without [`HsmSoftError::AlreadyMade`].
pub(crate) fn replace(path: &Path, passphrase: &str, secret: &[u8]) -> Result<(), HsmSoftError> {
    let bytes = seal(passphrase, secret)?;
    let next = path.with_extension("next");
    let _ = fs::remove_file(&next);
    write_new(&next, &bytes)?;
    fs::rename(&next, path).map_err(file(path))?;
    sync_folder(path)
}

/// Opens a sealed file.
///
/// # Errors
/// [`HsmSoftError::NotPrivate`], [`HsmSoftError::NotSealed`], [`HsmSoftError::WrongPassphrase`], [`HsmSoftError::File`].
pub(crate) fn open(path: &Path, passphrase: &str) -> Result<Zeroizing<Vec<u8>>, HsmSoftError> {
    let meta = fs::metadata(path).map_err(file(path))?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(HsmSoftError::NotPrivate { path: path.into(), mode });
    }
    let not_sealed = || HsmSoftError::NotSealed(path.into());
    if meta.len() > MAX_FILE {
        return Err(not_sealed());
    }
    let bytes = fs::read(path).map_err(file(path))?;
    let (head, ciphertext) = bytes.split_at_checked(HEAD_LEN).ok_or_else(not_sealed)?;
    let head = Head::parse(head).ok_or_else(not_sealed)?;
    let key = stretch(passphrase, &head.salt, head.cost)?;
    let mut sealed = Zeroizing::new(ciphertext.to_vec());
    let nonce = Nonce::assume_unique_for_key(head.nonce);
    let length = key
        .open_in_place(nonce, Aad::from(head.bytes()), &mut sealed)
        .map_err(|_| HsmSoftError::WrongPassphrase(path.into()))?
        .len();
    sealed.truncate(length);
    Ok(sealed)
}

struct Head {
    cost: Cost,
    salt: [u8; SALT_LEN],
    nonce: [u8; NONCE_LEN],
}

impl Head {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let rest = bytes.strip_prefix(MAGIC)?;
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
        let sound = (COST.memory_kib..=MAX_MEMORY_KIB).contains(&cost.memory_kib)
            && (COST.passes..=MAX_PASSES).contains(&cost.passes)
            && (1..=64).contains(&cost.lanes);
        sound.then_some(Self { cost, salt: *salt, nonce })
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        for number in [self.cost.memory_kib, self.cost.passes, self.cost.lanes] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(self.salt);
        bytes.extend(self.nonce);
        bytes
    }
}

fn seal(passphrase: &str, secret: &[u8]) -> Result<Vec<u8>, HsmSoftError> {
    let found = passphrase.chars().count();
    if found < MIN_PASSPHRASE {
        return Err(HsmSoftError::ShortPassphrase { found, wanted: MIN_PASSPHRASE });
    }
    let mut head = Head { cost: COST, salt: [0; SALT_LEN], nonce: [0; NONCE_LEN] };
    random(&mut head.salt)?;
    random(&mut head.nonce)?;
    let key = stretch(passphrase, &head.salt, head.cost)?;
    let mut bytes = head.bytes();
    let mut sealed = Zeroizing::new(secret.to_vec());
    key.seal_in_place_append_tag(Nonce::assume_unique_for_key(head.nonce), Aad::from(&bytes), &mut *sealed)
        .map_err(|_| HsmSoftError::Internal("sealing failed"))?;
    bytes.extend_from_slice(&sealed);
    Ok(bytes)
}

fn stretch(passphrase: &str, salt: &[u8], cost: Cost) -> Result<LessSafeKey, HsmSoftError> {
    let bad = |_| HsmSoftError::Internal("Argon2 parameters");
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32)).map_err(bad)?;
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut *key)
        .map_err(bad)?;
    let key = UnboundKey::new(&AES_256_GCM, &*key).map_err(|_| HsmSoftError::Internal("AES key"))?;
    Ok(LessSafeKey::new(key))
}

fn write_new(path: &Path, bytes: &[u8]) -> Result<(), HsmSoftError> {
    let mut opened = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(|e| {
        match e.kind() {
            io::ErrorKind::AlreadyExists => HsmSoftError::AlreadyMade(path.into()),
            _ => HsmSoftError::File { path: path.into(), source: e },
        }
    })?;
    opened.write_all(bytes).and_then(|()| opened.sync_all()).map_err(file(path))?;
    sync_folder(path)
}

fn sync_folder(path: &Path) -> Result<(), HsmSoftError> {
    let folder = path.parent().unwrap_or(Path::new("."));
    File::open(folder).and_then(|f| f.sync_all()).map_err(file(folder))
}

fn file(path: &Path) -> impl FnOnce(io::Error) -> HsmSoftError + '_ {
    move |source| HsmSoftError::File { path: path.into(), source }
}

fn random(bytes: &mut [u8]) -> Result<(), HsmSoftError> {
    aws_lc_rs::rand::fill(bytes).map_err(|_| HsmSoftError::Random("the generator gave none".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "a long passphrase";

    fn sealed() -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lmk.sealed");
        create(&path, GOOD, b"what must not be lost").unwrap();
        (folder, path)
    }

    #[test]
    fn opens_under_its_passphrase_and_holds_nothing_in_clear() {
        let (_folder, path) = sealed();
        assert_eq!(&*open(&path, GOOD).unwrap(), b"what must not be lost");
        let bytes = fs::read(&path).unwrap();
        assert!(!bytes.windows(4).any(|w| w == b"must"));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn wrong_passphrase_is_refused() {
        let (_folder, path) = sealed();
        assert!(matches!(open(&path, "another passphrase"), Err(HsmSoftError::WrongPassphrase(_))));
    }

    #[test]
    fn short_passphrase_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let refused = create(&folder.path().join("x"), "elevenchars", b"x");
        assert!(matches!(refused, Err(HsmSoftError::ShortPassphrase { found: 11, wanted: 12 })));
        create(&folder.path().join("x"), "twelve chars", b"x").unwrap();
    }

    #[test]
    fn a_changed_file_is_refused() {
        let (_folder, path) = sealed();
        let whole = fs::read(&path).unwrap();
        // The magic, a cost below the floor, the salt, the nonce, the ciphertext, the tag.
        for at in [0, 14, 25, 40, HEAD_LEN, whole.len() - 1] {
            let mut changed = whole.clone();
            changed[at] ^= 1;
            fs::write(&path, &changed).unwrap();
            assert!(open(&path, GOOD).is_err(), "byte {at}");
        }
        fs::write(&path, &whole[..HEAD_LEN - 1]).unwrap();
        assert!(matches!(open(&path, GOOD), Err(HsmSoftError::NotSealed(_))));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused() {
        let (_folder, path) = sealed();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(open(&path, GOOD), Err(HsmSoftError::NotPrivate { mode: 0o640, .. })));
    }

    #[test]
    fn an_existing_file_is_never_overwritten_by_create() {
        let (_folder, path) = sealed();
        assert!(matches!(create(&path, GOOD, b"other"), Err(HsmSoftError::AlreadyMade(_))));
        assert_eq!(&*open(&path, GOOD).unwrap(), b"what must not be lost");
        replace(&path, "a new passphrase", b"other").unwrap();
        assert_eq!(&*open(&path, "a new passphrase").unwrap(), b"other");
    }
}
