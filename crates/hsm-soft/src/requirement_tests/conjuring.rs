//! R25: the attacks on HSM interfaces that Bond and Clulow published: keys conjured out of random text, half keys,
//! variants, and formats that do not bind what is in them. Here every import takes a key block with a MAC, whole keys,
//! one usage, and people's components with two people or more.

use hsm::{
    KeyBlock, Refusal,
    commands::{
        Held, ImportDik1, ImportDik1Ec, ImportLoaded, ImportTk, ImportUnderZone, ImportZoneKey, Request,
        Rewrap,
    },
};
use keyblock::{Algorithm, Mode, Version};
use paycrypto::TdesKey;

use super::Foreign;
use crate::{
    lmk::Binding,
    policy_tests::{OWNER, PAD, Room},
    purpose::Purpose,
};

/// Every command that takes a key from outside, with this text.
fn imports(room: &Room, text: &str) -> Vec<Request> {
    let (owner, pin_pad, block) = (|| OWNER.to_owned(), || PAD.to_owned(), || text.to_owned());
    let mut imports = vec![];
    for under in [Purpose::Exchange, Purpose::ExchangeAes].map(|purpose| room.block(purpose, None)) {
        for what in [Held::Tmk { slot: 3 }, Held::Dmk, Held::Factor] {
            let under = under.clone();
            let import = ImportLoaded { under, block: block(), pin_pad: pin_pad(), what, owner: owner() };
            imports.push(Request::ImportLoaded(import));
        }
    }
    let label = || "batch".to_owned();
    let under = room.block(Purpose::Exchange, None);
    imports.push(Request::ImportDik1(ImportDik1 { block: block(), under, owner: owner(), label: label() }));
    let under = room.block(Purpose::ExchangeAes, None);
    let import = ImportDik1Ec { block: block(), under, owner: owner(), label: label() };
    imports.push(Request::ImportDik1Ec(import));
    for under in [Purpose::ZoneMasterTdes, Purpose::ZoneMasterAes].map(|purpose| room.block(purpose, None)) {
        let zone = "zone".to_owned();
        let import = ImportZoneKey { under: under.clone(), block: block(), owner: owner(), zone };
        imports.push(Request::ImportZoneKey(import));
        for what in [Held::Tmk { slot: 3 }, Held::Dmk] {
            let under = under.clone();
            let import = ImportUnderZone { under, block: block(), what, pin_pad: pin_pad(), owner: owner() };
            imports.push(Request::ImportUnderZone(import));
        }
    }
    for pk in [Purpose::BatchProtect, Purpose::BatchProtectAes] {
        let pk = room.block(pk, Some("partner/BANK"));
        let (tek, auk, partner) = (block(), block(), "BANK".into());
        let import = ImportTk { tek, auk, pin_pad: pin_pad(), owner: owner(), pk, partner };
        imports.push(Request::ImportTk(import));
    }
    imports
}

fn all_refuse(room: &Room, text: &str) {
    for request in imports(room, text) {
        let name = request.name();
        let refusal = room.hsm.handle(request).err();
        assert!(matches!(refusal, Some(Refusal::Import { .. })), "{name} of {text}: {refusal:?}");
    }
}

/// A block as each side's own table has it; each is taken by some import and refused by the others.
fn good(version: Version) -> Foreign<'static> {
    let algorithm = if version == Version::D { Algorithm::AES } else { Algorithm::TDES };
    Foreign { version, usage: "K1", algorithm, mode: Mode::BOTH, optional: Some(("10", "SN-1/03")) }
}

#[test]
fn r25_no_key_is_conjured_out_of_text_that_nobody_wrapped() {
    let room = Room::new();
    all_refuse(&room, "");
    all_refuse(&room, &"0".repeat(48));
    all_refuse(&room, &"A5".repeat(24));
    // A key's bytes, bare and encrypted, as old interfaces take them.
    let bare = crate::hex(room.aes16.expose());
    all_refuse(&room, &bare);
    all_refuse(&room, &format!("U{bare}"));
    for (version, kbpk) in [(Version::B, room.tek.expose()), (Version::D, room.aes.expose())] {
        let block = good(version).wrap(kbpk, room.aes16.expose());
        for other in ["0", "1"] {
            let changed = format!("{}{other}", &block[..block.len() - 1]);
            if changed != block {
                all_refuse(&room, &changed);
            }
        }
    }
}

#[test]
fn r25_versions_a_and_c_are_taken_by_nobody() {
    let room = Room::new();
    // Blocks of a real HSM and of the standards, under their own keys.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/external/tr31_psec.json");
    let vectors: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut tried = 0;
    for row in rows(&vectors) {
        let (Some(block), Some(kbpk)) = (row["kb"].as_str(), row["kbpk"].as_str()) else { continue };
        let kbpk = unhex(kbpk);
        if !block.starts_with(['A', 'C']) || TdesKey::from_bytes_strict(&kbpk).is_err() {
            continue;
        }
        for (purpose, zone) in [(Purpose::Exchange, false), (Purpose::ZoneMasterTdes, true)] {
            let bound = Binding { place: None, owner: OWNER, tk_hash: None };
            let under = room.hsm.lmk.wrap(purpose, bound, &kbpk).unwrap();
            let (what, block) = (Held::Tmk { slot: 3 }, block.to_owned());
            let (owner, pin_pad) = (OWNER.to_owned(), PAD.to_owned());
            let request = if zone {
                Request::ImportUnderZone(ImportUnderZone { under, block, what, pin_pad, owner })
            } else {
                Request::ImportLoaded(ImportLoaded { under, block, pin_pad, what, owner })
            };
            let refusal = room.hsm.handle(request).err();
            assert!(matches!(refusal, Some(Refusal::Import { .. })), "{refusal:?}");
            tried += 1;
        }
    }
    assert!(tried > 10, "{tried} blocks of versions A and C");
    // Nor is one made of the other by its first letter.
    let block = good(Version::B).wrap(room.tek.expose(), room.tek.expose());
    for letter in ["A", "C", "D", "E"] {
        all_refuse(&room, &format!("{letter}{}", &block[1..]));
    }
}

#[test]
fn r25_half_a_key_is_no_key() {
    let room = Room::new();
    for length in [8, 16] {
        let half = good(Version::B).wrap(room.tek.expose(), &room.tek.expose()[..length]);
        all_refuse(&room, &half);
    }
    // One half twice: a single DES key in the clothes of a long one.
    let part = &room.tek.expose()[..8];
    for twice in [[part, part].concat(), [part, part, part].concat()] {
        all_refuse(&room, &good(Version::B).wrap(room.tek.expose(), &twice));
    }
    let short = good(Version::D).wrap(room.aes.expose(), &room.aes16.expose()[..8]);
    all_refuse(&room, &short);
}

/// A variant is the same key with another use: here the use is in the MAC.
#[test]
fn r25_no_key_changes_its_use() {
    let room = Room::new();
    for field in room.fields() {
        for purpose in field.takes {
            let block = room.block(*purpose, field.place);
            let header_end = keyblock::Header::parse(block.as_str()).unwrap().1;
            // Usage, algorithm, mode, key version, exportability, and the texts behind them.
            for at in (5..16).chain([20, header_end - 1]) {
                let mut text = block.as_str().to_owned().into_bytes();
                let Some(character) = text.get_mut(at) else { continue };
                *character = if *character == b'0' { b'1' } else { b'0' };
                let changed = KeyBlock::from_text(String::from_utf8(text).unwrap());
                let refusal = room.refusal((field.request)(changed));
                let unknown = matches!(refusal, Some(Refusal::UnknownKey { .. }));
                assert!(unknown, "{} character {at}: {refusal:?}", field.name);
            }
        }
    }
}

/// What stands under the LMK opens in the HSM and is nobody's import; what was imported is no block under the LMK.
#[test]
fn r25_blocks_under_the_lmk_and_blocks_to_import_are_two_things() {
    let room = Room::new();
    for purpose in Purpose::ALL {
        all_refuse(&room, room.block(purpose, Some("SN-1/03")).as_str());
        all_refuse(&room, room.block(purpose, None).as_str());
    }
    let foreign = good(Version::D).wrap(room.aes.expose(), room.aes16.expose());
    let rewrap = Request::Rewrap(Rewrap { block: KeyBlock::from_text(foreign) });
    assert!(matches!(room.hsm.handle(rewrap), Err(Refusal::UnknownKey { .. })));
}

/// All rows with a block, in whichever table.
fn rows(value: &serde_json::Value) -> Vec<&serde_json::Value> {
    match value {
        serde_json::Value::Object(object) if object.contains_key("kb") => vec![value],
        serde_json::Value::Object(object) => object.values().flat_map(rows).collect(),
        serde_json::Value::Array(array) => array.iter().flat_map(rows).collect(),
        _ => vec![],
    }
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}
