//! The PIN pad's part of a TMK download (2-wire.md section 4, flow A).
//!
//! Every call takes the open download out and puts it back only when all was well: each step is tried once, and a
//! refusal ends the download. Rnd1 is used for one challenge.

use flows::tmk_download::messages::{Done, KeyConfirm, RANDOM, Rnd1, TkChallenge, TkHello, TkKey, TkReply};
use flows::tmk_download::{DownloadPad, PadRefusal};
use flows::{Loaded, ProtocolError, Tdes, Transcript};
use paycrypto::blocks;
use paycrypto::tk::CheckedTk;
use wire::{Frame, Kcv, Place, Slot, Suite};

use super::counters::KeyName;
use super::download_ec::DownloadSession;
use super::identity::IdentitySession;
use super::identity_ec::EcIdentitySession;
use super::incoming::Place as KeyPlace;
use super::keys::EcAes;
use super::load::Accepted;
use super::load_ec::LoadSession;
use super::separation::{KeyUse, twin};
use super::sign_in::SignInSession;
use super::tms::TmsSession;
use super::tms_ec::EcTmsSession;
use super::{Denied, SoftPad};
use crate::PinPad;
use crate::life_cycle::Milestone;

/// Sets the top bit of a random number to 0, as Rnd1's is.
pub(super) const RND1_MASK: u8 = 0x7F;

/// Where an open download or loading is. There is one at a time: who begins another ends it.
pub(super) enum Session {
    /// There is none.
    Idle,
    /// Rnd1 was given out.
    Started { slot: Slot, rnd1: [u8; RANDOM] },
    /// The KMS proved itself; over TK_HELLO and TK_CHALLENGE goes `transcript`.
    Challenged { slot: Slot, crnd2: [u8; RANDOM], transcript: Transcript },
    /// The key is stored.
    Keyed { slot: Slot, kcv: Kcv },
    /// A TMK download in suite 02.
    DownloadEc(DownloadSession),
    /// A local loading: C_rnd1_rnd2 was given out.
    LoadAccepted(Box<Accepted>),
    /// A local loading: the key is stored.
    LoadDone { place: KeyPlace, kcv: Kcv },
    /// A local loading in suite 02.
    LoadEc(Box<LoadSession>),
    /// A download from the RKS.
    Identity(Box<IdentitySession>),
    /// A download from the RKS in suite 02.
    IdentityEc(Box<EcIdentitySession>),
    /// A session with the TMS.
    Tms(Box<TmsSession>),
    /// A session with the TMS in suite 02.
    TmsEc(Box<EcTmsSession>),
    /// A sign-in.
    SignIn(Box<SignInSession>),
    /// A sign-in in suite 02.
    SignInEc(Box<SignInSession<EcAes>>),
}

impl SoftPad {
    /// The TK, checked for this use, if it may fill this slot.
    fn tk_for(&mut self, slot: Slot) -> Result<CheckedTk, PadRefusal> {
        self.may_load()?;
        self.check_suite(KeyName::Slot(slot), Suite::TDES)?;
        let tk = match self.state.tk() {
            Ok(Some(tk)) => tk,
            Ok(None) => {
                let why = "there is no transport key: collect the terminal first";
                return Err(self.deny("transport-key", "none", why).into());
            }
            Err(defect) => return Err(PadRefusal::Failed { why: defect.to_string() }),
        };
        let held = self.state.slot_owner(slot);
        let by = self.state.owner(&tk, Suite::TDES);
        self.check_owner(held, &by, &format!("slot {slot}"))?;
        Ok(tk)
    }

    pub(super) fn take_session(&mut self) -> Session {
        std::mem::replace(&mut self.session, Session::Idle)
    }
}

impl DownloadPad for SoftPad {
    fn start(&mut self, slot: Slot) -> Result<Rnd1, PadRefusal> {
        self.session = Session::Idle;
        self.tk_for(slot)?;
        let mut rnd1 = [0; RANDOM];
        paycrypto::random::fill(&mut rnd1).map_err(failed)?;
        let [first, ..] = &mut rnd1;
        *first &= RND1_MASK;
        self.session = Session::Started { slot, rnd1 };
        Ok(Rnd1(rnd1))
    }

    fn challenge(&mut self, hello: &Frame, challenge: &Frame) -> Result<TkReply, PadRefusal> {
        let Session::Started { slot, rnd1 } = self.take_session() else {
            return Err(not_permitted("no download was started"));
        };
        let said = <TkHello>::read(hello).map_err(unreadable)?;
        let own = said.suite == Suite::TDES
            && said.device.pin_pad() == self.serial()
            && said.slot == slot
            && said.opening == Rnd1(rnd1);
        if !own {
            return Err(not_permitted("TK_HELLO does not say what this PIN pad began"));
        }
        let TkChallenge { crnd1, rnd2 } = TkChallenge::read(challenge).map_err(unreadable)?;
        let tk = self.tk_for(slot)?;
        if !tk.auk().answers(rnd1, &crnd1) {
            self.deny("TK_CHALLENGE 0005", "Crnd1 is wrong", "");
            return Err(PadRefusal::ServerNotProven);
        }
        let crnd2 = tk.auk().answer(rnd2);
        let mut transcript = Transcript::new();
        transcript.push(hello);
        transcript.push(challenge);
        self.session = Session::Challenged { slot, crnd2, transcript };
        Ok(TkReply { crnd2 })
    }

    fn key(&mut self, reply: &Frame, key: &Frame) -> Result<Loaded, PadRefusal> {
        let Session::Challenged { slot, crnd2, mut transcript } = self.take_session() else {
            return Err(not_permitted("no KMS has proved itself in this download"));
        };
        if TkReply::read(reply).map_err(unreadable)?.crnd2 != crnd2 {
            return Err(not_permitted("TK_REPLY is not the answer that this PIN pad gave"));
        }
        transcript.push(reply);
        let block = TkKey::read::<Tdes>(key).map_err(unreadable)?.block;
        let tk = self.tk_for(slot)?;
        let place = Place::new(self.serial().clone(), slot).to_string();
        let tmk = blocks::unwrap_tmk(tk.tek(), &block, &place, transcript.context().as_bytes())
            .map_err(|refusal| refusal.to_string())
            .and_then(|tmk| {
                let held = self.state.held_beside(Some(slot));
                twin((KeyUse::Tmk, tmk.expose()), held).map_or(Ok(tmk), Err)
            });
        let tmk = match tmk {
            Ok(tmk) => tmk,
            Err(why) => {
                self.deny("TK_KEY 0007", &why, "");
                return Err(PadRefusal::KeyRefused { why });
            }
        };
        let kcv = Kcv::Tdes(tmk.kcv());
        // A broken download brings the pending key again: it is there already.
        if !self.state.tdes.slots.get(&slot).is_some_and(|keys| keys.tmk.holds(&tmk)) {
            let owner = self.state.owner(&tk, Suite::TDES);
            self.change(|state| state.put_tmk::<Tdes>(slot, owner, tmk)).map_err(Denied::from)?;
        }
        self.session = Session::Keyed { slot, kcv };
        Ok(Loaded::of(vec![kcv]))
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let Session::Keyed { slot, kcv } = self.take_session() else {
            return Err(not_permitted("no key was loaded in this download"));
        };
        if KeyConfirm::read(confirm).map_err(unreadable)?.kcvs != [kcv] {
            return Err(not_permitted("KEY_CONFIRM does not name the key that was loaded"));
        }
        Done::read(done).map_err(unreadable)?;
        self.may_load()?;
        let known = self.state.tdes.slots.get(&slot).is_some_and(|keys| keys.tmk.is_done());
        if known && self.state.life_cycle.after(Milestone::KeyDone) == Some(self.state.life_cycle) {
            return Ok(());
        }
        self.change(|state| {
            state.pass(Milestone::KeyDone);
            if let Some(keys) = state.tdes.slots.get_mut(&slot) {
                keys.tmk.finish();
            }
        })
        .map_err(Denied::from)?;
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
