//! Whether a public key may get the TK: chain, dates, role, size (2-wire.md section 5), or the production settings.

use flows::collect::terminal::Ask;
use flows::collect::{CollectKey, Reason};
use paycrypto::rsa::PublicKey;
use pki::Role;

use super::Refusal;
use crate::certificate::{self, Use};
use crate::device::DeviceState;
use crate::{AcceptedKey, Collector};

/// Collecting, in the words of a refusal.
const COLLECTING: Use = Use { act: "collect", instead: "the KMS work or the MTMS certificate" };

/// Checks the key of a COLLECT at this time (unix seconds).
pub(super) fn accept(ask: &Ask, device: &DeviceState, at: i64) -> Result<AcceptedKey, Refusal> {
    let (spki, collector) = match ask.key() {
        CollectKey::Certificate { leaf, intermediates } => {
            // The certificate says which of the two roles it claims; whether it has it, the chain says. Anything else
            // is measured against a KMS's, so that the refusal names what it is.
            let claimed = |leaf: &pki::Certificate| match leaf.role() {
                Some(Role::Mtms) => Role::Mtms,
                _ => Role::KmsWork,
            };
            let verified =
                certificate::verify(leaf, intermediates, claimed, device, at).map_err(|refusal| {
                    let reason = Reason::CertificateRefused { why: refusal.to_string() };
                    Refusal::new(reason.into(), certificate::text(&refusal, COLLECTING))
                })?;
            let collector = if verified.role() == Role::Mtms { Collector::Mtms } else { Collector::Kms };
            (verified.certificate().spki_der().to_vec(), collector)
        }
        CollectKey::BareKey(spki) if device.settings.allow_bare_key => (spki.clone(), Collector::BareKey),
        CollectKey::BareKey(_) => return Err(Reason::BareKeyNotAllowed.into()),
    };
    let public_key = PublicKey::from_spki(&spki)
        .map_err(|error| Reason::CertificateRefused { why: format!("its key: {error}") })?;
    Ok(AcceptedKey { digest: ask.digest(), public_key, collector })
}
