//! One COLLECT and its answer, without a socket: simulators use it as the server of this module does.

use flows::collect::terminal::Ask;
use flows::collect::{Collected, Fault, Reason};
use wire::{Frame, Suite};

use super::accept::accept;
use crate::{Collector, Latch, PinPad, Terminal};

/// A COLLECT that was answered. TK and latch are stored before this exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// COLLECTED, to be sent.
    pub frame: Frame,
    /// The fingerprint to show: station and KMS show the same.
    pub fingerprint: String,
    /// For whom the TK was collected.
    pub collector: Collector,
    /// Whether the same certificate had asked before: then this is what it got then.
    pub again: bool,
}

/// A COLLECT that was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The code, and the exact reason for the terminal's log.
    pub fault: Fault,
    /// What the technician at the station is told.
    pub text: String,
}

impl Refusal {
    /// The ERROR to be sent; none after an ERROR from the station.
    #[must_use]
    pub fn frame(&self) -> Option<Frame> {
        self.fault.answer_with(&self.text)
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Refusal {
        Fault::from(reason).into()
    }
}

impl From<Fault> for Refusal {
    /// With the text that the reason itself gives; something internal is for the terminal's own log.
    fn from(fault: Fault) -> Refusal {
        let text = match &fault.reason {
            Reason::Internal { .. } => fault.code.text().to_owned(),
            reason => reason.to_string(),
        };
        Refusal { fault, text }
    }
}

/// Answers a COLLECT.
///
/// The order of the checks is: life cycle and latch (0008, or the same answer again), then certificate or permission
/// for a bare key (000D), then the suite, which only a proven peer is told (0009).
///
/// # Errors
/// [`Refusal`], with the code of 2-wire.md section 8.
pub fn answer<P: PinPad>(terminal: &mut Terminal<P>, frame: &Frame) -> Result<Answer, Refusal> {
    let ask = Ask::read(frame)?;
    let state = terminal.pad.life_cycle();
    if !state.may_make_tk() {
        let why = format!("the terminal is {state}; a transport key is collected in production only");
        return Err(Reason::NotPermitted { why }.into());
    }
    let (latch, again) = match terminal.pad.latch() {
        Some(latch) if latch.digest == ask.digest() => {
            // Proven when it was latched, so it may be told.
            check_suite(&ask)?;
            (latch.clone(), true)
        }
        Some(_) => return Err(Reason::OtherCertificate.into()),
        None => (make(terminal, &ask)?, false),
    };
    let collector = latch.collector;
    let collected = Collected {
        device: terminal.device().clone(),
        vendor: terminal.device.vendor.clone(),
        model: terminal.device.model.clone(),
        ctk_pu: latch.ctk_pu,
        refusals: Vec::new(),
    };
    let fingerprint = collected.fingerprint();
    Ok(Answer { frame: ask.answer(&collected)?, fingerprint, collector, again })
}

fn make<P: PinPad>(terminal: &mut Terminal<P>, ask: &Ask) -> Result<Latch, Refusal> {
    let at = terminal
        .device
        .time(terminal.clock.as_ref(), &terminal.vault)
        .map_err(|error| Reason::Internal { why: error.to_string() })?;
    let key = accept(ask, &terminal.device, at)?;
    check_suite(ask)?;
    Ok(terminal.pad.make_tk(&key)?)
}

fn check_suite(ask: &Ask) -> Result<(), Reason> {
    match ask.suite() {
        Suite::TDES => Ok(()),
        suite => Err(Reason::SuiteNotSupported { suite }),
    }
}
