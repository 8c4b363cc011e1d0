//! Opens a session: the terminal's proof, the operator, and what the acquirer allows, each told only to who has passed the one before.

use std::sync::Arc;

use flows::{
    Fault,
    tms_session::{Reason, Transaction, tms::Proof},
};
use hsm::{Hsm, HsmError, Refusal, commands::OperatorClaim};
use serde_json::json;
use store::{Operator, SlotRecord, Store, limits::OPERATOR_FAILURES};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use wire::{Fields, Frame, Src, Suite};

use super::{
    end::TmsEnd,
    estate::VendorEstate,
    party::{Known, other_make},
    sealed::{Seal, Sealing},
    suite::{Asked, Asking, Opened, Run, TmsServerSuite, Wanted},
};
use crate::{
    kms::{Failure, Kms, answer_grid::AnswerGrid, event},
    link::Link,
};

/// A session between TMS_PROOF and TMS_KEY.
pub(super) struct Opening<U: TmsServerSuite> {
    pub(super) run: Run<U>,
    /// The suite that TMS_HELLO asked for.
    pub(super) suite: Suite,
    /// Records of refusals in TMS_HELLO.
    pub(super) told: Vec<Fields>,
    pub(super) estate: Arc<VendorEstate>,
}

/// Why the HSM gave no session.
pub(super) enum NotOpened {
    /// Its proof is wrong, or the terminal says that ours was.
    NotProven,
    /// The terminal is proven, its operator is not.
    Operator,
    /// Something of ours.
    Failed(Failure),
    /// The role cannot say what is to be asked.
    End(TmsEnd),
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// The same question to the HSM as for a known terminal; it always refuses.
    pub(super) async fn refuse_stranger<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin, N>(
        &self,
        link: &mut Link<T>,
        opening: Opening<U>,
        reason: Reason,
        grid: AnswerGrid,
    ) -> Result<N, TmsEnd> {
        let wanted = opening.run.proof.transaction().slot().map(|slot| Wanted {
            slot: slot.index(),
            counter: U::next_counter(&SlotRecord::default()),
            pending: None,
            avoid: Vec::new(),
        });
        let asked = match self.operator(&opening.run.proof).await {
            Ok(operator) => self.call_opening(&opening, operator.as_ref(), wanted).await,
            Err(failure) => Err(NotOpened::Failed(failure)),
        };
        grid.next().await;
        match asked {
            Ok(_) | Err(NotOpened::NotProven | NotOpened::Operator) => {
                refuse(link, opening.run.proof, reason).await
            }
            Err(NotOpened::Failed(failure)) => fail(link, opening.run.proof, failure).await,
            Err(NotOpened::End(end)) => Err(end),
        }
    }

    /// Opens the session of a known terminal, if it proves itself, and serves it.
    pub(super) async fn open_session<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        opening: Opening<U>,
        known: Known,
        grid: AnswerGrid,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<Frame>, TmsEnd> {
        let operator = match self.operator(&opening.run.proof).await {
            Ok(operator) => operator,
            Err(failure) => return fail(link, opening.run.proof, failure).await,
        };
        let objection = objection(&opening, &known, operator.as_ref());
        if objection.is_none()
            && let Transaction::KeyDownload { slot } = opening.run.proof.transaction()
        {
            return self.load_key(link, opening, &known, operator.as_ref(), slot, grid).await;
        }
        // Whatever speaks against it, the proof comes first.
        let opened = match (self.call_opening(&opening, operator.as_ref(), None).await, objection) {
            (Ok(opened), None) => opened,
            (Ok(_) | Err(NotOpened::Operator), Some(reason)) => {
                self.proven(&opening, &known).await?;
                return self.object(link, opening.run.proof, &known, reason, grid).await;
            }
            (Err(not), _) => return self.not_opened(link, opening, &known, not, grid).await,
        };
        self.proven(&opening, &known).await?;
        if let Some(reason) = self.pass_operator(&opening.run.proof, &known).await? {
            return self.object(link, opening.run.proof, &known, reason, grid).await;
        }
        self.record_make(&opening.run.proof, &known).await?;
        let model = opening.run.proof.identification().model.clone();
        let key = U::key(&self.tms_asking(), &opening.run, &opened, None).await?;
        let frame = opening.run.proof.begin_program(key)?;
        link.send(&frame).await?;
        let terminal = known.terminal;
        tracing::debug!(sn = %terminal.sn, "session opened");
        let sealing = Sealing::new(&terminal, model, &opening.estate);
        let seal = Seal::<U>::new(&terminal, opened.session, &self.acquirer.id);
        Ok(self.sealed_phase(link, (sealing, seal), stop).await?)
    }

    /// Who asks the HSM.
    pub(super) fn tms_asking(&self) -> Asking<'_, H> {
        Asking { hsm: &self.hsm, owner: &self.acquirer.id }
    }

    /// The operator whom TMS_PROOF names, as the store knows him.
    async fn operator<U: TmsServerSuite>(&self, proof: &Proof<U>) -> Result<Option<Operator>, Failure> {
        match proof.operator() {
            Some((id, _)) => Ok(self.store.operator(id.as_str()).await?),
            None => Ok(None),
        }
    }

    pub(super) async fn call_opening<U: TmsServerSuite>(
        &self,
        opening: &Opening<U>,
        operator: Option<&Operator>,
        tmk: Option<Wanted>,
    ) -> Result<Opened<U>, NotOpened> {
        let proof = &opening.run.proof;
        let claim = proof.operator().map(|(id, proof)| OperatorClaim {
            operator: id.to_string(),
            // For one who is locked no proof is right.
            verifier: operator.filter(|known| !known.locked).map(|known| known.sealed.clone()),
            proof: *proof,
        });
        match U::open(&self.tms_asking(), &opening.run, claim, tmk).await {
            Ok(_) if !proof.good() => Err(NotOpened::NotProven),
            Ok(opened) => Ok(opened),
            Err(Asked::Hsm(HsmError::Refused(Refusal::OperatorNotProven))) if proof.good() => {
                Err(NotOpened::Operator)
            }
            Err(Asked::Hsm(HsmError::Refused(Refusal::OperatorNotProven))) => Err(NotOpened::NotProven),
            Err(Asked::Hsm(HsmError::Refused(refusal))) if refusal.is_not_proven() => {
                Err(NotOpened::NotProven)
            }
            Err(Asked::Hsm(other)) => Err(NotOpened::Failed(other.into())),
            Err(Asked::End(end)) => Err(NotOpened::End(end)),
        }
    }

    /// Tells a known terminal why it has no session.
    pub(super) async fn not_opened<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin, N>(
        &self,
        link: &mut Link<T>,
        opening: Opening<U>,
        known: &Known,
        not: NotOpened,
        grid: AnswerGrid,
    ) -> Result<N, TmsEnd> {
        match not {
            NotOpened::NotProven => {
                let reason =
                    if opening.run.proof.good() { Reason::WrongSac1 } else { Reason::TerminalFailed };
                grid.next().await;
                refuse(link, opening.run.proof, reason).await
            }
            NotOpened::Operator => {
                self.proven(&opening, known).await?;
                let why = self.count_wrong_proof(&opening.run.proof, known).await?;
                self.object(link, opening.run.proof, known, Reason::OperatorRefused { why }, grid).await
            }
            NotOpened::Failed(failure) => {
                grid.next().await;
                fail(link, opening.run.proof, failure).await
            }
            NotOpened::End(end) => Err(end),
        }
    }

    /// The terminal has proved itself: what it told of itself is kept.
    pub(super) async fn proven<U: TmsServerSuite>(
        &self,
        opening: &Opening<U>,
        known: &Known,
    ) -> Result<(), TmsEnd> {
        let kept = self.keep_refusals(&known.terminal.sn, "TMS_HELLO", &opening.told).await;
        Ok(kept.map_err(Failure::from)?)
    }

    /// Refuses a proven terminal, and writes why.
    pub(super) async fn object<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin, N>(
        &self,
        link: &mut Link<T>,
        proof: Proof<U>,
        known: &Known,
        reason: impl Into<Fault<Reason>>,
        grid: AnswerGrid,
    ) -> Result<N, TmsEnd> {
        let (fault, sn) = (reason.into(), known.terminal.sn.as_str());
        let detail = json!({ "transaction": proof.transaction().code().to_string(),
            "slot": proof.transaction().slot().map(wire::Slot::index), "reason": fault.reason.to_string() });
        let refused = event("tms.refused", sn, sn, detail);
        self.store.audit_append(refused).await.map_err(Failure::from)?;
        // A known operator costs more work than an unknown one, and who works at a terminal need not learn which it was.
        grid.next().await;
        // By SRC where there is one for it, else by ERROR.
        if fault.reason.src().is_some() { refuse(link, proof, fault.reason).await } else { Err(fault.into()) }
    }

    /// A terminal that came without vendor and model, as a KLD's report brings it, keeps to those that it first proved
    /// itself with: it must not choose the vendor that asks for less.
    pub(super) async fn record_make<U: TmsServerSuite>(
        &self,
        proof: &Proof<U>,
        known: &Known,
    ) -> Result<(), TmsEnd> {
        if known.terminal.vendor.is_some() || known.terminal.model.is_some() {
            return Ok(());
        }
        let (sn, told) = (&known.terminal.sn, proof.identification());
        let event = event("terminal.make-recorded", sn.as_str(), sn.as_str(), json!({}));
        let recorded = self.store.record_make(sn, told.vendor.as_str(), told.model.as_str(), event).await;
        recorded.map(drop).map_err(|error| Failure::from(error).into())
    }

    /// A right proof of an operator counts, unless he was locked meanwhile.
    pub(super) async fn pass_operator<U: TmsServerSuite>(
        &self,
        proof: &Proof<U>,
        known: &Known,
    ) -> Result<Option<Reason>, TmsEnd> {
        let Some((id, _)) = proof.operator() else { return Ok(None) };
        if !self.store.operator_passed(id.as_str()).await.map_err(Failure::from)? {
            return Ok(Some(Reason::OperatorRefused { why: format!("operator {id} is locked") }));
        }
        let detail = json!({ "terminal": known.terminal.sn.as_str() });
        let passed = event("tms.operator-proved", known.terminal.sn.as_str(), id.as_str(), detail);
        self.store.audit_append(passed).await.map_err(Failure::from)?;
        Ok(None)
    }

    /// Counts an operator's wrong proof, and says what is wrong.
    async fn count_wrong_proof<U: TmsServerSuite>(
        &self,
        proof: &Proof<U>,
        known: &Known,
    ) -> Result<String, TmsEnd> {
        let Some((id, _)) = proof.operator() else { return Ok("no operator is named".into()) };
        let sn = known.terminal.sn.as_str();
        let failed = event("tms.operator-failed", sn, id.as_str(), json!({ "terminal": sn }));
        let failures = self.store.operator_failed(id.as_str(), failed).await.map_err(Failure::from)?;
        if failures == OPERATOR_FAILURES {
            let alarm = event("alarm.operator-locked", sn, id.as_str(), json!({ "terminal": sn }));
            self.store.audit_append(alarm).await.map_err(Failure::from)?;
        }
        Ok(match failures {
            0 => format!("operator {id} is not known"),
            below if below < OPERATOR_FAILURES => format!("the proof of operator {id} is wrong"),
            _ => format!("operator {id} is locked after {OPERATOR_FAILURES} wrong proofs"),
        })
    }
}

/// What speaks against a session, whatever the proof.
fn objection<U: TmsServerSuite>(
    opening: &Opening<U>,
    known: &Known,
    operator: Option<&Operator>,
) -> Option<Reason> {
    let proof = &opening.run.proof;
    if proof.operator_demanded() && proof.operator().is_none() {
        return Some(Reason::OperatorRefused { why: "none is named, and the acquirer demands one".into() });
    }
    if let Some(operator) = operator.filter(|operator| operator.locked) {
        return Some(Reason::OperatorRefused { why: format!("operator {} is locked", operator.id) });
    }
    if opening.suite != U::ID {
        return Some(Reason::SuiteNotSupported { suite: opening.suite });
    }
    other_make(known, proof.identification())
}

/// Ends a session by SRC in TMS_KEY.
pub(super) async fn refuse<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin, N>(
    link: &mut Link<T>,
    proof: Proof<U>,
    reason: Reason,
) -> Result<N, TmsEnd> {
    link.send(&proof.refuse(reason.src().unwrap_or(Src::SystemError))?).await?;
    Err(TmsEnd::Refused(reason))
}

pub(super) async fn fail<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin, N>(
    link: &mut Link<T>,
    proof: Proof<U>,
    failure: Failure,
) -> Result<N, TmsEnd> {
    link.send(&proof.refuse(Src::SystemError)?).await?;
    Err(TmsEnd::Failed(failure))
}
