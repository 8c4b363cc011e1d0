//! Format 4: sixteen bytes, enciphered with AES on both sides of the PAN (ISO 9564-1:2017).

use aes::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, KeyInit};
use aes::{Aes128, Aes192, Aes256};
use zeroize::{ZeroizeOnDrop, Zeroizing};

use crate::field::Rule;
use crate::{BadBlock, Error, Format, Pan, Pin, block};

/// An AES key for format 4. Wipes itself when dropped.
pub struct Format4Key(Box<Cipher>);

/// The round keys by length; on the heap, so that moving a key leaves no copy behind.
enum Cipher {
    Aes128(Aes128),
    Aes192(Aes192),
    Aes256(Aes256),
}

/// Does not build if the round keys stop wiping themselves (a feature of `aes`).
const fn wipes_itself<T: ZeroizeOnDrop>() {}
const _: () = (wipes_itself::<Aes128>(), wipes_itself::<Aes192>(), wipes_itself::<Aes256>()).0;

impl std::fmt::Debug for Format4Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Format4Key")
    }
}

impl Format4Key {
    /// Takes an AES key of 16, 24 or 32 bytes. The caller wipes its copy.
    ///
    /// # Errors
    /// [`Error::KeyLength`].
    pub fn new(key: &[u8]) -> Result<Self, Error> {
        let wrong = |_| Error::KeyLength { found: key.len() };
        let cipher = match key.len() {
            16 => Cipher::Aes128(Aes128::new_from_slice(key).map_err(wrong)?),
            24 => Cipher::Aes192(Aes192::new_from_slice(key).map_err(wrong)?),
            32 => Cipher::Aes256(Aes256::new_from_slice(key).map_err(wrong)?),
            found => return Err(Error::KeyLength { found }),
        };
        Ok(Self(Box::new(cipher)))
    }

    fn encrypt(&self, bytes: &mut [u8; 16]) {
        let block: &mut Block<Aes128> = bytes.into();
        match &*self.0 {
            Cipher::Aes128(cipher) => cipher.encrypt_block(block),
            Cipher::Aes192(cipher) => cipher.encrypt_block(block),
            Cipher::Aes256(cipher) => cipher.encrypt_block(block),
        }
    }

    fn decrypt(&self, bytes: &mut [u8; 16]) {
        let block: &mut Block<Aes128> = bytes.into();
        match &*self.0 {
            Cipher::Aes128(cipher) => cipher.decrypt_block(block),
            Cipher::Aes192(cipher) => cipher.decrypt_block(block),
            Cipher::Aes256(cipher) => cipher.decrypt_block(block),
        }
    }
}

/// Makes an enciphered block of format 4, with random fill from the operating system.
///
/// # Errors
/// [`Error::Random`].
pub fn encode_format4(pin: &Pin, pan: &Pan, key: &Format4Key) -> Result<[u8; 16], Error> {
    Ok(encode_format4_filled(pin, pan, key, &*block::random()?))
}

/// [`encode_format4`] with random bytes of the caller's: for a device that tests its random source. They are used
/// once.
#[must_use]
pub fn encode_format4_filled(pin: &Pin, pan: &Pan, key: &Format4Key, random: &[u8; 8]) -> [u8; 16] {
    let pin_field = Rule::of(Format::Iso4).write(pin, &[0; 8]);
    let mut bytes = Zeroizing::new([0; 16]);
    for (to, from) in bytes.iter_mut().zip(pin_field.iter().chain(random)) {
        *to = *from;
    }
    key.encrypt(&mut bytes);
    add(&mut bytes, &pan.field4());
    key.encrypt(&mut bytes);
    *bytes
}

/// The PIN in an enciphered block of format 4. The same work is done whatever is wrong, and everything wrong is one
/// answer.
///
/// # Errors
/// [`BadBlock`].
pub fn decode_format4(block: &[u8; 16], pan: &Pan, key: &Format4Key) -> Result<Pin, BadBlock> {
    let mut bytes = Zeroizing::new(*block);
    key.decrypt(&mut bytes);
    add(&mut bytes, &pan.field4());
    key.decrypt(&mut bytes);
    let pin_field = bytes.first_chunk::<8>().ok_or(BadBlock)?;
    Rule::of(Format::Iso4).read(pin_field)
}

fn add(bytes: &mut [u8; 16], field: &[u8; 16]) {
    for (to, from) in bytes.iter_mut().zip(field) {
        *to ^= from;
    }
}

#[cfg(test)]
mod tests;
