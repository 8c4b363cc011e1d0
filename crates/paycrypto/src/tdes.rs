//! DES and TDES keys, ECB and CBC (SP 800-67, SP 800-38A).
//!
//! RustCrypto's `des` is used because aws-lc refuses keys that a legacy terminal or a test vector can hold
//! (K1 = K2 = K3, weak parts). It looks S-boxes up in tables, so whoever shares the processor's cache with
//! this process may learn something of a key: run the HSM process on a machine of its own.

use des::TdesEde3;
use des::cipher::{BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::Error;
use crate::hygiene::{KeyQuality, PoorKey, set_odd_parity};
use crate::random::{self, Source, Tested};

/// Block size of DES and TDES in bytes.
pub const BLOCK: usize = 8;

/// How many random keys in a row may be poor before the random source is called broken. One poor key has a
/// chance of about 2^-51; two in a row do not happen.
const MAX_TRIES: usize = 8;

/// The two lengths of a TDES key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TdesLength {
    /// K1 ‖ K2, 16 bytes, K3 = K1.
    Double,
    /// K1 ‖ K2 ‖ K3, 24 bytes.
    Triple,
}

impl TdesLength {
    /// The length in bytes.
    pub const fn bytes(self) -> usize {
        match self {
            Self::Double => 16,
            Self::Triple => 24,
        }
    }
}

/// Key bytes with their round keys; on the heap, so that moving a key leaves no copy behind.
struct Inner {
    /// K1 ‖ K2 ‖ K3, the parts that the key does not have filled in (K3 = K1, K2 = K1).
    full: [u8; 24],
    len: usize,
    cipher: TdesEde3,
}

impl Inner {
    fn new(key: &[u8]) -> Box<Self> {
        let mut full = Zeroizing::new([0; 24]);
        for (to, from) in full.iter_mut().zip(key.iter().cycle()) {
            *to = *from;
        }
        let cipher = TdesEde3::new((&*full).into());
        let mut inner = Box::new(Self { full: [0; 24], len: key.len().min(24), cipher });
        inner.full.copy_from_slice(&*full); // filled in its place on the heap
        inner
    }

    fn bytes(&self) -> &[u8] {
        self.full.get(..self.len).unwrap_or(&self.full)
    }
}

/// Does not build if the cipher's round keys stop wiping themselves (a feature of `des`).
const fn wipes_itself<T: ZeroizeOnDrop>() {}
const _: () = wipes_itself::<TdesEde3>();

impl Drop for Inner {
    fn drop(&mut self) {
        self.full.zeroize(); // the round keys wipe themselves
    }
}

mod sealed {
    pub trait Sealed {
        /// K1 ‖ K2 ‖ K3 and the cipher over them.
        fn full(&self) -> &[u8; 24];
        fn cipher(&self) -> &des::TdesEde3;
    }
}
pub(crate) use sealed::Sealed;

/// A key of the DES family: [`SingleDesKey`] or [`TdesKey`]. Nobody else implements it.
pub trait DesKey: Sealed {
    /// The key's own bytes: 8, 16 or 24.
    fn expose(&self) -> &[u8];
}

macro_rules! des_key {
    ($name:ident) => {
        impl Sealed for $name {
            fn full(&self) -> &[u8; 24] {
                &self.0.full
            }
            fn cipher(&self) -> &TdesEde3 {
                &self.0.cipher
            }
        }

        impl DesKey for $name {
            fn expose(&self) -> &[u8] {
                self.0.bytes()
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "{}({} bytes)", stringify!($name), self.0.len)
            }
        }

        impl $name {
            /// The clear key bytes. The caller wipes every copy that it makes.
            pub fn expose(&self) -> &[u8] {
                self.0.bytes()
            }

            /// What is to be said of the key: parity, weak and equal parts. Refuses nothing.
            pub fn quality(&self) -> KeyQuality {
                KeyQuality::of(self.expose())
            }

            /// The strict check of PIN pads, HSM commands and imports (2-wire.md section 4).
            ///
            /// # Errors
            /// Weak, semi-weak or equal parts; never parity.
            pub fn refuse_poor(&self) -> Result<(), PoorKey> {
                self.quality().refuse_poor()
            }

            /// Check value: the first 3 bytes of 8 zero bytes encrypted (2-wire.md section 2, tag DF0B).
            pub fn kcv(&self) -> [u8; 3] {
                let [a, b, c, ..] = self.encrypt_block([0; BLOCK]);
                [a, b, c]
            }

            /// One block encrypted.
            pub fn encrypt_block(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
                encrypt_block(self, block)
            }

            /// One block decrypted.
            pub fn decrypt_block(&self, block: [u8; BLOCK]) -> [u8; BLOCK] {
                decrypt_block(self, block)
            }

            /// ECB without padding.
            ///
            /// # Errors
            /// [`Error::NotWholeBlocks`].
            pub fn encrypt_ecb(&self, data: &[u8]) -> Result<Vec<u8>, Error> {
                Ok(whole_blocks(data)?.iter().flat_map(|block| self.encrypt_block(*block)).collect())
            }

            /// ECB without padding, the other way.
            ///
            /// # Errors
            /// [`Error::NotWholeBlocks`].
            pub fn decrypt_ecb(&self, data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
                let mut out = Zeroizing::new(Vec::with_capacity(data.len()));
                for block in whole_blocks(data)? {
                    out.extend_from_slice(&*Zeroizing::new(self.decrypt_block(*block)));
                }
                Ok(out)
            }

            /// CBC without padding. `E` of 2-wire.md is this with an IV of zeros.
            ///
            /// # Errors
            /// [`Error::NotWholeBlocks`].
            pub fn encrypt_cbc(&self, iv: &[u8; BLOCK], data: &[u8]) -> Result<Vec<u8>, Error> {
                let mut out = Vec::with_capacity(data.len());
                let mut last = *iv;
                for block in whole_blocks(data)? {
                    last = self.encrypt_block(xor(last, *block));
                    out.extend_from_slice(&last);
                }
                Ok(out)
            }

            /// CBC without padding, the other way.
            ///
            /// # Errors
            /// [`Error::NotWholeBlocks`].
            pub fn decrypt_cbc(&self, iv: &[u8; BLOCK], data: &[u8]) -> Result<Zeroizing<Vec<u8>>, Error> {
                let mut out = Zeroizing::new(Vec::with_capacity(data.len()));
                let mut last = *iv;
                for block in whole_blocks(data)? {
                    out.extend_from_slice(&*Zeroizing::new(xor(self.decrypt_block(*block), last)));
                    last = *block;
                }
                Ok(out)
            }
        }
    };
}

/// A DES key of 8 bytes: for the calculator and for old MACs only. No message of Keyferry uses one.
pub struct SingleDesKey(Box<Inner>);

/// A TDES key of 16 or 24 bytes. A plain library key: it accepts any bytes and reports what is wrong.
pub struct TdesKey(Box<Inner>);

des_key!(SingleDesKey);
des_key!(TdesKey);

impl SingleDesKey {
    /// Takes a key of 8 bytes.
    ///
    /// # Errors
    /// [`Error::KeyLength`].
    pub fn from_bytes(key: &[u8]) -> Result<Self, Error> {
        match key.len() {
            8 => Ok(Self(Inner::new(key))),
            found => Err(Error::KeyLength { algorithm: "DES", allowed: "8", found }),
        }
    }
}

impl TdesKey {
    /// Takes a key of 16 or 24 bytes, whatever its quality.
    ///
    /// # Errors
    /// [`Error::KeyLength`].
    pub fn from_bytes(key: &[u8]) -> Result<Self, Error> {
        match key.len() {
            16 | 24 => Ok(Self(Inner::new(key))),
            found => Err(Error::KeyLength { algorithm: "TDES", allowed: "16 or 24", found }),
        }
    }

    /// Takes a key of 16 or 24 bytes that a strict receiver may use.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Poor`].
    pub fn from_bytes_strict(key: &[u8]) -> Result<Self, Error> {
        let key = Self::from_bytes(key)?;
        key.refuse_poor()?;
        Ok(key)
    }

    /// Makes a key of 16 bytes: odd parity, never weak, semi-weak or with equal parts.
    ///
    /// # Errors
    /// See [`TdesKey::generate_from`].
    pub fn generate16() -> Result<Self, Error> {
        Self::generate_with(TdesLength::Double, random::fill)
    }

    /// Makes a key of 24 bytes: odd parity, never weak, semi-weak or with equal parts.
    ///
    /// # Errors
    /// See [`TdesKey::generate_from`].
    pub fn generate24() -> Result<Self, Error> {
        Self::generate_with(TdesLength::Triple, random::fill)
    }

    /// Makes a key from a tested random source: odd parity, never weak, semi-weak or with equal parts
    /// (2-wire.md section 4). A poor one is made again, a bounded number of times.
    ///
    /// # Errors
    /// [`Error::RandomStuck`], [`Error::RandomUnavailable`], [`Error::RandomPoor`]: then there is no key.
    pub fn generate_from<S: Source>(length: TdesLength, source: &Tested<S>) -> Result<Self, Error> {
        Self::generate_with(length, |bytes| source.fill(bytes))
    }

    fn generate_with(
        length: TdesLength,
        fill: impl Fn(&mut [u8]) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let mut bytes = Zeroizing::new(vec![0; length.bytes()]);
        for _ in 0..MAX_TRIES {
            fill(&mut bytes)?;
            set_odd_parity(&mut bytes);
            let key = Self(Inner::new(&bytes));
            if !key.quality().is_poor() {
                return Ok(key);
            }
        }
        Err(Error::RandomPoor)
    }

    /// Which of the two lengths the key has.
    pub fn length(&self) -> TdesLength {
        if self.0.len == TdesLength::Double.bytes() { TdesLength::Double } else { TdesLength::Triple }
    }
}

pub(crate) fn encrypt_block(key: &impl Sealed, block: [u8; BLOCK]) -> [u8; BLOCK] {
    let mut block = block.into();
    key.cipher().encrypt_block(&mut block);
    block.into()
}

pub(crate) fn decrypt_block(key: &impl Sealed, block: [u8; BLOCK]) -> [u8; BLOCK] {
    let mut block = block.into();
    key.cipher().decrypt_block(&mut block);
    block.into()
}

pub(crate) fn xor(a: [u8; BLOCK], b: [u8; BLOCK]) -> [u8; BLOCK] {
    (u64::from_ne_bytes(a) ^ u64::from_ne_bytes(b)).to_ne_bytes()
}

fn whole_blocks(data: &[u8]) -> Result<&[[u8; BLOCK]], Error> {
    match data.as_chunks() {
        (blocks, []) => Ok(blocks),
        _ => Err(Error::NotWholeBlocks { block: BLOCK, found: data.len() }),
    }
}
