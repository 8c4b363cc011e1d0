//! The software PIN pad: what a terminal's secure module does, in a process, its state sealed.
//!
//! | file | what |
//! |---|---|
//! | `mod.rs` | the pad, its commands outside of flows |
//! | `download.rs` | its part of a TMK download |
//! | `state.rs`, `slot_keys.rs` | what it remembers, and when a key gives way to another |
//! | `codec.rs` | the bytes of that |

mod codec;
mod download;
mod slot_keys;
mod state;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use flows::collect::Reason;
use flows::tmk_download::PadRefusal;
use paycrypto::tk::CheckedTk;
use wire::{Kcv, Serial};

use crate::life_cycle::Milestone;
use crate::storage::Record;
use crate::vault::Vault;
use crate::{AcceptedKey, Error, Latch, LifeCycle, PinPad, SlotStatus};
use download::Session;
use state::PadState;

/// A PIN pad in software.
///
/// What it remembers is sealed ([`Storage`](crate::storage::Storage)) and there before anything that depends on it
/// leaves. An open download is not remembered: a power cut ends it.
pub struct SoftPad {
    vault: Arc<Vault>,
    state: PadState,
    session: Session,
    /// What is in memory may not be what is stored: a write failed and so did reading back. Nothing is done any more.
    broken: bool,
}

impl SoftPad {
    /// A new PIN pad, stored.
    pub(crate) fn create(vault: Arc<Vault>, serial: Serial) -> Result<SoftPad, Error> {
        let state = PadState::new(serial)?;
        vault.store(Record::Pad, &state.encode()?)?;
        Ok(SoftPad { vault, state, session: Session::Idle, broken: false })
    }

    /// The stored PIN pad.
    pub(crate) fn open(vault: Arc<Vault>) -> Result<SoftPad, Error> {
        let state = PadState::decode(&vault.load(Record::Pad)?)?;
        Ok(SoftPad { vault, state, session: Session::Idle, broken: false })
    }

    /// Changes the state and stores it. When that fails the state is what is stored, so that nothing is done with what
    /// a power cut would take back.
    fn change(&mut self, act: impl FnOnce(&mut PadState)) -> Result<(), Error> {
        act(&mut self.state);
        let stored = self.state.encode().and_then(|bytes| self.vault.store(Record::Pad, &bytes));
        if stored.is_err() {
            match self.vault.load(Record::Pad).and_then(|bytes| PadState::decode(&bytes)) {
                Ok(state) => self.state = state,
                Err(_) => self.broken = true,
            }
        }
        stored
    }

    /// Refuses when memory and storage may differ.
    fn check_whole(&self) -> Result<(), PadRefusal> {
        if self.broken {
            return Err(PadRefusal::Failed {
                why: "its state could not be stored; restart the terminal".into(),
            });
        }
        Ok(())
    }

    fn after(&self, milestone: Milestone) -> Result<LifeCycle, PadRefusal> {
        let state = self.state.life_cycle;
        state
            .after(milestone)
            .ok_or_else(|| PadRefusal::NotPermitted { why: format!("{milestone:?} cannot be in {state}") })
    }
}

impl PinPad for SoftPad {
    fn serial(&self) -> &Serial {
        &self.state.serial
    }

    fn life_cycle(&self) -> LifeCycle {
        self.state.life_cycle
    }

    fn deploy(&mut self) -> Result<(), PadRefusal> {
        self.check_whole()?;
        let after = self.after(Milestone::Deploy)?;
        if after != self.state.life_cycle {
            self.change(|state| state.life_cycle = after)?;
        }
        Ok(())
    }

    fn latch(&self) -> Option<&Latch> {
        self.state.latch.as_ref()
    }

    fn make_tk(&mut self, key: &AcceptedKey) -> Result<Latch, Reason> {
        self.check_whole().map_err(internal)?;
        let state = self.state.life_cycle;
        if !state.may_make_tk() {
            return Err(Reason::NotPermitted { why: format!("the terminal is {state}") });
        }
        if let Some(latch) = &self.state.latch {
            return if latch.digest == key.digest() {
                Ok(latch.clone())
            } else {
                Err(Reason::OtherCertificate)
            };
        }
        self.session = Session::Idle;
        if self.state.has_tk() {
            self.change(PadState::erase_tk).map_err(internal)?;
        }
        let tk = CheckedTk::generate().map_err(internal)?;
        let ctk_pu = key.public_key().oaep_encrypt(&tk.to_clear()).map_err(internal)?;
        let latch = Latch { digest: key.digest(), collector: key.collector(), ctk_pu };
        self.change(|state| state.set_tk(&tk, latch.clone())).map_err(internal)?;
        Ok(latch)
    }

    fn slots(&self) -> Vec<SlotStatus> {
        self.state
            .slots
            .iter()
            .map(|(slot, keys)| SlotStatus {
                slot: *slot,
                suite: keys.owner.suite,
                kcv: Kcv::Tdes(keys.kcv()),
                done: keys.is_done(),
                previous: keys.previous_kcv().map(Kcv::Tdes),
            })
            .collect()
    }
}

impl std::fmt::Debug for SoftPad {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SoftPad({}, {})", self.state.serial, self.state.life_cycle)
    }
}

fn internal(error: impl std::fmt::Display) -> Reason {
    Reason::Internal { why: error.to_string() }
}
