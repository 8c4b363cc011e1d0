//! What suite 02 demands of frames (3-hardened.md, "Transcript and keys"): fields in ascending order, and a frame without
//! the proof that it carries.

use crate::{Fields, Frame, Malformed, Message, Tag, Value};

/// What proves a frame of suite 02 and all before it: a MAC or a signature inside the frame itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Proof {
    /// DF15: MAC_S or MAC_T.
    Confirmation,
    /// DF16: a signature over the transcript.
    Signature,
    /// DF17: a receipt.
    Receipt,
}

impl Proof {
    /// All three.
    pub const ALL: [Proof; 3] = [Proof::Confirmation, Proof::Signature, Proof::Receipt];

    /// The field that holds it.
    pub fn tag(self) -> Tag {
        match self {
            Proof::Confirmation => Tag::CONFIRMATION,
            Proof::Signature => Tag::TRANSCRIPT_SIGNATURE,
            Proof::Receipt => Tag::RECEIPT,
        }
    }
}

impl Fields {
    /// Checks the order that suite 02 demands: ascending tags, inside templates too. Equal templates keep theirs. With
    /// it there is one encoding of these fields, so that encoding them again is exact.
    ///
    /// # Errors
    /// [`Malformed::FieldOrder`] with the first field that stands too late.
    pub fn in_order(&self) -> Result<(), Malformed> {
        let mut before = None;
        for field in self.iter() {
            let tag = field.tag();
            if before.is_some_and(|before| before > tag) {
                return Err(Malformed::FieldOrder { tag });
            }
            before = Some(tag);
            if let Value::Template(fields) = field.value() {
                fields.in_order()?;
            }
        }
        Ok(())
    }

    /// The same fields in the order that suite 02 demands; equal templates keep theirs.
    #[must_use]
    pub fn ascending(mut self) -> Fields {
        self.sort();
        self
    }

    /// The fields whose tags are lower than this one, in their order.
    #[must_use]
    pub fn below(&self, tag: Tag) -> Fields {
        let mut below = self.clone();
        below.keep(|field| field.tag() < tag);
        below
    }

    /// These fields without the one that holds `proof`.
    fn without_field(&self, proof: Proof) -> Fields {
        let mut left = self.clone();
        left.keep(|field| field.tag() != proof.tag());
        left
    }
}

impl Frame {
    /// The message of a frame of suite 02, its fields in the order that the suite demands.
    ///
    /// # Errors
    /// Those of [`Frame::message`]; [`Malformed::FieldOrder`].
    pub fn ordered_message(&self) -> Result<Message, Malformed> {
        let message = self.message()?;
        message.fields.in_order()?;
        Ok(message)
    }

    /// The frame as its own proof sees it: encoded again without that field, its length too.
    ///
    /// # Errors
    /// Those of [`Frame::ordered_message`]; [`Malformed::MissingField`] when the proof is not there,
    /// [`Malformed::UnwantedField`] when one of the other two is.
    pub fn without(&self, proof: Proof) -> Result<Frame, Malformed> {
        let Message { kind, fields } = self.ordered_message()?;
        fields.required(proof.tag())?;
        let other = Proof::ALL.into_iter().find(|other| *other != proof && fields.get(other.tag()).is_some());
        match other {
            Some(other) => Err(Malformed::UnwantedField { tag: other.tag() }),
            None => Frame::new(kind, &fields.without_field(proof)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::vec::Vec;

    use super::*;
    use crate::MessageType;

    fn fields(list: &[(Tag, &[u8])]) -> Fields {
        let mut fields = Fields::new();
        for (tag, value) in list {
            fields.push(*tag, value).unwrap();
        }
        fields
    }

    #[test]
    fn fields_ascend_and_equal_templates_may_follow_each_other() {
        let block = [0xDF, 0x40, 1, 7];
        for good in [
            &[][..],
            &[(Tag::SUITE, &[2][..])],
            &[(Tag::SUITE, &[2]), (Tag::SERIAL, b"SN-1"), (Tag::DEVICE_CERTIFICATE, &[]), (Tag::DATA, &[])],
            &[(Tag::FACTOR, &[1]), (Tag::KEY_ENTRY, &block), (Tag::KEY_ENTRY, &block)],
        ] {
            assert_eq!(fields(good).in_order(), Ok(()));
        }
        let late = |tag, list: &[(Tag, &[u8])]| {
            assert_eq!(fields(list).in_order(), Err(Malformed::FieldOrder { tag }));
        };
        late(Tag::SUITE, &[(Tag::SERIAL, b"SN-1"), (Tag::SUITE, &[2])]);
        late(Tag::MORE, &[(Tag::KEY_ENTRY, &block), (Tag::MORE, &[1])]);
        late(Tag::KEY_ENTRY, &[(Tag::PACKAGE_ENTRY, &[]), (Tag::KEY_ENTRY, &block)]);
        late(Tag::KCV, &[(Tag::KEY_ENTRY, &[0xDF, 0x40, 0, 0xDF, 0x0B, 0])]);
        let deep = [0xFF, 0x24, 6, 0xDF, 0x0D, 0, 0xDF, 0x0C, 0];
        late(Tag::CERTIFICATE, &[(Tag::PACKAGE_ENTRY, &deep)]);
    }

    #[test]
    fn a_frame_is_taken_without_its_proof_and_with_its_new_length() {
        for proof in Proof::ALL {
            let with = fields(&[(Tag::SUITE, &[2]), (proof.tag(), &[9; 200]), (Tag::KEY_ENTRY, &[])]);
            let frame = Frame::new(MessageType::KldKey, &with).unwrap();
            let without = fields(&[(Tag::SUITE, &[2]), (Tag::KEY_ENTRY, &[])]);
            assert_eq!(frame.without(proof), Frame::new(MessageType::KldKey, &without));
            assert_eq!(frame.without(proof).unwrap().bytes()[..2], [0, 9]);
            for other in Proof::ALL.into_iter().filter(|other| *other != proof) {
                assert_eq!(frame.without(other), Err(Malformed::MissingField { tag: other.tag() }));
                let both: Vec<_> = Proof::ALL
                    .into_iter()
                    .filter(|one| [proof, other].contains(one))
                    .map(|one| (one.tag(), &[9][..]))
                    .collect();
                let both = Frame::new(MessageType::KldKey, &fields(&both)).unwrap();
                assert_eq!(both.without(proof), Err(Malformed::UnwantedField { tag: other.tag() }));
            }
        }
    }

    #[test]
    fn fields_are_brought_into_order_inside_templates_too_and_equal_ones_keep_theirs() {
        let mut list = Fields::new();
        for entry in [&[0xDF, 0x40, 1, 9][..], &[0xDF, 0x40, 1, 7], &[0xDF, 0x0D, 0, 0xDF, 0x0C, 0]] {
            list.push(Tag::KEY_ENTRY, entry).unwrap();
        }
        list.push(Tag::SERIAL, b"SN-1").unwrap();
        list.push(Tag::SUITE, &[2]).unwrap();
        let ordered = list.ascending();
        assert_eq!(ordered.in_order(), Ok(()));
        assert_eq!(ordered.get(Tag::SUITE), Some(&[2][..]));
        let blocks: Vec<_> =
            ordered.templates(Tag::KEY_ENTRY).filter_map(|one| one.get(Tag::KEY_BLOCK)).collect();
        assert_eq!(blocks, [&[9][..], &[7]]);
        assert_eq!(ordered.below(Tag::KEY_ENTRY).len(), 2);
        assert_eq!(ordered.below(Tag::SERIAL).get(Tag::SERIAL), None);
    }

    #[test]
    fn a_frame_in_another_order_has_no_second_form() {
        let turned = fields(&[(Tag::CONFIRMATION, &[9; 32]), (Tag::NONCE, &[1; 32])]);
        let frame = Frame::new(MessageType::TkChallenge, &turned).unwrap();
        let refused = Malformed::FieldOrder { tag: Tag::NONCE };
        assert_eq!(frame.ordered_message(), Err(refused));
        assert_eq!(frame.without(Proof::Confirmation), Err(refused));
        assert_eq!(frame.message().map(|message| message.fields), Ok(turned), "suite 01 takes any order");
    }
}
