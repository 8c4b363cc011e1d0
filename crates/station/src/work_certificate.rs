//! The certificate that terminals encrypt their TK to.

use flows::collect::CollectKey;
use pki::{Certificate, CertificateRefusal, PublicKey, Role};

use crate::{Checks, Error, Server, clock};

const WORK_CERTIFICATE: &str = "/v1/work-certificate";
/// Longest answer with a certificate and its chain, bytes of PEM.
const MAX_CHAIN: u64 = 256 * 1024;

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

    /// As [`WorkCertificate::check`], of a PEM text with the certificate first and its chain after it.
    ///
    /// # Errors
    /// [`Error::WorkCertificate`].
    pub fn from_pem(text: &str, checks: &Checks) -> Result<WorkCertificate, Error> {
        let (leaf, chain) = read(text)?;
        WorkCertificate::check(leaf, &chain, checks)
    }

    /// Fetches the certificate that the KMS uses now (`GET /v1/work-certificate`, PEM) and checks it like any other:
    /// that the server gave it proves nothing. `chain` stands nearest first, before what the server sends along.
    ///
    /// # Errors
    /// The server's refusals; [`Error::WorkCertificate`].
    pub fn fetch(server: &Server, chain: &[Certificate], checks: &Checks) -> Result<WorkCertificate, Error> {
        let answer = server.get(WORK_CERTIFICATE, MAX_CHAIN)?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let (leaf, sent) = read(&String::from_utf8_lossy(&answer.body))?;
        let mut all = chain.to_vec();
        all.extend(sent.into_iter().filter(|link| !chain.contains(link)));
        WorkCertificate::check(leaf, &all, checks)
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

/// The first certificate of a PEM text, and those after it.
fn read(text: &str) -> Result<(Certificate, Vec<Certificate>), Error> {
    let refuse = |error: pki::Error| Error::WorkCertificate(error.into());
    let mut certificates = Certificate::all_from_pem(text).map_err(refuse)?.into_iter();
    let none = || pki::Error::Malformed {
        what: "the work certificate",
        why: "the text holds no CERTIFICATE block".to_owned(),
    };
    let leaf = certificates.next().ok_or_else(|| refuse(none()))?;
    Ok((leaf, certificates.collect()))
}
