//! One entry of a batch: read, held against the order, opened by the HSM. One bad entry does not spoil the others.

use std::collections::HashSet;

use base64ct::{Base64, Encoding};
use batch::{Entry, is_fingerprint, is_sha256, limits};
use hsm::{Hsm, HsmError, Refusal as HsmRefusal, commands::ImportTk};
use pki::{Certificate, Role};
use sha2::{Digest, Sha256};
use store::{BatchEntry, CollectedTerminal, CollectedTk, NewDeviceCertificate, Refusal, Store};
use wire::{Device, ModelId, Serial, Suite, VendorId};

use crate::{
    kms::{Failure, Kms, package::hex},
    partners::Partner,
    trust::Trust,
};

/// Characters of what stands where a serial should, in answers and in the audit.
const SHOWN: usize = 64;
/// Characters of a reason: it may quote what came.
const MAX_REASON: usize = 256;
/// Where a generation must end: far more than a PIN pad counts to, and far below what would leave it nowhere to go on.
const MAX_GENERATION: u64 = 1 << 32;

/// What the order says of terminals.
pub(super) struct Listing {
    pub(super) model: String,
    /// Those of this batch that it lists; none where it has no list.
    pub(super) listed: Option<HashSet<Serial>>,
}

/// What suite 02 says beside the key blocks.
struct Made {
    certificate: NewDeviceCertificate,
    generation: u64,
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Reads an entry, checks it and has the HSM open its TK. The outer error is ours.
    pub(super) async fn open_entry(
        &self,
        entry: &Entry,
        partner: &Partner,
        listing: &Listing,
    ) -> Result<BatchEntry, Failure> {
        let mut terminal = match read(entry, partner.suite) {
            Ok(terminal) => terminal,
            Err(refusal) => {
                let sn = entry.sn.chars().take(SHOWN).collect();
                return Ok(BatchEntry::Malformed { sn, refusal });
            }
        };
        let opened =
            match listing.allows(&terminal).and_then(|()| made(&self.trust, entry, &terminal, partner)) {
                Ok(made) => self.import_tk(entry, &terminal.device, partner, made).await?,
                Err(refusal) => Err(refusal),
            };
        match opened {
            Ok(tk) => terminal.tk = tk,
            Err(refusal) => terminal.refused = Some(refusal),
        }
        Ok(BatchEntry::Terminal(Box::new(terminal)))
    }

    async fn import_tk(
        &self,
        entry: &Entry,
        device: &Device,
        partner: &Partner,
        made: Option<Made>,
    ) -> Result<Result<CollectedTk, Refusal>, Failure> {
        let command = ImportTk {
            tek: entry.tek.clone(),
            auk: entry.auk.clone(),
            pin_pad: device.pin_pad().to_string(),
            owner: self.acquirer.id.clone(),
            pk: partner.pk.clone(),
            partner: partner.name.clone(),
        };
        match self.hsm.call(command).await {
            Ok(opened) => {
                let (tek, auk) = (opened.blocks.tek.into(), opened.blocks.auk.into());
                let digest = opened.digest;
                Ok(Ok(match made {
                    Some(Made { certificate, generation }) => CollectedTk::Blocks {
                        tek,
                        auk,
                        device: certificate,
                        generation,
                        digest: Some(digest),
                    },
                    None => CollectedTk::Opened { tek, auk, digest },
                }))
            }
            Err(HsmError::Refused(
                refused @ (HsmRefusal::Import { .. } | HsmRefusal::TransportKey { .. }),
            )) => Ok(Err(refusal("key-refused", &refused.to_string()))),
            Err(failed) => Err(failed.into()),
        }
    }
}

impl Listing {
    fn allows(&self, terminal: &CollectedTerminal) -> Result<(), Refusal> {
        if self.listed.as_ref().is_some_and(|listed| !listed.contains(terminal.device.sn())) {
            return Err(refusal("not-in-order", "the order does not list this serial"));
        }
        match &terminal.model {
            Some(model) if *model != self.model => {
                let text = format!("the order is for model {}, and this is a {model}", self.model);
                Err(refusal("wrong-model", &text))
            }
            // A terminal need not tell its model (DF31).
            _ => Ok(()),
        }
    }
}

/// The terminal of an entry, its TK not opened yet.
fn read(entry: &Entry, suite: Suite) -> Result<CollectedTerminal, Refusal> {
    let malformed = |what: &str| refusal("malformed", what);
    let sn = Serial::parse(&entry.sn).map_err(|_| malformed("sn is no serial"))?;
    let pin_pad = entry.pin_pad_sn.as_deref().map(Serial::parse).transpose();
    let pin_pad = pin_pad.map_err(|_| malformed("pin_pad_sn is no serial"))?;
    let device = Device::new(sn, pin_pad)
        .map_err(|_| malformed("pin_pad_sn equals sn; leave it out when built in"))?;
    let vendor = entry.vendor.as_deref().map(VendorId::parse).transpose();
    let model = entry.model.as_deref().map(ModelId::parse).transpose();
    let vendor = vendor.map_err(|_| malformed("vendor is no vendor id"))?;
    let model = model.map_err(|_| malformed("model is no model id"))?;
    if vendor.is_some() != model.is_some() {
        return Err(malformed("vendor and model come together, or not at all"));
    }
    for block in [&entry.tek, &entry.auk] {
        if block.is_empty() || block.len() > limits::KEY_BLOCK || !block.is_ascii() {
            return Err(malformed("tek and auk must be key blocks"));
        }
    }
    if !is_sha256(&entry.work_certificate_sha256) {
        return Err(malformed("work_certificate_sha256 is not 64 lower-case hex digits"));
    }
    let fingerprint = match &entry.fingerprint {
        Some(fingerprint) if is_fingerprint(fingerprint) => fingerprint.clone(),
        Some(_) => return Err(malformed("fingerprint is not 20 upper-case hex digits")),
        // The collected ciphertext is not here: what people compare then stands for these very blocks.
        None => {
            wire::fingerprint(device.sn(), [entry.tek.as_bytes(), entry.auk.as_bytes()].concat().as_slice())
        }
    };
    Ok(CollectedTerminal {
        device,
        vendor: entry.vendor.clone(),
        model: entry.model.clone(),
        tk: CollectedTk::None(suite),
        work_certificate_sha256: entry.work_certificate_sha256.clone(),
        fingerprint,
        replaces: entry.replaces,
        refused: None,
    })
}

/// In suite 02: the device key that made the TK, and the PIN pad's generation. A device certificate that no root leads
/// to, or that names another PIN pad, is 000D.
fn made(
    trust: &Trust,
    entry: &Entry,
    terminal: &CollectedTerminal,
    partner: &Partner,
) -> Result<Option<Made>, Refusal> {
    let malformed = |what: &str| refusal("malformed", what);
    if partner.suite != Suite::EC_AES {
        return match (&entry.generation, &entry.device) {
            (None, None) => Ok(None),
            _ => Err(malformed("generation and device are of suite 02 only")),
        };
    }
    let generation = entry.generation.as_deref().and_then(decimal);
    let generation = generation.ok_or_else(|| malformed("generation is no decimal number up to 2^32"))?;
    let device = entry.device.as_deref().filter(|text| text.len() <= limits::DEVICE);
    let device = device.and_then(|text| Base64::decode_vec(text).ok());
    let device = device.ok_or_else(|| malformed("device is no certificate in base64"))?;
    let refused = |why: String| refusal("000D", &format!("the device certificate is refused: {why}"));
    let certificate = Certificate::from_der(&device).map_err(|e| refused(e.to_string()))?;
    let verified = trust.verify(&certificate, &[], Role::Device).map_err(|e| refused(e.to_string()))?;
    let pin_pad = terminal.device.pin_pad();
    if verified.serial_number() != Some(pin_pad.as_str()) {
        return Err(refused(format!("its subject's serial number is not {pin_pad}")));
    }
    let certificate = NewDeviceCertificate {
        sha256: certificate.sha256_hex(),
        spki_sha256: hex(&Sha256::digest(certificate.spki_der())),
        der: certificate.der().to_vec(),
    };
    Ok(Some(Made { certificate, generation }))
}

/// A number written in the one way that it has.
fn decimal(text: &str) -> Option<u64> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    text.parse().ok().filter(|number| plain && *number <= MAX_GENERATION)
}

fn refusal(code: &str, text: &str) -> Refusal {
    Refusal { code: code.to_owned(), text: text.chars().take(MAX_REASON).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_written_in_one_way() {
        assert_eq!(decimal("0"), Some(0));
        assert_eq!(decimal("41"), Some(41));
        assert_eq!(decimal("4294967296"), Some(MAX_GENERATION));
        for wrong in
            ["4294967297", "9223372036854775807", "041", "+1", "-1", "", " 1", "1.0", "18446744073709551616"]
        {
            assert_eq!(decimal(wrong), None, "{wrong:?}");
        }
    }
}
