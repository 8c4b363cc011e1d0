//! The key of a checked certificate of suite 02 that signs for a server or a KLD.

use paycrypto::digest::sha256;
use pki::{CertificateRefusal, P256PublicKey, Role, Verified};

/// The signing key of a certificate that was checked for a role that loads keys. Only that check makes one.
#[derive(Debug, Clone)]
pub struct CheckedSigner {
    role: Role,
    root: [u8; 32],
    key: P256PublicKey,
}

impl CheckedSigner {
    /// The key of a checked certificate.
    ///
    /// # Errors
    /// When its key is none that signs.
    pub(crate) fn of(verified: &Verified) -> Result<CheckedSigner, CertificateRefusal> {
        let key = verified.signing_key()?;
        Ok(CheckedSigner { role: verified.role(), root: sha256(verified.root().der()), key })
    }

    /// The role that it was checked for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// SHA-256 of the root that its chain leads to: the owner of what it loads.
    #[must_use]
    pub fn root(&self) -> [u8; 32] {
        self.root
    }

    /// Whether this is its signature (r ‖ s) over the transcript with this digest.
    #[must_use]
    pub fn signed(&self, th: &[u8; 32], signature: &[u8]) -> bool {
        self.key.verifies_digest(th, signature)
    }
}
