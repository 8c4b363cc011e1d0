//! The PIN pad's part of a session with the TMS in suite 02 (3-hardened.md, "E").
//!
//! Every call takes the open session out and puts it back only when all was well. What was agreed is in memory only: it
//! wipes itself at the first refusal, at the end, and when anything else is begun.

use flows::suite::Confirmation;
use flows::tms_session::messages::{
    Answer, Challenge, Heard, SessionKeys, TmsChallenge, TmsHello, TmsKey, TmsProof,
};
use flows::tms_session::{OperatorPassword, PadOpening, PadProof, TmsPad};
use flows::{BoundTranscript, FlowLetter, Loaded, PadRefusal, Suite as _};
use paycrypto::ec::{Schedule, StaticSecret};
use paycrypto::operator::Verifier;
use wire::{BcdTime, Frame, Proof, Slot, Src, Suite, TData};

use super::counters::KeyName;
use super::download::Session;
use super::ephemeral::OwnEphemeral;
use super::incoming::Brought;
use super::keys::{EcAes, equal};
use super::load::{failed, not_permitted, not_proven, unreadable};
use super::load_ec::{Receipted, receipted};
use super::owner::{Owner, OwnerKind};
use super::seal::{EcSeal, Sealing};
use super::state::PadState;
use super::{Denied, SoftPad};
use crate::PinPad;

/// Where an open session of suite 02 is.
pub(super) enum EcTmsSession {
    /// T_DATA, key and nonce were given out.
    Begun { t_data: TData, own: OwnEphemeral },
    /// The TMS proved itself, and was given a proof.
    Proven(Proven),
    /// Transaction 0001: the TMK is stored.
    Keyed(Receipted),
    /// Transaction 0002: the seal works.
    Sealed(EcSeal),
}

impl EcTmsSession {
    pub(super) fn sealing(&mut self) -> Option<&mut dyn Sealing> {
        match self {
            EcTmsSession::Sealed(seal) => Some(seal),
            _ => None,
        }
    }

    pub(super) fn blocks_left(&self) -> u64 {
        match self {
            EcTmsSession::Sealed(seal) => seal.blocks_left(),
            _ => 0,
        }
    }
}

/// What is known once the TMS proved itself; over TMS_HELLO and TMS_CHALLENGE goes `transcript`.
pub(super) struct Proven {
    schedule: Schedule,
    wants: Option<Slot>,
    /// TMS_PROOF as it leaves.
    proof: Frame,
    transcript: BoundTranscript,
}

impl TmsPad<EcAes> for SoftPad {
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening<EcAes>, PadRefusal> {
        self.session = Session::Idle;
        self.ec_dmk_owner()?;
        let mut random = [0; 4];
        paycrypto::random::fill(&mut random).map_err(failed)?;
        let t_data = TData::new(random, when);
        let own = OwnEphemeral::generate()?;
        let opening = own.public();
        self.keep_tms(EcTmsSession::Begun { t_data, own });
        Ok(PadOpening { t_data, opening })
    }

    fn tms_prove(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof<EcAes>, PadRefusal> {
        let EcTmsSession::Begun { t_data, own } = self.take_ec_tms()? else {
            return Err(not_permitted("this session has its proof already"));
        };
        let owner = self.ec_dmk_owner()?;
        let proven = self.prove_ec(t_data, &own, &owner, hello, challenge, operator);
        let (proven, proof) = self.recorded("TMS_CHALLENGE", proven)?;
        self.keep_tms(EcTmsSession::Proven(proven));
        Ok(proof)
    }

    fn tms_keys(&mut self, proof: &Frame, key: &Frame) -> Result<Option<Loaded<EcAes>>, PadRefusal> {
        let EcTmsSession::Proven(proven) = self.take_ec_tms()? else {
            return Err(not_permitted("no TMS has proved itself in this session"));
        };
        let owner = self.ec_dmk_owner()?;
        if *proof != proven.proof {
            return Err(not_permitted("TMS_PROOF is not what this PIN pad gave"));
        }
        let opened = self.open_tms_key(&proven, key, &owner);
        let tmk = self.recorded("TMS_KEY", opened)?;
        let Proven { schedule, mut transcript, .. } = proven;
        let Some(brought) = tmk else {
            let seal = EcSeal::new(&schedule)?;
            self.dmk_worked()?;
            self.keep_tms(EcTmsSession::Sealed(seal));
            return Ok(None);
        };
        let kept = self.check_place(&brought, &[], &owner);
        self.recorded("TMS_KEY", kept)?;
        transcript.push(proof);
        transcript.push(key);
        let (receipted, loaded) = receipted(schedule, transcript, std::slice::from_ref(&brought))?;
        self.dmk_worked()?;
        self.store_brought(owner, vec![brought])?;
        self.keep_tms(EcTmsSession::Keyed(receipted));
        Ok(Some(loaded))
    }

    fn tms_done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let EcTmsSession::Keyed(receipted) = self.take_ec_tms()? else {
            return Err(not_permitted("no key was loaded in this session"));
        };
        self.end(receipted, confirm, done)
    }
}

impl SoftPad {
    fn keep_tms(&mut self, session: EcTmsSession) {
        self.session = Session::TmsEc(Box::new(session));
    }

    fn take_ec_tms(&mut self) -> Result<EcTmsSession, PadRefusal> {
        match self.take_session() {
            Session::TmsEc(session) => Ok(*session),
            _ => Err(not_permitted("no session with the TMS is open")),
        }
    }

    /// Whom DMK makes the owner of what it brings, if keys may be loaded by it now.
    fn ec_dmk_owner(&mut self) -> Result<Owner, PadRefusal> {
        self.may_load()?;
        match &self.state.ec_aes.dmk {
            Some(held) => Ok(self.state.owner_by(OwnerKind::Dmk, Suite::EC_AES, held.in_use().expose())),
            None => {
                let why = "there is no DMK of suite 02: a key loading device must load it first";
                Err(self.deny("DMK", "none", why).into())
            }
        }
    }

    /// Checks MAC_S; then answers.
    fn prove_ec(
        &mut self,
        t_data: TData,
        own: &OwnEphemeral,
        owner: &Owner,
        hello: &Frame,
        challenge: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<(Proven, PadProof<EcAes>), PadRefusal> {
        let said = TmsHello::<EcAes>::read(hello).map_err(unreadable)?;
        let own_words = said.suite == EcAes::ID
            && said.identification.device.pin_pad() == self.serial()
            && said.t_data == t_data
            && said.opening == own.public();
        if !own_words {
            return Err(not_permitted("TMS_HELLO does not say what this PIN pad began"));
        }
        let Ok(transaction) = said.transaction else {
            return Err(not_permitted("TMS_HELLO names no transaction that a terminal asks for"));
        };
        let wants = transaction.slot();
        if let Some(slot) = wants {
            self.check_suite(KeyName::Slot(slot), EcAes::ID)?;
            let held = self.state.slot_owner(slot);
            self.check_owner(held, owner, &format!("slot {slot}"))?;
        }
        let TmsChallenge { named, answer } = TmsChallenge::<EcAes>::read(challenge).map_err(unreadable)?;
        let Challenge { proof: Answer(opened), s_data, operator_demanded } =
            answer.map_err(|src| not_permitted(format!("the TMS refused: {src}")))?;
        named.expect(&said.named(), Src::Good)?;
        let mut transcript = BoundTranscript::new(FlowLetter::TmsSession);
        transcript.push(hello);
        let th12 = transcript.th_without(challenge, Proof::Confirmation)?;
        let z = own.agree(&opened.ephemeral)?;
        let Some(held) = &self.state.ec_aes.dmk else {
            return Err(not_permitted("there is no DMK"));
        };
        let secret = StaticSecret::TmsSession(held.in_use());
        let schedule = Schedule::new(&secret, &z, &own.opening(&opened.ephemeral), th12.as_bytes());
        if !schedule.server_confirm().confirms(th12.as_bytes(), &opened.confirmation.0) {
            return Err(not_proven("the TMS does not hold this terminal's DMK".to_owned()));
        }
        if operator_demanded && operator.is_none() {
            return Err(not_permitted("the TMS demands an operator"));
        }
        transcript.push(challenge);
        let operator = operator.map(|OperatorPassword { id, password }| {
            let verifier = Verifier::derive(id.as_str(), password);
            let proof = schedule.operator().proof(&verifier, &t_data.bytes(), &s_data.bytes());
            (id.clone(), proof)
        });
        let operators = operator.as_ref().map(|(_, proof)| *proof);
        let bare = TmsProof::<EcAes> { named: said.named(), good: true, proof: None, operator };
        let th = transcript.th_before_proof(&bare.write().map_err(failed)?);
        let confirmation = Confirmation(schedule.terminal_confirm().confirm(th.as_bytes()));
        let proof = TmsProof { proof: Some(confirmation), ..bare }.write().map_err(failed)?;
        let answer = PadProof { proof: confirmation, operator: operators };
        Ok((Proven { schedule, wants, proof, transcript }, answer))
    }

    /// Verifies the receipt of TMS_KEY, and in transaction 0001 opens the TMK in it.
    fn open_tms_key(
        &self,
        proven: &Proven,
        key: &Frame,
        owner: &Owner,
    ) -> Result<Option<Brought<EcAes>>, PadRefusal> {
        let Proven { schedule, wants, proof, transcript } = proven;
        let answer = TmsKey::<EcAes>::read(key).map_err(unreadable)?.answer;
        let SessionKeys { key: Heard(receipt), tmk, .. } =
            answer.map_err(|src| not_permitted(format!("the TMS refused: {src}")))?;
        let mut transcript = transcript.clone();
        transcript.push(proof);
        let th = transcript.th_without(key, Proof::Receipt)?;
        if !schedule.receipt_server().acknowledges(th.as_bytes(), &[], &receipt.0) {
            return Err(not_proven("TMS_KEY's receipt is wrong: the TMS has not heard TMS_PROOF".to_owned()));
        }
        match (*wants, tmk) {
            (None, None) => Ok(None),
            (Some(slot), Some(block)) => {
                let context = transcript.context();
                let tmk = self.unwrap_tmk(&schedule.kbpk(), &block, slot, context.as_bytes(), owner)?;
                Ok(Some(Brought::Tmk(slot, tmk)))
            }
            _ => Err(not_permitted("TMS_KEY does not bring what was asked for")),
        }
    }

    /// The TMS proved that it holds the DMK in use. If that is the newest one, whose own DONE was lost, nothing is needed
    /// of any before it.
    fn dmk_worked(&mut self) -> Result<(), Denied> {
        let held = self.state.ec_aes.dmk.as_ref();
        if held.is_some_and(|held| !held.done && equal(held.in_use(), &held.dmk)) {
            self.change(PadState::verified_dmk)?;
        }
        Ok(())
    }
}

impl PadState {
    /// The suite of the DMK with which sessions are opened: one of suite 02 whose DONE did not come stands beside the one
    /// that it is to replace.
    pub(super) fn tms_suite(&self) -> Suite {
        match (&self.ec_aes.dmk, &self.tdes.dmk) {
            (Some(dmk), before) if dmk.done || before.is_none() => Suite::EC_AES,
            _ => Suite::TDES,
        }
    }
}

#[cfg(test)]
impl SoftPad {
    /// Puts a DMK in, as a KLD does whose DONE arrived.
    pub(crate) fn give_ec_dmk(&mut self, dmk: paycrypto::ec::keys::Dmk) {
        let owner = self.state.owner_by(OwnerKind::Root, Suite::EC_AES, b"root");
        let mut held = super::keys::HeldDmk::first(owner, dmk);
        held.finish();
        self.change(|state| state.ec_aes.dmk = Some(held)).unwrap();
        self.pass(crate::life_cycle::Milestone::KeyDone).unwrap();
    }
}
