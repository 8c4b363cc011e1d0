//! The certificate that terminals encrypt their TK to.

use flows::{
    Tdes,
    collect::{CollectKey, station::Start},
};
use pki::{Certificate, Role};

use crate::{Checks, Error, Server, clock, collect::StationSuite};

/// Longest answer with a certificate and its chain, bytes of PEM.
const MAX_CHAIN: u64 = 256 * 1024;

/// A KMS's (role `.1`) or MTMS's (`.6`) certificate that the station has checked before any terminal sees it, and what else
/// a run of this suite is under.
#[derive(Debug, Clone)]
pub struct WorkCertificate<S: StationSuite = Tdes> {
    leaf: Certificate,
    intermediates: Vec<Certificate>,
    sealed_bytes: usize,
    ceremony: S::Ceremony,
    checks: Checks,
}

/// Suite 01, which has no ceremonies.
impl WorkCertificate {
    /// As [`WorkCertificate::check_under`].
    ///
    /// # Errors
    /// [`Error::WorkCertificate`].
    pub fn check(
        leaf: Certificate,
        chain: &[Certificate],
        checks: &Checks,
    ) -> Result<WorkCertificate, Error> {
        WorkCertificate::check_under((), leaf, chain, checks)
    }

    /// As [`WorkCertificate::from_pem_under`].
    ///
    /// # Errors
    /// [`Error::WorkCertificate`].
    pub fn from_pem(text: &str, checks: &Checks) -> Result<WorkCertificate, Error> {
        WorkCertificate::from_pem_under((), text, checks)
    }

    /// As [`WorkCertificate::fetch_under`].
    ///
    /// # Errors
    /// The server's refusals; [`Error::WorkCertificate`].
    pub fn fetch(server: &Server, chain: &[Certificate], checks: &Checks) -> Result<WorkCertificate, Error> {
        WorkCertificate::fetch_under((), server, chain, checks)
    }

    /// Bytes of its modulus, and so of every Ctk_Pu.
    pub fn modulus_bytes(&self) -> usize {
        self.sealed_bytes
    }
}

impl<S: StationSuite> WorkCertificate<S> {
    /// Checks chain, dates, revocation, role and kind of key, for a run in this ceremony. `chain` stands nearest first;
    /// roots in it are not sent to terminals, which have their own. Device certificates of the run are checked by the same
    /// roots and lists.
    ///
    /// # Errors
    /// [`Error::WorkCertificate`].
    pub fn check_under(
        ceremony: S::Ceremony,
        leaf: Certificate,
        chain: &[Certificate],
        checks: &Checks,
    ) -> Result<WorkCertificate<S>, Error> {
        // A certificate that is not an MTMS's is refused as no KMS's, which names the role that it has.
        let role = leaf.role().filter(|role| *role == Role::Mtms).unwrap_or(Role::KmsWork);
        let verified = checks.verify(&leaf, chain, role, clock::now()).map_err(Error::WorkCertificate)?;
        let sealed_bytes = S::sealed_bytes(&verified).map_err(Error::WorkCertificate)?;
        let intermediates = chain.iter().filter(|link| !checks.trust.contains(link)).cloned().collect();
        Ok(WorkCertificate { leaf, intermediates, sealed_bytes, ceremony, checks: checks.clone() })
    }

    /// As [`WorkCertificate::check_under`], of a PEM text with the certificate first and its chain after it.
    ///
    /// # Errors
    /// [`Error::WorkCertificate`].
    pub fn from_pem_under(
        ceremony: S::Ceremony,
        text: &str,
        checks: &Checks,
    ) -> Result<WorkCertificate<S>, Error> {
        let (leaf, chain) = read(text)?;
        WorkCertificate::check_under(ceremony, leaf, &chain, checks)
    }

    /// Fetches the certificate that the KMS uses now (`GET` of [`StationSuite::WORK_CERTIFICATE`], PEM) and checks it like any other:
    /// that the server gave it proves nothing. `chain` stands nearest first, before what the server sends along.
    ///
    /// # Errors
    /// The server's refusals; [`Error::WorkCertificate`].
    pub fn fetch_under(
        ceremony: S::Ceremony,
        server: &Server,
        chain: &[Certificate],
        checks: &Checks,
    ) -> Result<WorkCertificate<S>, Error> {
        let answer = server.get(S::WORK_CERTIFICATE, MAX_CHAIN)?;
        if answer.status != 200 {
            return Err(answer.refusal());
        }
        let (leaf, sent) = read(&String::from_utf8_lossy(&answer.body))?;
        let mut all = chain.to_vec();
        all.extend(sent.into_iter().filter(|link| !chain.contains(link)));
        WorkCertificate::check_under(ceremony, leaf, &all, checks)
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.leaf
    }

    /// What the run is under beside it.
    pub fn ceremony(&self) -> &S::Ceremony {
        &self.ceremony
    }

    /// By what device certificates are checked.
    pub(crate) fn checks(&self) -> &Checks {
        &self.checks
    }

    /// How a collection under it begins.
    pub(crate) fn start(&self) -> Start<S> {
        Start::of(self.collect_key(), S::nonce(&self.ceremony), self.sealed_bytes)
    }

    /// SHA-256 of its DER, lower-case hex: by which the KMS finds the private key.
    pub fn sha256_hex(&self) -> String {
        self.leaf.sha256_hex()
    }

    fn collect_key(&self) -> CollectKey {
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
