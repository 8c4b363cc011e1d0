//! The bytes of a PIN pad's state: fixed fields in a fixed order, lengths before what varies.
//!
//! No general serialiser: secrets have no `Serialize`, and every byte written here is wiped.

use zeroize::Zeroizing;

/// Room that a writer starts with, bytes: a full PIN pad takes about 12 kB, and growing leaves no copy behind only
/// because each step wipes what it leaves.
const ROOM: usize = 1024;

/// Writes.
pub(super) struct Writer(Zeroizing<Vec<u8>>);

impl Writer {
    pub(super) fn new() -> Writer {
        Writer(Zeroizing::new(Vec::with_capacity(ROOM)))
    }

    pub(super) fn byte(&mut self, byte: u8) {
        self.bytes(&[byte]);
    }

    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            // `Vec` would free the old place without wiping it.
            let mut larger = Zeroizing::new(Vec::with_capacity(2 * (self.0.capacity() + bytes.len())));
            larger.extend_from_slice(&self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    /// Bytes with their length before them; nothing here comes near 65 535.
    pub(super) fn sized(&mut self, bytes: &[u8]) {
        let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        self.bytes(&length.to_be_bytes());
        self.bytes(bytes.get(..usize::from(length)).unwrap_or(bytes));
    }

    pub(super) fn finish(self) -> Zeroizing<Vec<u8>> {
        self.0
    }
}

/// Reads what [`Writer`] wrote; `None` is the end, or something that it never writes.
pub(super) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader(bytes)
    }

    pub(super) fn byte(&mut self) -> Option<u8> {
        self.array().map(|[byte]| byte)
    }

    pub(super) fn flag(&mut self) -> Option<bool> {
        match self.byte()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(super) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*bytes)
    }

    pub(super) fn sized(&mut self) -> Option<&'a [u8]> {
        let length = u16::from_be_bytes(self.array()?);
        let (bytes, rest) = self.0.split_at_checked(usize::from(length))?;
        self.0 = rest;
        Some(bytes)
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let mut writer = Writer::new();
        writer.byte(1);
        writer.sized(&[7; 3000]);
        writer.bytes(&[1, 2]);
        let bytes = writer.finish();
        let mut reader = Reader::new(&bytes);
        assert_eq!(reader.flag(), Some(true));
        assert_eq!(reader.sized(), Some(&[7; 3000][..]));
        assert!(!reader.is_at_end());
        assert_eq!(reader.array(), Some([1, 2]));
        assert!(reader.is_at_end());
    }

    #[test]
    fn an_end_too_early_is_none() {
        assert_eq!(Reader::new(&[0, 2, 9]).sized(), None);
        assert_eq!(Reader::new(&[0]).sized(), None);
        assert_eq!(Reader::new(&[]).byte(), None);
        assert_eq!(Reader::new(&[2]).flag(), None);
    }
}
