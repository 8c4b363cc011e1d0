//! Message authentication codes: ANSI X9.9, ISO/IEC 9797-1 algorithms 1 and 3 with paddings 1 to 3, and
//! CMAC (SP 800-38B) over TDES and AES.
//!
//! Compare a received value with [`matches()`], which takes the same time wherever the difference is.

use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, KeyInit, Mac};
use des::cipher::{BlockCipherDecrypt, BlockCipherEncrypt};
use des::{Des, TdesEde3};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::aes_key::Bytes;
use crate::tdes::{BLOCK, Sealed, encrypt_block, xor};
use crate::{AesKey, DesKey, Error};

/// ISO/IEC 9797-1:2011 section 6.3: how data is filled up to whole blocks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Padding {
    /// Method 1: zeros to the end of the block, none if it is full already; one block if there is no data.
    One,
    /// Method 2: a one bit, then zeros.
    Two,
    /// Method 3: a block with the length in bits in front, then as method 1.
    Three,
}

impl Padding {
    /// `data` padded to whole blocks of 8 bytes.
    ///
    /// # Errors
    /// [`Error::MessageTooLong`] for method 3 when the length in bits exceeds a block, 2^61 bytes.
    pub fn pad(self, data: &[u8]) -> Result<Vec<u8>, Error> {
        let mut padded = Vec::with_capacity(data.len() + 2 * BLOCK);
        if self == Self::Three {
            padded.extend_from_slice(&length_block(data.len())?);
        }
        padded.extend_from_slice(data);
        if self == Self::Two {
            padded.push(0x80);
        }
        // Methods 1 and 3 fill no data up to one whole block (ISO/IEC 9797-1:2011 sections 6.3.2, 6.3.4).
        let blocks = padded.len().div_ceil(BLOCK).max(1 + usize::from(self == Self::Three));
        padded.resize(blocks * BLOCK, 0);
        Ok(padded)
    }
}

/// ANSI X9.9 chaining: zero IV, zero padding to 8, the left 4 bytes of the last block (2-wire.md section 4,
/// flow E). With a TDES key every block is TDES.
pub fn x9_9(key: &impl DesKey, data: &[u8]) -> [u8; 4] {
    let mut chain = [0; BLOCK];
    for piece in data.chunks(BLOCK) {
        let mut block = [0; BLOCK];
        for (to, from) in block.iter_mut().zip(piece) {
            *to = *from;
        }
        chain = encrypt_block(key, xor(chain, block));
    }
    if data.is_empty() {
        chain = encrypt_block(key, chain); // no data is one block of zeros, as in padding method 1
    }
    let [a, b, c, d, ..] = chain;
    [a, b, c, d]
}

/// ISO/IEC 9797-1 MAC algorithm 1, all 8 bytes: CBC-MAC over the key's own cipher, DES or TDES.
///
/// # Errors
/// [`Error::MessageTooLong`].
pub fn iso9797_alg1(key: &impl DesKey, padding: Padding, data: &[u8]) -> Result<[u8; 8], Error> {
    let padded = padding.pad(data)?;
    Ok(chain(&padded, |block| encrypt_block(key, block)))
}

/// ISO/IEC 9797-1 MAC algorithm 3 ("retail MAC", X9.19), all 8 bytes: CBC-MAC with DES under K1, then the
/// last block decrypted under K2 and encrypted under K1. A 24-byte key ends with K3 instead, as other
/// libraries have it; the standard itself knows two parts.
///
/// # Errors
/// [`Error::MacKeyLength`] for a single DES key, [`Error::MessageTooLong`].
pub fn iso9797_alg3(key: &impl DesKey, padding: Padding, data: &[u8]) -> Result<[u8; 8], Error> {
    if key.expose().len() < 2 * BLOCK {
        return Err(Error::MacKeyLength);
    }
    let padded = padding.pad(data)?;
    let [first, second, third] = parts(key);
    let mut last = chain(&padded, |block| {
        let mut block = block.into();
        first.encrypt_block(&mut block);
        block.into()
    })
    .into();
    second.decrypt_block(&mut last);
    third.encrypt_block(&mut last);
    Ok(last.into())
}

/// CMAC over DES or TDES, all 8 bytes. A single DES key is TDES with three equal parts.
pub fn cmac_tdes(key: &impl DesKey, data: &[u8]) -> [u8; 8] {
    let mut mac = Cmac::<TdesEde3>::new(key.full().into());
    mac.update(data);
    mac.finalize().into_bytes().into()
}

/// CMAC over AES, all 16 bytes.
pub fn cmac_aes(key: &AesKey, data: &[u8]) -> [u8; 16] {
    match key.bytes() {
        Bytes::K16(key) => Cmac::<Aes128>::new(key.into()).chain_update(data).finalize().into_bytes(),
        Bytes::K24(key) => Cmac::<Aes192>::new(key.into()).chain_update(data).finalize().into_bytes(),
        Bytes::K32(key) => Cmac::<Aes256>::new(key.into()).chain_update(data).finalize().into_bytes(),
    }
    .into()
}

/// Whether two MACs are the same, in constant time. Different lengths are different.
pub fn matches(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The first block of padding method 3: the length in bits (ISO/IEC 9797-1:2011 section 6.3.4).
fn length_block(bytes: usize) -> Result<[u8; BLOCK], Error> {
    let bits = u64::try_from(bytes).ok().and_then(|bytes| bytes.checked_mul(8));
    bits.map(u64::to_be_bytes).ok_or(Error::MessageTooLong)
}

/// The key's three DES parts.
fn parts(key: &impl Sealed) -> [Des; 3] {
    std::array::from_fn(|number| {
        let mut part = Zeroizing::new([0; BLOCK]);
        for (to, from) in part.iter_mut().zip(key.full().iter().skip(number * BLOCK)) {
            *to = *from;
        }
        Des::new((&*part).into())
    })
}

fn chain(padded: &[u8], encrypt: impl Fn([u8; BLOCK]) -> [u8; BLOCK]) -> [u8; BLOCK] {
    padded.as_chunks().0.iter().fold([0; BLOCK], |last, block| encrypt(xor(last, *block)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_pointer_width = "64")]
    fn padding_3_takes_what_its_length_field_can_say_and_no_more() {
        let most = (1 << 61) - 1;
        assert_eq!(length_block(most), Ok(0xFFFF_FFFF_FFFF_FFF8_u64.to_be_bytes()));
        assert_eq!(length_block(most + 1), Err(Error::MessageTooLong));
    }
}
