//! Suite 02, EC/AES: fields in ascending order, ephemeral keys and nonces, receipts both ways (3-hardened.md).

use alloc::vec::Vec;

use wire::{Fields, Frame, Kcv, Malformed, MessageType, Tag};

use super::{Part, Suite};
use crate::{ProtocolError, fault::expect};

/// Suite 02.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EcAes;

impl Suite for EcAes {
    const ID: wire::Suite = wire::Suite::EC_AES;

    type Confirmation = Receipt;
    type Done = Receipt;

    fn read(frame: &Frame, expected: MessageType) -> Result<Fields, ProtocolError> {
        let fields = expect(frame, expected)?;
        fields.in_order()?;
        Ok(fields)
    }

    fn write(message: MessageType, fields: Fields) -> Result<Frame, ProtocolError> {
        Frame::new(message, &fields.ascending()).map_err(ProtocolError::Unwritable)
    }

    /// One receipt is over all keys.
    fn confirms(_: &Receipt, _: usize) -> Result<(), Malformed> {
        Ok(())
    }

    fn has_kcv(kcv: Kcv) -> bool {
        matches!(kcv, Kcv::Aes(_))
    }

    fn push_done(done: &Receipt, fields: &mut Fields) -> Result<(), Malformed> {
        done.push(fields)
    }

    fn check_done(fields: &Fields) -> Result<(), Malformed> {
        Receipt::read(fields).map(drop)
    }
}

/// An ephemeral public key and a nonce (DF13, DF14): what each side's first message has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ephemeral {
    /// DF13: a point of P-256, uncompressed. Whether it is on the curve is for whoever agrees with it.
    pub point: [u8; Ephemeral::POINT],
    /// DF14.
    pub nonce: [u8; Ephemeral::NONCE],
}

impl Ephemeral {
    /// Bytes of DF13.
    pub const POINT: usize = 65;
    /// Bytes of DF14.
    pub const NONCE: usize = 32;

    /// Takes what an HSM made.
    pub fn from_parts(point: &[u8], nonce: [u8; Self::NONCE]) -> Option<Ephemeral> {
        Some(Ephemeral { point: point.try_into().ok()?, nonce })
    }
}

impl Part for Ephemeral {
    fn read(fields: &Fields) -> Result<Ephemeral, Malformed> {
        Ok(Ephemeral { point: fields.exactly(Tag::EPHEMERAL_KEY)?, nonce: fields.exactly(Tag::NONCE)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::EPHEMERAL_KEY, &self.point)?;
        fields.push(Tag::NONCE, &self.nonce)
    }
}

/// Ephemeral key, nonce and the proof over both first messages (DF13, DF14, DF15).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// DF13 and DF14.
    pub ephemeral: Ephemeral,
    /// DF15.
    pub confirmation: Confirmation,
}

impl Part for Opened {
    fn read(fields: &Fields) -> Result<Opened, Malformed> {
        Ok(Opened { ephemeral: Ephemeral::read(fields)?, confirmation: Confirmation::read(fields)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        self.ephemeral.push(fields)?;
        self.confirmation.push(fields)
    }
}

/// Declares a proof: the one field that proves a frame and all before it.
macro_rules! proof {
    ($(#[$doc:meta])* $name:ident, $bytes:literal, $tag:ident, $others:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $name(pub [u8; $name::LENGTH]);

        impl $name {
            /// Its bytes.
            pub const LENGTH: usize = $bytes;
        }

        impl Part for $name {
            /// One of the two other proofs in the same message is malformed.
            fn read(fields: &Fields) -> Result<$name, Malformed> {
                let others: [Tag; 2] = $others;
                match others.into_iter().find(|tag| fields.get(*tag).is_some()) {
                    Some(tag) => Err(Malformed::UnwantedField { tag }),
                    None => fields.exactly(Tag::$tag).map($name),
                }
            }

            fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
                fields.push(Tag::$tag, &self.0)
            }
        }
    };
}

proof! {
    /// DF15: MAC_S or MAC_T.
    Confirmation, 32, CONFIRMATION, [Tag::TRANSCRIPT_SIGNATURE, Tag::RECEIPT]
}
proof! {
    /// DF16: ECDSA over the transcript, r ‖ s.
    Signature, 64, TRANSCRIPT_SIGNATURE, [Tag::CONFIRMATION, Tag::RECEIPT]
}
proof! {
    /// DF17: shows that the keys of the flow were received, or that this was heard.
    Receipt, 32, RECEIPT, [Tag::CONFIRMATION, Tag::TRANSCRIPT_SIGNATURE]
}

/// A message whose DF13 and DF14 an HSM makes: what stands before and behind these two fields, which are neighbours in
/// the ascending order. Its proof is not in it, and the length counts the two.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hole {
    /// Length, version, type and the fields below DF13.
    pub before: Vec<u8>,
    /// The fields above DF14.
    pub after: Vec<u8>,
}

impl Hole {
    /// Cuts the hole into this message, of which `fields` are all but DF13, DF14 and the proof.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when they fit into no frame.
    pub fn new(message: MessageType, mut fields: Fields) -> Result<Hole, ProtocolError> {
        let blank = Ephemeral { point: [0; Ephemeral::POINT], nonce: [0; Ephemeral::NONCE] };
        blank.push(&mut fields).map_err(ProtocolError::Unwritable)?;
        let first = fields.below(Tag::EPHEMERAL_KEY).encode().map_err(ProtocolError::Unwritable)?;
        let bytes = EcAes::write(message, fields)?.bytes().to_vec();
        let start = HEADER + first.len();
        let (before, rest) = bytes.split_at_checked(start).unwrap_or((&bytes, &[]));
        let after = rest.get(MADE..).unwrap_or_default();
        Ok(Hole { before: before.to_vec(), after: after.to_vec() })
    }
}

/// Bytes of a frame before its first field: length, version, type.
const HEADER: usize = 4;
/// Bytes of DF13 and DF14 with tag and length.
const MADE: usize = 3 + Ephemeral::POINT + 3 + Ephemeral::NONCE;

#[cfg(test)]
mod tests {
    use super::*;

    fn ephemeral() -> Ephemeral {
        Ephemeral { point: [4; 65], nonce: [5; 32] }
    }

    #[test]
    fn a_hole_is_where_the_hsm_puts_key_and_nonce() {
        let others = || {
            let mut fields = Fields::new();
            fields.push(Tag::STAGE, &[2]).unwrap();
            fields.push(Tag::CERTIFICATE, &[7; 300]).unwrap();
            fields
        };
        let hole = Hole::new(MessageType::RksCert, others()).unwrap();
        let mut whole = others();
        ephemeral().push(&mut whole).unwrap();
        let frame = EcAes::write(MessageType::RksCert, whole).unwrap();
        let mut made = hole.before;
        made.extend([0xDF, 0x13, 65]);
        made.extend(ephemeral().point);
        made.extend([0xDF, 0x14, 32]);
        made.extend(ephemeral().nonce);
        made.extend(hole.after);
        assert_eq!(frame.bytes(), made);
    }

    #[test]
    fn a_message_has_one_proof() {
        let mut fields = Fields::new();
        Confirmation([1; 32]).push(&mut fields).unwrap();
        assert_eq!(Confirmation::read(&fields), Ok(Confirmation([1; 32])));
        Receipt([2; 32]).push(&mut fields).unwrap();
        assert_eq!(Confirmation::read(&fields), Err(Malformed::UnwantedField { tag: Tag::RECEIPT }));
        assert_eq!(Receipt::read(&fields), Err(Malformed::UnwantedField { tag: Tag::CONFIRMATION }));
    }

    #[test]
    fn another_order_than_ascending_is_refused_and_never_written() {
        let mut fields = Fields::new();
        fields.push(Tag::NONCE, &[1; 32]).unwrap();
        fields.push(Tag::EPHEMERAL_KEY, &[4; 65]).unwrap();
        let turned = Frame::new(MessageType::TkHello, &fields).unwrap();
        let refused = Malformed::FieldOrder { tag: Tag::EPHEMERAL_KEY };
        assert_eq!(EcAes::read(&turned, MessageType::TkHello), Err(refused.into()));
        let written = EcAes::write(MessageType::TkHello, fields).unwrap();
        assert!(EcAes::read(&written, MessageType::TkHello).is_ok());
    }
}
