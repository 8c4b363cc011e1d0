use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Makes the KMS's RSA key pair Pu/Pr (1-systems.md A, step 1).
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeWorkKey {
    /// Modulus in bits: 2 048, 3 072 or 4 096.
    pub bits: u32,
    /// The common name to ask a certificate for.
    pub subject: String,
    /// The acquirer the key belongs to.
    pub owner: String,
}

/// A new work key.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct WorkKey {
    /// Pr: may open collected transport keys, nothing else.
    pub private: KeyBlock,
    /// Pu, `SubjectPublicKeyInfo` in DER.
    pub public: Vec<u8>,
    /// PKCS #10 request in DER. Signed here, in the moment of making: afterwards Pr signs nothing.
    pub request: Vec<u8>,
}
