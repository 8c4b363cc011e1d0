//! The terminal's role. Certificate, life cycle, sensors and latch are its driver's.

use core::marker::PhantomData;

use wire::{Device, Frame, MessageType};

use super::CollectAsk;
use crate::{
    Tdes,
    collect::{CollectSuite, Fault, messages::Collected, terminal::Ask},
    fault::expect,
    loading::Done,
};

/// A collection that the terminal has not asked for yet.
#[derive(Debug)]
pub struct Start<S: CollectSuite = Tdes> {
    device: Device,
    suite: PhantomData<fn() -> S>,
}

impl Start {
    /// A collection of this device's TK in suite 01.
    pub fn new(device: Device) -> Start {
        Start::of(device)
    }
}

impl<S: CollectSuite> Start<S> {
    /// A collection of this device's TK.
    pub fn of(device: Device) -> Start<S> {
        Start { device, suite: PhantomData }
    }

    /// Begins: gives COLLECT_ASK.
    ///
    /// # Errors
    /// None in practice: it has a bounded size.
    pub fn begin(self) -> Result<(Frame, ExpectCollect<S>), Fault> {
        let frame = CollectAsk { suite: S::ID, device: self.device }.write()?;
        Ok((frame, ExpectCollect(PhantomData)))
    }
}

/// COLLECT_ASK has left; COLLECT is to come.
#[derive(Debug)]
pub struct ExpectCollect<S: CollectSuite = Tdes>(PhantomData<fn() -> S>);

impl<S: CollectSuite> ExpectCollect<S> {
    /// Takes COLLECT.
    ///
    /// # Errors
    /// 0002, 0003; the server's ERROR, 0006 where no window is open.
    pub fn on_frame(self, frame: &Frame) -> Result<Offered<S>, Fault> {
        Ok(Offered { ask: Ask::read(frame)? })
    }
}

/// COLLECT was read. Nothing of it is believed yet: it goes through the same checks as a station's.
#[derive(Debug)]
pub struct Offered<S: CollectSuite = Tdes> {
    ask: Ask<S>,
}

impl<S: CollectSuite> Offered<S> {
    /// What was asked: suite, certificate or bare key, and the latch's digest.
    pub fn ask(&self) -> &Ask<S> {
        &self.ask
    }

    /// Gives COLLECTED. TK, latch and this frame's bytes are on disk before it leaves.
    ///
    /// # Errors
    /// 0001 when it fits into no frame.
    pub fn answer(self, collected: &Collected<S>) -> Result<(Frame, ExpectDone), Fault> {
        Ok((self.ask.answer(collected)?, ExpectDone(())))
    }

    /// Gives the COLLECTED that the latch keeps, by the same bytes, to the same certificate.
    ///
    /// # Errors
    /// 0001 when the frame is no COLLECTED.
    pub fn answer_again(self, kept: Frame) -> Result<(Frame, ExpectDone), Fault> {
        match expect(&kept, MessageType::Collected) {
            Ok(_) => Ok((kept, ExpectDone(()))),
            Err(defect) => {
                let why = alloc::format!("what the latch keeps is no COLLECTED: {defect}");
                Err(crate::collect::Reason::Internal { why }.into())
            }
        }
    }
}

/// COLLECTED has left; DONE is to come. When it does not, the server may hold the TK already: asking again with the same
/// certificate gives it the same bytes.
#[derive(Debug)]
pub struct ExpectDone(());

impl ExpectDone {
    /// Takes DONE: the server holds the TK.
    ///
    /// # Errors
    /// 0002, 0003; the server's ERROR, which is why it did not take it.
    pub fn on_frame(self, frame: &Frame) -> Result<(), Fault> {
        Done::read(frame)?;
        Ok(())
    }
}
