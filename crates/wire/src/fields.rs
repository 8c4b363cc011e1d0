//! Fields: TLV, strictly.

use alloc::{borrow::ToOwned, vec::Vec};
use core::fmt;

use crate::{
    Malformed, Tag,
    limits::{MAX_PAYLOAD, MAX_TEMPLATE_DEPTH},
};

/// Length byte that announces one byte of length.
const ONE_BYTE_FOLLOWS: u8 = 0x81;
/// Length byte that announces two bytes of length.
const TWO_BYTES_FOLLOW: u8 = 0x82;
/// Longest value whose length takes one byte.
const MAX_SHORT: usize = 0x7F;

/// The fields of a message or template, in order.
///
/// A primitive tag is there at most once; templates may repeat and keep their order. Both hold by construction, for
/// what was read and for what is written.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Fields {
    list: Vec<Field>,
    /// A bit for each primitive tag in `list`.
    seen: u128,
}

/// One field.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Field {
    tag: Tag,
    value: Value,
}

/// What a field holds.
#[derive(Clone, PartialEq, Eq)]
pub enum Value {
    /// The bytes of a primitive field.
    Bytes(Vec<u8>),
    /// The fields of a template.
    Template(Fields),
}

impl Field {
    /// The tag.
    pub fn tag(&self) -> Tag {
        self.tag
    }

    /// What it holds.
    pub fn value(&self) -> &Value {
        &self.value
    }
}

impl Fields {
    /// No fields.
    pub fn new() -> Fields {
        Fields::default()
    }

    /// Reads fields to the last byte, by the rules of 2-wire.md section 1.
    ///
    /// # Errors
    /// The [`Malformed`] that names the first defect.
    pub fn parse(bytes: &[u8]) -> Result<Fields, Malformed> {
        parse_at(bytes, MAX_TEMPLATE_DEPTH)
    }

    /// Adds a field at the end. The value of a template's tag must itself be fields.
    ///
    /// # Errors
    /// [`Malformed::RepeatedTag`] for a primitive tag that is there already, [`Malformed::FrameTooLong`] for a value
    /// that no frame can carry; for a template, the defect of its value.
    pub fn push(&mut self, tag: Tag, value: &[u8]) -> Result<(), Malformed> {
        let value = if tag.is_template() {
            Value::Template(parse_at(value, MAX_TEMPLATE_DEPTH - 1)?)
        } else if value.len() > MAX_PAYLOAD {
            return Err(Malformed::FrameTooLong { length: value.len() });
        } else {
            Value::Bytes(value.to_owned())
        };
        self.insert(tag, value)
    }

    /// Adds a template at the end.
    ///
    /// # Errors
    /// [`Malformed::NotATemplate`] for a primitive tag, [`Malformed::NestedTooDeep`] when `fields` already holds
    /// templates as deep as is allowed.
    pub fn push_template(&mut self, tag: Tag, fields: Fields) -> Result<(), Malformed> {
        if !tag.is_template() {
            return Err(Malformed::NotATemplate { tag });
        }
        if fields.depth() >= MAX_TEMPLATE_DEPTH {
            return Err(Malformed::NestedTooDeep);
        }
        self.insert(tag, Value::Template(fields))
    }

    /// The value of a primitive field, if it is there.
    pub fn get(&self, tag: Tag) -> Option<&[u8]> {
        // Looking at the bit first keeps the usual miss from walking the list.
        if self.seen & tag.bit() == 0 {
            return None;
        }
        self.list.iter().find(|field| field.tag == tag).and_then(|field| match &field.value {
            Value::Bytes(bytes) => Some(bytes.as_slice()),
            Value::Template(_) => None,
        })
    }

    /// The templates with this tag, in order.
    pub fn templates(&self, tag: Tag) -> impl Iterator<Item = &Fields> {
        self.list.iter().filter(move |field| field.tag == tag).filter_map(|field| match &field.value {
            Value::Template(fields) => Some(fields),
            Value::Bytes(_) => None,
        })
    }

    /// All fields, in order.
    pub fn iter(&self) -> impl Iterator<Item = &Field> {
        self.list.iter()
    }

    /// How many fields there are, templates counted as one each.
    pub fn len(&self) -> usize {
        self.list.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Brings the fields into ascending order, inside templates too. Stable: equal templates keep theirs.
    pub(crate) fn sort(&mut self) {
        self.list.sort_by_key(|field| field.tag);
        for field in &mut self.list {
            if let Value::Template(fields) = &mut field.value {
                fields.sort();
            }
        }
    }

    /// Keeps the fields that `wanted` names.
    pub(crate) fn keep(&mut self, wanted: impl Fn(&Field) -> bool) {
        self.list.retain(wanted);
        let primitive = self.list.iter().filter(|field| !field.tag.is_template());
        self.seen = primitive.fold(0, |seen, field| seen | field.tag.bit());
    }

    /// The bytes: each field as tag, shortest length, value.
    ///
    /// # Errors
    /// [`Malformed::FrameTooLong`] for a template whose value no frame can carry.
    pub fn encode(&self) -> Result<Vec<u8>, Malformed> {
        let mut out = Vec::new();
        self.encode_into(&mut out)?;
        Ok(out)
    }

    pub(crate) fn encode_into(&self, out: &mut Vec<u8>) -> Result<(), Malformed> {
        for field in &self.list {
            out.extend_from_slice(&field.tag.number().to_be_bytes());
            match &field.value {
                Value::Bytes(bytes) => {
                    encode_length(bytes.len(), out)?;
                    out.extend_from_slice(bytes);
                }
                Value::Template(fields) => {
                    let bytes = fields.encode()?;
                    encode_length(bytes.len(), out)?;
                    out.extend_from_slice(&bytes);
                }
            }
        }
        Ok(())
    }

    fn insert(&mut self, tag: Tag, value: Value) -> Result<(), Malformed> {
        if self.seen & tag.bit() != 0 {
            return Err(Malformed::RepeatedTag { tag });
        }
        self.seen |= tag.bit();
        self.list.push(Field { tag, value });
        Ok(())
    }

    /// How many templates lie inside each other here; 0 for none.
    fn depth(&self) -> usize {
        let inside = |field: &Field| match &field.value {
            Value::Template(fields) => 1 + fields.depth(),
            Value::Bytes(_) => 0,
        };
        self.list.iter().map(inside).max().unwrap_or(0)
    }
}

/// Reads fields that may hold templates `depth` deep.
fn parse_at(mut rest: &[u8], depth: usize) -> Result<Fields, Malformed> {
    let mut fields = Fields::new();
    while !rest.is_empty() {
        let (tag, after_tag) = rest.split_first_chunk::<2>().ok_or(Malformed::TagTruncated)?;
        let tag = Tag::new(u16::from_be_bytes(*tag))?;
        let (length, after_length) = parse_length(tag, after_tag)?;
        let (value, after_value) = after_length
            .split_at_checked(length)
            .ok_or(Malformed::ValueTruncated { tag, length, left: after_length.len() })?;
        let value = if tag.is_template() {
            let deeper = depth.checked_sub(1).ok_or(Malformed::NestedTooDeep)?;
            Value::Template(parse_at(value, deeper)?)
        } else {
            Value::Bytes(value.to_owned())
        };
        fields.insert(tag, value)?;
        rest = after_value;
    }
    Ok(fields)
}

/// Reads a length in its shortest form; gives it and the bytes after it.
fn parse_length(tag: Tag, bytes: &[u8]) -> Result<(usize, &[u8]), Malformed> {
    let truncated = Malformed::LengthTruncated { tag };
    let (&first, rest) = bytes.split_first().ok_or(truncated)?;
    let (length, shortest, rest) = match first {
        0..=0x7F => (usize::from(first), 0, rest),
        ONE_BYTE_FOLLOWS => {
            let (&length, rest) = rest.split_first().ok_or(truncated)?;
            (usize::from(length), MAX_SHORT + 1, rest)
        }
        TWO_BYTES_FOLLOW => {
            let (length, rest) = rest.split_first_chunk::<2>().ok_or(truncated)?;
            (usize::from(u16::from_be_bytes(*length)), usize::from(u8::MAX) + 1, rest)
        }
        found => return Err(Malformed::LengthForm { tag, found }),
    };
    if length < shortest {
        return Err(Malformed::LengthNotMinimal { tag, length });
    }
    Ok((length, rest))
}

/// Writes a length in its shortest form.
fn encode_length(length: usize, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match u8::try_from(length) {
        Ok(short @ 0..=0x7F) => out.push(short),
        Ok(long) => out.extend_from_slice(&[ONE_BYTE_FOLLOWS, long]),
        Err(_) => {
            let long = u16::try_from(length).map_err(|_| Malformed::FrameTooLong { length })?;
            out.push(TWO_BYTES_FOLLOW);
            out.extend_from_slice(&long.to_be_bytes());
        }
    }
    Ok(())
}

impl fmt::Debug for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.list.iter().map(|field| (field.tag, &field.value))).finish()
    }
}

/// Bytes show as their number: values are long, and a log is no place for them.
impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Value::Template(fields) => fmt::Debug::fmt(fields, f),
        }
    }
}

#[cfg(test)]
#[path = "fields_tests.rs"]
mod tests;
