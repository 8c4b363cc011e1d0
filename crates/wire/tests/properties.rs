//! What must hold for any bytes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails, as it should")]

use keyferry_wire::{
    ErrorCode, ErrorMessage, Fields, Frame, FrameDecoder, Malformed, MessageType, Place, Serial, Tag,
    error_frame,
};
use proptest::{collection::vec, prelude::*};

/// Fields with primitive tags once each, and templates up to `depth` deep.
fn fields(depth: u32) -> BoxedStrategy<Fields> {
    let bytes = prop_oneof![9 => vec(any::<u8>(), 0..40), 1 => vec(any::<u8>(), 120..300)];
    let primitive = (0xDF01_u16..=0xDF7F, bytes).prop_map(|(tag, value)| (tag, Err(value)));
    let entry = if depth == 0 {
        primitive.boxed()
    } else {
        let template = (0xFF21_u16..=0xFF2F, fields(depth - 1)).prop_map(|(tag, inside)| (tag, Ok(inside)));
        prop_oneof![3 => primitive, 1 => template].boxed()
    };
    vec(entry, 0..8)
        .prop_map(|entries| {
            let mut fields = Fields::new();
            for (tag, value) in entries {
                let tag = Tag::new(tag).unwrap();
                match value {
                    Ok(inside) => fields.push_template(tag, inside).unwrap(),
                    // A tag drawn twice is refused, which is as good here.
                    Err(bytes) => drop(fields.push(tag, &bytes)),
                }
            }
            fields
        })
        .boxed()
}

fn kind() -> impl Strategy<Value = MessageType> {
    prop::sample::select(MessageType::ALL)
}

/// Bytes that look enough like fields for the deeper checks to be reached.
fn nearly_fields() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        Just(vec![0xDF]),
        Just(vec![0xFF]),
        (0xDF01_u16..=0xDF7F).prop_map(|tag| tag.to_be_bytes().to_vec()),
        (0xFF21_u16..=0xFF2F).prop_map(|tag| tag.to_be_bytes().to_vec()),
        prop::sample::select(vec![
            vec![0x80],
            vec![0x81, 0x7F],
            vec![0x81, 0x80],
            vec![0x82, 1, 0],
            vec![0x83]
        ]),
        vec(0_u8..6, 0..4),
        vec(any::<u8>(), 0..8),
    ];
    vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

/// All frames of a stream given in pieces, and the error that ended it, if one did.
fn decode<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> (Vec<Frame>, Option<Malformed>) {
    let mut decoder = FrameDecoder::new();
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.push(piece).unwrap();
        loop {
            match decoder.next() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => return (frames, Some(error)),
            }
        }
    }
    (frames, None)
}

proptest! {
    #[test]
    fn fields_are_read_as_they_were_written(fields in fields(2)) {
        prop_assert_eq!(Fields::parse(&fields.encode().unwrap()), Ok(fields));
    }

    #[test]
    fn what_can_be_read_is_written_to_the_same_bytes(bytes in nearly_fields()) {
        if let Ok(fields) = Fields::parse(&bytes) {
            prop_assert_eq!(fields.encode().unwrap(), bytes);
        }
    }

    #[test]
    fn messages_are_read_as_they_were_written(kind in kind(), fields in fields(2)) {
        let message = Frame::new(kind, &fields).unwrap().message().unwrap();
        prop_assert_eq!((message.kind, message.fields), (kind, fields));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..400)) {
        let _ = Fields::parse(&bytes);
        let _ = Frame::from_bytes(&bytes);
        if let Ok(frame) = Frame::from_payload(&bytes) {
            let _ = (frame.kind(), frame.message(), format!("{frame:?}"));
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = (Serial::parse(&text), text.parse::<Place>());
    }

    #[test]
    fn typed_accessors_never_panic(fields in fields(1)) {
        let _ = (fields.suite(), fields.device(), fields.slot(), fields.tdes_kcv(), fields.vendor(), fields.model());
        let _ = ErrorMessage::read(&fields).to_string();
    }

    #[test]
    fn a_stream_in_pieces_gives_the_same_frames(
        payloads in vec(vec(any::<u8>(), 2..60), 0..6),
        tail in vec(any::<u8>(), 0..20),
        size in 1_usize..20,
    ) {
        let mut stream = Vec::new();
        for payload in &payloads {
            stream.extend_from_slice(Frame::from_payload(payload).unwrap().bytes());
        }
        stream.extend_from_slice(&tail);
        let whole = decode(std::iter::once(stream.as_slice()));
        prop_assert_eq!(&whole, &decode(stream.chunks(1)));
        prop_assert_eq!(&whole, &decode(stream.chunks(size)));
        prop_assert!(whole.0.len() >= payloads.len());
        for (frame, payload) in whole.0.iter().zip(&payloads) {
            prop_assert_eq!(frame.payload(), payload.as_slice());
        }
    }

    #[test]
    fn error_frames_are_always_readable(code in prop::sample::select(ErrorCode::ALL), text in ".{0,200}") {
        let frame = error_frame(code, &text);
        let message = frame.message().unwrap();
        prop_assert_eq!(message.kind, MessageType::Error);
        let sent = message.fields.get(Tag::ERROR_TEXT).unwrap_or_default();
        prop_assert!(sent.len() <= 128 && text.as_bytes().starts_with(sent));
        prop_assert_eq!(ErrorMessage::read(&message.fields).known_code(), Some(code));
    }
}
