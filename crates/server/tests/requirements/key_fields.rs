//! R3 on the wire: what carries a key is a key block with its use, or a ciphertext. Flows run over real sockets, and every
//! byte that the server sent is read.

use std::collections::{BTreeMap, BTreeSet};

use wire::Tag;

use crate::{
    support::tlv::{Message, frame},
    yard::Yard,
};

/// Fields that are a key block each: TOKEN's AT and TK1, TMS_CHALLENGE's DWK, and every other key.
const BLOCKS: [u16; 3] = [0xDF21, 0xDF37, 0xDF40];
/// Fields that are a ciphertext each, or a sealed message.
const CIPHERTEXTS: [u16; 7] = [0xDF09, 0xDF10, 0xDF11, 0xDF19, 0xDF20, 0xDF22, 0xDF4A];
/// Fields that hold no secret key. What is on none of the three lists is new, and must be put on one.
const NO_KEYS: [u16; 59] = [
    0xDF01, 0xDF02, 0xDF03, 0xDF04, 0xDF05, 0xDF06, 0xDF07, 0xDF08, 0xDF0B, 0xDF0C, 0xDF0D, 0xDF12, 0xDF13,
    0xDF14, 0xDF15, 0xDF16, 0xDF17, 0xDF18, 0xDF1A, 0xDF23, 0xDF24, 0xDF26, 0xDF27, 0xDF28, 0xDF29, 0xDF2A,
    0xDF2D, 0xDF30, 0xDF31, 0xDF32, 0xDF33, 0xDF34, 0xDF35, 0xDF36, 0xDF38, 0xDF39, 0xDF3A, 0xDF3B, 0xDF3C,
    0xDF3D, 0xDF3E, 0xDF3F, 0xDF41, 0xDF42, 0xDF43, 0xDF44, 0xDF45, 0xDF46, 0xDF47, 0xDF48, 0xDF49, 0xDF50,
    0xDF52, 0xDF60, 0xDF61, 0xFF21, 0xFF22, 0xFF23, 0xFF24,
];

/// Every field of what was received, those inside templates too.
fn fields(received: &[u8]) -> Vec<(u16, Vec<u8>)> {
    let mut found = Vec::new();
    let mut rest = received;
    while !rest.is_empty() {
        let length = 2 + usize::from(u16::from_be_bytes([rest[0], rest[1]]));
        collect(&Message::read(&rest[..length]), &mut found);
        rest = &rest[length..];
    }
    found
}

fn collect(message: &Message, found: &mut Vec<(u16, Vec<u8>)>) {
    for (tag, value) in &message.fields {
        if *tag >= 0xFF00 {
            collect(&Message::read(&frame(message.kind, value)), found);
        }
        found.push((*tag, value.clone()));
    }
}

#[test]
fn r3_every_field_of_the_wire_is_known_to_carry_keys_or_none() {
    let known = [&BLOCKS[..], &CIPHERTEXTS, &NO_KEYS].concat();
    let listed: BTreeSet<u16> = Tag::LISTED.iter().map(|tag| tag.number()).collect();
    assert_eq!(known.len(), listed.len(), "each on one list");
    assert_eq!(BTreeSet::from_iter(known), listed);
}

#[test]
fn r3_every_key_on_the_wire_is_a_key_block_with_its_use() {
    let (yard, _server) = Yard::new();
    let mut heads = BTreeMap::<&str, BTreeSet<String>>::new();
    for (flow, received) in yard.received() {
        for (tag, value) in fields(&received).iter().filter(|(tag, _)| BLOCKS.contains(tag)) {
            let block = str::from_utf8(value).unwrap();
            assert_eq!(block[1..5].parse(), Ok(block.len()), "{flow} {tag:04X}");
            // Not one of them may be wrapped again under another key.
            assert_eq!(&block[11..12], "N", "{flow} {tag:04X} {block}");
            let use_and_algorithm = format!("{}{}", &block[..1], &block[5..9]);
            heads.entry(flow).or_default().insert(use_and_algorithm);
            // Bound to place and time.
            assert!(block[16..].starts_with("10") && block.contains("1124"), "{flow} {tag:04X} {block}");
        }
    }
    let heads: Vec<_> =
        heads.into_iter().map(|(flow, heads)| (flow, Vec::from_iter(heads).join(" "))).collect();
    let wanted = [
        ("A", "BK1TB"),
        ("A of suite 02", "DK1AB"),
        ("C", "B10TN BK1TB"),
        ("C of suite 02", "DK1AB"),
        ("E", "BD0TB BK1TB"),
        ("E of suite 02", "DK1AB"),
        ("F", "BD0TE BM3TC BP0TE"),
    ];
    assert_eq!(heads, wanted.map(|(flow, heads)| (flow, heads.to_owned())));
}
