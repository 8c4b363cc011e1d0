//! Drives the RKS's role of flow C: between its messages it asks HSM and store.
//!
//! Until RKS_PROOF everybody is treated alike: RKS_CERT to all, a token of the same form after the same work in the HSM
//! (2-wire.md section 8). Keys are stored as pending before they leave, and become active, all of a message or none,
//! when the device has confirmed every one of them.

use std::net::IpAddr;

use flows::rks_load::{
    Fault, Reason,
    rks::{Auth, Confirm, Confirmed, ExpectAuth, ExpectConfirm, Factor, Proof},
};
use hsm::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{MAX_TRANSCRIPT, ReleaseRksKeys, ReleasedKey, RksKeyKind, RksToken, RksWanted, SealRksToken},
};
use pki::Certificate;
use serde_json::json;
use store::{
    ConfirmOutcome, Identity, LoadedKey, PutWorking, RksWorkKeyRecord, Store, TerminalRecord, WorkingOutcome,
};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::{Device, Fields, Frame, Kcv, Suite};

use super::plan::{Given, Item, Nothing, Plan};
use crate::{
    flow_end::FlowEnd,
    kms::{Failure, Kms, answer_grid::AnswerGrid, event, open_hellos::OpenHello},
    link::{Link, LinkError},
    slots::{self, MAX_RELEASES, Owner, Stored},
};

/// Why most peers that proved nothing are refused, in the audit.
const PROTOCOL: &str = "protocol error";

/// How a download ended without all keys.
pub(crate) type LoadEnd = FlowEnd<Reason>;

impl From<Reason> for LoadEnd {
    fn from(reason: Reason) -> Self {
        Self::Fault(reason.into())
    }
}

/// A device as the store knows it.
struct Known {
    terminal: TerminalRecord,
    identity: Identity,
    dik1: KeyBlock,
}

/// What came of looking the peer up. A stranger is answered as if it were known; only we know why it will fail.
enum Party {
    Known(Box<Known>),
    Stranger(Reason),
}

/// A key that was stored and may leave.
struct Offered {
    key: LoadedKey,
    kcv: Kcv,
    under_tk: String,
}

/// What does not change during one run.
struct Run<'a> {
    work: &'a RksWorkKeyRecord,
    open: &'a OpenHello,
    told: &'a [Fields],
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Serves one run of flow C whose first message is `auth`. `given` is what came before on this connection.
    pub(crate) async fn load_device<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        auth: &Frame,
        source: IpAddr,
        given: &mut Given,
    ) -> Result<(), LoadEnd> {
        let auth = match ExpectAuth::new().on_frame(auth) {
            Ok(auth) => auth,
            Err(fault) => {
                self.count_unnamed(source);
                return Err(fault.into());
            }
        };
        let open = self.rks.open.enter(auth.device().sn(), source);
        let served = self.run(link, auth, &open, given).await;
        match &served {
            Err(FlowEnd::Fault(fault)) => {
                if let Some(reason) = unproved(&fault.reason) {
                    self.strangers.count(source, open.serial().as_str(), reason);
                }
            }
            Err(FlowEnd::Link(LinkError::Malformed(_))) => {
                self.strangers.count(source, open.serial().as_str(), PROTOCOL);
            }
            _ => {}
        }
        served
    }

    async fn run<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        auth: Auth,
        open: &OpenHello,
        given: &mut Given,
    ) -> Result<(), LoadEnd> {
        let no_key = || Failure::NoWorkKey("of the role rks-work".into());
        let settings = self.rks.settings.as_ref().ok_or_else(no_key)?;
        let work = self.store.active_rks_work_key().await?.ok_or_else(no_key)?;
        let (suite, told) = (auth.suite(), auth.refusals().to_vec());
        let run = Run { work: &work, open, told: &told };

        let intermediates = Certificate::all_from_der(&work.key.intermediates).map_err(Failure::from)?;
        let (frame, expect) = auth.certificate(
            work.certificate.clone(),
            intermediates.iter().map(|c| c.der().to_vec()).collect(),
        )?;
        link.send(&frame).await?;
        let factor = expect.on_frame(&receive(link, open).await?)?;
        let grid = AnswerGrid::new();
        let party = self.look_up_device(factor.device()).await?;
        let token = self.token(&run, &factor, &party).await?;
        let (frame, expect) = factor.token(token.df21)?;
        grid.next().await;
        link.send(&frame).await?;
        let proof = expect.on_frame(&receive(link, open).await?)?;
        let grid = AnswerGrid::new();
        if proof.said().bytes().len() > MAX_TRANSCRIPT {
            let why = "the messages before RKS_PROOF are longer than this server takes".into();
            return Err(Reason::NotPermitted { why }.into());
        }

        let known = match party {
            Party::Known(known) => known,
            Party::Stranger(reason) => {
                // The same question to the HSM as for a known device; it always refuses.
                let asked = self.release(&run, &proof, &token.ticket, vec![one(&proof)]).await;
                grid.next().await;
                return Err(match asked {
                    Ok(_) | Err(HsmError::Refused(_)) => reason.into(),
                    Err(unreachable) => unreachable.into(),
                });
            }
        };
        let doubt = token.doubt.map(|doubt| doubt.to_string());
        let given = given.to(proof.device());
        let planned = self.plan(settings, &known.terminal.sn, proof.slot(), given).await?;
        let planned = match planned {
            _ if suite != Suite::TDES => Err(Reason::SuiteNotSupported { suite }),
            Ok(plan) => Ok(plan),
            Err(Nothing::NoKey) => Err(Reason::NoKey { slot: proof.slot() }),
            Err(stays @ Nothing::ActiveStay) => Err(Reason::NotPermitted { why: stays.to_string() }),
        };
        let plan = match planned {
            Ok(plan) => plan,
            Err(reason) => {
                // Proved before it is told. What the HSM makes for that is let go of.
                let asked = self.release(&run, &proof, &token.ticket, vec![one(&proof)]).await;
                if let Err(error) = asked {
                    grid.next().await;
                    return Err(not_proven(error, doubt.as_deref()));
                }
                self.keep_refusals(&known.terminal.sn, "RKS_AUTH", run.told).await?;
                return Err(self.refuse(&known.terminal, &proof, reason).await?);
            }
        };
        let offered = self.offer(&run, plan, &proof, &token.ticket, &known.terminal, doubt.as_deref()).await;
        if let Err(FlowEnd::Fault(Fault { reason: Reason::NotProven { .. }, .. })) = &offered {
            grid.next().await;
        }
        let (plan, offered) = offered?;
        let texts: Vec<_> = offered.iter().map(|one| (one.under_tk.clone(), one.kcv)).collect();
        let (frame, expect) = proof.deliver(&texts, plan.more)?;
        link.send(&frame).await?;
        let frame = link.receive().await?;
        let confirmed = self.confirm_offered(expect, &frame, &known.terminal, &offered).await?;
        given.extend(plan.items.iter().map(|item| item.slot.index()));
        link.send(&confirmed.done()?).await?;
        tracing::info!(sn = %known.terminal.sn, keys = offered.len(), more = plan.more, "device loaded");
        Ok(())
    }

    async fn look_up_device(&self, device: &Device) -> Result<Party, LoadEnd> {
        let unknown = || Party::Stranger(Reason::UnknownTerminal { sn: device.sn().clone() });
        let found = self.store.device(device.sn()).await?;
        let terminal = self.store.terminal(device.sn()).await?;
        let (Some(found), Some(terminal)) = (found, terminal) else { return Ok(unknown()) };
        if found.compromised {
            let why = "its KLD found the serial served twice: load it anew".into();
            return Ok(Party::Stranger(Reason::NotProven { why }));
        }
        // DIK2 lies in the PIN pad that the KLD met; with another one it is worth nothing.
        let right_pad = found.key_serial == *device.pin_pad()
            && terminal.pin_pad.as_ref() == device.external_pin_pad()
            && terminal.acquirer == self.acquirer.id;
        if !right_pad {
            let (sn, pin_pad) = (device.sn().clone(), device.pin_pad().clone());
            return Ok(Party::Stranger(Reason::WrongPinPad { sn, pin_pad }));
        }
        let Some(identity) = found.identity else { return Ok(unknown()) };
        let Some(dik1) = self.store.dik1(&identity.dik1).await? else { return Ok(unknown()) };
        let dik1 = KeyBlock::from_text(dik1.dik1.block);
        Ok(Party::Known(Box::new(Known { terminal, identity, dik1 })))
    }

    async fn token(&self, run: &Run<'_>, factor: &Factor, party: &Party) -> Result<RksToken, HsmError> {
        let (dik1, factor_digest) = match party {
            Party::Known(known) => (Some(known.dik1.clone()), Some(known.identity.factor_digest)),
            Party::Stranger(_) => (None, None),
        };
        self.hsm
            .call(SealRksToken {
                work_key: KeyBlock::from_text(run.work.key.private_block.clone()),
                df20: factor.df20().to_vec(),
                dik1,
                dsn: factor.device().sn().to_string(),
                pin_pad: factor.device().pin_pad().to_string(),
                owner: self.acquirer.id.clone(),
                factor_digest,
                context: *factor.context().as_bytes(),
            })
            .await
    }

    async fn release(
        &self,
        run: &Run<'_>,
        proof: &Proof,
        ticket: &[u8],
        wanted: Vec<RksWanted>,
    ) -> Result<Vec<ReleasedKey>, HsmError> {
        self.hsm
            .call(ReleaseRksKeys {
                work_key: KeyBlock::from_text(run.work.key.private_block.clone()),
                df22: proof.df22().to_vec(),
                ticket: ticket.to_vec(),
                owner: self.acquirer.id.clone(),
                pin_pad: proof.device().pin_pad().to_string(),
                wanted,
                transcript: proof.said().bytes().to_vec(),
            })
            .await
    }

    /// Has the HSM check the proof and give the keys, and stores every key before it may leave.
    async fn offer(
        &self,
        run: &Run<'_>,
        mut plan: Plan,
        proof: &Proof,
        ticket: &[u8],
        terminal: &TerminalRecord,
        doubt: Option<&str>,
    ) -> Result<(Plan, Vec<Offered>), LoadEnd> {
        for round in 0..MAX_RELEASES {
            let released = self.release(run, proof, ticket, plan.wanted()).await;
            let released = released.map_err(|error| not_proven(error, doubt))?;
            if round == 0 {
                // Nothing was stored or sent so far: a download that lost leaves no trace but its end.
                if !run.open.win() {
                    return Err(Reason::AnotherWon.into());
                }
                self.keep_refusals(&terminal.sn, "RKS_AUTH", run.told).await?;
            }
            let mut released = released.into_iter();
            let mut offered = Vec::new();
            let mut again = false;
            for item in &mut plan.items {
                match self.store_item(terminal, item, &mut released).await? {
                    Some(keys) => offered.extend(keys),
                    None => again = true,
                }
            }
            if !again {
                return Ok((plan, offered));
            }
        }
        Err(Reason::AnotherWon.into())
    }

    /// Stores the keys of one slot; nothing when the slot has changed, which `item` then says.
    async fn store_item(
        &self,
        terminal: &TerminalRecord,
        item: &mut Item,
        released: &mut impl Iterator<Item = ReleasedKey>,
    ) -> Result<Option<Vec<Offered>>, LoadEnd> {
        let mut next =
            || released.next().ok_or_else(|| Failure::from(HsmError::WrongReply("ReleaseRksKeys")));
        let tmk = next()?;
        let owner = Owner {
            sn: &terminal.sn,
            key_serial: terminal.key_serial(),
            tk_generation: terminal.tk_generation,
            slot: item.slot,
        };
        let stored =
            slots::make_pending(&*self.store, &owner, &item.held, &tmk.block, tmk.kcv.into()).await?;
        let mut offered = match stored {
            Stored::Held(held) => {
                item.held.pending = Some(held.clone());
                let under_tk = tmk.under_tk;
                Some(vec![Offered { key: LoadedKey::Tmk(held.id), kcv: held.kcv, under_tk }])
            }
            Stored::TryWith(newer) => {
                item.held = newer;
                None
            }
            Stored::Again => None,
            Stored::StaleTk => return Err(Reason::AnotherWon.into()),
        };
        for (kind, held) in &mut item.working {
            let key = next()?;
            let known = held.pending.clone();
            let detail = json!({ "slot": item.slot.index(), "kind": format!("{kind:?}"),
                                 "kcv": Kcv::from(key.kcv).to_string() });
            let put = PutWorking {
                sn: terminal.sn.clone(),
                slot: item.slot,
                kind: *kind,
                block: key.block.as_str().to_owned(),
                kcv: key.kcv.into(),
            };
            let event = event("working-key.made", "server", terminal.sn.as_str(), detail);
            let pending = match self.store.put_working_pending(put, event).await? {
                WorkingOutcome::Stored(made) => made,
                WorkingOutcome::Lost(first) => {
                    // The one that was asked for to be sent again, or another request's.
                    if known.as_ref().map(|key| key.id) != Some(first.id) {
                        offered = None;
                    }
                    first
                }
            };
            if let Some(offered) = &mut offered {
                let key_id = LoadedKey::Working(pending.id);
                offered.push(Offered { key: key_id, kcv: pending.kcv, under_tk: key.under_tk });
            }
            held.pending = Some(pending);
        }
        Ok(offered)
    }

    async fn confirm_offered(
        &self,
        expect: ExpectConfirm,
        frame: &Frame,
        terminal: &TerminalRecord,
        offered: &[Offered],
    ) -> Result<Confirmed, LoadEnd> {
        let sn = terminal.sn.as_str();
        let kcvs: Vec<_> = offered.iter().map(|one| one.kcv.to_string()).collect();
        let confirm = match expect.on_frame(frame) {
            Ok(told) => told.compare(),
            Err(fault) => {
                // The device is proven: what it says of its reasons is kept.
                let refusals = fault.peer_error().map(|error| error.refusals.clone()).unwrap_or_default();
                self.keep_refusals(&terminal.sn, "ERROR", &refusals).await?;
                return Err(fault.into());
            }
        };
        match confirm {
            Confirm::Opened(confirmed) => {
                let event = event("rks.confirmed", sn, sn, json!({ "kcvs": kcvs }));
                let keys = offered.iter().map(|one| one.key).collect();
                match self.store.confirm_loaded(keys, event).await? {
                    ConfirmOutcome::Activated | ConfirmOutcome::AlreadyActive => Ok(confirmed),
                    ConfirmOutcome::Gone => Err(Reason::AnotherWon.into()),
                }
            }
            Confirm::WrongCheckValue(fault) => {
                tracing::warn!(sn, "KEY_CONFIRM has a wrong check value; every key stays pending");
                let alarm = event("alarm.wrong-check-value", sn, sn, json!({ "kcvs": kcvs }));
                self.store.audit_append(alarm).await?;
                Err(fault.into())
            }
        }
    }

    async fn refuse(
        &self,
        terminal: &TerminalRecord,
        proof: &Proof,
        reason: Reason,
    ) -> Result<LoadEnd, LoadEnd> {
        let detail = json!({ "slot": proof.slot().index(), "reason": reason.to_string() });
        let sn = terminal.sn.as_str();
        self.store.audit_append(event("rks.refused", sn, sn, detail)).await?;
        Ok(reason.into())
    }
}

/// Reasons of peers that proved nothing, for the minute's count; what a proven device is refused for has its own event.
fn unproved(reason: &Reason) -> Option<String> {
    match reason {
        Reason::UnknownTerminal { .. } => Some("unknown serial".into()),
        Reason::WrongPinPad { .. } => Some("wrong PIN pad serial".into()),
        Reason::NotProven { why } => Some(why.clone()),
        Reason::TooMany => Some("too many open downloads for the serial".into()),
        Reason::Protocol(_) => Some(PROTOCOL.into()),
        _ => None,
    }
}

/// A proof that is wrong is a reason of the flow; whatever else the HSM says is our failure. Where the token was one
/// that nothing opens, the reason is why.
fn not_proven(error: HsmError, doubt: Option<&str>) -> LoadEnd {
    match error {
        HsmError::Refused(refusal) if refusal.is_not_proven() => {
            let why = match (doubt, refusal) {
                (Some(doubt), _) => doubt.to_owned(),
                (None, Refusal::DeviceNotProven { why }) => why,
                (None, other) => other.to_string(),
            };
            Reason::NotProven { why }.into()
        }
        other => other.into(),
    }
}

/// The one key that a stranger, or a device that gets nothing, is asked for in the HSM.
fn one(proof: &Proof) -> RksWanted {
    RksWanted { slot: proof.slot().index(), kind: RksKeyKind::Tmk, pending: None, avoid: Vec::new() }
}

/// The next message, unless this download is put out by others of the same serial first.
async fn receive<T: AsyncRead + AsyncWrite + Unpin>(
    link: &mut Link<T>,
    open: &OpenHello,
) -> Result<Frame, LoadEnd> {
    tokio::select! {
        biased;
        frame = link.receive() => Ok(frame?),
        () = open.over() => Err(Reason::TooMany.into()),
    }
}

#[cfg(test)]
mod tests {
    use wire::ErrorCode;

    use super::*;

    #[test]
    fn only_what_a_peer_did_not_prove_is_counted() {
        let why = || "its AT is another".to_owned();
        assert_eq!(unproved(&Reason::NotProven { why: why() }), Some(why()));
        assert_eq!(unproved(&Reason::WrongCheckValue), None);
        assert_eq!(unproved(&Reason::AnotherWon), None);
        let code = LoadEnd::from(Reason::NotProven { why: why() }).code();
        assert_eq!(code, Some(ErrorCode::TerminalAuthenticationFailed));
    }
}
