//! Suite 02: TEK and AUK sealed to the KMS's agreement key for one ceremony, signed by the device key; packages by both
//! cards (3-hardened.md, "A, collecting"). The ciphertext is opened at once and not kept.

use base64ct::{Base64, Encoding};
use flows::{
    BoundTranscript, EcAes, FlowLetter,
    collect::{CeremonyNonce, SEALED_TK, messages::Collected, station},
};
use hsm::{Hsm, HsmError, KeyBlock, Refusal as HsmRefusal, commands::OpenCollectedEc};
use pki::{Certificate, P256PublicKey, Role, cms::SignedPackage};
use serde::Deserialize;
use sha2::{Digest, Sha256};
use store::{CollectedTk, NewDeviceCertificate, Refusal, Store, WindowRecord};
use wire::{Device, Fields, Frame, Proof};

use super::{
    refusal,
    suite::{CollectingSuite, Named, Work},
};
use crate::{
    kms::{
        Failure, Kms,
        package::{Authentic, UploadRefusal, hex},
    },
    trust::Trust,
};

/// What a package says once.
#[derive(Debug, Deserialize)]
pub(crate) struct Head {
    /// The ceremony's nonce, base64: which of those that this KMS gave.
    ceremony: String,
}

/// What a package has of a TK.
#[derive(Debug, Deserialize)]
pub(crate) struct Entry {
    /// The payload of COLLECTED, base64.
    collected: String,
}

/// COLLECTED, as it came and as it reads.
pub(crate) struct Answer {
    frame: Frame,
    collected: Collected<EcAes>,
}

impl CollectingSuite for EcAes {
    type Head = Head;
    type Entry = Entry;
    type Sealed = Answer;

    fn authenticate(trust: &Trust, package: SignedPackage) -> Result<Authentic, UploadRefusal> {
        Authentic::of_both(trust, package)
    }

    async fn nonce_of<S: Store, H: Hsm>(
        kms: &Kms<S, H>,
        head: &Head,
        station: &str,
    ) -> Result<CeremonyNonce, UploadRefusal> {
        let nonce = Base64::decode_vec(&head.ceremony).ok().and_then(|bytes| bytes.try_into().ok());
        let text = || UploadRefusal::Content("ceremony is not 32 bytes in base64".into());
        let nonce = nonce.ok_or_else(text)?;
        kms.check_ceremony(nonce, station).await?;
        Ok(CeremonyNonce(nonce))
    }

    async fn nonce_in<S: Store, H: Hsm>(
        kms: &Kms<S, H>,
        window: &WindowRecord,
    ) -> Result<CeremonyNonce, Failure> {
        kms.window_nonce(window).await.map(CeremonyNonce)
    }

    fn sealed_bytes(_: &Certificate) -> Result<usize, Failure> {
        Ok(SEALED_TK)
    }

    fn entry(entry: &Entry, named: &Named<'_>) -> Result<Answer, Refusal> {
        let malformed = |what: &str| refusal("malformed", what);
        let payload =
            Base64::decode_vec(&entry.collected).map_err(|_| malformed("collected is no base64"))?;
        let frame = Frame::from_payload(&payload).map_err(|_| malformed("collected is no payload"))?;
        let collected = Collected::<EcAes>::read(&frame)
            .map_err(|error| malformed(&format!("collected is no COLLECTED of suite 02: {error}")))?;
        if collected.ctk_pu.len() != SEALED_TK {
            return Err(malformed("the sealed transport key in collected has not its length"));
        }
        let make = collected.vendor.as_ref().zip(collected.model.as_ref());
        let make = make.map(|(vendor, model)| (vendor.as_str(), model.as_str()));
        if collected.device != *named.device || make != named.make {
            return Err(malformed("collected names another terminal or make than its entry"));
        }
        Ok(Answer { frame, collected })
    }

    fn answer(frame: &Frame, collected: &Collected<EcAes>) -> Answer {
        Answer { frame: frame.clone(), collected: collected.clone() }
    }

    fn refusals(sealed: &Answer) -> &[Fields] {
        &sealed.collected.refusals
    }

    fn df09(sealed: &Answer) -> &[u8] {
        &sealed.collected.ctk_pu
    }

    fn unopened(_: &Answer) -> CollectedTk {
        CollectedTk::None(<EcAes as flows::Suite>::ID)
    }

    async fn open<S: Store, H: Hsm>(
        kms: &Kms<S, H>,
        work: &Work,
        nonce: &CeremonyNonce,
        device: &Device,
        sealed: &Answer,
    ) -> Result<Result<CollectedTk, Refusal>, Failure> {
        let start = station::Start::<EcAes>::of(work.collect_key()?, *nonce, SEALED_TK);
        let Ok((collect, _)) = start.begin() else {
            return Ok(Err(refusal("unknown-work-certificate", "its chain fits into no COLLECT")));
        };
        let certificate = match device_key(&kms.trust, device, sealed) {
            Ok((certificate, key)) if is_signed(&key, &collect, sealed) => certificate,
            Ok(_) => {
                let text = "the device key did not sign this answer to this station's question";
                return Ok(Err(refusal("device-signature", text)));
            }
            Err(refused) => return Ok(Err(refused)),
        };
        let maker = &sealed.collected.maker;
        if i64::try_from(maker.generation).is_err() {
            return Ok(Err(refusal(
                "malformed",
                "the generation counter is past 2^63: no PIN pad counts so far",
            )));
        }
        let command = OpenCollectedEc {
            work_key: KeyBlock::from_text(work.record.private_block.clone()),
            collect: collect.bytes().to_vec(),
            sn: device.sn().to_string(),
            pin_pad: device.pin_pad().to_string(),
            generation: maker.generation,
            df09: sealed.collected.ctk_pu.clone(),
            owner: kms.acquirer.id.clone(),
        };
        match kms.hsm.call(command).await {
            Ok(opened) => Ok(Ok(CollectedTk::Blocks {
                tek: opened.tek.into(),
                auk: opened.auk.into(),
                device: certificate,
                generation: maker.generation,
                digest: None,
            })),
            Err(HsmError::Refused(refused @ HsmRefusal::TransportKey { .. })) => {
                Ok(Err(refusal("transport-key-refused", &refused.to_string())))
            }
            Err(failed) => Err(failed.into()),
        }
    }
}

/// The device certificate and its key, if a root that may issue it leads to it and it names this very PIN pad (000D).
fn device_key(
    trust: &Trust,
    device: &Device,
    sealed: &Answer,
) -> Result<(NewDeviceCertificate, P256PublicKey), Refusal> {
    let refused = |why: String| refusal("000D", &format!("the device certificate is refused: {why}"));
    let certificate =
        Certificate::from_der(&sealed.collected.maker.certificate).map_err(|e| refused(e.to_string()))?;
    // The wire has no place for intermediates of a device certificate.
    let verified = trust.verify(&certificate, &[], Role::Device).map_err(|e| refused(e.to_string()))?;
    let pin_pad = device.pin_pad();
    if verified.serial_number() != Some(pin_pad.as_str()) {
        return Err(refused(format!("its subject's serial number is not {pin_pad}")));
    }
    let key = verified.signing_key().map_err(|e| refused(e.to_string()))?;
    let kept = NewDeviceCertificate {
        sha256: certificate.sha256_hex(),
        spki_sha256: hex(&Sha256::digest(certificate.spki_der())),
        der: certificate.der().to_vec(),
    };
    Ok((kept, key))
}

/// Whether DF16 is this key's signature over COLLECT and COLLECTED, letter K.
fn is_signed(key: &P256PublicKey, collect: &Frame, sealed: &Answer) -> bool {
    let mut said = BoundTranscript::new(FlowLetter::Collect);
    said.push(collect);
    said.th_without(&sealed.frame, Proof::Signature)
        .is_ok_and(|th| key.verifies_digest(th.as_bytes(), &sealed.collected.maker.signature.0))
}
