//! Collecting in suite 02: a ceremony's nonce, the device's own signature, both people's (3-hardened.md, "A, collecting").

use base64ct::{Base64, Encoding};
use flows::{
    BoundTranscript, EcAes, FlowLetter,
    collect::{CeremonyNonce, Collected, SEALED_TK},
};
use pki::{Certificate, CertificateRefusal, Role, Verified};
use serde::{Deserialize, Serialize};
use wire::{Device, Frame, Proof};

use super::{CollectFault, CollectedTerminal, StationSuite};
use crate::{BothCards, Ceremony, Checks, Error, clock, package::Packed};

/// The ceremony's nonce.
#[derive(Debug, Serialize, Deserialize)]
pub struct CeremonyHead {
    ceremony: String,
}

/// COLLECTED as it came.
#[derive(Debug, Serialize, Deserialize)]
pub struct CollectedEntry {
    collected: String,
}

impl StationSuite for EcAes {
    type Ceremony = Ceremony;
    type Head = CeremonyHead;
    type Entry = CollectedEntry;

    const NUMBER: u8 = 2;
    const PROVES_ANSWERS: bool = true;
    /// With a device certificate of a kilobyte and some records of refusals in each answer.
    const MAX_TERMINALS: usize = 4_000;
    const WORK_CERTIFICATE: &'static str = "/v1/work-certificate?suite=2";

    /// An MTMS has a certificate for signatures too: TK is sealed to the one for key agreement alone.
    fn sealed_bytes(work: &Verified) -> Result<usize, CertificateRefusal> {
        work.agreement_point().map(|_| SEALED_TK)
    }

    fn nonce(ceremony: &Ceremony) -> CeremonyNonce {
        CeremonyNonce(*ceremony.nonce())
    }

    fn kept(ceremony: &Ceremony) -> Option<&Ceremony> {
        Some(ceremony)
    }

    fn restored(kept: Option<Ceremony>) -> Option<Ceremony> {
        kept
    }

    fn is_open(ceremony: &Ceremony, at: i64) -> Result<(), Error> {
        ceremony.is_open(at)
    }

    /// The device certificate leads to a root that may issue it and names this PIN pad, and its key signed this COLLECT
    /// and this COLLECTED.
    fn check_maker(
        (collect, collected): (&Frame, &Frame),
        answer: &Collected<EcAes>,
        checks: &Checks,
    ) -> Result<(), CollectFault> {
        let refused = CollectFault::DeviceCertificate;
        let certificate = certificate(answer).map_err(|error| refused(error.into()))?;
        // The wire has no place for intermediates of a device certificate.
        let device = checks.verify(&certificate, &[], Role::Device, clock::now()).map_err(refused)?;
        let pin_pad = answer.device.pin_pad();
        if device.serial_number() != Some(pin_pad.as_str()) {
            let found = device.serial_number().unwrap_or_default().to_owned();
            return Err(CollectFault::OtherDevice { expected: pin_pad.clone(), found });
        }
        let key = device.signing_key().map_err(refused)?;
        let mut said = BoundTranscript::new(FlowLetter::Collect);
        said.push(collect);
        let th = said.th_without(collected, Proof::Signature).map_err(|_| CollectFault::DeviceSignature)?;
        if key.verifies_digest(th.as_bytes(), &answer.maker.signature.0) {
            Ok(())
        } else {
            Err(CollectFault::DeviceSignature)
        }
    }

    fn maker_key(answer: &Collected<EcAes>) -> Option<Vec<u8>> {
        certificate(answer).ok().map(|certificate| certificate.spki_der().to_vec())
    }

    fn head(collected: &[CollectedTerminal<EcAes>], station: &str) -> Result<CeremonyHead, Error> {
        let (first, rest) = collected.split_first().ok_or(Error::NothingCollected)?;
        let ceremony = first.ceremony();
        if rest.iter().any(|terminal| terminal.ceremony() != ceremony) {
            return Err(Error::CeremonyMixed);
        }
        if ceremony.station() != station {
            return Err(Error::CeremonyOfOtherStation { station: ceremony.station().to_owned() });
        }
        Ok(CeremonyHead { ceremony: Base64::encode_string(ceremony.nonce()) })
    }

    fn entry(terminal: &CollectedTerminal<EcAes>) -> CollectedEntry {
        CollectedEntry { collected: Base64::encode_string(terminal.frame().payload()) }
    }

    fn packed(entry: &CollectedEntry, named: Device) -> Result<Packed, String> {
        let sn = named.sn();
        let bad = |error: &dyn std::fmt::Display| format!("what was collected of {sn}: {error}");
        let payload = Base64::decode_vec(&entry.collected).map_err(|error| bad(&error))?;
        let frame = Frame::from_payload(&payload).map_err(|error| bad(&error))?;
        let answer = Collected::<EcAes>::read(&frame).map_err(|error| bad(&error))?;
        if answer.device != named {
            return Err(bad(&"it is of another device"));
        }
        Ok(Packed { fingerprint: answer.fingerprint(), device: named })
    }

    fn sign(cards: &BothCards, content: &[u8], at: i64) -> Result<Vec<u8>, Error> {
        cards.sign_by_both(content, at)
    }
}

fn certificate(answer: &Collected<EcAes>) -> Result<Certificate, pki::Error> {
    Certificate::from_der(&answer.maker.certificate)
}
