//! What was said so far in a flow, as the digest that key blocks carry.

use alloc::{string::String, vec::Vec};
use core::fmt;

use sha2::{Digest, Sha256};
use wire::{Frame, Malformed, Proof};

/// All frames of one flow so far, both directions, in order, lengths included (2-wire.md section 4, optional
/// block `11`).
#[derive(Clone, Default)]
pub struct Transcript(Sha256);

impl Transcript {
    /// A flow in which nothing was said yet.
    pub fn new() -> Transcript {
        Transcript::default()
    }

    /// The transcript of these frames, lengths included.
    pub(crate) fn of(frames: &[u8]) -> Transcript {
        Transcript(Sha256::new().chain_update(frames))
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

/// What a transcript of suite 02 begins with.
pub(crate) const PREFIX: &[u8] = b"KF2";

/// The letter of a flow in everything that suite 02 binds to it (3-hardened.md, "Transcript and keys"). Flow F binds
/// nothing to a transcript.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FlowLetter {
    /// Flow A, downloading.
    TmkDownload,
    /// Flow B.
    LocalLoad,
    /// Flow C.
    RksLoad,
    /// Flow E.
    TmsSession,
    /// Flow A, collecting.
    Collect,
}

impl FlowLetter {
    /// The letter.
    pub fn byte(self) -> u8 {
        match self {
            FlowLetter::TmkDownload => b'A',
            FlowLetter::LocalLoad => b'B',
            FlowLetter::RksLoad => b'C',
            FlowLetter::TmsSession => b'E',
            FlowLetter::Collect => b'K',
        }
    }

    /// The transcript string of these frames, of which TH is the digest: what is signed with ECDSA and SHA-256, by whoever
    /// signs bytes and not digests.
    pub fn transcript(self, frames: &[&Frame]) -> Vec<u8> {
        let mut text = [PREFIX, &[self.byte()]].concat();
        frames.iter().for_each(|frame| text.extend_from_slice(frame.bytes()));
        text
    }
}

/// All frames of one flow of suite 02 so far, for both digests that the suite takes of them: TH, which begins with the
/// flow's letter, and the context of key blocks, which is that of suite 01.
#[derive(Clone)]
pub struct BoundTranscript {
    said: Transcript,
    bound: Sha256,
}

impl BoundTranscript {
    /// A flow in which nothing was said yet.
    pub fn new(flow: FlowLetter) -> BoundTranscript {
        BoundTranscript {
            said: Transcript::new(),
            bound: Sha256::new().chain_update(PREFIX).chain_update([flow.byte()]),
        }
    }

    /// Adds a frame, sent or received.
    pub fn push(&mut self, frame: &Frame) {
        self.said.push(frame);
        self.bound.update(frame.bytes());
    }

    /// TH of all frames so far.
    pub fn th(&self) -> Th {
        Th(self.bound.clone().finalize().into())
    }

    /// TH of all frames so far and this one, which carries `proof` and is taken without it. For the sender, who has no
    /// proof yet, [`BoundTranscript::th_before_proof`].
    ///
    /// # Errors
    /// Those of [`Frame::without`].
    pub fn th_without(&self, frame: &Frame, proof: Proof) -> Result<Th, Malformed> {
        frame.without(proof).map(|frame| self.th_before_proof(&frame))
    }

    /// TH of all frames so far and this one, to which its proof is still to be added.
    pub fn th_before_proof(&self, frame: &Frame) -> Th {
        Th(self.bound.clone().chain_update(frame.bytes()).finalize().into())
    }

    /// The context of the first key block of the next frame.
    pub fn context(&self) -> Context {
        self.said.context()
    }

    /// The context of a key block of the next frame that stands behind these blocks in it, given as their texts.
    pub fn context_after(&self, blocks: &[&str]) -> Context {
        self.said.context_after(blocks)
    }
}

impl fmt::Debug for BoundTranscript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "BoundTranscript({:?})", self.th())
    }
}

/// TH: SHA-256 of `"KF2" ‖ flow letter ‖ frames`, lengths included, in order. Not secret.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Th([u8; Th::LENGTH]);

impl Th {
    /// Bytes of TH.
    pub const LENGTH: usize = 32;

    /// The digest of these, one behind the other.
    pub(crate) fn of(parts: &[&[u8]]) -> Th {
        Th(parts.iter().fold(Sha256::new(), Digest::chain_update).finalize().into())
    }

    /// The bytes.
    pub fn as_bytes(&self) -> &[u8; Th::LENGTH] {
        &self.0
    }
}

impl fmt::Debug for Th {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Th(")?;
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02X}"))?;
        f.write_str(")")
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

    fn vectors(flow: &str) -> serde_json::Value {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/ec-suite.json");
        let text = std::fs::read_to_string(path).unwrap();
        serde_json::from_str::<serde_json::Value>(&text).unwrap()[flow].take()
    }

    fn hex(value: &serde_json::Value) -> std::vec::Vec<u8> {
        let digits = value.as_str().unwrap();
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
    }

    #[test]
    fn a_download_of_the_vectors_has_their_th_and_context() {
        let v = vectors("download");
        let frame = |name: &str| Frame::from_payload(&hex(&v[name])).unwrap();
        let mut transcript = BoundTranscript::new(FlowLetter::TmkDownload);
        transcript.push(&frame("m1"));
        let challenge = frame("m2");
        let th = transcript.th_without(&challenge, Proof::Confirmation).unwrap();
        assert_eq!(th.as_bytes().as_slice(), hex(&v["th_1_2"]));
        let bare = challenge.without(Proof::Confirmation).unwrap();
        assert_eq!(transcript.th_before_proof(&bare), th, "what the sender makes the proof of");
        let missing = transcript.th_without(&bare, Proof::Confirmation);
        assert_eq!(missing, Err(Malformed::MissingField { tag: wire::Tag::CONFIRMATION }));
        transcript.push(&challenge);
        assert_ne!(transcript.th(), th, "the next TH is over the whole frame");
        transcript.push(&frame("m3"));
        assert_eq!(transcript.context().as_bytes().as_slice(), hex(&v["context"]));
        assert_ne!(transcript.context_after(&["D0000"]), transcript.context());
    }

    #[test]
    fn a_collecting_of_the_vectors_has_its_th() {
        let v = vectors("collect");
        let frame = |name: &str| Frame::from_payload(&hex(&v[name])).unwrap();
        let mut transcript = BoundTranscript::new(FlowLetter::Collect);
        transcript.push(&frame("collect"));
        let th = transcript.th_before_proof(&frame("collected_without_df16"));
        assert_eq!(th.as_bytes().as_slice(), hex(&v["th"]));
        transcript.push(&frame("collected_without_df16"));
        assert_eq!(transcript.th(), th);
    }

    #[test]
    fn every_flow_has_its_own_letter() {
        use FlowLetter::{Collect, LocalLoad, RksLoad, TmkDownload, TmsSession};
        let letters = [TmkDownload, LocalLoad, RksLoad, TmsSession, Collect];
        assert_eq!(letters.map(FlowLetter::byte), *b"ABCEK");
        for (index, letter) in letters.into_iter().enumerate() {
            for other in letters.into_iter().skip(index + 1) {
                assert_ne!(BoundTranscript::new(letter).th(), BoundTranscript::new(other).th());
            }
        }
    }
}
