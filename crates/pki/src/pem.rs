//! PEM with one label (RFC 7468).

use der::pem::{self, LineEnding};

use crate::error::Error;

/// Decodes one block with this label, at most `max` bytes of text per block.
pub(crate) fn decode(what: &'static str, label: &str, max: usize, text: &str) -> Result<Vec<u8>, Error> {
    // Base64 and line ends make text about 1.4 times the bytes; twice leaves room for text before it.
    let max_text = max.saturating_mul(2);
    if text.len() > max_text {
        return Err(Error::TooLong { what, len: text.len(), max: max_text });
    }
    let (found, der) = pem::decode_vec(text.as_bytes()).map_err(|error| Error::malformed(what, error))?;
    if found != label {
        return Err(Error::malformed(what, format_args!("its PEM label is not {label:?}")));
    }
    Ok(der)
}

/// Encodes one block.
pub(crate) fn encode(label: &'static str, der: &[u8]) -> String {
    // Encoding fails only for labels that are not text and for lengths beyond the address space.
    pem::encode_string(label, LineEnding::LF, der).unwrap_or_default()
}

/// The blocks with this label in a text that may hold others and comments between them.
pub(crate) fn blocks<'a>(label: &str, text: &'a str) -> Vec<&'a str> {
    let (begin, end) = (format!("-----BEGIN {label}-----"), format!("-----END {label}-----"));
    let mut found = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find(&begin) {
        let from_start = rest.get(start..).unwrap_or_default();
        let Some(stop) = from_start.find(&end) else { break };
        let (block, after) = from_start.split_at(stop + end.len());
        found.push(block);
        rest = after;
    }
    found
}
