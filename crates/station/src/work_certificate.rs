//! The certificate that terminals encrypt their TK to.

use flows::collect::CollectKey;
use pki::{Certificate, CertificateRefusal, PublicKey, Role};

use crate::{Checks, Error, clock};

/// A KMS's (role `.1`) or MTMS's (`.6`) certificate that the station has checked before any terminal sees it.
#[derive(Debug, Clone)]
pub struct WorkCertificate {
    leaf: Certificate,
    intermediates: Vec<Certificate>,
    modulus_bytes: usize,
}

impl WorkCertificate {
    /// Checks chain, dates, revocation and role. `chain` stands nearest first; roots in it are not sent to terminals,
    /// which have their own.
    ///
    /// # Errors
    /// [`Error::WorkCertificate`].
    pub fn check(
        leaf: Certificate,
        chain: &[Certificate],
        checks: &Checks,
    ) -> Result<WorkCertificate, Error> {
        // A certificate that is not an MTMS's is refused as no KMS's, which names the role that it has.
        let role = leaf.role().filter(|role| *role == Role::Mtms).unwrap_or(Role::KmsWork);
        checks.verify(&leaf, chain, role, clock::now()).map_err(Error::WorkCertificate)?;
        let key = PublicKey::from_spki(leaf.spki_der()).map_err(|defect| {
            let subject = leaf.subject().to_string();
            Error::WorkCertificate(CertificateRefusal::WeakKey { subject, defect })
        })?;
        let intermediates = chain.iter().filter(|link| !checks.trust.contains(link)).cloned().collect();
        Ok(WorkCertificate { leaf, intermediates, modulus_bytes: key.bits().div_ceil(8) })
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.leaf
    }

    /// Bytes of its modulus, and so of every Ctk_Pu.
    pub fn modulus_bytes(&self) -> usize {
        self.modulus_bytes
    }

    /// SHA-256 of its DER, lower-case hex: by which the KMS finds the private key.
    pub fn sha256_hex(&self) -> String {
        self.leaf.sha256_hex()
    }

    pub(crate) fn collect_key(&self) -> CollectKey {
        CollectKey::Certificate {
            leaf: self.leaf.der().to_vec(),
            intermediates: self.intermediates.iter().map(|link| link.der().to_vec()).collect(),
        }
    }
}
