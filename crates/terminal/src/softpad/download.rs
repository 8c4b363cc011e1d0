//! The PIN pad's part of a TMK download (2-wire.md section 4, flow A).
//!
//! Every call takes the open download out and puts it back only when all was well: each step is tried once, and a
//! refusal ends the download. Rnd1 is used for one challenge.

use flows::tmk_download::messages::{Done, KeyConfirm, RANDOM, TkChallenge, TkHello, TkKey, TkReply};
use flows::tmk_download::{DownloadPad, PadRefusal};
use flows::{ProtocolError, Transcript};
use paycrypto::blocks;
use paycrypto::tk::CheckedTk;
use wire::{Frame, Kcv, Place, Slot, Suite};

use super::SoftPad;
use super::slot_keys::SlotKeys;
use crate::PinPad;
use crate::life_cycle::Milestone;

/// Sets the top bit of a random number to 0, as Rnd1's is.
const RND1_MASK: u8 = 0x7F;

/// Where an open download is.
pub(super) enum Session {
    /// There is none.
    Idle,
    /// Rnd1 was given out.
    Started { slot: Slot, rnd1: [u8; RANDOM] },
    /// The KMS proved itself; over TK_HELLO and TK_CHALLENGE goes `transcript`.
    Challenged { slot: Slot, crnd2: [u8; RANDOM], transcript: Transcript },
    /// The key is stored.
    Keyed { slot: Slot, kcv: Kcv },
}

impl SoftPad {
    /// The TK, checked for this use, if it may fill this slot.
    fn tk_for(&self, slot: Slot) -> Result<CheckedTk, PadRefusal> {
        self.check_whole()?;
        let state = self.state.life_cycle;
        if !state.may_load_keys() {
            return Err(not_permitted(format!("the terminal is {state}")));
        }
        let tk = match self.state.tk() {
            Ok(Some(tk)) => tk,
            Ok(None) => return Err(not_permitted("there is no transport key: collect the terminal first")),
            Err(defect) => return Err(PadRefusal::Failed { why: defect.to_string() }),
        };
        match self.state.slots.get(&slot) {
            Some(keys) if !keys.owner.admits(&self.state.owner(&tk, Suite::TDES)) => {
                Err(not_permitted(format!(
                    "slot {slot} belongs to another key system: only a repair authorisation gives it away"
                )))
            }
            _ => Ok(tk),
        }
    }

    fn take_session(&mut self) -> Session {
        std::mem::replace(&mut self.session, Session::Idle)
    }
}

impl DownloadPad for SoftPad {
    fn start(&mut self, slot: Slot) -> Result<[u8; RANDOM], PadRefusal> {
        self.session = Session::Idle;
        self.tk_for(slot)?;
        let mut rnd1 = [0; RANDOM];
        paycrypto::random::fill(&mut rnd1).map_err(failed)?;
        let [first, ..] = &mut rnd1;
        *first &= RND1_MASK;
        self.session = Session::Started { slot, rnd1 };
        Ok(rnd1)
    }

    fn challenge(&mut self, hello: &Frame, challenge: &Frame) -> Result<[u8; RANDOM], PadRefusal> {
        let Session::Started { slot, rnd1 } = self.take_session() else {
            return Err(not_permitted("no download was started"));
        };
        let said = TkHello::read(hello).map_err(unreadable)?;
        let own = said.suite == Suite::TDES
            && said.device.pin_pad() == self.serial()
            && said.slot == slot
            && said.rnd1 == rnd1;
        if !own {
            return Err(not_permitted("TK_HELLO does not say what this PIN pad began"));
        }
        let TkChallenge { crnd1, rnd2 } = TkChallenge::read(challenge).map_err(unreadable)?;
        let tk = self.tk_for(slot)?;
        if !tk.auk().answers(rnd1, &crnd1) {
            return Err(PadRefusal::ServerNotProven);
        }
        let crnd2 = tk.auk().answer(rnd2);
        let mut transcript = Transcript::new();
        transcript.push(hello);
        transcript.push(challenge);
        self.session = Session::Challenged { slot, crnd2, transcript };
        Ok(crnd2)
    }

    fn key(&mut self, reply: &Frame, key: &Frame) -> Result<Kcv, PadRefusal> {
        let Session::Challenged { slot, crnd2, mut transcript } = self.take_session() else {
            return Err(not_permitted("no KMS has proved itself in this download"));
        };
        if TkReply::read(reply).map_err(unreadable)?.crnd2 != crnd2 {
            return Err(not_permitted("TK_REPLY is not the answer that this PIN pad gave"));
        }
        transcript.push(reply);
        let block = TkKey::read(key).map_err(unreadable)?.block;
        let tk = self.tk_for(slot)?;
        let place = Place::new(self.serial().clone(), slot).to_string();
        let tmk = blocks::unwrap_tmk(tk.tek(), &block, &place, transcript.context().as_bytes())
            .map_err(|refusal| PadRefusal::KeyRefused { why: refusal.to_string() })?;
        let kcv = Kcv::Tdes(tmk.kcv());
        // A broken download brings the pending key again: it is there already.
        if !self.state.slots.get(&slot).is_some_and(|keys| keys.holds(&tmk)) {
            let owner = self.state.owner(&tk, Suite::TDES);
            self.change(|state| match state.slots.get_mut(&slot) {
                Some(keys) => keys.take(tmk),
                None => {
                    state.slots.insert(slot, SlotKeys::first(owner, tmk));
                }
            })?;
        }
        self.session = Session::Keyed { slot, kcv };
        Ok(kcv)
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let Session::Keyed { slot, kcv } = self.take_session() else {
            return Err(not_permitted("no key was loaded in this download"));
        };
        if KeyConfirm::read(confirm).map_err(unreadable)?.kcv != kcv {
            return Err(not_permitted("KEY_CONFIRM does not name the key that was loaded"));
        }
        Done::read(done).map_err(unreadable)?;
        self.check_whole()?;
        let life_cycle = self.after(Milestone::KeyDone)?;
        let known = self.state.slots.get(&slot).is_some_and(SlotKeys::is_done);
        if known && life_cycle == self.state.life_cycle {
            return Ok(());
        }
        self.change(|state| {
            state.life_cycle = life_cycle;
            if let Some(keys) = state.slots.get_mut(&slot) {
                keys.finish();
            }
        })?;
        Ok(())
    }
}

fn not_permitted(why: impl Into<String>) -> PadRefusal {
    PadRefusal::NotPermitted { why: why.into() }
}

fn failed(error: impl std::fmt::Display) -> PadRefusal {
    PadRefusal::Failed { why: error.to_string() }
}

/// A frame that is not the message of its step: malformed, or handed in by an application that lost its order.
fn unreadable(error: ProtocolError) -> PadRefusal {
    match error {
        ProtocolError::Malformed(malformed) => PadRefusal::Malformed(malformed),
        other => not_permitted(other.to_string()),
    }
}
