//! Transaction 0001: a TMK under a key of the session. What happens to the slot is what happens in every flow: pending and
//! in the audit before it leaves, active when the terminal has confirmed it.

use flows::{
    Fault,
    tms_session::{Reason, tms::ExpectConfirm},
};
use hsm::{Hsm, HsmError};
use serde_json::json;
use store::{ConfirmOutcome, HeldKey, Operator, SlotRecord, Store};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::{ErrorCode, Frame, Slot};

use super::{
    end::TmsEnd,
    opening::{NotOpened, Opening},
    party::Known,
    suite::{TmsServerSuite, Wanted},
};
use crate::{
    kms::{Failure, Kms, answer_grid::AnswerGrid, event},
    link::Link,
    slots::{self, MAX_RELEASES, Owner, Stored},
    suite::Holder,
};

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Serves a key download of a terminal against which nothing speaks but, perhaps, its proof or the slot.
    pub(super) async fn load_key<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        opening: Opening<U>,
        known: &Known,
        operator: Option<&Operator>,
        slot: Slot,
        grid: AnswerGrid,
    ) -> Result<Option<Frame>, TmsEnd> {
        let sn = &known.terminal.sn;
        let mut held = self.store.slot(sn, slot).await.map_err(Failure::from)?;
        let objection = self.slot_objection(slot, &held);
        for round in 0..MAX_RELEASES {
            // Nothing is made for a slot that is not to have it: the proof alone is asked for.
            let wanted = objection.is_none().then(|| Wanted {
                slot: slot.index(),
                counter: U::next_counter(&held),
                pending: slots::pending_block::<U>(&held),
                avoid: slots::held_kcvs(&held),
            });
            let opened = match self.call_opening(&opening, operator, wanted).await {
                Ok(opened) => opened,
                // A proof of suite 02 opens one session: another download was faster, and this terminal asks again.
                Err(NotOpened::NotProven) if round > 0 => break,
                Err(not) => return self.not_opened(link, opening, known, not, grid).await,
            };
            if round == 0 {
                self.proven(&opening, known).await?;
                if let Some(reason) = self.pass_operator(&opening.run.proof, known).await? {
                    return self.object(link, opening.run.proof, known, reason, grid).await;
                }
            }
            if let Some(fault) = objection {
                return self.object(link, opening.run.proof, known, fault, grid).await;
            }
            if round == 0 {
                self.record_make(&opening.run.proof, known).await?;
            }
            let released = opened.tmk.as_ref();
            let released = released.ok_or_else(|| Failure::from(HsmError::WrongReply("OpenTmsSession")))?;
            let owner = Owner {
                sn,
                key_serial: known.terminal.key_serial(),
                tk_generation: known.terminal.tk_generation,
                slot,
            };
            let stored = slots::make_pending::<U, S>(&*self.store, &owner, &held, released).await;
            match stored.map_err(Failure::from)? {
                Stored::Held(key) => {
                    let text = &released.wrapped;
                    let begins = U::key(&self.tms_asking(), &opening.run, &opened, Some(text)).await?;
                    let (frame, expect) = opening.run.proof.load_key(begins, text, key.kcv)?;
                    link.send(&frame).await?;
                    self.confirm_key(link, expect, known, (&key, &opened.ticket)).await?;
                    return Ok(None);
                }
                Stored::TryWith(newer) => held = newer,
                Stored::Again => {}
                Stored::StaleTk => break,
                Stored::LowerSuite => {
                    let reason = Reason::SuiteNotSupported { suite: U::ID };
                    return self.object(link, opening.run.proof, known, reason, grid).await;
                }
            }
        }
        Err(Fault::from(Reason::AnotherWon).into())
    }

    /// What the acquirer's policy says against this slot. Told to a proven terminal only.
    fn slot_objection(&self, slot: Slot, held: &SlotRecord) -> Option<Fault<Reason>> {
        let not_permitted = |why: &str| Reason::NotPermitted { why: why.into() };
        let [first, last] = self.acquirer.slots;
        if !(first..=last).contains(&slot.index()) {
            let reason = not_permitted("the acquirer has no key for this slot");
            return Some(Fault { code: ErrorCode::NoKeyForSlot, reason });
        }
        let stays = slots::keeps_active(&self.acquirer, held);
        stays.then(|| not_permitted("the slot's key is active and the acquirer's policy keeps it").into())
    }

    async fn confirm_key<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        expect: ExpectConfirm<U>,
        known: &Known,
        (key, ticket): (&HeldKey, &[u8]),
    ) -> Result<(), TmsEnd> {
        let sn = known.terminal.sn.as_str();
        let detail = json!({ "key": key.id, "kcv": key.kcv.to_string() });
        let told = expect.on_frame(&link.receive().await?)?;
        let holder = Holder { pin_pad: known.terminal.key_serial().as_str(), owner: &self.acquirer.id };
        match U::acknowledge(&self.hsm, ticket, &told, holder).await.map_err(Failure::from)? {
            Some(done) => {
                let event = event("tmk.confirmed", sn, sn, detail);
                match self.store.confirm(key.id, event).await.map_err(Failure::from)? {
                    ConfirmOutcome::Activated | ConfirmOutcome::AlreadyActive => {}
                    ConfirmOutcome::Gone => return Err(Fault::from(Reason::AnotherWon).into()),
                }
                link.send(&told.acknowledged(done).done()?).await?;
                tracing::info!(sn, kcv = %key.kcv, "TMK confirmed");
                Ok(())
            }
            None => {
                tracing::warn!(sn, "KEY_CONFIRM does not confirm the key that was sent; it stays pending");
                let alarm = event("alarm.wrong-check-value", sn, sn, detail);
                self.store.audit_append(alarm).await.map_err(Failure::from)?;
                Err(told.wrong().into())
            }
        }
    }
}
