//! Drives the RKS's role of flow C: between its messages it asks HSM and store.
//!
//! Until RKS_PROOF everybody is treated alike: RKS_CERT to all, a token of the same form after the same work in the HSM
//! (2-wire.md section 8). Keys are stored as pending before they leave, and become active, all of a message or none,
//! when the device has confirmed every one of them.

use std::net::IpAddr;

use flows::{
    Chain, EcAes, Said, Tdes,
    rks_load::{
        Fault, Reason,
        rks::{Auth, Confirmed, ExpectAuth, ExpectConfirm, Proof},
    },
};
use hsm::{
    Hsm, HsmError, KeyBlock,
    commands::{MAX_TRANSCRIPT, RksKeyKind},
};
use pki::Certificate;
use serde_json::json;
use store::{ConfirmOutcome, LoadedKey, PutWorking, SlotRecord, Store, TerminalRecord, WorkingOutcome};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::{Fields, Frame, Kcv, Slot, Suite};

use super::{
    end::{LoadEnd, PROTOCOL, not_proven, unproved},
    party::Party,
    plan::{Given, Item, Nothing, Plan},
    suite::{Asked, Asking, Release, RksServerSuite, Wanted},
};
use crate::{
    flow_end::FlowEnd,
    kms::{Failure, Kms, answer_grid::AnswerGrid, event, open_hellos::OpenHello},
    link::{Link, LinkError},
    slots::{self, MAX_RELEASES, Owner, Released, Stored},
    suite::{self, Holder},
};

/// A key that was stored and may leave.
struct Offered {
    key: LoadedKey,
    kcv: Kcv,
    wrapped: String,
}

/// What does not change during one run.
struct Run<'a, H> {
    asking: Asking<'a, H>,
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
        match suite::asked(auth) {
            Suite::EC_AES => self.load_device_of::<EcAes, T>(link, auth, source, given).await,
            _ => self.load_device_of::<Tdes, T>(link, auth, source, given).await,
        }
    }

    async fn load_device_of<U: RksServerSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        auth: &Frame,
        source: IpAddr,
        given: &mut Given,
    ) -> Result<(), LoadEnd> {
        let auth = match ExpectAuth::new().on_frame_of::<U>(auth) {
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

    async fn run<U: RksServerSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        auth: Auth<U>,
        open: &OpenHello,
        given: &mut Given,
    ) -> Result<(), LoadEnd> {
        let no_key = || Failure::NoWorkKey(format!("of the remote key server in suite {}", U::ID));
        let settings = self.rks.settings.as_ref().ok_or_else(no_key)?;
        let work = self.store.active_rks_work_key(U::ID).await?.ok_or_else(no_key)?;
        let (suite, told) = (auth.suite(), auth.refusals().to_vec());
        let work_key = KeyBlock::from_text(work.key.private_block);
        let asking = Asking { hsm: &self.hsm, work_key, owner: &self.acquirer.id };
        let run = Run { asking, open, told: &told };

        let intermediates = Certificate::all_from_der(&work.key.intermediates).map_err(Failure::from)?;
        let intermediates = intermediates.iter().map(|c| c.der().to_vec()).collect();
        let chain = Chain { leaf: work.certificate, intermediates };
        let (answer, begun) = U::begin(&run.asking, &auth, &chain).await?;
        let (frame, expect) = auth.answer(chain, answer)?;
        link.send(&frame).await?;
        let factor = expect.on_frame(&receive(link, open).await?)?;
        let grid = AnswerGrid::new();
        check_length(factor.said(), "RKS_FACTOR")?;
        let party = self.look_up_device::<U>(factor.device()).await?;
        let token = U::token(&run.asking, begun, &factor, party.registered()).await?;
        let (frame, expect) = factor.answer(&token.token)?;
        grid.next().await;
        link.send(&frame).await?;
        let proof = expect.on_frame(&receive(link, open).await?)?;
        let grid = AnswerGrid::new();
        check_length(proof.said(), "RKS_PROOF")?;

        let known = match party {
            Party::Known(known) => known,
            Party::Stranger(reason) => {
                // The same question to the HSM as for a known device; it always refuses.
                let asked = U::release(&run.asking, &token.ticket, &proof, vec![one(&proof)]).await;
                grid.next().await;
                return Err(match asked {
                    Ok(_) | Err(Asked::Hsm(HsmError::Refused(_))) => reason.into(),
                    Err(Asked::Hsm(unreachable)) => unreachable.into(),
                    Err(Asked::End(end)) => end,
                });
            }
        };
        let doubt = token.doubt.map(|doubt| doubt.to_string());
        let given = given.to(proof.device());
        let planned = self.plan(settings, &known.terminal.sn, proof.slot(), given).await?;
        let planned = match planned {
            _ if suite != U::ID => Err(Reason::SuiteNotSupported { suite }),
            Ok(plan) => Ok(plan),
            Err(Nothing::NoKey) => Err(Reason::NoKey { slot: proof.slot() }),
            Err(stays @ Nothing::ActiveStay) => Err(Reason::NotPermitted { why: stays.to_string() }),
        };
        let plan = match planned {
            Ok(plan) => plan,
            Err(reason) => {
                // Proved before it is told. What the HSM makes for that is let go of.
                let asked = U::release(&run.asking, &token.ticket, &proof, vec![one(&proof)]).await;
                if let Err(error) = asked {
                    grid.next().await;
                    return Err(not_proven(error, doubt.as_deref()));
                }
                self.keep_refusals(&known.terminal.sn, "RKS_AUTH", run.told).await?;
                return Err(self.refuse_device(&known.terminal, proof.slot(), reason).await?);
            }
        };
        let offered = self.offer(&run, plan, &proof, &token.ticket, &known.terminal, doubt.as_deref()).await;
        if let Err(FlowEnd::Fault(Fault { reason: Reason::NotProven { .. }, .. })) = &offered {
            grid.next().await;
        }
        let (plan, offered, ticket) = offered?;
        let texts: Vec<_> = offered.iter().map(|one| (one.wrapped.clone(), one.kcv)).collect();
        let (frame, expect) = proof.deliver(&texts, plan.more)?;
        link.send(&frame).await?;
        let frame = link.receive().await?;
        let confirmed = self.confirm_offered(expect, &frame, &known.terminal, (&offered, &ticket)).await?;
        given.extend(plan.items.iter().map(|item| item.slot.index()));
        link.send(&confirmed.done()?).await?;
        tracing::info!(sn = %known.terminal.sn, keys = offered.len(), more = plan.more, "device loaded");
        Ok(())
    }

    /// Has the HSM check the proof and give the keys, and stores every key before it may leave.
    async fn offer<U: RksServerSuite>(
        &self,
        run: &Run<'_, H>,
        mut plan: Plan,
        proof: &Proof<U>,
        ticket: &[u8],
        terminal: &TerminalRecord,
        doubt: Option<&str>,
    ) -> Result<(Plan, Vec<Offered>, Vec<u8>), LoadEnd> {
        for round in 0..MAX_RELEASES {
            let released = U::release(&run.asking, ticket, proof, plan.wanted::<U>()).await;
            let Release { keys, ticket } = released.map_err(|error| not_proven(error, doubt))?;
            if round == 0 {
                // Nothing was stored or sent so far: a download that lost leaves no trace but its end.
                if !run.open.win() {
                    return Err(Reason::AnotherWon.into());
                }
                self.keep_refusals(&terminal.sn, "RKS_AUTH", run.told).await?;
            }
            let mut released = keys.into_iter();
            let mut offered = Vec::new();
            let mut again = false;
            for item in &mut plan.items {
                match self.store_item::<U>(terminal, item, &mut released).await? {
                    Some(keys) => offered.extend(keys),
                    None => again = true,
                }
            }
            if !again {
                return Ok((plan, offered, ticket));
            }
        }
        Err(Reason::AnotherWon.into())
    }

    /// Stores the keys of one slot; nothing when the slot has changed, which `item` then says.
    async fn store_item<U: RksServerSuite>(
        &self,
        terminal: &TerminalRecord,
        item: &mut Item,
        released: &mut impl Iterator<Item = Released>,
    ) -> Result<Option<Vec<Offered>>, LoadEnd> {
        let mut next = || {
            released.next().ok_or_else(|| {
                Failure::from(HsmError::WrongReply("ReleaseRksKeys, or its like of another suite"))
            })
        };
        let tmk = next()?;
        let owner = Owner {
            sn: &terminal.sn,
            key_serial: terminal.key_serial(),
            tk_generation: terminal.tk_generation,
            slot: item.slot,
        };
        let stored = slots::make_pending::<U, S>(&*self.store, &owner, &item.held, &tmk).await?;
        let mut offered = match stored {
            Stored::Held(held) => {
                item.held.pending = Some(held.clone());
                let wrapped = tmk.wrapped;
                Some(vec![Offered { key: LoadedKey::Tmk(held.id), kcv: held.kcv, wrapped }])
            }
            Stored::TryWith(newer) => {
                item.held = newer;
                None
            }
            Stored::Again => None,
            Stored::StaleTk => return Err(Reason::AnotherWon.into()),
            Stored::LowerSuite => {
                let reason = Reason::SuiteNotSupported { suite: U::ID };
                return Err(self.refuse_device(terminal, item.slot, reason).await?);
            }
        };
        for (kind, held) in &mut item.working {
            let key = next()?;
            let known = held.pending.clone();
            let detail = json!({ "slot": item.slot.index(), "kind": format!("{kind:?}"),
                                 "kcv": key.kcv.to_string() });
            let put = PutWorking {
                sn: terminal.sn.clone(),
                slot: item.slot,
                kind: *kind,
                block: key.block.as_str().to_owned(),
                kcv: key.kcv,
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
                offered.push(Offered { key: key_id, kcv: pending.kcv, wrapped: key.wrapped });
            }
            held.pending = Some(pending);
        }
        Ok(offered)
    }

    async fn confirm_offered<U: RksServerSuite>(
        &self,
        expect: ExpectConfirm<U>,
        frame: &Frame,
        terminal: &TerminalRecord,
        (offered, ticket): (&[Offered], &[u8]),
    ) -> Result<Confirmed<U>, LoadEnd> {
        let sn = terminal.sn.as_str();
        let kcvs: Vec<_> = offered.iter().map(|one| one.kcv.to_string()).collect();
        let told = match expect.on_frame(frame) {
            Ok(told) => told,
            Err(fault) => {
                // The device is proven: what it says of its reasons is kept.
                let refusals = fault.peer_error().map(|error| error.refusals.clone()).unwrap_or_default();
                self.keep_refusals(&terminal.sn, "ERROR", &refusals).await?;
                return Err(fault.into());
            }
        };
        let holder = Holder { pin_pad: terminal.key_serial().as_str(), owner: &self.acquirer.id };
        match U::acknowledge(&self.hsm, ticket, &told, holder).await? {
            Some(done) => {
                let event = event("rks.confirmed", sn, sn, json!({ "kcvs": kcvs }));
                let keys = offered.iter().map(|one| one.key).collect();
                match self.store.confirm_loaded(keys, event).await? {
                    ConfirmOutcome::Activated | ConfirmOutcome::AlreadyActive => Ok(told.acknowledged(done)),
                    ConfirmOutcome::Gone => Err(Reason::AnotherWon.into()),
                }
            }
            None => {
                tracing::warn!(
                    sn,
                    "KEY_CONFIRM does not confirm the keys that were sent; every key stays pending"
                );
                let alarm = event("alarm.wrong-check-value", sn, sn, json!({ "kcvs": kcvs }));
                self.store.audit_append(alarm).await?;
                Err(told.wrong().into())
            }
        }
    }

    async fn refuse_device(
        &self,
        terminal: &TerminalRecord,
        slot: Slot,
        reason: Reason,
    ) -> Result<LoadEnd, LoadEnd> {
        let detail = json!({ "slot": slot.index(), "reason": reason.to_string() });
        let sn = terminal.sn.as_str();
        self.store.audit_append(event("rks.refused", sn, sn, detail)).await?;
        Ok(reason.into())
    }
}

/// The one key that a stranger, or a device that gets nothing, is asked for in the HSM.
fn one<U: RksServerSuite>(proof: &Proof<U>) -> Wanted {
    let (slot, kind) = (proof.slot().index(), RksKeyKind::Tmk);
    Wanted { slot, kind, counter: U::next_counter(&SlotRecord::default()), pending: None, avoid: Vec::new() }
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

/// Fields that nobody reads count too: what is more than the HSM takes is refused here, to everybody alike.
fn check_length(said: &Said, last: &str) -> Result<(), Reason> {
    if said.bytes().len() > MAX_TRANSCRIPT {
        let why = format!("the messages up to {last} are longer than this server takes");
        return Err(Reason::NotPermitted { why });
    }
    Ok(())
}
