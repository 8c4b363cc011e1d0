//! What a session asks the HSM: the driver is written once, and a suite answers in a file of its own.

use flows::{
    tms_download::SealSuite,
    tms_session::{
        TmsSuite,
        tms::{Hello, Proof},
    },
};
use hsm::{Hsm, HsmError, KeyBlock, commands::OperatorClaim};
use wire::{BcdTime, Kcv, SData};

use super::end::TmsEnd;
use crate::{kms::Failure, slots::Released, suite::LoadingSuite};

/// Who asks the HSM.
pub(super) struct Asking<'a, H> {
    pub(super) hsm: &'a H,
    /// The acquirer.
    pub(super) owner: &'a str,
}

/// TMS_CHALLENGE, and what proves its answer.
pub(super) struct Answer<U: TmsSuite> {
    pub(super) challenge: U::Challenge,
    pub(super) s_data: SData,
    pub(super) ticket: Vec<u8>,
}

/// A run up to TMS_PROOF, as the HSM sees it.
pub(super) struct Run<U: TmsSuite> {
    pub(super) proof: Proof<U>,
    pub(super) ticket: Vec<u8>,
    /// T_DATA and S_DATA: what an operator's proof is over.
    pub(super) data: ([u8; 10], [u8; 10]),
}

/// The TMK of a key download.
pub(super) struct Wanted {
    pub(super) slot: u8,
    /// The load counter of this sending, in a suite that has them.
    pub(super) counter: Option<u64>,
    pub(super) pending: Option<KeyBlock>,
    pub(super) avoid: Vec<Kcv>,
}

/// A session that the HSM has opened.
pub(super) struct Opened<U: TmsServerSuite> {
    pub(super) session: Session,
    pub(super) begins: U::Begins,
    pub(super) tmk: Option<Released>,
    /// What checking KEY_CONFIRM needs; see [`LoadingSuite::acknowledge`].
    pub(super) ticket: Vec<u8>,
}

/// An open session, as the HSM sealed it for itself.
pub(super) type Session = Vec<u8>;

/// An open session and whose it is: what each sealed message is asked with.
pub(super) struct Channel {
    pub(super) session: Session,
    /// The terminal's PIN pad.
    pub(super) pin_pad: String,
    /// The acquirer.
    pub(super) owner: String,
}

/// Why no session was opened.
pub(super) enum Asked {
    /// What the HSM said, or that it could not be asked.
    Hsm(HsmError),
    /// The role cannot say what is to be asked.
    End(TmsEnd),
}

/// A suite of flow E, as the TMS needs it.
pub(super) trait TmsServerSuite: TmsSuite + LoadingSuite + SealSuite<Number: Send> {
    /// What TMS_KEY takes from the opening, beside what is made for it.
    type Begins: Send;

    /// Makes TMS_CHALLENGE; without a DMK one of the same form, after the same work, that nothing proves.
    fn answer<H: Hsm>(
        asking: &Asking<'_, H>,
        hello: &Hello<Self>,
        dmk: Option<KeyBlock>,
        when: Option<BcdTime>,
        operator_demanded: bool,
    ) -> impl Future<Output = Result<Answer<Self>, NotAnswered>> + Send;

    /// Has TMS_PROOF checked, then the operator and, only then, the session opened and the TMK given.
    fn open<H: Hsm>(
        asking: &Asking<'_, H>,
        run: &Run<Self>,
        operator: Option<OperatorClaim>,
        tmk: Option<Wanted>,
    ) -> impl Future<Output = Result<Opened<Self>, Asked>> + Send;

    /// What TMS_KEY holds to begin the sealed phase, with this TMK in a key download.
    fn key<H: Hsm>(
        asking: &Asking<'_, H>,
        run: &Run<Self>,
        opened: &Opened<Self>,
        tmk: Option<&str>,
    ) -> impl Future<Output = Result<Self::Key, TmsEnd>> + Send;

    /// Seals an inner payload for the terminal, as the message of this number: DF4A's value.
    fn seal<H: Hsm>(
        hsm: &H,
        channel: &Channel,
        counter: Self::Number,
        payload: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, HsmError>> + Send;

    /// Opens DF4A's value from the terminal, which must be the message of this number: the inner payload.
    fn unseal<H: Hsm>(
        hsm: &H,
        channel: &Channel,
        counter: Self::Number,
        sealed: Vec<u8>,
    ) -> impl Future<Output = Result<Vec<u8>, HsmError>> + Send;
}

/// Why TMS_HELLO was not answered.
pub(super) enum NotAnswered {
    /// What the terminal sent is none: it is told by ERROR.
    End(TmsEnd),
    /// Something of ours.
    Failed(Failure),
}

impl From<HsmError> for Asked {
    fn from(error: HsmError) -> Self {
        Self::Hsm(error)
    }
}

impl From<flows::tms_session::Fault> for Asked {
    fn from(fault: flows::tms_session::Fault) -> Self {
        Self::End(fault.into())
    }
}

impl<E: Into<Failure>> From<E> for NotAnswered {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}
