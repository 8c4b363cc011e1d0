//! Collecting in suite 01: TK under an RSA key, the operator's signature (2-wire.md section 6).

use base64ct::{Base64, Encoding};
use flows::{Tdes, collect::Collected};
use pki::{CertificateRefusal, PublicKey, Verified};
use serde::{Deserialize, Serialize};
use wire::{Device, Frame};

use super::{CollectFault, CollectedTerminal, StationSuite};
use crate::{BothCards, Ceremony, Checks, Error, package::Packed};

/// Nothing: a package of suite 01 has only its terminals.
#[derive(Debug, Serialize, Deserialize)]
pub struct NoHead {}

/// Ctk_Pu.
#[derive(Debug, Serialize, Deserialize)]
pub struct CtkPu {
    ctk_pu: String,
}

impl StationSuite for Tdes {
    type Ceremony = ();
    type Head = NoHead;
    type Entry = CtkPu;

    const NUMBER: u8 = 1;
    const PROVES_ANSWERS: bool = false;
    /// With RSA-4096.
    const MAX_TERMINALS: usize = super::MAX_TERMINALS;
    const WORK_CERTIFICATE: &'static str = "/v1/work-certificate";

    fn sealed_bytes(work: &Verified) -> Result<usize, CertificateRefusal> {
        let work = work.certificate();
        let key = PublicKey::from_spki(work.spki_der()).map_err(|defect| {
            let subject = work.subject().to_string();
            CertificateRefusal::WeakKey { subject, defect }
        })?;
        Ok(key.bits().div_ceil(8))
    }

    fn nonce((): &()) {}

    fn kept((): &()) -> Option<&Ceremony> {
        None
    }

    fn restored(_: Option<Ceremony>) -> Option<()> {
        Some(())
    }

    fn is_open((): &(), _: i64) -> Result<(), Error> {
        Ok(())
    }

    /// The PIN pad that made a TK cannot be told from another: people compare fingerprints.
    fn check_maker(_: (&Frame, &Frame), _: &Collected, _: &Checks) -> Result<(), CollectFault> {
        Ok(())
    }

    fn maker_key(_: &Collected) -> Option<Vec<u8>> {
        None
    }

    fn head(_: &[CollectedTerminal], _: &str) -> Result<NoHead, Error> {
        Ok(NoHead {})
    }

    fn entry(terminal: &CollectedTerminal) -> CtkPu {
        CtkPu { ctk_pu: Base64::encode_string(terminal.ctk_pu()) }
    }

    fn packed(entry: &CtkPu, named: Device) -> Result<Packed, String> {
        let ctk_pu = Base64::decode_vec(&entry.ctk_pu)
            .map_err(|error| format!("the ctk_pu of {}: {error}", named.sn()))?;
        let fingerprint = wire::fingerprint(named.sn(), &ctk_pu);
        Ok(Packed { device: named, fingerprint })
    }

    fn sign(cards: &BothCards, content: &[u8], at: i64) -> Result<Vec<u8>, Error> {
        cards.sign(content, at)
    }
}
