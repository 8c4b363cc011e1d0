//! Certificate epochs: once a terminal has accepted a certificate, it believes no older one of the same subject, role and
//! issuer any more. Who stole the key of a certificate that was renewed cannot go back to it.

use std::collections::BTreeMap;

use paycrypto::digest::sha256;
use pki::{CertificateRefusal, Verified};
use serde::{Deserialize, Serialize};

/// Most that are remembered. An acquirer has a few servers and key loading devices; past this none is added, and those that
/// are here still only rise.
const MAX: usize = 1024;

/// When the newest accepted certificate of each began (notBefore, unix seconds).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Epochs(BTreeMap<String, i64>);

impl Epochs {
    /// Refuses a certificate that is older than one that was accepted.
    pub(crate) fn check(&self, verified: &Verified) -> Result<(), CertificateRefusal> {
        let certificate = verified.certificate();
        match self.0.get(&name(verified)) {
            Some(newest) if certificate.not_before() < *newest => {
                Err(CertificateRefusal::Superseded { subject: certificate.subject().to_string() })
            }
            _ => Ok(()),
        }
    }

    /// Remembers a certificate that is accepted. Says whether that changes anything.
    pub(crate) fn raise(&mut self, verified: &Verified) -> bool {
        let (name, begun) = (name(verified), verified.certificate().not_before());
        let rises = match self.0.get(&name) {
            Some(newest) => *newest < begun,
            None => self.0.len() < MAX,
        };
        if rises {
            self.0.insert(name, begun);
        }
        rises
    }
}

/// Stands for subject, role and issuer; of one length, whatever the names.
fn name(verified: &Verified) -> String {
    let certificate = verified.certificate();
    let (subject, issuer) = (certificate.subject().der(), certificate.issuer().der());
    let mut text = vec![verified.role().number()];
    for part in [subject, issuer] {
        text.extend((part.len() as u64).to_be_bytes());
        text.extend_from_slice(part);
    }
    sha256(&text).iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}
