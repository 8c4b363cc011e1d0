//! Keys that are none: the weak ones of DES, and equal parts.

use std::collections::HashSet;

use hex_literal::hex;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::{
    forge::{Block, CARRIERS, Carrier, Victim, random_key},
    proofs::equal_parts,
};
use crate::support::{
    estate::ESTATE,
    https::{self, CMS},
    line::End,
    package::{entry_with_clear, package, signed},
    raw::Raw,
    rks::{RawDevice, report},
    world::{Options, World, results},
};

/// The weak and semi-weak keys of DES (FIPS 74), with odd parity.
pub(crate) const WEAK: [[u8; 8]; 16] = [
    hex!("0101010101010101"),
    hex!("FEFEFEFEFEFEFEFE"),
    hex!("1F1F1F1F0E0E0E0E"),
    hex!("E0E0E0E0F1F1F1F1"),
    hex!("01FE01FE01FE01FE"),
    hex!("FE01FE01FE01FE01"),
    hex!("1FE01FE00EF10EF1"),
    hex!("E01FE01FF10EF10E"),
    hex!("01E001E001F101F1"),
    hex!("E001E001F101F101"),
    hex!("1FFE1FFE0EFE0EFE"),
    hex!("FE1FFE1FFE0EFE0E"),
    hex!("011F011F010E010E"),
    hex!("1F011F010E010E01"),
    hex!("E0FEE0FEF1FEF1FE"),
    hex!("FEE0FEE0FEF1FEF1"),
];

/// Attack 24: weak and semi-weak keys and equal parts, refused when keys are made, imported, derived and used.
#[test]
fn weak_keys() {
    let good = random_key::<24>();
    let mut bad = equal_parts(&good);
    for weak in WEAK {
        for part in 0..3 {
            let mut key = good.clone();
            key[8 * part..8 * part + 8].copy_from_slice(&weak);
            // Without its parity it is as weak.
            key[8 * part] ^= u8::from(part == 1);
            bad.push(key);
        }
    }
    // At the terminal, in every block that is a key.
    let mut victim = Victim::new();
    for carrier in CARRIERS.into_iter().filter(|carrier| *carrier != Carrier::CToken) {
        for key in &bad {
            let end = victim.deliver(carrier, &|block| {
                let key =
                    if block.key.len() == 16 { [&key[8..16], &key[8..16]].concat() } else { key.clone() };
                Block { key, ..block.clone() }.wrap()
            });
            assert!(matches!(end, Err(End::Code(0x0005 | 0x0007))), "{carrier:?}: {end:?}");
        }
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()));
    }
    // At the KMS: in a TK that is collected, and in what a KLD reports. Derived ones: `bad_factor`, `last_mover`.
    let world = World::new();
    let server = world.start(&Options::default());
    let mut collected = Vec::new();
    let mut loaded = Vec::new();
    for (number, key) in bad.iter().enumerate() {
        for (which, keys) in [[key, &good], [&good, key]].into_iter().enumerate() {
            let keys = [&keys[0][..], keys[1]].concat();
            let clear = [&keys[..], &Sha256::digest(&keys)].concat();
            collected.push(entry_with_clear(&format!("SN-{which}-{number}"), &clear));
        }
        let device = RawDevice::new(&format!("SN-B-{number}"));
        for (kind, slot) in [("tmk", 3), ("dmk", 0)] {
            let mut entry = device.entry();
            entry["sn"] = json!(format!("SN-B-{number}"));
            entry["keys"] = json!([device.key_entry(kind, slot, key)]);
            loaded.push(entry);
        }
    }
    let same = [&good[..], &good].concat();
    collected.push(entry_with_clear("SN-SAME", &[&same[..], &Sha256::digest(&same)].concat()));
    for entries in collected.chunks(60) {
        for result in results(&server.upload(&signed(&ESTATE.operator, &package(entries)))) {
            assert_eq!(result["ok"], json!(false), "{result}");
        }
    }
    for (number, entries) in loaded.chunks(60).enumerate() {
        // One entry for a serial in a report.
        for (half, step) in ["a", "b"].into_iter().zip(0..) {
            let entries: Vec<_> = entries.iter().skip(step).step_by(2).cloned().collect();
            let cms = signed(&ESTATE.operator, &report(&format!("run-{number}{half}"), &entries));
            for result in results(&https::post(server.https, "/v1/kld-reports", CMS, &cms)) {
                assert_eq!(result["code"], json!("block-refused"), "{result}");
            }
        }
    }
    assert_eq!((world.count("terminals"), world.count("tmks")), (0, 0));
    // And none is made: of these two hundred none has a weak or repeated part.
    let terminal = Raw::new("SN-1");
    server.collect(&[&terminal]);
    for _ in 0..200 {
        let made = terminal.download(server.terminals, 0).unwrap().key;
        let parts: HashSet<_> = made.chunks(8).collect();
        assert_eq!(parts.len(), 3);
        assert!(WEAK.iter().all(|weak| !parts.contains(&weak[..])));
    }
}
