//! What was said in a run of suite 02, where it matters how many messages it was: whole frames with their lengths.

use hsm::{Refusal, commands::MAX_TRANSCRIPT};

/// Bytes of a frame's length.
const LENGTH: usize = 2;

/// Frames one behind the other, each whole.
#[derive(Clone, Copy)]
pub(super) struct Said<'a>(&'a [u8]);

impl<'a> Said<'a> {
    /// Takes exactly `frames` frames, of at most [`MAX_TRANSCRIPT`] bytes together.
    pub(super) fn of(bytes: &'a [u8], frames: usize) -> Result<Self, Refusal> {
        let malformed = || Refusal::Malformed {
            what: format!("what was said has {frames} whole frames and at most {MAX_TRANSCRIPT} bytes"),
        };
        if bytes.len() > MAX_TRANSCRIPT {
            return Err(malformed());
        }
        let rest = skip(bytes, frames).ok_or_else(malformed)?;
        if rest.is_empty() { Ok(Self(bytes)) } else { Err(malformed()) }
    }

    /// The bytes.
    pub(super) fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// The first `frames` frames; all where there are not as many.
    pub(super) fn first(self, frames: usize) -> Self {
        let rest = skip(self.0, frames).map_or(0, <[u8]>::len);
        Self(self.0.get(..self.0.len().saturating_sub(rest)).unwrap_or(self.0))
    }
}

/// What is left behind so many frames; nothing when there are fewer.
fn skip(bytes: &[u8], frames: usize) -> Option<&[u8]> {
    (0..frames).try_fold(bytes, |rest, _| {
        let (length, rest) = rest.split_first_chunk::<LENGTH>()?;
        rest.get(usize::from(u16::from_be_bytes(*length))..)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const THREE: &[u8] = &[0, 2, 1, 2, 0, 0, 0, 1, 9];

    #[test]
    fn exactly_so_many_whole_frames_are_taken() {
        assert_eq!(Said::of(THREE, 3).unwrap().bytes(), THREE);
        for (bytes, frames) in [
            (THREE, 2),
            (THREE, 4),
            (&THREE[..8], 3),
            (&[THREE, &[0]].concat(), 3),
            (&[THREE, &[0]].concat(), 4),
            (&[], 1),
            (&[0], 1),
        ] {
            assert!(matches!(Said::of(bytes, frames), Err(Refusal::Malformed { .. })), "{bytes:?}");
        }
    }

    #[test]
    fn a_transcript_has_its_most_bytes_and_no_more() {
        let frame = [&32_766_u16.to_be_bytes()[..], &[7; 32_766]].concat();
        let most = frame.repeat(2);
        assert_eq!(most.len(), MAX_TRANSCRIPT);
        assert!(Said::of(&most, 2).is_ok());
        assert!(Said::of(&[most.as_slice(), &[0, 0]].concat(), 3).is_err());
    }

    #[test]
    fn the_first_frames_are_whole_ones() {
        let said = Said::of(THREE, 3).unwrap();
        let firsts = [0, 1, 2, 3, 4].map(|frames| said.first(frames).bytes().len());
        assert_eq!(firsts, [0, 4, 6, 9, 9]);
    }
}
