//! Zones' PIN keys: taken from the other side, made for it, and opened for translation.

use std::collections::HashMap;

use hsm::{
    KeyBlock, Refusal,
    commands::{ImportZoneKey, MadeZoneKey, MakeZoneKey, ZoneAlgorithm, ZoneKey},
};
use keyblock::{Algorithm, Exportability, Header, KeyVersion, Mode, Usage, Version};
use paycrypto::{AesKey, TdesKey};
use pinblock::Format4Key;

use super::{
    exchange::refused,
    zone_master::{ZoneMaster, check_value},
};
use crate::{
    SoftHsm,
    lmk::{Binding, NAME},
    purpose::Purpose,
    soft_hsm::check_name,
};

pub(crate) fn import_zone_key(hsm: &SoftHsm, command: &ImportZoneKey) -> Result<ZoneKey, Refusal> {
    check_name("a zone's name", &command.zone)?;
    let under = ZoneMaster::open(hsm, &command.under, &command.owner)?;
    let opened = under.unwrap(&command.block, None)?;
    let header = &opened.header;
    if header.usage != Usage::PIN_ENCRYPTION {
        return Err(refused(&"it is another key: its usage is not P0"));
    }
    if ![Mode::ENCRYPT, Mode::BOTH].contains(&header.mode) {
        return Err(refused(&"its mode of use is neither E nor B: it must not encrypt a PIN"));
    }
    let algorithm = match header.algorithm {
        Algorithm::TDES => ZoneAlgorithm::Tdes,
        // X9.143 section 4: a key is not protected by a weaker one.
        Algorithm::AES if under.version() == Version::D => ZoneAlgorithm::Aes,
        Algorithm::AES => return Err(refused(&"an AES key does not travel under a TDES key")),
        _ => return Err(refused(&"its algorithm is neither T nor A")),
    };
    keep(hsm, &command.owner, &command.zone, algorithm, &opened.key)
}

pub(crate) fn make_zone_key(hsm: &SoftHsm, command: &MakeZoneKey) -> Result<MadeZoneKey, Refusal> {
    check_name("a zone's name", &command.zone)?;
    let under = ZoneMaster::open(hsm, &command.under, &command.owner)?;
    let not_made = |e: paycrypto::Error| Refusal::NotMade { why: e.to_string() };
    let make = |key: &[u8], algorithm| {
        let header = Header::new(
            under.version(),
            Usage::PIN_ENCRYPTION,
            algorithm,
            Mode::BOTH,
            Exportability::NOT_EXPORTABLE,
        );
        Ok(MadeZoneKey {
            key: keep(hsm, &command.owner, &command.zone, command.algorithm, key)?,
            under_zone: under.wrap(&header, key)?,
        })
    };
    match (command.algorithm, under.algorithm) {
        (ZoneAlgorithm::Tdes, _) => make(TdesKey::generate24().map_err(not_made)?.expose(), Algorithm::TDES),
        (ZoneAlgorithm::Aes, ZoneAlgorithm::Aes) => {
            make(AesKey::generate32().map_err(not_made)?.expose(), Algorithm::AES)
        }
        (ZoneAlgorithm::Aes, ZoneAlgorithm::Tdes) => {
            Err(Refusal::Malformed { what: "an AES key does not travel under a TDES key".into() })
        }
    }
}

/// Puts a zone's key under the LMK, bound to its name.
fn keep(
    hsm: &SoftHsm,
    owner: &str,
    zone: &str,
    algorithm: ZoneAlgorithm,
    key: &[u8],
) -> Result<ZoneKey, Refusal> {
    let kcv = check_value(algorithm, key)?;
    let purpose = match algorithm {
        ZoneAlgorithm::Tdes => Purpose::ZonePinTdes,
        ZoneAlgorithm::Aes => Purpose::ZonePinAes,
    };
    let block = hsm.lmk.wrap_noted(purpose, bound(owner), KeyVersion::UNUSED, &[(NAME, zone)], key)?;
    Ok(ZoneKey { block, algorithm, kcv })
}

/// A zone's key, ready for use.
pub(super) enum ZonePin {
    Tdes(TdesKey),
    Aes(Format4Key),
}

impl ZonePin {
    fn open(hsm: &SoftHsm, owner: &str, zone: &str, block: &KeyBlock) -> Result<Self, Refusal> {
        const WHAT: &str = "the zone key";
        let purposes = [Purpose::ZonePinTdes, Purpose::ZonePinAes];
        let (purpose, opened) = hsm.lmk.open_one_of(WHAT, block, &purposes, bound(owner))?;
        let found = opened.note(NAME).unwrap_or_default();
        if found != zone {
            return Err(Refusal::WrongPlace { what: WHAT.into(), wanted: zone.into(), found: found.into() });
        }
        let poor = |e: &dyn std::fmt::Display| Refusal::WrongUse { what: WHAT.into(), found: e.to_string() };
        if purpose == Purpose::ZonePinAes {
            Format4Key::new(&opened.key).map(Self::Aes).map_err(|e| poor(&e))
        } else {
            TdesKey::from_bytes_strict(&opened.key).map(Self::Tdes).map_err(|e| poor(&e))
        }
    }
}

/// The zone keys of one batch, each opened once.
pub(super) struct ZonePins<'a> {
    hsm: &'a SoftHsm,
    owner: &'a str,
    opened: HashMap<(&'a str, &'a str), Result<ZonePin, Refusal>>,
}

impl<'a> ZonePins<'a> {
    pub(super) fn new(hsm: &'a SoftHsm, owner: &'a str) -> Self {
        Self { hsm, owner, opened: HashMap::new() }
    }

    pub(super) fn get(&mut self, zone: &'a str, block: &'a KeyBlock) -> Result<&ZonePin, Refusal> {
        let opened = self
            .opened
            .entry((zone, block.as_str()))
            .or_insert_with(|| ZonePin::open(self.hsm, self.owner, zone, block));
        opened.as_ref().map_err(Clone::clone)
    }
}

/// A zone's key belongs to no PIN pad.
fn bound(owner: &str) -> Binding<'_> {
    Binding { place: None, owner, tk_hash: None }
}
