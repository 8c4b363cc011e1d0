//! The software PIN pad: what a terminal's secure module does, in a process, its state sealed.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the pad, its commands outside of flows |
//! | `guard.rs` | what stands before every step: sensors, life cycle, tampering |
//! | `download.rs`, `load.rs`, `identity.rs` | its part of a TMK download, a local loading, a download from the RKS |
//! | `load_ec.rs`, `identity_ec.rs` | the last two in suite 02 |
//! | `incoming.rs`, `ephemeral.rs` | where keys go that a KLD or an RKS brings; the half of an ephemeral agreement |
//! | `tms.rs`, `tms_ec.rs`, `seal.rs` | its part of a session with the TMS in suite 01, in suite 02, and of the sealed phase |
//! | `sign_in.rs`, `signing_in.rs` | its part of a sign-in, and what a suite is to one |
//! | `transaction.rs`, `pin_budget.rs` | PIN blocks, MACs, track data; how many PINs |
//! | `device_key.rs`, `device_certificate.rs` | the device key, and its certificate |
//! | `repair.rs` | challenge and authorisation |
//! | `state.rs`, `slot_keys.rs` | what it remembers, and when a key gives way to another |
//! | `separation.rs` | no key serves two uses |
//! | `stored.rs`, `codec.rs` | the bytes of that |

mod codec;
mod collect_ec;
mod counters;
mod device_certificate;
mod device_key;
mod download;
mod download_ec;
mod ephemeral;
mod guard;
mod held_tk;
mod identity;
mod identity_ec;
mod incoming;
mod keys;
mod load;
mod load_ec;
mod owner;
mod pin_budget;
mod repair;
mod seal;
mod separation;
mod sign_in;
mod signing_in;
mod slot_keys;
mod state;
mod stored;
#[cfg(test)]
mod tests;
mod tms;
mod tms_ec;
mod transaction;

use std::sync::Arc;

use flows::PadRefusal;
use flows::collect::Reason;
use flows::repair::messages::CHALLENGE;
use paycrypto::tk::CheckedTk;
use wire::{Serial, Slot, Suite};

use crate::board::{Board, SensorLimits, SharedBoard};
use crate::life_cycle::Milestone;
use crate::pad::{AcceptedPoint, Asked, PlaceStatus, SignedCollected};
use crate::refusals::RefusalLog;
use crate::storage::Record;
use crate::vault::Vault;
use crate::{
    AcceptedKey, Clock, Error, Latch, LifeCycle, PinPad, SlotStatus, SystemClock, TkCheck, WorkingStatus,
};
use counters::KeyName;
use download::Session;
pub(crate) use guard::Denied;
use held_tk::HeldTk;
use keys::{EcAes, KeptKey, Keys, Tdes};
use slot_keys::{Held, SlotKeys};
use state::PadState;

/// A PIN pad in software.
///
/// What it remembers is sealed ([`Storage`](crate::storage::Storage)) and there before anything that depends on it
/// leaves. An open download or loading is not remembered: a power cut ends it.
pub struct SoftPad {
    vault: Arc<Vault>,
    state: PadState,
    session: Session,
    board: Box<dyn Board>,
    limits: SensorLimits,
    clock: Arc<dyn Clock>,
    /// What is in memory may not be what is stored: a write failed and so did reading back. Nothing is done any more.
    broken: bool,
    /// Keys were wiped in memory, and the disk did not take it: it is tried again before anything else.
    wipe_unstored: bool,
}

impl SoftPad {
    /// A new PIN pad, stored.
    pub(crate) fn create(vault: Arc<Vault>, serial: Serial) -> Result<SoftPad, Error> {
        let state = PadState::new(serial)?;
        vault.store(Record::Pad, &state.encode()?)?;
        Ok(SoftPad::with(vault, state))
    }

    /// The stored PIN pad.
    pub(crate) fn open(vault: Arc<Vault>) -> Result<SoftPad, Error> {
        let state = PadState::decode(&vault.load(Record::Pad)?)?;
        Ok(SoftPad::with(vault, state))
    }

    fn with(vault: Arc<Vault>, state: PadState) -> SoftPad {
        SoftPad {
            vault,
            state,
            session: Session::Idle,
            board: Box::new(SharedBoard::default()),
            limits: SensorLimits::default(),
            clock: Arc::new(SystemClock),
            broken: false,
            wipe_unstored: false,
        }
    }

    /// Gives it the board that it sits on, and the ranges that production set.
    pub(crate) fn set_board(&mut self, board: impl Board + 'static, limits: SensorLimits) {
        self.board = Box::new(board);
        self.limits = limits;
    }

    /// Changes the state and stores it. When that fails the state is what is stored, so that nothing is done with what
    /// a power cut would take back.
    fn change(&mut self, act: impl FnOnce(&mut PadState)) -> Result<(), Error> {
        act(&mut self.state);
        let stored = self.store();
        if stored.is_err() && !self.wipe_unstored {
            match self.vault.load(Record::Pad).and_then(|bytes| PadState::decode(&bytes)) {
                Ok(state) => self.state = state,
                Err(_) => self.broken = true,
            }
        }
        stored
    }

    fn store(&self) -> Result<(), Error> {
        self.state.encode().and_then(|bytes| self.vault.store(Record::Pad, &bytes))
    }

    /// Passes a milestone by command; nothing is stored where nothing changes.
    fn pass(&mut self, milestone: Milestone) -> Result<(), Denied> {
        let from = self.state.life_cycle;
        let Some((to, _)) = from.step(milestone) else {
            let why = format!("{milestone:?} cannot be in {from}");
            return Err(self.deny("life-cycle", &from.to_string(), &why));
        };
        if to != from {
            self.session = Session::Idle;
            self.change(|state| {
                state.pass(milestone);
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
impl SoftPad {
    /// Wipes TK and latch, as no command does by itself.
    pub(crate) fn wipe_tk(&mut self) {
        self.change(PadState::erase_tk).unwrap();
    }
}

impl PinPad for SoftPad {
    fn serial(&self) -> &Serial {
        &self.state.serial
    }

    fn life_cycle(&self) -> LifeCycle {
        self.state.life_cycle
    }

    fn set_clock(&mut self, clock: Arc<dyn Clock>) {
        self.clock = clock;
    }

    fn poll(&mut self) -> Result<(), PadRefusal> {
        Ok(self.sense(false)?)
    }

    fn deploy(&mut self) -> Result<(), flows::tmk_download::PadRefusal> {
        self.guard()?;
        Ok(self.pass(Milestone::Deploy)?)
    }

    fn retire(&mut self) -> Result<(), PadRefusal> {
        self.check_whole()?;
        Ok(self.pass(Milestone::Retire)?)
    }

    fn wipe_for_root(&mut self) -> Result<(), PadRefusal> {
        self.guard()?;
        let state = self.state.life_cycle;
        match state {
            LifeCycle::Repair => Ok(self.change(PadState::erase_all).map_err(Denied::from)?),
            LifeCycle::Production if !self.state.has_keys() => Ok(()),
            LifeCycle::Production => Err(self
                .deny("root", "keys", "there are keys already; only repair changes the root then")
                .into()),
            _ => {
                let why =
                    format!("the terminal is {state}; a root is exchanged before the first key or in repair");
                Err(self.deny("root", &state.to_string(), &why).into())
            }
        }
    }

    fn latch(&self) -> Option<&Latch> {
        self.state.latch.as_ref()
    }

    fn check_tk(&mut self) -> Result<(), Reason> {
        self.guard()?;
        let state = self.state.life_cycle;
        if !state.may_make_tk() {
            let why =
                format!("the terminal is {state}; a transport key is collected in production or repair");
            return Err(self.deny("life-cycle", &state.to_string(), &why).into());
        }
        Ok(())
    }

    fn make_tk(&mut self, key: &AcceptedKey) -> Result<Latch, Reason> {
        self.check_tk()?;
        if !self.state.completed.allows(KeyName::Tk, Suite::TDES) {
            self.deny("suite", &Suite::TDES.to_string(), "");
            return Err(Reason::SuiteNotSupported { suite: Suite::TDES });
        }
        if let Some(latch) = &self.state.latch {
            if latch.digest == key.digest() {
                return Ok(latch.clone());
            }
            self.deny("latch", "another certificate", "");
            return Err(Reason::OtherCertificate);
        }
        self.session = Session::Idle;
        if self.state.has_tk() {
            self.change(PadState::erase_tk).map_err(internal)?;
        }
        let tk = CheckedTk::generate().map_err(internal)?;
        let ctk_pu = key.public_key().oaep_encrypt(&tk.to_clear()).map_err(internal)?;
        let (refusals, _) = self.state.refusals.unreported();
        let latch =
            Latch { digest: key.digest(), collector: key.collector(), ctk_pu, refusals, signed: None };
        self.change(|state| state.set_tk(HeldTk::tdes(&tk), latch.clone())).map_err(internal)?;
        // Once more before it is given out: the lid may have been opened meanwhile.
        self.guard()?;
        Ok(latch)
    }

    fn make_tk_ec(&mut self, key: &AcceptedPoint, asked: &Asked<'_>) -> Result<SignedCollected, Reason> {
        self.collect_ec(key, asked)
    }

    fn is_certified(&self) -> bool {
        self.state.certified().is_some()
    }

    fn tk_check_values(&self) -> Option<TkCheck> {
        self.state.tk.as_ref()?.check_values()
    }

    fn tk_suite(&self) -> Suite {
        self.state.tk.as_ref().map_or(Suite::TDES, HeldTk::suite)
    }

    fn check_loading(&mut self) -> Result<(), PadRefusal> {
        Ok(self.may_load()?)
    }

    fn refusals(&self) -> &RefusalLog {
        &self.state.refusals
    }

    fn refuse(&mut self, check: &str, reading: &str) {
        self.deny(check, reading, "");
    }

    fn reported(&mut self, known: u64) -> Result<(), PadRefusal> {
        if known > self.state.refusals.reported() {
            self.change(|state| {
                state.refusals.report(known);
            })
            .map_err(Denied::from)?;
        }
        Ok(())
    }

    fn repair_challenge(&mut self) -> Result<[u8; CHALLENGE], PadRefusal> {
        Ok(self.make_challenge()?)
    }

    fn open_challenge(&self) -> Option<[u8; CHALLENGE]> {
        self.state.challenge
    }

    fn repair(&mut self, authorisation: &crate::RepairAuthorisation<'_>) -> Result<(), PadRefusal> {
        self.enter_repair(authorisation)
    }

    fn slots(&self) -> Vec<SlotStatus> {
        let mut slots = slots_of::<EcAes>(&self.state);
        let higher: Vec<_> = slots.iter().map(|status| status.slot).collect();
        // A slot that is moving up has a key of each suite: the higher one stands for it.
        slots.extend(
            slots_of::<Tdes>(&self.state).into_iter().filter(|status| !higher.contains(&status.slot)),
        );
        slots.sort_by_key(|status| status.slot);
        slots
    }

    fn identity_suite(&self) -> Suite {
        // One of suite 02 whose DONE did not come stands beside the one that it is to replace.
        match (&self.state.ec_aes.identity, &self.state.tdes.identity) {
            (Some(identity), before) if identity.done || before.is_none() => Suite::EC_AES,
            _ => Suite::TDES,
        }
    }

    fn tms_suite(&self) -> Suite {
        self.state.tms_suite()
    }

    fn sign_in_order(&self, slot: Slot) -> Vec<(Suite, u8)> {
        self.state.sign_in_order(slot)
    }

    fn identity(&self) -> Option<PlaceStatus> {
        let ec_aes = self.state.ec_aes.identity.as_ref().map(|held| (held.dik2.check_value(), held.done));
        let tdes = || self.state.tdes.identity.as_ref().map(|held| (held.dik2.check_value(), held.done));
        ec_aes.or_else(tdes).map(|(kcv, done)| PlaceStatus { kcv, done })
    }

    fn dmk(&self) -> Option<PlaceStatus> {
        let ec_aes = self.state.ec_aes.dmk.as_ref().map(|held| (held.dmk.check_value(), held.done));
        let tdes = || self.state.tdes.dmk.as_ref().map(|held| (held.dmk.check_value(), held.done));
        ec_aes.or_else(tdes).map(|(kcv, done)| PlaceStatus { kcv, done })
    }
}

fn slots_of<S: Keys>(state: &PadState) -> Vec<SlotStatus> {
    let status = |(slot, keys): (&Slot, &SlotKeys<S>)| SlotStatus {
        slot: *slot,
        suite: keys.owner.suite,
        kcv: keys.tmk.kcv(),
        done: keys.tmk.is_done(),
        previous: keys.tmk.previous_kcv(),
        working: WorkingStatus {
            pik: keys.working.pik.as_ref().map(Held::kcv),
            mak: keys.working.mak.as_ref().map(Held::kcv),
            tdk: keys.working.tdk.as_ref().map(Held::kcv),
        },
    };
    state.of::<S>().slots.iter().map(status).collect()
}

impl std::fmt::Debug for SoftPad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SoftPad({}, {})", self.state.serial, self.state.life_cycle)
    }
}

fn internal(error: impl std::fmt::Display) -> Reason {
    Reason::Internal { why: error.to_string() }
}
