//! A station brings a repair authorisation.

use flows::Chain;
use flows::PadRefusal;
use flows::repair::terminal::{Ask, ExpectRepair};
use flows::repair::{Fault, Reason};
use pki::{Certificate, KeyFamily, Role};
use wire::Frame;

use super::{Ended, Event, Line};
use crate::certificate::{self, REPAIRING, Refused};
use crate::device::DeviceState;
use crate::pad::RepairKey;
use crate::vault::Vault;
use crate::{CheckedKey, CheckedSigner, PinPad, RepairAuthorisation, Terminal};

/// Answers REPAIR_ASK with the challenge. REPAIR may come on this connection or on a later one.
pub(super) fn ask<P: PinPad>(
    terminal: &mut Terminal<P>,
    line: &mut Line<'_>,
    frame: &Frame,
) -> Result<Event, Ended> {
    let ask = Ask::read(frame)?;
    let challenge = terminal.pad.repair_challenge().map_err(fault)?;
    let (frame, _) = ask.challenge(terminal.device().clone(), challenge)?;
    line.link.send(&frame)?;
    Ok(Event::Challenged)
}

/// Checks REPAIR: life cycle and challenge (0008), certificate (000D), signature (0005), expiry (0008).
pub(super) fn authorised<P: PinPad>(
    terminal: &mut Terminal<P>,
    line: &mut Line<'_>,
    frame: &Frame,
) -> Result<Event, Ended> {
    let Some(challenge) = terminal.pad.open_challenge() else {
        let why = "no challenge is open: ask for one".to_owned();
        terminal.pad.refuse("repair", "no challenge");
        return Err(Fault::from(Reason::NotPermitted { why }).into());
    };
    let device = terminal.device().clone();
    let authorisation = ExpectRepair::resume(device.clone(), challenge).on_frame(frame)?;
    let now = terminal.time().map_err(|error| Fault::from(Reason::Internal { why: error.to_string() }))?;
    let key = match repair_key(authorisation.chain(), (&mut terminal.device, &terminal.vault), now) {
        Ok(key) => key,
        Err(refused) => {
            terminal.pad.refuse("certificate", &refused.text);
            return Err(Ended::of(&authorisation.certificate_refused(refused.why), Some(refused.text)));
        }
    };
    let checked = terminal.pad.repair(&RepairAuthorisation {
        key: &*key,
        device: &device,
        expiry: authorisation.expiry(),
        signature: authorisation.signature(),
        now,
    });
    match checked {
        Ok(()) => {}
        Err(PadRefusal::ServerNotProven { .. }) => return Err(authorisation.wrong_signature().into()),
        Err(PadRefusal::NotPermitted { .. }) if now > authorisation.expiry().unix() => {
            return Err(authorisation.expired().into());
        }
        Err(refusal) => return Err(fault(refusal).into()),
    }
    line.link.send(&authorisation.done()?)?;
    Ok(Event::Repaired)
}

/// The authorisation's key, of whichever suite its certificate is.
fn repair_key(
    chain: &Chain,
    device: (&mut DeviceState, &Vault),
    at: i64,
) -> Result<Box<dyn RepairKey>, Refused> {
    let role = Role::RepairAuthorisation;
    let family = Certificate::from_der(&chain.leaf).ok().and_then(|leaf| KeyFamily::of(leaf.spki_der()).ok());
    match family {
        Some(KeyFamily::P256) => certificate::key::<CheckedSigner>(chain, role, REPAIRING, device, at)
            .map(|key| Box::new(key) as Box<dyn RepairKey>),
        _ => certificate::key::<CheckedKey>(chain, role, REPAIRING, device, at)
            .map(|key| Box::new(key) as Box<dyn RepairKey>),
    }
}

fn fault(refusal: PadRefusal) -> Fault {
    match refusal {
        PadRefusal::NotPermitted { why } => Reason::NotPermitted { why }.into(),
        other => Reason::Internal { why: other.to_string() }.into(),
    }
}
