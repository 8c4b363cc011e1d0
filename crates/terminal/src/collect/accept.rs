//! Whether a public key may get the TK: chain, dates, role, size (2-wire.md section 5), or the production settings.

use flows::collect::terminal::Ask;
use flows::collect::{CollectKey, Reason};
use paycrypto::rsa::PublicKey;
use pki::{Certificate, CertificateRefusal, CrlSet, Role, verify_chain};
use time::OffsetDateTime;

use super::Refusal;
use crate::device::DeviceState;
use crate::{AcceptedKey, Collector};

/// Checks the key of a COLLECT at this time (unix seconds).
pub(super) fn accept(ask: &Ask, device: &DeviceState, at: i64) -> Result<AcceptedKey, Refusal> {
    let (spki, collector) = match ask.key() {
        CollectKey::Certificate { leaf, intermediates } => {
            let (certificate, collector) =
                check_certificate(leaf, intermediates, device, at).map_err(|refusal| refused(&refusal))?;
            (certificate.spki_der().to_vec(), collector)
        }
        CollectKey::BareKey(spki) if device.settings.allow_bare_key => (spki.clone(), Collector::BareKey),
        CollectKey::BareKey(_) => return Err(Reason::BareKeyNotAllowed.into()),
    };
    let public_key = PublicKey::from_spki(&spki)
        .map_err(|error| Reason::CertificateRefused { why: format!("its key: {error}") })?;
    Ok(AcceptedKey { digest: ask.digest(), public_key, collector })
}

fn check_certificate(
    leaf: &[u8],
    intermediates: &[Vec<u8>],
    device: &DeviceState,
    at: i64,
) -> Result<(Certificate, Collector), CertificateRefusal> {
    let leaf = Certificate::from_der(leaf)?;
    let intermediates =
        intermediates.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>()?;
    // The certificate says which of the two roles it claims; whether it has it, the chain says. Anything else is
    // measured against a KMS's, so that the refusal names what it is.
    let (role, collector) = match leaf.role() {
        Some(Role::Mtms) => (Role::Mtms, Collector::Mtms),
        _ => (Role::KmsWork, Collector::Kms),
    };
    // A terminal in production reaches no revocation list.
    let verified = verify_chain(&leaf, &intermediates, &device.trust, role, at, &CrlSet::new())?;
    Ok((verified.certificate().clone(), collector))
}

/// The exact reason for the log, and a text that a technician can use: DF61 has room for 128 bytes, so names of
/// certificates stay out of it.
fn refused(refusal: &CertificateRefusal) -> Refusal {
    let text = match refusal {
        CertificateRefusal::Expired { since, .. } => {
            format!(
                "the certificate ended on {}: have a new one issued, or check the terminal's clock",
                date(*since)
            )
        }
        CertificateRefusal::NotYetValid { since, .. } => {
            format!("the certificate begins on {}: check the terminal's clock, or wait", date(*since))
        }
        CertificateRefusal::WrongRole { found, .. } => {
            format!(
                "a certificate of the role {found} may not collect: use the KMS work or the MTMS certificate"
            )
        }
        CertificateRefusal::UnknownRoot { .. } => {
            "the certificate is of a CA that this terminal does not know: check whose terminal this is".into()
        }
        CertificateRefusal::RoleNotAllowedForRoot { role, .. } => {
            format!("this terminal does not believe that CA for the role {role}: check its trust list")
        }
        CertificateRefusal::WeakKey { defect, .. } => format!("the certificate's key is refused: {defect}"),
        CertificateRefusal::BadSignature { .. } => {
            "the certificate's signature is wrong: it was changed, or its intermediates are missing".into()
        }
        CertificateRefusal::Malformed(_) => "what came is no certificate: check the station's files".into(),
        other => other.to_string(),
    };
    let reason = Reason::CertificateRefused { why: refusal.to_string() };
    Refusal { text, fault: reason.into() }
}

/// A day, as people write it.
fn date(unix_seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_seconds)
        .map_or_else(|_| "an unknown day".into(), |moment| moment.date().to_string())
}
