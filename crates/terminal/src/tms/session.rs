//! Sessions: the handshake, and sealed questions and answers, in the suite of the terminal's DMK.

use std::marker::PhantomData;

use flows::tms_download::messages::error_payload;
use flows::tms_download::sealed::{sealed_frame, unseal};
use flows::tms_download::{self, Reason as DownloadReason, SealSuite};
use flows::tms_session::terminal::{ExpectChallenge, Keyed, Start};
use flows::tms_session::{Identification, OperatorPassword, Reason, TmsPad, TmsSuite, Transaction};
use flows::{EcAes, Tdes};
use wire::{BcdTime, ErrorCode, Frame, SData, Slot, Suite, error_frame, error_frame_with_refusals};

use super::line::{Cut, End, Line};
use super::{LoadedKey, TmsError};
use crate::conversation::{FlowError, Stop, records_since, unreported};
use crate::{Link, PinPad, Stream, Terminal};

/// Fetches the TMK of a slot from the TMS (transaction 0001) in the suite of its DMK, and gives the link back for another
/// flow after this one.
///
/// # Errors
/// [`TmsError`]; the link is closed then. Try again: a broken download changes nothing that the next one does not mend.
pub fn load_key<P: PinPad, S: Stream>(
    terminal: &mut Terminal<P>,
    link: Link<S>,
    slot: Slot,
    operator: Option<&OperatorPassword<'_>>,
) -> Result<(LoadedKey, Link<S>), TmsError> {
    match terminal.pad.tms_suite() {
        Suite::EC_AES => load_key_in::<EcAes, P, S>(terminal, link, slot, operator),
        _ => load_key_in::<Tdes, P, S>(terminal, link, slot, operator),
    }
}

fn load_key_in<C: TmsSuite, P: PinPad + TmsPad<C>, S: Stream>(
    terminal: &mut Terminal<P>,
    link: Link<S>,
    slot: Slot,
    operator: Option<&OperatorPassword<'_>>,
) -> Result<(LoadedKey, Link<S>), TmsError> {
    let line = Line { link, cut: Cut::default() };
    let transaction = Transaction::KeyDownload { slot };
    match open::<C, P, S>(terminal, line, transaction, operator).map_err(|(error, _)| error)? {
        (Opened::Key(key), line) => Ok((key, line.link)),
        // The role gives a key for the one transaction and a session for the other.
        (Opened::Session, line) => {
            end(line, &mut terminal.pad);
            Err(other_transaction())
        }
    }
}

/// A handshake that opened something else than was asked for: the role refuses that before.
pub(super) fn other_transaction() -> TmsError {
    FlowError::Fault { reason: Reason::Internal { why: "another transaction was opened".into() } }.into()
}

/// What a handshake opened.
pub(super) enum Opened {
    /// The seal works.
    Session,
    /// A key is in its slot.
    Key(LoadedKey),
}

/// Opens a session: both sides have proved themselves then. The time is learnt, forward only. Where it fails, gives back
/// how often the line was used, too.
pub(super) fn open<C: TmsSuite, P: PinPad + TmsPad<C>, S: Stream>(
    terminal: &mut Terminal<P>,
    mut line: Line<S>,
    transaction: Transaction,
    operator: Option<&OperatorPassword<'_>>,
) -> Result<(Opened, Line<S>), (TmsError, Cut)> {
    let Some(identification) = identification(terminal) else { return Err((TmsError::NoModel, line.cut)) };
    let before = terminal.pad.refusals().total();
    let (refusals, known) = unreported(&terminal.pad);
    let start = Start::<C>::of(identification, transaction, now(terminal)).with_refusals(refusals);
    // A refusal here is between terminal and PIN pad: nothing was said yet, so nothing is answered.
    let begun = match start.begin(&mut terminal.pad) {
        Ok(begun) => begun,
        Err(fault) => return Err((FlowError::of(fault).into(), line.cut)),
    };
    match run(&mut line, &mut terminal.pad, begun, operator) {
        Ok((opened, s_data)) => {
            // What cannot be remembered is told once more at the next contact.
            let _ = terminal.pad.reported(known);
            if let Err(error) = learn(terminal, s_data) {
                let cut = end(line, &mut terminal.pad);
                return Err((error, cut));
            }
            Ok((opened, line))
        }
        Err(stopped) => {
            terminal.pad.tms_forget();
            let records = records_since(&terminal.pad, before);
            let Line { link, cut } = line;
            if let End::Stop(stop) = &stopped {
                let answer = match stop {
                    Stop::Fault(fault) => fault.answer_with_refusals(fault.code.text(), &records),
                    Stop::Link(error) => error.code().map(|code| error_frame(code, code.text())),
                };
                match answer {
                    Some(answer) => link.end_with(&answer),
                    None => link.close(),
                }
            }
            Err((stopped.quietly(), cut))
        }
    }
}

fn run<C: TmsSuite, P: PinPad + TmsPad<C>, S: Stream>(
    line: &mut Line<S>,
    pad: &mut P,
    (hello, expect_challenge): (Frame, ExpectChallenge<C>),
    operator: Option<&OperatorPassword<'_>>,
) -> Result<(Opened, SData), End<Reason>> {
    line.send(&hello)?;
    let challenge = line.receive(pad)?;
    let (proof, expect_key) = expect_challenge.on_frame(pad, &challenge, operator)?;
    line.send(&proof)?;
    let key = line.receive(pad)?;
    match expect_key.on_frame(pad, &key)? {
        Keyed::Program(s_data) => Ok((Opened::Session, s_data)),
        Keyed::Key { confirm, expect } => {
            line.send(&confirm)?;
            let done = line.receive(pad)?;
            let finished = expect.on_frame(pad, &done)?;
            let key = LoadedKey { slot: finished.slot(), kcv: finished.kcv() };
            Ok((Opened::Key(key), finished.s_data()))
        }
    }
}

/// A session whose seal works.
#[derive(Debug)]
pub(super) struct Session<C, S> {
    pub(super) line: Line<S>,
    suite: PhantomData<fn() -> C>,
}

impl<C: SealSuite, S: Stream> Session<C, S> {
    /// A session that was opened in this suite.
    pub(super) fn of(line: Line<S>) -> Session<C, S> {
        Session { line, suite: PhantomData }
    }

    /// Asks a question and waits for its answer, both sealed: inner payloads.
    pub(super) fn ask<P: PinPad>(
        &mut self,
        pad: &mut P,
        question: &[u8],
    ) -> Result<Vec<u8>, End<DownloadReason>> {
        let sealed = pad.tms_seal(question).map_err(tms_download::Fault::from)?;
        self.line.send(&sealed_frame(&sealed).map_err(tms_download::Fault::from)?)?;
        let frame = self.line.receive(pad)?;
        // A clear ERROR ends the connection and says nothing that may be believed.
        let sealed = unseal::<C>(&frame).map_err(tms_download::Fault::from)?;
        Ok(pad.tms_open(&sealed).map_err(tms_download::Fault::from)?)
    }

    /// Ends it as it ended: tells the TMS the code of what this side refused, sealed as long as the seal works.
    pub(super) fn fail<P: PinPad>(self, pad: &mut P, why: End<DownloadReason>) -> (TmsError, Cut) {
        let Line { link, cut } = self.line;
        let code = match &why {
            End::Stop(Stop::Fault(fault)) if fault.peer_error().is_none() => Some(fault.code),
            End::Stop(Stop::Link(error)) => error.code(),
            End::Stop(Stop::Fault(_)) | End::Cut { .. } => None,
        };
        match code {
            Some(code) => link.end_with(&last_words(pad, code)),
            None => link.close(),
        }
        pad.tms_forget();
        (why.quietly(), cut)
    }

    /// Ends it as it should.
    pub(super) fn close<P: PinPad>(self, pad: &mut P) -> Cut {
        end(self.line, pad)
    }
}

fn end<P: PinPad, S: Stream>(line: Line<S>, pad: &mut P) -> Cut {
    pad.tms_forget();
    line.link.close();
    line.cut
}

fn last_words<P: PinPad>(pad: &mut P, code: ErrorCode) -> Frame {
    let sealed = pad.tms_seal(&error_payload(code, code.text())).ok();
    let sealed = sealed.and_then(|sealed| sealed_frame(&sealed).ok());
    sealed.unwrap_or_else(|| error_frame_with_refusals(code, code.text(), &[]))
}

fn identification<P: PinPad>(terminal: &Terminal<P>) -> Option<Identification> {
    let device = &terminal.device;
    Some(Identification {
        vendor: device.vendor.clone()?,
        model: device.model.clone()?,
        device: device.device.clone(),
    })
}

/// The clock's time; none from a terminal without one.
fn now<P: PinPad>(terminal: &Terminal<P>) -> Option<BcdTime> {
    let now = terminal.clock.now();
    if now > 0 { BcdTime::from_unix(now).ok() } else { None }
}

/// Farthest that a TMS may move the time of a terminal whose clock runs, seconds: such a clock is wrong by hours.
const MAX_AHEAD: i64 = 31 * 24 * 60 * 60;
/// Farthest that it may move that of a terminal without one, or whose clock stood still: as long as one may lie in a
/// store.
const MAX_LEAP: i64 = 5 * 366 * 24 * 60 * 60;

/// A TMS that proved itself may set the terminal's clock, forward only, and not as far as it likes: the time never goes
/// back, so one wrong clock of a server would end the certificates of a whole fleet for good.
fn learn<P: PinPad>(terminal: &mut Terminal<P>, s_data: SData) -> Result<(), TmsError> {
    let Some(when) = s_data.when() else { return Ok(()) };
    let (clock, known) = (terminal.clock.now(), terminal.device.last_known_time());
    let latest = match clock.saturating_add(MAX_AHEAD) {
        runs if runs >= known => runs,
        _ => known.saturating_add(MAX_LEAP),
    };
    if when.unix() > latest {
        terminal.pad.refuse("TMS time", &when.to_string());
        return Ok(());
    }
    Ok(terminal.device.learn_time(when.unix(), &terminal.vault)?)
}
