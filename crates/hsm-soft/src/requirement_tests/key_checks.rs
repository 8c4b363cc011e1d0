//! R16: check values. TDES at most 3 bytes, AES at most 5 of a CMAC; none of a key that is refused.

use std::{fs, path::Path};

use hsm::commands::{HeldKey, HeldKeyEc, MakeDik1, MakeDik1Ec, MakeZoneKey, Reply, Request, ZoneAlgorithm};
use paycrypto::{AesKey, TdesKey};

use crate::{
    lmk::{Binding, NAME},
    policy_tests::{OWNER, Room},
    purpose::Purpose,
};

/// Every field of every command and reply that is a check value has one of the two forms; a zone key may be of either
/// cipher and says of which.
#[test]
fn r16_no_command_has_a_longer_check_value() {
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../hsm/src/commands"));
    let mut found = 0;
    for file in fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let text = fs::read_to_string(&path).unwrap();
        for line in text.lines().map(str::trim).filter(|line| line.starts_with("pub ")) {
            let Some((name, kind)) = line.trim_start_matches("pub ").trim_end_matches(',').split_once(": ")
            else {
                continue;
            };
            if !["kcv", "kcvs", "avoid", "check_value"].contains(&name) {
                continue;
            }
            found += 1;
            let of_a_zone = path.ends_with("import_zone_key.rs") && kind == "Vec<u8>";
            let forms = ["[u8; 3]", "[u8; 5]", "Vec<[u8; 3]>", "Vec<[u8; 5]>"];
            assert!(of_a_zone || forms.contains(&kind), "{}: {line}", path.display());
        }
    }
    assert!(found > 10, "{found} fields were looked at");
}

#[test]
fn r16_check_values_are_made_as_the_cipher_has_them() {
    let room = Room::new();
    let (owner, label) = (|| OWNER.to_owned(), || "batch".to_owned());
    let open = |block, purpose| {
        let bound = Binding { place: None, owner: OWNER, tk_hash: None };
        room.hsm.lmk.open("the key", block, purpose, bound).unwrap().key
    };
    let made = room.hsm.handle(Request::MakeDik1(MakeDik1 { owner: owner(), label: label() })).unwrap();
    let Reply::MakeDik1(HeldKey { block, kcv }) = made else { panic!("another reply") };
    let key = TdesKey::from_bytes(&open(&block, Purpose::Dik1)).unwrap();
    assert_eq!(kcv, key.encrypt_block([0; 8])[..3], "TDES: of zeros encrypted");

    let made = room.hsm.handle(Request::MakeDik1Ec(MakeDik1Ec { owner: owner(), label: label() })).unwrap();
    let Reply::MakeDik1Ec(HeldKeyEc { block, kcv }) = made else { panic!("another reply") };
    let key = AesKey::from_bytes(&open(&block, Purpose::Dik1Aes)).unwrap();
    assert_eq!(kcv, paycrypto::mac::cmac_aes(&key, &[0; 16])[..5], "AES: of a CMAC");

    for (algorithm, length) in [(ZoneAlgorithm::Tdes, 3), (ZoneAlgorithm::Aes, 5)] {
        let under = room.block(Purpose::ZoneMasterAes, None);
        let make = MakeZoneKey { under, owner: owner(), zone: "zone".into(), algorithm };
        let Reply::MakeZoneKey(made) = room.hsm.handle(Request::MakeZoneKey(make)).unwrap() else {
            panic!("another reply")
        };
        assert_eq!((made.key.algorithm, made.key.kcv.len()), (algorithm, length));
    }
}

/// A refusal says nothing of the key: neither its bytes nor a check value.
#[test]
fn r16_a_refused_key_has_no_check_value() {
    let room = Room::new();
    let poor = TdesKey::from_bytes(&[1; 24]).unwrap();
    let (kcv, hex) = (poor.kcv(), crate::hex(&poor.kcv()));
    for field in room.fields() {
        for purpose in field.takes {
            let bound = Binding { place: field.place, owner: OWNER, tk_hash: Some(&room.tk_hash) };
            let notes = [(NAME, "name")];
            let version = keyblock::KeyVersion::UNUSED;
            let block = room.hsm.lmk.wrap_noted(*purpose, bound, version, &notes, poor.expose()).unwrap();
            let Err(refusal) = room.hsm.handle((field.request)(block)) else { continue };
            let told = format!("{refusal} {refusal:?}");
            assert!(!told.to_uppercase().contains(&hex), "{}: {told}", field.name);
            assert!(!told.contains(&format!("{kcv:?}")), "{}: {told}", field.name);
        }
    }
}
