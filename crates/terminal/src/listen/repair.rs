//! A station brings a repair authorisation.

use flows::PadRefusal;
use flows::repair::terminal::{Ask, ExpectRepair};
use flows::repair::{Fault, Reason};
use pki::Role;
use wire::Frame;

use super::{Ended, Event, Line};
use crate::certificate::{self, REPAIRING};
use crate::{PinPad, RepairAuthorisation, Terminal};

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
    let (chain, role) = (authorisation.chain(), Role::RepairAuthorisation);
    let key = match certificate::key(chain, role, REPAIRING, &terminal.device, now) {
        Ok(key) => key,
        Err(refused) => {
            terminal.pad.refuse("certificate", &refused.text);
            return Err(Ended::of(&authorisation.certificate_refused(refused.why), Some(refused.text)));
        }
    };
    let checked = terminal.pad.repair(&RepairAuthorisation {
        key: &key,
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

fn fault(refusal: PadRefusal) -> Fault {
    match refusal {
        PadRefusal::NotPermitted { why } => Reason::NotPermitted { why }.into(),
        other => Reason::Internal { why: other.to_string() }.into(),
    }
}
