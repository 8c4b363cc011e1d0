//! Keys of suite 02 between KLD and KMS, under an AES key agreed by components.

use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};
use paycrypto::{AesKey, digest, ec::keys::Dik1};

use super::super::{Exchange, ExchangeAes, OWNER, PAD, exchange as suite_01, refused};
use crate::{
    Hsm, KeyBlock, Refusal,
    commands::{
        ExportDik1, ExportHeld, Held, HeldKeyEc, ImportDik1, ImportDik1Ec, ImportLoaded, Imported, MakeDik1,
        MakeDik1Ec,
    },
};

const TMK: Held = Held::Tmk { slot: 3 };
/// A DMK in clear, and in its first half a TMK.
const CLEAR: [u8; 32] = *b"no part of this key comes again!";
const CLEAR_TMK: &[u8] = CLEAR.split_at(16).0;

pub(super) async fn run(hsm: &impl Hsm, exchange: &ExchangeAes) {
    keys_come_in_and_go_out(hsm, exchange).await;
    a_factor_comes_in_and_goes_out(hsm, exchange).await;
    a_block_that_says_anything_else_is_refused(hsm, exchange).await;
    dik1_goes_to_another_hsm_with_its_label(hsm, exchange).await;
}

/// R7: a TDES exchange key carries no AES key, and an AES one none of suite 01.
pub(in super::super) async fn no_exchange_key_carries_the_other_suites_keys(
    hsm: &impl Hsm,
    tdes: &Exchange,
    aes: &ExchangeAes,
) {
    let tmk = imported(hsm, aes, TMK, CLEAR_TMK).await.block;
    refused(hsm.call(export(&tmk, TMK, &tdes.block)).await, |r| matches!(r, Refusal::WrongUse { .. }));
    let key = paycrypto::TdesKey::generate24().unwrap();
    let tmk = suite_01::imported(hsm, tdes, TMK, &key).await.block;
    refused(hsm.call(export(&tmk, TMK, &aes.block)).await, |r| matches!(r, Refusal::WrongUse { .. }));

    let label = || "batch".to_owned();
    let dik1_ec = hsm.call(MakeDik1Ec { owner: OWNER.into(), label: label() }).await.unwrap().block;
    let dik1 = hsm.call(MakeDik1 { owner: OWNER.into(), label: label() }).await.unwrap().block;
    for (dik1, under) in [(&dik1_ec, &tdes.block), (&dik1, &aes.block)] {
        let export = ExportDik1 { dik1: dik1.clone(), under: under.clone(), owner: OWNER.into() };
        refused(hsm.call(export).await, |r| matches!(r, Refusal::WrongUse { .. }));
    }
    let (block, owner) = (String::new(), OWNER.to_owned());
    let taken = ImportDik1Ec { block: block.clone(), under: tdes.block.clone(), owner, label: label() };
    refused(hsm.call(taken).await, |r| matches!(r, Refusal::WrongUse { .. }));
    let taken = ImportDik1 { block, under: aes.block.clone(), owner: OWNER.into(), label: label() };
    refused(hsm.call(taken).await, |r| matches!(r, Refusal::WrongUse { .. }));
    // A TDES key as a block of version D, and an AES key as one of version B, say what they are.
    let tdes_key = wrap(aes, &header(Algorithm::TDES, "K1", Mode::BOTH, &place(TMK)), CLEAR_TMK);
    refused(hsm.call(import(&aes.block, tdes_key, TMK)).await, |r| matches!(r, Refusal::Import { .. }));
}

/// Imports a key of suite 02 and gives its block.
pub(in super::super) async fn imported(
    hsm: &impl Hsm,
    exchange: &ExchangeAes,
    what: Held,
    key: &[u8],
) -> HeldKeyEc {
    let block = wrap(exchange, &header_of(what), key);
    match hsm.call(import(&exchange.block, block, what)).await.unwrap() {
        Imported::KeyEc(key) => key,
        Imported::Factor { .. } | Imported::Key(_) => panic!("a key of suite 02 came in as another"),
    }
}

fn header(algorithm: Algorithm, usage: &str, mode: Mode, place: &str) -> Header {
    let usage = Usage::parse(usage).unwrap();
    Header::new(Version::D, usage, algorithm, mode, Exportability::NOT_EXPORTABLE)
        .with_optional("10", place)
        .unwrap()
}

fn header_of(what: Held) -> Header {
    let (usage, mode) = match what {
        Held::Tmk { .. } => ("K1", Mode::BOTH),
        Held::Dmk => ("11", Mode::NO_RESTRICTION),
        Held::Factor => ("13", Mode::NO_RESTRICTION),
    };
    header(Algorithm::AES, usage, mode, &place(what))
}

fn place(what: Held) -> String {
    let slot = if let Held::Tmk { slot } = what { slot } else { 0 };
    format!("{PAD}/{slot:02}")
}

fn wrap(exchange: &ExchangeAes, header: &Header, key: &[u8]) -> String {
    Kbpk::new(Version::D, exchange.key.expose()).unwrap().wrap(header, key).unwrap()
}

fn import(under: &KeyBlock, block: String, what: Held) -> ImportLoaded {
    ImportLoaded { under: under.clone(), block, pin_pad: PAD.into(), what, owner: OWNER.into() }
}

fn export(key: &KeyBlock, what: Held, under: &KeyBlock) -> ExportHeld {
    let (key, under) = (key.clone(), under.clone());
    ExportHeld { key, what, pin_pad: PAD.into(), under, owner: OWNER.into() }
}

async fn keys_come_in_and_go_out(hsm: &impl Hsm, exchange: &ExchangeAes) {
    for (what, key) in [(TMK, CLEAR_TMK), (Held::Dmk, &CLEAR)] {
        let held = imported(hsm, exchange, what, key).await;
        assert_eq!(held.kcv, AesKey::from_bytes(key).unwrap().kcv());
        let out = hsm.call(export(&held.block, what, &exchange.block)).await.unwrap();
        let opened = Kbpk::new(Version::D, exchange.key.expose()).unwrap().unwrap(&out).unwrap();
        assert_eq!(opened.key.as_slice(), key);
        assert_eq!(opened.header.optional("10"), Some(place(what).as_str()));

        let other_pad =
            ExportHeld { pin_pad: "SN-2002".into(), ..export(&held.block, what, &exchange.block) };
        refused(hsm.call(other_pad).await, |r| matches!(r, Refusal::WrongPlace { .. }));
        let as_factor = export(&held.block, Held::Factor, &exchange.block);
        refused(hsm.call(as_factor).await, |r| {
            matches!(r, Refusal::WrongUse { .. } | Refusal::WrongPlace { .. })
        });
    }
}

async fn a_factor_comes_in_and_goes_out(hsm: &impl Hsm, exchange: &ExchangeAes) {
    for factor in [b"F".as_slice(), b"KLD-7/20261120/B042", &[7; 32]] {
        let block = wrap(exchange, &header_of(Held::Factor), factor);
        let imported = hsm.call(import(&exchange.block, block, Held::Factor)).await.unwrap();
        let Imported::Factor { block, digest } = imported else { panic!("a factor came in as a key") };
        assert_eq!(digest, digest::sha256(factor));
        let out = hsm.call(export(&block, Held::Factor, &exchange.block)).await.unwrap();
        let opened = Kbpk::new(Version::D, exchange.key.expose()).unwrap().unwrap(&out).unwrap();
        assert_eq!(opened.key.as_slice(), factor);
    }
}

async fn a_block_that_says_anything_else_is_refused(hsm: &impl Hsm, exchange: &ExchangeAes) {
    let good = header_of(TMK);
    let mut exportable = good.clone();
    exportable.exportability = Exportability::EXPORTABLE;
    for (case, header, key) in [
        ("another usage", header_of(Held::Dmk), CLEAR_TMK),
        ("another mode", header(Algorithm::AES, "K1", Mode::ENCRYPT, &place(TMK)), CLEAR_TMK),
        ("another place", header(Algorithm::AES, "K1", Mode::BOTH, "SN-2002/03"), CLEAR_TMK),
        ("a context", good.clone().with_optional("11", "00").unwrap(), CLEAR_TMK),
        ("exportable", exportable, CLEAR_TMK),
        ("32 bytes", good.clone(), &CLEAR),
        ("24 bytes", good.clone(), &CLEAR[..24]),
        ("zeros", good.clone(), &[0; 16]),
        ("equal halves", good, b"8 bytes 8 bytes "),
    ] {
        let outcome = hsm.call(import(&exchange.block, wrap(exchange, &header, key), TMK)).await;
        let named = matches!(outcome, Err(crate::HsmError::Refused(Refusal::Import { .. })));
        assert!(named, "{case}: {outcome:?}");
    }
    let short = wrap(exchange, &header_of(Held::Dmk), CLEAR_TMK);
    refused(hsm.call(import(&exchange.block, short, Held::Dmk)).await, |r| {
        matches!(r, Refusal::Import { .. })
    });
    let other = ExchangeAes { block: exchange.block.clone(), key: AesKey::generate32().unwrap() };
    let foreign = wrap(&other, &header_of(TMK), CLEAR_TMK);
    refused(hsm.call(import(&exchange.block, foreign, TMK)).await, |r| matches!(r, Refusal::Import { .. }));
}

async fn dik1_goes_to_another_hsm_with_its_label(hsm: &impl Hsm, exchange: &ExchangeAes) {
    let label = "batch-2";
    let made = hsm.call(MakeDik1Ec { owner: OWNER.into(), label: label.into() }).await.unwrap();
    let export = ExportDik1 { dik1: made.block.clone(), under: exchange.block.clone(), owner: OWNER.into() };
    let out = hsm.call(export.clone()).await.unwrap();
    let opened = Kbpk::new(Version::D, exchange.key.expose()).unwrap().unwrap(&out).unwrap();
    let key = Dik1::from_bytes(opened.key.as_slice().try_into().unwrap());
    assert_eq!(key.kcv(), made.kcv);
    assert_eq!(opened.header.optional("LB"), Some(label));
    let import =
        ImportDik1Ec { block: out, under: exchange.block.clone(), owner: OWNER.into(), label: label.into() };
    assert_eq!(hsm.call(import.clone()).await.unwrap().kcv, made.kcv);
    let other_label = ImportDik1Ec { label: "other".into(), ..import.clone() };
    refused(hsm.call(other_label).await, |r| matches!(r, Refusal::Import { .. }));
    let (usage, exportability) = (Usage::parse("B3").unwrap(), Exportability::NOT_EXPORTABLE);
    let zeros = Header::new(Version::D, usage, Algorithm::AES, Mode::DERIVE, exportability);
    let zeros = wrap(exchange, &zeros.with_optional("LB", label).unwrap(), &[0; 32]);
    let zeros = ImportDik1Ec { block: zeros, ..import.clone() };
    refused(hsm.call(zeros).await, |r| matches!(r, Refusal::Import { .. }));
    let bad_label = ImportDik1Ec { label: "two words".into(), ..import.clone() };
    refused(hsm.call(bad_label).await, |r| matches!(r, Refusal::Malformed { .. }));
    let foreign = ImportDik1Ec { owner: "ACQ-2".into(), ..import };
    refused(hsm.call(foreign).await, |r| matches!(r, Refusal::WrongOwner { .. }));
    let misused = ExportDik1 { under: made.block, ..export };
    refused(hsm.call(misused).await, |r| matches!(r, Refusal::WrongUse { .. }));
    let unnamed = MakeDik1Ec { owner: OWNER.into(), label: "two words".into() };
    refused(hsm.call(unnamed).await, |r| matches!(r, Refusal::Malformed { .. }));
}
