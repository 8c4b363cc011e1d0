//! Who a terminal is, before it has proved it.

use flows::tms_session::{Identification, Reason};
use hsm::{Hsm, KeyBlock};
use store::{Store, TerminalRecord};

use super::suite::TmsServerSuite;
use crate::kms::{Failure, Kms};

/// A terminal as the store knows it, with its DMK.
pub(super) struct Known {
    pub(super) terminal: TerminalRecord,
    pub(super) dmk: KeyBlock,
}

/// What came of looking the peer up. A stranger is answered as if it were known; only we know why it will fail.
pub(super) enum Party {
    Known(Box<Known>),
    Stranger(Reason),
}

impl Party {
    /// The DMK, for the HSM.
    pub(super) fn dmk(&self) -> Option<KeyBlock> {
        match self {
            Self::Known(known) => Some(known.dmk.clone()),
            Self::Stranger(_) => None,
        }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    pub(super) async fn tms_party<U: TmsServerSuite>(
        &self,
        identification: &Identification,
    ) -> Result<Party, Failure> {
        let device = &identification.device;
        let sn = || device.sn().clone();
        let found = self.store.device(device.sn()).await?;
        let Some(terminal) = self.store.terminal(device.sn()).await? else {
            return Ok(Party::Stranger(Reason::UnknownTerminal { sn: sn() }));
        };
        if terminal.pin_pad.as_ref() != device.external_pin_pad() || terminal.acquirer != self.acquirer.id {
            let pin_pad = device.pin_pad().clone();
            return Ok(Party::Stranger(Reason::WrongPinPad { sn: sn(), pin_pad }));
        }
        // A DMK lies in the PIN pad that it was loaded into; with another one it is worth nothing, and neither is one
        // whose serial was served twice.
        let found = found.filter(|found| found.key_serial == *device.pin_pad() && !found.compromised);
        // One of another suite proves nothing in this one.
        let dmk = found.and_then(|found| found.dmk).filter(|dmk| U::has_kcv(dmk.kcv));
        Ok(match dmk {
            Some(dmk) => Party::Known(Box::new(Known { terminal, dmk: KeyBlock::from_text(dmk.block) })),
            None => Party::Stranger(Reason::NoDmk { sn: sn() }),
        })
    }
}

/// What speaks against a terminal that calls itself this: it is another than the one that was recorded.
pub(super) fn other_make(known: &Known, identification: &Identification) -> Option<Reason> {
    let differs = |recorded: &Option<String>, told: &str| recorded.as_ref().is_some_and(|kept| kept != told);
    let what = if differs(&known.terminal.vendor, identification.vendor.as_str()) {
        "vendor"
    } else if differs(&known.terminal.model, identification.model.as_str()) {
        "model"
    } else {
        return None;
    };
    Some(Reason::NotAllowed { why: format!("it names another {what} than it was recorded with") })
}
