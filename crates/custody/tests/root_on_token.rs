//! A CA whose root key is on a real PKCS #11 token (SoftHSM 2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
#[path = "common/softhsm.rs"]
mod softhsm;

use std::fs;

use common::{DAY, NOW, files, name, openssl};
use keyferry_custody::Error;
use keyferry_custody::ca::{Ca, Custodians, NewCa, Secret};
use keyferry_custody::keyfile::{self, KeyKind};
use keyferry_custody::token::{Token, TokenUri};
use pki::csr::Csr;
use pki::{RevocationReason, Role, Signer as _};
use softhsm::{SO_PIN, alone, module};

const PARTS: [&str; 2] = ["2718", "3141"];

fn new_ca(key: KeyKind) -> NewCa {
    NewCa {
        token: Some(TokenUri::new(&module(), "KF root")),
        custodians: Some(Custodians::new("Ann", "Bob").unwrap()),
        ..NewCa::new(name("Root on a token"), key)
    }
}

#[test]
fn r12_r23_a_root_on_a_token_signs_for_two_people_and_its_key_never_leaves() {
    alone(|tokens| {
        for (key, ca) in [(KeyKind::P256, "ec"), (KeyKind::Rsa(2048), "rsa")] {
            Token::initialise(&module(), "KF root", SO_PIN, &PARTS.concat()).unwrap();
            let path = tokens.folder().join(ca);
            let mut made = Ca::create(&path, &new_ca(key), Secret::Two(PARTS), NOW).unwrap();
            assert_eq!(files(&path), ["crl.pem", "issued", "lock", "log", "root.pem", "root.token"]);
            let token = Token::find(&TokenUri::new(&module(), "KF root")).unwrap();
            let said = fs::read_to_string(path.join("root.token")).unwrap();
            assert_eq!(said.trim_end(), token.exact_uri().with_object("root").to_string());
            assert_eq!(made.record().token(), Some(said.trim_end()));
            assert_eq!(&token.face().unwrap().certificate, made.root(), "the token says what it is");
            let (holder, _) = keyfile::generate(key, "a PIN of six").unwrap();
            let request = Csr { subject: name("Ada"), spki: holder.spki_der().to_vec() };
            let card = made.issue(&request, Role::Operator, 30, NOW).unwrap();
            drop(made);
            let mut opened = Ca::open(&path, Secret::Two(PARTS)).unwrap();
            opened.revoke(&card.serial_hex(), RevocationReason::KeyCompromise, NOW).unwrap();
            assert_eq!(opened.crl(7, NOW + DAY).unwrap().len(), 1);
            let verify = format!("verify -x509_strict -attime {NOW} -CAfile root.pem");
            openssl(&path, &format!("{verify} issued/0001.pem")).unwrap();
            tokens.delete("KF root");
        }
    });
}

#[test]
fn r12_one_custodian_alone_opens_no_root_on_a_token_and_costs_it_no_try() {
    alone(|tokens| {
        let token = Token::initialise(&module(), "KF root", SO_PIN, &PARTS.concat()).unwrap();
        let path = tokens.folder().join("ca");
        let create = |secret: Secret<'_>| Ca::create(&path, &new_ca(KeyKind::P256), secret, NOW);
        assert!(matches!(create(Secret::One("27183141")), Err(Error::TwoPeople { .. })));
        assert!(matches!(create(Secret::Two(["2718", "2718"])), Err(Error::SameSecret)));
        assert!(matches!(create(Secret::Two(["27183", "141"])), Err(Error::ShortPin { min: 4 })));
        let state = token.pin_state().unwrap();
        assert!(matches!(create(Secret::Two(["2718", "9999"])), Err(Error::WrongTokenPin { .. })));
        assert!(!path.exists(), "no CA without its key");
        drop(create(Secret::Two(PARTS)).unwrap());
        assert_eq!(token.pin_state().unwrap(), state);
        for alone in ["2718", "3141", "27183141"] {
            assert!(matches!(Ca::open(&path, alone), Err(Error::TwoPeople { .. })));
            assert_eq!(token.pin_state().unwrap(), state, "refused before the token was asked");
        }
        assert!(matches!(Ca::open(&path, Secret::Two(["3141", "2718"])), Err(Error::WrongTokenPin { .. })));
        Ca::open(&path, Secret::Two(PARTS)).unwrap();
    });
}

#[test]
fn a_token_that_is_away_or_another_one_is_named_and_nothing_is_signed() {
    alone(|tokens| {
        Token::initialise(&module(), "KF root", SO_PIN, &PARTS.concat()).unwrap();
        let path = tokens.folder().join("ca");
        let mut ca = Ca::create(&path, &new_ca(KeyKind::P256), Secret::Two(PARTS), NOW).unwrap();
        let log = fs::read(path.join("log")).unwrap();
        let out = tokens.take_out();
        assert!(ca.crl(7, NOW).is_err(), "taken out under an open CA");
        drop(ca);
        assert!(matches!(Ca::open(&path, Secret::Two(PARTS)), Err(Error::TokenMissing { .. })));
        out.put_back();
        assert_eq!(fs::read(path.join("log")).unwrap(), log, "nothing was signed");

        // Another token under the same label and PIN: another serial. Named by its label alone, it has another key.
        tokens.delete("KF root");
        let other = Token::initialise(&module(), "KF root", SO_PIN, &PARTS.concat()).unwrap();
        assert!(matches!(Ca::open(&path, Secret::Two(PARTS)), Err(Error::TokenMissing { .. })));
        other.make_key(&PARTS.concat(), KeyKind::P256, "root").unwrap();
        fs::write(path.join("root.token"), format!("{}\n", other.exact_uri().with_object("root"))).unwrap();
        assert!(matches!(Ca::open(&path, Secret::Two(PARTS)), Err(Error::KeyMismatch { .. })));
    });
}

#[test]
fn a_root_on_a_token_is_handed_over_with_its_pin() {
    alone(|tokens| {
        Token::initialise(&module(), "KF root", SO_PIN, &PARTS.concat()).unwrap();
        let path = tokens.folder().join("ca");
        let mut ca = Ca::create(&path, &new_ca(KeyKind::P256), Secret::Two(PARTS), NOW).unwrap();
        let (to, parts) = (Custodians::new("Eve", "Joe").unwrap(), ["1618", "1732"]);
        let wrong = ca.hand_over(Secret::Two(["2718", "9999"]), Some(&to), Secret::Two(parts), NOW);
        assert!(matches!(wrong, Err(Error::WrongTokenPin { .. })));
        assert_eq!(ca.record().entries(), 2, "nothing was logged");
        ca.hand_over(Secret::Two(PARTS), Some(&to), Secret::Two(parts), NOW).unwrap();
        drop(ca);
        assert!(matches!(Ca::open(&path, Secret::Two(PARTS)), Err(Error::WrongTokenPin { .. })));
        let mut ca = Ca::open(&path, Secret::Two(parts)).unwrap();
        ca.crl(7, NOW).unwrap();
        assert_eq!(ca.record().custodians().unwrap().to_string(), "Eve and Joe");
    });
}

#[test]
fn a_root_on_a_token_is_not_handed_over_under_a_pin_that_the_token_does_not_take() {
    alone(|tokens| {
        let token = Token::initialise(&module(), "KF root", SO_PIN, &PARTS.concat()).unwrap();
        let path = tokens.folder().join("ca");
        let mut ca = Ca::create(&path, &new_ca(KeyKind::P256), Secret::Two(PARTS), NOW).unwrap();
        let to = Custodians::new("Eve", "Joe").unwrap();
        // Each part alone would do; SoftHSM takes 255 bytes.
        let long = ["1".repeat(128), "2".repeat(128)];
        let refused = ca.hand_over(Secret::Two(PARTS), Some(&to), Secret::Two([&long[0], &long[1]]), NOW);
        assert!(matches!(refused, Err(Error::TokenPinLength { max: 255, .. })), "{refused:?}");
        assert_eq!(ca.record().entries(), 2, "nothing was logged");
        drop(ca);
        token.open(&PARTS.concat()).unwrap();
        let ca = Ca::open(&path, Secret::Two(PARTS)).unwrap();
        assert_eq!(ca.record().custodians().unwrap().to_string(), "Ann and Bob");
    });
}

/// The log as a crash leaves it before its last line was written.
fn crash(path: &std::path::Path) {
    let log = fs::read_to_string(path.join("log")).unwrap();
    let last = log.trim_end().rfind('\n').unwrap();
    fs::write(path.join("log"), &log[..=last]).unwrap();
}

#[test]
fn r12_a_handing_over_from_two_to_two_that_a_crash_broke_off_is_settled_by_both_pins() {
    alone(|tokens| {
        let token = Token::initialise(&module(), "KF root", SO_PIN, &PARTS.concat()).unwrap();
        let path = tokens.folder().join("ca");
        let mut ca = Ca::create(&path, &new_ca(KeyKind::P256), Secret::Two(PARTS), NOW).unwrap();
        let (to, parts) = (Custodians::new("Eve", "Joe").unwrap(), ["1618", "1732"]);
        ca.hand_over(Secret::Two(PARTS), Some(&to), Secret::Two(parts), NOW).unwrap();
        drop(ca);
        // The PIN was changed, and the log does not say so.
        crash(&path);
        let crashed = fs::read(path.join("log")).unwrap();
        let state = token.pin_state().unwrap();
        for pair in [PARTS, parts] {
            let refused = Ca::open(&path, Secret::Two(pair));
            assert!(matches!(&refused, Err(Error::HandOverUnsettled { .. })), "{refused:?}");
            assert_eq!(token.pin_state().unwrap(), state, "no PIN was tried");
        }
        let other = Custodians::new("Eve", "Max").unwrap();
        let settle = |to: &Custodians| {
            Ca::closed(&path).unwrap().settle(Secret::Two(PARTS), Some(to), Secret::Two(parts), NOW)
        };
        assert!(matches!(settle(&other), Err(Error::HandOverUnsettled { .. })));
        assert!(settle(&to).unwrap(), "the new PIN stands");
        let ca = Ca::open(&path, Secret::Two(parts)).unwrap();
        assert_eq!(ca.record().custodians().unwrap().to_string(), "Eve and Joe");
        drop(ca);
        // The same log, and the PIN was not changed.
        fs::write(path.join("log"), crashed).unwrap();
        token.change_pin(&parts.concat(), &PARTS.concat()).unwrap();
        assert!(!settle(&to).unwrap(), "the old PIN stands");
        let ca = Ca::open(&path, Secret::Two(PARTS)).unwrap();
        assert_eq!(ca.record().custodians().unwrap().to_string(), "Ann and Bob");
    });
}

#[test]
fn r12_a_handing_over_from_one_to_two_that_a_crash_broke_off_is_settled_by_whose_pin_opens() {
    alone(|tokens| {
        let token = Token::initialise(&module(), "KF root", SO_PIN, "27182818").unwrap();
        let path = tokens.folder().join("ca");
        let new = NewCa { custodians: None, ..new_ca(KeyKind::P256) };
        let mut ca = Ca::create(&path, &new, "27182818", NOW).unwrap();
        let to = Custodians::new("Ann", "Bob").unwrap();
        ca.hand_over("27182818", Some(&to), Secret::Two(PARTS), NOW).unwrap();
        drop(ca);
        crash(&path);
        let crashed = fs::read(path.join("log")).unwrap();
        assert!(matches!(Ca::open(&path, "27182818"), Err(Error::WrongTokenPin { .. })));
        let ca = Ca::open(&path, Secret::Two(PARTS)).unwrap();
        assert!(ca.record().handing_over().is_none());
        assert_eq!(ca.record().custodians(), Some(&to));
        drop(ca);
        assert!(matches!(Ca::open(&path, "27182818"), Err(Error::TwoPeople { .. })));
        // The same log, and the PIN was not changed.
        fs::write(path.join("log"), crashed).unwrap();
        token.change_pin(&PARTS.concat(), "27182818").unwrap();
        let ca = Ca::open(&path, "27182818").unwrap();
        assert!(ca.record().custodians().is_none() && ca.record().handing_over().is_none());
    });
}
