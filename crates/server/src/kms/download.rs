//! Drives the KMS's role of a TMK download: between its messages it asks HSM and store.
//!
//! The order that everything rests on: a key is *stored as pending, with its audit event,* before it is sent; it
//! becomes active, and the old one retired, only when the terminal has confirmed it; DONE leaves after that is durable.

use std::net::IpAddr;

use flows::{
    Fault,
    tmk_download::{
        Reason,
        kms::{Confirm, Confirmed, ExpectConfirm, ExpectHello, ExpectReply, Hello, Reply},
    },
};
use hsm::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{
        AnswerChallenge, AnswerStranger, Challenge, CheckAnswer, OpenCollected, ReleaseTmk,
        TransportKeyBlocks,
    },
};
use serde_json::json;
use store::{ConfirmOutcome, HeldKey, SlotRecord, Store, TerminalRecord, TkRecord};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::{ErrorCode, Frame, Suite};

use super::{Failure, Kms, answer_grid::AnswerGrid, event, open_hellos::OpenHello};
use crate::{
    flow_end::FlowEnd,
    link::{Link, LinkError},
    slots::{self, MAX_RELEASES, Owner, Stored},
};

/// Stands for the serial of a peer that named none: no serial, which has other characters.
const UNNAMED: &str = "(none)";
/// Why most peers that proved nothing are refused, in the audit.
const PROTOCOL: &str = "protocol error";

/// How a download ended without a key.
pub(crate) type DownloadError = FlowEnd<Reason>;

impl From<Reason> for DownloadError {
    fn from(reason: Reason) -> Self {
        Self::Fault(reason.into())
    }
}

/// A terminal as the store knows it, its TK ready for the HSM.
struct Known {
    record: TerminalRecord,
    transport_key: TransportKeyBlocks,
}

/// What came of looking the peer up. A stranger is answered as if it were known; only we know why it will fail.
enum Party {
    Known(Box<Known>),
    Stranger(Reason),
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Serves one download whose first message is `hello`.
    pub(crate) async fn download<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        hello: &Frame,
        source: IpAddr,
    ) -> Result<(), DownloadError> {
        let hello = match ExpectHello::new().on_frame(hello) {
            Ok(hello) => hello,
            Err(fault) => {
                self.count_unnamed(source);
                return Err(fault.into());
            }
        };
        let open = self.open_hellos.enter(hello.device().sn(), source);
        let served = self.serve(link, hello, &open).await;
        match &served {
            Err(DownloadError::Fault(fault)) => self.count_stranger(fault, &open, source),
            Err(DownloadError::Link(LinkError::Malformed(_))) => {
                self.strangers.count(source, open.serial().as_str(), PROTOCOL);
            }
            _ => {}
        }
        served
    }

    /// Counts a peer whose first message is none that this port takes: it named no serial.
    pub(crate) fn count_unnamed(&self, source: IpAddr) {
        self.strangers.count(source, UNNAMED, PROTOCOL);
    }

    async fn serve<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        hello: Hello,
        open: &OpenHello,
    ) -> Result<(), DownloadError> {
        let grid = AnswerGrid::new();
        let (party, suite) = (self.look_up(&hello).await?, hello.suite());
        let told = hello.refusals().to_vec();
        let challenge = self.challenge(&hello, &party).await?;
        let (frame, expect) = hello.challenge(challenge.crnd1, challenge.rnd2)?;
        grid.next().await;
        link.send(&frame).await?;
        let reply = receive_reply(link, expect, open).await?;
        let grid = AnswerGrid::new();

        let known = match party {
            Party::Known(known) => known,
            Party::Stranger(reason) => {
                // The same question to the HSM as for a known terminal; it always refuses.
                let refused = self.hsm.call(release(&reply, &challenge, None, self.owner())).await;
                grid.next().await;
                return Err(match refused {
                    Ok(_) | Err(HsmError::Refused(_)) => reason.into(),
                    Err(unreachable) => unreachable.into(),
                });
            }
        };
        let delivered = self.deliver(reply, suite, &challenge, &known, open).await;
        if is_proven(&delivered) {
            self.keep_refusals(&known.record.sn, "TK_HELLO", &told).await?;
        } else if let Err(DownloadError::Fault(Fault { reason: Reason::WrongCrnd2, .. })) = &delivered {
            grid.next().await;
        }
        let (frame, expect, key) = delivered?;
        link.send(&frame).await?;
        let frame = link.receive().await?;
        let confirmed = self.confirm(expect, &frame, &known.record, &key).await?;
        link.send(&confirmed.done()?).await?;
        tracing::info!(sn = %known.record.sn, kcv = %key.kcv, "TMK confirmed");
        Ok(())
    }

    async fn look_up(&self, hello: &Hello) -> Result<Party, DownloadError> {
        let device = hello.device();
        let Some(record) = self.store.terminal(device.sn()).await? else {
            return Ok(Party::Stranger(Reason::UnknownTerminal { sn: device.sn().clone() }));
        };
        if record.pin_pad.as_ref() != device.external_pin_pad() || record.acquirer != self.acquirer.id {
            let (sn, pin_pad) = (device.sn().clone(), device.pin_pad().clone());
            return Ok(Party::Stranger(Reason::WrongPinPad { sn, pin_pad }));
        }
        let transport_key = match &record.tk {
            TkRecord::Blocks { tek, auk } => blocks(tek, auk),
            TkRecord::Ciphertext { ctk_pu, work_certificate_sha256 } => {
                self.open_collected(&record, ctk_pu, work_certificate_sha256).await?
            }
            TkRecord::None => return Ok(Party::Stranger(Reason::UnknownTerminal { sn: record.sn })),
        };
        Ok(Party::Known(Box::new(Known { record, transport_key })))
    }

    /// At the first download TEK and AUK become key blocks, once and for all.
    async fn open_collected(
        &self,
        record: &TerminalRecord,
        ctk_pu: &[u8],
        work_certificate: &str,
    ) -> Result<TransportKeyBlocks, DownloadError> {
        let work = self.store.work_key(work_certificate).await?;
        let work = work.ok_or_else(|| Failure::NoWorkKey(work_certificate.to_owned()))?;
        let opened = self
            .hsm
            .call(OpenCollected {
                work_key: KeyBlock::from_text(work.private_block),
                ctk_pu: ctk_pu.to_vec(),
                pin_pad: record.key_serial().to_string(),
                owner: self.owner(),
            })
            .await?;
        let event = event(
            "tk.opened",
            "server",
            record.sn.as_str(),
            json!({ "fingerprint": record.fingerprint, "generation": record.tk_generation }),
        );
        let (tek, auk) = (opened.tek.as_str().to_owned(), opened.auk.as_str().to_owned());
        // Whoever else opened it at the same time stored blocks of the same keys: either serve.
        self.store.set_tk_blocks(&record.sn, record.tk_generation, tek, auk, event).await?;
        Ok(opened)
    }

    async fn challenge(&self, hello: &Hello, party: &Party) -> Result<Challenge, HsmError> {
        let device = hello.device();
        let (pin_pad, rnd1) = (device.pin_pad().to_string(), hello.rnd1());
        match party {
            Party::Known(known) => {
                let transport_key = known.transport_key.clone();
                self.hsm.call(AnswerChallenge { transport_key, pin_pad, owner: self.owner(), rnd1 }).await
            }
            Party::Stranger(_) => {
                self.hsm.call(AnswerStranger { sn: device.sn().to_string(), pin_pad, rnd1 }).await
            }
        }
    }

    /// Has the HSM check the proof and give the key, and stores the key before it may leave.
    async fn deliver(
        &self,
        reply: Reply,
        suite: Suite,
        challenge: &Challenge,
        known: &Known,
        open: &OpenHello,
    ) -> Result<(Frame, ExpectConfirm, HeldKey), DownloadError> {
        let mut slot = self.store.slot(&known.record.sn, reply.slot()).await?;
        if let Some(refusal) = self.not_permitted(&reply, suite, &slot) {
            self.prove_only(&reply, challenge, known).await?;
            self.audit_refusal(&known.record, &reply, &refusal).await?;
            return Err(refusal.into());
        }
        for round in 0..MAX_RELEASES {
            let command = release(&reply, challenge, Some((known, &slot)), self.owner());
            let released = self.hsm.call(command).await.map_err(not_proven)?;
            // Nothing was stored or sent so far: a download that lost leaves no trace but its end.
            if round == 0 && !open.win() {
                return Err(Reason::AnotherWon.into());
            }
            let owner = Owner {
                sn: &known.record.sn,
                key_serial: known.record.key_serial(),
                tk_generation: known.record.tk_generation,
                slot: reply.slot(),
            };
            let kcv = released.kcv.into();
            match slots::make_pending(&*self.store, &owner, &slot, &released.tmk, kcv).await? {
                Stored::Held(held) => {
                    let (frame, expect) = reply.deliver(&released.under_tek, held.kcv)?;
                    return Ok((frame, expect, held));
                }
                Stored::TryWith(newer) => slot = newer,
                Stored::Again => {}
                Stored::StaleTk => break,
            }
        }
        Err(Reason::AnotherWon.into())
    }

    async fn confirm(
        &self,
        expect: ExpectConfirm,
        frame: &Frame,
        record: &TerminalRecord,
        key: &HeldKey,
    ) -> Result<Confirmed, DownloadError> {
        let detail = json!({ "key": key.id, "kcv": key.kcv.to_string() });
        match expect.on_frame(frame)?.compare() {
            Confirm::Opened(confirmed) => {
                let event = event("tmk.confirmed", record.sn.as_str(), record.sn.as_str(), detail);
                match self.store.confirm(key.id, event).await? {
                    ConfirmOutcome::Activated | ConfirmOutcome::AlreadyActive => Ok(confirmed),
                    ConfirmOutcome::Gone => Err(Reason::AnotherWon.into()),
                }
            }
            Confirm::WrongCheckValue(fault) => {
                tracing::warn!(sn = %record.sn, "KEY_CONFIRM has a wrong check value; the key stays pending");
                let alarm = event("alarm.wrong-check-value", record.sn.as_str(), record.sn.as_str(), detail);
                self.store.audit_append(alarm).await?;
                Err(fault.into())
            }
        }
    }

    /// What the acquirer's policy says against this request. Told to a proven terminal only.
    fn not_permitted(&self, reply: &Reply, suite: Suite, slot: &SlotRecord) -> Option<Refused> {
        // Asked first: no key may be made for a suite in which it cannot be sent.
        if suite != Suite::TDES {
            return Some(Refused::Suite(suite));
        }
        let [first, last] = self.acquirer.slots;
        if !(first..=last).contains(&reply.slot().index()) {
            return Some(Refused::NoKeyForSlot);
        }
        slots::keeps_active(&self.acquirer, slot).then_some(Refused::ActiveStays)
    }

    async fn prove_only(
        &self,
        reply: &Reply,
        challenge: &Challenge,
        known: &Known,
    ) -> Result<(), DownloadError> {
        let command = CheckAnswer {
            ticket: challenge.ticket.clone(),
            crnd2: reply.crnd2(),
            transport_key: known.transport_key.clone(),
            pin_pad: known.record.key_serial().to_string(),
            owner: self.owner(),
        };
        self.hsm.call(command).await.map_err(not_proven)
    }

    async fn audit_refusal(
        &self,
        record: &TerminalRecord,
        reply: &Reply,
        refusal: &Refused,
    ) -> Result<(), DownloadError> {
        let detail = json!({ "slot": reply.slot().index(), "reason": refusal.to_string() });
        let refused = event("tmk.refused", record.sn.as_str(), record.sn.as_str(), detail);
        self.store.audit_append(refused).await?;
        Ok(())
    }

    /// Only reasons of peers that proved nothing; what a proven terminal is refused for has its own event.
    fn count_stranger(&self, fault: &Fault<Reason>, open: &OpenHello, source: IpAddr) {
        let reason = match &fault.reason {
            Reason::UnknownTerminal { .. } => "unknown serial",
            Reason::WrongPinPad { .. } => "wrong PIN pad serial",
            Reason::WrongCrnd2 => "wrong answer to the challenge",
            Reason::TooMany => "too many open downloads for the serial",
            Reason::Protocol(_) => PROTOCOL,
            _ => return,
        };
        self.strangers.count(source, open.serial().as_str(), reason);
    }

    fn owner(&self) -> String {
        self.acquirer.id.clone()
    }
}

/// What the policy refuses a proven terminal.
#[derive(Debug, thiserror::Error)]
enum Refused {
    #[error("suite {0} is not supported")]
    Suite(Suite),
    #[error("the acquirer has no key for this slot")]
    NoKeyForSlot,
    #[error("the slot's key is active and the acquirer's policy keeps it")]
    ActiveStays,
}

impl From<Refused> for DownloadError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::NoKeyForSlot => {
                Self::Fault(Fault { code: ErrorCode::NoKeyForSlot, reason: not_permitted(&refused) })
            }
            Refused::Suite(suite) => Reason::SuiteNotSupported { suite }.into(),
            Refused::ActiveStays => not_permitted(&refused).into(),
        }
    }
}

/// Whether the terminal has proved itself, with or without getting a key.
fn is_proven<T>(delivered: &Result<T, DownloadError>) -> bool {
    match delivered {
        Ok(_) => true,
        Err(FlowEnd::Fault(fault)) => {
            matches!(fault.reason, Reason::NotPermitted { .. } | Reason::SuiteNotSupported { .. })
        }
        Err(_) => false,
    }
}

fn not_permitted(refused: &Refused) -> Reason {
    Reason::NotPermitted { why: refused.to_string() }
}

/// The next message, unless this download is put out by others of the same serial first.
async fn receive_reply<T: AsyncRead + AsyncWrite + Unpin>(
    link: &mut Link<T>,
    expect: ExpectReply,
    open: &OpenHello,
) -> Result<Reply, DownloadError> {
    tokio::select! {
        biased;
        frame = link.receive() => Ok(expect.on_frame(&frame?)?),
        () = open.over() => Err(Reason::TooMany.into()),
    }
}

fn release(
    reply: &Reply,
    challenge: &Challenge,
    known: Option<(&Known, &SlotRecord)>,
    owner: String,
) -> ReleaseTmk {
    let held = known.map(|(_, slot)| slot);
    ReleaseTmk {
        ticket: challenge.ticket.clone(),
        crnd2: reply.crnd2(),
        transport_key: known.map(|(known, _)| known.transport_key.clone()),
        pin_pad: reply.device().pin_pad().to_string(),
        owner,
        slot: reply.slot().index(),
        context: *reply.context().as_bytes(),
        pending: held.and_then(slots::pending_block),
        avoid: held.map(slots::avoid).unwrap_or_default(),
    }
}

fn not_proven(error: HsmError) -> DownloadError {
    match error {
        HsmError::Refused(Refusal::NotProven | Refusal::TicketExpired) => Reason::WrongCrnd2.into(),
        other => other.into(),
    }
}

fn blocks(tek: &str, auk: &str) -> TransportKeyBlocks {
    let block = |text: &str| KeyBlock::from_text(text.to_owned());
    TransportKeyBlocks { tek: block(tek), auk: block(auk) }
}
