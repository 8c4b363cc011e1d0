//! One terminal: COLLECT and its answer, and once more when the line failed it.
//!
//! A serial line carries no check of its own, and says nothing when the other side has begun anew. So whatever goes wrong
//! on one may be the line's fault: the rest of a question that was cut, with the next one behind it, is refused for
//! reasons of its own. The same question gives the same answer, so that asking again costs nothing; what is said twice
//! in the same words is believed. An answer of a suite that does not sign it is asked for twice, and both must be the same
//! to the last byte.

use std::{
    collections::HashSet,
    mem::{Discriminant, discriminant},
    os::unix::fs::FileTypeExt,
    thread,
    time::{Duration, Instant},
};

use flows::collect::Collected;
use wire::{ErrorCode, Frame, Serial};

use super::{CollectFault, CollectSettings, Run, StationSuite, Target};
use crate::{
    Progress,
    link::{Link, LinkError, LinkLimits},
};

/// How often it is looked, while the station waits, whether a plug is back or a card gone.
const LOOK: Duration = Duration::from_millis(50);

/// How a run asks.
pub(super) struct Asking<'a> {
    limits: LinkLimits,
    allowed: Option<&'a HashSet<&'a Serial>>,
    tries: u32,
    pause: Duration,
    away: Duration,
}

impl<'a> Asking<'a> {
    pub(super) fn new(settings: &CollectSettings, allowed: Option<&'a HashSet<&'a Serial>>) -> Asking<'a> {
        let CollectSettings { limits, tries, pause, away, .. } = *settings;
        Asking { limits, allowed, tries, pause, away }
    }
}

/// What a terminal said last that may be the line's fault.
type Said = (Discriminant<CollectFault>, Option<u16>);

impl<S: StationSuite> Run<'_, S> {
    /// Asks a terminal, and again where its line failed: as often as the run says, and once more for a refusal right after
    /// a line was cut, which is of what the cut left there.
    pub(super) fn exchange_until_clear(
        &self,
        target: &Target,
        progress: &dyn Progress,
    ) -> Result<(Collected<S>, Frame), CollectFault> {
        let is_serial = target.line().is_some();
        let mut left = self.asking.tries.max(1) - 1;
        let mut was_cut = false;
        let mut said: Option<Said> = None;
        loop {
            let fault = match self.exchange(target) {
                Ok(answer) => return Ok(answer),
                Err(fault) => fault,
            };
            let costs = match &fault {
                CollectFault::Link(error) if may_pass(error, is_serial) => {
                    (was_cut, said) = (is_serial, None);
                    true
                }
                CollectFault::Link(_) => return Err(fault),
                _ if !is_serial || !fault.may_be_noise() => return Err(fault),
                // COLLECT has its form: who calls it malformed, or out of order, heard something else, however often.
                _ if is_garbled(&fault) => {
                    said = None;
                    !std::mem::take(&mut was_cut)
                }
                _ if said.replace(of(&fault)) == Some(of(&fault)) => return Err(fault),
                _ => !std::mem::take(&mut was_cut),
            };
            if costs {
                let Some(fewer) = left.checked_sub(1) else { return Err(fault) };
                left = fewer;
            }
            progress.again(target, &fault);
            if !self.is_back(target)? {
                return Err(fault);
            }
        }
    }

    /// Waits before the next question; for a line that is gone, until it is back or that takes too long.
    fn is_back(&self, target: &Target) -> Result<bool, CollectFault> {
        let began = Instant::now();
        loop {
            self.watch.has_stopped().map_err(CollectFault::CardsDuring)?;
            let is_there = || target.line().is_none_or(|line| is_device(&line.path));
            let waited = began.elapsed();
            if waited >= self.asking.pause && is_there() {
                return Ok(true);
            }
            if waited >= self.asking.pause.max(self.asking.away) {
                return Ok(false);
            }
            thread::sleep(LOOK.min(self.asking.pause.saturating_sub(waited).max(Duration::from_millis(1))));
        }
    }

    /// COLLECT and its answer.
    fn exchange(&self, target: &Target) -> Result<(Collected<S>, Frame), CollectFault> {
        let (collect, expect) = self.work.start().begin()?;
        let link = Link::connect_heeding(target.address(), self.asking.limits, &self.watch.halt());
        // Connecting takes its time, and ends at once when a card goes.
        self.watch.has_stopped().map_err(CollectFault::Cards)?;
        let mut link = link?;
        let frame = match self.say(&mut link, &collect) {
            Ok(frame) => frame,
            Err(fault) => return Err(self.broken_off(link, fault)),
        };
        let answer = match expect.on_frame(&frame) {
            Ok(answer) => answer,
            Err(fault) => {
                // An ERROR is not answered.
                if fault.peer_error().is_none() {
                    link.end_with(fault.code);
                }
                return Err(fault.into());
            }
        };
        if link.is_serial() && !S::PROVES_ANSWERS {
            match link.settle().and_then(|()| self.say(&mut link, &collect)) {
                Ok(again) if again.bytes() == frame.bytes() => {}
                Ok(_) => {
                    link.end_with(CollectFault::TwoAnswers.code());
                    return Err(CollectFault::TwoAnswers);
                }
                Err(error) => return Err(self.broken_off(link, error)),
            }
        }
        let checked = self
            .check_wanted(target, &answer)
            .and_then(|()| S::check_maker((&collect, &frame), &answer, self.work.checks()))
            // It counts only if both cards were there to its end.
            .and_then(|()| self.watch.check().map_err(CollectFault::CardsDuring));
        match checked {
            Ok(()) => Ok((answer, frame)),
            Err(fault) => {
                link.end_with(fault.code());
                Err(fault)
            }
        }
    }

    fn say(&self, link: &mut Link, collect: &Frame) -> Result<Frame, LinkError> {
        link.send(collect)?;
        link.receive()
    }

    /// What it means that no frame came. The terminal is told where it can be.
    fn broken_off(&self, link: Link, error: LinkError) -> CollectFault {
        if let Err(why) = self.watch.has_stopped() {
            link.end_with(ErrorCode::NotPermittedNow);
            return CollectFault::CardsDuring(why);
        }
        match &error {
            LinkError::Timeout => link.end_with(ErrorCode::Timeout),
            LinkError::Malformed(malformed) => link.end_with(malformed.code()),
            _ => {}
        }
        error.into()
    }

    /// Refuses a terminal that the run does not want.
    fn check_wanted(&self, target: &Target, answer: &Collected<S>) -> Result<(), CollectFault> {
        let sn = answer.device.sn();
        match target.expected() {
            Some(expected) if expected != sn => {
                return Err(CollectFault::OtherSerial { expected: expected.clone(), found: sn.clone() });
            }
            _ => {}
        }
        let listed = self.asking.allowed.is_none_or(|allowed| allowed.contains(sn));
        if listed { Ok(()) } else { Err(CollectFault::Unlisted { sn: sn.clone() }) }
    }
}

/// Whether a failed link is worth another try: a connection that was cut, and on a line also what noise and half a message
/// lead to, and a port that is not ready yet. Nobody at an address, and another program at the line, stay.
fn may_pass(error: &LinkError, is_serial: bool) -> bool {
    let of_a_line = matches!(error, LinkError::Timeout | LinkError::Malformed(_) | LinkError::Line { .. });
    error.is_cut() || (is_serial && of_a_line)
}

/// Whether the terminal says that it did not understand.
fn is_garbled(fault: &CollectFault) -> bool {
    [ErrorCode::Malformed, ErrorCode::UnexpectedMessage].iter().any(|code| of(fault).1 == Some(code.number()))
}

fn of(fault: &CollectFault) -> Said {
    let code = match fault {
        CollectFault::Refused(message) => Some(message.code),
        _ => None,
    };
    (discriminant(fault), code)
}

fn is_device(path: &str) -> bool {
    std::fs::metadata(path).is_ok_and(|metadata| metadata.file_type().is_char_device())
}
