//! Parity and weakness of DES keys.

use paycrypto::hygiene::{KeyQuality, set_odd_parity};
use zeroize::Zeroizing;

use crate::keys::Clear;
use crate::{Error, Remarks, to_hex};

/// What is to be said of a DES or TDES key, and the same key with odd parity.
#[derive(Debug)]
pub struct Parity {
    /// All of it.
    pub quality: KeyQuality,
    with_odd_parity: Clear,
    remarks: Remarks,
}

/// Looks at a DES key of 8, 16 or 24 bytes.
///
/// # Errors
/// [`Error::ParityLength`] for another length.
pub fn parity(key: &[u8]) -> Result<Parity, Error> {
    if !matches!(key.len(), 8 | 16 | 24) {
        return Err(Error::ParityLength { found: key.len() });
    }
    let remarks = Remarks::of_des(key);
    let quality = remarks.quality().ok_or(Error::Internal)?;
    let mut with_odd_parity = Zeroizing::new(key.to_vec());
    set_odd_parity(&mut with_odd_parity);
    Ok(Parity { quality, with_odd_parity: Clear::new(with_odd_parity), remarks })
}

impl Parity {
    /// The key with odd parity.
    #[must_use]
    pub fn with_odd_parity(&self) -> &[u8] {
        self.with_odd_parity.expose()
    }

    /// Whether a strict receiver would refuse the key.
    #[must_use]
    pub fn is_weak(&self) -> bool {
        self.remarks.is_weak()
    }

    /// As a person reads it; wiped when dropped.
    #[must_use]
    pub fn text(&self) -> Zeroizing<String> {
        let key = to_hex(self.with_odd_parity());
        let front = if self.quality.odd_parity { "odd parity" } else { "with odd parity: " };
        let rest = self.remarks.to_string();
        let mut text = Zeroizing::new(String::with_capacity(front.len() + key.len() + rest.len()));
        text.push_str(front);
        if !self.quality.odd_parity {
            text.push_str(&key);
        }
        text.push_str(&rest);
        text
    }
}
