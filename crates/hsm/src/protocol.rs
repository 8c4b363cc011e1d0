//! The bytes between a server and its HSM process.
//!
//! A message is `length (4, little-endian) ‖ id (8) ‖ body`, the length counting what follows it. The body is the
//! postcard encoding of a [`Request`] towards the HSM, of an [`Outcome`] back. Ids are the client's; replies come in
//! any order. Key blocks and public values travel, never a clear key: the socket's permissions keep others from
//! *using* keys, not from reading them. What else is nobody's business (PANs, an operator's new password) travels as
//! [`Sensitive`](crate::Sensitive).

use serde::{Serialize, de::DeserializeOwned};
use zeroize::Zeroize;

use crate::{
    Refusal,
    commands::{CheckBatchMac, Command as _, MAX_BATCH_TEXT, MacBatch, Reply, Request},
};

/// Version of this protocol. The first [`Status`](crate::commands::Status) tells it.
pub const VERSION: u32 = 5;

/// The longest message, from id to the end of the body, but for those of [`MAX_BATCH_MESSAGE`]. The largest command is
/// [`TranslatePins`](crate::commands::TranslatePins) of [`MAX_ITEMS`](crate::commands::MAX_ITEMS) items, each with two
/// key blocks of some 300 characters.
pub const MAX_MESSAGE: usize = 1024 * 1024;

/// The longest message of [`MacBatch`] and [`CheckBatchMac`], which hold a whole batch: a MAC in pieces would give its
/// caller the values in between, and an upload has a bound of its own. What follows the text is a key block and names.
pub const MAX_BATCH_MESSAGE: usize = MAX_BATCH_TEXT + 4096;

/// What the HSM answers.
pub type Outcome = Result<Reply, Refusal>;

/// What a message may hold.
pub trait Body {
    /// The longest message of this variant, from id to the end of the body.
    #[must_use]
    fn longest(_variant: u32) -> usize {
        MAX_MESSAGE
    }
}

impl Body for Request {
    fn longest(variant: u32) -> usize {
        let name = usize::try_from(variant).ok().and_then(|at| Self::NAMES.get(at));
        let holds_batch = name.is_some_and(|name| [MacBatch::NAME, CheckBatchMac::NAME].contains(name));
        if holds_batch { MAX_BATCH_MESSAGE } else { MAX_MESSAGE }
    }
}

impl Body for Outcome {}

const LENGTH_BYTES: usize = 4;
const ID_BYTES: usize = 8;
/// The most bytes of a variant's number in postcard.
const VARIANT_BYTES: usize = 5;

/// Why bytes are not a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Larger than [`MAX_MESSAGE`], or than [`MAX_BATCH_MESSAGE`] where that holds.
    #[error("message of {0} bytes is larger than such a message may be")]
    TooLarge(usize),
    /// Shorter than its id.
    #[error("message of {0} bytes is too short for its id")]
    TooShort(usize),
    /// The body is not what it should be.
    #[error("message body cannot be read")]
    Body,
}

/// Appends a message to `out`.
///
/// # Errors
/// [`ProtocolError::TooLarge`]; `out` is then as it was.
pub fn encode<T: Serialize + Body>(id: u64, body: &T, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
    let start = out.len();
    out.extend_from_slice(&[0; LENGTH_BYTES]);
    out.extend_from_slice(&id.to_le_bytes());
    let encoded = postcard::to_extend(body, std::mem::take(out)).map_err(|_| ProtocolError::Body)?;
    *out = encoded;
    let length = out.len() - start - LENGTH_BYTES;
    let longest = out.get(start + LENGTH_BYTES + ID_BYTES..).and_then(longest::<T>).unwrap_or(MAX_MESSAGE);
    let prefix = u32::try_from(length).ok().filter(|_| length <= longest);
    let (Some(prefix), Some(place)) = (prefix, out.get_mut(start..start + LENGTH_BYTES)) else {
        out.truncate(start);
        return Err(ProtocolError::TooLarge(length));
    };
    place.copy_from_slice(&prefix.to_le_bytes());
    Ok(())
}

/// The longest message whose body begins like this; nothing until enough of it is there.
fn longest<T: Body>(body: &[u8]) -> Option<usize> {
    postcard::take_from_bytes(body).ok().map(|(variant, _)| T::longest(variant))
}

/// Collects bytes and gives messages.
#[derive(Debug, Default)]
pub struct Decoder {
    bytes: Vec<u8>,
    read: usize,
}

impl Decoder {
    /// Takes what came.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.read > 0 {
            self.bytes.drain(..self.read);
            self.read = 0;
            // A batch's room is given back.
            self.bytes.shrink_to(MAX_MESSAGE);
        }
        self.bytes.extend_from_slice(bytes);
    }

    /// Wipes the messages that were taken: one of them held what must not stay in memory.
    pub fn wipe_taken(&mut self) {
        if let Some(taken) = self.bytes.get_mut(..self.read) {
            taken.zeroize();
        }
    }

    /// The next whole message, or `None` until more has come.
    ///
    /// # Errors
    /// Any [`ProtocolError`]: the connection is of no further use.
    pub fn take<T: DeserializeOwned + Body>(&mut self) -> Result<Option<(u64, T)>, ProtocolError> {
        let rest = self.bytes.get(self.read..).unwrap_or_default();
        let Some((prefix, rest)) = rest.split_first_chunk::<LENGTH_BYTES>() else { return Ok(None) };
        let length = usize::try_from(u32::from_le_bytes(*prefix)).map_err(|_| ProtocolError::Body)?;
        if length > MAX_MESSAGE {
            // Which message it is decides; no more of it is taken until that is known.
            let longest = match rest.get(ID_BYTES..).and_then(longest::<T>) {
                None if length <= MAX_BATCH_MESSAGE && rest.len() < ID_BYTES + VARIANT_BYTES => {
                    return Ok(None);
                }
                known => known.unwrap_or(MAX_MESSAGE),
            };
            if length > longest {
                return Err(ProtocolError::TooLarge(length));
            }
        }
        let Some(message) = rest.get(..length) else { return Ok(None) };
        let Some((id, body)) = message.split_first_chunk::<ID_BYTES>() else {
            return Err(ProtocolError::TooShort(length));
        };
        let (value, left) = postcard::take_from_bytes(body).map_err(|_| ProtocolError::Body)?;
        if !left.is_empty() {
            return Err(ProtocolError::Body);
        }
        let id = u64::from_le_bytes(*id);
        self.read += LENGTH_BYTES + length;
        Ok(Some((id, value)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{
        KeyBlock,
        commands::{AnswerStranger, BatchText, Status},
    };

    impl Body for String {}
    impl Body for &str {}
    impl Body for Status {}
    impl Body for (Status, u8) {}

    #[test]
    fn messages_come_out_as_they_went_in_whatever_the_pieces() {
        let mut bytes = Vec::new();
        encode(7, &Request::Status(Status {}), &mut bytes).unwrap();
        let stranger = AnswerStranger { sn: "SN-1".into(), pin_pad: "SN-1".into(), rnd1: [1; 8] };
        encode(8, &Request::AnswerStranger(stranger), &mut bytes).unwrap();
        let mut decoder = Decoder::default();
        let mut names = Vec::new();
        for byte in bytes {
            decoder.push(&[byte]);
            while let Some((id, request)) = decoder.take::<Request>().unwrap() {
                names.push((id, request.name()));
            }
        }
        assert_eq!(names, [(7, "Status"), (8, "AnswerStranger")]);
    }

    #[test]
    fn a_message_at_the_limit_passes_and_one_past_it_is_refused() {
        let overhead = ID_BYTES + 3; // a postcard string of this size has a three-byte length
        let mut out = Vec::new();
        encode(1, &"x".repeat(MAX_MESSAGE - overhead), &mut out).unwrap();
        let mut decoder = Decoder::default();
        decoder.push(&out);
        assert!(decoder.take::<String>().unwrap().is_some());

        let mut out = vec![9];
        let error = encode(1, &"x".repeat(MAX_MESSAGE - overhead + 1), &mut out).unwrap_err();
        assert_eq!(error, ProtocolError::TooLarge(MAX_MESSAGE + 1));
        assert_eq!(out, [9], "what was there stays");
        let mut decoder = Decoder::default();
        decoder.push(&u32::try_from(MAX_BATCH_MESSAGE + 1).unwrap().to_le_bytes());
        let error = decoder.take::<String>().unwrap_err();
        assert_eq!(error, ProtocolError::TooLarge(MAX_BATCH_MESSAGE + 1), "whatever it would be");
    }

    /// A batch's command with a text of so many bytes.
    fn batch(bytes: usize) -> Request {
        Request::CheckBatchMac(CheckBatchMac {
            mak: KeyBlock::from_text("D".repeat(300)),
            partner: "P".repeat(32),
            owner: "O".repeat(32),
            what: BatchText::Batch,
            text: vec![b'{'; bytes],
            mac: vec![0; 16],
        })
    }

    #[test]
    fn a_batch_of_the_longest_text_passes_and_no_other_command_is_as_long() {
        let mut out = Vec::new();
        encode(1, &batch(MAX_BATCH_TEXT), &mut out).unwrap();
        let mut decoder = Decoder::default();
        for piece in out.chunks(64 * 1024) {
            assert!(decoder.take::<Request>().unwrap().is_none());
            decoder.push(piece);
        }
        let Some((1, Request::CheckBatchMac(taken))) = decoder.take::<Request>().unwrap() else { panic!() };
        assert_eq!(taken.text.len(), MAX_BATCH_TEXT);
        // The room is given back when the next message comes.
        decoder.push(&[0]);
        assert!(decoder.bytes.capacity() <= MAX_MESSAGE);

        let mut out = Vec::new();
        let past = encode(1, &batch(MAX_BATCH_TEXT + 4096), &mut out).unwrap_err();
        assert!(matches!(past, ProtocolError::TooLarge(_)));
        assert!(out.is_empty());

        // The same length under another command's number is refused as soon as that number is there.
        let length = u32::try_from(MAX_MESSAGE + 1).unwrap().to_le_bytes();
        let mut decoder = Decoder::default();
        decoder.push(&[&length[..], &[0; ID_BYTES]].concat());
        assert!(decoder.take::<Request>().unwrap().is_none(), "its number has not come");
        decoder.push(&[0]);
        assert_eq!(decoder.take::<Request>().unwrap_err(), ProtocolError::TooLarge(MAX_MESSAGE + 1));
        // No answer is longer than before, and no number that there is not opens the way.
        for body in [[0; VARIANT_BYTES], [0xFF; VARIANT_BYTES]] {
            let mut decoder = Decoder::default();
            decoder.push(&[&length[..], &[0; ID_BYTES], &body].concat());
            assert!(matches!(decoder.take::<Outcome>(), Err(ProtocolError::TooLarge(_))));
            assert!(matches!(decoder.take::<Request>(), Err(ProtocolError::TooLarge(_))));
        }
    }

    #[test]
    fn what_was_taken_can_be_wiped_and_what_follows_stays() {
        let mut bytes = Vec::new();
        encode(1, &"password", &mut bytes).unwrap();
        encode(2, &"next", &mut bytes).unwrap();
        let mut decoder = Decoder::default();
        decoder.push(&bytes);
        assert_eq!(decoder.take::<String>().unwrap(), Some((1, "password".into())));
        decoder.wipe_taken();
        assert!(!decoder.bytes.windows(8).any(|window| window == b"password"));
        assert_eq!(decoder.take::<String>().unwrap(), Some((2, "next".into())));
    }

    #[test]
    fn bytes_after_a_body_are_refused() {
        let mut out = Vec::new();
        encode(1, &(Status {}, 1u8), &mut out).unwrap();
        let mut decoder = Decoder::default();
        decoder.push(&out);
        assert_eq!(decoder.take::<Status>().unwrap_err(), ProtocolError::Body);
    }

    proptest! {
        #[test]
        fn garbage_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut decoder = Decoder::default();
            decoder.push(&bytes);
            while let Ok(Some((_, request))) = decoder.take::<Request>() {
                let _ = request.name();
            }
        }
    }
}
