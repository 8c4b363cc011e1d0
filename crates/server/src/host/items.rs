//! What translations and MACs have in common: from the terminal that an item names to the key that it needs.

use std::time::Instant;

use hsm::Hsm;
use store::{ActiveWorking, Store, StoreError, WorkingKind};
use wire::{Serial, Slot};

use super::{policy, refusal::HostRefusal};
use crate::{clock::now_ms, kms::Kms};

/// How a POSP names a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TerminalName<'a> {
    /// By its serial.
    Serial(&'a str),
    /// By the id that it has in the POSP's messages.
    Id(&'a str),
}

/// Whose working key an item needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Whose<'a> {
    /// The terminal.
    pub(crate) terminal: TerminalName<'a>,
    /// The slot.
    pub(crate) slot: u8,
}

/// A working key in use, and where it belongs.
pub(super) struct Found {
    /// The terminal, whatever it was named by.
    pub(super) sn: Serial,
    /// The slot.
    pub(super) slot: Slot,
    /// The key.
    pub(super) key: ActiveWorking,
}

/// Stands for the subject of an audit event about a terminal that was not found: what it was named by may be anything,
/// a card number in the wrong field included. No serial, which has other characters.
pub(super) const NOT_FOUND: &str = "(not found)";

impl<S: Store, H: Hsm> Kms<S, H> {
    /// The working keys of this kind that these items need, in order: one read for all of them. Each is counted as used.
    pub(super) async fn working_keys<'a>(
        &self,
        items: impl Iterator<Item = Result<Whose<'a>, HostRefusal>>,
        kind: WorkingKind,
    ) -> Result<Vec<Result<Found, HostRefusal>>, StoreError> {
        let mut places = Vec::with_capacity(items.size_hint().0);
        let mut wanted = Vec::with_capacity(items.size_hint().0);
        for item in items {
            let place = match item {
                Ok(whose) => self.place(whose).await?,
                Err(refusal) => Err(refusal),
            };
            places.push(place.inspect(|(sn, slot)| wanted.push((sn.clone(), *slot, kind))));
        }
        let mut found = self.store.active_working(wanted).await?.into_iter();
        let (now, mut counting) = (now_ms(), self.host.uses.count());
        let mut key_of = |place: Result<(Serial, Slot), HostRefusal>| {
            let (sn, slot) = place?;
            let key = found.next().flatten().ok_or(HostRefusal::NoWorkingKey)?;
            let used = (key.key.id, key.activated_at, key.uses);
            if policy::use_once(&self.host.settings, &mut counting, used, now) {
                Ok(Found { sn, slot, key })
            } else {
                Err(HostRefusal::WorkingKeyExpired)
            }
        };
        Ok(places.into_iter().map(&mut key_of).collect())
    }

    /// The serial and slot that an item means.
    pub(super) async fn place(
        &self,
        whose: Whose<'_>,
    ) -> Result<Result<(Serial, Slot), HostRefusal>, StoreError> {
        let Ok(slot) = Slot::new(whose.slot) else {
            return Ok(Err(HostRefusal::Malformed("slot must be 0 to 99")));
        };
        let sn = match whose.terminal {
            TerminalName::Serial(sn) => Serial::parse(sn)
                .map_err(|_| HostRefusal::Malformed("sn must be 1 to 32 of A-Z a-z 0-9 - . _")),
            TerminalName::Id(id) => self.serial_of(id).await?.ok_or(HostRefusal::UnknownTerminal),
        };
        Ok(sn.map(|sn| (sn, slot)))
    }

    async fn serial_of(&self, terminal_id: &str) -> Result<Option<Serial>, StoreError> {
        let now = Instant::now();
        if let Some(sn) = self.host.names.get(terminal_id, now) {
            return Ok(Some(sn));
        }
        let found = self.store.identity_of_terminal_id(terminal_id).await?;
        let sn = found.map(|identity| identity.sn);
        if let Some(sn) = &sn {
            self.host.names.put(terminal_id, sn.clone(), now);
        }
        Ok(sn)
    }
}
