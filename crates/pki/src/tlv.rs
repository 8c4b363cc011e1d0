//! The outermost bytes of DER structures, kept exactly as they came.
//!
//! Signatures are over bytes, not over what a parser made of them: these few lines cut a structure into its
//! parts without changing one. Only definite, minimal lengths and low tag numbers exist here.

/// One tag, length and value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tlv<'a> {
    /// Identifier octet.
    pub(crate) tag: u8,
    /// Tag, length and value.
    pub(crate) raw: &'a [u8],
    /// The value alone.
    pub(crate) value: &'a [u8],
}

pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const BIT_STRING: u8 = 0x03;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const OID: u8 = 0x06;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;
/// `[0]`, constructed.
pub(crate) const CONTEXT_0: u8 = 0xA0;
/// `[0]`, primitive.
pub(crate) const CONTEXT_0_PRIMITIVE: u8 = 0x80;

/// What is wrong with the bytes, in words.
pub(crate) type Defect = &'static str;

/// Reads one element after the other.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next element, whatever it is.
    pub(crate) fn any(&mut self) -> Result<Tlv<'a>, Defect> {
        let bytes = self.rest;
        let (&tag, after_tag) = bytes.split_first().ok_or("it ends too early")?;
        if tag & 0x1F == 0x1F {
            return Err("it has a tag number that is not used here");
        }
        let (&first, after_length) = after_tag.split_first().ok_or("it ends too early")?;
        let (len, body) = match first {
            0..=0x7F => (usize::from(first), after_length),
            0x81..=0x84 => {
                let count = usize::from(first & 0x7F);
                let (digits, body) = after_length.split_at_checked(count).ok_or("it ends too early")?;
                let len = digits.iter().fold(0_usize, |len, digit| (len << 8) | usize::from(*digit));
                if len < 0x80 || digits.first() == Some(&0) {
                    return Err("it has a length that is not minimal");
                }
                (len, body)
            }
            _ => return Err("it has an indefinite or too large length"),
        };
        let (value, rest) = body.split_at_checked(len).ok_or("it ends too early")?;
        let raw = bytes.get(..bytes.len() - rest.len()).ok_or("it ends too early")?;
        self.rest = rest;
        Ok(Tlv { tag, raw, value })
    }

    /// The next element, which must have this tag.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<Tlv<'a>, Defect> {
        let tlv = self.any()?;
        if tlv.tag == tag { Ok(tlv) } else { Err("it has an element of another type than expected") }
    }

    /// The next element if it has this tag.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<Tlv<'a>>, Defect> {
        if self.rest.first() == Some(&tag) { self.any().map(Some) } else { Ok(None) }
    }

    /// Nothing may follow.
    pub(crate) fn finish(self) -> Result<(), Defect> {
        if self.rest.is_empty() { Ok(()) } else { Err("bytes follow its end") }
    }
}

/// The one element that `bytes` are, with this tag.
pub(crate) fn whole(bytes: &[u8], tag: u8) -> Result<Tlv<'_>, Defect> {
    let mut reader = Reader::new(bytes);
    let tlv = reader.expect(tag)?;
    reader.finish()?;
    Ok(tlv)
}

/// Encodes an element whose value is `parts` one after another.
pub(crate) fn encode(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let len: usize = parts.iter().map(|part| part.len()).sum();
    let mut out = Vec::with_capacity(len + 6);
    out.push(tag);
    match u8::try_from(len) {
        Ok(short) if short < 0x80 => out.push(short),
        _ => {
            let bytes = len.to_be_bytes();
            let digits: Vec<u8> = bytes.into_iter().skip_while(|byte| *byte == 0).collect();
            // At most eight digits in a usize: the count fits its seven bits.
            out.push(0x80 | u8::try_from(digits.len()).unwrap_or(8));
            out.extend_from_slice(&digits);
        }
    }
    for part in parts {
        out.extend_from_slice(part);
    }
    out
}

/// Encodes a SET OF in DER's order: by the encodings themselves (X.690 clause 11.6).
pub(crate) fn encode_set_of(tag: u8, mut elements: Vec<Vec<u8>>) -> Vec<u8> {
    elements.sort();
    let parts: Vec<&[u8]> = elements.iter().map(Vec::as_slice).collect();
    encode(tag, &parts)
}

/// The magnitude of a positive INTEGER: its value bytes without the leading zero. `None` for negative
/// numbers, zero and encodings that are not minimal.
pub(crate) fn positive(value: &[u8]) -> Option<&[u8]> {
    match value {
        [] | [0] => None,
        [0, next, ..] if *next < 0x80 => None,
        [0, magnitude @ ..] => Some(magnitude),
        [first, ..] if *first >= 0x80 => None,
        magnitude => Some(magnitude),
    }
}
