//! Tokens made ready, keys made on them.

use keyferry_custody::Error;
use keyferry_custody::keyfile::KeyKind;
use keyferry_custody::token::{MAX_LABEL_LEN, Token, TokenUri};
use pki::{Scheme, Signer as _};

use crate::common::{PIN, new_public_key};
use crate::softhsm::{SO_PIN, alone, module};
use crate::{issue, uri};

#[test]
fn a_token_is_made_ready_and_an_existing_one_is_left_alone() {
    alone(|_| {
        let token = Token::initialise(&module(), "Olga", SO_PIN, PIN).unwrap();
        assert_eq!(token.label(), "Olga");
        token.make_key(PIN, KeyKind::P256, "card").unwrap().sign(Scheme::EcdsaP256Sha256, b"text").unwrap();
        let error = Token::initialise(&module(), "Olga", SO_PIN, PIN).unwrap_err();
        assert!(matches!(&error, Error::TokenTaken { label } if label == "Olga"), "{error}");
        let other = Token::initialise(&module(), "Adam", SO_PIN, PIN).unwrap();
        assert_ne!(token.serial(), other.serial());
        assert!(token.present() && other.present());
    });
}

#[test]
fn labels_and_pins_that_no_token_may_have_are_refused_before_one_is_touched() {
    alone(|tokens| {
        let long = "x".repeat(MAX_LABEL_LEN + 1);
        for label in ["", "a\nb", long.as_str()] {
            let error = Token::initialise(&module(), label, SO_PIN, PIN).unwrap_err();
            assert!(matches!(&error, Error::TokenUri { .. }), "{error}");
        }
        for (so_pin, pin) in [("12345", PIN), (SO_PIN, "12345")] {
            let error = Token::initialise(&module(), "Olga", so_pin, pin).unwrap_err();
            assert!(matches!(&error, Error::ShortPin { min: 6 }), "{error}");
        }
        assert!(tokens.stored().is_empty());
        Token::initialise(&module(), &"x".repeat(MAX_LABEL_LEN), SO_PIN, "123456").unwrap();
    });
}

#[test]
fn r24_a_key_made_on_a_token_is_sensitive_for_signatures_only_and_never_leaves() {
    alone(|tokens| {
        for (label, kind) in [("Olga", KeyKind::Rsa(2048)), ("Adam", KeyKind::P256)] {
            tokens.make(label, PIN);
            // SoftHSM lists other processes' tokens when it starts: a missing one makes it start again.
            let token = Token::find(&uri(label)).unwrap();
            drop(token.make_key(PIN, kind, "card").unwrap());
            let module = module();
            let list = ["--list-objects", "--type", "privkey"];
            let base =
                ["--module", module.to_str().unwrap(), "--token-label", label, "--login", "--pin", PIN];
            let said = tokens.tool("pkcs11-tool", &[&base[..], &list].concat());
            let of = |name: &str| {
                said.lines().find_map(|line| line.trim().strip_prefix(name)).unwrap_or("").trim()
            };
            assert_eq!(of("Usage:"), "sign", "{said}");
            assert_eq!(of("Access:"), "sensitive, always sensitive, never extractable, local", "{said}");
        }
    });
}

#[test]
fn a_second_key_of_one_label_and_sizes_that_are_not_made_are_refused() {
    alone(|tokens| {
        let token = issue(tokens, "Olga", KeyKind::Rsa(2048)).token;
        let error = token.make_key(PIN, KeyKind::P256, "card").unwrap_err();
        assert!(matches!(&error, Error::TokenKeyExists { label, .. } if label == "card"), "{error}");
        let error = token.make_key(PIN, KeyKind::Rsa(1024), "small").unwrap_err();
        assert!(matches!(&error, Error::KeySize { bits: 1024 }), "{error}");
        let error = token.make_key("000000", KeyKind::P256, "new").unwrap_err();
        assert!(matches!(&error, Error::WrongTokenPin { .. }), "{error}");
    });
}

#[test]
fn a_certificate_of_a_key_that_is_not_on_the_token_is_refused() {
    alone(|tokens| {
        let mut issued = issue(tokens, "Olga", KeyKind::Rsa(2048));
        let request = pki::csr::Csr { subject: crate::name("Other"), spki: new_public_key() };
        let foreign = issued.ca.issue(&request, pki::Role::Operator, 365, crate::NOW).unwrap();
        let error = issued.token.keep_certificates(PIN, &foreign, &[]).unwrap_err();
        assert!(matches!(&error, Error::TokenNoKey { .. }), "{error}");
        assert!(issued.token.present());
        // The same certificate again changes nothing.
        issued.token.keep_certificates(PIN, &issued.certificate, &[issued.ca.root().clone()]).unwrap();
        assert!(issued.token.present());
        assert_eq!(issued.token.face().unwrap().chain.len(), 1);
    });
}

#[test]
fn a_blank_token_is_made_ready_only_where_it_is_the_one_that_the_uri_names() {
    alone(|tokens| {
        let module = module();
        let named = |attribute: &str| -> TokenUri {
            format!("pkcs11:token=Olga;{attribute}?module-path={}", module.display()).parse().unwrap()
        };
        for attribute in ["serial=0123", "model=PIV", "manufacturer=Yubico"] {
            let error = Token::make_ready(&named(attribute), SO_PIN, PIN).unwrap_err();
            assert!(matches!(&error, Error::NoFreeToken { .. }), "{error}");
        }
        assert!(tokens.stored().is_empty(), "nothing was made ready");
        let error = Token::make_ready(&named("model=SoftHSM%20v2"), SO_PIN, &"1".repeat(256)).unwrap_err();
        assert!(matches!(&error, Error::TokenPinLength { max: 255, .. }), "{error}");
        let token = Token::make_ready(&named("model=SoftHSM%20v2"), SO_PIN, PIN).unwrap();
        assert_eq!(token.label(), "Olga");
    });
}
