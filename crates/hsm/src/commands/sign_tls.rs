use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Signs a TLS handshake with a key made by [`super::MakeTlsKey`]; no other key signs here. Replies with the signature,
/// as long as the modulus.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct SignTls {
    /// The TLS key.
    pub key: KeyBlock,
    /// The acquirer it must belong to.
    pub owner: String,
    /// How to sign.
    pub scheme: TlsScheme,
    /// What the handshake signs, before hashing.
    pub message: Vec<u8>,
}

/// The RSA signatures of TLS that are offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TlsScheme {
    /// RSASSA-PSS with SHA-256: TLS 1.3 and 1.2.
    PssSha256,
    /// RSASSA-PKCS1-v1_5 with SHA-256: TLS 1.2 only.
    Pkcs1Sha256,
}
