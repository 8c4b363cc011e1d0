//! Sealed messages of flow E (2-wire.md section 7): the value of DF4A.
//!
//! `IV (8) ‖ TDES-CBC(session key, IV, inner payload padded by ISO 9797-1 method 2) ‖ tag (8)`. The tag is a
//! CBC-MAC with TDES under the session's DWK over the direction, the message's number in that direction, the
//! ciphertext's length, the IV and the ciphertext: a message that was turned around, sent again, left out or moved
//! does not open. Who calls keeps the two counters; the limit of blocks under one session key is theirs too.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::keys::{Dwk, SessionKey};
use crate::tdes::{BLOCK, xor};
use crate::{Error, random};

/// Longest inner payload in bytes.
pub const INNER_MAX: usize = 65_500;

/// What sealing adds at least, in bytes: IV, tag, and the one byte of padding that is always there.
pub const OVERHEAD_MIN: usize = 2 * BLOCK + 1;

/// Longest sealed message in bytes.
pub const SEALED_MAX: usize = 2 * BLOCK + ciphertext_bytes(INNER_MAX);

/// The last block of the MAC's input, which is whole blocks before: ISO 9797-1 padding method 2.
const MAC_PADDING: [u8; BLOCK] = [0x80, 0, 0, 0, 0, 0, 0, 0];

/// Who sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// Terminal → TMS.
    FromTerminal = 0,
    /// TMS → terminal.
    FromTms = 1,
}

impl Direction {
    const fn byte(self) -> u8 {
        match self {
            Self::FromTerminal => 0,
            Self::FromTms => 1,
        }
    }
}

/// The message does not open: another key, direction, place in the order, or other bytes. One answer for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the sealed message is not authentic: end the session and sign on to the TMS again")]
pub struct NotAuthentic;

/// Bytes of ciphertext for `inner` bytes of payload: padding method 2 always adds at least one byte.
pub const fn ciphertext_bytes(inner: usize) -> usize {
    (inner / BLOCK + 1) * BLOCK
}

/// Seals `inner` as message number `counter` (from 0) in its direction, with a fresh random IV.
///
/// # Errors
/// [`Error::MessageTooLong`] above [`INNER_MAX`]; [`Error::RandomStuck`], [`Error::RandomUnavailable`].
pub fn seal(
    session: &SessionKey,
    dwk: &Dwk,
    direction: Direction,
    counter: u32,
    inner: &[u8],
) -> Result<Vec<u8>, Error> {
    let mut iv = [0; BLOCK];
    random::fill(&mut iv)?;
    seal_with_iv(session, dwk, direction, counter, &iv, inner)
}

/// [`seal`] with a given IV: for worked values only. An IV is never used twice.
///
/// # Errors
/// [`Error::MessageTooLong`].
pub fn seal_with_iv(
    session: &SessionKey,
    dwk: &Dwk,
    direction: Direction,
    counter: u32,
    iv: &[u8; BLOCK],
    inner: &[u8],
) -> Result<Vec<u8>, Error> {
    if inner.len() > INNER_MAX {
        return Err(Error::MessageTooLong);
    }
    let len = ciphertext_bytes(inner.len());
    let mut sealed = Vec::with_capacity(len + 2 * BLOCK);
    sealed.extend_from_slice(iv);
    let (whole, rest) = inner.as_chunks::<BLOCK>();
    let mut tag = Tag::new(dwk, direction, counter, len)?;
    let mut last = *iv;
    // The MAC of one block of ciphertext and the encryption of the next do not wait for each other.
    for block in whole {
        tag.update(&last);
        last = session.key().encrypt_block(xor(last, *block));
        sealed.extend_from_slice(&last);
    }
    tag.update(&last);
    last = session.key().encrypt_block(xor(last, padded(rest)));
    sealed.extend_from_slice(&last);
    tag.update(&last);
    sealed.extend_from_slice(&tag.finish());
    Ok(sealed)
}

/// Opens a sealed message that must be number `counter` in its direction. The tag is checked before anything is
/// decrypted, in constant time.
///
/// # Errors
/// [`NotAuthentic`], whatever is wrong.
pub fn open(
    session: &SessionKey,
    dwk: &Dwk,
    direction: Direction,
    counter: u32,
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, NotAuthentic> {
    if sealed.len() > SEALED_MAX {
        return Err(NotAuthentic);
    }
    let (iv, rest) = sealed.split_first_chunk::<BLOCK>().ok_or(NotAuthentic)?;
    let (ciphertext, received) = rest.split_last_chunk::<BLOCK>().ok_or(NotAuthentic)?;
    let (blocks, []) = ciphertext.as_chunks::<BLOCK>() else { return Err(NotAuthentic) };
    let mut tag = Tag::new(dwk, direction, counter, ciphertext.len()).map_err(|_| NotAuthentic)?;
    tag.update(iv);
    for block in blocks {
        tag.update(block);
    }
    if !bool::from(tag.finish().ct_eq(received)) {
        return Err(NotAuthentic);
    }
    let mut inner = session.key().decrypt_cbc(iv, ciphertext).map_err(|_| NotAuthentic)?;
    // Behind the tag, so what is wrong with the padding tells nobody anything.
    let end = inner.iter().rposition(|byte| *byte != 0).ok_or(NotAuthentic)?;
    if inner.get(end) != Some(&0x80) || inner.len() - end > BLOCK {
        return Err(NotAuthentic);
    }
    inner.truncate(end);
    Ok(inner)
}

/// The CBC-MAC, block by block. Its first block is direction, counter and length, just eight bytes.
struct Tag<'a> {
    dwk: &'a Dwk,
    chain: [u8; BLOCK],
}

impl<'a> Tag<'a> {
    fn new(dwk: &'a Dwk, direction: Direction, counter: u32, ciphertext: usize) -> Result<Self, Error> {
        let [a, b, c, d] = counter.to_be_bytes();
        let length = u32::try_from(ciphertext).map_err(|_| Error::MessageTooLong)?.to_be_bytes();
        let [0, x, y, z] = length else { return Err(Error::MessageTooLong) };
        let mut tag = Self { dwk, chain: [0; BLOCK] };
        tag.update(&[direction.byte(), a, b, c, d, x, y, z]);
        Ok(tag)
    }

    fn update(&mut self, block: &[u8; BLOCK]) {
        self.chain = self.dwk.key().encrypt_block(xor(self.chain, *block));
    }

    fn finish(mut self) -> [u8; BLOCK] {
        self.update(&MAC_PADDING);
        self.chain
    }
}

/// The last block of the payload, less than eight bytes, padded by method 2.
fn padded(rest: &[u8]) -> [u8; BLOCK] {
    let mut block = MAC_PADDING;
    block.rotate_right(rest.len() % BLOCK);
    for (to, from) in block.iter_mut().zip(rest) {
        *to = *from;
    }
    block
}
