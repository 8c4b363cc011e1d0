//! What stands in a package, and who believes it.

use std::fs;

use base64ct::{Base64, Encoding};
use flows::Tdes;
use keyferry_station::{
    BothCards, CollectSettings, CollectedTerminal, Error, MAX_STATION_NAME, PackSettings, Package, Quiet,
    collect,
};
use serde_json::Value;

use crate::{
    estate::{BOTH, Cards, ESTATE, now},
    fake_terminal::{answering, collected, honest},
    journals::journal,
    openssl::cms_verify,
};

pub(crate) fn settings(replaces: bool) -> PackSettings {
    PackSettings { station: "Counter 7 \"north\"".to_owned(), replaces }
}

/// One terminal with a PIN pad built in, one with an external one.
pub(crate) fn two_terminals(both: &BothCards) -> Vec<CollectedTerminal> {
    let targets = [honest("SN-1"), answering(collected("SN-2", Some("PP-2")))];
    let run =
        collect(both, &ESTATE.work_certificate(), &targets, &CollectSettings::default(), journal(), &Quiet)
            .unwrap();
    assert!(run.failed.is_empty(), "{:?}", run.failed);
    run.collected
}

#[test]
fn content_is_that_of_section_6_and_openssl_verifies_it() {
    let cards = Cards::good();
    let both = cards.open().unwrap();
    let terminals = two_terminals(&both);
    let package = Package::sign(&both, &terminals, &settings(false)).unwrap();

    let (cms, root) = (cards.path("package.cms"), cards.path("root.pem"));
    fs::write(&cms, package.cms()).unwrap();
    fs::write(&root, ESTATE.root.pem()).unwrap();
    let content = cms_verify(&cms, &root).unwrap();
    assert_eq!(content, pki::cms::open(package.cms()).unwrap().content);

    let json: Value = serde_json::from_slice(&content).unwrap();
    let collected_at = json["collected_at"].as_str().unwrap();
    assert!(collected_at.ends_with('Z') && collected_at.len() == "2026-01-01T00:00:00Z".len());
    let work = terminals[0].work_certificate_sha256();
    assert!(work.len() == 64 && work.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')));
    // The whole text, so that no field is added, renamed or moved unseen.
    let ctk_pu = |place: usize| Base64::encode_string(terminals[place].ctk_pu());
    let expected = format!(
        concat!(
            r#"{{"version":1,"station":"Counter 7 \"north\"","collected_at":"{}","terminals":["#,
            r#"{{"sn":"SN-1","vendor":"KF","model":"SIM-1","ctk_pu":"{}","work_certificate_sha256":"{}"}},"#,
            r#"{{"sn":"SN-2","pin_pad_sn":"PP-2","vendor":"KF","model":"SIM-1","ctk_pu":"{}","#,
            r#""work_certificate_sha256":"{}"}}]}}"#
        ),
        collected_at,
        ctk_pu(0),
        work,
        ctk_pu(1),
        work
    );
    assert_eq!(String::from_utf8(content).unwrap(), expected);
    assert!(ctk_pu(0).ends_with('='), "256 bytes take padding");
}

#[test]
fn signer_is_the_operator_card_and_the_time_is_now() {
    let both = &BOTH.1;
    let package = Package::sign(both, &two_terminals(both), &settings(false)).unwrap();
    let opened = pki::cms::open(package.cms()).unwrap();
    let signer = opened.only_signer().unwrap();
    assert_eq!(&signer.certificate, both.operator());
    assert!((now() - signer.signing_time).abs() < 60);
    assert_eq!(signer.intermediates, ESTATE.chain());
}

#[test]
fn replacing_run_says_so_for_each_terminal() {
    let both = &BOTH.1;
    let package = Package::sign(both, &two_terminals(both), &settings(true)).unwrap();
    let json: Value = serde_json::from_slice(&pki::cms::open(package.cms()).unwrap().content).unwrap();
    let terminals = json["terminals"].as_array().unwrap();
    assert!(terminals.len() == 2 && terminals.iter().all(|terminal| terminal["replaces"] == true));
}

#[test]
fn package_changed_by_one_byte_is_refused_by_openssl_too() {
    let cards = Cards::good();
    let both = cards.open().unwrap();
    let package = Package::sign(&both, &two_terminals(&both), &settings(false)).unwrap();
    let root = cards.path("root.pem");
    fs::write(&root, ESTATE.root.pem()).unwrap();
    let at = package.cms().windows(4).position(|window| window == b"SN-1").unwrap();
    let mut changed = package.cms().to_vec();
    changed[at + 3] = b'9';
    let path = cards.path("changed.cms");
    fs::write(&path, &changed).unwrap();
    assert!(cms_verify(&path, &root).is_err());
    assert_eq!(pki::cms::open(&changed).unwrap_err(), pki::cms::CmsRefusal::Digest);
}

#[test]
fn nothing_is_packed_without_both_cards() {
    for file in ["operator.pem", "administrator.pem"] {
        let cards = Cards::good();
        let both = cards.open().unwrap();
        let terminals = two_terminals(&both);
        cards.remove(file);
        let error = Package::sign(&both, &terminals, &settings(false)).unwrap_err();
        assert!(matches!(&error, Error::CardMissing { card } if card.ends_with(file)), "{error}");
    }
}

#[test]
fn empty_package_and_bad_station_name_are_refused() {
    let both = &BOTH.1;
    assert!(matches!(Package::sign::<Tdes>(both, &[], &settings(false)), Err(Error::NothingCollected)));
    let terminals = two_terminals(both);
    for (station, good) in [
        (String::new(), false),
        ("a\nb".to_owned(), false),
        ("é".repeat(MAX_STATION_NAME), true),
        ("é".repeat(MAX_STATION_NAME + 1), false),
    ] {
        let result = Package::sign(both, &terminals, &PackSettings { station, replaces: false });
        assert_eq!(result.is_ok(), good);
        assert!(good || matches!(result, Err(Error::StationName { .. })));
    }
}
