//! Key blocks whose header was changed by a byte, and keys that come from no good generator.

use std::collections::HashSet;

use keyblock::Header;
use serde_json::json;

use super::{
    block::Block,
    blocks::each_is_refused,
    victim::{CARRIERS, Carrier, Victim},
};
use crate::support::{
    ec::{kcv, random},
    https::{self, CMS},
    kms_ec::{self, Ec},
    line::End,
    package::signed,
    rks::hex,
    rks_ec::{self, under_exchange},
    world::{Options, World, results},
};

/// Attack 17: each byte of each block's header, one at a time. The length, the version and what is bound are among them.
#[test]
fn header_flip() {
    each_is_refused(|_, block| {
        let text = block.wrap();
        let (_, length) = Header::parse(&text).unwrap();
        let flipped = |at: usize| {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = match bytes[at] {
                b'9' => b'8',
                b'A' => b'B',
                b'D' => b'C',
                b'N' => b'E',
                digit @ b'0'..=b'8' => digit + 1,
                other => other ^ 1,
            };
            // Flow B needs a factor for what says to be a DIK2, and takes none with anything else.
            let what = if matches!(at, 5 | 6) { "usage".to_owned() } else { format!("byte {at}") };
            (what, String::from_utf8(bytes).unwrap())
        };
        (0..length).map(flipped).collect()
    });
}

/// Keys of this length that are one part repeated.
pub(crate) fn repeated(length: usize) -> Vec<Vec<u8>> {
    let part = |parts: usize| random::<32>()[..length / parts].repeat(parts);
    vec![vec![0; length], vec![0xFF; length], part(2), part(4), part(8)]
}

/// Attack 24: AES has no weak keys; what comes from no good generator, zeros and a part repeated, is refused wherever a
/// key arrives, and never made.
#[test]
fn weak_keys() {
    let mut victim = Victim::new();
    for carrier in CARRIERS {
        let length = if matches!(carrier, Carrier::BDmk | Carrier::BDik2) { 32 } else { 16 };
        for key in repeated(length) {
            let end = victim.deliver(carrier, &|block| Block { key: key.clone(), ..block.clone() }.wrap());
            assert_eq!(end, Err(End::Code(0x0007)), "{carrier:?}: {key:02X?}");
        }
        assert_eq!(victim.deliver(carrier, &Block::wrap), Ok(()), "{carrier:?}");
    }
    // At the KMS, in what a KLD reports.
    let world = World::new();
    let server = world.start(&Options { suite_02: true, ..Options::default() });
    kms_ec::install(&server);
    rks_ec::install(&server);
    let mut entries = Vec::new();
    for (number, (usage, length)) in [("K1", 16), ("11", 32)].into_iter().enumerate() {
        for (at, key) in repeated(length).iter().enumerate() {
            let sn = format!("SN-{number}{at}");
            let kcv = hex(&kcv(key));
            let key = if usage == "K1" {
                json!({ "kind": "tmk", "slot": 3, "kcv": kcv, "load_counter": 1,
                        "block": under_exchange((usage, "B"), (&sn, 3), key) })
            } else {
                json!({ "kind": "dmk", "kcv": kcv, "block": under_exchange((usage, "N"), (&sn, 0), key) })
            };
            entries.push(json!({ "sn": sn, "ok": true, "keys": [key] }));
        }
    }
    let cms = signed(&crate::support::estate::ESTATE.operator, &rks_ec::report("run-weak", &entries));
    for result in results(&https::post(server.https, "/v1/kld-reports", CMS, &cms)) {
        assert_eq!(result["code"], json!("block-refused"), "{result}");
    }
    assert_eq!((world.count("terminals"), world.count("tmks")), (0, 0));
    // And none is made: of these hundred none has a repeated part, and none comes twice.
    let terminal = Ec::new("SN-1");
    kms_ec::collect_all(&server, &[&terminal]);
    let mut made = HashSet::new();
    for _ in 0..100 {
        let key = terminal.download(server.terminals, 0).unwrap().key;
        assert_ne!(key[..8], key[8..]);
        assert!(made.insert(key));
    }
}
