//! What a suite is at a KLD: how a loading opens, who is believed, what the HSM is asked, how KEY_CONFIRM is checked.

use flows::local_load::{
    LoadSuite,
    kld::{Accept, Confirmed, Told},
};
use hsm::KeyBlock;
use wire::{Kcv, Suite};

use super::{Kld, KldError, Listed, LoadFault, What, device::Downloader, run::History};
use crate::Checks;

/// A suite of local loading. One run loads in one suite; its journal says which.
pub(super) trait KldSuite: LoadSuite {
    /// What the HSM gave for this opening, and takes back with the answer.
    type Ticket;
    /// What KEY_CONFIRM is checked with.
    type Check;

    /// Has the HSM open a loading: what goes into KLD_CONNECT.
    fn open(kld: &Kld) -> Result<(Self::Opening, Self::Ticket), LoadFault>;

    /// Checks who answered, as far as the suite can tell. Gives the key that this device is known by, SHA-256 in lower-case
    /// hex; nothing where the suite has none.
    fn check_device(accept: &Accept<Self>, checks: &Checks) -> Result<Option<String>, LoadFault>;

    /// Has the HSM make the key, wrap it for this terminal and sign it, in one act.
    fn make(
        kld: &Kld,
        order: &Order<'_>,
        ticket: Self::Ticket,
        accept: &Accept<Self>,
    ) -> Result<Made<Self>, LoadFault>;

    /// Checks KEY_CONFIRM.
    fn confirm(
        kld: &Kld,
        terminal: &Listed,
        check: Self::Check,
        told: Told<Self>,
    ) -> Result<Confirmed<Self>, LoadFault>;
}

/// One key for one terminal.
pub(super) struct Order<'a> {
    pub(super) downloader: &'a Downloader,
    pub(super) terminal: &'a Listed,
    pub(super) what: &'a What,
    pub(super) history: &'a History,
    pub(super) exchange: &'a KeyBlock,
}

/// What the HSM made of it.
pub(super) struct Made<S: KldSuite> {
    /// For KLD_KEY.
    pub(super) key: S::Key,
    pub(super) kcv: Kcv,
    /// For the report.
    pub(super) escrow: String,
    /// The load counter of a TMK, where the suite has one.
    pub(super) counter: Option<u64>,
    pub(super) check: S::Check,
}

/// The suite that a record or a key's check value names, as one that this KLD has.
pub(super) fn known(suite: Suite) -> Result<Suite, KldError> {
    match suite {
        Suite::TDES | Suite::EC_AES => Ok(suite),
        other => Err(KldError::Suite { suite: other }),
    }
}

/// The suite that keys with a check value of this form are of.
pub(super) fn of_kcv(kcv: Kcv) -> Suite {
    match kcv {
        Kcv::Tdes(_) => Suite::TDES,
        Kcv::Aes(_) => Suite::EC_AES,
    }
}

/// The suite of the keys that stand in an X9.143 block of this version, the first character of its text.
pub(super) fn of_block(block: &str) -> Suite {
    if block.starts_with('D') { Suite::EC_AES } else { Suite::TDES }
}
