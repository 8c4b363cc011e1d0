//! Suite 01: random numbers, and what AUK makes of them (2-wire.md section 4, flow A).

use alloc::string::ToString;

use wire::{Fields, Frame, Malformed, MessageType, Tag};

use super::{
    Fault, Reason,
    kms::{ExpectReply, Hello, Reply},
};
use crate::{
    ProtocolError, Tdes,
    fault::{expect, write},
    suite::Part,
};

/// Bytes of Rnd1, Rnd2 and the answers to them.
pub const RANDOM: usize = 8;

/// Rnd1 (DF05), top bit 0, with which a terminal opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rnd1(pub [u8; RANDOM]);

impl Part for Rnd1 {
    fn read(fields: &Fields) -> Result<Rnd1, Malformed> {
        let rnd1 = fields.exactly(Tag::RND1)?;
        if top_bit(&rnd1) { Err(Malformed::TopBit { tag: Tag::RND1 }) } else { Ok(Rnd1(rnd1)) }
    }

    /// The wrong top bit would make reflection possible: it is not written.
    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        if top_bit(&self.0) {
            return Err(Malformed::TopBit { tag: Tag::RND1 });
        }
        fields.push(Tag::RND1, &self.0)
    }
}

/// TK_CHALLENGE: KMS → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TkChallenge {
    /// Crnd1 (DF07): E(AUK, Rnd1).
    pub crnd1: [u8; RANDOM],
    /// Rnd2 (DF06), top bit 1.
    pub rnd2: [u8; RANDOM],
}

impl TkChallenge {
    /// Reads a TK_CHALLENGE.
    ///
    /// # Errors
    /// When the frame is another message or malformed; the top bit of Rnd2 belongs to the form.
    pub fn read(frame: &Frame) -> Result<TkChallenge, ProtocolError> {
        Ok(Part::read(&expect(frame, MessageType::TkChallenge)?)?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::TkChallenge, |fields| self.push(fields))
    }
}

impl Part for TkChallenge {
    fn read(fields: &Fields) -> Result<TkChallenge, Malformed> {
        let challenge = TkChallenge { crnd1: fields.exactly(Tag::CRND1)?, rnd2: fields.exactly(Tag::RND2)? };
        if top_bit(&challenge.rnd2) { Ok(challenge) } else { Err(Malformed::TopBit { tag: Tag::RND2 }) }
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::CRND1, &self.crnd1)?;
        fields.push(Tag::RND2, &self.rnd2)
    }
}

/// TK_REPLY: terminal → KMS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TkReply {
    /// Crnd2 (DF08): E(AUK, Rnd2).
    pub crnd2: [u8; RANDOM],
}

impl TkReply {
    /// Reads a TK_REPLY.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<TkReply, ProtocolError> {
        Ok(Part::read(&expect(frame, MessageType::TkReply)?)?)
    }

    /// Writes it.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        write(MessageType::TkReply, |fields| self.push(fields))
    }
}

impl Part for TkReply {
    fn read(fields: &Fields) -> Result<TkReply, Malformed> {
        Ok(TkReply { crnd2: fields.exactly(Tag::CRND2)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::CRND2, &self.crnd2)
    }
}

impl Hello<Tdes> {
    /// Rnd1, top bit 0.
    pub fn rnd1(&self) -> [u8; RANDOM] {
        self.opening().0
    }

    /// Gives TK_CHALLENGE. For an unknown serial `crnd1` is the made-up value of 2-wire.md section 8; the role behaves
    /// the same for both.
    ///
    /// # Errors
    /// 0001 when Rnd2's top bit is not 1: it would make reflection possible.
    pub fn challenge(self, crnd1: [u8; RANDOM], rnd2: [u8; RANDOM]) -> Result<(Frame, ExpectReply), Fault> {
        if !top_bit(&rnd2) {
            return Err(Reason::Internal { why: "the HSM's Rnd2 has the wrong top bit".to_string() }.into());
        }
        self.answer(TkChallenge { crnd1, rnd2 })
    }
}

impl Reply<Tdes> {
    /// Rnd2, as TK_CHALLENGE had it.
    pub fn rnd2(&self) -> [u8; RANDOM] {
        self.challenge().rnd2
    }

    /// The terminal's answer to Rnd2, for the HSM to check.
    pub fn crnd2(&self) -> [u8; RANDOM] {
        self.reply().crnd2
    }
}

/// Whether the top bit is set: it is 0 in Rnd1 and 1 in Rnd2 (2-wire.md section 4, flow A).
fn top_bit(random: &[u8; RANDOM]) -> bool {
    let [first, ..] = random;
    first & 0x80 != 0
}
