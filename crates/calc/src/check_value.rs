//! Key check values.

use core::fmt;

use crate::keys::{DesFamily, aes_key};
use crate::{Algorithm, Error, Remarks, to_hex};

/// A check value and what is to be said of its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckValue {
    /// 3 bytes for TDES and the older AES way, 5 for AES.
    pub value: Vec<u8>,
    /// What is to be said of the key.
    pub remarks: Remarks,
}

/// The check value of a key. TDES: the first 3 bytes of a zero block encrypted; AES: the first 5 bytes of CMAC over a
/// zero block (X9.24-1 annex A); the older AES way: the first 3 bytes of a zero block encrypted.
///
/// # Errors
/// [`Error::Key`] for a length that the algorithm does not have.
pub fn kcv(algorithm: Algorithm, key: &[u8]) -> Result<CheckValue, Error> {
    let (value, remarks) = match algorithm {
        Algorithm::Tdes => (DesFamily::from_bytes(key)?.kcv().to_vec(), Remarks::of_des(key)),
        Algorithm::Aes => (aes_key(key)?.kcv().to_vec(), Remarks::NONE),
        Algorithm::AesLegacy => (aes_key(key)?.kcv_legacy().to_vec(), Remarks::NONE),
    };
    Ok(CheckValue { value, remarks })
}

impl fmt::Display for CheckValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", *to_hex(&self.value), self.remarks)
    }
}
