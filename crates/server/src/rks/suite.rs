//! What a device's download asks the HSM: the driver is written once, and a suite answers in a file of its own.

use flows::{
    Chain,
    rks_load::{
        RksSuite,
        rks::{Auth, Factor, Proof},
    },
};
use hsm::{
    Hsm, HsmError, KeyBlock,
    commands::{RksKeyKind, TokenDoubt},
};
use wire::Kcv;

use super::end::LoadEnd;
use crate::{slots::Released, suite::LoadingSuite};

/// Who asks the HSM, and with what.
pub(super) struct Asking<'a, H> {
    pub(super) hsm: &'a H,
    /// The RKS's private key.
    pub(super) work_key: KeyBlock,
    /// The acquirer.
    pub(super) owner: &'a str,
}

/// What the HSM needs of a device that is known.
pub(super) struct Registered {
    /// The DIK1 that its DIK2 was derived from.
    pub(super) dik1: KeyBlock,
    /// SHA-256 of the factor that was registered when DIK2 was injected.
    pub(super) factor_digest: [u8; 32],
}

/// RKS_TOKEN, and what proves its answer.
pub(super) struct Token<U: RksSuite> {
    pub(super) token: U::Token,
    pub(super) ticket: Vec<u8>,
    /// Why no device takes this token, for the audit.
    pub(super) doubt: Option<TokenDoubt>,
}

/// One key to give.
pub(super) struct Wanted {
    pub(super) slot: u8,
    pub(super) kind: RksKeyKind,
    /// The load counter of this sending: of a TMK, in a suite that has them.
    pub(super) counter: Option<u64>,
    pub(super) pending: Option<KeyBlock>,
    pub(super) avoid: Vec<Kcv>,
}

/// What the HSM gave for a proof.
pub(super) struct Release {
    /// In the order asked for.
    pub(super) keys: Vec<Released>,
    /// What checking KEY_CONFIRM needs; see [`LoadingSuite::acknowledge`].
    pub(super) ticket: Vec<u8>,
}

/// A suite of flow C, as the RKS needs it.
pub(super) trait RksServerSuite: RksSuite + LoadingSuite {
    /// What the HSM must see again with RKS_FACTOR.
    type Begun: Send;

    /// Begins: what RKS_CERT has beside the certificates. Nothing of it depends on who asks.
    fn begin<H: Hsm>(
        asking: &Asking<'_, H>,
        auth: &Auth<Self>,
        chain: &Chain,
    ) -> impl Future<Output = Result<(Self::Answer, Self::Begun), LoadEnd>> + Send;

    /// Makes RKS_TOKEN: for a stranger, a wrong factor and a bad ciphertext one of the same form that no device takes.
    fn token<H: Hsm>(
        asking: &Asking<'_, H>,
        begun: Self::Begun,
        factor: &Factor<Self>,
        registered: Option<Registered>,
    ) -> impl Future<Output = Result<Token<Self>, LoadEnd>> + Send;

    /// Has RKS_PROOF checked and, only then, the keys given.
    fn release<H: Hsm>(
        asking: &Asking<'_, H>,
        ticket: &[u8],
        proof: &Proof<Self>,
        wanted: Vec<Wanted>,
    ) -> impl Future<Output = Result<Release, Asked>> + Send;
}

/// Why a release gave nothing.
#[derive(Debug)]
pub(super) enum Asked {
    /// What the HSM said, or that it could not be asked.
    Hsm(HsmError),
    /// The role cannot say what is to be asked.
    End(LoadEnd),
}

impl From<HsmError> for Asked {
    fn from(error: HsmError) -> Self {
        Self::Hsm(error)
    }
}

impl From<flows::rks_load::Fault> for Asked {
    fn from(fault: flows::rks_load::Fault) -> Self {
        Self::End(fault.into())
    }
}
