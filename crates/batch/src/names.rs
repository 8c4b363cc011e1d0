//! What names and digests look like in all documents.

use wire::Serial;

/// Whether this names an order, a vendor or a buyer: 1–32 of DF02's characters.
#[must_use]
pub fn is_name(text: &str) -> bool {
    // DF02 itself is as long and of the same characters.
    Serial::parse(text).is_ok()
}

/// Whether this is a SHA-256 in lower-case hex.
#[must_use]
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Whether this is a MAC of so many hex digits, which are upper-case.
pub(crate) fn is_mac(text: &str, digits: usize) -> bool {
    text.len() == digits && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
}

/// Whether this is a fingerprint as terminals show it: 20 upper-case hex digits.
#[must_use]
pub fn is_fingerprint(text: &str) -> bool {
    text.len() == 20 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'A'..=b'F'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_up_to_32_of_a_serials_characters() {
        assert!(is_name("PO-1"));
        assert!(is_name(&"a".repeat(crate::limits::NAME)));
        assert!(!is_name(&"a".repeat(crate::limits::NAME + 1)));
        assert!(!is_name(""));
        assert!(!is_name("PO 1"));
        assert!(!is_name("PO/1"));
    }

    #[test]
    fn digests_and_fingerprints_have_one_case() {
        assert!(is_sha256(&"0a".repeat(32)));
        assert!(!is_sha256(&"0A".repeat(32)));
        assert!(!is_sha256(&"0a".repeat(31)));
        assert!(is_fingerprint("0123456789ABCDEF0123"));
        assert!(!is_fingerprint("0123456789abcdef0123"));
        assert!(!is_fingerprint("0123456789ABCDEF012"));
    }
}
