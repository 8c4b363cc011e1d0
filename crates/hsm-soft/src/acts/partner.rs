//! Keys agreed with a partner: PK and MAK between an MTMS and a KMS. Each is bound to the partner's name, so that one
//! partner's key never serves another, and its cipher is that of the keys it protects (R7).

use hsm::{KeyBlock, Refusal};
use paycrypto::{AesKey, TdesKey, ec, keys::Pk, mac};

use super::exchange::Cipher;
use crate::{
    SoftHsm,
    lmk::{Binding, Opened},
    purpose::Purpose,
    soft_hsm::check_name,
};

const PK: &str = "the protect key";
const MAK: &str = "the batch MAC key";

/// The place of a key that is agreed with a partner.
pub(crate) fn place_of(partner: &str) -> Result<String, Refusal> {
    check_name("a partner's name", partner)?;
    Ok(format!("partner/{partner}"))
}

/// PK, ready for use.
pub(super) enum Protect {
    /// Carries TKs of suite 01.
    Tdes(Pk),
    /// Carries TKs of suite 02.
    Aes(ec::keys::Pk),
}

impl Protect {
    pub(super) fn open(hsm: &SoftHsm, block: &KeyBlock, partner: &str, owner: &str) -> Result<Self, Refusal> {
        let purposes = [Purpose::BatchProtect, Purpose::BatchProtectAes];
        let (purpose, opened) = open(hsm, PK, block, &purposes, partner, owner)?;
        if purpose == Purpose::BatchProtectAes {
            let key = opened.key.as_slice().try_into().map_err(|_| poor(PK, &"a key of another length"))?;
            return Ok(Self::Aes(ec::keys::Pk::from_bytes(key)));
        }
        let key = TdesKey::from_bytes(&opened.key).and_then(Pk::from_key);
        key.map(Self::Tdes).map_err(|e| poor(PK, &e))
    }

    /// The cipher of the keys that it carries.
    pub(super) fn cipher(&self) -> Cipher {
        match self {
            Self::Tdes(_) => Cipher::Tdes,
            Self::Aes(_) => Cipher::Aes,
        }
    }
}

/// MAK, ready for use.
pub(super) enum BatchMak {
    /// 8 bytes of MAC.
    Tdes(TdesKey),
    /// 16 bytes of MAC.
    Aes(AesKey),
}

impl BatchMak {
    pub(super) fn open(hsm: &SoftHsm, block: &KeyBlock, partner: &str, owner: &str) -> Result<Self, Refusal> {
        let purposes = [Purpose::BatchMac, Purpose::BatchMacAes];
        let (purpose, opened) = open(hsm, MAK, block, &purposes, partner, owner)?;
        if purpose == Purpose::BatchMacAes {
            return AesKey::from_bytes_strict(&opened.key).map(Self::Aes).map_err(|e| poor(MAK, &e));
        }
        TdesKey::from_bytes_strict(&opened.key).map(Self::Tdes).map_err(|e| poor(MAK, &e))
    }

    /// CMAC of the parts, one after the other.
    pub(super) fn mac(&self, text: &[u8]) -> Vec<u8> {
        match self {
            Self::Tdes(key) => mac::cmac_tdes(key, text).to_vec(),
            Self::Aes(key) => mac::cmac_aes(key, text).to_vec(),
        }
    }
}

fn open(
    hsm: &SoftHsm,
    what: &'static str,
    block: &KeyBlock,
    purposes: &[Purpose],
    partner: &str,
    owner: &str,
) -> Result<(Purpose, Opened), Refusal> {
    let place = place_of(partner)?;
    let bound = Binding { place: Some(&place), owner, tk_hash: None };
    hsm.lmk.open_one_of(what, block, purposes, bound)
}

fn poor(what: &str, found: &dyn std::fmt::Display) -> Refusal {
    Refusal::WrongUse { what: what.into(), found: found.to_string() }
}
