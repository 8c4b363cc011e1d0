//! What this flow wants of a PIN pad.

use alloc::{string::String, vec::Vec};

use crate::PadRefusal;

/// A PIN pad that has, or can make, a device key.
pub trait DevicePad {
    /// A request for the device key's certificate: PKCS #10 (RFC 2986), DER, signed by that key, its subject with the PIN
    /// pad's serial as serialNumber. The key is made at production, or now where there is none yet, and is on disk before
    /// this returns; asked again, the same key's.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] outside production and repair.
    fn device_request(&mut self) -> Result<Vec<u8>, PadRefusal>;

    /// Installs the certificate of that key, X.509 DER, the intermediates nearest to it first. It is on disk when this
    /// returns, and replaces one that was there. Its role was checked by the terminal, and its chain where the terminal has
    /// a root for it; that key and serial are its own, the PIN pad checks itself.
    ///
    /// # Errors
    /// [`InstallRefusal`]; [`PadRefusal::NotPermitted`] outside production and repair.
    fn install_device_certificate(
        &mut self,
        leaf: &[u8],
        intermediates: &[Vec<u8>],
    ) -> Result<(), InstallRefusal>;
}

/// Why a PIN pad does not install a certificate.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InstallRefusal {
    /// It is not a certificate of this PIN pad's device key, with its serial: 000D.
    #[error("certificate refused: {why}")]
    Certificate {
        /// What is wrong with it.
        why: String,
    },
    /// The PIN pad does not take the step.
    #[error(transparent)]
    Pad(#[from] PadRefusal),
}
