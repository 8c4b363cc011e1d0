//! May this key play this role? The chain from a leaf to a trusted root, every certificate of it checked
//! (2-wire.md section 5; RFC 5280 section 6, without policies and name constraints, which are refused where
//! critical).

use der::flagset::FlagSet;
use x509_cert::ext::pkix::KeyUsages;

use crate::certificate::Certificate;
use crate::crl::CrlSet;
use crate::error::Error;
use crate::key::{KeyDefect, KeyFamily};
use crate::refusal::CertificateRefusal;
use crate::role::Role;
use crate::trust::TrustList;

/// Most intermediates between a leaf and its root.
pub const MAX_INTERMEDIATES: usize = 4;

/// What to do about an issuer whose revocation list is not at hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum CrlPolicy {
    /// Go on without: the checker cannot reach lists (2-wire.md section 5). A list that *is* at hand must
    /// still be good.
    #[default]
    Tolerated,
    /// Refuse with [`CertificateRefusal::CrlMissing`].
    Required,
}

/// How strict a check is where the specification leaves a choice.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// What a missing revocation list means.
    pub missing_crl: CrlPolicy,
    /// Most intermediates accepted, at most [`MAX_INTERMEDIATES`].
    pub max_intermediates: usize,
    /// What the chain is made of: RSA in suite 01, P-256 in suite 02. A role that suite 02 alone has is P-256 whatever
    /// stands here.
    pub family: KeyFamily,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            missing_crl: CrlPolicy::Tolerated,
            max_intermediates: MAX_INTERMEDIATES,
            family: KeyFamily::default(),
        }
    }
}

/// A certificate that was checked for a role. Only [`verify_chain`] makes one.
#[derive(Debug, Clone)]
pub struct Verified {
    certificate: Certificate,
    root: Certificate,
    role: Role,
}

impl Verified {
    /// The leaf.
    #[must_use]
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// The root that it leads to.
    #[must_use]
    pub fn root(&self) -> &Certificate {
        &self.root
    }

    /// The role that it was checked for.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }
}

/// Checks that `leaf` has `role` under a trusted root at the unix time `at`, with the default [`Policy`].
///
/// `intermediates` stand nearest to the leaf first; the root may stand at their end. A `CrlSet` without a list
/// of some issuer is accepted; see [`Policy::verify_chain`] to demand one.
///
/// # Errors
/// The first reason found, from the root down to the leaf.
pub fn verify_chain(
    leaf: &Certificate,
    intermediates: &[Certificate],
    trust: &TrustList,
    role: Role,
    at: i64,
    crls: &CrlSet,
) -> Result<Verified, CertificateRefusal> {
    Policy::default().verify_chain(leaf, intermediates, trust, role, at, crls)
}

impl Policy {
    /// As [`verify_chain`], under this policy.
    ///
    /// # Errors
    /// As [`verify_chain`]; [`CertificateRefusal::CrlMissing`] where a list is required.
    pub fn verify_chain(
        &self,
        leaf: &Certificate,
        intermediates: &[Certificate],
        trust: &TrustList,
        role: Role,
        at: i64,
        crls: &CrlSet,
    ) -> Result<Verified, CertificateRefusal> {
        let intermediates = without_root(intermediates, trust);
        let max = self.max_intermediates.min(MAX_INTERMEDIATES);
        if intermediates.len() > max {
            return Err(CertificateRefusal::ChainTooLong { found: intermediates.len(), max });
        }
        let path: Vec<&Certificate> = std::iter::once(leaf).chain(intermediates).collect();
        check_names(&path)?;
        let root = find_root(path.last().copied().unwrap_or(leaf), trust)?;

        let family = role.family_or(self.family);
        // From the root down, so that nothing is believed before the key that signed it is.
        check_certificate(root, root, at, family)?;
        check_ca(root, intermediates.len())?;
        let mut issuer = root;
        for (below, certificate) in path.iter().enumerate().rev() {
            check_certificate(certificate, issuer, at, family)?;
            if below > 0 {
                // `below` counts the leaf too: the CAs that follow are one fewer.
                check_ca(certificate, below - 1)?;
            }
            self.check_revocation(certificate, issuer, crls, at)?;
            issuer = certificate;
        }
        check_leaf(leaf, role, family)?;
        if !trust.allows(root, role) {
            return Err(CertificateRefusal::RoleNotAllowedForRoot { root: text(root), role });
        }
        Ok(Verified { certificate: leaf.clone(), root: root.clone(), role })
    }

    fn check_revocation(
        &self,
        certificate: &Certificate,
        issuer: &Certificate,
        crls: &CrlSet,
        at: i64,
    ) -> Result<(), CertificateRefusal> {
        match crls.consult(issuer)? {
            None if self.missing_crl == CrlPolicy::Required => {
                Err(CertificateRefusal::CrlMissing { issuer: text(issuer) })
            }
            None => Ok(()),
            Some(crl) => {
                // A revocation counts even on a list that is out of date.
                if let Some(revocation) = crl.revocation(certificate.serial()) {
                    return Err(CertificateRefusal::Revoked {
                        subject: text(certificate),
                        when: revocation.when,
                    });
                }
                if at < crl.this_update() {
                    return Err(CertificateRefusal::CrlNotYetValid {
                        issuer: text(issuer),
                        since: crl.this_update(),
                    });
                }
                if at > crl.next_update() {
                    return Err(CertificateRefusal::CrlExpired {
                        issuer: text(issuer),
                        since: crl.next_update(),
                    });
                }
                Ok(())
            }
        }
    }
}

/// A chain may be sent with its root at the end.
fn without_root<'a>(intermediates: &'a [Certificate], trust: &TrustList) -> &'a [Certificate] {
    match intermediates {
        [rest @ .., last] if trust.contains(last) => rest,
        all => all,
    }
}

fn check_names(path: &[&Certificate]) -> Result<(), CertificateRefusal> {
    for (certificate, next) in path.iter().zip(path.iter().skip(1)) {
        if !certificate.names_issuer(next) {
            return Err(CertificateRefusal::NameChaining {
                subject: text(certificate),
                issuer: certificate.issuer().to_string(),
                next: text(next),
            });
        }
    }
    Ok(())
}

/// The trusted root that issued `last`. Roots may share a name: the one whose key verifies is meant.
fn find_root<'a>(last: &Certificate, trust: &'a TrustList) -> Result<&'a Certificate, CertificateRefusal> {
    let unknown =
        || CertificateRefusal::UnknownRoot { subject: text(last), issuer: last.issuer().to_string() };
    // A root that was sent along must be the trusted one byte for byte, not just of its name and key.
    if last.issuer() == last.subject() && !trust.contains(last) {
        return Err(unknown());
    }
    let mut named = None;
    for root in trust.roots().filter(|root| last.names_issuer(root)) {
        if last.signed().verify("the certificate", root.spki_der()).is_ok() {
            return Ok(root);
        }
        named = named.or(Some(root));
    }
    // With none that verifies, the first of that name tells the reason: its own weak key, or the signature.
    named.ok_or_else(unknown)
}

/// What holds for every certificate: algorithm, signature, key, dates, critical extensions.
fn check_certificate(
    certificate: &Certificate,
    issuer: &Certificate,
    at: i64,
    family: KeyFamily,
) -> Result<(), CertificateRefusal> {
    let subject = || text(certificate);
    let same = certificate == issuer;
    let weak = |defect| CertificateRefusal::WeakKey { subject: subject(), defect };
    if same {
        // A root's key is judged before its own signature is.
        family.check(certificate.spki_der()).map_err(weak)?;
    }
    if certificate.signed().family() != Some(family) {
        return Err(CertificateRefusal::Algorithm { subject: subject() });
    }
    certificate.signed().verify("the certificate", issuer.spki_der()).map_err(|error| match error {
        Error::Algorithm { .. } => CertificateRefusal::Algorithm { subject: subject() },
        _ => CertificateRefusal::BadSignature { subject: subject() },
    })?;
    if !same {
        family.check(certificate.spki_der()).map_err(weak)?;
    }
    if at < certificate.not_before() {
        return Err(CertificateRefusal::NotYetValid { subject: subject(), since: certificate.not_before() });
    }
    if at > certificate.not_after() {
        return Err(CertificateRefusal::Expired { subject: subject(), since: certificate.not_after() });
    }
    if let Some(oid) = certificate.extensions().unknown_critical.first() {
        return Err(CertificateRefusal::UnknownCriticalExtension { subject: subject(), oid: *oid });
    }
    Ok(())
}

/// What holds for a root or intermediate with this many CAs below it.
fn check_ca(certificate: &Certificate, cas_below: usize) -> Result<(), CertificateRefusal> {
    let subject = text(certificate);
    let extensions = certificate.extensions();
    let Some(constraints) = extensions.basic_constraints.as_ref() else {
        return Err(CertificateRefusal::NotACa { subject });
    };
    if !constraints.value.ca {
        return Err(CertificateRefusal::NotACa { subject });
    }
    if !constraints.critical {
        return Err(CertificateRefusal::BasicConstraints { subject });
    }
    if let Some(allowed) = constraints.value.path_len_constraint
        && cas_below > usize::from(allowed)
    {
        return Err(CertificateRefusal::PathLength { subject, allowed, found: cas_below });
    }
    let ca_usage: FlagSet<KeyUsages> = KeyUsages::KeyCertSign | KeyUsages::CRLSign;
    match &extensions.key_usage {
        Some(usage) if usage.critical && usage.value.contains(ca_usage) => {}
        _ => return Err(CertificateRefusal::KeyUsage { subject }),
    }
    if extensions.extended_key_usage.is_some() {
        return Err(CertificateRefusal::EkuInCa { subject });
    }
    Ok(())
}

/// What holds for a leaf of this role.
fn check_leaf(leaf: &Certificate, role: Role, family: KeyFamily) -> Result<(), CertificateRefusal> {
    let subject = text(leaf);
    let extensions = leaf.extensions();
    match &extensions.basic_constraints {
        Some(constraints)
            if constraints.critical
                && !constraints.value.ca
                && constraints.value.path_len_constraint.is_none() => {}
        _ => return Err(CertificateRefusal::BasicConstraints { subject }),
    }
    let Some(usages) = &extensions.extended_key_usage else {
        return Err(CertificateRefusal::NoRole { subject });
    };
    let found = match usages.value.as_slice() {
        [] => return Err(CertificateRefusal::NoRole { subject }),
        [one] => one,
        several => return Err(CertificateRefusal::SeveralRoles { subject, count: several.len() }),
    };
    let Some(found) = Role::from_oid(found) else { return Err(CertificateRefusal::NoRole { subject }) };
    if !usages.critical {
        return Err(CertificateRefusal::EkuNotCritical { subject });
    }
    if found != role {
        return Err(CertificateRefusal::WrongRole { subject, wanted: role, found });
    }
    if role == Role::Device && leaf.subject().serial_number().is_none() {
        return Err(CertificateRefusal::SerialNumber { subject });
    }
    let allowed = role.key_usages(family);
    if allowed.is_empty() {
        // Only the RKS's work key, which suite 02 has no use for.
        return Err(CertificateRefusal::WeakKey { subject, defect: KeyDefect::NotRsa });
    }
    match &extensions.key_usage {
        Some(usage) if usage.critical && allowed.contains(&usage.value) => Ok(()),
        _ => Err(CertificateRefusal::KeyUsage { subject }),
    }
}

fn text(certificate: &Certificate) -> String {
    certificate.subject().to_string()
}
