//! The KMS's role. Between messages the driver asks HSM and store with what the state gives it.

use alloc::{borrow::ToOwned, string::ToString, vec::Vec};

use wire::{Device, Fields, Frame, Kcv, MessageType, Slot, Suite};

use super::{
    DownloadSuite, Fault, Reason,
    messages::{TkHello, TkKey},
};
use crate::{
    Context, Said, Tdes, loading,
    suite::{self, Part},
};

/// A connection on which TK_HELLO is to come.
#[derive(Debug, Default)]
pub struct ExpectHello;

impl ExpectHello {
    /// The start of the role.
    pub fn new() -> ExpectHello {
        ExpectHello
    }

    /// Takes TK_HELLO of suite 01, or of one that nobody has.
    ///
    /// # Errors
    /// 0002, also for a wrong top bit of Rnd1, for DF03 equal to DF02 and for a slot above 99; 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Hello, Fault> {
        self.on_frame_of(frame)
    }

    /// Takes TK_HELLO of a suite.
    ///
    /// # Errors
    /// 0002, also for DF03 equal to DF02 and for a slot above 99; 0003.
    pub fn on_frame_of<S: DownloadSuite>(self, frame: &Frame) -> Result<Hello<S>, Fault> {
        let hello = TkHello::read(frame)?;
        let mut said = Said::new();
        said.push(frame);
        Ok(Hello { hello, said })
    }
}

/// TK_HELLO was read; nobody has proved anything yet.
#[derive(Debug)]
pub struct Hello<S: DownloadSuite = Tdes> {
    hello: TkHello<S>,
    said: Said,
}

impl<S: DownloadSuite> Hello<S> {
    /// The suite that the terminal asks for. A terminal that asks for another than the role's may be answered like
    /// one with an unknown serial, or proved first: [`Reply::deliver`] then refuses with 0009. Before that it must
    /// learn nothing.
    pub fn suite(&self) -> Suite {
        self.hello.suite
    }

    /// Terminal and PIN pad, as they call themselves.
    pub fn device(&self) -> &Device {
        &self.hello.device
    }

    /// The slot to fill.
    pub fn slot(&self) -> Slot {
        self.hello.slot
    }

    /// What the terminal opens with.
    pub fn opening(&self) -> &S::Opening {
        &self.hello.opening
    }

    /// Records of refusals (FF23: DF28, DF29, DF2A), unproved like everything here.
    pub fn refusals(&self) -> &[Fields] {
        &self.hello.refusals
    }

    /// TK_HELLO.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// Gives TK_CHALLENGE. A stranger's is made up, and this role behaves the same for both.
    ///
    /// # Errors
    /// 0001 for a challenge that has not its form.
    pub fn answer(self, challenge: S::Challenge) -> Result<(Frame, ExpectReply<S>), Fault> {
        let frame = suite::write::<S>(MessageType::TkChallenge, |fields| challenge.push(fields))?;
        let Hello { hello, mut said } = self;
        said.push(&frame);
        Ok((frame, ExpectReply { hello, challenge, said }))
    }
}

/// TK_CHALLENGE has left; TK_REPLY is to come.
#[derive(Debug)]
pub struct ExpectReply<S: DownloadSuite = Tdes> {
    hello: TkHello<S>,
    challenge: S::Challenge,
    said: Said,
}

impl<S: DownloadSuite> ExpectReply<S> {
    /// Takes TK_REPLY.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Reply<S>, Fault> {
        let reply = S::Reply::read(&S::read(frame, MessageType::TkReply)?)?;
        let ExpectReply { hello, challenge, said: before } = self;
        let mut said = before.clone();
        said.push(frame);
        Ok(Reply { hello, challenge, reply, frame: frame.clone(), before, said })
    }
}

/// TK_REPLY was read. The HSM now checks the proof in it and makes the key block in one act; a driver that has a block for
/// [`Reply::deliver`] has therefore a proven terminal. When the HSM refuses, [`Reply::wrong_crnd2`] ends the flow.
#[derive(Debug)]
pub struct Reply<S: DownloadSuite = Tdes> {
    hello: TkHello<S>,
    challenge: S::Challenge,
    reply: S::Reply,
    frame: Frame,
    before: Said,
    said: Said,
}

impl<S: DownloadSuite> Reply<S> {
    /// Terminal and PIN pad.
    pub fn device(&self) -> &Device {
        &self.hello.device
    }

    /// The slot to fill.
    pub fn slot(&self) -> Slot {
        self.hello.slot
    }

    /// What TK_CHALLENGE held.
    pub fn challenge(&self) -> &S::Challenge {
        &self.challenge
    }

    /// What TK_REPLY held, for the HSM to check.
    pub fn reply(&self) -> &S::Reply {
        &self.reply
    }

    /// TK_REPLY as it came.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// TK_HELLO and TK_CHALLENGE.
    pub fn said_before(&self) -> &Said {
        &self.before
    }

    /// TK_HELLO, TK_CHALLENGE and TK_REPLY.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// The context that the key block must carry: over TK_HELLO, TK_CHALLENGE and TK_REPLY.
    pub fn context(&self) -> Context {
        self.said.context()
    }

    /// The HSM says that the proof is wrong, or the terminal was a stranger from the start: 0006.
    pub fn wrong_crnd2(self) -> Fault {
        Reason::WrongCrnd2.into()
    }

    /// Gives TK_KEY with the block that the HSM made for [`Reply::context`]. The pending key must be in the store
    /// before. `kcv` is the key's check value, which does not travel here: KEY_CONFIRM shows that the block was opened.
    ///
    /// # Errors
    /// 0009 when the terminal, proven now, had asked for another suite; 0001 for a check value of another suite.
    pub fn deliver(self, block: &str, kcv: Kcv) -> Result<(Frame, ExpectConfirm<S>), Fault> {
        let suite = self.hello.suite;
        if suite != S::ID {
            return Err(Reason::SuiteNotSupported { suite }.into());
        }
        if !S::has_kcv(kcv) {
            return Err(
                Reason::Internal { why: "the key's check value is of another suite".to_string() }.into()
            );
        }
        let frame = TkKey { block: block.to_owned() }.write::<S>()?;
        let mut said = self.said;
        said.push(&frame);
        Ok((frame, ExpectConfirm::after(said, Vec::from([kcv]))))
    }
}

/// TK_KEY has left.
pub type ExpectConfirm<S = Tdes> = loading::ExpectConfirm<Reason, S>;
/// KEY_CONFIRM was read.
pub type Told<S = Tdes> = loading::Told<Reason, S>;
/// What KEY_CONFIRM of suite 01 showed.
pub type Confirm = loading::Confirm<Reason>;
/// The terminal holds the key.
pub type Confirmed<S = Tdes> = loading::Confirmed<Reason, S>;
