//! The terminal's role.

use alloc::{string::ToString, vec::Vec};
use core::marker::PhantomData;

use wire::{BcdTime, Fields, Frame, Kcv, Malformed, MessageType, SData, Slot, Src, Tag, TmsVersion};

use super::{
    Fault, Identification, OperatorPassword, PadOpening, PadProof, Reason, TmsPad, TmsSuite, Transaction,
    messages::{Named, TmsChallenge, TmsHello, TmsKey, TmsProof},
};
use crate::{
    Loaded, PadRefusal, Tdes,
    suite::{self, Part},
};

/// What the PIN pad said; after a refusal it has forgotten the session.
fn or_forget<S: TmsSuite, P: TmsPad<S>, T>(
    pad: &mut P,
    step: impl FnOnce(&mut P) -> Result<T, Fault>,
) -> Result<T, Fault> {
    step(pad).inspect_err(|_| pad.tms_forget())
}

/// A session that has not begun.
#[derive(Debug)]
pub struct Start<S: TmsSuite = Tdes> {
    identification: Identification,
    transaction: Transaction,
    when: Option<BcdTime>,
    refusals: Vec<Fields>,
    suite: PhantomData<fn() -> S>,
}

impl Start {
    /// A session in suite 01; see [`Start::of`].
    pub fn new(identification: Identification, transaction: Transaction, when: Option<BcdTime>) -> Start {
        Start::of(identification, transaction, when)
    }
}

impl<S: TmsSuite> Start<S> {
    /// A session for this transaction; no time from a terminal without a clock.
    pub fn of(identification: Identification, transaction: Transaction, when: Option<BcdTime>) -> Start<S> {
        Start { identification, transaction, when, refusals: Vec::new(), suite: PhantomData }
    }

    /// With records of refusals (FF23: DF28, DF29, DF2A each) that TMS_HELLO is to carry along.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Vec<Fields>) -> Self {
        self.refusals = refusals;
        self
    }

    /// Begins: gives TMS_HELLO.
    ///
    /// # Errors
    /// When the PIN pad refuses, for instance without a DMK (0008); 0001 when the refusal records are too many.
    pub fn begin(self, pad: &mut impl TmsPad<S>) -> Result<(Frame, ExpectChallenge<S>), Fault> {
        let Start { identification, transaction, when, refusals, suite } = self;
        or_forget(pad, |pad| {
            let PadOpening { t_data, opening } = pad.tms_begin(when)?;
            let message = TmsHello::<S> {
                suite: S::ID,
                identification,
                version: TmsVersion::CURRENT,
                transaction: Ok(transaction),
                t_data,
                opening,
                refusals,
            };
            let hello = message.write()?;
            let next = ExpectChallenge { named: message.named(), transaction, hello: hello.clone(), suite };
            Ok((hello, next))
        })
    }
}

/// TMS_HELLO has left; TMS_CHALLENGE is to come.
#[derive(Debug)]
pub struct ExpectChallenge<S: TmsSuite = Tdes> {
    named: Named,
    transaction: Transaction,
    hello: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: TmsSuite> ExpectChallenge<S> {
    /// Takes TMS_CHALLENGE, gives TMS_PROOF. The operator's proof leaves only when the acquirer demands it.
    ///
    /// # Errors
    /// [`Reason::ReturnCode`] when the TMS refuses, [`Reason::OperatorDemanded`] without an operator where one is
    /// demanded; 0005 for a TMS that does not hold this terminal's DMK; 0002, also for another identification.
    pub fn on_frame(
        self,
        pad: &mut impl TmsPad<S>,
        frame: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<(Frame, ExpectKey<S>), Fault> {
        or_forget(pad, |pad| {
            let ExpectChallenge { named, transaction, hello, suite } = self;
            let message = TmsChallenge::<S>::read(frame)?;
            let challenge = answered(message.answer, &message.named, &named)?;
            let operator = match (challenge.operator_demanded, operator) {
                (true, None) => return Err(Reason::OperatorDemanded.into()),
                (true, Some(operator)) => Some(operator),
                (false, _) => None,
            };
            let PadProof { proof, operator: operators } = pad.tms_prove(&hello, frame, operator)?;
            let operator = match (operator, operators) {
                (Some(operator), Some(proof)) => Some((operator.id.clone(), proof)),
                (None, None) => None,
                _ => return Err(failed("it answered for another operator than it was given")),
            };
            let message = TmsProof::<S> { named: named.clone(), good: true, proof: Some(proof), operator };
            let proof = message.write()?;
            let s_data = challenge.s_data;
            Ok((proof.clone(), ExpectKey { named, transaction, s_data, proof, suite }))
        })
    }
}

/// TMS_PROOF has left; TMS_KEY is to come.
#[derive(Debug)]
pub struct ExpectKey<S: TmsSuite = Tdes> {
    named: Named,
    transaction: Transaction,
    s_data: SData,
    proof: Frame,
    suite: PhantomData<fn() -> S>,
}

/// What TMS_KEY brought.
#[derive(Debug)]
#[must_use]
pub enum Keyed<S: TmsSuite = Tdes> {
    /// 0002: the session is open, and the sealed phase begins (`tms_download`). A terminal may set its clock from
    /// S_DATA, forward only.
    Program(SData),
    /// 0001: the new TMK is on disk; KEY_CONFIRM is to leave.
    Key {
        /// KEY_CONFIRM.
        confirm: Frame,
        /// What follows.
        expect: ExpectDone<S>,
    },
}

impl<S: TmsSuite> ExpectKey<S> {
    /// Takes TMS_KEY.
    ///
    /// # Errors
    /// [`Reason::ReturnCode`] when the TMS refuses; 0007 for a key block that the PIN pad refuses, 0005 for a receipt;
    /// 0002, also for another transaction or identification.
    pub fn on_frame(self, pad: &mut impl TmsPad<S>, frame: &Frame) -> Result<Keyed<S>, Fault> {
        or_forget(pad, |pad| {
            let ExpectKey { named, transaction, s_data, proof, suite } = self;
            let message = TmsKey::<S>::read(frame)?;
            let keys = answered(message.answer, &message.named, &named)?;
            if keys.transaction != transaction.code() {
                return Err(Malformed::FieldValue { tag: Tag::TRANSACTION_CODE }.into());
            }
            let loaded = pad.tms_keys(&proof, frame)?;
            let loaded = loaded.as_ref().map(|Loaded { kcvs, confirmation }| (kcvs.as_slice(), confirmation));
            match (transaction, loaded) {
                (Transaction::ProgramDownload, None) => Ok(Keyed::Program(s_data)),
                (Transaction::KeyDownload { slot }, Some((&[kcv], confirmation))) => {
                    let write = |fields: &mut Fields| confirmation.push(fields);
                    let confirm = suite::write::<S>(MessageType::KeyConfirm, write)?;
                    let expect = ExpectDone { slot, kcv, s_data, confirm: confirm.clone(), suite };
                    Ok(Keyed::Key { confirm, expect })
                }
                _ => Err(failed("it loaded another number of keys than the transaction brings")),
            }
        })
    }
}

/// KEY_CONFIRM has left; DONE is to come. When it does not, the new key is still there: the server may already hold it
/// as the active one.
#[derive(Debug)]
pub struct ExpectDone<S: TmsSuite = Tdes> {
    slot: Slot,
    kcv: Kcv,
    s_data: SData,
    confirm: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: TmsSuite> ExpectDone<S> {
    /// Takes DONE. It ends the session: the PIN pad has forgotten its keys when this returns.
    ///
    /// # Errors
    /// When it is no DONE, or the PIN pad refuses: in suite 02 a wrong receipt is 0005.
    pub fn on_frame(self, pad: &mut impl TmsPad<S>, frame: &Frame) -> Result<Finished, Fault> {
        or_forget(pad, |pad| {
            S::check_done(&S::read(frame, MessageType::Done)?)?;
            Ok(pad.tms_done(&self.confirm, frame)?)
        })?;
        pad.tms_forget();
        Ok(Finished { slot: self.slot, kcv: self.kcv, s_data: self.s_data })
    }

    /// The check value of the key that KEY_CONFIRM confirms.
    pub fn kcv(&self) -> Kcv {
        self.kcv
    }
}

/// The key download is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    slot: Slot,
    kcv: Kcv,
    s_data: SData,
}

impl Finished {
    /// The slot that was filled.
    pub fn slot(&self) -> Slot {
        self.slot
    }

    /// The check value of its new TMK.
    pub fn kcv(&self) -> Kcv {
        self.kcv
    }

    /// S_DATA, from which a terminal may set its clock, forward only.
    pub fn s_data(&self) -> SData {
        self.s_data
    }
}

/// What a TMS that goes on said, if it is about this session.
fn answered<T>(answer: Result<T, Src>, named: &Named, hello: &Named) -> Result<T, Fault> {
    named.expect(hello, answer.as_ref().err().copied().unwrap_or(Src::Good))?;
    answer.map_err(|src| Reason::ReturnCode { src }.into())
}

fn failed(why: &str) -> Fault {
    PadRefusal::Failed { why: why.to_string() }.into()
}
