//! Keys between KLD and KMS, under a key agreed by components.

use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::{TdesKey, digest};

use super::{Exchange, OWNER, PAD, refused};
use crate::{
    Hsm, Refusal,
    commands::{ExportDik1, ExportHeld, Held, HeldKey, ImportDik1, ImportLoaded, Imported, MakeDik1},
};

pub(super) async fn run(hsm: &impl Hsm, exchange: &Exchange) {
    keys_come_in_and_go_out(hsm, exchange).await;
    factors_come_in_and_go_out(hsm, exchange).await;
    a_block_that_says_anything_else_is_refused(hsm, exchange).await;
    poor_keys_are_refused(hsm, exchange).await;
    dik1_goes_to_another_hsm_with_its_label(hsm, exchange).await;
}

const SLOT: Held = Held::Tmk { slot: 3 };
const PLACE: &str = "SN-1001/03";

fn header(usage: &str, mode: Mode, place: &str) -> Header {
    Header::new(
        Version::B,
        Usage::parse(usage).unwrap(),
        Algorithm::TDES,
        mode,
        Exportability::NOT_EXPORTABLE,
    )
    .with_optional("10", place)
    .unwrap()
}

pub(super) fn wrap(exchange: &Exchange, header: &Header, key: &[u8]) -> String {
    Kbpk::new(Version::B, exchange.key.expose()).unwrap().wrap(header, key).unwrap()
}

fn import(exchange: &Exchange, block: String, what: Held) -> ImportLoaded {
    let (under, pin_pad, owner) = (exchange.block.clone(), PAD.into(), OWNER.into());
    ImportLoaded { under, block, pin_pad, what, owner }
}

/// Imports a key and gives its block.
pub(super) async fn imported(hsm: &impl Hsm, exchange: &Exchange, what: Held, key: &TdesKey) -> HeldKey {
    let (usage, mode, place) = match what {
        Held::Tmk { slot } => ("K1", Mode::BOTH, format!("{PAD}/{slot:02}")),
        Held::Dmk | Held::Factor => ("11", Mode::NO_RESTRICTION, format!("{PAD}/00")),
    };
    let block = wrap(exchange, &header(usage, mode, &place), key.expose());
    match hsm.call(import(exchange, block, what)).await.unwrap() {
        Imported::Key(key) => key,
        Imported::Factor { .. } | Imported::KeyEc(_) => panic!("a key of suite 01 came in as another"),
    }
}

async fn keys_come_in_and_go_out(hsm: &impl Hsm, exchange: &Exchange) {
    for what in [SLOT, Held::Dmk] {
        let key = TdesKey::generate24().unwrap();
        let held = imported(hsm, exchange, what, &key).await;
        assert_eq!(held.kcv, key.kcv());
        let export = ExportHeld {
            key: held.block,
            what,
            pin_pad: PAD.into(),
            under: exchange.block.clone(),
            owner: OWNER.into(),
        };
        let out = hsm.call(export.clone()).await.unwrap();
        let opened = Kbpk::new(Version::B, exchange.key.expose()).unwrap().unwrap(&out).unwrap();
        assert_eq!(opened.key.as_slice(), key.expose());
        let place = if what == SLOT { PLACE } else { "SN-1001/00" };
        assert_eq!(opened.header.optional("10"), Some(place));
        assert_eq!(opened.header.optional.len(), 1, "its place and nothing else");
        assert!(!out.contains(&format!("{:02X}{:02X}{:02X}", held.kcv[0], held.kcv[1], held.kcv[2])));

        let other_pad = ExportHeld { pin_pad: "SN-2002".into(), ..export.clone() };
        refused(hsm.call(other_pad).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let as_factor = ExportHeld { what: Held::Factor, ..export };
        refused(hsm.call(as_factor).await, |r| matches!(r, Refusal::WrongUse { .. }));
    }
}

async fn factors_come_in_and_go_out(hsm: &impl Hsm, exchange: &Exchange) {
    let factor_header = header("13", Mode::NO_RESTRICTION, "SN-1001/00");
    for factor in [b"F".as_slice(), b"KLD-7/20261120/B042", &[7; 32]] {
        let block = wrap(exchange, &factor_header, factor);
        let Imported::Factor { block, digest } =
            hsm.call(import(exchange, block, Held::Factor)).await.unwrap()
        else {
            panic!("a factor came in as a key")
        };
        assert_eq!(digest, digest::sha256(factor));
        let export = ExportHeld {
            key: block,
            what: Held::Factor,
            pin_pad: PAD.into(),
            under: exchange.block.clone(),
            owner: OWNER.into(),
        };
        let out = hsm.call(export).await.unwrap();
        let opened = Kbpk::new(Version::B, exchange.key.expose()).unwrap().unwrap(&out).unwrap();
        assert_eq!(opened.key.as_slice(), factor);
    }
    for factor in [vec![], vec![1; 33]] {
        // A block of no bytes cannot even be made by the library.
        let Ok(block) = Kbpk::new(Version::B, exchange.key.expose()).unwrap().wrap(&factor_header, &factor)
        else {
            continue;
        };
        let outcome = hsm.call(import(exchange, block, Held::Factor)).await;
        refused(outcome, |r| matches!(r, Refusal::Import { .. }));
    }
}

async fn a_block_that_says_anything_else_is_refused(hsm: &impl Hsm, exchange: &Exchange) {
    let key = TdesKey::generate24().unwrap();
    let good = header("K1", Mode::BOTH, PLACE);
    let mut version = good.clone();
    version.key_version = keyblock::KeyVersion::parse("01").unwrap();
    let mut exportable = good.clone();
    exportable.exportability = Exportability::EXPORTABLE;
    let mut algorithm = good.clone();
    algorithm.algorithm = Algorithm::HMAC;
    let mut context = good.clone();
    context.key_context = keyblock::KeyContext::Exchange;
    let mut bare = good.clone();
    bare.optional.clear();
    for (case, header) in [
        ("another usage", header("K0", Mode::BOTH, PLACE)),
        ("a DMK", header("11", Mode::NO_RESTRICTION, PLACE)),
        ("another mode", header("K1", Mode::ENCRYPT, PLACE)),
        ("another slot", header("K1", Mode::BOTH, "SN-1001/04")),
        ("another PIN pad", header("K1", Mode::BOTH, "SN-1002/03")),
        ("a flow's block", good.clone().with_optional("11", "00112233445566778899AABBCCDDEEFF").unwrap()),
        ("no place", bare),
        ("a key version", version),
        ("exportable", exportable),
        ("another algorithm", algorithm),
        ("a key context", context),
    ] {
        let outcome = hsm.call(import(exchange, wrap(exchange, &header, key.expose()), SLOT)).await;
        assert!(
            matches!(outcome, Err(crate::HsmError::Refused(Refusal::Import { .. }))),
            "{case}: {outcome:?}"
        );
    }
    let block = wrap(exchange, &good, key.expose());
    let mut changed = block.clone();
    changed.replace_range(block.len() - 1.., if block.ends_with('0') { "1" } else { "0" });
    let other = TdesKey::generate24().unwrap();
    let foreign = Kbpk::new(Version::B, other.expose()).unwrap().wrap(&good, key.expose()).unwrap();
    let aes = Kbpk::new(Version::D, &[7; 32]).unwrap();
    let mut version_d = good.clone();
    version_d.version = Version::D;
    let version_d = aes.wrap(&version_d, key.expose()).unwrap();
    for bad in [String::new(), "B".into(), block[..block.len() - 8].into(), changed, foreign, version_d] {
        let outcome = hsm.call(import(exchange, bad, SLOT)).await;
        refused(outcome, |r| matches!(r, Refusal::Import { .. }));
    }
    let foreign = ImportLoaded { owner: "ACQ-2".into(), ..import(exchange, block.clone(), SLOT) };
    refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
    let past = import(exchange, block, Held::Tmk { slot: 100 });
    refused(hsm.call(past).await, |r| matches!(r, Refusal::Malformed { .. }));
}

async fn poor_keys_are_refused(hsm: &impl Hsm, exchange: &Exchange) {
    let good = TdesKey::generate24().unwrap();
    let parts = good.expose();
    let good_header = header("K1", Mode::BOTH, PLACE);
    for (case, key) in [
        ("weak", [[0x01; 8], [0x1F; 8], [0xFE; 8]].concat()),
        ("first parts equal", [&parts[..8], &parts[..8], &parts[16..]].concat()),
        ("outer parts equal", [&parts[..16], &parts[..8]].concat()),
        ("16 bytes", parts[..16].to_vec()),
    ] {
        let outcome = hsm.call(import(exchange, wrap(exchange, &good_header, &key), SLOT)).await;
        assert!(matches!(outcome, Err(crate::HsmError::Refused(Refusal::Import { .. }))), "{case}");
    }
}

async fn dik1_goes_to_another_hsm_with_its_label(hsm: &impl Hsm, exchange: &Exchange) {
    let made = hsm.call(MakeDik1 { owner: OWNER.into(), label: "N7-2026".into() }).await.unwrap();
    let again = hsm.call(MakeDik1 { owner: OWNER.into(), label: "N7-2026".into() }).await.unwrap();
    assert_ne!(made.block, again.block, "each is a new key");
    let export = ExportDik1 { dik1: made.block.clone(), under: exchange.block.clone(), owner: OWNER.into() };
    let block = hsm.call(export.clone()).await.unwrap();
    let read = Header::parse(&block).unwrap().0;
    assert_eq!((read.usage.as_str(), read.mode.as_str(), read.optional("LB")), ("B3", "X", Some("N7-2026")));

    let take = |label: &str, block: String| ImportDik1 {
        block,
        under: exchange.block.clone(),
        owner: OWNER.into(),
        label: label.into(),
    };
    let taken = hsm.call(take("N7-2026", block.clone())).await.unwrap();
    assert_eq!(taken.kcv, made.kcv, "the same key");
    let relabelled = hsm.call(take("N7-2027", block.clone())).await;
    refused(relabelled, |r| matches!(r, Refusal::Import { .. }));
    refused(hsm.call(take("", block.clone())).await, |r| matches!(r, Refusal::Malformed { .. }));
    let foreign = ImportDik1 { owner: "ACQ-2".into(), ..take("N7-2026", block.clone()) };
    refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
    // A TMK under the same exchange key is no DIK1, and a DIK1 is no TMK.
    let key = TdesKey::generate24().unwrap();
    let tmk = wrap(exchange, &header("K1", Mode::BOTH, PLACE), key.expose());
    refused(hsm.call(take("N7-2026", tmk)).await, |r| matches!(r, Refusal::Import { .. }));
    refused(hsm.call(import(exchange, block, SLOT)).await, |r| matches!(r, Refusal::Import { .. }));
    let misused = ExportDik1 { under: made.block, ..export };
    refused(hsm.call(misused).await, |r| matches!(r, Refusal::WrongUse { .. }));
}
