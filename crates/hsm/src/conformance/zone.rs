//! Zone master keys: zone keys in and out, and an estate that moves in.

use keyblock::{Algorithm, Exportability, Header, Kbpk, KeyVersion, Mode, Usage, Version};
use paycrypto::{AesKey, TdesKey};

use super::{Entered, OWNER, PAD, refused};
use crate::{
    Hsm, KeyBlock, Refusal,
    commands::{Held, ImportUnderZone, ImportZoneKey, MakeZoneKey, ZoneAlgorithm},
};

const ZONE: &str = "ISSUER-1";
const TMK: Held = Held::Tmk { slot: 3 };
const PLACE: &str = "SN-1001/03";

pub(super) async fn run(hsm: &impl Hsm, entered: &Entered) {
    let masters = [Master::tdes(entered), Master::aes(entered)];
    for master in &masters {
        master.zone_keys_come_in(hsm).await;
        master.zone_keys_are_made_for_both_sides(hsm).await;
        master.a_zone_key_that_says_anything_else_is_refused(hsm).await;
        master.terminals_keys_move_in(hsm).await;
        master.a_terminals_key_that_says_anything_else_is_refused(hsm).await;
        master.poor_keys_are_refused(hsm).await;
        master.it_is_none_of_the_keys_that_it_protects(hsm, entered).await;
    }
    let [tdes, aes] = &masters;
    each_version_opens_under_its_own_cipher_only(hsm, tdes, aes).await;
    an_aes_key_does_not_travel_under_a_tdes_key(hsm, tdes).await;
}

/// A zone master key as the other side has it.
struct Master {
    block: KeyBlock,
    kbpk: Kbpk,
    version: Version,
}

impl Master {
    fn tdes(entered: &Entered) -> Self {
        let kbpk = Kbpk::new(Version::B, entered.zone_tdes.key.expose()).unwrap();
        Self { block: entered.zone_tdes.block.clone(), kbpk, version: Version::B }
    }

    fn aes(entered: &Entered) -> Self {
        let kbpk = Kbpk::new(Version::D, entered.zone_aes.key.expose()).unwrap();
        Self { block: entered.zone_aes.block.clone(), kbpk, version: Version::D }
    }

    fn header(&self, usage: &str, algorithm: Algorithm, mode: Mode) -> Header {
        let usage = Usage::parse(usage).unwrap();
        Header::new(self.version, usage, algorithm, mode, Exportability::NOT_EXPORTABLE)
    }

    fn wrap(&self, header: &Header, key: &[u8]) -> String {
        self.kbpk.wrap(header, key).unwrap()
    }

    fn import(&self, block: String) -> ImportZoneKey {
        ImportZoneKey { under: self.block.clone(), block, owner: OWNER.into(), zone: ZONE.into() }
    }

    fn move_in(&self, what: Held, block: String) -> ImportUnderZone {
        let (under, pin_pad, owner) = (self.block.clone(), PAD.into(), OWNER.into());
        ImportUnderZone { under, block, what, pin_pad, owner }
    }

    async fn zone_keys_come_in(&self, hsm: &impl Hsm) {
        let tdes = TdesKey::generate24().unwrap();
        let double = TdesKey::generate16().unwrap();
        for key in [&tdes, &double] {
            for mode in [Mode::ENCRYPT, Mode::BOTH] {
                let block = self.wrap(&self.header("P0", Algorithm::TDES, mode), key.expose());
                let zone = hsm.call(self.import(block)).await.unwrap();
                assert_eq!((zone.algorithm, zone.kcv), (ZoneAlgorithm::Tdes, key.kcv().to_vec()));
            }
        }
        if self.version == Version::D {
            for key in [AesKey::generate16(), AesKey::generate24(), AesKey::generate32()] {
                let key = key.unwrap();
                let header = self.header("P0", Algorithm::AES, Mode::BOTH);
                let zone = hsm.call(self.import(self.wrap(&header, key.expose()))).await.unwrap();
                assert_eq!((zone.algorithm, zone.kcv), (ZoneAlgorithm::Aes, key.kcv().to_vec()));
            }
        }
        if self.version == Version::D {
            let header = self.header("P0", Algorithm::AES, Mode::BOTH);
            let repeated = hsm.call(self.import(self.wrap(&header, &[0x5A; 16]))).await;
            refused(repeated, |r| matches!(r, Refusal::Import { .. }));
        }
        // Other systems say more of their keys than this one; what the standard has is no reason to refuse.
        let mut header = self.header("P0", Algorithm::TDES, Mode::BOTH);
        header.exportability = Exportability::EXPORTABLE;
        header.key_version = KeyVersion::parse("07").unwrap();
        let header = header.with_optional("TS", "2026-11-21T00:00:00Z").unwrap();
        hsm.call(self.import(self.wrap(&header, tdes.expose()))).await.unwrap();
    }

    async fn zone_keys_are_made_for_both_sides(&self, hsm: &impl Hsm) {
        let algorithms: &[_] = match self.version {
            Version::D => &[(ZoneAlgorithm::Tdes, 24), (ZoneAlgorithm::Aes, 32)],
            _ => &[(ZoneAlgorithm::Tdes, 24)],
        };
        for (algorithm, len) in algorithms {
            let make = MakeZoneKey {
                under: self.block.clone(),
                owner: OWNER.into(),
                zone: ZONE.into(),
                algorithm: *algorithm,
            };
            let made = hsm.call(make.clone()).await.unwrap();
            let opened = self.kbpk.unwrap(&made.under_zone).unwrap();
            assert_eq!(opened.key.len(), *len);
            let header = &opened.header;
            assert_eq!((header.usage.as_str(), header.mode.as_str()), ("P0", "B"));
            assert_eq!((header.exportability.as_str(), header.optional.len()), ("N", 0));
            let taken = hsm.call(self.import(made.under_zone)).await.unwrap();
            assert_eq!((taken.kcv, taken.algorithm), (made.key.kcv.clone(), *algorithm), "the same key");
            let again = hsm.call(make.clone()).await.unwrap();
            assert_ne!(again.key.kcv, made.key.kcv, "each is a new key");
            let bad = MakeZoneKey { zone: "a zone".into(), ..make.clone() };
            refused(hsm.call(bad).await, |r| matches!(r, Refusal::Malformed { .. }));
            let foreign = MakeZoneKey { owner: "ACQ-2".into(), ..make };
            refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
        }
    }

    async fn a_zone_key_that_says_anything_else_is_refused(&self, hsm: &impl Hsm) {
        let key = TdesKey::generate24().unwrap();
        let good = self.header("P0", Algorithm::TDES, Mode::BOTH);
        let mut component = good.clone();
        component.key_version = KeyVersion::parse("c1").unwrap();
        for (case, header) in [
            ("another usage", self.header("K0", Algorithm::TDES, Mode::BOTH)),
            ("a MAC key", self.header("M3", Algorithm::TDES, Mode::GENERATE_AND_VERIFY)),
            ("for decrypting only", self.header("P0", Algorithm::TDES, Mode::DECRYPT)),
            ("another algorithm", self.header("P0", Algorithm::HMAC, Mode::BOTH)),
            ("a component", component),
            ("a place", good.clone().with_optional("10", PLACE).unwrap()),
            ("a proprietary text", good.clone().with_optional("77", "X").unwrap()),
        ] {
            let outcome = hsm.call(self.import(self.wrap(&header, key.expose()))).await;
            assert!(matches!(outcome, Err(crate::HsmError::Refused(Refusal::Import { .. }))), "{case}");
        }
        let block = self.wrap(&good, key.expose());
        let mut changed = block.clone();
        changed.replace_range(block.len() - 1.., if block.ends_with('0') { "1" } else { "0" });
        for bad in [String::new(), "garbage".into(), changed] {
            refused(hsm.call(self.import(bad)).await, |r| matches!(r, Refusal::Import { .. }));
        }
        for zone in ["", "a zone", &"x".repeat(33)] {
            let bad = ImportZoneKey { zone: zone.into(), ..self.import(block.clone()) };
            refused(hsm.call(bad).await, |r| matches!(r, Refusal::Malformed { .. }));
        }
        let foreign = ImportZoneKey { owner: "ACQ-2".into(), ..self.import(block) };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
    }

    async fn terminals_keys_move_in(&self, hsm: &impl Hsm) {
        let key = TdesKey::generate24().unwrap();
        for (what, usage, place) in [
            (TMK, "K0", PLACE),
            (TMK, "K1", PLACE),
            (Held::Dmk, "K0", "SN-1001/00"),
            (Held::Dmk, "K1", "SN-1001/00"),
            (Held::Dmk, "11", "SN-1001/00"),
        ] {
            for mode in [Mode::BOTH, Mode::ENCRYPT, Mode::NO_RESTRICTION] {
                let bare = self.header(usage, Algorithm::TDES, mode);
                let bound = bare.clone().with_optional("10", place).unwrap();
                let told = bare.clone().with_optional("TS", "2026-11-21T00:00:00Z").unwrap();
                for header in [bare, bound, told] {
                    let block = self.wrap(&header, key.expose());
                    let held = hsm.call(self.move_in(what, block)).await.unwrap();
                    assert_eq!(held.kcv, key.kcv());
                }
            }
        }
    }

    async fn a_terminals_key_that_says_anything_else_is_refused(&self, hsm: &impl Hsm) {
        let key = TdesKey::generate24().unwrap();
        let good = self.header("K0", Algorithm::TDES, Mode::BOTH);
        let mut component = good.clone();
        component.key_version = KeyVersion::parse("c2").unwrap();
        for (case, header) in [
            ("a DMK as a TMK", self.header("11", Algorithm::TDES, Mode::NO_RESTRICTION)),
            ("a PIN key", self.header("P0", Algorithm::TDES, Mode::BOTH)),
            ("for decrypting only", self.header("K0", Algorithm::TDES, Mode::DECRYPT)),
            ("another algorithm", self.header("K0", Algorithm::AES, Mode::BOTH)),
            ("another slot", good.clone().with_optional("10", "SN-1001/04").unwrap()),
            ("another PIN pad", good.clone().with_optional("10", "SN-1002/03").unwrap()),
            ("another proprietary text", good.clone().with_optional("11", "X").unwrap()),
            ("a component", component),
        ] {
            let outcome = hsm.call(self.move_in(TMK, self.wrap(&header, key.expose()))).await;
            assert!(matches!(outcome, Err(crate::HsmError::Refused(Refusal::Import { .. }))), "{case}");
        }
        let block = self.wrap(&good, key.expose());
        let factor = self.move_in(Held::Factor, block.clone());
        refused(hsm.call(factor).await, |r| matches!(r, Refusal::Malformed { .. }));
        let past = self.move_in(Held::Tmk { slot: 100 }, block.clone());
        refused(hsm.call(past).await, |r| matches!(r, Refusal::Malformed { .. }));
        let foreign = ImportUnderZone { owner: "ACQ-2".into(), ..self.move_in(TMK, block) };
        refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
    }

    async fn poor_keys_are_refused(&self, hsm: &impl Hsm) {
        let good = TdesKey::generate24().unwrap();
        let parts = good.expose();
        for (case, key) in [
            ("weak", [[0x01; 8], [0x1F; 8], [0xFE; 8]].concat()),
            ("first parts equal", [&parts[..8], &parts[..8], &parts[16..]].concat()),
            ("outer parts equal", [&parts[..16], &parts[..8]].concat()),
            ("8 bytes", parts[..8].to_vec()),
        ] {
            let zone = self.wrap(&self.header("P0", Algorithm::TDES, Mode::BOTH), &key);
            let zone = hsm.call(self.import(zone)).await;
            assert!(matches!(zone, Err(crate::HsmError::Refused(Refusal::Import { .. }))), "{case}");
            let tmk = self.wrap(&self.header("K0", Algorithm::TDES, Mode::BOTH), &key);
            let tmk = hsm.call(self.move_in(TMK, tmk)).await;
            assert!(matches!(tmk, Err(crate::HsmError::Refused(Refusal::Import { .. }))), "{case}");
        }
        // A terminal's key of 16 bytes is refused for its length, so that people can tell why.
        let short = self.wrap(&self.header("K0", Algorithm::TDES, Mode::BOTH), &parts[..16]);
        let outcome = hsm.call(self.move_in(TMK, short)).await;
        refused(outcome, |r| matches!(r, Refusal::Import { defect } if defect.contains("16 bytes")));
    }

    /// A key has one use: the zone master key does not come in as a key of its zone.
    async fn it_is_none_of_the_keys_that_it_protects(&self, hsm: &impl Hsm, entered: &Entered) {
        let (algorithm, own) = match self.version {
            Version::D => (Algorithm::AES, entered.zone_aes.key.expose().to_vec()),
            _ => (Algorithm::TDES, entered.zone_tdes.key.expose().to_vec()),
        };
        // Of a TDES key the parity bits are no part.
        let other_parity = own.iter().map(|byte| byte ^ u8::from(algorithm == Algorithm::TDES)).collect();
        for key in [own, other_parity] {
            let zone = self.wrap(&self.header("P0", algorithm, Mode::BOTH), &key);
            refused(hsm.call(self.import(zone)).await, |r| matches!(r, Refusal::Import { .. }));
            if algorithm == Algorithm::TDES {
                let tmk = self.wrap(&self.header("K0", algorithm, Mode::BOTH), &key);
                refused(hsm.call(self.move_in(TMK, tmk)).await, |r| matches!(r, Refusal::Import { .. }));
            }
        }
    }
}

async fn each_version_opens_under_its_own_cipher_only(hsm: &impl Hsm, tdes: &Master, aes: &Master) {
    let key = TdesKey::generate24().unwrap();
    for (of, under) in [(tdes, aes), (aes, tdes)] {
        let zone = of.wrap(&of.header("P0", Algorithm::TDES, Mode::BOTH), key.expose());
        refused(hsm.call(under.import(zone)).await, |r| matches!(r, Refusal::Import { .. }));
        let tmk = of.wrap(&of.header("K0", Algorithm::TDES, Mode::BOTH), key.expose());
        refused(hsm.call(under.move_in(TMK, tmk)).await, |r| matches!(r, Refusal::Import { .. }));
    }
}

async fn an_aes_key_does_not_travel_under_a_tdes_key(hsm: &impl Hsm, tdes: &Master) {
    let block = tdes.wrap(&tdes.header("P0", Algorithm::AES, Mode::BOTH), &[0x5A; 16]);
    refused(hsm.call(tdes.import(block)).await, |r| matches!(r, Refusal::Import { .. }));
    let make = MakeZoneKey {
        under: tdes.block.clone(),
        owner: OWNER.into(),
        zone: ZONE.into(),
        algorithm: ZoneAlgorithm::Aes,
    };
    refused(hsm.call(make).await, |r| matches!(r, Refusal::Malformed { .. }));
}
