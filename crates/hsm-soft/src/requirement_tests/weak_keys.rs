//! R6: the 16 weak and semi-weak DES keys at import, at derivation and at use. At making they are tested where keys are
//! made (`paycrypto`'s random source); of keys that people type, with the components.

use hsm::{
    Refusal,
    commands::{
        CheckCollected, Held, ImportDik1, ImportLoaded, ImportTk, ImportUnderZone, ImportZoneKey,
        OpenCollected, ReleaseRksKeys, Reply, Request, SealRksToken, TokenDoubt,
    },
};
use keyblock::{Algorithm, Mode, Version};
use paycrypto::{
    digest,
    hygiene::{SEMI_WEAK, WEAK},
    rks::AtTk1,
};

use super::Foreign;
use crate::{
    lmk::{Binding, NAME},
    policy_tests::{OWNER, PAD, Room},
    purpose::Purpose,
    rks_tickets::Token,
};

/// A key of 24 bytes, otherwise good, with each weak and semi-weak key in each part, and with equal parts.
fn poor_keys() -> Vec<[u8; 24]> {
    let good: [u8; 24] = digest::sha256(b"otherwise good")[..24].try_into().unwrap();
    let weak = WEAK.into_iter().chain(SEMI_WEAK);
    let mut poor: Vec<_> = weak
        .flat_map(|weak| {
            // Parity bits are none of the key.
            let flipped = weak ^ 0x0101_0101_0101_0101;
            [(0, weak), (1, flipped), (2, weak)].map(|(part, weak)| {
                let mut key = good;
                key[8 * part..8 * part + 8].copy_from_slice(&weak.to_be_bytes());
                key
            })
        })
        .collect();
    for (from, to) in [(0, 1), (1, 2), (0, 2)] {
        let mut key = good;
        key.copy_within(8 * from..8 * from + 8, 8 * to);
        poor.push(key);
    }
    poor.push([0; 24]);
    poor
}

/// Purposes whose blocks under the LMK hold a TDES key that a command uses.
fn is_tdes_key(purpose: Purpose) -> bool {
    purpose.rule().algorithm == Algorithm::TDES && !matches!(purpose, Purpose::Factor | Purpose::Component)
}

#[test]
fn r6_a_poor_key_is_refused_at_use_in_every_field() {
    let room = Room::new();
    let (mut tried, mut taken) = (0, Vec::new());
    // A poor DIK1 at SealRksToken is told to the audit and not to the device: it has a test of its own.
    for field in room.fields().into_iter().filter(|field| field.name != "SealRksToken.dik1") {
        for purpose in field.takes.iter().copied().filter(|purpose| is_tdes_key(*purpose)) {
            for key in poor_keys() {
                let bound = Binding { place: field.place, owner: OWNER, tk_hash: Some(&room.tk_hash) };
                let notes = [(NAME, "name")];
                // A MAK has two parts.
                let key = if purpose == Purpose::Mak { &key[..16] } else { &key[..] };
                if purpose == Purpose::Mak && !is_poor(key) {
                    continue;
                }
                let block = room
                    .hsm
                    .lmk
                    .wrap_noted(purpose, bound, keyblock::KeyVersion::UNUSED, &notes, key)
                    .unwrap();
                let refusal = room.refusal((field.request)(block));
                let told = refusal.as_ref().map(ToString::to_string).unwrap_or_default();
                let named = matches!(
                    refusal,
                    Some(Refusal::WrongUse { .. } | Refusal::TransportKey { .. } | Refusal::NotMade { .. })
                );
                let words = ["weak", "equal", "poor"];
                if !named || !words.iter().any(|word| told.contains(word)) {
                    taken.push(format!("{} ({purpose:?}): {told}", field.name));
                }
                tried += 1;
            }
        }
    }
    taken.dedup();
    assert!(taken.is_empty(), "{taken:#?}");
    assert!(tried > 1000, "{tried} uses of poor keys");
}

/// Purposes whose blocks under the LMK hold an AES key, or a secret of suite 02, that a command uses; and its length.
fn aes_length(purpose: Purpose) -> Option<usize> {
    match purpose {
        Purpose::TmkAes | Purpose::PikAes | Purpose::MakAes | Purpose::TdkAes => Some(16),
        Purpose::FactorAes | Purpose::ComponentAes => None,
        other => (other.rule().algorithm == Algorithm::AES).then_some(32),
    }
}

/// AES has no weak keys; one part that is repeated, zeros among them, comes from no good generator.
#[test]
fn r6_a_repeated_aes_key_is_refused_at_use_in_every_field() {
    let room = Room::new();
    let (mut tried, mut taken) = (0, Vec::new());
    for field in room.fields() {
        for purpose in field.takes {
            let Some(length) = aes_length(*purpose) else { continue };
            let half = digest::sha256(b"half")[..length / 2].to_vec();
            for key in [vec![0; length], vec![0xFF; length], half.repeat(2)] {
                let bound = Binding { place: field.place, owner: OWNER, tk_hash: Some(&room.tk_hash) };
                let version = keyblock::KeyVersion::UNUSED;
                let notes = [(NAME, "name")];
                let block = room.hsm.lmk.wrap_noted(*purpose, bound, version, &notes, &key).unwrap();
                let refusal = room.refusal((field.request)(block));
                let told = refusal.as_ref().map(ToString::to_string).unwrap_or_default();
                if !told.contains("repeated") {
                    taken.push(format!("{} ({purpose:?}): {told}", field.name));
                }
                tried += 1;
            }
        }
    }
    taken.dedup();
    assert!(taken.is_empty(), "{taken:#?}");
    assert!(tried > 50, "{tried} uses of repeated keys");
}

#[test]
fn r6_a_poor_dik1_gives_a_token_that_nothing_opens() {
    let room = Room::new();
    for key in poor_keys() {
        let bound = Binding { place: None, owner: OWNER, tk_hash: None };
        let seal = SealRksToken {
            dik1: Some(room.hsm.lmk.wrap(Purpose::Dik1, bound, &key).unwrap()),
            factor_digest: Some(digest::sha256(b"factor")),
            ..room.seal_rks_token()
        };
        let Reply::SealRksToken(token) = room.hsm.handle(Request::SealRksToken(seal)).unwrap() else {
            panic!("another reply")
        };
        assert_eq!(token.doubt, Some(TokenDoubt::PoorDik2));
    }
}

fn is_poor(key: &[u8]) -> bool {
    paycrypto::hygiene::KeyQuality::of(key).is_poor()
}

#[test]
fn r6_a_poor_key_is_refused_at_import() {
    let room = Room::new();
    let exchange = room.block(Purpose::Exchange, None);
    let zone_master = room.block(Purpose::ZoneMasterTdes, None);
    let version_b = |usage, mode, optional| Foreign {
        version: Version::B,
        usage,
        algorithm: Algorithm::TDES,
        mode,
        optional,
    };
    let (pin_pad, owner) = (|| PAD.to_owned(), || OWNER.to_owned());
    for key in poor_keys() {
        let wrap = |foreign: Foreign<'_>| foreign.wrap(room.tek.expose(), &key);
        let tmk = wrap(version_b("K1", Mode::BOTH, Some(("10", "SN-1/03"))));
        let dmk = wrap(version_b("11", Mode::NO_RESTRICTION, Some(("10", "SN-1/00"))));
        let dik1 = wrap(version_b("B3", Mode::DERIVE, Some(("LB", "batch"))));
        let zone = wrap(version_b("P0", Mode::ENCRYPT, None));
        let (what, slot) = (Held::Tmk { slot: 3 }, Held::Dmk);
        let (under, from_zone) = (|| exchange.clone(), || zone_master.clone());
        let imports = [
            Request::ImportLoaded(ImportLoaded {
                under: under(),
                block: tmk.clone(),
                pin_pad: pin_pad(),
                what,
                owner: owner(),
            }),
            Request::ImportLoaded(ImportLoaded {
                under: under(),
                block: dmk,
                pin_pad: pin_pad(),
                what: slot,
                owner: owner(),
            }),
            Request::ImportDik1(ImportDik1 {
                block: dik1,
                under: under(),
                owner: owner(),
                label: "batch".into(),
            }),
            Request::ImportZoneKey(ImportZoneKey {
                under: from_zone(),
                block: zone,
                owner: owner(),
                zone: "zone".into(),
            }),
            Request::ImportUnderZone(ImportUnderZone {
                under: from_zone(),
                block: tmk,
                what,
                pin_pad: pin_pad(),
                owner: owner(),
            }),
        ];
        for request in imports {
            let name = request.name();
            let refusal = room.hsm.handle(request).err();
            let told = refusal.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(matches!(refusal, Some(Refusal::Import { .. })), "{name}: {told}");
            assert!(told.contains("weak") || told.contains("equal"), "{name}: {told}");
        }
    }
}

#[test]
fn r6_a_poor_transport_key_is_refused_when_it_comes_in_a_batch() {
    let room = Room::new();
    let pk = room.block(Purpose::BatchProtect, Some("partner/BANK"));
    let wrap = |usage, key: &[u8]| {
        let (version, algorithm, mode) = (Version::B, Algorithm::TDES, Mode::BOTH);
        let optional = Some(("10", "SN-1/00"));
        Foreign { version, usage, algorithm, mode, optional }.wrap(room.tek.expose(), key)
    };
    for key in poor_keys() {
        for poor_first in [true, false] {
            let good = room.tek.expose();
            let (tek, auk) = if poor_first { (&key[..], good) } else { (good, &key[..]) };
            let (pin_pad, owner, partner) = (PAD.into(), OWNER.into(), "BANK".into());
            let (tek, auk) = (wrap("K1", tek), wrap("D0", auk));
            let import = ImportTk { tek, auk, pin_pad, owner, pk: pk.clone(), partner };
            let refusal = room.hsm.handle(Request::ImportTk(import)).err();
            let told = refusal.as_ref().map(ToString::to_string).unwrap_or_default();
            assert!(matches!(refusal, Some(Refusal::TransportKey { .. })), "{told}");
            assert!(told.contains("weak") || told.contains("equal"), "{told}");
        }
    }
}

#[test]
fn r6_a_poor_transport_key_is_refused_when_it_is_collected() {
    let room = Room::new();
    for key in poor_keys() {
        for poor_first in [true, false] {
            let parts = if poor_first { [&key, room.tek.expose()] } else { [room.tek.expose(), &key] };
            let keys = parts.concat();
            let ctk_pu = room.encrypt(&[keys.as_slice(), &digest::sha256(&keys)].concat());
            let work_key = || room.block(Purpose::KmsWork, None);
            let (owner, pin_pad) = (OWNER.to_owned(), PAD.to_owned());
            let check = CheckCollected { work_key: work_key(), ctk_pu: ctk_pu.clone(), owner: owner.clone() };
            let open = OpenCollected { work_key: work_key(), ctk_pu, pin_pad, owner };
            for request in [Request::CheckCollected(check), Request::OpenCollected(open)] {
                let refusal = room.hsm.handle(request).err();
                let told = refusal.as_ref().map(ToString::to_string).unwrap_or_default();
                assert!(matches!(refusal, Some(Refusal::TransportKey { .. })) && told.contains("poor"));
            }
        }
    }
}

/// The device moves last and could choose TK2 so that TK is weak (attack `last-mover`).
#[test]
fn r6_a_poor_key_is_refused_at_derivation() {
    let room = Room::new();
    for poor in poor_keys() {
        let at_tk1 = AtTk1::generate().unwrap();
        let tk2: Vec<u8> = at_tk1.tk1().iter().zip(poor).map(|(tk1, poor)| tk1 ^ poor).collect();
        let proof = [at_tk1.at().as_slice(), &tk2, &digest::sha256(&poor)].concat();
        let token = Token { at_tk1, counts: true };
        let release = ReleaseRksKeys {
            df22: room.encrypt(&proof),
            ticket: room.hsm.rks_tickets.issue(PAD, OWNER, &token).unwrap(),
            ..room.release_rks_keys()
        };
        let refusal = room.hsm.handle(Request::ReleaseRksKeys(release)).err();
        let told = refusal.as_ref().map(ToString::to_string).unwrap_or_default();
        assert!(matches!(refusal, Some(Refusal::DeviceNotProven { .. })), "{told}");
        assert!(told.contains("weak") || told.contains("equal"), "{told}");
    }
}
