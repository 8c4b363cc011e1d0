//! How one event's hash is made.

use sha2::{Digest, Sha256};

/// SHA-256.
pub(crate) type Hash = [u8; 32];

/// What the first event carries as the hash of the one before.
pub(crate) const GENESIS: Hash = [0; 32];

/// Keeps these hashes apart from any others that this project makes.
const DOMAIN: &[u8] = b"Keyferry audit event 1";

/// Everything that an event's hash covers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Link<'a> {
    pub(crate) seq: i64,
    pub(crate) at: i64,
    pub(crate) kind: &'a str,
    pub(crate) actor: &'a str,
    pub(crate) subject: &'a str,
    /// Canonical JSON.
    pub(crate) detail: &'a str,
    pub(crate) prev: &'a Hash,
}

impl Link<'_> {
    /// SHA-256(domain ‖ prev ‖ seq (8) ‖ at (8) ‖ for each text: length (8) ‖ its UTF-8). Lengths keep one field's
    /// end from passing for the next one's start.
    pub(crate) fn hash(&self) -> Hash {
        let mut sha = Sha256::new();
        sha.update(DOMAIN);
        sha.update(self.prev);
        sha.update(self.seq.to_be_bytes());
        sha.update(self.at.to_be_bytes());
        for text in [self.kind, self.actor, self.subject, self.detail] {
            sha.update((text.len() as u64).to_be_bytes());
            sha.update(text.as_bytes());
        }
        sha.finalize().into()
    }
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|b| [b >> 4, b & 0x0f])
        .filter_map(|nibble| DIGITS.get(usize::from(nibble)))
        .map(|digit| char::from(*digit))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: Link<'static> = Link {
        seq: 1,
        at: 1_700_000_000_000,
        kind: "tmk.confirmed",
        actor: "SN-1001",
        subject: "SN-1001",
        detail: "{}",
        prev: &GENESIS,
    };

    /// Made with Python's hashlib from the description of [`Link::hash`].
    #[test]
    fn the_hash_is_what_its_description_says() {
        assert_eq!(hex(&BASE.hash()), "be37b74a415daaf2e1802fef3b8ef9647a45e909e3fc95c323eacd8e769e2548");
    }

    #[test]
    fn moving_a_byte_over_a_field_border_changes_the_hash() {
        let moved = Link { kind: "tmk.confirmedS", actor: "N-1001", ..BASE };
        assert_ne!(moved.hash(), BASE.hash());
    }
}
