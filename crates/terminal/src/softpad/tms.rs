//! The PIN pad's part of a session with the TMS in suite 01 (2-wire.md section 4, flow E).
//!
//! Every call takes the open session out and puts it back only when all was well. DWK and session key are in memory
//! only: they wipe themselves at the first refusal, at the end, and when anything else is begun.

use flows::rks_load::messages::{Done, KeyConfirm};
use flows::tms_session::messages::{
    Challenge, OPERATOR_PROOF, Sac1, SessionBlock, SessionKeys, TacAndDwk, TmsChallenge, TmsHello, TmsKey,
    TmsProof,
};
use flows::tms_session::{OperatorPassword, PadOpening, PadProof, TmsPad};
use flows::{Loaded, PadRefusal, Transcript};
use paycrypto::keys::{Dwk, SessionKey, Tmk};
use paycrypto::operator::Verifier;
use wire::{BcdTime, Frame, Kcv, OperatorId, Slot, Src, Suite, TData};

use super::counters::KeyName;
use super::download::Session;
use super::keys::Tdes;
use super::load::{failed, not_permitted, not_proven, own_place, unreadable};
use super::owner::{Owner, OwnerKind};
use super::seal::{Seal, Sealing};
use super::separation::{KeyUse, refuse_twin};
use super::{Denied, SoftPad};
use crate::PinPad;
use crate::life_cycle::Milestone;

/// Where an open session is.
pub(super) enum TmsSession {
    /// T_DATA was given out.
    Begun(TData),
    /// The TMS proved itself, and was given a proof.
    Proven(Proven),
    /// Transaction 0001: the TMK is stored.
    Keyed { slot: Slot, kcv: Kcv },
    /// Transaction 0002: the seal works.
    Sealed(Seal),
}

impl TmsSession {
    pub(super) fn sealing(&mut self) -> Option<&mut dyn Sealing> {
        match self {
            TmsSession::Sealed(seal) => Some(seal),
            _ => None,
        }
    }

    pub(super) fn blocks_left(&self) -> u64 {
        match self {
            TmsSession::Sealed(seal) => seal.blocks_left(),
            _ => 0,
        }
    }
}

/// What is known once the TMS proved itself; over TMS_HELLO and TMS_CHALLENGE goes `transcript`.
pub(super) struct Proven {
    dwk: Dwk,
    wants: Option<Slot>,
    sac_1: [u8; 4],
    operator: Option<(OperatorId, [u8; OPERATOR_PROOF])>,
    transcript: Transcript,
}

impl TmsPad for SoftPad {
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening, PadRefusal> {
        self.session = Session::Idle;
        self.dmk_owner()?;
        let mut random = [0; 4];
        paycrypto::random::fill(&mut random).map_err(failed)?;
        let t_data = TData::new(random, when);
        self.session = Session::Tms(Box::new(TmsSession::Begun(t_data)));
        Ok(PadOpening { t_data, opening: () })
    }

    fn tms_prove(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof, PadRefusal> {
        let TmsSession::Begun(t_data) = self.take_tms()? else {
            return Err(not_permitted("this session has its proof already"));
        };
        let owner = self.dmk_owner()?;
        let proven = self.prove(t_data, &owner, hello, challenge, operator);
        let proven = self.recorded("TMS_CHALLENGE", proven)?;
        let operator = proven.operator.as_ref().map(|(_, proof)| *proof);
        let proof = PadProof { proof: Sac1(proven.sac_1), operator };
        self.session = Session::Tms(Box::new(TmsSession::Proven(proven)));
        Ok(proof)
    }

    fn tms_keys(&mut self, proof: &Frame, key: &Frame) -> Result<Option<Loaded>, PadRefusal> {
        let TmsSession::Proven(proven) = self.take_tms()? else {
            return Err(not_permitted("no TMS has proved itself in this session"));
        };
        let owner = self.dmk_owner()?;
        let opened = self.open_keys(proven, proof, key);
        let (seal, tmk) = self.recorded("TMS_KEY", opened)?;
        let Some((slot, tmk)) = tmk else {
            self.session = Session::Tms(Box::new(TmsSession::Sealed(seal)));
            return Ok(None);
        };
        self.check_suite(KeyName::Slot(slot), Suite::TDES)?;
        self.check_slot(slot, &owner)?;
        let kcv = Kcv::Tdes(tmk.kcv());
        // A broken download brings the pending key again: it is there already.
        if !self.state.slot::<Tdes>(slot).is_some_and(|keys| keys.tmk.holds(&tmk)) {
            self.change(|state| state.put_tmk::<Tdes>(slot, owner, tmk)).map_err(Denied::from)?;
        }
        self.session = Session::Tms(Box::new(TmsSession::Keyed { slot, kcv }));
        Ok(Some(Loaded::of(vec![kcv])))
    }

    fn tms_done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let TmsSession::Keyed { slot, kcv } = self.take_tms()? else {
            return Err(not_permitted("no key was loaded in this session"));
        };
        if KeyConfirm::read(confirm).map_err(unreadable)?.kcvs != [kcv] {
            return Err(not_permitted("KEY_CONFIRM does not name the key that was loaded"));
        }
        Done::read(done).map_err(unreadable)?;
        self.may_load()?;
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

impl SoftPad {
    fn take_tms(&mut self) -> Result<TmsSession, PadRefusal> {
        match self.take_session() {
            Session::Tms(session) => Ok(*session),
            _ => Err(not_permitted("no session with the TMS is open")),
        }
    }

    /// Whom DMK makes the owner of what it brings, if keys may be loaded by it now.
    fn dmk_owner(&mut self) -> Result<Owner, PadRefusal> {
        self.may_load()?;
        self.check_suite(KeyName::Dmk, Suite::TDES)?;
        match &self.state.tdes.dmk {
            Some(held) => Ok(self.state.owner_by(OwnerKind::Dmk, Suite::TDES, held.dmk.expose())),
            None => Err(self
                .deny("DMK", "none", "there is no DMK: a key loading device must load it first")
                .into()),
        }
    }

    /// Opens DF37 under DMK and checks TAC_1; then answers.
    fn prove(
        &mut self,
        t_data: TData,
        owner: &Owner,
        hello: &Frame,
        challenge: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<Proven, PadRefusal> {
        let said = <TmsHello>::read(hello).map_err(unreadable)?;
        let own = said.suite == Suite::TDES
            && said.identification.device.pin_pad() == self.serial()
            && said.t_data == t_data;
        if !own {
            return Err(not_permitted("TMS_HELLO does not say what this PIN pad began"));
        }
        let Ok(transaction) = said.transaction else {
            return Err(not_permitted("TMS_HELLO names no transaction that a terminal asks for"));
        };
        let wants = transaction.slot();
        if let Some(slot) = wants {
            self.check_suite(KeyName::Slot(slot), Suite::TDES)?;
            self.check_slot(slot, owner)?;
        }
        let TmsChallenge { named, answer } = <TmsChallenge>::read(challenge).map_err(unreadable)?;
        let Challenge { proof: TacAndDwk { tac_1, dwk_1 }, s_data, operator_demanded } =
            answer.map_err(|src| not_permitted(format!("the TMS refused: {src}")))?;
        named.expect(&said.named(), Src::Good)?;
        let mut transcript = Transcript::new();
        transcript.push(hello);
        let Some(held) = &self.state.tdes.dmk else {
            return Err(not_permitted("there is no DMK"));
        };
        let unproven = || not_proven("the TMS does not hold this terminal's DMK".to_owned());
        // One refusal for both: a TMS that holds DMK gets neither wrong.
        let dwk: Dwk = self
            .unwrap(&held.dmk, &dwk_1, own_place()?, transcript.context().as_bytes())
            .map_err(|_| unproven())?;
        if !dwk.verifies(&t_data.bytes(), &tac_1) {
            return Err(unproven());
        }
        refuse_twin((KeyUse::Dwk, dwk.expose()), self.state.held_beside(None))?;
        if operator_demanded && operator.is_none() {
            return Err(not_permitted("the TMS demands an operator"));
        }
        transcript.push(challenge);
        let sac_1 = dwk.mac(&s_data.bytes());
        let operator = operator.map(|OperatorPassword { id, password }| {
            let proof = Verifier::derive(id.as_str(), password).proof(&dwk, &t_data.bytes(), &s_data.bytes());
            (id.clone(), proof)
        });
        Ok(Proven { dwk, wants, sac_1, operator, transcript })
    }

    /// Opens TMS_KEY: the session key, and in transaction 0001 the TMK behind it.
    fn open_keys(
        &mut self,
        proven: Proven,
        proof: &Frame,
        key: &Frame,
    ) -> Result<(Seal, Option<(Slot, Tmk)>), PadRefusal> {
        let Proven { dwk, wants, sac_1, operator, mut transcript } = proven;
        let said = <TmsProof>::read(proof).map_err(unreadable)?;
        if !said.good || said.proof != Some(Sac1(sac_1)) || said.operator != operator {
            return Err(not_permitted("TMS_PROOF is not what this PIN pad gave"));
        }
        transcript.push(proof);
        let answer = <TmsKey>::read(key).map_err(unreadable)?.answer;
        let SessionKeys { key: SessionBlock(session_block), tmk: tmk_block, .. } =
            answer.map_err(|src| not_permitted(format!("the TMS refused: {src}")))?;
        let session: SessionKey =
            self.unwrap(&dwk, &session_block, own_place()?, transcript.context().as_bytes())?;
        let held = self.state.held_beside(wants);
        let beside = || held.iter().copied().chain([(KeyUse::Dwk, dwk.expose())]);
        refuse_twin((KeyUse::Session, session.expose()), beside())?;
        let tmk = match (wants, &tmk_block) {
            (None, None) => None,
            (Some(slot), Some(block)) => {
                let context = transcript.context_after(&[&session_block]);
                let tmk: Tmk = self.unwrap(&dwk, block, slot, context.as_bytes())?;
                let beside = beside().chain([(KeyUse::Session, session.expose())]);
                refuse_twin((KeyUse::Tmk, tmk.expose()), beside)?;
                Some((slot, tmk))
            }
            _ => return Err(not_permitted("TMS_KEY does not bring what was asked for")),
        };
        Ok((Seal::new(dwk, session), tmk))
    }
}
