//! Drives the host's role of a sign-in over the terminal port.
//!
//! Nobody is proven before SIGN_IN_CONFIRM: whoever names a serial, slot and TMK that this host does not hold together
//! gets 0006, on the answers' grid, whatever of it was wrong (2-wire.md section 8).

use std::net::IpAddr;

use flows::{
    EcAes, Tdes,
    sign_in::{Reason, host::ExpectSignIn},
};
use hsm::Hsm;
use store::Store;
use tokio::io::{AsyncRead, AsyncWrite};
use wire::{Frame, Serial, Suite};

use super::suite::HostSuite;
use crate::{
    flow_end::FlowEnd,
    kms::{Kms, answer_grid::AnswerGrid},
    link::{Link, LinkError},
    suite,
};

/// Who carries the messages, in the audit.
const TERMINAL_PORT: &str = "server";
/// Why most peers that proved nothing are refused, in the audit.
const PROTOCOL: &str = "protocol error";

/// How a sign-in ended without new working keys.
pub(crate) type SignInEnd = FlowEnd<Reason>;

impl From<Reason> for SignInEnd {
    fn from(reason: Reason) -> Self {
        Self::Fault(reason.into())
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Serves one sign-in whose first message is `first`.
    pub(crate) async fn sign_in<T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        first: &Frame,
        source: IpAddr,
    ) -> Result<(), SignInEnd> {
        match suite::asked(first) {
            Suite::EC_AES => self.sign_in_of::<EcAes, T>(link, first, source).await,
            _ => self.sign_in_of::<Tdes, T>(link, first, source).await,
        }
    }

    async fn sign_in_of<U: HostSuite, T: AsyncRead + AsyncWrite + Unpin>(
        &self,
        link: &mut Link<T>,
        first: &Frame,
        source: IpAddr,
    ) -> Result<(), SignInEnd> {
        let grid = AnswerGrid::new();
        let sign_in = match ExpectSignIn::new().on_frame_of::<U>(first) {
            Ok(sign_in) => sign_in,
            Err(fault) => {
                self.count_unnamed(source);
                return Err(fault.into());
            }
        };
        let sn = sign_in.device().sn().clone();
        let served = async {
            self.host.recent.enter(source, &sn)?;
            let offered = self.offer_working_keys(&sign_in, TERMINAL_PORT).await;
            // Known or not, the answer leaves at the same time.
            grid.next().await;
            let offered = offered?;
            let (frame, expect) = sign_in.deliver(&offered.blocks)?;
            link.send(&frame).await?;
            let confirm = expect.on_frame(&link.receive().await?)?;
            let done = self.take_confirmation::<U>(offered, confirm.mac(), TERMINAL_PORT).await?;
            link.send(&confirm.done(done)?).await?;
            Ok(())
        }
        .await;
        match &served {
            Ok(()) => tracing::info!(%sn, "signed in"),
            Err(end) => self.count_unproved(end, &sn, source),
        }
        served
    }

    fn count_unproved(&self, end: &SignInEnd, sn: &Serial, source: IpAddr) {
        let reason = match end {
            FlowEnd::Fault(fault) => match &fault.reason {
                Reason::UnknownTerminal { .. } => "unknown serial",
                Reason::WrongPinPad { .. } => "wrong PIN pad serial",
                Reason::NoTmk { .. } => "no TMK in the slot it signs in for",
                Reason::OtherTmk { .. } => "wrong check value of its TMK",
                Reason::SuiteNotSupported { .. } => "suite that does not sign in here",
                Reason::WrongMac => "wrong MAC in its confirmation",
                Reason::TooMany => "too many sign-ins",
                Reason::Protocol(_) => PROTOCOL,
                _ => return,
            },
            FlowEnd::Link(LinkError::Malformed(_)) => PROTOCOL,
            _ => return,
        };
        self.strangers.count(source, sn.as_str(), reason);
    }
}
