//! The sealed phase (2-wire.md section 7): what a terminal asks in any order, each answer under the session key.
//!
//! Between two requests a session holds no buffer of a frame's size: a thousand terminals that write to their flash cost
//! a thousand small records. Answers are read and sealed a few at a time, so that a thousand that ask at once cost little
//! more.

use std::sync::Arc;

use flows::{
    Fault,
    tms_download::{
        Counters, Reason, Request,
        messages::error_payload,
        sealed::{sealed_frame, unseal},
    },
};
use hsm::{Hsm, HsmError, Refusal};
use store::{Store, TerminalRecord};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use wire::{Frame, MessageType, ModelId, Serial};

use super::{
    estate::VendorEstate,
    suite::{Channel, Session, TmsServerSuite},
};
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
}

/// Its seal.
pub(super) struct Seal<U: TmsServerSuite> {
    channel: Channel,
    counters: Counters<U>,
}

impl<U: TmsServerSuite> Seal<U> {
    pub(super) fn new(terminal: &TerminalRecord, session: Session, owner: &str) -> Self {
        let (pin_pad, owner) = (terminal.key_serial().to_string(), owner.to_owned());
        Self { channel: Channel { session, pin_pad, owner }, counters: Counters::of() }
    }
}

/// A package that a terminal may load, at a version of the estate.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Loading {
    pub(super) package: i64,
    pub(super) version: i64,
}

impl Sealing {
    pub(super) fn new(terminal: &TerminalRecord, model: ModelId, estate: &Arc<VendorEstate>) -> Self {
        Self { sn: terminal.sn.clone(), model, vendor: estate.vendor.id.clone(), loading: None }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Serves until the terminal closes or opens another session, whose TMS_HELLO it gives.
    pub(super) async fn sealed_phase<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        (mut sealing, mut seal): (Sealing, Seal<U>),
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
                Err(error) => return self.tell(link, &sealing.sn, &mut seal, error.into()).await,
            };
            if frame.kind() == Ok(MessageType::TmsHello) {
                return Ok(Some(frame));
            }
            match self.answer_sealed(&mut sealing, &mut seal, frame).await {
                Ok(answer) => link.send(&answer).await?,
                Err(end) => return self.tell(link, &sealing.sn, &mut seal, end).await,
            }
        }
    }

    async fn answer_sealed<U: TmsServerSuite>(
        &self,
        sealing: &mut Sealing,
        seal: &mut Seal<U>,
        frame: Frame,
    ) -> Result<Frame, SealedEnd> {
        let inner = self.open_sealed(seal, frame).await?;
        let request = Request::read::<U>(&inner)?;
        drop(inner);
        let (answer, _place) = match request {
            Request::Inventory(inventory) => (self.answer_inventory(sealing, inventory).await?, None),
            Request::Get(get) => {
                let (answer, place) = self.answer_get(sealing, get).await?;
                (answer, Some(place))
            }
            Request::Report(report) => (self.answer_report(sealing, report).await?, None),
        };
        let number = seal.counters.out(answer.len()).map_err(Fault::from)?;
        self.seal(seal, number, answer).await
    }

    async fn open_sealed<U: TmsServerSuite>(
        &self,
        seal: &mut Seal<U>,
        frame: Frame,
    ) -> Result<Vec<u8>, SealedEnd> {
        let sealed = unseal::<U>(&frame).map_err(Fault::<Reason>::from)?;
        drop(frame);
        let counter = seal.counters.in_(sealed.len()).map_err(Fault::from)?;
        U::unseal(&self.hsm, &seal.channel, counter, sealed).await.map_err(|error| match error {
            HsmError::Refused(Refusal::TicketExpired | Refusal::SessionOver) => too_old(),
            HsmError::Refused(refusal) if refusal.is_not_proven() => Reason::NotAuthentic.into(),
            other => other.into(),
        })
    }

    async fn seal<U: TmsServerSuite>(
        &self,
        seal: &Seal<U>,
        counter: U::Number,
        payload: Vec<u8>,
    ) -> Result<Frame, SealedEnd> {
        let Ok(_place) = self.tms.seals.acquire().await else {
            return Err(Reason::Internal { why: "the server ends".into() }.into());
        };
        let sealed = U::seal(&self.hsm, &seal.channel, counter, payload).await;
        let sealed = sealed.map_err(|error| match error {
            HsmError::Refused(Refusal::TicketExpired | Refusal::SessionOver) => too_old(),
            other => other.into(),
        })?;
        Ok(sealed_frame(&sealed).map_err(Fault::<Reason>::from)?)
    }

    /// Ends the phase with a sealed ERROR, as far as one can be sent.
    async fn tell<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin, N>(
        &self,
        link: &mut Link<T>,
        sn: &Serial,
        seal: &mut Seal<U>,
        end: SealedEnd,
    ) -> Result<N, SealedEnd> {
        let Some(code) = end.code() else { return Err(end) };
        let text = words(&end).unwrap_or(code.text());
        for text in [text, ""] {
            let payload = error_payload(code, text);
            let Ok(number) = seal.counters.out_error(payload.len()) else { continue };
            match self.seal(seal, number, payload).await {
                // The peer may be gone already: then there is nobody to tell.
                Ok(frame) => drop(link.send(&frame).await),
                // The HSM does not seal: a clear ERROR only closes the connection, which happens anyway.
                Err(error) => tracing::debug!(%sn, %error, "an ERROR could not be sealed"),
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
