//! PK and MAK by certificate: the vendor's HSM makes both and sends them to the holder of the KMS's work key.
//!
//! They travel as X9.143 blocks under a key of their own that is used once (24 bytes in suite 01, 32 in suite 02), which
//! is encrypted to the work certificate: OAEP, or HPKE with the info `"KF2 batch" ‖ SHA-256(vendor ‖ 00 ‖ buyer)`. Both
//! blocks name vendor and buyer (`20`), so that keys of one pair never become another's. Who may do this is decided
//! before: an offer has the signatures of two people, which whoever calls [`accept`] has checked.
//!
//! | key | usage | mode |
//! |---|---|---|
//! | PK | `K1` | `B` |
//! | MAK | `M6` | `C` |

use hsm::{KeyBlock, commands::ZoneAlgorithm};
use keyblock::{Algorithm, Exportability, Header, Kbpk, KeyContext, KeyVersion, Mode, Usage, Version};
use paycrypto::{
    AesKey, TdesKey, digest,
    ec::{PublicPoint, hpke},
    mac,
    rsa::{PrivateKey, PublicKey},
};
use zeroize::Zeroizing;

use crate::{
    HsmSoftError, Offline,
    components::Target,
    key_pairs,
    lmk::{Binding, NAME},
    purpose::Purpose,
    soft_hsm::check_name,
};

/// The optional block that names vendor and buyer.
const PARTIES: &str = "20";
/// In front of HPKE's info.
const LABEL: &[u8] = b"KF2 batch";

/// Who agrees.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    /// The vendor, whose MTMS sends batches: 1–32 of `A-Z a-z 0-9 - . _`.
    pub vendor: String,
    /// The acquirer, whose KMS takes them; characters as for the vendor.
    pub buyer: String,
}

/// A key under this HSM's LMK, and its check value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agreed {
    /// For the configuration: it opens in this HSM only, and serves this partner only.
    pub block: KeyBlock,
    /// For people: 3 bytes in suite 01, 5 in suite 02.
    pub kcv: Vec<u8>,
}

/// What travels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Travelling {
    /// The one-time key, encrypted to the KMS's work certificate.
    pub sealed: Vec<u8>,
    /// PK under it.
    pub pk: String,
    /// MAK under it.
    pub mak: String,
}

/// PK and MAK.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgreedKeys {
    /// Protects the TKs of batches.
    pub pk: Agreed,
    /// Authenticates batches and receipts.
    pub mak: Agreed,
}

/// Why keys are not agreed. Never says anything of the keys.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AgreementRefusal {
    /// Vendor and buyer are one.
    #[error("vendor and buyer are both {0}: an agreement is between two")]
    OneParty(String),
    /// The KMS's certificate has a key that nothing of this suite can be encrypted to.
    #[error("the KMS's certificate has no key of this suite: {0}")]
    Recipient(String),
    /// The one-time key does not open.
    #[error(
        "what was sealed does not open under this work key for this vendor and buyer: ask the vendor for an offer \
         to this KMS's present work certificate"
    )]
    Sealed,
    /// A block does not open or is not what it should be.
    #[error("{which} is refused: {why}")]
    Block {
        /// PK or MAK.
        which: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// PK and MAK are one key.
    #[error("PK and MAK are the same key: a key has one use")]
    EqualKeys,
}

/// Makes PK and MAK in the vendor's HSM, for itself and for the holder of the key in `recipient`
/// (SubjectPublicKeyInfo, DER), whose certificate the caller has checked.
///
/// # Errors
/// [`HsmSoftError::Agreement`]; [`HsmSoftError::Refused`] for names out of range; [`HsmSoftError::Random`].
pub fn offer(
    hsm: &Offline,
    parties: &Parties,
    algorithm: ZoneAlgorithm,
    recipient: &[u8],
) -> Result<(AgreedKeys, Travelling), HsmSoftError> {
    parties.check()?;
    let (kbpk, pk, mak) = (make(algorithm)?, make(algorithm)?, make(algorithm)?);
    let sealed = parties.seal(algorithm, recipient, &kbpk)?;
    let protection = protection(algorithm, &kbpk)?;
    let wrap = |what: What, key: &[u8]| {
        let header = parties.header(what, algorithm)?;
        protection.wrap(&header, key).map_err(|_| HsmSoftError::Internal("a block of an agreement"))
    };
    let travelling = Travelling { sealed, pk: wrap(What::Pk, &pk)?, mak: wrap(What::Mak, &mak)? };
    Ok((parties.keep(hsm, algorithm, Side::Vendor, &pk, &mak)?, travelling))
}

/// Takes PK and MAK in the KMS's HSM. `work_key` is the private half of the work certificate that the offer is for.
///
/// # Errors
/// As [`offer`]; [`HsmSoftError::Refused`] for a work key that is not this HSM's, or not the buyer's.
pub fn accept(
    hsm: &Offline,
    parties: &Parties,
    algorithm: ZoneAlgorithm,
    work_key: &KeyBlock,
    travelling: &Travelling,
) -> Result<AgreedKeys, HsmSoftError> {
    parties.check()?;
    let kbpk = parties.open(hsm, algorithm, work_key, &travelling.sealed)?;
    if kbpk.len() != length(algorithm) || kcv(algorithm, &kbpk).is_err() {
        return Err(AgreementRefusal::Sealed.into());
    }
    let protection = protection(algorithm, &kbpk)?;
    let pk = parties.unwrap(What::Pk, algorithm, &protection, &travelling.pk)?;
    let mak = parties.unwrap(What::Mak, algorithm, &protection, &travelling.mak)?;
    if mac::matches(&pk, &mak) {
        return Err(AgreementRefusal::EqualKeys.into());
    }
    parties.keep(hsm, algorithm, Side::Buyer, &pk, &mak)
}

#[derive(Clone, Copy)]
enum What {
    Pk,
    Mak,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            Self::Pk => "PK",
            Self::Mak => "MAK",
        }
    }
}

/// Whose HSM this is: it owns the key, the other is its partner.
#[derive(Clone, Copy)]
enum Side {
    Vendor,
    Buyer,
}

impl Parties {
    fn check(&self) -> Result<(), HsmSoftError> {
        check_name("a vendor's name", &self.vendor)?;
        check_name("a buyer's name", &self.buyer)?;
        if self.vendor == self.buyer {
            return Err(AgreementRefusal::OneParty(self.vendor.clone()).into());
        }
        Ok(())
    }

    fn header(&self, what: What, algorithm: ZoneAlgorithm) -> Result<Header, HsmSoftError> {
        let (usage, mode) = match what {
            What::Pk => (Usage::KEY_BLOCK_PROTECTION, Mode::BOTH),
            What::Mak => (Usage::MAC_CMAC, Mode::GENERATE_AND_VERIFY),
        };
        let (version, of) = match algorithm {
            ZoneAlgorithm::Tdes => (Version::B, Algorithm::TDES),
            ZoneAlgorithm::Aes => (Version::D, Algorithm::AES),
        };
        Header::new(version, usage, of, mode, Exportability::NOT_EXPORTABLE)
            .with_optional(PARTIES, format!("{}/{}", self.vendor, self.buyer))
            .map_err(|_| HsmSoftError::Internal("a header of an agreement"))
    }

    fn info(&self) -> Vec<u8> {
        let names = [self.vendor.as_bytes(), &[0], self.buyer.as_bytes()].concat();
        [LABEL, &digest::sha256(&names)].concat()
    }

    fn seal(&self, algorithm: ZoneAlgorithm, recipient: &[u8], key: &[u8]) -> Result<Vec<u8>, HsmSoftError> {
        let refused = |e: &dyn std::fmt::Display| AgreementRefusal::Recipient(e.to_string());
        Ok(match algorithm {
            ZoneAlgorithm::Tdes => {
                let recipient = PublicKey::from_spki(recipient).map_err(|e| refused(&e))?;
                recipient.oaep_encrypt(key).map_err(|e| refused(&e))?
            }
            ZoneAlgorithm::Aes => {
                let recipient = PublicPoint::from_spki(recipient).map_err(|e| refused(&e))?;
                hpke::seal(&recipient, &self.info(), &[], key).map_err(|e| refused(&e))?
            }
        })
    }

    fn open(
        &self,
        hsm: &Offline,
        algorithm: ZoneAlgorithm,
        work_key: &KeyBlock,
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, HsmSoftError> {
        match algorithm {
            ZoneAlgorithm::Tdes => {
                let bound = Binding { place: None, owner: &self.buyer, tk_hash: None };
                let opened = hsm.lmk.open("the work key", work_key, Purpose::KmsWork, bound)?;
                let key = PrivateKey::from_pkcs8(&opened.key)
                    .map_err(|_| HsmSoftError::Internal("a work key that is no RSA key"))?;
                key.oaep_decrypt(sealed).map_err(|_| AgreementRefusal::Sealed.into())
            }
            ZoneAlgorithm::Aes => {
                let key = key_pairs::open_agreement(&hsm.lmk, work_key, &self.buyer)?;
                hpke::open(&key, &self.info(), &[], sealed).map_err(|_| AgreementRefusal::Sealed.into())
            }
        }
    }

    /// Opens a block that must say exactly what one of this agreement says.
    fn unwrap(
        &self,
        what: What,
        algorithm: ZoneAlgorithm,
        protection: &Kbpk,
        block: &str,
    ) -> Result<Zeroizing<Vec<u8>>, HsmSoftError> {
        let refused = |why: &dyn std::fmt::Display| AgreementRefusal::Block {
            which: what.name(),
            why: why.to_string(),
        };
        let opened = protection.unwrap(block).map_err(|e| refused(&e))?;
        let (found, wanted) = (&opened.header, self.header(what, algorithm)?);
        let wrong = [
            (found.usage != wanted.usage, "it is another key: its usage is not the one of this key"),
            (found.algorithm != wanted.algorithm, "its algorithm is not the one of this suite"),
            (found.mode != wanted.mode, "its mode of use is not the one of this key"),
            (found.key_version != KeyVersion::UNUSED, "its key version is not 00"),
            (found.exportability != Exportability::NOT_EXPORTABLE, "its exportability is not N"),
            (found.key_context != KeyContext::Unspecified, "its key context is not 0"),
            (found.optional != wanted.optional, "it was agreed between another vendor and another buyer"),
        ];
        if let Some((_, why)) = wrong.into_iter().find(|(wrong, _)| *wrong) {
            return Err(refused(&why).into());
        }
        if opened.key.len() != length(algorithm) {
            return Err(refused(&"it has another length than a key of this suite").into());
        }
        kcv(algorithm, &opened.key).map_err(|e| refused(&e))?;
        Ok(opened.key)
    }

    /// Puts both under the LMK, for the one partner.
    fn keep(
        &self,
        hsm: &Offline,
        algorithm: ZoneAlgorithm,
        side: Side,
        pk: &[u8],
        mak: &[u8],
    ) -> Result<AgreedKeys, HsmSoftError> {
        let (owner, partner) = match side {
            Side::Vendor => (&self.vendor, &self.buyer),
            Side::Buyer => (&self.buyer, &self.vendor),
        };
        let kept = |target: Target, key: &[u8]| {
            let (purpose, place) = target.rule()?;
            let bound = Binding { place: place.as_deref(), owner, tk_hash: None };
            let notes = [(NAME, partner.as_str())];
            let block = hsm.lmk.wrap_noted(purpose, bound, KeyVersion::UNUSED, &notes, key)?;
            let kcv = kcv(algorithm, key).map_err(|_| HsmSoftError::Internal("a key of an agreement"))?;
            Ok::<_, HsmSoftError>(Agreed { block, kcv })
        };
        let partner = || partner.clone();
        Ok(AgreedKeys {
            pk: kept(Target::BatchProtect { partner: partner(), algorithm }, pk)?,
            mak: kept(Target::BatchMac { partner: partner(), algorithm }, mak)?,
        })
    }
}

fn length(algorithm: ZoneAlgorithm) -> usize {
    match algorithm {
        ZoneAlgorithm::Tdes => 24,
        ZoneAlgorithm::Aes => 32,
    }
}

fn make(algorithm: ZoneAlgorithm) -> Result<Zeroizing<Vec<u8>>, HsmSoftError> {
    let random = |e: paycrypto::Error| HsmSoftError::Random(e.to_string());
    Ok(match algorithm {
        ZoneAlgorithm::Tdes => Zeroizing::new(TdesKey::generate24().map_err(random)?.expose().to_vec()),
        ZoneAlgorithm::Aes => Zeroizing::new(AesKey::generate32().map_err(random)?.expose().to_vec()),
    })
}

/// The check value of a key that may be used; a poor one has none (R16).
fn kcv(algorithm: ZoneAlgorithm, key: &[u8]) -> Result<Vec<u8>, paycrypto::Error> {
    match algorithm {
        ZoneAlgorithm::Tdes => TdesKey::from_bytes_strict(key).map(|key| key.kcv().to_vec()),
        ZoneAlgorithm::Aes => AesKey::from_bytes_strict(key).map(|key| key.kcv().to_vec()),
    }
}

fn protection(algorithm: ZoneAlgorithm, kbpk: &[u8]) -> Result<Kbpk, HsmSoftError> {
    let version = match algorithm {
        ZoneAlgorithm::Tdes => Version::B,
        ZoneAlgorithm::Aes => Version::D,
    };
    Kbpk::new(version, kbpk).map_err(|_| HsmSoftError::Internal("the one-time key of an agreement"))
}
