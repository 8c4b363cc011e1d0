//! Signed packages: CMS SignedData (RFC 5652) in DER with attached content, as 2-wire.md section 6 uses them.
//!
//! Signed attributes are always there: contentType, messageDigest and signingTime. Digests are SHA-256,
//! signatures RSA PKCS #1 v1.5.

mod oids;
mod open;
mod refusal;
mod sign;

pub use open::{CheckedSigner, SignedPackage, open};
pub use refusal::CmsRefusal;
pub use sign::sign;

/// Longest content of a package, in bytes.
pub const MAX_CMS_LEN: usize = 16 * 1024 * 1024;
/// Longest package opened, in bytes: its content, and room for certificates, attributes and signatures.
pub const MAX_PACKAGE_LEN: usize = MAX_CMS_LEN + 256 * 1024;
/// Most signers of one package. This suite wants exactly one ([`SignedPackage::only_signer`]); a later one two.
pub const MAX_SIGNERS: usize = 2;
/// Most certificates in one package: two chains of a leaf, [`crate::MAX_INTERMEDIATES`] and a root.
pub const MAX_CERTIFICATES: usize = 2 * (crate::MAX_INTERMEDIATES + 2);
