use serde::{Deserialize, Serialize};

/// Makes the remote key server's RSA key pair, `RKS_WCRT_PK` and its private part (1-systems.md C). Replies with a
/// [`super::WorkKey`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeRksKey {
    /// Modulus in bits: 2 048, 3 072 or 4 096.
    pub bits: u32,
    /// The common name to ask a certificate for.
    pub subject: String,
    /// The acquirer the key belongs to.
    pub owner: String,
}
