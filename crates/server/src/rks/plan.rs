//! Which keys a device gets in one message.

use std::collections::BTreeSet;

use hsm::{Hsm, KeyBlock, commands::RksKeyKind};
use store::{SlotRecord, Store, StoreError, WorkingKind, WorkingSlot};
use wire::{Device, Serial, Slot};

use super::suite::{RksServerSuite, Wanted};
use crate::{config, kms::Kms, slots};

/// What a device has got on its connection so far: running the flow again, it goes on behind that.
#[derive(Default)]
pub(crate) struct Given {
    device: Option<Device>,
    slots: BTreeSet<u8>,
}

impl Given {
    /// What `device` has got; another device starts anew.
    pub(super) fn to(&mut self, device: &Device) -> &mut BTreeSet<u8> {
        if self.device.as_ref() != Some(device) {
            *self = Given { device: Some(device.clone()), slots: BTreeSet::new() };
        }
        &mut self.slots
    }
}

/// The keys of one message, and whether there are more.
pub(super) struct Plan {
    pub(super) items: Vec<Item>,
    pub(super) more: bool,
}

/// The keys of one slot.
pub(super) struct Item {
    pub(super) slot: Slot,
    pub(super) held: SlotRecord,
    pub(super) working: Vec<(WorkingKind, WorkingSlot)>,
}

/// Why a proven device gets nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Nothing {
    #[error("the acquirer has no key for this slot")]
    NoKey,
    #[error("the keys of its slots are active and the acquirer's policy keeps them")]
    ActiveStay,
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Plans the next message for a device that asks for `first` and has got `given`.
    pub(super) async fn plan(
        &self,
        settings: &config::Rks,
        sn: &Serial,
        first: Slot,
        given: &mut BTreeSet<u8>,
    ) -> Result<Result<Plan, Nothing>, StoreError> {
        let Some(mut wanted) = wanted(settings, first, given) else { return Ok(Err(Nothing::NoKey)) };
        if wanted.is_empty() {
            // It has everything and asks again: for new keys.
            given.clear();
            wanted = self::wanted(settings, first, given).unwrap_or_default();
        }
        let mut items = Vec::new();
        for slot in wanted {
            let held = self.store.slot(sn, slot).await?;
            if slots::keeps_active(&self.acquirer, &held) {
                continue;
            }
            let mut working = Vec::new();
            for kind in kinds(settings) {
                working.push((*kind, self.store.working_slot(sn, slot, *kind).await?));
            }
            items.push(Item { slot, held, working });
        }
        if items.is_empty() {
            return Ok(Err(Nothing::ActiveStay));
        }
        let fit = (settings.keys_per_message / (1 + kinds(settings).len())).max(1);
        let more = items.len() > fit;
        items.truncate(fit);
        Ok(Ok(Plan { items, more }))
    }
}

impl Plan {
    /// What the HSM is to give, in the order of the message: each TMK before the working keys under it.
    pub(super) fn wanted<U: RksServerSuite>(&self) -> Vec<Wanted> {
        self.items.iter().flat_map(Item::wanted::<U>).collect()
    }
}

impl Item {
    fn wanted<U: RksServerSuite>(&self) -> impl Iterator<Item = Wanted> {
        let slot = self.slot.index();
        let tmk = Wanted {
            slot,
            kind: RksKeyKind::Tmk,
            counter: U::next_counter(&self.held),
            pending: slots::pending_block::<U>(&self.held),
            avoid: slots::held_kcvs(&self.held),
        };
        let working = self.working.iter().filter_map(move |(kind, held)| {
            let kind = match kind {
                WorkingKind::Pik => RksKeyKind::Pik,
                WorkingKind::Mak => RksKeyKind::Mak,
                // A track key comes with a sign-in alone: `kinds` never names it.
                WorkingKind::Tdk => return None,
            };
            let pending = held.pending.as_ref().filter(|key| U::has_kcv(key.kcv));
            Some(Wanted {
                slot,
                kind,
                counter: None,
                pending: pending.map(|key| KeyBlock::from_text(key.block.clone())),
                avoid: held.active.iter().map(|key| key.kcv).collect(),
            })
        });
        std::iter::once(tmk).chain(working)
    }
}

fn kinds(settings: &config::Rks) -> &'static [WorkingKind] {
    if settings.working_keys { &[WorkingKind::Pik, WorkingKind::Mak] } else { &[] }
}

/// The slots from `first` on that are not given yet; nothing where `first` is none of them.
fn wanted(settings: &config::Rks, first: Slot, given: &BTreeSet<u8>) -> Option<Vec<Slot>> {
    let all: BTreeSet<u8> = settings.slots.iter().copied().collect();
    all.contains(&first.index()).then(|| {
        let open = all.range(first.index()..).filter(|slot| !given.contains(slot));
        open.filter_map(|slot| Slot::new(*slot).ok()).collect()
    })
}
