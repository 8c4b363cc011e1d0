//! R7: a key never travels under a weaker one.

use hsm::{
    Refusal,
    commands::{
        ExportDik1, ExportHeld, Held, ImportZoneKey, MakeZoneKey, Request, TkSource, TranslateTk,
        TransportKeyBlocks, ZoneAlgorithm,
    },
};
use keyblock::{Algorithm, Mode, Version};
use paycrypto::{AesKey, TdesKey};

use super::Foreign;
use crate::{
    policy_tests::{OWNER, PAD, Room},
    purpose::Purpose,
};

/// Which exchange key carries which key away: those of its own suite, and none of the other.
#[test]
fn r7_no_key_leaves_under_a_key_of_the_other_suite() {
    let room = Room::new();
    let place = |what| Some(if matches!(what, Held::Tmk { .. }) { "SN-1/03" } else { "SN-1/00" });
    let tmk = Held::Tmk { slot: 3 };
    for (under, good) in [
        (Purpose::Exchange, [Purpose::Tmk, Purpose::Dmk, Purpose::Factor, Purpose::Dik1]),
        (Purpose::ExchangeAes, [Purpose::TmkAes, Purpose::DmkAes, Purpose::FactorAes, Purpose::Dik1Aes]),
    ] {
        for (key, what) in [
            (Purpose::Tmk, Some(tmk)),
            (Purpose::TmkAes, Some(tmk)),
            (Purpose::Dmk, Some(Held::Dmk)),
            (Purpose::DmkAes, Some(Held::Dmk)),
            (Purpose::Factor, Some(Held::Factor)),
            (Purpose::FactorAes, Some(Held::Factor)),
            (Purpose::Dik1, None),
            (Purpose::Dik1Aes, None),
        ] {
            let (exchange, owner) = (room.block(under, None), OWNER.to_owned());
            let request = match what {
                Some(what) => Request::ExportHeld(ExportHeld {
                    key: room.block(key, place(what)),
                    what,
                    pin_pad: PAD.into(),
                    under: exchange,
                    owner,
                }),
                None => {
                    Request::ExportDik1(ExportDik1 { dik1: room.block(key, None), under: exchange, owner })
                }
            };
            let refusal = room.hsm.handle(request).err();
            let wrong_use = matches!(refusal, Some(Refusal::WrongUse { .. }));
            assert_eq!(refusal.is_none(), good.contains(&key), "{key:?} under {under:?}: {refusal:?}");
            assert_eq!(wrong_use, !good.contains(&key), "{key:?} under {under:?}");
        }
    }
}

/// Nor does a TK go to a KMS under a key of the other cipher.
#[test]
fn r7_no_tk_travels_under_a_protect_key_of_the_other_suite() {
    let room = Room::new();
    for (tek, auk, good) in [
        (Purpose::Tek, Purpose::Auk, Purpose::BatchProtect),
        (Purpose::TekAes, Purpose::AukAes, Purpose::BatchProtectAes),
    ] {
        for pk in [Purpose::BatchProtect, Purpose::BatchProtectAes] {
            let [tek, auk] = [tek, auk].map(|half| room.block(half, Some("SN-1/00")));
            let refusal = room.hsm.handle(Request::TranslateTk(TranslateTk {
                tk: TkSource::Held(TransportKeyBlocks { tek, auk }),
                pin_pad: PAD.into(),
                owner: OWNER.into(),
                pk: room.block(pk, Some("partner/BANK")),
                partner: "BANK".into(),
            }));
            let told = refusal.err().map(|refusal| refusal.to_string()).unwrap_or_default();
            assert_eq!(told.contains("of the other suite"), pk != good, "{told}");
        }
    }
}

#[test]
fn r7_no_aes_zone_key_comes_or_goes_under_a_tdes_key() {
    let room = Room::new();
    let (tdes, aes) = (TdesKey::generate24().unwrap(), AesKey::generate32().unwrap());
    let (owner, zone) = (|| OWNER.to_owned(), || "zone".to_owned());
    for (master, algorithm, good) in [
        (Purpose::ZoneMasterTdes, ZoneAlgorithm::Tdes, true),
        (Purpose::ZoneMasterTdes, ZoneAlgorithm::Aes, false),
        (Purpose::ZoneMasterAes, ZoneAlgorithm::Tdes, true),
        (Purpose::ZoneMasterAes, ZoneAlgorithm::Aes, true),
    ] {
        let under = room.block(master, None);
        let (version, kbpk) = match master {
            Purpose::ZoneMasterAes => (Version::D, room.aes.expose()),
            _ => (Version::B, room.tek.expose()),
        };
        let (key, cipher) = match algorithm {
            ZoneAlgorithm::Tdes => (tdes.expose(), Algorithm::TDES),
            ZoneAlgorithm::Aes => (aes.expose(), Algorithm::AES),
        };
        let foreign =
            Foreign { version, usage: "P0", algorithm: cipher, mode: Mode::ENCRYPT, optional: None };
        let block = foreign.wrap(kbpk, key);
        let import = ImportZoneKey { under: under.clone(), block, owner: owner(), zone: zone() };
        let make = MakeZoneKey { under, owner: owner(), zone: zone(), algorithm };
        for request in [Request::ImportZoneKey(import), Request::MakeZoneKey(make)] {
            let name = request.name();
            let outcome = room.hsm.handle(request);
            assert_eq!(outcome.is_ok(), good, "{name}: {algorithm:?} under {master:?}: {outcome:?}");
        }
    }
}
