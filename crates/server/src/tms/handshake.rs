//! Drives the TMS's role of a session up to TMS_PROOF: who proves nothing learns nothing.
//!
//! What TMS_HELLO says of itself (vendor, model, version, transaction, date) is judged before anything that depends on
//! the serial. From then on everybody is treated alike until TMS_PROOF: TMS_CHALLENGE of the same form after the same
//! work in the HSM, on the same grid of time (2-wire.md section 8).

use std::{net::IpAddr, sync::Arc};

use flows::{
    EcAes, Fault, Tdes,
    tms_session::{
        Identification, Reason,
        tms::{ExpectHello, Hello, Proof},
    },
};
use hsm::{Hsm, commands::MAX_TRANSCRIPT};
use store::Store;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::watch,
};
use wire::{BcdTime, Frame, Src, Suite, TmsVersion};

use super::{
    end::TmsEnd,
    estate::VendorEstate,
    opening::{Opening, fail},
    party::Party,
    suite::{Answer, NotAnswered, Run, TmsServerSuite},
};
use crate::{
    clock::now_seconds,
    flow_end::FlowEnd,
    kms::{Failure, Kms, answer_grid::AnswerGrid},
    link::{Link, LinkError},
    suite,
};

/// How far a terminal's date may be off, where the acquirer asks (2-wire.md section 4, flow E).
const MAX_CLOCK_ERROR: u64 = 24 * 60 * 60;
/// Why most peers that proved nothing are refused, in the audit.
const PROTOCOL: &str = "protocol error";

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Serves sessions whose first message is `hello`, until the terminal closes, a key is loaded, or one fails.
    pub(crate) async fn manage<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        hello: &Frame,
        source: IpAddr,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<(), TmsEnd> {
        let mut next = self.manage_one(link, hello, source, stop).await?;
        while let Some(hello) = next {
            next = self.manage_one(link, &hello, source, stop).await?;
        }
        Ok(())
    }

    /// Serves one session; gives the TMS_HELLO with which the terminal opens another.
    async fn manage_one<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        hello: &Frame,
        source: IpAddr,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<Frame>, TmsEnd> {
        match suite::asked(hello) {
            Suite::EC_AES => self.manage_of::<EcAes, T>(link, hello, source, stop).await,
            _ => self.manage_of::<Tdes, T>(link, hello, source, stop).await,
        }
    }

    async fn manage_of<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        hello: &Frame,
        source: IpAddr,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<Frame>, TmsEnd> {
        let hello = match ExpectHello::new().on_frame_of::<U>(hello) {
            Ok(hello) => hello,
            Err(fault) => {
                self.count_unnamed(source);
                return Err(fault.into());
            }
        };
        let sn = hello.identification().device.sn().clone();
        let served = self.session(link, hello, stop).await;
        if let Err(end) = &served
            && let Some(reason) = unproved(end)
        {
            self.strangers.count(source, sn.as_str(), reason);
        }
        served
    }

    async fn session<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        hello: Hello<U>,
        stop: &mut watch::Receiver<bool>,
    ) -> Result<Option<Frame>, TmsEnd> {
        let grid = AnswerGrid::new();
        let (suite, told) = (hello.suite(), hello.refusals().to_vec());
        let estate = match self.admit(&hello).await {
            Ok(Ok(estate)) => estate,
            Ok(Err(reason)) => return refuse_hello(link, grid, hello, reason).await,
            Err(failure) => return fail_hello(link, grid, hello, failure).await,
        };
        let demanded = self.demands_operator(&estate);
        let (party, answer) = match self.answer(&hello, demanded).await {
            Ok(answered) => answered,
            Err(NotAnswered::Failed(failure)) => return fail_hello(link, grid, hello, failure).await,
            Err(NotAnswered::End(end)) => {
                grid.next().await;
                return Err(end);
            }
        };
        let Answer { challenge, s_data, ticket } = answer;
        let data = (hello.t_data().bytes(), s_data.bytes());
        let (frame, expect) = hello.answer(challenge, &s_data, demanded)?;
        grid.next().await;
        link.send(&frame).await?;
        let proof = expect.on_frame(&link.receive().await?)?;
        let grid = AnswerGrid::new();
        if proof.said().bytes().len() > MAX_TRANSCRIPT {
            let why = "the messages up to TMS_PROOF are longer than this server takes".into();
            return Err(Fault::from(Reason::NotPermitted { why }).into());
        }
        let party = match self.still::<U>(party, proof.identification()).await {
            Ok(party) => party,
            Err(failure) => return fail_proof(link, grid, proof, failure).await,
        };
        let opening = Opening { run: Run { proof, ticket, data }, suite, told, estate };
        match party {
            Party::Known(known) => self.open_session(link, opening, *known, grid, stop).await,
            Party::Stranger(reason) => self.refuse_stranger(link, opening, reason, grid).await,
        }
    }

    /// Who the terminal is now: minutes may have passed since TMS_HELLO, and its DMK may have been found compromised or
    /// replaced. What was answered for the old one proves nothing then. Everybody is looked up again, so that it does not
    /// show who is known.
    async fn still<U: TmsServerSuite>(
        &self,
        before: Party,
        identification: &Identification,
    ) -> Result<Party, Failure> {
        let now = self.tms_party::<U>(identification).await?;
        Ok(match (before, now) {
            (Party::Known(before), Party::Known(now)) if before.dmk == now.dmk => Party::Known(now),
            (Party::Known(_), Party::Known(now)) => {
                Party::Stranger(Reason::NoDmk { sn: now.terminal.sn.clone() })
            }
            (Party::Stranger(reason), _) | (_, Party::Stranger(reason)) => Party::Stranger(reason),
        })
    }

    /// Judges what TMS_HELLO says of itself, without a look at the serial.
    async fn admit<U: TmsServerSuite>(
        &self,
        hello: &Hello<U>,
    ) -> Result<Result<Arc<VendorEstate>, Reason>, Failure> {
        if hello.version() != TmsVersion::CURRENT {
            return Ok(Err(Reason::VersionNotSupported));
        }
        if hello.transaction().is_err() {
            return Ok(Err(Reason::TransactionNotSupported));
        }
        let (vendor, model) = (&hello.identification().vendor, &hello.identification().model);
        let estate = self.tms.estate.vendor(&self.store, vendor.as_str()).await?;
        let Some(estate) = estate.filter(|estate| estate.has_model(model.as_str())) else {
            return Ok(Err(Reason::UnknownVendorOrModel));
        };
        let checks_date = self.tms.settings.as_ref().is_some_and(|settings| settings.check_date);
        // A terminal without a clock names no date, and so none that is off.
        if checks_date && hello.t_data().when().is_some_and(is_off) {
            return Ok(Err(Reason::DateOutOfRange));
        }
        Ok(Ok(estate))
    }

    fn demands_operator(&self, estate: &VendorEstate) -> bool {
        let everywhere = self.tms.settings.as_ref().is_some_and(|settings| settings.operator_required);
        everywhere || estate.vendor.operator_required
    }

    async fn answer<U: TmsServerSuite>(
        &self,
        hello: &Hello<U>,
        operator_demanded: bool,
    ) -> Result<(Party, Answer<U>), NotAnswered> {
        let party = self.tms_party::<U>(hello.identification()).await?;
        let when = BcdTime::from_unix(now_seconds()).ok();
        let answer = U::answer(&self.tms_asking(), hello, party.dmk(), when, operator_demanded).await?;
        Ok((party, answer))
    }
}

/// Ends a session by SRC before anybody has proved anything.
async fn refuse_hello<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin, N>(
    link: &mut Link<T>,
    grid: AnswerGrid,
    hello: Hello<U>,
    reason: Reason,
) -> Result<N, TmsEnd> {
    let frame = hello.refuse(reason.src().unwrap_or(Src::SystemError))?;
    grid.next().await;
    link.send(&frame).await?;
    Err(TmsEnd::Refused(reason))
}

async fn fail_hello<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin, N>(
    link: &mut Link<T>,
    grid: AnswerGrid,
    hello: Hello<U>,
    failure: Failure,
) -> Result<N, TmsEnd> {
    let frame = hello.refuse(Src::SystemError)?;
    grid.next().await;
    link.send(&frame).await?;
    Err(TmsEnd::Failed(failure))
}

async fn fail_proof<U: TmsServerSuite, T: AsyncRead + AsyncWrite + Unpin, N>(
    link: &mut Link<T>,
    grid: AnswerGrid,
    proof: Proof<U>,
    failure: Failure,
) -> Result<N, TmsEnd> {
    grid.next().await;
    fail(link, proof, failure).await
}

pub(super) fn internal(why: &str) -> TmsEnd {
    Fault::from(Reason::Internal { why: why.into() }).into()
}

fn is_off(when: BcdTime) -> bool {
    when.unix().abs_diff(now_seconds()) > MAX_CLOCK_ERROR
}

/// Reasons of peers that proved nothing, for the minute's count; what a proven terminal is refused for has its own
/// event.
fn unproved(end: &TmsEnd) -> Option<&'static str> {
    let reason = match end {
        TmsEnd::Refused(reason) => reason,
        TmsEnd::Session(FlowEnd::Fault(fault)) => &fault.reason,
        TmsEnd::Session(FlowEnd::Link(LinkError::Malformed(_))) => return Some(PROTOCOL),
        TmsEnd::Sealed(FlowEnd::Fault(fault)) => {
            // Anybody on the line can put a message in between.
            let forged = matches!(fault.reason, flows::tms_download::Reason::NotAuthentic);
            return forged.then_some("a sealed message does not open");
        }
        TmsEnd::Session(_) | TmsEnd::Sealed(_) | TmsEnd::Failed(_) => return None,
    };
    match reason {
        Reason::UnknownTerminal { .. } => Some("unknown serial"),
        Reason::WrongPinPad { .. } => Some("wrong PIN pad serial"),
        Reason::NoDmk { .. } => Some("no DMK"),
        Reason::WrongSac1 => Some("wrong SAC_1"),
        Reason::TerminalFailed => Some("the terminal says that its check of TMS_CHALLENGE failed"),
        Reason::UnknownVendorOrModel => Some("unknown vendor or model"),
        Reason::VersionNotSupported => Some("another version of the protocol"),
        Reason::TransactionNotSupported => Some("unknown transaction code"),
        Reason::DateOutOfRange => Some("date out of range"),
        Reason::Protocol(_) => Some(PROTOCOL),
        _ => None,
    }
}
