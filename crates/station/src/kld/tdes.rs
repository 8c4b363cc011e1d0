//! Loading in suite 01: random numbers under the KLD's RSA certificate (2-wire.md section 4, flow B).

use flows::{
    Confirm, Tdes,
    local_load::{
        Reason,
        kld::{Accept, Confirmed, Told},
        messages::KldKey,
    },
};
use hsm::{
    HsmError, Refusal,
    commands::{Load, LoadTerminal, Loaded},
};
use wire::{Kcv, Suite};

use super::{
    Kld, Listed, LoadFault, What,
    suite::{KldSuite, Made, Order},
};
use crate::Checks;

impl KldSuite for Tdes {
    type Ticket = ();
    type Check = ();

    fn open(_: &Kld) -> Result<((), ()), LoadFault> {
        Ok(((), ()))
    }

    /// A true terminal cannot be told from a false one: the run's list and the true one's arrival show it.
    fn check_device(_: &Accept, _: &Checks) -> Result<Option<String>, LoadFault> {
        Ok(None)
    }

    fn make(kld: &Kld, order: &Order<'_>, (): (), accept: &Accept) -> Result<Made<Tdes>, LoadFault> {
        let Order { downloader, terminal, what, history, exchange } = order;
        let given = || kld.given(terminal.pin_pad(), what.slot(), Suite::TDES);
        let load = match what {
            What::Tmk { slot } => {
                let avoid = history.tdes_check_values(terminal.pin_pad(), what);
                Load::Tmk { slot: *slot, held: given(), avoid }
            }
            What::Dmk => Load::Dmk { held: given() },
            What::Dik2 { label } => {
                let (_, dik1) = kld.dik1(Suite::TDES, label.as_deref())?;
                Load::Dik2 { dik1: dik1.clone(), dsn: terminal.sn.clone(), factor: None }
            }
        };
        let command = LoadTerminal {
            work_key: downloader.private.clone(),
            c_rnd1_rnd2: accept.c_rnd1_rnd2().to_vec(),
            pin_pad: terminal.pin_pad().to_owned(),
            owner: kld.owner().to_owned(),
            context: *accept.context().as_bytes(),
            load,
            escrow_under: Some((*exchange).clone()),
        };
        let Loaded { c_ctmk_rnd2, kcv, escrow, .. } = match kld.hsm()?.call(command) {
            Ok(loaded) => loaded,
            Err(HsmError::Refused(Refusal::FromTerminal { defect })) => {
                return Err(Reason::RandomsRefused { why: defect }.into());
            }
            Err(error) => return Err(LoadFault::Hsm(error)),
        };
        let escrow = escrow.ok_or(LoadFault::Hsm(HsmError::WrongReply("LoadTerminal")))?;
        let key = KldKey { c_ctmk_rnd2 };
        Ok(Made { key, kcv: Kcv::Tdes(kcv), escrow, counter: None, check: () })
    }

    fn confirm(_: &Kld, _: &Listed, (): (), told: Told) -> Result<Confirmed, LoadFault> {
        match told.compare() {
            Confirm::Opened(confirmed) => Ok(confirmed),
            Confirm::WrongCheckValue(fault) => Err(fault.reason.into()),
        }
    }
}
