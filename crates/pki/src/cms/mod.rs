//! Signed packages: CMS SignedData (RFC 5652) in DER with attached content, as 2-wire.md section 6 uses them.
//!
//! Signed attributes are always there: contentType, messageDigest and signingTime. Digests are SHA-256, signatures RSA
//! PKCS #1 v1.5 or ECDSA on P-256 (RFC 5754 section 3), as the signer's key is.
//!
//! One person signs a package ([`sign`], [`SignedPackage::only_signer`]), or two people sign the same content, each with a
//! SignerInfo ([`sign_by_both`], [`verify_both`]).

mod both;
mod oids;
mod open;
mod refusal;
mod sign;
mod signer_info;

pub use both::{BothRefusal, verify_both};
pub use open::{CheckedSigner, SignedPackage, open};
pub use refusal::CmsRefusal;
pub use sign::{Signatory, sign, sign_by_both};

/// Longest content of a package, in bytes.
pub const MAX_CMS_LEN: usize = 16 * 1024 * 1024;
/// Longest package opened, in bytes: its content, and room for certificates, attributes and signatures.
pub const MAX_PACKAGE_LEN: usize = MAX_CMS_LEN + 256 * 1024;
/// Most signers of one package: the two people of dual control.
pub const MAX_SIGNERS: usize = 2;
/// Most certificates in one package: two chains of a leaf, [`crate::MAX_INTERMEDIATES`] and a root.
pub const MAX_CERTIFICATES: usize = 2 * (crate::MAX_INTERMEDIATES + 2);
