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

// SAFETY: aws-lc's EVP_PKEY and RSA may be used from several threads at once as long as none changes the
// key (openssl/rsa.h, "Thread safety"); nothing here changes it after parsing, and the blinding cache and
// Montgomery values inside have locks of their own.
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
