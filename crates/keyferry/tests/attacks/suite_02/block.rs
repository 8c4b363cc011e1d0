//! Key blocks of suite 02, made by the tester.

use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};

/// A key block before it is wrapped.
#[derive(Clone)]
pub(crate) struct Block {
    pub(crate) header: Header,
    pub(crate) key: Vec<u8>,
    pub(crate) under: Vec<u8>,
}

/// What a tester puts in the place of the right block.
pub(crate) type Forge<'a> = &'a dyn Fn(&Block) -> String;

impl Block {
    /// The block that the specification's table has: usage and mode, place, context.
    pub(crate) fn new(
        [usage, mode]: [&str; 2],
        place: &str,
        context: String,
        key: &[u8],
        under: &[u8],
    ) -> Block {
        let header = Header::new(
            Version::D,
            Usage::parse(usage).unwrap(),
            Algorithm::AES,
            Mode::parse(mode).unwrap(),
            Exportability::NOT_EXPORTABLE,
        );
        let header = header.with_optional("10", place).unwrap().with_optional("11", context).unwrap();
        Block { header, key: key.to_vec(), under: under.to_vec() }
    }

    /// A TMK's, with its load counter.
    pub(crate) fn tmk(place: &str, context: String, counter: u64, key: &[u8], under: &[u8]) -> Block {
        let Block { header, key, under } = Block::new(["K1", "B"], place, context, key, under);
        Block { header: header.with_optional("12", format!("{counter:016X}")).unwrap(), key, under }
    }

    pub(crate) fn wrap(&self) -> String {
        let kbpk = match self.header.version {
            Version::D => Kbpk::new(Version::D, &self.under),
            // A key of three DES keys: versions A, B and C know no other.
            version => Kbpk::new(version, &self.under.iter().copied().cycle().take(24).collect::<Vec<_>>()),
        };
        let kbpk = kbpk.unwrap();
        if self.header.version == Version::D {
            kbpk.wrap(&self.header, &self.key).unwrap()
        } else {
            kbpk.wrap_legacy(&self.header, &self.key).unwrap()
        }
    }
}
