//! Frames and the messages in them.

use alloc::vec::Vec;
use core::fmt;

use crate::{
    Fields, Malformed, MessageType,
    limits::{FRAME_HEADER, MAX_FRAME, MAX_PAYLOAD, MIN_PAYLOAD},
};

/// The one version of messages.
const VERSION: u8 = 0x01;

/// One whole frame: `length (2) ‖ payload`, the payload 2 to 65 535 bytes.
///
/// The bytes are kept as they came, because the context of a key block is a digest over them.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame(Vec<u8>);

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its type.
    pub kind: MessageType,
    /// Its fields.
    pub fields: Fields,
}

impl Frame {
    /// The frame that carries this message.
    ///
    /// # Errors
    /// [`Malformed::FrameTooLong`].
    pub fn new(kind: MessageType, fields: &Fields) -> Result<Frame, Malformed> {
        let mut bytes = Vec::from([0, 0, VERSION, kind.byte()]);
        fields.encode_into(&mut bytes)?;
        let length = bytes.len().saturating_sub(FRAME_HEADER);
        let announced = u16::try_from(length).map_err(|_| Malformed::FrameTooLong { length })?;
        if let Some(header) = bytes.first_chunk_mut::<FRAME_HEADER>() {
            *header = announced.to_be_bytes();
        }
        Ok(Frame(bytes))
    }

    /// The frame around this payload, which is not looked into.
    ///
    /// # Errors
    /// [`Malformed::FrameTooShort`], [`Malformed::FrameTooLong`].
    pub fn from_payload(payload: &[u8]) -> Result<Frame, Malformed> {
        let length = payload.len();
        let announced = u16::try_from(length).map_err(|_| Malformed::FrameTooLong { length })?;
        if length < MIN_PAYLOAD {
            return Err(Malformed::FrameTooShort { length });
        }
        let mut bytes = Vec::with_capacity(FRAME_HEADER + length);
        bytes.extend_from_slice(&announced.to_be_bytes());
        bytes.extend_from_slice(payload);
        Ok(Frame(bytes))
    }

    /// The frame that these bytes are: one, whole, and nothing after it. The payload is not looked into.
    ///
    /// # Errors
    /// [`Malformed::FrameTooShort`], [`Malformed::NotOneFrame`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Frame, Malformed> {
        match frame_length(bytes)? {
            Some(length) if length == bytes.len() => Ok(Frame(bytes.to_vec())),
            length => Err(Malformed::NotOneFrame {
                expected: length.unwrap_or(FRAME_HEADER + MIN_PAYLOAD),
                found: bytes.len(),
            }),
        }
    }

    /// The bytes, length field included.
    pub fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Version, type and fields.
    pub fn payload(&self) -> &[u8] {
        self.0.get(FRAME_HEADER..).unwrap_or_default()
    }

    /// The type of the message, before its fields are read. The first one on a connection names the flow.
    ///
    /// # Errors
    /// [`Malformed::Version`], [`Malformed::UnknownMessageType`].
    pub fn kind(&self) -> Result<MessageType, Malformed> {
        self.split().map(|(kind, _)| kind)
    }

    /// The message.
    ///
    /// # Errors
    /// The [`Malformed`] that names the first defect, in the order version, type, fields.
    pub fn message(&self) -> Result<Message, Malformed> {
        let (kind, fields) = self.split()?;
        Ok(Message { kind, fields: Fields::parse(fields)? })
    }

    fn split(&self) -> Result<(MessageType, &[u8]), Malformed> {
        let payload = self.payload();
        let (&[version, kind], fields) =
            payload.split_first_chunk().ok_or(Malformed::FrameTooShort { length: payload.len() })?;
        if version != VERSION {
            return Err(Malformed::Version { found: version });
        }
        Ok((MessageType::from_byte(kind)?, fields))
    }

    /// A frame of bytes that are known to be one.
    pub(crate) fn from_checked(bytes: Vec<u8>) -> Frame {
        debug_assert!((FRAME_HEADER + MIN_PAYLOAD..=MAX_FRAME).contains(&bytes.len()));
        Frame(bytes)
    }
}

/// Bytes that the frame at the start of `bytes` takes, or nothing while its length field is incomplete.
pub(crate) fn frame_length(bytes: &[u8]) -> Result<Option<usize>, Malformed> {
    let Some(header) = bytes.first_chunk::<FRAME_HEADER>() else { return Ok(None) };
    let length = usize::from(u16::from_be_bytes(*header));
    if length < MIN_PAYLOAD {
        return Err(Malformed::FrameTooShort { length });
    }
    debug_assert!(length <= MAX_PAYLOAD);
    Ok(Some(FRAME_HEADER + length))
}

/// Shows type and size, not the values.
impl fmt::Debug for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            Ok(kind) => write!(f, "Frame({kind}, {} bytes)", self.0.len()),
            Err(error) => write!(f, "Frame({error}, {} bytes)", self.0.len()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Tag;

    #[test]
    fn payload_has_2_to_65535_bytes() {
        assert_eq!(Frame::from_payload(&[1]), Err(Malformed::FrameTooShort { length: 1 }));
        assert_eq!(Frame::from_payload(&[1, 6]).unwrap().bytes(), [0, 2, 1, 6]);
        let longest = Frame::from_payload(&[1; MAX_PAYLOAD]).unwrap();
        assert_eq!(longest.bytes().len(), MAX_FRAME);
        assert_eq!(longest.bytes()[..2], [0xFF, 0xFF]);
        let too_long = Frame::from_payload(&[1; MAX_PAYLOAD + 1]);
        assert_eq!(too_long, Err(Malformed::FrameTooLong { length: MAX_PAYLOAD + 1 }));
    }

    #[test]
    fn message_of_65535_bytes_is_written_and_one_more_refused() {
        // Version, type, tag, 82 and two bytes of length stand before the value.
        let longest = MAX_PAYLOAD - 2 - 5;
        for (value, fits) in [(longest, true), (longest + 1, false)] {
            let mut fields = Fields::new();
            fields.push(Tag::DATA, &std::vec![7; value]).unwrap();
            let frame = Frame::new(MessageType::TmsData, &fields);
            if fits {
                let frame = frame.unwrap();
                assert_eq!(frame.payload().len(), MAX_PAYLOAD);
                assert_eq!(frame.message().unwrap().fields, fields);
            } else {
                assert_eq!(frame, Err(Malformed::FrameTooLong { length: MAX_PAYLOAD + 1 }));
            }
        }
    }

    #[test]
    fn bytes_that_are_not_one_frame_are_refused() {
        assert!(Frame::from_bytes(&[0, 2, 1, 6]).is_ok());
        for (bytes, expected) in [
            (&[][..], 4),
            (&[0], 4),
            (&[0, 2], 4),
            (&[0, 2, 1], 4),
            (&[0, 2, 1, 6, 0], 4),
            (&[0, 3, 1, 6], 5),
        ] {
            let refused = Malformed::NotOneFrame { expected, found: bytes.len() };
            assert_eq!(Frame::from_bytes(bytes), Err(refused));
        }
        assert_eq!(Frame::from_bytes(&[0, 1, 1]), Err(Malformed::FrameTooShort { length: 1 }));
    }

    #[test]
    fn only_version_01_is_read() {
        for found in [0, 2, 0xFF] {
            let frame = Frame::from_payload(&[found, 6]).unwrap();
            assert_eq!(frame.kind(), Err(Malformed::Version { found }));
            assert_eq!(frame.message(), Err(Malformed::Version { found }));
        }
    }

    #[test]
    fn unknown_type_is_named_before_its_fields_are_read() {
        let frame = Frame::from_payload(&[1, 0x07, 0xAA]).unwrap();
        assert_eq!(frame.message(), Err(Malformed::UnknownMessageType { found: 0x07 }));
    }

    #[test]
    fn debug_shows_no_values() {
        let frame = Frame::from_payload(&[1, 1, 0xDF, 0x05, 1, 0xAB]).unwrap();
        assert_eq!(std::format!("{frame:?}"), "Frame(TK_HELLO, 8 bytes)");
        let message = frame.message().unwrap();
        assert!(!std::format!("{message:?}").contains("171"));
    }
}
