//! The named keys of suite 02, a type each. None of them is a key of suite 01 of the same name.
//!
//! TEK, AUK, DIK1, DIK2 and DMK have 32 bytes, are rated 128 bits, and only feed derivations: they wrap nothing, so
//! they lend their bytes to this module's neighbours alone. TMK, PIK, MAK and TDK are AES-128.

use zeroize::Zeroizing;

use super::{Secret32, secret};
use crate::{AesKey, Error, mac, random};

/// Bytes of a block.
const BLOCK: usize = 16;
/// First byte of padding (ISO 9797-1 method 2).
const PAD: u8 = 0x80;

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
    /// Protect key, agreed between MTMS and KMS: protects the TKs of a batch.
    Pk;
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

impl Tdk {
    /// Track data encrypted: `IV (16, random) ‖ AES-CBC`, padded by ISO 9797-1 method 2. Nothing authenticates it; the
    /// message that carries it has a MAC.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
    pub fn encrypt_track(&self, track: &[u8]) -> Result<Vec<u8>, Error> {
        let mut chain = [0; BLOCK];
        random::fill(&mut chain)?;
        let mut out = Vec::with_capacity(track.len() + 2 * BLOCK);
        out.extend_from_slice(&chain);
        let mut padded = Zeroizing::new(Vec::with_capacity(track.len() + BLOCK));
        padded.extend_from_slice(track);
        padded.push(PAD);
        let whole = padded.len().next_multiple_of(BLOCK);
        padded.resize(whole, 0);
        for piece in padded.chunks(BLOCK) {
            for (to, from) in chain.iter_mut().zip(piece) {
                *to ^= from;
            }
            chain = self.0.encrypt_block(chain);
            out.extend_from_slice(&chain);
        }
        Ok(out)
    }

    /// The track data that [`Tdk::encrypt_track`] encrypted.
    ///
    /// # Errors
    /// [`Error::Open`], whatever is wrong.
    pub fn decrypt_track(&self, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (pieces, []) = encrypted.as_chunks::<BLOCK>() else { return Err(Error::Open) };
        let mut track = Zeroizing::new(Vec::with_capacity(encrypted.len()));
        for (before, piece) in pieces.iter().zip(pieces.iter().skip(1)) {
            let mut clear = Zeroizing::new(self.0.decrypt_block(*piece));
            for (to, from) in clear.iter_mut().zip(before) {
                *to ^= from;
            }
            track.extend_from_slice(&*clear);
        }
        let end = track.iter().rposition(|byte| *byte != 0).ok_or(Error::Open)?;
        if track.get(end) != Some(&PAD) || track.len() - end > BLOCK {
            return Err(Error::Open);
        }
        track.truncate(end);
        Ok(track)
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_track_opens_as_it_was_and_no_two_are_alike() {
        let tdk = Tdk::generate().unwrap();
        for length in [0, 1, 15, 16, 17, 31, 32, 512] {
            let track = vec![b'7'; length];
            let [a, b] = [(); 2].map(|()| tdk.encrypt_track(&track).unwrap());
            assert_eq!(a.len(), 16 + (length / 16 + 1) * 16);
            assert_ne!(a, b, "the IV is random");
            assert_eq!(tdk.decrypt_track(&a).unwrap().as_slice(), track);
        }
    }

    #[test]
    fn what_is_no_track_does_not_open() {
        let tdk = Tdk::generate().unwrap();
        let track = tdk.encrypt_track(b"1234").unwrap();
        for wrong in [&track[..0], &track[..16], &track[..31], &track[1..]] {
            assert_eq!(tdk.decrypt_track(wrong).unwrap_err(), Error::Open);
        }
        // AES-CBC by another hand: one block under a zero IV is the block cipher itself.
        let clear = *b"1234\x80\0\0\0\0\0\0\0\0\0\0\0";
        let by_hand = [[0; 16], AesKey::of16(tdk.expose().try_into().unwrap()).encrypt_block(clear)].concat();
        assert_eq!(tdk.decrypt_track(&by_hand).unwrap().as_slice(), b"1234");
    }
}
