//! What a download asks the HSM: the driver is written once, and a suite answers in a file of its own.

use flows::tmk_download::{
    DownloadSuite, Fault,
    kms::{ExpectReply, Hello, Reply},
};
use hsm::{Hsm, HsmError, commands::TransportKeyBlocks};
use store::SlotRecord;
use wire::Frame;

use super::DownloadError;
use crate::{slots::Released, suite::LoadingSuite};

/// Who asks the HSM, for whom.
pub(super) struct Asking<'a, H> {
    pub(super) hsm: &'a H,
    /// The acquirer.
    pub(super) owner: &'a str,
    /// TK of a known terminal; nothing for a stranger.
    pub(super) transport_key: Option<&'a TransportKeyBlocks>,
}

/// What the HSM gave for a proof.
pub(super) struct Release {
    pub(super) key: Released,
    /// What checking KEY_CONFIRM needs; see [`LoadingSuite::acknowledge`].
    pub(super) ticket: Vec<u8>,
}

/// A suite of flow A, as the KMS needs it.
pub(crate) trait KmsSuite: DownloadSuite + LoadingSuite {
    /// What the HSM must see again with TK_REPLY.
    type Ticket: Send + Sync;

    /// Makes TK_CHALLENGE: for a stranger one of the same form after the same work.
    fn challenge<H: Hsm>(
        asking: &Asking<'_, H>,
        hello: Hello<Self>,
    ) -> impl Future<Output = Result<(Frame, ExpectReply<Self>, Self::Ticket), DownloadError>> + Send;

    /// Has the proof in TK_REPLY checked, and nothing given for it.
    fn prove<H: Hsm>(
        asking: &Asking<'_, H>,
        ticket: &Self::Ticket,
        reply: &Reply<Self>,
    ) -> impl Future<Output = Result<(), Asked>> + Send;

    /// Has the proof in TK_REPLY checked and, only then, the key given: the pending one of `slot` again, or a new one.
    /// A stranger has no slot.
    fn release<H: Hsm>(
        asking: &Asking<'_, H>,
        ticket: &Self::Ticket,
        reply: &Reply<Self>,
        slot: Option<&SlotRecord>,
    ) -> impl Future<Output = Result<Release, Asked>> + Send;
}

/// Why a proof led to nothing.
#[derive(Debug)]
pub(super) enum Asked {
    /// What the HSM said, or that it could not be asked.
    Hsm(HsmError),
    /// The role cannot say what is to be asked.
    Role(Fault),
}

impl From<HsmError> for Asked {
    fn from(error: HsmError) -> Self {
        Self::Hsm(error)
    }
}

impl From<Fault> for Asked {
    fn from(fault: Fault) -> Self {
        Self::Role(fault)
    }
}
