use serde::{Deserialize, Serialize};

/// Makes a P-256 key pair of suite 02 for one use (3-hardened.md, "Primitives": keys for signing and for key agreement
/// are different keys). Replies with a [`super::WorkKey`]; its request is signed here, in the moment of making.
///
/// A key for key agreement signs nothing afterwards; a signing key signs the transcripts of its own flow alone, which
/// the HSM composes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MakeEcKey {
    /// What it is for.
    pub kind: EcKeyKind,
    /// The common name to ask a certificate for.
    pub subject: String,
    /// The acquirer the key belongs to.
    pub owner: String,
}

/// The one use of a key pair of suite 02.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EcKeyKind {
    /// The KMS's: opens collected transport keys ([`super::OpenCollectedEc`]).
    KmsAgreement,
    /// The remote key server's: signs RKS_CERT ([`super::BeginRks`]).
    RksSigning,
    /// A KLD's: signs KLD_KEY ([`super::LoadTerminalEc`]). Made by a KLD's HSM only.
    KldSigning,
}
