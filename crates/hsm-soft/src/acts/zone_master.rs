//! Key blocks under a zone master key: what another system sends, and what is made for it.

use hsm::{KeyBlock, Refusal, commands::ZoneAlgorithm};
use keyblock::{Header, Kbpk, Unwrapped, Version};
use paycrypto::{AesKey, TdesKey};

use super::exchange::refused;
use crate::{SoftHsm, lmk::Binding, purpose::Purpose};

/// A zone master key, ready for use.
pub(super) struct ZoneMaster {
    kbpk: Kbpk,
    pub(super) algorithm: ZoneAlgorithm,
}

impl ZoneMaster {
    pub(super) fn open(hsm: &SoftHsm, under: &KeyBlock, owner: &str) -> Result<Self, Refusal> {
        const WHAT: &str = "the zone master key";
        let bound = Binding { place: None, owner, tk_hash: None };
        let purposes = [Purpose::ZoneMasterTdes, Purpose::ZoneMasterAes];
        let (purpose, opened) = hsm.lmk.open_one_of(WHAT, under, &purposes, bound)?;
        let poor = |e: &dyn std::fmt::Display| Refusal::WrongUse { what: WHAT.into(), found: e.to_string() };
        let (kbpk, algorithm) = if purpose == Purpose::ZoneMasterAes {
            (Kbpk::new(Version::D, &opened.key), ZoneAlgorithm::Aes)
        } else {
            let key = TdesKey::from_bytes_strict(&opened.key).map_err(|e| poor(&e))?;
            (Kbpk::new(Version::B, key.expose()), ZoneAlgorithm::Tdes)
        };
        Ok(Self { kbpk: kbpk.map_err(|e| poor(&e))?, algorithm })
    }

    pub(super) fn version(&self) -> Version {
        self.kbpk.version()
    }

    pub(super) fn wrap(&self, header: &Header, key: &[u8]) -> Result<String, Refusal> {
        self.kbpk.wrap(header, key).map_err(|e| Refusal::NotMade { why: e.to_string() })
    }

    /// Opens a block. What every block of another system has to hold to is looked at here: not the zone master key
    /// itself, which has its one use, no component of a key, and no proprietary text but a place, which is given. The
    /// standard's own texts say nothing that we go by.
    pub(super) fn unwrap(&self, block: &str, place: Option<&str>) -> Result<Unwrapped, Refusal> {
        let opened = self.kbpk.unwrap(block).map_err(|e| refused(&e))?;
        // What opens its own block is the key that protects it, a TDES key's parity bits set aside.
        if Kbpk::new(self.version(), &opened.key).is_ok_and(|key| key.unwrap(block).is_ok()) {
            return Err(refused(&"it is the zone master key itself: a key has one use"));
        }
        if opened.header.key_version.as_bytes().starts_with(b"c") {
            return Err(refused(&"it is a component of a key, not a key"));
        }
        let proprietary = |id: &str| id.bytes().all(|character| character.is_ascii_digit());
        for optional in &opened.header.optional {
            if !proprietary(optional.id()) {
                continue;
            }
            if optional.id() != crate::lmk::PLACE {
                return Err(refused(&format!("it has a proprietary text {}", optional.id())));
            }
            if Some(optional.text()) != place {
                return Err(refused(&"it belongs to another place"));
            }
        }
        Ok(opened)
    }
}

/// A key's check value as its algorithm has it: 3 bytes for TDES, 5 for AES. Refuses poor keys and wrong lengths.
pub(super) fn check_value(algorithm: ZoneAlgorithm, key: &[u8]) -> Result<Vec<u8>, Refusal> {
    match algorithm {
        ZoneAlgorithm::Tdes => TdesKey::from_bytes_strict(key).map(|key| key.kcv().to_vec()),
        ZoneAlgorithm::Aes => AesKey::from_bytes_strict(key).map(|key| key.kcv().to_vec()),
    }
    .map_err(|e| refused(&e))
}
