//! The sealed phase (2-wire.md section 7): what a terminal asks in any order, each answer under the session key.
//!
//! Between two requests a session holds no buffer of a frame's size: a thousand terminals that write to their flash cost
//! a thousand small records. Answers are read and sealed a few at a time, so that a thousand that ask at once cost little
//! more.

use std::sync::Arc;

use flows::{
    Fault, Tdes,
    tms_download::{
        Counters, Reason, Request,
        messages::error_payload,
        sealed::{sealed_frame, unseal},
    },
};
use hsm::{
    Hsm, HsmError, Refusal,
    commands::{OpenTms, SealTms},
};
use store::{Store, TerminalRecord};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use wire::{Frame, MessageType, ModelId, Serial};

use super::estate::VendorEstate;
use crate::{
    flow_end::FlowEnd,
    kms::Kms,
    link::{Link, LinkError},
};

/// How the sealed phase ended early.
pub(super) type SealedEnd = FlowEnd<Reason>;

impl From<Reason> for SealedEnd {
    fn from(reason: Reason) -> Self {
        Self::Fault(reason.into())
    }
}

/// One open session.
pub(super) struct Sealing {
    pub(super) sn: Serial,
    pub(super) model: ModelId,
    pub(super) vendor: String,
    /// The package that is being loaded, as far as it was found to be allowed.
    pub(super) loading: Option<Loading>,
    pin_pad: String,
    owner: String,
    session: Vec<u8>,
    counters: Counters,
}

/// A package that a terminal may load, at a version of the estate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Loading {
    pub(super) package: i64,
    pub(super) version: i64,
}

impl Sealing {
    pub(super) fn new(
        terminal: &TerminalRecord,
        model: ModelId,
        estate: &Arc<VendorEstate>,
        session: Vec<u8>,
        owner: &str,
    ) -> Self {
        Self {
            sn: terminal.sn.clone(),
            model,
            vendor: estate.vendor.id.clone(),
            loading: None,
            pin_pad: terminal.key_serial().to_string(),
            owner: owner.to_owned(),
            session,
            counters: Counters::new(),
        }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Serves until the terminal closes or opens another session, whose TMS_HELLO it gives.
    pub(super) async fn sealed_phase<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        mut sealing: Sealing,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<Frame>, SealedEnd> {
        loop {
            let frame = tokio::select! {
                biased;
                frame = link.receive() => frame,
                // Between two requests nothing is lost: the terminal goes on with another session.
                () = crate::stopped(stop) => return Ok(None),
            };
            let frame = match frame {
                Ok(frame) => frame,
                Err(LinkError::Closed) => return Ok(None),
                Err(error) => return self.tell(link, &mut sealing, error.into()).await,
            };
            if frame.kind() == Ok(MessageType::TmsHello) {
                return Ok(Some(frame));
            }
            match self.answer_sealed(&mut sealing, frame).await {
                Ok(answer) => link.send(&answer).await?,
                Err(end) => return self.tell(link, &mut sealing, end).await,
            }
        }
    }

    async fn answer_sealed(&self, sealing: &mut Sealing, frame: Frame) -> Result<Frame, SealedEnd> {
        let inner = self.open_sealed(sealing, frame).await?;
        let request = Request::read::<Tdes>(&inner)?;
        drop(inner);
        let (answer, _place) = match request {
            Request::Inventory(inventory) => (self.answer_inventory(sealing, inventory).await?, None),
            Request::Get(get) => {
                let (answer, place) = self.answer_get(sealing, get).await?;
                (answer, Some(place))
            }
            Request::Report(report) => (self.answer_report(sealing, report).await?, None),
        };
        let number = sealing.counters.out(answer.len()).map_err(Fault::from)?;
        self.seal(sealing, number, answer).await
    }

    async fn open_sealed(&self, sealing: &mut Sealing, frame: Frame) -> Result<Vec<u8>, SealedEnd> {
        let sealed = unseal::<Tdes>(&frame).map_err(Fault::<Reason>::from)?;
        drop(frame);
        let counter = sealing.counters.in_(sealed.len()).map_err(Fault::from)?;
        let command = OpenTms {
            session: sealing.session.clone(),
            pin_pad: sealing.pin_pad.clone(),
            owner: sealing.owner.clone(),
            counter,
            sealed,
        };
        self.hsm.call(command).await.map_err(|error| match error {
            HsmError::Refused(Refusal::TicketExpired) => too_old(),
            HsmError::Refused(refusal) if refusal.is_not_proven() => Reason::NotAuthentic.into(),
            other => other.into(),
        })
    }

    async fn seal(&self, sealing: &Sealing, counter: u32, payload: Vec<u8>) -> Result<Frame, SealedEnd> {
        let Ok(_place) = self.tms.seals.acquire().await else {
            return Err(Reason::Internal { why: "the server ends".into() }.into());
        };
        let command = SealTms {
            session: sealing.session.clone(),
            pin_pad: sealing.pin_pad.clone(),
            owner: sealing.owner.clone(),
            counter,
            payload,
        };
        let sealed = self.hsm.call(command).await.map_err(|error| match error {
            HsmError::Refused(Refusal::TicketExpired) => too_old(),
            other => other.into(),
        })?;
        Ok(sealed_frame(&sealed).map_err(Fault::<Reason>::from)?)
    }

    /// Ends the phase with a sealed ERROR, as far as one can be sent.
    async fn tell<T: AsyncRead + AsyncWrite + Unpin, N>(
        &self,
        link: &mut Link<T>,
        sealing: &mut Sealing,
        end: SealedEnd,
    ) -> Result<N, SealedEnd> {
        let Some(code) = end.code() else { return Err(end) };
        let text = words(&end).unwrap_or(code.text());
        for text in [text, ""] {
            let payload = error_payload(code, text);
            let Ok(number) = sealing.counters.out_error(payload.len()) else { continue };
            match self.seal(sealing, number, payload).await {
                // The peer may be gone already: then there is nobody to tell.
                Ok(frame) => drop(link.send(&frame).await),
                // The HSM does not seal: a clear ERROR only closes the connection, which happens anyway.
                Err(error) => tracing::debug!(sn = %sealing.sn, %error, "an ERROR could not be sealed"),
            }
            break;
        }
        Err(end)
    }
}

fn too_old() -> SealedEnd {
    Reason::Busy { why: "the session is too old; open a new one".into() }.into()
}

/// What a proven terminal is told beside the code: which of the many things to be busy with it is.
fn words(end: &SealedEnd) -> Option<&'static str> {
    let FlowEnd::Fault(fault) = end else { return None };
    match fault.reason {
        Reason::Exhausted(_) => Some("session key used up: open a new session and go on"),
        Reason::Busy { .. } => Some("the vendor's packages cannot be read now: try again later"),
        Reason::NotOffered { .. } => Some("this package is not offered to this terminal"),
        Reason::PastTheEnd { .. } => Some("the package ends before this offset"),
        _ => None,
    }
}
