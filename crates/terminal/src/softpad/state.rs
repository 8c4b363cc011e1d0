//! What the software PIN pad remembers.

use std::collections::BTreeMap;

use flows::repair::messages::CHALLENGE;
use paycrypto::digest::hmac_sha256;
use paycrypto::keys::{Dik2, Dmk};
use paycrypto::tk::{CheckedTk, TkDefect, UncheckedTk};
use wire::{Serial, Slot, Suite};
use zeroize::Zeroizing;

use super::pin_budget::PinBudget;
use super::slot_keys::{OWNER_ID, Owner, OwnerKind, SlotKeys};
use crate::life_cycle::{Milestone, Wipe};
use crate::refusals::RefusalLog;
use crate::{Error, Latch, LifeCycle};

/// Bytes of the key that owner identifiers are made with.
pub(super) const OWNER_KEY: usize = 32;

/// Everything that the PIN pad keeps, in clear, in memory only.
pub(super) struct PadState {
    pub(super) serial: Serial,
    pub(super) life_cycle: LifeCycle,
    pub(super) owner_key: Zeroizing<[u8; OWNER_KEY]>,
    pub(super) tk: Option<HeldTk>,
    pub(super) latch: Option<Latch>,
    pub(super) slots: BTreeMap<Slot, SlotKeys>,
    pub(super) identity: Option<Identity>,
    pub(super) dmk: Option<HeldDmk>,
    /// Openings of the lid that were acted on.
    pub(super) lid_openings: u64,
    /// The challenge that a repair authorisation must answer, until it is used.
    pub(super) challenge: Option<[u8; CHALLENGE]>,
    pub(super) refusals: RefusalLog,
    /// How many PINs may be encrypted now. No repair and no wipe fills it.
    pub(super) pins: PinBudget,
}

/// The TK as it is stored: 80 bytes with their hash, which is checked each time they are used.
pub(super) struct HeldTk(pub(super) Zeroizing<Vec<u8>>);

impl HeldTk {
    pub(super) fn check(&self) -> Result<CheckedTk, TkDefect> {
        UncheckedTk::new(self.0.clone()).check()
    }
}

/// DIK2 in its place, with the factor that it was derived with.
pub(super) struct Identity {
    pub(super) owner: Owner,
    pub(super) dik2: Dik2,
    pub(super) factor: Zeroizing<Vec<u8>>,
    pub(super) done: bool,
}

/// DMK in its place.
pub(super) struct HeldDmk {
    pub(super) owner: Owner,
    pub(super) dmk: Dmk,
    pub(super) done: bool,
}

impl PadState {
    /// A PIN pad as it leaves the machine: no TK, no key.
    pub(super) fn new(serial: Serial) -> Result<PadState, Error> {
        let mut owner_key = Zeroizing::new([0; OWNER_KEY]);
        paycrypto::random::fill(owner_key.as_mut_slice())?;
        let refusals = RefusalLog::new(serial.as_str());
        Ok(PadState {
            serial,
            life_cycle: LifeCycle::Production,
            owner_key,
            tk: None,
            latch: None,
            slots: BTreeMap::new(),
            identity: None,
            dmk: None,
            lid_openings: 0,
            challenge: None,
            refusals,
            pins: PinBudget::full(),
        })
    }

    /// The TK for one use, checked; nothing when there is none.
    pub(super) fn tk(&self) -> Result<Option<CheckedTk>, TkDefect> {
        self.tk.as_ref().map(HeldTk::check).transpose()
    }

    pub(super) fn has_tk(&self) -> bool {
        self.tk.is_some()
    }

    /// Whether there is any key at all.
    pub(super) fn has_keys(&self) -> bool {
        self.tk.is_some() || !self.slots.is_empty() || self.identity.is_some() || self.dmk.is_some()
    }

    /// Moves through the life cycle, erasing what the table says. Says whether that is possible.
    pub(super) fn pass(&mut self, milestone: Milestone) -> bool {
        let Some((to, wipe)) = self.life_cycle.step(milestone) else {
            return false;
        };
        match wipe {
            Wipe::Nothing => {}
            Wipe::Tk => self.erase_tk(),
            Wipe::Everything => self.erase_all(),
        }
        if milestone == Milestone::RepairAuthorised {
            // Used once. A power cut cannot bring it back: it goes in the same write as the keys.
            self.challenge = None;
        }
        self.life_cycle = to;
        true
    }

    /// Erases TK, latch and the slots that the TK owns. Those go with it because no other secret may fill them again,
    /// so they would be lost (1-systems.md, last section); and a TK is erased only before the terminal was deployed,
    /// when no host relies on their keys yet.
    pub(super) fn erase_tk(&mut self) {
        self.tk = None;
        self.latch = None;
        self.slots.retain(|_, keys| keys.owner.kind != OwnerKind::Tk);
    }

    /// Erases every key with its owner, and the latch.
    pub(super) fn erase_all(&mut self) {
        self.tk = None;
        self.latch = None;
        self.slots.clear();
        self.identity = None;
        self.dmk = None;
    }

    /// Puts a new TK in, and what was sent of it.
    pub(super) fn set_tk(&mut self, tk: &CheckedTk, latch: Latch) {
        self.tk = Some(HeldTk(tk.to_clear()));
        self.latch = Some(latch);
    }

    /// Replaces TK and nothing else, as no command of a PIN pad can.
    #[cfg(test)]
    pub(super) fn import_tk(&mut self, tk: &CheckedTk) {
        self.tk = Some(HeldTk(tk.to_clear()));
    }

    /// Spoils the stored TK.
    #[cfg(test)]
    pub(super) fn damage_tk(&mut self) {
        if let Some(byte) = self.tk.as_mut().and_then(|tk| tk.0.first_mut()) {
            *byte ^= 1;
        }
    }

    /// Who fills slots by this TK in this suite.
    pub(super) fn owner(&self, tk: &CheckedTk, suite: Suite) -> Owner {
        self.owner_by(OwnerKind::Tk, suite, tk.tek().expose())
    }

    /// Who fills places by this secret in this suite.
    pub(super) fn owner_by(&self, kind: OwnerKind, suite: Suite, secret: &[u8]) -> Owner {
        let mut input = Zeroizing::new(Vec::with_capacity(64));
        input.extend_from_slice(kind.label());
        input.push(suite.byte());
        input.extend_from_slice(secret);
        let mut id = [0; OWNER_ID];
        for (to, from) in id.iter_mut().zip(hmac_sha256(self.owner_key.as_slice(), &input).iter()) {
            *to = *from;
        }
        Owner { kind, suite, id }
    }
}
