//! Which token, which certificate, which key.

use std::path::Path;

use keyferry_custody::Error;
use keyferry_custody::keyfile::KeyKind;
use keyferry_custody::token::{Token, TokenUri};
use pki::Signer as _;

use crate::common::PIN;
use crate::softhsm::{alone, module};
use crate::{certify, issue, uri};

#[test]
fn a_token_shows_its_certificate_and_chain_without_a_pin() {
    alone(|tokens| {
        let issued = issue(tokens, "Olga Operator", KeyKind::Rsa(2048));
        let face = issued.token.face().unwrap();
        assert_eq!((face.certificate, face.chain), (issued.certificate, vec![issued.ca.root().clone()]));
        let exact = issued.token.exact_uri();
        assert_eq!(exact.to_string().parse::<TokenUri>().unwrap(), exact);
        assert_eq!(Token::find(&exact).unwrap().serial(), issued.token.serial());
    });
}

#[test]
fn a_module_that_is_none_is_named() {
    let missing = Token::find(&TokenUri::new(Path::new("/no/such/module.so"), "Olga")).unwrap_err();
    assert!(matches!(&missing, Error::TokenModule { .. }), "{missing}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let text = Token::find(&TokenUri::new(file.path(), "Olga")).unwrap_err();
    assert!(matches!(&text, Error::TokenModule { .. }), "{text}");
}

#[test]
fn a_token_that_is_not_there_is_named() {
    alone(|tokens| {
        tokens.make("Adam", PIN);
        let error = Token::find(&uri("Olga")).unwrap_err();
        assert!(matches!(&error, Error::TokenMissing { token } if token == "Olga"), "{error}");
        let other_serial = Token::find(&uri("Adam").with_serial("0000000000000000")).unwrap_err();
        assert!(matches!(&other_serial, Error::TokenMissing { .. }), "{other_serial}");
        let other_maker = "pkcs11:token=Adam;manufacturer=piv_II;model=x?module-path=";
        let other_maker: TokenUri = format!("{other_maker}{}", module().display()).parse().unwrap();
        assert!(matches!(Token::find(&other_maker), Err(Error::TokenMissing { .. })));
    });
}

#[test]
fn two_tokens_with_one_label_are_told_apart_by_their_serials() {
    alone(|tokens| {
        tokens.make("Olga", PIN);
        let first = Token::find(&uri("Olga")).unwrap();
        tokens.make("Olga", PIN);
        // SoftHSM lists tokens of other processes when it starts, which the first `find` was; a missing one makes it look.
        assert!(Token::find(&uri("nobody")).is_err());
        let error = Token::find(&uri("Olga")).unwrap_err();
        assert!(matches!(&error, Error::TokenAmbiguous { by: "serial", .. }), "{error}");
        assert_eq!(Token::find(&first.exact_uri()).unwrap().serial(), first.serial());
        assert!(first.present());
    });
}

#[test]
fn a_token_without_a_certificate_is_found_and_shows_none() {
    alone(|tokens| {
        tokens.make("Olga", PIN);
        let token = Token::find(&uri("Olga")).unwrap();
        assert!(token.present());
        let error = token.face().unwrap_err();
        assert!(matches!(&error, Error::TokenNoCertificate { token } if token == "Olga"), "{error}");
        let error = token.open(PIN).unwrap_err();
        assert!(matches!(&error, Error::TokenNoKey { token } if token == "Olga"), "{error}");
    });
}

#[test]
fn several_keys_on_one_token_are_told_apart_by_their_labels() {
    alone(|tokens| {
        let mut issued = issue(tokens, "Olga", KeyKind::Rsa(2048));
        let second = issued.token.make_key(PIN, KeyKind::Rsa(2048), "second").unwrap();
        let other = certify(&mut issued.ca, &second, "Olga Operator 2");
        // One certificate: the key beside it is not meant.
        assert_eq!(issued.token.open(PIN).unwrap().spki_der(), issued.certificate.spki_der());
        issued.token.keep_certificates(PIN, &other, &[]).unwrap();
        let error = Token::find(&uri("Olga")).unwrap_err();
        assert!(matches!(&error, Error::TokenAmbiguous { by: "object", .. }), "{error}");
        for (label, certificate) in [("card", &issued.certificate), ("second", &other)] {
            let token = Token::find(&uri("Olga").with_object(label)).unwrap();
            assert_eq!(&token.face().unwrap().certificate, certificate);
            assert_eq!(token.open(PIN).unwrap().label(), Some(label));
        }
        let none = Token::find(&uri("Olga").with_object("third")).unwrap();
        assert!(matches!(none.open(PIN), Err(Error::TokenNoKey { .. })));
    });
}

#[test]
fn several_keys_without_certificates_are_ambiguous() {
    alone(|tokens| {
        tokens.make("Olga", PIN);
        let token = Token::find(&uri("Olga")).unwrap();
        drop(token.make_key(PIN, KeyKind::P256, "one").unwrap());
        assert_eq!(token.open(PIN).unwrap().label(), Some("one"));
        drop(token.make_key(PIN, KeyKind::P256, "two").unwrap());
        let error = token.open(PIN).unwrap_err();
        assert!(
            matches!(&error, Error::TokenAmbiguous { what, by: "object", .. } if what == "private keys"),
            "{error}"
        );
    });
}

/// A root's key may live on a token with nothing but authorities' certificates.
#[test]
fn a_root_certificate_on_its_own_token_is_its_face() {
    alone(|tokens| {
        tokens.make("Root", PIN);
        let token = Token::find(&uri("Root")).unwrap();
        let signer = token.make_key(PIN, KeyKind::P256, "root").unwrap();
        let validity = pki::issue::Validity::days(crate::NOW, 365);
        let root = pki::issue::root(&crate::name("Token root"), &signer, validity, 1).unwrap();
        token.keep_certificates(PIN, &root, &[]).unwrap();
        let again = Token::find(&uri("Root")).unwrap();
        let face = again.face().unwrap();
        assert_eq!((face.certificate, face.chain), (root, vec![]));
        again.open(PIN).unwrap();
    });
}
