//! Records of refusals (FF23), which some messages carry along.

use alloc::{borrow::ToOwned, string::String, vec::Vec};

use wire::{BcdTime, Fields, Malformed, Tag};

/// Longest name of a check, characters (DF28).
const MAX_CHECK: usize = 32;
/// Longest reading, characters (DF29).
const MAX_READING: usize = 64;

/// Why a terminal once refused to make or release a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusalRecord {
    /// Which check (DF28): ASCII, up to 32 characters.
    pub check: String,
    /// What it read (DF29): ASCII, up to 64 characters.
    pub reading: String,
    /// When (DF2A); nothing from a terminal that did not know the time.
    pub when: Option<BcdTime>,
}

impl RefusalRecord {
    /// Reads the three fields of one FF23.
    ///
    /// # Errors
    /// When one is missing, too long, no ASCII, or no time.
    pub fn read(record: &Fields) -> Result<RefusalRecord, Malformed> {
        Ok(RefusalRecord {
            check: text(record, Tag::REFUSAL_CHECK, MAX_CHECK)?.to_owned(),
            reading: text(record, Tag::REFUSAL_READING, MAX_READING)?.to_owned(),
            when: BcdTime::from_bytes_or_unknown(record.exactly(Tag::REFUSAL_WHEN)?)?,
        })
    }

    /// The fields of one FF23. What does not fit is cut, and what is no ASCII replaced: a record is never lost for its
    /// form.
    pub fn fields(&self) -> Fields {
        let when = self.when.map_or(BcdTime::UNKNOWN, |when| *when.as_bytes());
        let mut fields = Fields::new();
        for (tag, value) in [
            (Tag::REFUSAL_CHECK, ascii(&self.check, MAX_CHECK)),
            (Tag::REFUSAL_READING, ascii(&self.reading, MAX_READING)),
            (Tag::REFUSAL_WHEN, when.to_vec()),
        ] {
            let _ = fields.push(tag, &value); // three different tags and short values: nothing to refuse
        }
        fields
    }
}

/// The refusal records among these fields, each checked.
pub(crate) fn read(fields: &Fields) -> Result<Vec<Fields>, Malformed> {
    fields
        .templates(Tag::REFUSAL_RECORD)
        .map(|record| {
            text(record, Tag::REFUSAL_CHECK, MAX_CHECK)?;
            text(record, Tag::REFUSAL_READING, MAX_READING)?;
            record.exactly::<{ BcdTime::LENGTH }>(Tag::REFUSAL_WHEN)?;
            Ok(record.clone())
        })
        .collect()
}

/// Adds refusal records.
pub(crate) fn push(fields: &mut Fields, records: &[Fields]) -> Result<(), Malformed> {
    records.iter().try_for_each(|record| fields.push_template(Tag::REFUSAL_RECORD, record.clone()))
}

fn text(record: &Fields, tag: Tag, max: usize) -> Result<&str, Malformed> {
    let value = record.required(tag)?;
    if value.len() > max {
        return Err(Malformed::FieldLength { tag, found: value.len() });
    }
    match core::str::from_utf8(value) {
        Ok(text) if text.is_ascii() => Ok(text),
        _ => Err(Malformed::FieldValue { tag }),
    }
}

fn ascii(text: &str, max: usize) -> Vec<u8> {
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).take(max).collect::<String>().into_bytes()
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    fn record() -> RefusalRecord {
        let when = BcdTime::from_bytes([0x26, 0x11, 0x20, 0x12, 0x34, 0x56]).ok();
        RefusalRecord { check: "voltage".to_string(), reading: "2.1 V, 2.7-3.6".to_string(), when }
    }

    #[test]
    fn record_is_read_back_with_and_without_a_time() {
        for when in [record().when, None] {
            let record = RefusalRecord { when, ..record() };
            assert_eq!(RefusalRecord::read(&record.fields()), Ok(record));
        }
    }

    #[test]
    fn long_and_foreign_text_is_cut_and_replaced() {
        let long = RefusalRecord { check: "c".repeat(33), reading: "°".repeat(65), ..record() };
        let read = RefusalRecord::read(&long.fields()).unwrap();
        assert_eq!((read.check, read.reading), ("c".repeat(32), "?".repeat(64)));
    }

    #[test]
    fn record_with_a_date_that_does_not_exist_is_refused() {
        let mut fields = Fields::new();
        fields.push(Tag::REFUSAL_CHECK, b"lid").unwrap();
        fields.push(Tag::REFUSAL_READING, b"open").unwrap();
        fields.push(Tag::REFUSAL_WHEN, &[0x26, 0x02, 0x30, 0, 0, 0]).unwrap();
        assert_eq!(RefusalRecord::read(&fields), Err(Malformed::BcdTime));
    }
}
