use serde::{Deserialize, Serialize};

/// Makes the RSA key pair of a server's TLS certificate, so that this private key too has its home in the HSM.
/// Replies with a [`super::WorkKey`]; its request asks for a certificate with this subject.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeTlsKey {
    /// Modulus in bits: 2 048, 3 072 or 4 096.
    pub bits: u32,
    /// The common name to ask a certificate for.
    pub subject: String,
    /// The acquirer the key belongs to.
    pub owner: String,
}
