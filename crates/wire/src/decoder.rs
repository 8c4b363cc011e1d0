//! From bytes, as a link gives them, to frames.

use alloc::vec::Vec;

use crate::{Frame, Malformed, frame, limits::MAX_BUFFERED};

/// Room that an empty decoder keeps; more is given back, so that one long frame does not cost a link memory for ever.
const KEPT_CAPACITY: usize = 4096;

/// Cuts a byte stream into frames.
///
/// Push what the link gave, then take frames until there is none. A stream that is broken once stays so: after an
/// error the connection is to be closed.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: Vec<u8>,
    /// How much of `buffer` was given out in frames. It goes only at the next push, so that many short frames in one
    /// push do not move the rest once for each.
    taken: usize,
}

impl FrameDecoder {
    /// A decoder at the start of a stream.
    pub fn new() -> FrameDecoder {
        FrameDecoder::default()
    }

    /// Adds bytes from the link. Pushes of up to [`MAX_FRAME`](crate::limits::MAX_FRAME) bytes always fit when the
    /// frames were taken before.
    ///
    /// # Errors
    /// [`Malformed::DecoderFull`] when more than [`MAX_BUFFERED`] would be held; nothing is added then.
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), Malformed> {
        let held = self.waiting().len();
        if bytes.len() > MAX_BUFFERED.saturating_sub(held) {
            return Err(Malformed::DecoderFull { held, pushed: bytes.len() });
        }
        self.buffer.drain(..self.taken);
        self.taken = 0;
        self.buffer.extend_from_slice(bytes);
        Ok(())
    }

    /// The next whole frame, or nothing while one is incomplete.
    ///
    /// # Errors
    /// [`Malformed::FrameTooShort`], and again at each further call.
    #[allow(
        clippy::should_implement_trait,
        reason = "here `None` means not yet, an iterator's means never again"
    )]
    pub fn next(&mut self) -> Result<Option<Frame>, Malformed> {
        let waiting = self.waiting();
        let Some(length) = frame::frame_length(waiting)? else { return Ok(None) };
        let Some(bytes) = waiting.get(..length) else { return Ok(None) };
        let frame = Frame::from_checked(bytes.to_vec());
        self.taken += length;
        if self.taken == self.buffer.len() {
            self.buffer.clear();
            self.buffer.shrink_to(KEPT_CAPACITY);
            self.taken = 0;
        }
        Ok(Some(frame))
    }

    /// Whether bytes are held that were not given out: a frame has begun, so that the time for one message runs
    /// ([`MESSAGE_SECONDS`](crate::limits::MESSAGE_SECONDS)), and an end of the stream here would cut it.
    pub fn is_inside_frame(&self) -> bool {
        !self.waiting().is_empty()
    }

    fn waiting(&self) -> &[u8] {
        self.buffer.get(self.taken..).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::{MAX_FRAME, MAX_PAYLOAD};

    #[test]
    fn bytes_one_by_one_give_the_frame_with_its_last() {
        let mut decoder = FrameDecoder::new();
        for byte in [0, 3, 1, 6] {
            decoder.push(&[byte]).unwrap();
            assert_eq!(decoder.next(), Ok(None));
            assert!(decoder.is_inside_frame());
        }
        decoder.push(&[9]).unwrap();
        assert_eq!(decoder.next().unwrap().unwrap().bytes(), [0, 3, 1, 6, 9]);
        assert!(!decoder.is_inside_frame());
    }

    #[test]
    fn several_frames_in_one_push_come_one_by_one() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&[0, 2, 1, 6, 0, 2, 1, 5, 0]).unwrap();
        assert_eq!(decoder.next().unwrap().unwrap().payload(), [1, 6]);
        assert_eq!(decoder.next().unwrap().unwrap().payload(), [1, 5]);
        assert_eq!(decoder.next(), Ok(None));
        assert!(decoder.is_inside_frame());
    }

    #[test]
    fn frame_too_short_is_refused_for_good() {
        for length in [0, 1] {
            let mut decoder = FrameDecoder::new();
            decoder.push(&[0, length, 1, 6, 0, 2, 1, 6]).unwrap();
            for _ in 0..2 {
                assert_eq!(decoder.next(), Err(Malformed::FrameTooShort { length: usize::from(length) }));
            }
        }
    }

    #[test]
    fn longest_frame_passes() {
        let frame = Frame::from_payload(&[1; MAX_PAYLOAD]).unwrap();
        let mut decoder = FrameDecoder::new();
        decoder.push(frame.bytes()).unwrap();
        assert_eq!(decoder.next(), Ok(Some(frame)));
    }

    #[test]
    fn memory_is_bounded() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&[0xFF; MAX_FRAME]).unwrap();
        decoder.push(&[0xFF; MAX_FRAME]).unwrap();
        let full = Malformed::DecoderFull { held: MAX_BUFFERED, pushed: 1 };
        assert_eq!(decoder.push(&[0]), Err(full));
        decoder.next().unwrap().unwrap();
        assert_eq!(decoder.push(&[0]), Ok(()));
    }

    #[test]
    fn a_push_of_one_frame_fits_whenever_the_frames_were_taken() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&[0xFF; MAX_FRAME - 1]).unwrap();
        assert_eq!(decoder.next(), Ok(None));
        assert_eq!(decoder.push(&[0xFF; MAX_FRAME]), Ok(()));
    }

    #[test]
    fn memory_of_a_long_frame_is_given_back() {
        let mut decoder = FrameDecoder::new();
        decoder.push(&[0xFF; MAX_FRAME]).unwrap();
        decoder.next().unwrap().unwrap();
        assert!(decoder.buffer.capacity() <= KEPT_CAPACITY);
    }
}
