//! The named keys of the glossary (1-systems.md), a type each, so that one cannot be used as another.
//!
//! Each is made by `generate`, by opening a key block ([`crate::blocks`]) or, for TEK and AUK, by a checked
//! TK ([`crate::tk`]). Which key protects which is in [`crate::blocks`] and is checked by the compiler.

use zeroize::Zeroizing;

use crate::tdes::BLOCK;
use crate::{AesKey, Error, TdesKey, TdesLength, mac, random};

macro_rules! named_keys {
    ($($(#[$doc:meta])* $name:ident($($length:ident)|+, $allowed:literal);)*) => {$(
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(TdesKey);

        impl $name {
            /// The lengths that such a key has (2-wire.md section 4), the usual one first.
            pub const LENGTHS: &'static [TdesLength] = &[$(TdesLength::$length),+];

            /// Makes one of the usual length: odd parity, never weak, semi-weak or with equal parts.
            ///
            /// # Errors
            /// As [`TdesKey::generate_from`].
            pub fn generate() -> Result<Self, Error> {
                let [length, ..] = [$(TdesLength::$length),+];
                TdesKey::generate_from(length, random::os()).map(Self)
            }

            /// Gives a plain key this name. Named keys are those of PIN pads and HSM commands, so a poor one is
            /// refused, and a length that such a key does not have.
            ///
            /// # Errors
            /// [`Error::KeyLength`], [`Error::Poor`].
            pub fn from_key(key: TdesKey) -> Result<Self, Error> {
                if !Self::LENGTHS.contains(&key.length()) {
                    return Err(Error::KeyLength {
                        algorithm: stringify!($name),
                        allowed: $allowed,
                        found: key.expose().len(),
                    });
                }
                key.refuse_poor()?;
                Ok(Self(key))
            }

            /// The plain key.
            pub fn key(&self) -> &TdesKey {
                &self.0
            }

            /// The clear key bytes. The caller wipes every copy that it makes.
            pub fn expose(&self) -> &[u8] {
                self.0.expose()
            }

            /// Check value, 3 bytes.
            pub fn kcv(&self) -> [u8; 3] {
                self.0.kcv()
            }
        }
    )*};
}

named_keys! {
    /// Terminal encryption key: a half of TK, protects TMKs of flow A.
    Tek(Triple, "24");
    /// Authentication key: the other half of TK, proves each side of flow A to the other.
    Auk(Triple, "24");
    /// Terminal master key: protects working keys.
    Tmk(Triple, "24");
    /// PIN encryption key.
    Pik(Triple | Double, "16 or 24");
    /// MAC key: ISO 9797-1 algorithm 3.
    Mak(Double, "16");
    /// Track data key.
    Tdk(Triple | Double, "16 or 24");
    /// Rnd1 of flow B, the terminal's random number that protects what is loaded.
    Rnd1(Triple, "24");
    /// Device master key: protects DWKs.
    Dmk(Triple, "24");
    /// Key of one TMS session that authenticates and protects: flow E.
    Dwk(Triple, "24");
    /// Session data key of flow E.
    SessionKey(Triple, "24");
    /// Device identity key, level 2: flow C.
    Dik2(Triple, "24");
    /// TK of flow C, TK1 ⊕ TK2: protects the keys of one download from the RKS. Not the TK of flow A.
    RksTk(Triple, "24");
    /// Protect key, agreed between MTMS and KMS: protects the TKs of a batch.
    Pk(Triple, "24");
}

impl Auk {
    /// The answer to a challenge: `E(AUK, rnd)`, TDES-CBC with a zero IV over one block (2-wire.md section
    /// 4, flow A: Crnd1 and Crnd2). Who asks has checked the top bit of `rnd`.
    pub fn answer(&self, rnd: [u8; BLOCK]) -> [u8; BLOCK] {
        self.0.encrypt_block(rnd)
    }

    /// Whether `answer` is the right answer to `rnd`, in constant time.
    pub fn answers(&self, rnd: [u8; BLOCK], answer: &[u8]) -> bool {
        mac::matches(&self.answer(rnd), answer)
    }
}

impl Pik {
    /// A clear PIN block of format 0 or 3 encrypted: TDES, one block. PIN pad and HSM only.
    pub fn encrypt_block(&self, clear: &[u8; BLOCK]) -> [u8; BLOCK] {
        self.0.encrypt_block(*clear)
    }

    /// The clear PIN block. HSM only.
    pub fn decrypt_block(&self, block: &[u8; BLOCK]) -> Zeroizing<[u8; BLOCK]> {
        Zeroizing::new(self.0.decrypt_block(*block))
    }
}

impl Tdk {
    /// Track data encrypted: `IV (8, random) ‖ TDES-CBC`, padded by ISO 9797-1 method 2. Nothing authenticates it;
    /// the message that carries it has a MAC.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
    pub fn encrypt_track(&self, track: &[u8]) -> Result<Vec<u8>, Error> {
        let mut iv = [0; BLOCK];
        random::fill(&mut iv)?;
        let padded = Zeroizing::new(mac::Padding::Two.pad(track)?);
        Ok([iv.as_slice(), &self.0.encrypt_cbc(&iv, &padded)?].concat())
    }

    /// The track data that [`Tdk::encrypt_track`] encrypted.
    ///
    /// # Errors
    /// [`Error::Open`], whatever is wrong.
    pub fn decrypt_track(&self, encrypted: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
        let (iv, rest) = encrypted.split_first_chunk::<BLOCK>().ok_or(Error::Open)?;
        let mut track = self.0.decrypt_cbc(iv, rest).map_err(|_| Error::Open)?;
        let end = track.iter().rposition(|byte| *byte != 0).ok_or(Error::Open)?;
        if track.get(end) != Some(&0x80) || track.len() - end > BLOCK {
            return Err(Error::Open);
        }
        track.truncate(end);
        Ok(track)
    }
}

impl Mak {
    /// MAC of flow F's messages: ISO 9797-1 algorithm 3, padding method 2, all 8 bytes (2-wire.md section 4).
    ///
    /// # Errors
    /// [`Error::MessageTooLong`].
    pub fn mac(&self, data: &[u8]) -> Result<[u8; 8], Error> {
        mac::iso9797_alg3(&self.0, mac::Padding::Two, data)
    }

    /// Whether `mac` is the MAC of `data`, all 8 bytes, in constant time.
    pub fn verifies(&self, data: &[u8], mac: &[u8]) -> bool {
        self.mac(data).is_ok_and(|right| mac::matches(&right, mac))
    }
}

impl Dwk {
    /// TAC_1 and SAC_1 of flow E: X9.9 chaining with TDES, 4 bytes (2-wire.md section 4).
    pub fn mac(&self, data: &[u8]) -> [u8; 4] {
        mac::x9_9(&self.0, data)
    }

    /// Whether `mac` is the TAC_1 or SAC_1 of `data`, in constant time.
    pub fn verifies(&self, data: &[u8], mac: &[u8]) -> bool {
        mac::matches(&self.mac(data), mac)
    }
}

/// AES PIN encryption key of a zone: one side of a PIN translation into format 4. Zones only; a PIN pad of suite 01
/// has a [`Pik`].
#[derive(Debug)]
pub struct AesPik(AesKey);

impl AesPik {
    /// Makes one of 32 bytes.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`].
    pub fn generate() -> Result<Self, Error> {
        AesKey::generate32().map(Self)
    }

    /// Gives a plain AES key of any length this name.
    pub fn from_key(key: AesKey) -> Self {
        Self(key)
    }

    /// The plain key.
    pub fn key(&self) -> &AesKey {
        &self.0
    }

    /// The clear key bytes: what ISO 9564-1 format 4 takes. The caller wipes every copy that it makes.
    pub fn expose(&self) -> &[u8] {
        self.0.expose()
    }

    /// Check value, 5 bytes.
    pub fn kcv(&self) -> [u8; 5] {
        self.0.kcv()
    }
}
