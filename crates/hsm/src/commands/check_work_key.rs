use serde::{Deserialize, Serialize};

use super::EcKeyKind;
use crate::KeyBlock;

/// Checks that a work key is the private half of a certificate's public key, before the two are installed together:
/// terminals give their transport key, or their factor, to one certificate only, and it would open nowhere.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckWorkKey {
    /// Pr.
    pub work_key: KeyBlock,
    /// Pu, `SubjectPublicKeyInfo` in DER.
    pub public: Vec<u8>,
    /// The acquirer.
    pub owner: String,
    /// Whose it is to be: one for collected transport keys opens no factors, nor the other way round.
    pub of: WorkKeyOf,
}

/// Whose work key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum WorkKeyOf {
    /// The KMS's: [`super::MakeWorkKey`].
    Kms,
    /// The remote key server's: [`super::MakeRksKey`].
    Rks,
    /// One of suite 02: [`super::MakeEcKey`].
    Ec(EcKeyKind),
}
