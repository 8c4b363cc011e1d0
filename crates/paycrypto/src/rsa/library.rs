//! What aws-lc-rs does not offer: type 1 padding with message recovery, and a look at a key's size and
//! exponent before it is used. The only unsafe code of this crate.
#![allow(
    unsafe_code,
    reason = "no safe API offers RSA type 1 with message recovery; every block says why it holds"
)]

use std::ptr::NonNull;

use aws_lc_sys as sys;

use super::{RsaError, Type1Defect, type1};

/// A parsed RSA key, private or public, owned.
pub(super) struct RsaKey(NonNull<sys::EVP_PKEY>);

// SAFETY: openssl/rsa.h: an RSA "may be used concurrently on multiple threads by non-mutating functions",
// and says of every operation used here that it is non-mutating; so does openssl/evp.h of EVP_PKEY. Nothing
// here changes the key after parsing.
unsafe impl Send for RsaKey {}
// SAFETY: as above.
unsafe impl Sync for RsaKey {}

impl Drop for RsaKey {
    fn drop(&mut self) {
        // SAFETY: the pointer came from a successful parse, is owned here alone and freed once. aws-lc
        // wipes memory that it frees.
        unsafe { sys::EVP_PKEY_free(self.0.as_ptr()) }
    }
}

impl RsaKey {
    /// Parses a whole PKCS #8 private key; the library checks that its parts fit together.
    pub(super) fn from_pkcs8(der: &[u8]) -> Result<Self, RsaError> {
        Self::parse(der, sys::EVP_parse_private_key)
    }

    /// Parses a whole SubjectPublicKeyInfo.
    pub(super) fn from_spki(der: &[u8]) -> Result<Self, RsaError> {
        Self::parse(der, sys::EVP_parse_public_key)
    }

    fn parse(
        der: &[u8],
        parser: unsafe extern "C" fn(*mut sys::CBS) -> *mut sys::EVP_PKEY,
    ) -> Result<Self, RsaError> {
        let mut input = sys::CBS { data: der.as_ptr(), len: der.len() };
        // SAFETY: `input` describes the live slice `der`; both parsers only read within it and move
        // `data` and `len` forward. They give null or a key that the caller owns.
        let parsed = NonNull::new(unsafe { parser(&raw mut input) });
        forget_errors();
        let key = Self(parsed.ok_or(RsaError::Malformed)?);
        // SAFETY: the key is alive.
        let kind = unsafe { sys::EVP_PKEY_id(key.0.as_ptr()) };
        if kind != sys::EVP_PKEY_RSA || input.len != 0 || key.rsa().is_null() {
            return Err(RsaError::Malformed);
        }
        Ok(key)
    }

    /// The RSA key inside, owned by `self`; null only for keys that `parse` refused.
    fn rsa(&self) -> *mut sys::RSA {
        // SAFETY: the key is alive; the call only reads and passes no ownership.
        unsafe { sys::EVP_PKEY_get0_RSA(self.0.as_ptr()) }
    }

    /// Bits of the modulus.
    pub(super) fn bits(&self) -> u32 {
        // SAFETY: `parse` saw that the RSA key is not null.
        unsafe { sys::RSA_bits(self.rsa()) }
    }

    /// Bytes of the modulus.
    pub(super) fn size(&self) -> usize {
        // SAFETY: `parse` saw that the RSA key is not null.
        (unsafe { sys::RSA_size(self.rsa()) }) as usize
    }

    /// The public exponent, if there is one and it fits 64 bits.
    pub(super) fn exponent(&self) -> Option<u64> {
        let mut exponent = 0;
        // SAFETY: `parse` saw that the RSA key is not null. Its exponent is null or lives as long as the
        // key; null is caught before it is read, and `exponent` is a live u64.
        let fits = unsafe {
            let e = sys::RSA_get0_e(self.rsa());
            !e.is_null() && sys::BN_get_u64(e, &raw mut exponent) == 1
        };
        fits.then_some(exponent)
    }

    /// The private operation over `00 01 FF… 00 message`, blinded, its result checked by the library.
    pub(super) fn type1_sign(&self, message: &[u8]) -> Result<Vec<u8>, RsaError> {
        if message.len() + 11 > self.size() {
            return Err(RsaError::Type1TooLong { len: message.len() });
        }
        self.operate(message, sys::RSA_sign_raw, sys::RSA_PKCS1_PADDING).ok_or(RsaError::Sign)
    }

    /// The public operation, then the strict removal of the padding.
    pub(super) fn type1_recover(&self, signature: &[u8]) -> Result<Vec<u8>, Type1Defect> {
        let expected = self.size();
        if signature.len() != expected {
            return Err(Type1Defect::Length { expected, found: signature.len() });
        }
        let block =
            self.operate(signature, sys::RSA_verify_raw, sys::RSA_NO_PADDING).ok_or(Type1Defect::Range)?;
        type1::unpad(&block).map(<[u8]>::to_vec)
    }

    /// Runs one of the two raw operations; both have the same form.
    fn operate(&self, input: &[u8], operation: Operation, padding: i32) -> Option<Vec<u8>> {
        let mut out = vec![0; self.size()];
        let mut len = 0;
        // SAFETY: the RSA key is alive and not null; `out` is writable for the length given with it,
        // `input` readable for its own; the operations write `len` and at most that many bytes of `out`.
        let done = unsafe {
            operation(
                self.rsa(),
                &raw mut len,
                out.as_mut_ptr(),
                out.len(),
                input.as_ptr(),
                input.len(),
                padding,
            )
        };
        forget_errors();
        (done == 1 && len == out.len()).then_some(out)
    }
}

/// `RSA_sign_raw` and `RSA_verify_raw`.
type Operation =
    unsafe extern "C" fn(*mut sys::RSA, *mut usize, *mut u8, usize, *const u8, usize, i32) -> i32;

/// Empties aws-lc's error queue of this thread, so that no later call of another library reads our reasons.
fn forget_errors() {
    // SAFETY: takes nothing and touches this thread's queue only.
    unsafe { sys::ERR_clear_error() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: usize = 256;

    fn key() -> RsaKey {
        RsaKey::from_pkcs8(include_bytes!("../../tests/vectors/rsa_test_key.p8")).unwrap()
    }

    /// What a holder of the private key who pads as he likes can make.
    fn sign_block(block: &[u8]) -> Vec<u8> {
        key().operate(block, sys::RSA_sign_raw, sys::RSA_NO_PADDING).unwrap()
    }

    /// `start ‖ FF × padding ‖ separator ‖ message`, filled up to the modulus with the message's last byte.
    fn block(start: &[u8], padding: usize, separator: &[u8]) -> Vec<u8> {
        let mut block = [start, &vec![0xFF; padding], separator].concat();
        block.resize(SIZE, 0x4D);
        block
    }

    #[test]
    fn badly_padded_blocks_of_the_true_signer_are_refused_by_name() {
        use Type1Defect as D;
        for (block, wanted) in [
            (block(&[0, 1], 8, &[0]), Ok(vec![0x4D; SIZE - 11])),
            (block(&[0, 1], 7, &[0]), Err(D::ShortPadding)),
            (block(&[0, 1], 0, &[0]), Err(D::ShortPadding)),
            (block(&[0, 2], 8, &[0]), Err(D::BlockType)),
            (block(&[0, 0], 8, &[0]), Err(D::BlockType)),
            (block(&[1, 1], 8, &[0]), Err(D::BlockType)),
            (block(&[0, 1], SIZE - 2, &[]), Err(D::Separator)),
            (block(&[0, 1], 8, &[0xFE, 0xFF, 0]), Err(D::Separator)),
            (block(&[0, 1], SIZE - 3, &[0]), Ok(vec![])),
        ] {
            assert_eq!(key().type1_recover(&sign_block(&block)), wanted);
        }
    }

    #[test]
    fn trailing_bytes_are_part_of_the_message_and_nothing_is_cut() {
        let mut bytes = block(&[0, 1], 200, &[0]);
        bytes.truncate(SIZE - 20);
        bytes.resize(SIZE, 0);
        let message = key().type1_recover(&sign_block(&bytes)).unwrap();
        assert_eq!(message.len(), SIZE - 203);
        assert!(message.ends_with(&[0; 20]), "a parser that minds its last byte sees these");
    }

    #[test]
    fn size_and_exponent_are_told() {
        let key = key();
        assert_eq!((key.bits(), key.size(), key.exponent()), (2048, SIZE, Some(65_537)));
    }

    #[test]
    fn refused_operations_leave_no_error_behind() {
        assert!(key().type1_recover(&[0xFF; SIZE]).is_err());
        // SAFETY: takes nothing and only reads this thread's queue.
        assert_eq!(unsafe { sys::ERR_peek_error() }, 0);
    }
}
