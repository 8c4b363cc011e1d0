//! A key block header from texts, as people and programs write its fields.

use keyblock::{
    Algorithm, Exportability, Header, KeyContext, KeyVersion, Mode, OptionalBlock, Usage, Version,
};

use crate::Error;

/// The fields of a header as text (X9.143 6.2, table 1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderText<'a> {
    /// `A` to `E`.
    pub version: &'a str,
    /// Two upper-case letters or digits.
    pub usage: &'a str,
    /// One upper-case letter or digit.
    pub algorithm: &'a str,
    /// One upper-case letter or digit.
    pub mode: &'a str,
    /// Two letters or digits; `00` where it is not used.
    pub key_version: &'a str,
    /// One upper-case letter or digit.
    pub exportability: &'a str,
    /// `0`, `1` or `2`; nearly always `0`.
    pub key_context: &'a str,
}

/// A header from its fields and its optional blocks (identifier and text, without `PB`) in order.
///
/// # Errors
/// [`Error::KeyBlock`] with the code of the field that is wrong.
pub fn header(fields: &HeaderText<'_>, optional: &[(String, String)]) -> Result<Header, Error> {
    let mut header = Header::new(
        Version::parse(fields.version)?,
        Usage::parse(fields.usage)?,
        Algorithm::parse(fields.algorithm)?,
        Mode::parse(fields.mode)?,
        Exportability::parse(fields.exportability)?,
    );
    header.key_version = KeyVersion::parse(fields.key_version)?;
    header.key_context = match fields.key_context {
        "0" => KeyContext::Unspecified,
        "1" => KeyContext::Storage,
        "2" => KeyContext::Exchange,
        _ => return Err(keyblock::Error::KeyContext.into()),
    };
    for (index, (id, text)) in optional.iter().enumerate() {
        header.optional.push(OptionalBlock::new(id, text.as_str()).map_err(|error| at(error, index))?);
    }
    Ok(header)
}

/// An optional block does not know which one it is; the person who asks wants to.
fn at(error: keyblock::Error, index: usize) -> keyblock::Error {
    match error {
        keyblock::Error::OptionalBlockId { .. } => keyblock::Error::OptionalBlockId { index },
        keyblock::Error::OptionalBlockText { .. } => keyblock::Error::OptionalBlockText { index },
        other => other,
    }
}
