//! What can be wrong with bytes from a link, one name for each defect.

use crate::{ErrorCode, Tag};

/// Why bytes are no message of 2-wire.md, or a value is none of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Malformed {
    /// A frame announces fewer bytes than version and type take.
    #[error("frame announces a payload of {length} bytes; the shortest has 2 (version and type)")]
    FrameTooShort {
        /// The announced length, bytes.
        length: usize,
    },
    /// A message does not fit into one frame.
    #[error("message takes {length} bytes; a frame carries at most 65535: send less at a time")]
    FrameTooLong {
        /// The length that it would have, bytes.
        length: usize,
    },
    /// Bytes that should be one frame end before it does, or go on after it.
    #[error("{found} bytes are not one whole frame, which would take {expected}")]
    NotOneFrame {
        /// Bytes that the frame announces, its length field included.
        expected: usize,
        /// Bytes given.
        found: usize,
    },
    /// More was pushed into the decoder than it may hold. A peer cannot cause this: the reader must take frames out
    /// before it pushes more.
    #[error("decoder holds {held} bytes and cannot take {pushed} more: take its frames first")]
    DecoderFull {
        /// Bytes held.
        held: usize,
        /// Bytes that did not fit.
        pushed: usize,
    },
    /// The version byte is not 01.
    #[error("message has version {found:02X}; this side speaks version 01")]
    Version {
        /// The byte found.
        found: u8,
    },
    /// No message has this type. Its code is 0003, as for a message that comes in the wrong order.
    #[error("no message has type {found:02X}; the peer may be newer than this side")]
    UnknownMessageType {
        /// The byte found.
        found: u8,
    },
    /// A tag outside DF01–DF7F and FF21–FF2F.
    #[error("tag {found:04X} lies outside DF01-DF7F and FF21-FF2F")]
    TagOutOfRange {
        /// The two bytes found.
        found: u16,
    },
    /// The bytes end inside a tag: one byte is left over.
    #[error("fields end in the middle of a tag")]
    TagTruncated,
    /// The bytes end before or inside a length.
    #[error("fields end before the length of {tag} is complete")]
    LengthTruncated {
        /// The field.
        tag: Tag,
    },
    /// An indefinite length (80) or one of more than two bytes (83 and up).
    #[error("length of {tag} starts with {found:02X}; allowed are 00-7F, 81 and 82")]
    LengthForm {
        /// The field.
        tag: Tag,
        /// First byte of the length.
        found: u8,
    },
    /// A length that a shorter form could say.
    #[error("length {length} of {tag} is not in its shortest form")]
    LengthNotMinimal {
        /// The field.
        tag: Tag,
        /// What the length says.
        length: usize,
    },
    /// A value goes past the end of what holds it.
    #[error("{tag} announces {length} bytes, {left} are left")]
    ValueTruncated {
        /// The field.
        tag: Tag,
        /// Bytes announced.
        length: usize,
        /// Bytes there are.
        left: usize,
    },
    /// A primitive tag twice in one message or template.
    #[error("{tag} appears twice; a primitive tag may appear once in a message or template")]
    RepeatedTag {
        /// The field.
        tag: Tag,
    },
    /// In suite 02, a field that stands behind one with a higher tag.
    #[error("{tag} stands behind a field with a higher tag; fields of this suite are in ascending order")]
    FieldOrder {
        /// The field.
        tag: Tag,
    },
    /// Templates deeper inside each other than [`limits::MAX_TEMPLATE_DEPTH`](crate::limits::MAX_TEMPLATE_DEPTH).
    #[error("templates lie more than 2 deep inside each other")]
    NestedTooDeep,
    /// A primitive tag where a template is meant.
    #[error("{tag} is a primitive tag and cannot hold fields")]
    NotATemplate {
        /// The field.
        tag: Tag,
    },
    /// A field that the message's row in section 3 demands is not there.
    #[error("{tag} is missing")]
    MissingField {
        /// The field.
        tag: Tag,
    },
    /// A field that may not stand here beside the others.
    #[error("{tag} may not stand here")]
    UnwantedField {
        /// The field.
        tag: Tag,
    },
    /// A known field with a length that section 2 does not give it.
    #[error("{tag} has {found} bytes")]
    FieldLength {
        /// The field.
        tag: Tag,
        /// Bytes found.
        found: usize,
    },
    /// A known field with a value that section 2 does not give it.
    #[error("{tag} holds a value that it cannot have")]
    FieldValue {
        /// The field.
        tag: Tag,
    },
    /// A template that holds something else than its row says, or stands there too often.
    #[error("{tag} does not hold exactly what this message needs")]
    Template {
        /// The template.
        tag: Tag,
    },
    /// The top bit of a random number is that of the other side (section 4, flow A).
    #[error("{tag} has the wrong top bit: it could be a reflected challenge")]
    TopBit {
        /// The field.
        tag: Tag,
    },
    /// DF03 repeats DF02; a built-in PIN pad has no serial of its own on the wire.
    #[error("the PIN pad serial equals the terminal's; leave it out when the PIN pad is built in")]
    PinPadEqualsTerminal,
    /// An identifier of no characters, or of too many.
    #[error("identifier has {found} characters, 1 to {max} are allowed")]
    IdentifierLength {
        /// Bytes found.
        found: usize,
        /// Most that are allowed.
        max: usize,
    },
    /// An identifier with a character that it cannot have.
    #[error("identifier may hold only A-Z a-z 0-9 - . _")]
    IdentifierCharacter,
    /// A key index above 99.
    #[error("key index {found} is not in 0-99")]
    SlotRange {
        /// The index found.
        found: u8,
    },
    /// Text that is no place, `<PIN pad serial>/<index as two digits>`.
    #[error("a place reads <PIN pad serial>/<index as two digits>, like SN-1001/03")]
    PlaceForm,
    /// A check value that has neither three bytes (TDES) nor five (AES), or is no hex.
    #[error("a check value has 3 bytes (TDES) or 5 (AES), in hex 6 or 10 digits")]
    KcvForm,
    /// Text that is no package name (DF41).
    #[error("a package name has 1 to 64 bytes of UTF-8 without / \\ NUL and ..")]
    PackageName,
    /// Text that is no package version (DF42).
    #[error("a package version is a semantic version like 1.2.3 or 1.2.3-rc.1, up to 32 characters")]
    PackageVersion,
    /// Six bytes that are no BCD or say a date and time that does not exist, or a time outside of 2000–2099.
    #[error("a date and time is BCD YYMMDDhhmmss in UTC, 20YY, and must exist")]
    BcdTime,
}

impl Malformed {
    /// The code of section 8 that the receiver answers with: 0002, or 0003 for a type that no message has.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::UnknownMessageType { .. } => ErrorCode::UnexpectedMessage,
            Self::DecoderFull { .. } => ErrorCode::Internal,
            _ => ErrorCode::Malformed,
        }
    }
}
