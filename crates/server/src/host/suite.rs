//! What a sign-in asks the HSM: the driver is written once, and a suite answers in a file of its own.

use flows::sign_in::SignInSuite;
use hsm::{Hsm, HsmError, KeyBlock};
use wire::{Kcv, Serial, Slot};

use super::settings;
use crate::slots::Released;

/// What making working keys needs.
pub(super) struct Making {
    /// The TMK that the terminal named by its check value.
    pub(super) tmk: KeyBlock,
    /// The PIN pad that holds it.
    pub(super) pin_pad: String,
    /// The acquirer.
    pub(super) owner: String,
    /// The TMK's slot.
    pub(super) slot: Slot,
    /// SIGN_IN as it came, with its length.
    pub(super) sign_in: Vec<u8>,
    /// `[host]` of the configuration.
    pub(super) settings: settings::Host,
    /// Check values of the keys in use, so that a confirmation speaks for the new ones and for no earlier ones.
    pub(super) avoid: Vec<Kcv>,
}

/// What checking a confirmation needs, in whichever suite.
#[derive(Clone)]
pub(super) struct Confirming {
    /// The terminal.
    pub(super) sn: Serial,
    /// Its PIN pad.
    pub(super) pin_pad: String,
    /// The acquirer.
    pub(super) owner: String,
    /// The TMK's slot.
    pub(super) slot: Slot,
    /// What SIGN_IN had at random: Rnd1, or DF14.
    pub(super) nonce: Vec<u8>,
    /// The new MAK.
    pub(super) mak: KeyBlock,
    /// The new keys' check values, in the order of WORKING_KEYS.
    pub(super) kcvs: Vec<Kcv>,
}

/// A suite of sign-ins, as the host needs it.
pub(super) trait HostSuite: SignInSuite {
    /// Has the HSM make PIK, MAK and, where it is wanted, TDK, in this order.
    fn make<H: Hsm>(hsm: &H, making: Making) -> impl Future<Output = Result<Vec<Released>, HsmError>> + Send;

    /// Has the HSM check SIGN_IN_CONFIRM's MAC and make DONE's. A wrong one is
    /// [`NotProven`](hsm::Refusal::NotProven).
    fn confirm<H: Hsm>(
        hsm: &H,
        confirming: Confirming,
        mac: Self::Mac,
    ) -> impl Future<Output = Result<Self::Mac, HsmError>> + Send;
}
