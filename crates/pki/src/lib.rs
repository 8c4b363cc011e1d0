//! Certificates by role: issuing requests, chain and revocation checks, CMS; public keys only.
//!
//! No private key ever enters this crate. Whoever holds one (a card, a key file, an HSM) implements
//! [`Signer`]; everything here builds what is to be signed, and checks what others have signed.
//!
//! The profile is that of `docs/spec/2-wire.md` section 5: X.509 v3, RSA of 2 048 to 4 096 bits with
//! SHA-256, and one critical extended key usage that says the one [`Role`] of a certificate. In suite 02
//! (`docs/spec/3-hardened.md`) ECDSA P-256 with SHA-256 takes the place of RSA, from the root down: a chain is of one
//! [`KeyFamily`], and a P-256 key is for signatures or for key agreement, never for both.
//!
//! * [`Certificate`], [`TrustList`], [`CrlSet`] and [`verify_chain`] answer "may this key play this role?";
//!   the answer is a [`Verified`] token or a [`CertificateRefusal`] with the exact reason.
//! * [`issue`] and [`csr`] make certificates, revocation lists and certification requests.
//! * [`cms`] signs and opens packages (`docs/spec/2-wire.md` section 6).

mod certificate;
mod chain;
mod crl;
mod error;
mod extensions;
mod key;
mod name;
mod p256;
mod pem;
mod refusal;
mod role;
mod signed;
mod time;
mod tlv;
mod trust;

pub mod cms;
pub mod csr;
pub mod issue;

#[cfg(test)]
mod tests;

pub use certificate::{Certificate, MAX_CERTIFICATE_LEN};
pub use chain::{CrlPolicy, MAX_INTERMEDIATES, Policy, Verified, verify_chain};
pub use crl::{Crl, CrlSet, MAX_CRL_LEN, Revocation, RevocationReason};
pub use error::{Error, SignError};
pub use key::{
    KeyDefect, KeyFamily, MAX_RSA_BITS, MIN_RSA_BITS, MIN_RSA_EXPONENT, PublicKey, Scheme, Signer,
    verify_signature,
};
pub use name::Name;
pub use p256::{P256_POINT_LEN, P256_SIGNATURE_LEN, P256PublicKey};
pub use refusal::CertificateRefusal;
pub use role::{ARC, ARC_IS_EXAMPLE, Role, TRIAL_MARK};
pub use trust::TrustList;
