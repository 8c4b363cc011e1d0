use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Checks that a work key is the private half of a certificate's public key, before the two are installed together:
/// terminals give their transport key to one certificate only, and it would open nowhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckWorkKey {
    /// Pr.
    pub work_key: KeyBlock,
    /// Pu, `SubjectPublicKeyInfo` in DER.
    pub public: Vec<u8>,
    /// The acquirer.
    pub owner: String,
}
