//! TK, the terminal key pair TEK ‖ AUK with its hash: 80 bytes in clear (2-wire.md section 4, flow A).
//!
//! TK's hash is checked at every store, transfer and use. What comes from outside is an [`UncheckedTk`];
//! only [`UncheckedTk::check`] makes a [`CheckedTk`], and only that one lends out its TEK and AUK.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::hygiene::same_without_parity;
use crate::keys::{Auk, Tek};
use crate::{Error, TdesKey, digest};

/// Length of TEK and of AUK in bytes.
pub const PART: usize = 24;

/// Length of a TK in clear in bytes: TEK ‖ AUK ‖ SHA-256(TEK ‖ AUK).
pub const CLEAR: usize = 2 * PART + digest::SHA256;

/// What is wrong with a TK.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TkDefect {
    /// Not 80 bytes.
    #[error("the TK does not have 80 bytes: collect the terminal again")]
    Length,
    /// The hash is not that of TEK ‖ AUK.
    #[error("the TK's hash is wrong: collect the terminal again")]
    Hash,
    /// TEK has weak, semi-weak or equal parts.
    #[error("the TEK is a poor key: the terminal must make another TK")]
    WeakTek,
    /// AUK has weak, semi-weak or equal parts.
    #[error("the AUK is a poor key: the terminal must make another TK")]
    WeakAuk,
    /// TEK and AUK are one key, parity bits set aside.
    #[error("TEK and AUK are the same key: the terminal must make another TK")]
    EqualKeys,
}

/// A TK as it came: nothing is known of it.
pub struct UncheckedTk(Zeroizing<Vec<u8>>);

/// A TK whose length, hash and parts were checked.
#[derive(Debug)]
pub struct CheckedTk {
    tek: Tek,
    auk: Auk,
}

impl std::fmt::Debug for UncheckedTk {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UncheckedTk")
    }
}

impl UncheckedTk {
    /// Takes what came out of an OAEP decryption or a sealed file.
    pub fn new(clear: Zeroizing<Vec<u8>>) -> Self {
        Self(clear)
    }

    /// Copies `clear`; the caller wipes the original.
    pub fn from_slice(clear: &[u8]) -> Self {
        Self(Zeroizing::new(clear.to_vec()))
    }

    /// Checks length, hash, both keys, and that they differ.
    ///
    /// # Errors
    /// The first [`TkDefect`] found, in the order of the enum.
    pub fn check(self) -> Result<CheckedTk, TkDefect> {
        if self.0.len() != CLEAR {
            return Err(TkDefect::Length);
        }
        let (keys, hash) = self.0.split_at_checked(2 * PART).ok_or(TkDefect::Length)?;
        let (tek, auk) = keys.split_at_checked(PART).ok_or(TkDefect::Length)?;
        if !bool::from(digest::sha256(keys).as_slice().ct_eq(hash)) {
            return Err(TkDefect::Hash);
        }
        CheckedTk::from_keys(
            TdesKey::from_bytes(tek).map_err(|_| TkDefect::Length)?,
            TdesKey::from_bytes(auk).map_err(|_| TkDefect::Length)?,
        )
    }
}

impl CheckedTk {
    /// Makes a TK: two keys of 24 bytes, good and different.
    ///
    /// # Errors
    /// As [`TdesKey::generate_from`].
    pub fn generate() -> Result<Self, Error> {
        // Two equal random keys do not happen; a source that repeats was refused by its health test.
        Self::from_keys(TdesKey::generate24()?, TdesKey::generate24()?).map_err(|_| Error::RandomPoor)
    }

    /// A TK from its two keys where each came authenticated, for example as a key block under an LMK.
    ///
    /// # Errors
    /// [`TkDefect::Length`] (a 16-byte key), [`TkDefect::WeakTek`], [`TkDefect::WeakAuk`],
    /// [`TkDefect::EqualKeys`].
    pub fn from_keys(tek: TdesKey, auk: TdesKey) -> Result<Self, TkDefect> {
        if tek.expose().len() != PART || auk.expose().len() != PART {
            return Err(TkDefect::Length);
        }
        let tek = Tek::from_key(tek).map_err(|_| TkDefect::WeakTek)?;
        let auk = Auk::from_key(auk).map_err(|_| TkDefect::WeakAuk)?;
        Self::from_named(tek, auk)
    }

    /// Puts two keys together that each came in a block of its own, and checks what the pair has to hold to.
    ///
    /// # Errors
    /// [`TkDefect::EqualKeys`].
    pub fn from_named(tek: Tek, auk: Auk) -> Result<Self, TkDefect> {
        if same_without_parity(tek.expose(), auk.expose()) {
            return Err(TkDefect::EqualKeys);
        }
        Ok(Self { tek, auk })
    }

    /// The 80 bytes in clear: what OAEP or a seal protects.
    pub fn to_clear(&self) -> Zeroizing<Vec<u8>> {
        let mut clear = Zeroizing::new(Vec::with_capacity(CLEAR));
        clear.extend_from_slice(self.tek.expose());
        clear.extend_from_slice(self.auk.expose());
        let hash = digest::sha256(&clear);
        clear.extend_from_slice(&hash);
        clear
    }

    /// SHA-256(TEK ‖ AUK), for keeping beside the two keys where they are kept apart.
    pub fn sha256(&self) -> [u8; digest::SHA256] {
        let mut keys = Zeroizing::new(Vec::with_capacity(2 * PART));
        keys.extend_from_slice(self.tek.expose());
        keys.extend_from_slice(self.auk.expose());
        digest::sha256(&keys)
    }

    /// The key that protects TMKs.
    pub fn tek(&self) -> &Tek {
        &self.tek
    }

    /// The key that answers challenges.
    pub fn auk(&self) -> &Auk {
        &self.auk
    }
}
