//! The KMS's role. Between messages the driver asks HSM and store with what the state gives it.

use alloc::{borrow::ToOwned, string::ToString};

use wire::{Device, Fields, Frame, Kcv, Slot, Suite};

use super::{
    Fault, Reason,
    messages::{RANDOM, TkChallenge, TkHello, TkKey, TkReply, top_bit},
};
use crate::{Context, Transcript, loading};

/// A connection on which TK_HELLO is to come.
#[derive(Debug, Default)]
pub struct ExpectHello;

impl ExpectHello {
    /// The start of the role.
    pub fn new() -> ExpectHello {
        ExpectHello
    }

    /// Takes TK_HELLO.
    ///
    /// # Errors
    /// 0002, also for a wrong top bit of Rnd1, for DF03 equal to DF02 and for a slot above 99; 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Hello, Fault> {
        let hello = TkHello::read(frame)?;
        let mut transcript = Transcript::new();
        transcript.push(frame);
        Ok(Hello { hello, transcript })
    }
}

/// TK_HELLO was read; nobody has proved anything yet.
#[derive(Debug)]
pub struct Hello {
    hello: TkHello,
    transcript: Transcript,
}

impl Hello {
    /// The suite that the terminal asks for. A terminal that asks for another than [`Suite::TDES`] may be answered like
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

    /// Rnd1, top bit 0.
    pub fn rnd1(&self) -> [u8; RANDOM] {
        self.hello.rnd1
    }

    /// Records of refusals (FF23: DF28, DF29, DF2A), unproved like everything here.
    pub fn refusals(&self) -> &[Fields] {
        &self.hello.refusals
    }

    /// Gives TK_CHALLENGE. For an unknown serial `crnd1` is the made-up value of 2-wire.md section 8; this role behaves
    /// the same for both.
    ///
    /// # Errors
    /// 0001 when Rnd2's top bit is not 1: it would make reflection possible.
    pub fn challenge(self, crnd1: [u8; RANDOM], rnd2: [u8; RANDOM]) -> Result<(Frame, ExpectReply), Fault> {
        if !top_bit(&rnd2) {
            return Err(Reason::Internal { why: "the HSM's Rnd2 has the wrong top bit".to_string() }.into());
        }
        let frame = TkChallenge { crnd1, rnd2 }.write()?;
        let Hello { hello, mut transcript } = self;
        transcript.push(&frame);
        Ok((frame, ExpectReply { hello, rnd2, transcript }))
    }
}

/// TK_CHALLENGE has left; TK_REPLY is to come.
#[derive(Debug)]
pub struct ExpectReply {
    hello: TkHello,
    rnd2: [u8; RANDOM],
    transcript: Transcript,
}

impl ExpectReply {
    /// Takes TK_REPLY.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Reply, Fault> {
        let TkReply { crnd2 } = TkReply::read(frame)?;
        let ExpectReply { hello, rnd2, mut transcript } = self;
        transcript.push(frame);
        Ok(Reply { hello, rnd2, crnd2, context: transcript.context() })
    }
}

/// TK_REPLY was read. The HSM now checks Crnd2 and makes the key block in one act; a driver that has a block for
/// [`Reply::deliver`] has therefore a proven terminal. When the HSM refuses, [`Reply::wrong_crnd2`] ends the flow.
#[derive(Debug)]
pub struct Reply {
    hello: TkHello,
    rnd2: [u8; RANDOM],
    crnd2: [u8; RANDOM],
    context: Context,
}

impl Reply {
    /// Terminal and PIN pad.
    pub fn device(&self) -> &Device {
        &self.hello.device
    }

    /// The slot to fill.
    pub fn slot(&self) -> Slot {
        self.hello.slot
    }

    /// Rnd2, as TK_CHALLENGE had it.
    pub fn rnd2(&self) -> [u8; RANDOM] {
        self.rnd2
    }

    /// The terminal's answer to Rnd2, for the HSM to check.
    pub fn crnd2(&self) -> [u8; RANDOM] {
        self.crnd2
    }

    /// The context that the key block must carry: over TK_HELLO, TK_CHALLENGE and TK_REPLY.
    pub fn context(&self) -> Context {
        self.context
    }

    /// The HSM says that Crnd2 is wrong, or the terminal was a stranger from the start: 0006.
    pub fn wrong_crnd2(self) -> Fault {
        Reason::WrongCrnd2.into()
    }

    /// Gives TK_KEY with the block that the HSM made for [`Reply::context`]. The pending key must be in the store
    /// before. `kcv` is the key's check value, which does not travel here: KEY_CONFIRM shows that the block was opened.
    ///
    /// # Errors
    /// 0009 when the terminal, proven now, had asked for another suite; 0001 for a check value of another suite.
    pub fn deliver(self, block: &str, kcv: Kcv) -> Result<(Frame, ExpectConfirm), Fault> {
        let suite = self.hello.suite;
        if suite != Suite::TDES {
            return Err(Reason::SuiteNotSupported { suite }.into());
        }
        if !matches!(kcv, Kcv::Tdes(_)) {
            return Err(Reason::Internal { why: "the key's check value is none of TDES".to_string() }.into());
        }
        let frame = TkKey { block: block.to_owned() }.write()?;
        Ok((frame, ExpectConfirm::of(kcv)))
    }
}

/// TK_KEY has left.
pub type ExpectConfirm = loading::ExpectConfirm<Reason>;
/// What KEY_CONFIRM showed.
pub type Confirm = loading::Confirm<Reason>;
/// The terminal holds the key.
pub type Confirmed = loading::Confirmed<Reason>;
