//! PIN translation: from the terminal's PIK to a zone's key, in the HSM.

use std::{collections::HashMap, net::IpAddr};

use hsm::{
    Hsm, HsmError, KeyBlock, Sensitive,
    commands::{PinFormat, PinRefusal, PinTranslation, TranslatePins},
};
use store::{ActiveWorking, Store, StoreError, WorkingKind};

use super::{
    items::{TerminalName, Whose},
    refusal::{HostError, HostRefusal},
};
use crate::kms::Kms;

/// One PIN block to translate. PAN and block are the request's own bytes, wiped with it.
pub(crate) struct PinRequest<'a> {
    /// The terminal and its slot.
    pub(crate) whose: Whose<'a>,
    /// The zone that it goes to.
    pub(crate) zone: &'a str,
    /// The number of the format that came.
    pub(crate) from: u8,
    /// The number of the format wanted.
    pub(crate) to: u8,
    /// The block, 8 bytes.
    pub(crate) block: Sensitive<Vec<u8>>,
    /// The PAN.
    pub(crate) pan: Sensitive<String>,
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Translates these, in order: one read and one HSM command for all of them.
    pub(crate) async fn translate_pins(
        &self,
        items: Vec<Result<PinRequest<'_>, HostRefusal>>,
        source: IpAddr,
    ) -> Result<Vec<Result<Vec<u8>, HostRefusal>>, HostError> {
        let whose = items.iter().map(|item| item.as_ref().map(|item| item.whose).map_err(|error| *error));
        let keys = self.working_keys(whose, WorkingKind::Pik).await?;
        let zones = self.zones_of(&items).await?;
        let mut results = Vec::with_capacity(items.len());
        let mut asked = Vec::with_capacity(items.len());
        // Who is asked about for the audit's count, should the block be wrong.
        let mut names = Vec::with_capacity(items.len());
        for (item, key) in items.into_iter().zip(keys) {
            results.push(match translation(item, key, &zones) {
                Ok((item, name)) => {
                    asked.push(item);
                    names.push(name);
                    Ok(Vec::new())
                }
                Err(refusal) => Err(refusal),
            });
        }
        if asked.is_empty() {
            return Ok(results);
        }
        let wanted = asked.len();
        let command = TranslatePins { owner: self.acquirer.id.clone(), items: asked };
        let outcomes = self.hsm.call(command).await?;
        if outcomes.len() != wanted {
            return Err(HsmError::WrongReply("TranslatePins").into());
        }
        let mut outcomes = outcomes.into_iter().zip(names);
        for result in results.iter_mut().filter(|result| result.is_ok()) {
            let Some((outcome, name)) = outcomes.next() else { break };
            *result = outcome.map_err(|refusal| {
                let refusal = refusal_of(&refusal);
                self.refused_posp.count(source, name, refusal.code());
                refusal
            });
        }
        Ok(results)
    }

    /// The key of each zone that is named, read once.
    async fn zones_of<'a>(
        &self,
        items: &[Result<PinRequest<'a>, HostRefusal>],
    ) -> Result<HashMap<&'a str, Option<String>>, StoreError> {
        let mut zones = HashMap::new();
        for item in items.iter().flatten() {
            if !zones.contains_key(item.zone) {
                let found = self.store.zone_key(item.zone).await?;
                zones.insert(item.zone, found.map(|record| record.key.block));
            }
        }
        Ok(zones)
    }
}

fn translation<'a>(
    item: Result<PinRequest<'a>, HostRefusal>,
    key: Result<ActiveWorking, HostRefusal>,
    zones: &HashMap<&str, Option<String>>,
) -> Result<(PinTranslation, &'a str), HostRefusal> {
    let (item, key) = (item?, key?);
    let (from, to) = (format(item.from)?, format(item.to)?);
    let zone_key = zones.get(item.zone).and_then(Option::as_ref).ok_or(HostRefusal::UnknownZone)?;
    let (TerminalName::Serial(name) | TerminalName::Id(name)) = item.whose.terminal;
    let translation = PinTranslation {
        pin_pad: key.key_serial.to_string(),
        slot: item.whose.slot,
        pik: KeyBlock::from_text(key.key.block),
        zone: item.zone.to_owned(),
        zone_key: KeyBlock::from_text(zone_key.clone()),
        from,
        to,
        block: item.block,
        pan: item.pan,
    };
    Ok((translation, name))
}

/// The HSM knows the table of what may become what; here a number only becomes a format.
fn format(number: u8) -> Result<PinFormat, HostRefusal> {
    match number {
        0 => Ok(PinFormat::Iso0),
        1 => Ok(PinFormat::Iso1),
        2 => Ok(PinFormat::Iso2),
        3 => Ok(PinFormat::Iso3),
        4 => Ok(PinFormat::Iso4),
        _ => Err(HostRefusal::Format),
    }
}

fn refusal_of(refusal: &PinRefusal) -> HostRefusal {
    match refusal {
        PinRefusal::Format => HostRefusal::Format,
        PinRefusal::Pan => HostRefusal::Pan,
        PinRefusal::Block => HostRefusal::PinBlock,
        PinRefusal::Key(refusal) => HostRefusal::of_key(refusal),
    }
}
