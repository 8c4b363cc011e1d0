//! Tokens that are taken out, exchanged and put back.

use keyferry_custody::Error;
use keyferry_custody::keyfile::KeyKind;
use keyferry_custody::token::Token;
use pki::{Scheme, Signer as _};

use crate::common::PIN;
use crate::softhsm::alone;
use crate::{issue, uri};

#[test]
fn a_token_that_was_taken_out_is_gone_at_once_and_signs_nothing() {
    alone(|tokens| {
        let token = issue(tokens, "Olga", KeyKind::Rsa(2048)).token;
        let signer = token.open(PIN).unwrap();
        assert!(token.present());
        signer.sign(Scheme::Pkcs1Sha256, b"text").unwrap();
        tokens.delete("Olga");
        assert!(!token.present());
        let refused = signer.sign(Scheme::Pkcs1Sha256, b"text").unwrap_err();
        assert!(refused.reason().contains("is not there"), "{refused}");
        for error in [token.open(PIN).unwrap_err(), token.face().unwrap_err(), token.pin_state().unwrap_err()]
        {
            assert!(matches!(&error, Error::TokenMissing { token } if token == "Olga"), "{error}");
        }
    });
}

#[test]
fn a_token_that_was_put_back_is_found_again_and_opened_anew() {
    alone(|tokens| {
        let token = issue(tokens, "Olga", KeyKind::Rsa(2048)).token;
        let signer = token.open(PIN).unwrap();
        let out = tokens.take_out();
        assert!(!token.present());
        out.put_back();
        // What was opened before stays closed: SoftHSM says so, as a card that lost its power does.
        assert!(signer.sign(Scheme::Pkcs1Sha256, b"text").is_err());
        drop(signer);
        let again = Token::find(&uri("Olga")).unwrap();
        assert_eq!(again.serial(), token.serial());
        again.open(PIN).unwrap().sign(Scheme::Pkcs1Sha256, b"text").unwrap();
    });
}

#[test]
fn taking_one_token_out_leaves_the_other_one_alone() {
    alone(|tokens| {
        let olga = issue(tokens, "Olga", KeyKind::Rsa(2048)).token;
        let only = tokens.stored();
        std::fs::remove_dir_all(tokens.folder().join("ca")).unwrap();
        let adam = issue(tokens, "Adam", KeyKind::Rsa(2048)).token;
        let (first, second) = (olga.open(PIN).unwrap(), adam.open(PIN).unwrap());
        let _out = tokens.take_out_one(&only[0]);
        assert!(!olga.present() && adam.present());
        assert!(first.sign(Scheme::Pkcs1Sha256, b"text").is_err());
        second.sign(Scheme::Pkcs1Sha256, b"text").unwrap();
    });
}

#[test]
fn another_token_with_the_same_label_is_another_token() {
    alone(|tokens| {
        let token = issue(tokens, "Olga", KeyKind::Rsa(2048)).token;
        tokens.delete("Olga");
        tokens.make("Olga", PIN);
        let other = Token::find(&uri("Olga")).unwrap();
        assert_ne!(other.serial(), token.serial());
        assert!(other.present() && !token.present());
        let error = token.open(PIN).unwrap_err();
        assert!(matches!(&error, Error::TokenMissing { .. }), "{error}");
        let error = Token::find(&token.exact_uri()).unwrap_err();
        assert!(matches!(&error, Error::TokenMissing { .. }), "{error}");
    });
}

#[test]
fn a_token_whose_certificate_was_taken_away_or_exchanged_is_not_the_card_that_it_was() {
    alone(|tokens| {
        let mut issued = issue(tokens, "Olga", KeyKind::Rsa(2048));
        let signer = issued.token.open(PIN).unwrap();
        let renewed = crate::certify(&mut issued.ca, &signer, "Olga Operator");
        assert!(issued.token.present());
        issued.token.keep_certificates(PIN, &renewed, &[]).unwrap();
        assert!(!issued.token.present());
        let again = Token::find(&uri("Olga")).unwrap();
        assert!(again.present());
        assert_eq!(again.face().unwrap().certificate, renewed);
    });
}
