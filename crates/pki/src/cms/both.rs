//! Two people's signatures on one package: who of them is who.

use super::{CheckedSigner, CmsRefusal, SignedPackage};
use crate::chain::Verified;
use crate::refusal::CertificateRefusal;
use crate::role::Role;

/// Why two signatures are not those of the two people wanted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BothRefusal {
    /// Not two signers.
    #[error(transparent)]
    Package(#[from] CmsRefusal),
    /// A signer's certificate is refused: as a chain, or because neither signer has a role that is wanted.
    #[error(transparent)]
    Certificate(#[from] CertificateRefusal),
    /// Both signatures come from one person.
    #[error("both signatures are by {subject}: two people sign, each with a card of their own")]
    OnePerson {
        /// Who signed twice.
        subject: String,
    },
}

/// Finds which of a package's two signers has which of the two roles, and has each one's certificate checked for it; gives
/// them in the order of `roles`. Two people means two keys and two subjects: a second card of the same person is refused.
///
/// `check` decides about one certificate, with the caller's roots and lists:
/// `|signer, role| policy.verify_chain(&signer.certificate, &signer.intermediates, &trust, role, now, &crls)`.
///
/// # Errors
/// [`BothRefusal::Package`] unless exactly two signed; [`BothRefusal::Certificate`] with what `check` says, also about a signer
/// that has neither role; [`BothRefusal::OnePerson`].
pub fn verify_both(
    package: &SignedPackage,
    roles: [Role; 2],
    mut check: impl FnMut(&CheckedSigner, Role) -> Result<Verified, CertificateRefusal>,
) -> Result<[Verified; 2], BothRefusal> {
    let [one, other] = package.signers.as_slice() else {
        return Err(CmsRefusal::SignerCount { found: package.signers.len(), wanted: 2 }.into());
    };
    // Signers are a set, whose order means nothing; a certificate says its own role, which `check` then believes or not.
    let [first_role, _] = roles;
    let in_order = one.certificate.role() == Some(first_role) || other.certificate.role() != Some(first_role);
    let signers = if in_order { [one, other] } else { [other, one] };
    let [first, second] = signers;
    let same_key = first.certificate.spki_der() == second.certificate.spki_der();
    if same_key || first.certificate.subject() == second.certificate.subject() {
        return Err(BothRefusal::OnePerson { subject: first.certificate.subject().to_string() });
    }
    let [first_role, second_role] = roles;
    Ok([check(first, first_role)?, check(second, second_role)?])
}
