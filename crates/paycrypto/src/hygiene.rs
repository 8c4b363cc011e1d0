//! What is wrong with a DES key: parity, weak and semi-weak parts, equal parts (2-wire.md section 4, "Key
//! hygiene"); and with an AES key: one part repeated (R6 of 4-requirements.md).
//!
//! [`KeyQuality::of`] only reports. [`KeyQuality::refuse_poor`] is the strict check of PIN pads, HSM
//! commands and imports: it refuses weak and semi-weak parts and equal parts, and never a key for its
//! parity. Everything is compared with the parity bits set aside, in time that does not depend on the key.

use subtle::{Choice, ConstantTimeEq};

/// All bits of a DES key except its parity bits (FIPS 46-3: the lowest bit of each byte).
const WITHOUT_PARITY: u64 = 0xFEFE_FEFE_FEFE_FEFE;

/// The 4 weak keys, SP 800-67 revision 2 section 3.3.2, with odd parity.
pub const WEAK: [u64; 4] =
    [0x0101_0101_0101_0101, 0xFEFE_FEFE_FEFE_FEFE, 0xE0E0_E0E0_F1F1_F1F1, 0x1F1F_1F1F_0E0E_0E0E];

/// The 12 semi-weak keys, SP 800-67 revision 2 section 3.3.2, with odd parity.
pub const SEMI_WEAK: [u64; 12] = [
    0x011F_011F_010E_010E,
    0x1F01_1F01_0E01_0E01,
    0x01E0_01E0_01F1_01F1,
    0xE001_E001_F101_F101,
    0x01FE_01FE_01FE_01FE,
    0xFE01_FE01_FE01_FE01,
    0x1FE0_1FE0_0EF1_0EF1,
    0xE01F_E01F_F10E_F10E,
    0x1FFE_1FFE_0EFE_0EFE,
    0xFE1F_FE1F_FE0E_FE0E,
    0xE0FE_E0FE_F1FE_F1FE,
    0xFEE0_FEE0_FEF1_FEF1,
];

/// What can be said of a DES or TDES key. A report: it refuses nothing by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct KeyQuality {
    /// Every byte has odd parity.
    pub odd_parity: bool,
    /// Some 8-byte part is one of the 4 weak keys. An all-zero key is among them.
    pub weak: bool,
    /// Some 8-byte part is one of the 12 semi-weak keys.
    pub semi_weak: bool,
    /// Some 8-byte part is one of the 48 keys that have only 4 different round keys ("possibly weak" in the
    /// first SP 800-67). Told, never refused.
    pub possibly_weak: bool,
    /// Two 8-byte parts are equal: K1 = K2, K2 = K3, or K1 = K3 of a 24-byte key.
    pub equal_parts: bool,
}

/// Why a strict receiver refuses a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PoorKey {
    /// A part is one of the 4 weak DES keys.
    #[error("the key has a weak DES part: make another one")]
    Weak,
    /// A part is one of the 12 semi-weak DES keys.
    #[error("the key has a semi-weak DES part: make another one")]
    SemiWeak,
    /// Two parts are equal, which makes TDES weaker than its length says.
    #[error("the key has equal parts: make another one")]
    EqualParts,
    /// An AES key, or a secret that keys are derived from, is one part repeated; all zeros is one.
    #[error("the key is one part repeated: make another one")]
    Repeated,
}

impl KeyQuality {
    /// Looks at a key of 8, 16 or 24 bytes; bytes after the last whole 8 count for parity only.
    pub fn of(key: &[u8]) -> Self {
        let parts: Vec<u64> = key.as_chunks::<8>().0.iter().map(|part| u64::from_be_bytes(*part)).collect();
        let any = |told: fn(u64) -> Choice| -> bool {
            parts.iter().fold(Choice::from(0), |any, part| any | told(*part)).into()
        };
        let mut equal = Choice::from(0);
        for (index, part) in parts.iter().enumerate() {
            for other in parts.iter().skip(index + 1) {
                equal |= same(*part, *other);
            }
        }
        Self {
            odd_parity: key.iter().fold(true, |odd, byte| odd & (byte.count_ones() % 2 == 1)),
            weak: any(|part| in_list(part, &WEAK)),
            semi_weak: any(|part| in_list(part, &SEMI_WEAK)),
            possibly_weak: any(possibly_weak),
            equal_parts: equal.into(),
        }
    }

    /// Whether a strict receiver refuses the key.
    pub fn is_poor(&self) -> bool {
        self.refuse_poor().is_err()
    }

    /// The strict check of PIN pads, HSM commands and imports. Parity is no reason.
    ///
    /// # Errors
    /// The first that holds of [`PoorKey::Weak`], [`PoorKey::SemiWeak`], [`PoorKey::EqualParts`].
    pub fn refuse_poor(&self) -> Result<(), PoorKey> {
        match self {
            Self { weak: true, .. } => Err(PoorKey::Weak),
            Self { semi_weak: true, .. } => Err(PoorKey::SemiWeak),
            Self { equal_parts: true, .. } => Err(PoorKey::EqualParts),
            _ => Ok(()),
        }
    }
}

/// The strict check of AES keys and of secrets that keys are derived from, which have no weak keys of their own: one part
/// that is repeated comes from no good generator. Takes the same time whatever the key.
///
/// # Errors
/// [`PoorKey::Repeated`] for equal halves and for equal thirds, a key of zeros among them.
pub fn refuse_repeated(key: &[u8]) -> Result<(), PoorKey> {
    let mut repeated = Choice::from(0);
    for parts in [2, 3] {
        if key.len().is_multiple_of(parts) {
            let later = key.iter().skip(key.len() / parts);
            repeated |= later.zip(key).fold(0, |differ, (a, b)| differ | (a ^ b)).ct_eq(&0);
        }
    }
    if repeated.into() { Err(PoorKey::Repeated) } else { Ok(()) }
}

/// Sets the parity bit of every byte so that the byte has an odd number of ones.
pub fn set_odd_parity(key: &mut [u8]) {
    for byte in key {
        let ones = (*byte & 0xFE).count_ones();
        *byte = (*byte & 0xFE) | u8::from(ones % 2 == 0);
    }
}

/// Whether two keys are the same with parity bits set aside. Keys of different length are not.
pub fn same_without_parity(a: &[u8], b: &[u8]) -> bool {
    let differ = a.iter().zip(b).fold(0, |differ, (a, b)| differ | ((a ^ b) & 0xFE));
    a.len() == b.len() && differ.ct_eq(&0).into()
}

fn same(a: u64, b: u64) -> Choice {
    (a & WITHOUT_PARITY).ct_eq(&(b & WITHOUT_PARITY))
}

fn in_list(part: u64, list: &[u64]) -> Choice {
    list.iter().fold(Choice::from(0), |found, listed| found | same(part, *listed))
}

/// The 64 keys of weak, semi-weak and possibly weak form have, in each half, bytes of four kinds only (see
/// [`KINDS`]); byte i and byte i + 4 are of one kind, and the kinds of the first four bytes cancel out.
fn possibly_weak(part: u64) -> Choice {
    let bytes = part.to_be_bytes();
    let (mut fits, mut sum) = (Choice::from(1), 0u8);
    for (left, right) in bytes.iter().zip(bytes.iter().skip(4)) {
        let mut found = Choice::from(0);
        for (number, (in_left, in_right)) in (0u8..).zip(KINDS) {
            let is = ((left ^ in_left) & 0xFE).ct_eq(&0) & ((right ^ in_right) & 0xFE).ct_eq(&0);
            sum ^= number & 0u8.wrapping_sub(is.unwrap_u8());
            found |= is;
        }
        fits &= found;
    }
    fits & sum.ct_eq(&0) & !in_list(part, &WEAK) & !in_list(part, &SEMI_WEAK)
}

/// A kind of byte in the first and in the second half of a key with few round keys. Permuted choice 1 puts
/// the middle bit of the right half's bytes into the other register, hence 1F beside 0E and E0 beside F1.
const KINDS: [(u8, u8); 4] = [(0x01, 0x01), (0x1F, 0x0E), (0xE0, 0xF1), (0xFE, 0xFE)];
