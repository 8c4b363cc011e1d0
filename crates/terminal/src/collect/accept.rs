//! Whether a public key may get the TK: chain, dates, role, size (2-wire.md section 5), or the production settings.

use flows::EcAes;
use flows::collect::terminal::Ask;
use flows::collect::{CollectKey, Reason};
use paycrypto::ec::PublicPoint;
use paycrypto::rsa::PublicKey;
use pki::{KeyFamily, Role, Verified};

use super::Refusal;
use crate::certificate::{self, Use};
use crate::device::DeviceState;
use crate::pad::AcceptedPoint;
use crate::vault::Vault;
use crate::{AcceptedKey, Collector};

/// Collecting, in the words of a refusal.
const COLLECTING: Use = Use { act: "collect", instead: "the KMS work or the MTMS certificate" };

/// Checks the key of a COLLECT at this time (unix seconds).
pub(super) fn accept(
    ask: &Ask,
    (device, vault): (&mut DeviceState, &Vault),
    at: i64,
) -> Result<AcceptedKey, Refusal> {
    let (spki, collector) = match ask.key() {
        CollectKey::Certificate { leaf, intermediates } => {
            let verified = verified(KeyFamily::Rsa, leaf, intermediates, device, at)?;
            accepted(&verified, device, vault)?;
            (verified.certificate().spki_der().to_vec(), collector(&verified))
        }
        CollectKey::BareKey(spki) if device.settings.allow_bare_key => (spki.clone(), Collector::BareKey),
        CollectKey::BareKey(_) => return Err(Reason::BareKeyNotAllowed.into()),
    };
    let public_key = PublicKey::from_spki(&spki)
        .map_err(|error| Reason::CertificateRefused { why: format!("its key: {error}") })?;
    Ok(AcceptedKey { digest: ask.digest(), public_key, collector })
}

/// Checks the certificate of a COLLECT of suite 02, where nothing but a certificate will do.
pub(super) fn accept_point(
    ask: &Ask<EcAes>,
    (device, vault): (&mut DeviceState, &Vault),
    at: i64,
) -> Result<AcceptedPoint, Refusal> {
    let CollectKey::Certificate { leaf, intermediates } = ask.key() else {
        return Err(Reason::BareKeyNotAllowed.into());
    };
    let verified = verified(KeyFamily::P256, leaf, intermediates, device, at)?;
    accepted(&verified, device, vault)?;
    let refused = |why: String| Reason::CertificateRefused { why };
    let point = verified.agreement_point().map_err(|refusal| refused(refusal.to_string()))?;
    let point = PublicPoint::from_bytes(&point).map_err(|error| refused(format!("its key: {error}")))?;
    Ok(AcceptedPoint { digest: ask.digest(), point, collector: collector(&verified) })
}

/// The certificate says which of the two roles it claims; whether it has it, the chain says. Anything else is measured
/// against a KMS's, so that the refusal names what it is.
fn verified(
    family: KeyFamily,
    leaf: &[u8],
    intermediates: &[Vec<u8>],
    device: &DeviceState,
    at: i64,
) -> Result<Verified, Refusal> {
    let claimed = |leaf: &pki::Certificate| match leaf.role() {
        Some(Role::Mtms) => Role::Mtms,
        _ => Role::KmsWork,
    };
    certificate::verify_of(family, leaf, intermediates, claimed, device, at).map_err(|refusal| {
        let reason = Reason::CertificateRefused { why: refusal.to_string() };
        Refusal::new(reason.into(), certificate::text(&refusal, COLLECTING))
    })
}

fn collector(verified: &Verified) -> Collector {
    if verified.role() == Role::Mtms { Collector::Mtms } else { Collector::Kms }
}

fn accepted(verified: &Verified, device: &mut DeviceState, vault: &Vault) -> Result<(), Refusal> {
    device.accepted(verified, vault).map_err(|error| Reason::Internal { why: error.to_string() }.into())
}
