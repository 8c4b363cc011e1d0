//! What the HSM's folder holds: one sealed file with the LMK's generations and the secret for strangers.

use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::{HsmSoftError, lmk::LMK_LEN, sealed};

/// The LMK's generations at most: blocks count them in two digits.
const MAX_GENERATIONS: usize = 99;

/// Makes an HSM's folder with a new LMK, under a passphrase of at least [`crate::MIN_PASSPHRASE`] characters.
///
/// # Errors
/// [`HsmSoftError::AlreadyMade`] when there is one: an LMK is never overwritten. [`HsmSoftError::ShortPassphrase`],
/// [`HsmSoftError::File`], [`HsmSoftError::Random`].
pub fn create(folder: &Path, passphrase: &str) -> Result<(), HsmSoftError> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)
        .and_then(|()| fs::set_permissions(folder, fs::Permissions::from_mode(0o700)))
        .map_err(|source| HsmSoftError::File { path: folder.into(), source })?;
    let state = State { generations: vec![random()?], stranger: random()? };
    sealed::create(&file(folder), passphrase, &state.to_bytes()?)
}

/// Adds a generation to the LMK: new blocks are made under it, old ones still open until they are moved.
///
/// # Errors
/// As for opening the folder; [`HsmSoftError::Internal`] past 99 generations.
pub fn next_generation(folder: &Path, passphrase: &str) -> Result<(), HsmSoftError> {
    let mut state = State::open(folder, passphrase)?;
    if state.generations.len() >= MAX_GENERATIONS {
        return Err(HsmSoftError::Internal("the LMK has had 99 generations; move to a new HSM"));
    }
    state.generations.push(random()?);
    sealed::replace(&file(folder), passphrase, &state.to_bytes()?)
}

/// The secrets of an HSM. Only here and in memory.
#[derive(Serialize, Deserialize, Zeroize, ZeroizeOnDrop)]
pub(crate) struct State {
    generations: Vec<[u8; LMK_LEN]>,
    /// S of 2-wire.md section 8: lasting, the same on all servers of an estate.
    stranger: [u8; 32],
}

impl State {
    pub(crate) fn open(folder: &Path, passphrase: &str) -> Result<Self, HsmSoftError> {
        let path = file(folder);
        let bytes = sealed::open(&path, passphrase)?;
        postcard::from_bytes(&bytes).map_err(|_| HsmSoftError::NotSealed(path))
    }

    pub(crate) fn generations(&self) -> Vec<Zeroizing<[u8; LMK_LEN]>> {
        self.generations.iter().map(|key| Zeroizing::new(*key)).collect()
    }

    pub(crate) fn stranger(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.stranger)
    }

    fn to_bytes(&self) -> Result<Zeroizing<Vec<u8>>, HsmSoftError> {
        // Sized beforehand, so that no copy is left behind by a growing vector.
        let mut bytes = Zeroizing::new(vec![0; 64 + self.generations.len() * LMK_LEN]);
        let used = postcard::to_slice(self, &mut bytes).map_err(|_| HsmSoftError::Internal("state"))?.len();
        bytes.truncate(used);
        Ok(bytes)
    }
}

fn file(folder: &Path) -> PathBuf {
    folder.join("lmk.sealed")
}

fn random() -> Result<[u8; 32], HsmSoftError> {
    let mut key = [0; 32];
    paycrypto::random::fill(&mut key).map_err(|e| HsmSoftError::Random(e.to_string()))?;
    Ok(key)
}
