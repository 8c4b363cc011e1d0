//! How header and key are bound together (X9.143 7, ISO 20038 6): the two methods, over two ciphers.

use cmac::block_api::CmacCipher;
use cmac::{Cmac, Mac as _};
use des::TdesEde3;
use des::cipher::consts::{U8, U16};
use des::cipher::{Block, BlockCipherDecrypt, BlockCipherEncrypt, BlockSizeUser, KeyInit, array::Array};
use subtle::ConstantTimeEq as _;

/// The longest MAC, in bytes.
const MAX_MAC: usize = 16;

/// A MAC: up to 16 bytes.
pub(crate) struct Tag {
    bytes: [u8; MAX_MAC],
    length: usize,
}

impl Tag {
    fn new(from: &[u8], length: usize) -> Self {
        let mut bytes = [0; MAX_MAC];
        for (to, from) in bytes.iter_mut().zip(from) {
            *to = *from;
        }
        Self { bytes, length: length.min(MAX_MAC) }
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }
}

/// One protection key in one version, its derived keys ready.
pub(crate) trait Binding: Send + Sync {
    /// Encrypts the payload in place and gives the MAC over header and payload.
    fn seal(&self, header: &[u8], payload: &mut [u8]) -> Tag;

    /// Decrypts the payload in place; `false` where the MAC is wrong, and then the payload is nothing to look at.
    fn open(&self, header: &[u8], payload: &mut [u8], mac: &[u8]) -> bool;
}

/// Versions A and C: the keys are variants of the protection key, the MAC is over the ciphertext (X9.143 7.3).
pub(crate) struct VariantBinding {
    cipher: TdesEde3,
    mac: TdesEde3,
}

/// Characters of the header that are the IV of versions A and C.
const VARIANT_IV: usize = 8;
/// Bytes of the MAC of versions A and C.
const VARIANT_MAC: usize = 4;

impl VariantBinding {
    pub(crate) fn new(cipher: TdesEde3, mac: TdesEde3) -> Self {
        Self { cipher, mac }
    }

    /// CBC-MAC with TDES over header and ciphertext, left half. Both are whole blocks.
    fn tag(&self, header: &[u8], ciphertext: &[u8]) -> Tag {
        let mut state = Array::<u8, U8>::default();
        for chunk in header.chunks(VARIANT_IV).chain(ciphertext.chunks(VARIANT_IV)) {
            xor(&mut state, chunk);
            self.mac.encrypt_block(&mut state);
        }
        Tag::new(&state, VARIANT_MAC)
    }

    fn iv(header: &[u8]) -> Array<u8, U8> {
        let mut iv = Array::default();
        xor(&mut iv, header.get(..VARIANT_IV).unwrap_or_default());
        iv
    }
}

impl Binding for VariantBinding {
    fn seal(&self, header: &[u8], payload: &mut [u8]) -> Tag {
        cbc_encrypt(&self.cipher, Self::iv(header), payload);
        self.tag(header, payload)
    }

    fn open(&self, header: &[u8], payload: &mut [u8], mac: &[u8]) -> bool {
        if !bool::from(self.tag(header, payload).as_bytes().ct_eq(mac)) {
            return false;
        }
        cbc_decrypt(&self.cipher, Self::iv(header), payload);
        true
    }
}

/// Versions B, D and E: derived keys, the MAC is over the plaintext and is the IV (X9.143 7.2, ISO 20038 6).
pub(crate) struct DerivedBinding<C: CmacCipher, M> {
    cipher: C,
    mac: Cmac<C>,
    mode: M,
}

impl<C: CmacCipher + Clone, M> DerivedBinding<C, M> {
    pub(crate) fn new(cipher: C, mac: Cmac<C>, mode: M) -> Self {
        Self { cipher, mac, mode }
    }

    fn tag(&self, header: &[u8], plaintext: &[u8]) -> Block<C> {
        self.mac.clone().chain_update(header).chain_update(plaintext).finalize().into_bytes()
    }
}

/// How a derived key encrypts.
pub(crate) trait Chaining<C: BlockSizeUser>: Send + Sync {
    fn encrypt(&self, cipher: &C, iv: Block<C>, data: &mut [u8]);
    fn decrypt(&self, cipher: &C, iv: Block<C>, data: &mut [u8]);
}

/// Cipher block chaining: versions B and D.
pub(crate) struct Cbc;

impl<C: BlockCipherEncrypt + BlockCipherDecrypt> Chaining<C> for Cbc {
    fn encrypt(&self, cipher: &C, iv: Block<C>, data: &mut [u8]) {
        cbc_encrypt(cipher, iv, data);
    }

    fn decrypt(&self, cipher: &C, iv: Block<C>, data: &mut [u8]) {
        cbc_decrypt(cipher, iv, data);
    }
}

/// Counter mode, the counter being all 16 bytes, big-endian: version E.
pub(crate) struct Ctr;

impl<C: BlockCipherEncrypt + BlockSizeUser<BlockSize = U16>> Chaining<C> for Ctr {
    fn encrypt(&self, cipher: &C, iv: Block<C>, data: &mut [u8]) {
        let mut counter = u128::from_be_bytes(iv.into());
        for chunk in data.chunks_mut(16) {
            let mut stream = Array::from(counter.to_be_bytes());
            cipher.encrypt_block(&mut stream);
            xor(chunk, &stream);
            zeroize::Zeroize::zeroize(stream.as_mut_slice());
            counter = counter.wrapping_add(1);
        }
    }

    fn decrypt(&self, cipher: &C, iv: Block<C>, data: &mut [u8]) {
        Chaining::<C>::encrypt(self, cipher, iv, data);
    }
}

impl<C, M> Binding for DerivedBinding<C, M>
where
    C: CmacCipher + BlockCipherEncrypt + Clone + Send + Sync,
    M: Chaining<C>,
{
    fn seal(&self, header: &[u8], payload: &mut [u8]) -> Tag {
        let tag = self.tag(header, payload);
        let mac = Tag::new(&tag, tag.len());
        self.mode.encrypt(&self.cipher, tag, payload);
        mac
    }

    fn open(&self, header: &[u8], payload: &mut [u8], mac: &[u8]) -> bool {
        let mut iv = Block::<C>::default();
        if mac.len() != iv.len() {
            return false;
        }
        xor(&mut iv, mac);
        self.mode.decrypt(&self.cipher, iv, payload);
        bool::from(self.tag(header, payload).as_slice().ct_eq(mac))
    }
}

/// Derives a key of `out.len()` bytes by CMAC in counter mode (X9.143 7.2.1.1 table 24 and 7.2.2.1 table 25, ISO 20038
/// 6.3 table 1): counter, usage, separator, algorithm, length in bits.
pub(crate) fn derive<C: CmacCipher + KeyInit>(
    kbpk: &Cmac<C>,
    usage: u8,
    algorithm: u8,
    bits: u16,
    out: &mut [u8],
) where
    Cmac<C>: Clone,
{
    let [bits_high, bits_low] = bits.to_be_bytes();
    for (counter, part) in (1_u8..).zip(out.chunks_mut(C::block_size())) {
        let input = [counter, 0, usage, 0, 0, algorithm, bits_high, bits_low];
        let mut block = kbpk.clone().chain_update(input).finalize().into_bytes();
        for (to, from) in part.iter_mut().zip(&block) {
            *to = *from;
        }
        zeroize::Zeroize::zeroize(block.as_mut_slice());
    }
}

fn cbc_encrypt<C: BlockCipherEncrypt>(cipher: &C, iv: Block<C>, data: &mut [u8]) {
    let (blocks, _) = Block::<C>::slice_as_chunks_mut(data);
    let mut previous = iv;
    for block in blocks {
        xor(block, &previous);
        cipher.encrypt_block(block);
        previous.clone_from(block);
    }
}

fn cbc_decrypt<C: BlockCipherDecrypt>(cipher: &C, iv: Block<C>, data: &mut [u8]) {
    let (blocks, _) = Block::<C>::slice_as_chunks_mut(data);
    let mut previous = iv;
    for block in blocks {
        let ciphertext = block.clone();
        cipher.decrypt_block(block);
        xor(block, &previous);
        previous = ciphertext;
    }
}

fn xor(to: &mut [u8], from: &[u8]) {
    for (to, from) in to.iter_mut().zip(from) {
        *to ^= from;
    }
}
