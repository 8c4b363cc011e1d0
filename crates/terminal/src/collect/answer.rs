//! One COLLECT and its answer, without a socket: simulators use it as the server of this module does.

use flows::collect::terminal::Ask;
use flows::collect::{Collected, Fault, Reason};
use flows::suite::asked;
use flows::{EcAes, Tdes};
use wire::{Fields, Frame, Suite, error_frame_with_refusals};

use super::suite::TerminalSuite;
use crate::{Collector, PinPad, Terminal};

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
    /// The record that this refusal left in the terminal's log, which the ERROR carries along (FF23).
    pub record: Option<Box<Fields>>,
}

impl Refusal {
    pub(super) fn new(fault: Fault, text: String) -> Refusal {
        Refusal { fault, text, record: None }
    }

    /// The ERROR to be sent; none after an ERROR from the station.
    #[must_use]
    pub fn frame(&self) -> Option<Frame> {
        if self.fault.peer_error().is_some() {
            return None;
        }
        let records = self.record.as_deref().map_or(&[][..], std::slice::from_ref);
        Some(error_frame_with_refusals(self.fault.code, &self.text, records))
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
        Refusal::new(fault, text)
    }
}

/// Answers a COLLECT.
///
/// The order of the checks is: sensors, life cycle and latch (0008, or the same answer again), then certificate or
/// permission for a bare key (000D), then the suite, which only a proven peer is told (0009), then the self test (0008).
///
/// # Errors
/// [`Refusal`], with the code of 2-wire.md section 8.
pub fn answer<P: PinPad>(terminal: &mut Terminal<P>, frame: &Frame) -> Result<Answer, Refusal> {
    match asked(frame) {
        Suite::EC_AES => answer_in::<EcAes, P>(terminal, frame),
        _ => answer_in::<Tdes, P>(terminal, frame),
    }
}

fn answer_in<S: TerminalSuite, P: PinPad>(
    terminal: &mut Terminal<P>,
    frame: &Frame,
) -> Result<Answer, Refusal> {
    let ask = Ask::<S>::read(frame)?;
    let (collected, collector, again) = decide(terminal, &ask)?;
    let fingerprint = collected.fingerprint();
    Ok(Answer { frame: ask.answer(&collected)?, fingerprint, collector, again })
}

/// What a COLLECT gets: everything of [`answer`] but the frame. A refusal is in the terminal's log.
pub(crate) fn decide<S: TerminalSuite, P: PinPad>(
    terminal: &mut Terminal<P>,
    ask: &Ask<S>,
) -> Result<(Collected<S>, Collector, bool), Refusal> {
    let before = terminal.pad.refusals().total();
    S::decided(terminal, ask).map_err(|mut refusal| {
        if terminal.pad.refusals().total() == before
            && let Some((check, reading)) = check_of(&refusal)
        {
            terminal.pad.refuse(check, &reading);
        }
        let log = terminal.pad.refusals();
        if log.total() > before {
            refusal.record = log.newest().map(|newest| Box::new(newest.fields()));
        }
        refusal
    })
}

/// What refused, for the log of refusals, where the PIN pad did not write it itself.
fn check_of(refusal: &Refusal) -> Option<(&'static str, String)> {
    match &refusal.fault.reason {
        Reason::OtherCertificate => Some(("latch", "another certificate".into())),
        Reason::CertificateRefused { .. } => Some(("certificate", refusal.text.clone())),
        Reason::BareKeyNotAllowed => Some(("bare-key", "not allowed".into())),
        Reason::SuiteNotSupported { suite } => Some(("suite", suite.to_string())),
        _ => None,
    }
}
