//! Who a device is, before it has proved it.

use flows::rks_load::Reason;
use hsm::{Hsm, KeyBlock};
use store::{Identity, Store, TerminalRecord};
use wire::Device;

use super::{
    end::LoadEnd,
    suite::{Registered, RksServerSuite},
};
use crate::kms::Kms;

/// A device as the store knows it.
pub(super) struct Known {
    pub(super) terminal: TerminalRecord,
    identity: Identity,
    dik1: KeyBlock,
}

/// What came of looking the peer up. A stranger is answered as if it were known; only we know why it will fail.
pub(super) enum Party {
    Known(Box<Known>),
    Stranger(Reason),
}

impl Party {
    /// What the HSM needs of it.
    pub(super) fn registered(&self) -> Option<Registered> {
        match self {
            Self::Known(known) => {
                let (dik1, factor_digest) = (known.dik1.clone(), known.identity.factor_digest);
                Some(Registered { dik1, factor_digest })
            }
            Self::Stranger(_) => None,
        }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    pub(super) async fn look_up_device<U: RksServerSuite>(&self, device: &Device) -> Result<Party, LoadEnd> {
        let unknown = || Party::Stranger(Reason::UnknownTerminal { sn: device.sn().clone() });
        let found = self.store.device(device.sn()).await?;
        let terminal = self.store.terminal(device.sn()).await?;
        let (Some(found), Some(terminal)) = (found, terminal) else { return Ok(unknown()) };
        if found.compromised {
            let why = "its KLD found the serial served twice: load it anew".into();
            return Ok(Party::Stranger(Reason::NotProven { why }));
        }
        // DIK2 lies in the PIN pad that the KLD met; with another one it is worth nothing.
        let right_pad = found.key_serial == *device.pin_pad()
            && terminal.pin_pad.as_ref() == device.external_pin_pad()
            && terminal.acquirer == self.acquirer.id;
        if !right_pad {
            let (sn, pin_pad) = (device.sn().clone(), device.pin_pad().clone());
            return Ok(Party::Stranger(Reason::WrongPinPad { sn, pin_pad }));
        }
        let Some(identity) = found.identity else { return Ok(unknown()) };
        // It can prove nothing in this suite: as if nobody knew it. Which suite it has is nobody's to ask about.
        if !U::has_kcv(identity.kcv) {
            let why = format!("its DIK2 is not one of suite {}", U::ID);
            return Ok(Party::Stranger(Reason::NotProven { why }));
        }
        let Some(dik1) = self.store.dik1(&identity.dik1).await? else { return Ok(unknown()) };
        let dik1 = KeyBlock::from_text(dik1.dik1.block);
        Ok(Party::Known(Box::new(Known { terminal, identity, dik1 })))
    }
}
