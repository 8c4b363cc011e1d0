//! PIN translation: from the terminal's PIK to a zone's key, in the HSM.

use std::{
    collections::{BTreeMap, HashMap},
    net::IpAddr,
};

use hsm::{
    Hsm, HsmError, KeyBlock, Sensitive,
    commands::{PinFormat, PinOutcome, PinRefusal, PinTranslation, TranslatePins},
};
use serde_json::json;
use store::{Store, StoreError, WorkingKind};

use super::{
    items::{Found, NOT_FOUND, Whose},
    refusal::{HostError, HostRefusal},
};
use crate::kms::{Kms, event};

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
    /// The block: 8 bytes, 16 in format 4.
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
        let (mut asked, mut whose) = (Vec::with_capacity(items.len()), Vec::with_capacity(items.len()));
        let mut stopped = BTreeMap::new();
        for (item, key) in items.into_iter().zip(keys) {
            let ready = match key {
                Ok(found) if self.is_stopped(&found) => {
                    self.refused_posp.count(source, found.sn.as_str(), HostRefusal::WorkingKeyExpired.code());
                    stopped.insert(found.key.key.id, found);
                    Err(HostRefusal::WorkingKeyExpired)
                }
                Ok(found) => match item.and_then(|item| translation(item, &found, &zones)) {
                    Ok(item) => {
                        asked.push(item);
                        whose.push(found);
                        Ok(Vec::new())
                    }
                    Err(refusal) => {
                        self.refused_posp.count(source, found.sn.as_str(), refusal.code());
                        Err(refusal)
                    }
                },
                Err(refusal) => {
                    self.refused_posp.count(source, NOT_FOUND, refusal.code());
                    Err(refusal)
                }
            };
            results.push(ready);
        }
        if !asked.is_empty() {
            let wanted = asked.len();
            let command = TranslatePins { owner: self.acquirer.id.clone(), items: asked };
            let outcomes = self.hsm.call(command).await?;
            if outcomes.len() != wanted {
                return Err(HsmError::WrongReply("TranslatePins").into());
            }
            stopped.extend(self.judge(&mut results, outcomes.into_iter().zip(whose), source));
        }
        for found in stopped.into_values() {
            self.stop_pik(&found, source).await?;
        }
        Ok(results)
    }

    fn is_stopped(&self, found: &Found) -> bool {
        self.host.wrong_blocks.judge(self.host.settings.max_wrong_pin_blocks).is_stopped(found.key.key.id)
    }

    /// Puts outcomes in the places of `results` that wait for one, in order, and gives the keys that have had too many
    /// wrong blocks: nothing more is told of those, be it good or bad.
    fn judge(
        &self,
        results: &mut [Result<Vec<u8>, HostRefusal>],
        outcomes: impl Iterator<Item = (PinOutcome, Found)>,
        source: IpAddr,
    ) -> BTreeMap<i64, Found> {
        let mut stopped = BTreeMap::new();
        let mut judging = self.host.wrong_blocks.judge(self.host.settings.max_wrong_pin_blocks);
        for (result, (outcome, found)) in results.iter_mut().filter(|result| result.is_ok()).zip(outcomes) {
            let key = found.key.key.id;
            *result = if judging.is_stopped(key) {
                Err(HostRefusal::WorkingKeyExpired)
            } else {
                outcome.map_err(|refusal| refusal_of(&refusal))
            };
            if let Err(refusal) = result {
                self.refused_posp.count(source, found.sn.as_str(), refusal.code());
                if *refusal == HostRefusal::PinBlock {
                    judging.wrong(key);
                }
            }
            if judging.is_stopped(key) {
                stopped.insert(key, found);
            }
        }
        stopped
    }

    /// Stops a PIK on all servers of the estate, before anybody is told what its last blocks were.
    async fn stop_pik(&self, found: &Found, source: IpAddr) -> Result<(), StoreError> {
        let (sn, wrong) = (found.sn.as_str(), self.host.settings.max_wrong_pin_blocks);
        let detail = json!({ "slot": found.slot.index(), "kcv": found.key.key.kcv.to_string(),
            "wrong_blocks": wrong, "source": source.to_string() });
        if self
            .store
            .stop_working(found.key.key.id, event("alarm.wrong-pin-blocks", "server", sn, detail))
            .await?
        {
            tracing::warn!(
                sn,
                wrong,
                "too many wrong PIN blocks: the PIN key is stopped until the terminal signs in"
            );
        }
        Ok(())
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

fn translation(
    item: PinRequest<'_>,
    found: &Found,
    zones: &HashMap<&str, Option<String>>,
) -> Result<PinTranslation, HostRefusal> {
    let (from, to) = (format(item.from)?, format(item.to)?);
    let zone_key = zones.get(item.zone).and_then(Option::as_ref).ok_or(HostRefusal::UnknownZone)?;
    Ok(PinTranslation {
        pin_pad: found.key.key_serial.to_string(),
        slot: found.slot.index(),
        pik: KeyBlock::from_text(found.key.key.block.clone()),
        zone: item.zone.to_owned(),
        zone_key: KeyBlock::from_text(zone_key.clone()),
        from,
        to,
        block: item.block,
        pan: item.pan,
    })
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
