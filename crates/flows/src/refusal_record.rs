//! Records of refusals (FF23), which some messages carry along.

use alloc::vec::Vec;

use wire::{Fields, Malformed, Tag};

/// Longest name of a check, characters (DF28).
const MAX_CHECK: usize = 32;
/// Longest reading, characters (DF29).
const MAX_READING: usize = 64;
/// Bytes of a date and time in BCD (DF2A).
const WHEN: usize = 6;

/// The refusal records among these fields, their three fields checked for length and ASCII.
pub(crate) fn read(fields: &Fields) -> Result<Vec<Fields>, Malformed> {
    fields
        .templates(Tag::REFUSAL_RECORD)
        .map(|record| {
            text(record, Tag::REFUSAL_CHECK, MAX_CHECK)?;
            text(record, Tag::REFUSAL_READING, MAX_READING)?;
            record.exactly::<WHEN>(Tag::REFUSAL_WHEN)?;
            Ok(record.clone())
        })
        .collect()
}

/// Adds refusal records.
pub(crate) fn push(fields: &mut Fields, records: &[Fields]) -> Result<(), Malformed> {
    records.iter().try_for_each(|record| fields.push_template(Tag::REFUSAL_RECORD, record.clone()))
}

fn text(record: &Fields, tag: Tag, max: usize) -> Result<(), Malformed> {
    let value = record.required(tag)?;
    if value.len() > max {
        return Err(Malformed::FieldLength { tag, found: value.len() });
    }
    if value.is_ascii() { Ok(()) } else { Err(Malformed::FieldValue { tag }) }
}
