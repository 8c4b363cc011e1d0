//! Fetching a TMK from the KMS: drives the terminal's role of flow A over a link.

#[cfg(test)]
mod tests;

use flows::tmk_download::{
    DownloadPad, DownloadSuite, Fault, Reason,
    terminal::{ExpectChallenge, Start},
};
use flows::{EcAes, HasCode, ProtocolError, Tdes};
use wire::{ErrorMessage, Frame, Kcv, Slot, Suite, error_frame, error_frame_with_refusals};

use crate::conversation::{self, receive, records_since, unreported};
use crate::{Link, LinkError, PinPad, Stream, Terminal};

/// A key that arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Downloaded {
    /// Where it is.
    pub slot: Slot,
    /// Its check value, which the KMS shows too.
    pub kcv: Kcv,
}

/// The messages of a TMK download, in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Step {
    /// TK_HELLO, sent.
    Hello,
    /// TK_CHALLENGE, received.
    Challenge,
    /// TK_REPLY, sent.
    Reply,
    /// TK_KEY, received.
    Key,
    /// KEY_CONFIRM, sent.
    Confirm,
    /// DONE, received.
    Done,
}

impl Step {
    /// Every step, in order.
    pub const ALL: [Step; 6] =
        [Step::Hello, Step::Challenge, Step::Reply, Step::Key, Step::Confirm, Step::Done];

    /// Its message, by the name of 2-wire.md.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Step::Hello => "TK_HELLO",
            Step::Challenge => "TK_CHALLENGE",
            Step::Reply => "TK_REPLY",
            Step::Key => "TK_KEY",
            Step::Confirm => "KEY_CONFIRM",
            Step::Done => "DONE",
        }
    }
}

/// Cuts the line right after this message went by, to show and to test that nothing is lost. The terminal goes on
/// until it needs the line again: a key that came just before the cut is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutAfter(
    /// The last message that goes by.
    pub Step,
);

/// Why no key arrived.
///
/// After [`Step::Key`] the new key may be in its slot all the same, beside the old one; the next download tells, since
/// the KMS sends a pending key again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// The server refused.
    #[error("the server refused: {0}")]
    Refused(ErrorMessage),
    /// The terminal refused; the server was told the code where it was there to be told.
    #[error("{}: {reason}", .reason.code())]
    Fault {
        /// The exact reason.
        reason: Reason,
    },
    /// The connection failed.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The line was cut on purpose.
    #[error("the line was cut after {}", .0.message())]
    Cut(Step),
}

impl From<Fault> for DownloadError {
    fn from(fault: Fault) -> DownloadError {
        match fault.reason {
            Reason::Protocol(ProtocolError::Peer(message)) => DownloadError::Refused(message),
            reason => DownloadError::Fault { reason },
        }
    }
}

/// Fetches the key for a slot over a fresh connection to the server's terminal port.
///
/// # Errors
/// [`DownloadError`]. Try again: a broken download changes nothing that the next one does not mend.
pub fn download<P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    stream: S,
    slot: Slot,
) -> Result<Downloaded, DownloadError> {
    let (downloaded, link) = download_over(terminal, Link::new(stream), slot, None)?;
    link.close();
    Ok(downloaded)
}

/// As [`download`], over a link with limits of one's own, the line cut where asked. Gives the link back, for another
/// flow after this one. The suite is that of the TK.
///
/// # Errors
/// [`DownloadError`]; the link is closed then.
pub fn download_over<P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    link: Link<S>,
    slot: Slot,
    cut: Option<CutAfter>,
) -> Result<(Downloaded, Link<S>), DownloadError> {
    match terminal.pad.tk_suite() {
        Suite::EC_AES => download_in::<EcAes, P, S>(terminal, link, slot, cut),
        _ => download_in::<Tdes, P, S>(terminal, link, slot, cut),
    }
}

fn download_in<D: DownloadSuite, P: PinPad + DownloadPad<D>, S: Stream>(
    terminal: &mut Terminal<P>,
    link: Link<S>,
    slot: Slot,
    cut: Option<CutAfter>,
) -> Result<(Downloaded, Link<S>), DownloadError> {
    // A refusal here is between terminal and PIN pad: nothing was said yet, so nothing is answered.
    let before = terminal.pad.refusals().total();
    let (refusals, known) = unreported(&terminal.pad);
    let start = Start::<D>::of(terminal.device().clone(), slot).with_refusals(refusals);
    let begun = start.begin(&mut terminal.pad)?;
    let mut line = Line { link, cut, was_cut: false };
    match line.run(begun, &mut terminal.pad) {
        Ok(downloaded) => {
            // What cannot be remembered is told once more at the next contact.
            let _ = terminal.pad.reported(known);
            Ok((downloaded, line.link))
        }
        Err(Stop::Fault(fault)) => {
            if fault.peer_error().is_none() && !line.was_cut {
                let records = records_since(&terminal.pad, before);
                line.link.end_with(&error_frame_with_refusals(fault.code, fault.code.text(), &records));
            }
            Err(fault.into())
        }
        Err(Stop::Error(error)) => {
            if let DownloadError::Link(link_error) = &error
                && let Some(code) = link_error.code()
            {
                line.link.end_with(&error_frame(code, code.text()));
            }
            Err(error)
        }
    }
}

/// Why a run stopped: a fault has an answer, an error may have one by its code.
enum Stop {
    Fault(Fault),
    Error(DownloadError),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Stop {
        Stop::Fault(fault)
    }
}

impl From<DownloadError> for Stop {
    fn from(error: DownloadError) -> Stop {
        Stop::Error(error)
    }
}

/// A link that may be cut on purpose.
struct Line<S> {
    link: Link<S>,
    cut: Option<CutAfter>,
    was_cut: bool,
}

impl<S: Stream> Line<S> {
    fn run<D: DownloadSuite, P: PinPad + DownloadPad<D>>(
        &mut self,
        (hello, expect_challenge): (Frame, ExpectChallenge<D>),
        pad: &mut P,
    ) -> Result<Downloaded, Stop> {
        self.send(Step::Hello, &hello)?;
        let challenge = self.receive(Step::Challenge, pad)?;
        let (reply, expect_key) = expect_challenge.on_frame(pad, &challenge)?;
        self.send(Step::Reply, &reply)?;
        let key = self.receive(Step::Key, pad)?;
        let (confirm, expect_done) = expect_key.on_frame(pad, &key)?;
        self.send(Step::Confirm, &confirm)?;
        let done = self.receive(Step::Done, pad)?;
        let finished = expect_done.on_frame(pad, &done)?;
        Ok(Downloaded { slot: finished.slot(), kcv: finished.kcv() })
    }

    fn send(&mut self, step: Step, frame: &Frame) -> Result<(), DownloadError> {
        self.check_cut()?;
        let sent = self.link.send(frame);
        self.passed(step);
        Ok(sent?)
    }

    fn receive<P: PinPad>(&mut self, step: Step, pad: &mut P) -> Result<Frame, Stop> {
        self.check_cut()?;
        let frame = receive(&mut self.link, pad).map_err(|stop| match stop {
            conversation::Stop::Fault(fault) => Stop::Fault(fault),
            conversation::Stop::Link(error) => Stop::Error(error.into()),
        })?;
        self.passed(step);
        Ok(frame)
    }

    fn check_cut(&self) -> Result<(), DownloadError> {
        match self.cut {
            Some(CutAfter(step)) if self.was_cut => Err(DownloadError::Cut(step)),
            _ => Ok(()),
        }
    }

    fn passed(&mut self, step: Step) {
        if self.cut == Some(CutAfter(step)) {
            self.link.cut();
            self.was_cut = true;
        }
    }
}
