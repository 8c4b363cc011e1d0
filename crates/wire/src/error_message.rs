//! ERROR, the message with which either side ends a flow.

use alloc::{string::String, vec::Vec};

use crate::{ErrorCode, Fields, Frame, Malformed, MessageType, Tag, limits::MAX_ERROR_TEXT};

/// An ERROR that the peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ErrorMessage {
    /// The code as it was sent (DF60); 0, which is no code, when it could not be read.
    pub code: u16,
    /// The text (DF61), with control characters replaced and cut at 128 characters; may be empty.
    pub text: String,
    /// Records of refusals (FF23).
    pub refusals: Vec<Fields>,
}

impl ErrorMessage {
    /// Reads an ERROR's fields. Never fails: an ERROR is not answered, so nobody is there to be told of a defect.
    pub fn read(fields: &Fields) -> ErrorMessage {
        let text = fields.get(Tag::ERROR_TEXT).unwrap_or_default();
        let printable = |c: char| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c };
        ErrorMessage {
            code: fields.exactly(Tag::ERROR_CODE).map(u16::from_be_bytes).unwrap_or_default(),
            text: String::from_utf8_lossy(text).chars().map(printable).take(MAX_ERROR_TEXT).collect(),
            refusals: fields.templates(Tag::REFUSAL_RECORD).cloned().collect(),
        }
    }

    /// The code, if 2-wire.md section 8 lists it.
    pub fn known_code(&self) -> Option<ErrorCode> {
        ErrorCode::from_number(self.code)
    }
}

impl core::fmt::Display for ErrorMessage {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self.known_code() {
            Some(code) => write!(f, "{code}")?,
            None => write!(f, "{:04X}", self.code)?,
        }
        if self.text.is_empty() { Ok(()) } else { write!(f, ": {}", self.text) }
    }
}

/// An ERROR with this code and text; no text when it is empty. Longer text is cut at 128 bytes. The text must never
/// hold key material.
pub fn error_frame(code: ErrorCode, text: &str) -> Frame {
    error_frame_with_refusals(code, text, &[])
}

/// As [`error_frame`], with records of refusals (FF23) behind it, in order: as many of the first ones as fit.
pub fn error_frame_with_refusals(code: ErrorCode, text: &str, refusals: &[Fields]) -> Frame {
    (0..=refusals.len())
        .rev()
        .filter_map(|count| refusals.get(..count))
        .find_map(|those_that_fit| with(code, text, those_that_fit).ok())
        .unwrap_or_else(|| bare(code))
}

fn with(code: ErrorCode, text: &str, refusals: &[Fields]) -> Result<Frame, Malformed> {
    let mut fields = Fields::new();
    fields.push(Tag::ERROR_CODE, &code.number().to_be_bytes())?;
    let text = cut(text);
    if !text.is_empty() {
        fields.push(Tag::ERROR_TEXT, text.as_bytes())?;
    }
    for record in refusals {
        fields.push_template(Tag::REFUSAL_RECORD, record.clone())?;
    }
    Frame::new(MessageType::Error, &fields)
}

/// The longest start of the text that fits into DF61, in whole characters.
fn cut(text: &str) -> &str {
    let end = text.floor_char_boundary(MAX_ERROR_TEXT);
    text.get(..end).unwrap_or_default()
}

/// An ERROR of fixed size, which needs nothing that could fail.
fn bare(code: ErrorCode) -> Frame {
    let [high, low] = code.number().to_be_bytes();
    Frame::from_checked(Vec::from([0, 7, 1, MessageType::Error.byte(), 0xDF, 0x60, 2, high, low]))
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn read_back(frame: &Frame) -> ErrorMessage {
        let message = frame.message().unwrap();
        assert_eq!(message.kind, MessageType::Error);
        ErrorMessage::read(&message.fields)
    }

    #[test]
    fn every_code_is_read_back() {
        for code in ErrorCode::ALL {
            let read = read_back(&error_frame(*code, code.text()));
            assert_eq!((read.known_code(), read.text.as_str()), (Some(*code), code.text()));
            assert_eq!(read_back(&bare(*code)).code, code.number());
        }
        assert_eq!(bare(ErrorCode::Busy), error_frame(ErrorCode::Busy, ""));
    }

    #[test]
    fn text_is_cut_at_128_bytes_between_characters() {
        let ascii = "x".repeat(129);
        assert_eq!(read_back(&error_frame(ErrorCode::Internal, &ascii)).text.len(), 128);
        assert_eq!(read_back(&error_frame(ErrorCode::Internal, &ascii[..128])).text.len(), 128);
        let wide = std::format!("{}é", "x".repeat(127));
        assert_eq!(read_back(&error_frame(ErrorCode::Internal, &wide)).text, "x".repeat(127));
    }

    #[test]
    fn defects_of_an_error_do_not_hide_it() {
        let mut fields = Fields::new();
        fields.push(Tag::ERROR_CODE, &[1]).unwrap();
        fields.push(Tag::ERROR_TEXT, b"a\x1B[2J\xFF\n").unwrap();
        let read = ErrorMessage::read(&fields);
        assert_eq!((read.code, read.known_code()), (0, None));
        assert_eq!(read.text, "a\u{FFFD}[2J\u{FFFD}\u{FFFD}");
        assert_eq!(ErrorMessage::read(&Fields::new()).to_string(), "0000");
    }

    #[test]
    fn refusal_records_stay_readable() {
        let mut record = Fields::new();
        record.push(Tag::REFUSAL_CHECK, b"lid").unwrap();
        let mut fields = Fields::new();
        fields.push_template(Tag::REFUSAL_RECORD, record.clone()).unwrap();
        assert_eq!(ErrorMessage::read(&fields).refusals, [record]);
    }

    #[test]
    fn refusal_records_leave_in_order_and_as_many_as_fit() {
        let record = |reading: &str| {
            let mut record = Fields::new();
            record.push(Tag::REFUSAL_READING, reading.as_bytes()).unwrap();
            record
        };
        let (first, second) = (record("lid open"), record("-40 C"));
        let sent = [first.clone(), second];
        let frame = error_frame_with_refusals(ErrorCode::NotPermittedNow, "wiped", &sent);
        let read = read_back(&frame);
        assert_eq!((read.known_code(), read.text.as_str()), (Some(ErrorCode::NotPermittedNow), "wiped"));
        assert_eq!(read.refusals, sent);

        let long = record(&"x".repeat(65_000));
        let frame = error_frame_with_refusals(
            ErrorCode::NotPermittedNow,
            "wiped",
            &[first.clone(), long.clone(), long],
        );
        let read = read_back(&frame);
        assert_eq!((read.text.as_str(), read.refusals.len()), ("wiped", 2));
    }
}
