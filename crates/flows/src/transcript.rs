//! What was said so far in a flow, as the digest that key blocks carry.

use alloc::string::String;
use core::fmt;

use sha2::{Digest, Sha256};
use wire::Frame;

/// All frames of one flow so far, both directions, in order, lengths included (2-wire.md section 4, optional
/// block `11`).
#[derive(Clone, Default)]
pub struct Transcript(Sha256);

impl Transcript {
    /// A flow in which nothing was said yet.
    pub fn new() -> Transcript {
        Transcript::default()
    }

    /// Adds a frame, sent or received.
    pub fn push(&mut self, frame: &Frame) {
        self.0.update(frame.bytes());
    }

    /// The context of the first key block of the next frame.
    pub fn context(&self) -> Context {
        self.context_after(&[])
    }

    /// The context of a key block of the next frame that stands behind these blocks in it, given as their texts.
    pub fn context_after(&self, blocks: &[&str]) -> Context {
        let mut digest = self.0.clone();
        for block in blocks {
            digest.update(block.as_bytes());
        }
        let digest: [u8; 32] = digest.finalize().into();
        let mut context = [0; Context::LENGTH];
        for (to, from) in context.iter_mut().zip(digest) {
            *to = from;
        }
        Context(context)
    }
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Transcript({})", self.context())
    }
}

/// The first 16 bytes of SHA-256 over a transcript: ties a key to everything said before it. Not secret. Its text is
/// upper-case hex, as optional block `11` has it.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Context([u8; Context::LENGTH]);

impl Context {
    /// Bytes of a context.
    pub const LENGTH: usize = 16;

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; Context::LENGTH] {
        &self.0
    }

    /// The text of optional block `11`: 32 upper-case hex digits.
    pub fn to_hex(&self) -> String {
        alloc::format!("{self}")
    }
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Context({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(last: u8) -> Frame {
        Frame::from_payload(&[1, 6, last]).unwrap()
    }

    #[test]
    fn context_depends_on_every_frame_and_their_order() {
        let over = |frames: &[u8]| {
            let mut transcript = Transcript::new();
            frames.iter().for_each(|last| transcript.push(&frame(*last)));
            transcript.context()
        };
        assert_eq!(over(&[1, 2]), over(&[1, 2]));
        assert_ne!(over(&[1, 2]), over(&[2, 1]));
        assert_ne!(over(&[1, 2]), over(&[1]));
    }

    #[test]
    fn second_block_of_a_frame_has_another_context() {
        let mut transcript = Transcript::new();
        transcript.push(&frame(1));
        assert_eq!(transcript.context_after(&[]), transcript.context());
        assert_ne!(transcript.context_after(&["B0000"]), transcript.context());
    }
}
