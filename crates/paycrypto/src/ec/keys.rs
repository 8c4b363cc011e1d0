//! The named keys of suite 02, a type each. None of them is a key of suite 01 of the same name.
//!
//! TEK, AUK, DIK1, DIK2 and DMK have 32 bytes, are rated 128 bits, and only feed derivations: they wrap nothing, so
//! they lend their bytes to this module's neighbours alone. TMK, PIK, MAK and TDK are AES-128.

use zeroize::Zeroizing;

use super::{Secret32, secret};
use crate::{AesKey, Error, mac, random};

macro_rules! secrets {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name(Secret32);

        impl $name {
            /// Bytes of such a key.
            pub const LENGTH: usize = 32;

            /// Makes one.
            ///
            /// # Errors
            /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
            pub fn generate() -> Result<Self, Error> {
                let mut key = Zeroizing::new([0; 32]);
                random::fill(&mut *key)?;
                Ok(Self(secret(&key)))
            }

            /// Takes one that was kept. The caller wipes its copy.
            pub fn from_bytes(key: &[u8; 32]) -> Self {
                Self(secret(key))
            }

            /// The clear key bytes, for sealing them. The caller wipes every copy that it makes.
            pub fn expose(&self) -> &[u8; 32] {
                &self.0
            }

            /// Check value, 5 bytes.
            pub fn kcv(&self) -> [u8; 5] {
                AesKey::of32(&self.0).kcv()
            }
        }

        debug!($name);
    )*};
}

macro_rules! aes128 {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        pub struct $name(AesKey);

        impl $name {
            /// Bytes of such a key.
            pub const LENGTH: usize = 16;

            /// Makes one.
            ///
            /// # Errors
            /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
            pub fn generate() -> Result<Self, Error> {
                AesKey::generate16().map(Self)
            }

            /// Takes one that was kept. The caller wipes its copy.
            pub fn from_bytes(key: &[u8; 16]) -> Self {
                Self(AesKey::of16(key))
            }

            /// The clear key bytes. The caller wipes every copy that it makes.
            pub fn expose(&self) -> &[u8] {
                self.0.expose()
            }

            /// Check value, 5 bytes.
            pub fn kcv(&self) -> [u8; 5] {
                self.0.kcv()
            }
        }

        debug!($name);
    )*};
}

macro_rules! debug {
    ($name:ident) => {
        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(stringify!($name))
            }
        }
    };
}

secrets! {
    /// Terminal encryption key: a half of TK.
    Tek;
    /// Authentication key: the other half of TK.
    Auk;
    /// Device identity key, level 1: all DIK2 are derived from it.
    Dik1;
    /// Device identity key, level 2: flow C.
    Dik2;
    /// Device master key: flow E.
    Dmk;
}

aes128! {
    /// Terminal master key: protects working keys.
    Tmk;
    /// PIN encryption key: ISO 9564-1 format 4.
    Pik;
    /// MAC key: CMAC.
    Mak;
    /// Track data key.
    Tdk;
}

impl Mak {
    /// MAC of flow F's messages: CMAC, all 16 bytes (3-hardened.md, flow F).
    pub fn mac(&self, data: &[u8]) -> [u8; 16] {
        mac::cmac_aes(&self.0, data)
    }

    /// Whether `mac` is the MAC of `data`, all 16 bytes, in constant time.
    pub fn verifies(&self, data: &[u8], mac: &[u8]) -> bool {
        mac::matches(&self.mac(data), mac)
    }
}
