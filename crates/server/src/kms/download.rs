//! Drives the KMS's role of a TMK download: between its messages it asks HSM and store.
//!
//! The order that everything rests on: a key is *stored as pending, with its audit event,* before it is sent; it
//! becomes active, and the old one retired, only when the terminal has confirmed it; DONE leaves after that is durable.

use std::net::IpAddr;

use flows::{
    EcAes, Tdes,
    tmk_download::{
        Reason,
        kms::{Confirmed, ExpectConfirm, ExpectHello, ExpectReply, Hello, Reply},
    },
};
use hsm::{
    Hsm, HsmError, KeyBlock,
    commands::{OpenCollected, TransportKeyBlocks},
};
use serde_json::json;
use store::{ConfirmOutcome, HeldKey, Store, TerminalRecord, TkRecord};
use tokio::io::{AsyncRead, AsyncWrite};
use wire::{Device, Frame, Suite};

use self::{
    refused::Refused,
    suite::{Asked, Asking, KmsSuite},
};
use super::{Failure, Kms, answer_grid::AnswerGrid, event, open_hellos::OpenHello};
use crate::{
    flow_end::FlowEnd,
    link::{Link, LinkError},
    slots::{self, MAX_RELEASES, Owner, Stored},
    suite::{Holder, asked},
};

mod ec_aes;
mod refused;
mod suite;
mod tdes;

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

impl Party {
    fn transport_key(&self) -> Option<&TransportKeyBlocks> {
        match self {
            Self::Known(known) => Some(&known.transport_key),
            Self::Stranger(_) => None,
        }
    }
}

/// A key that is stored and may leave, and what its confirmation is checked with.
struct Sent<U: KmsSuite> {
    frame: Frame,
    expect: ExpectConfirm<U>,
    key: HeldKey,
    ticket: Vec<u8>,
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Serves one download whose first message is `hello`.
    pub(crate) async fn download<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        hello: &Frame,
        source: IpAddr,
    ) -> Result<(), DownloadError> {
        match asked(hello) {
            Suite::EC_AES => self.download_of::<EcAes, T>(link, hello, source).await,
            _ => self.download_of::<Tdes, T>(link, hello, source).await,
        }
    }

    async fn download_of<U: KmsSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        hello: &Frame,
        source: IpAddr,
    ) -> Result<(), DownloadError> {
        let hello = match ExpectHello::new().on_frame_of::<U>(hello) {
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

    async fn serve<U: KmsSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        hello: Hello<U>,
        open: &OpenHello,
    ) -> Result<(), DownloadError> {
        let grid = AnswerGrid::new();
        let (party, suite) = (self.look_up::<U>(hello.device()).await?, hello.suite());
        let told = hello.refusals().to_vec();
        let asking =
            Asking { hsm: &self.hsm, owner: &self.acquirer.id, transport_key: party.transport_key() };
        let (frame, expect, ticket) = U::challenge(&asking, hello).await?;
        grid.next().await;
        link.send(&frame).await?;
        let reply = receive_reply(link, expect, open).await?;
        let grid = AnswerGrid::new();

        let known = match &party {
            Party::Known(known) => known,
            Party::Stranger(reason) => {
                // The same question to the HSM as for a known terminal; it always refuses.
                let refused = U::release(&asking, &ticket, &reply, None).await;
                grid.next().await;
                return Err(match refused {
                    Ok(_) | Err(Asked::Hsm(HsmError::Refused(_))) => reason.clone().into(),
                    Err(Asked::Hsm(unreachable)) => unreachable.into(),
                    Err(Asked::Role(fault)) => fault.into(),
                });
            }
        };
        let delivered = self.deliver(&asking, &ticket, reply, suite, known, open).await;
        if is_proven(&delivered) {
            self.keep_refusals(&known.record.sn, "TK_HELLO", &told).await?;
        } else if let Err(DownloadError::Fault(_)) = &delivered {
            grid.next().await;
        }
        let Sent { frame, expect, key, ticket } = delivered?;
        link.send(&frame).await?;
        let frame = link.receive().await?;
        let confirmed = self.confirm(expect, &frame, &known.record, (&key, &ticket)).await?;
        link.send(&confirmed.done()?).await?;
        tracing::info!(sn = %known.record.sn, kcv = %key.kcv, "TMK confirmed");
        Ok(())
    }

    async fn look_up<U: KmsSuite>(&self, device: &Device) -> Result<Party, DownloadError> {
        let Some(record) = self.store.terminal(device.sn()).await? else {
            return Ok(Party::Stranger(Reason::UnknownTerminal { sn: device.sn().clone() }));
        };
        if record.pin_pad.as_ref() != device.external_pin_pad() || record.acquirer != self.acquirer.id {
            let (sn, pin_pad) = (device.sn().clone(), device.pin_pad().clone());
            return Ok(Party::Stranger(Reason::WrongPinPad { sn, pin_pad }));
        }
        // It can prove nothing in this suite: as if nobody knew it. Which suite it has is nobody's to ask about.
        if record.suite != U::ID {
            return Ok(Party::Stranger(Reason::OtherSuite { sn: record.sn, suite: U::ID }));
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

    /// Has the HSM check the proof and give the key, and stores the key before it may leave.
    async fn deliver<U: KmsSuite>(
        &self,
        asking: &Asking<'_, H>,
        ticket: &U::Ticket,
        reply: Reply<U>,
        suite: Suite,
        known: &Known,
        open: &OpenHello,
    ) -> Result<Sent<U>, DownloadError> {
        let record = &known.record;
        let mut slot = self.store.slot(&record.sn, reply.slot()).await?;
        if let Some(refusal) = self.not_permitted(&reply, suite, record, &slot).await? {
            U::prove(asking, ticket, &reply).await.map_err(not_proven)?;
            return Err(self.refuse_download(record, &reply, refusal).await?);
        }
        for round in 0..MAX_RELEASES {
            let released = U::release(asking, ticket, &reply, Some(&slot)).await.map_err(not_proven)?;
            // Nothing was stored or sent so far: a download that lost leaves no trace but its end.
            if round == 0 && !open.win() {
                return Err(Reason::AnotherWon.into());
            }
            let owner = Owner {
                sn: &record.sn,
                key_serial: record.key_serial(),
                tk_generation: record.tk_generation,
                slot: reply.slot(),
            };
            match slots::make_pending::<U, S>(&*self.store, &owner, &slot, &released.key).await? {
                Stored::Held(key) => {
                    let (frame, expect) = reply.deliver(&released.key.wrapped, key.kcv)?;
                    return Ok(Sent { frame, expect, key, ticket: released.ticket });
                }
                Stored::TryWith(newer) => slot = newer,
                Stored::Again => {}
                Stored::StaleTk => break,
                Stored::LowerSuite => {
                    return Err(self.refuse_download(record, &reply, Refused::LowerSuite(suite)).await?);
                }
            }
        }
        Err(Reason::AnotherWon.into())
    }

    async fn confirm<U: KmsSuite>(
        &self,
        expect: ExpectConfirm<U>,
        frame: &Frame,
        record: &TerminalRecord,
        (key, ticket): (&HeldKey, &[u8]),
    ) -> Result<Confirmed<U>, DownloadError> {
        let detail = json!({ "key": key.id, "kcv": key.kcv.to_string(), "suite": U::ID.byte() });
        let told = expect.on_frame(frame)?;
        let holder = Holder { pin_pad: record.key_serial().as_str(), owner: &self.acquirer.id };
        let Some(done) = U::acknowledge(&self.hsm, ticket, &told, holder).await? else {
            tracing::warn!(sn = %record.sn, "KEY_CONFIRM is wrong; the key stays pending");
            let alarm = event("alarm.wrong-check-value", record.sn.as_str(), record.sn.as_str(), detail);
            self.store.audit_append(alarm).await?;
            return Err(told.wrong().into());
        };
        let event = event("tmk.confirmed", record.sn.as_str(), record.sn.as_str(), detail);
        match self.store.confirm(key.id, event).await? {
            ConfirmOutcome::Activated | ConfirmOutcome::AlreadyActive => Ok(told.acknowledged(done)),
            ConfirmOutcome::Gone => Err(Reason::AnotherWon.into()),
        }
    }

    fn owner(&self) -> String {
        self.acquirer.id.clone()
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

/// The next message, unless this download is put out by others of the same serial first.
async fn receive_reply<U: KmsSuite, T: AsyncRead + AsyncWrite + Unpin>(
    link: &mut Link<T>,
    expect: ExpectReply<U>,
    open: &OpenHello,
) -> Result<Reply<U>, DownloadError> {
    tokio::select! {
        biased;
        frame = link.receive() => Ok(expect.on_frame(&frame?)?),
        () = open.over() => Err(Reason::TooMany.into()),
    }
}

fn not_proven(asked: Asked) -> DownloadError {
    match asked {
        Asked::Hsm(HsmError::Refused(refusal)) if refusal.is_not_proven() => Reason::WrongCrnd2.into(),
        Asked::Hsm(other) => other.into(),
        Asked::Role(fault) => fault.into(),
    }
}

fn blocks(tek: &str, auk: &str) -> TransportKeyBlocks {
    let block = |text: &str| KeyBlock::from_text(text.to_owned());
    TransportKeyBlocks { tek: block(tek), auk: block(auk) }
}
