//! A link that may be cut on purpose, and counts for that.

use flows::HasCode;
use wire::Frame;

use super::TmsError;
use crate::conversation::{self, FlowError, NotPermitted, Stop};
use crate::{Link, PinPad, Stream};

/// When to cut.
#[derive(Debug, Default)]
pub(super) struct Cut {
    after: Option<u64>,
    passed: u64,
}

impl Cut {
    pub(super) fn after(frames: Option<u64>) -> Cut {
        Cut { after: frames, passed: 0 }
    }

    fn is_due(&self) -> bool {
        self.after.is_some_and(|after| self.passed >= after)
    }
}

/// Why the line ended: the flow's reason, or that it was cut.
pub(super) enum End<R: HasCode> {
    Stop(Stop<R>),
    Cut { frames: u64 },
}

impl<R: HasCode, E: Into<Stop<R>>> From<E> for End<R> {
    fn from(stop: E) -> End<R> {
        End::Stop(stop.into())
    }
}

impl<R: HasCode> End<R>
where
    TmsError: From<FlowError<R>>,
{
    /// The error, without telling anybody.
    pub(super) fn quietly(self) -> TmsError {
        match self {
            End::Stop(Stop::Fault(fault)) => FlowError::of(fault).into(),
            End::Stop(Stop::Link(error)) => FlowError::Link(error).into(),
            End::Cut { frames } => TmsError::Cut { frames },
        }
    }
}

/// An open line.
#[derive(Debug)]
pub(super) struct Line<S> {
    pub(super) link: Link<S>,
    pub(super) cut: Cut,
}

impl<S: Stream> Line<S> {
    pub(super) fn send<R: NotPermitted>(&mut self, frame: &Frame) -> Result<(), End<R>> {
        self.check()?;
        self.link.send(frame)?;
        self.passed();
        Ok(())
    }

    pub(super) fn receive<P: PinPad, R: NotPermitted>(&mut self, pad: &mut P) -> Result<Frame, End<R>> {
        self.check()?;
        let frame = conversation::receive(&mut self.link, pad)?;
        self.passed();
        Ok(frame)
    }

    fn check<R: HasCode>(&self) -> Result<(), End<R>> {
        if self.cut.is_due() { Err(End::Cut { frames: self.cut.passed }) } else { Ok(()) }
    }

    fn passed(&mut self) {
        self.cut.passed = self.cut.passed.saturating_add(1);
        if self.cut.is_due() {
            self.link.cut();
        }
    }
}
