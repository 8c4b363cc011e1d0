//! Certificates that come in flows: the check, and what a technician is told (2-wire.md section 5).

use flows::Chain;
use pki::{Certificate, CertificateRefusal, KeyFamily, Policy, Role, Verified};
use time::OffsetDateTime;

use crate::device::DeviceState;
use crate::vault::Vault;
use crate::{CheckedKey, CheckedSigner};

/// What a certificate was to be used for, in the words of a refusal: what it may not do, and what may.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Use {
    pub(crate) act: &'static str,
    pub(crate) instead: &'static str,
}

/// Loading keys by cable.
pub(crate) const LOADING: Use = Use { act: "load keys", instead: "the downloader certificate" };
/// Serving keys from afar.
pub(crate) const SERVING: Use = Use { act: "serve keys", instead: "the RKS work certificate" };
/// Certifying the PIN pad's own device key.
pub(crate) const CERTIFYING: Use =
    Use { act: "certify this PIN pad", instead: "the device certificate of its key" };
/// Authorising a repair.
pub(crate) const REPAIRING: Use =
    Use { act: "authorise a repair", instead: "the vendor's repair authorisation certificate" };

/// A certificate refused: the exact reason for the log, a short one for the log of refusals, and a text for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refused {
    pub(crate) why: String,
    pub(crate) text: String,
}

/// Checks chain, dates, role and size against this terminal's own trust list. The chain is of this family: RSA in suite
/// 01, P-256 in suite 02.
pub(crate) fn verify_of(
    family: KeyFamily,
    leaf: &[u8],
    intermediates: &[Vec<u8>],
    role: impl FnOnce(&Certificate) -> Role,
    device: &DeviceState,
    at: i64,
) -> Result<Verified, CertificateRefusal> {
    let leaf = Certificate::from_der(leaf)?;
    let intermediates =
        intermediates.iter().map(|der| Certificate::from_der(der)).collect::<Result<Vec<_>, _>>()?;
    // A terminal reaches no revocation list by itself: one that was brought counts, a missing one does not.
    let policy = Policy { family, ..Policy::default() };
    let verified =
        policy.verify_chain(&leaf, &intermediates, &device.trust, role(&leaf), at, &device.crls)?;
    device.epochs.check(&verified)?;
    Ok(verified)
}

/// The key of a checked certificate, as a suite uses it.
pub(crate) trait CertifiedKey: Sized {
    /// What chains of the suite are made of.
    const FAMILY: KeyFamily;

    /// The key; or why it is none for this suite.
    fn of(verified: &Verified) -> Result<Self, String>;
}

impl CertifiedKey for CheckedKey {
    const FAMILY: KeyFamily = KeyFamily::Rsa;

    fn of(verified: &Verified) -> Result<CheckedKey, String> {
        CheckedKey::of(verified).map_err(|error| format!("its key: {error}"))
    }
}

impl CertifiedKey for CheckedSigner {
    const FAMILY: KeyFamily = KeyFamily::P256;

    fn of(verified: &Verified) -> Result<CheckedSigner, String> {
        CheckedSigner::of(verified).map_err(|refusal| refusal.to_string())
    }
}

/// The key of a chain for this role. The certificate is accepted with it.
pub(crate) fn key<K: CertifiedKey>(
    chain: &Chain,
    role: Role,
    used_for: Use,
    (device, vault): (&mut DeviceState, &Vault),
    at: i64,
) -> Result<K, Refused> {
    let (key, verified) = checked(chain, role, used_for, device, at)?;
    let failed =
        |error: crate::Error| Refused { why: error.to_string(), text: "the terminal cannot write".into() };
    device.accepted(&verified, vault).map_err(failed)?;
    Ok(key)
}

/// As [`key`], and nothing is remembered.
pub(crate) fn checked<K: CertifiedKey>(
    chain: &Chain,
    role: Role,
    used_for: Use,
    device: &DeviceState,
    at: i64,
) -> Result<(K, Verified), Refused> {
    let verified = verify_of(K::FAMILY, &chain.leaf, &chain.intermediates, |_| role, device, at)
        .map_err(|refusal| Refused { text: text(&refusal, used_for), why: refusal.to_string() })?;
    let key = K::of(&verified).map_err(|why| Refused { text: why.clone(), why })?;
    Ok((key, verified))
}

/// A text that a technician can use: DF61 has room for 128 bytes, so names of certificates stay out of it.
pub(crate) fn text(refusal: &CertificateRefusal, used_for: Use) -> String {
    let Use { act, instead } = used_for;
    match refusal {
        CertificateRefusal::Expired { since, .. } => format!(
            "the certificate ended on {}: have a new one issued, or check the terminal's clock",
            date(*since)
        ),
        CertificateRefusal::NotYetValid { since, .. } => {
            format!("the certificate begins on {}: check the terminal's clock, or wait", date(*since))
        }
        CertificateRefusal::Superseded { .. } => {
            "a newer certificate of the same name was accepted before: bring the newest one".into()
        }
        CertificateRefusal::WrongRole { found, .. } => {
            format!("a certificate of the role {found} may not {act}: use {instead}")
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
    }
}

/// A day, as people write it.
fn date(unix_seconds: i64) -> String {
    OffsetDateTime::from_unix_timestamp(unix_seconds)
        .map_or_else(|_| "an unknown day".into(), |moment| moment.date().to_string())
}
