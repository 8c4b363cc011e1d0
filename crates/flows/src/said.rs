//! What was said so far in a flow, as the side that keeps it for its HSM has it.

use alloc::vec::Vec;

use wire::Frame;

use crate::{Context, FlowLetter, Th, Transcript, transcript::PREFIX};

/// All frames of one flow so far, both directions, in order, lengths included. Their bytes are kept: an HSM hashes them
/// itself. Fields that nobody reads count, so a driver must expect its HSM to refuse too many.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    frames: Vec<u8>,
}

impl Said {
    /// A flow in which nothing was said yet.
    pub fn new() -> Said {
        Said::default()
    }

    /// Adds a frame, sent or received.
    pub fn push(&mut self, frame: &Frame) {
        self.frames.extend_from_slice(frame.bytes());
    }

    /// The bytes.
    pub fn bytes(&self) -> &[u8] {
        &self.frames
    }

    /// The bytes with one frame more, for instance one that is still without its proof.
    pub fn with(&self, frame: &Frame) -> Vec<u8> {
        [&self.frames, frame.bytes()].concat()
    }

    /// The context of the first key block of the next frame.
    pub fn context(&self) -> Context {
        self.context_after(&[])
    }

    /// The context of a key block of the next frame that stands behind these blocks in it, given as their texts.
    pub fn context_after(&self, blocks: &[&str]) -> Context {
        Transcript::of(&self.frames).context_after(blocks)
    }

    /// TH of these frames in this flow.
    pub fn th(&self, flow: FlowLetter) -> Th {
        Th::of(&[PREFIX, &[flow.byte()], &self.frames])
    }
}
