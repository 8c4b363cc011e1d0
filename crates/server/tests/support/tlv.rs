//! Frames and fields of 2-wire.md sections 1 to 3, written and read independently of the product's code.

/// Tags of section 2 that these flows use.
pub(crate) const SUITE: u16 = 0xDF01;
pub(crate) const SN: u16 = 0xDF02;
pub(crate) const PIN_PAD: u16 = 0xDF03;
pub(crate) const SLOT: u16 = 0xDF04;
pub(crate) const RND1: u16 = 0xDF05;
pub(crate) const RND2: u16 = 0xDF06;
pub(crate) const CRND1: u16 = 0xDF07;
pub(crate) const CRND2: u16 = 0xDF08;
pub(crate) const CTK_PU: u16 = 0xDF09;
pub(crate) const KCV: u16 = 0xDF0B;
pub(crate) const CERTIFICATE: u16 = 0xDF0C;
pub(crate) const INTERMEDIATES: u16 = 0xDF0D;
pub(crate) const DF20: u16 = 0xDF20;
pub(crate) const DF21: u16 = 0xDF21;
pub(crate) const DF22: u16 = 0xDF22;
pub(crate) const MORE: u16 = 0xDF24;
pub(crate) const REFUSAL_CHECK: u16 = 0xDF28;
pub(crate) const REFUSAL_READING: u16 = 0xDF29;
pub(crate) const REFUSAL_WHEN: u16 = 0xDF2A;
pub(crate) const KEY_BLOCK: u16 = 0xDF40;
pub(crate) const ERROR_CODE: u16 = 0xDF60;
pub(crate) const ERROR_TEXT: u16 = 0xDF61;
pub(crate) const KEY_ENTRY: u16 = 0xFF21;
pub(crate) const REFUSAL: u16 = 0xFF23;

/// Types of section 3 that flow A uses.
pub(crate) const HELLO: u8 = 0x01;
pub(crate) const CHALLENGE: u8 = 0x02;
pub(crate) const REPLY: u8 = 0x03;
pub(crate) const KEY: u8 = 0x04;
pub(crate) const CONFIRM: u8 = 0x05;
pub(crate) const DONE: u8 = 0x06;
pub(crate) const ERROR: u8 = 0x7F;

/// Types of flow C and of a collection that the terminal asks for.
pub(crate) const RKS_AUTH: u8 = 0x11;
pub(crate) const RKS_CERT: u8 = 0x12;
pub(crate) const RKS_FACTOR: u8 = 0x13;
pub(crate) const RKS_TOKEN: u8 = 0x14;
pub(crate) const RKS_PROOF: u8 = 0x15;
pub(crate) const RKS_KEYS: u8 = 0x16;
pub(crate) const COLLECT: u8 = 0x51;
pub(crate) const COLLECTED: u8 = 0x52;
pub(crate) const COLLECT_ASK: u8 = 0x53;

/// Every type of section 3.
pub(crate) const ALL_TYPES: [u8; 38] = [
    0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x21, 0x22, 0x23, 0x31, 0x32,
    0x33, 0x34, 0x35, 0x36, 0x37, 0x38, 0x39, 0x3F, 0x41, 0x42, 0x43, 0x51, 0x52, 0x53, 0x54, 0x55, 0x56,
    0x7F, 0x07, 0x40, 0xFF,
];

/// One field with its shortest length.
pub(crate) fn field(tag: u16, value: &[u8]) -> Vec<u8> {
    let mut bytes = tag.to_be_bytes().to_vec();
    match value.len() {
        short @ 0..=0x7F => bytes.push(short as u8),
        middle @ 0x80..=0xFF => bytes.extend([0x81, middle as u8]),
        long => {
            bytes.push(0x82);
            bytes.extend((long as u16).to_be_bytes());
        }
    }
    bytes.extend_from_slice(value);
    bytes
}

/// A frame around a payload.
pub(crate) fn frame_of(payload: &[u8]) -> Vec<u8> {
    let mut bytes = u16::try_from(payload.len()).unwrap().to_be_bytes().to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// A frame with a message.
pub(crate) fn frame(kind: u8, fields: &[u8]) -> Vec<u8> {
    frame_of(&[&[0x01, kind], fields].concat())
}

/// A message as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) kind: u8,
    pub(crate) fields: Vec<(u16, Vec<u8>)>,
    /// The whole frame.
    pub(crate) frame: Vec<u8>,
}

impl Message {
    /// Reads one frame strictly: anything that section 1 does not allow stops the test.
    pub(crate) fn read(frame: &[u8]) -> Message {
        let payload = &frame[2..];
        assert_eq!(usize::from(u16::from_be_bytes([frame[0], frame[1]])), payload.len());
        assert_eq!(payload[0], 0x01, "version");
        let mut fields: Vec<(u16, Vec<u8>)> = Vec::new();
        let mut rest = &payload[2..];
        while !rest.is_empty() {
            let tag = u16::from_be_bytes([rest[0], rest[1]]);
            assert!((0xDF01..=0xDF7F).contains(&tag) || (0xFF21..=0xFF2F).contains(&tag), "{tag:04X}");
            let (length, head) = match rest[2] {
                short @ 0..=0x7F => (usize::from(short), 3),
                0x81 => (usize::from(rest[3]), 4),
                0x82 => (usize::from(u16::from_be_bytes([rest[3], rest[4]])), 5),
                other => panic!("length form {other:02X}"),
            };
            assert!(head == 3 || length > 0x7F, "shortest form");
            assert!(head != 5 || length > 0xFF, "shortest form");
            assert!(tag >= 0xFF00 || fields.iter().all(|(seen, _)| *seen != tag), "{tag:04X} twice");
            fields.push((tag, rest[head..head + length].to_vec()));
            rest = &rest[head + length..];
        }
        Message { kind: payload[1], fields, frame: frame.to_vec() }
    }

    /// The value of a field that must be there.
    pub(crate) fn get(&self, tag: u16) -> &[u8] {
        let found = self.fields.iter().find(|(found, _)| *found == tag);
        &found.unwrap_or_else(|| panic!("no {tag:04X} in {self:02X?}")).1
    }

    /// Tags and lengths: what a stranger sees of a message without knowing a key.
    pub(crate) fn shape(&self) -> (u8, Vec<(u16, usize)>) {
        (self.kind, self.fields.iter().map(|(tag, value)| (*tag, value.len())).collect())
    }
}
