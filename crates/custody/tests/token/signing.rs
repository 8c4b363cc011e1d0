//! What a key on a token signs.

use keyferry_custody::Error;
use keyferry_custody::keyfile::KeyKind;
use keyferry_custody::token::{PinState, Token};
use pki::{CrlSet, KeyFamily, Role, Scheme, Signer as _, TrustList, cms, verify_chain, verify_signature};

use crate::common::{NOW, PIN, openssl};
use crate::softhsm::{Tokens, alone, module};
use crate::{Issued, issue, uri};

const MESSAGE: &[u8] = b"what is signed";

#[test]
fn an_rsa_key_on_a_token_signs_packages_and_texts_that_verify_here_and_with_openssl() {
    alone(|tokens| {
        let Issued { ca, certificate, token } = issue(tokens, "Olga", KeyKind::Rsa(2048));
        let signer = token.open(PIN).unwrap();
        assert_eq!((signer.family(), signer.spki_der()), (KeyFamily::Rsa, certificate.spki_der()));
        for scheme in [Scheme::Pkcs1Sha256, Scheme::PssSha256] {
            let signature = signer.sign(scheme, MESSAGE).unwrap();
            verify_signature(certificate.spki_der(), scheme, MESSAGE, &signature).unwrap();
        }

        let face = token.face().unwrap();
        let package = cms::sign(b"{}", &signer, &face.certificate, &face.chain, NOW).unwrap();
        let opened = cms::open(&package).unwrap();
        let mut trust = TrustList::new();
        trust.add(ca.root().clone(), &[Role::Operator]);
        let card = &opened.only_signer().unwrap().certificate;
        verify_chain(card, &face.chain, &trust, Role::Operator, NOW, &CrlSet::new()).unwrap();
        let dir = tokens.folder();
        std::fs::write(dir.join("root.pem"), ca.root().pem()).unwrap();
        std::fs::write(dir.join("package"), package).unwrap();
        let verify = "cms -verify -binary -purpose any -CAfile root.pem -inform DER -in package -out out";
        openssl(dir, &format!("{verify} -attime {NOW}")).unwrap();
    });
}

#[test]
fn a_p256_key_on_a_token_signs_raw_r_and_s() {
    alone(|tokens| {
        let Issued { certificate, token, .. } = issue(tokens, "Olga", KeyKind::P256);
        let signer = token.open(PIN).unwrap();
        assert_eq!(signer.family(), KeyFamily::P256);
        let signature = signer.sign(Scheme::EcdsaP256Sha256, MESSAGE).unwrap();
        assert_eq!(signature.len(), 64);
        verify_signature(certificate.spki_der(), Scheme::EcdsaP256Sha256, MESSAGE, &signature).unwrap();
        let refused = signer.sign(Scheme::PssSha256, MESSAGE).unwrap_err();
        assert!(refused.reason().contains("other kind"), "{refused}");
    });
}

/// Cards that hash nothing themselves: SoftHSM is told to offer the bare operations only.
#[test]
fn a_token_that_does_not_hash_is_given_the_digest() {
    alone(|tokens| {
        tokens.configure("slots.mechanisms = CKM_RSA_PKCS_KEY_PAIR_GEN,CKM_RSA_PKCS,CKM_RSA_PKCS_PSS");
        let Issued { certificate, token, .. } = issue(tokens, "Olga", KeyKind::Rsa(2048));
        let signer = token.open(PIN).unwrap();
        for scheme in [Scheme::Pkcs1Sha256, Scheme::PssSha256] {
            let signature = signer.sign(scheme, MESSAGE).unwrap();
            verify_signature(certificate.spki_der(), scheme, MESSAGE, &signature).unwrap();
        }
    });
}

#[test]
fn a_signature_that_a_token_does_not_offer_is_refused_by_name() {
    alone(|tokens| {
        tokens.configure("slots.mechanisms = CKM_RSA_PKCS_KEY_PAIR_GEN,CKM_SHA256_RSA_PKCS");
        let Issued { token, .. } = issue(tokens, "Olga", KeyKind::Rsa(2048));
        let signer = token.open(PIN).unwrap();
        signer.sign(Scheme::Pkcs1Sha256, MESSAGE).unwrap();
        let refused = signer.sign(Scheme::PssSha256, MESSAGE).unwrap_err();
        assert!(refused.reason().contains("does not offer"), "{refused}");
    });
}

/// As the signature key of a PIV card (9C, NIST SP 800-73-4) does.
#[test]
fn a_key_that_wants_its_pin_for_each_signature_gets_it() {
    alone(|tokens| {
        let token = always_authenticate(tokens);
        let signer = token.open(PIN).unwrap();
        assert_eq!(signer.label(), Some("SIGN key"));
        for message in [MESSAGE, b"and another"] {
            let signature = signer.sign(Scheme::Pkcs1Sha256, message).unwrap();
            verify_signature(signer.spki_der(), Scheme::Pkcs1Sha256, message, &signature).unwrap();
        }
        assert!(!format!("{signer:?} {token:?}").contains(PIN));
    });
}

/// A PIN that was changed under an open card must not be tried for each signature of a run: three would lock it.
#[test]
fn a_key_that_wants_its_pin_for_each_signature_forgets_one_that_was_refused() {
    alone(|tokens| {
        let token = always_authenticate(tokens);
        let signer = token.open(PIN).unwrap();
        signer.sign(Scheme::Pkcs1Sha256, MESSAGE).unwrap();
        token.change_pin(PIN, "314159").unwrap();
        signer.sign(Scheme::Pkcs1Sha256, MESSAGE).unwrap_err();
        assert_eq!(token.pin_state().unwrap(), PinState::FewLeft, "one try");
        // The count begins anew: what is tried from here on would be seen.
        let again = token.open("314159").unwrap();
        assert_eq!(token.pin_state().unwrap(), PinState::Untried);
        for _ in 0..2 {
            let refused = signer.sign(Scheme::Pkcs1Sha256, MESSAGE).unwrap_err();
            assert!(refused.reason().contains("not tried again"), "{refused}");
        }
        assert_eq!(token.pin_state().unwrap(), PinState::Untried);
        again.sign(Scheme::Pkcs1Sha256, MESSAGE).unwrap();
    });
}

/// A token with a key that wants its PIN for each signature.
fn always_authenticate(tokens: &Tokens) -> Token {
    tokens.make("Olga", PIN);
    let module = module();
    let make = ["--token-label", "Olga", "--login", "--pin", PIN, "--keypairgen", "--key-type", "rsa:2048"];
    let named = ["--label", "SIGN key", "--id", "02", "--usage-sign", "--always-auth"];
    let args = [&["--module", module.to_str().unwrap()][..], &make, &named].concat();
    tokens.tool("pkcs11-tool", &args);
    Token::find(&uri("Olga").with_object("SIGN key")).unwrap()
}

#[test]
fn a_key_that_is_not_its_certificates_is_refused_when_it_is_opened() {
    alone(|tokens| {
        let Issued { mut ca, token, .. } = issue(tokens, "Olga", KeyKind::Rsa(2048));
        // Another key's certificate under this key's label and identifier, as a muddled import leaves it.
        let other = token.make_key(PIN, KeyKind::Rsa(2048), "other").unwrap();
        let wrong = crate::certify(&mut ca, &other, "Somebody Else");
        drop(other);
        let dir = tokens.folder();
        std::fs::write(dir.join("wrong.der"), wrong.der()).unwrap();
        let module = module();
        let base = ["--module", module.to_str().unwrap(), "--token-label", "Olga", "--login", "--pin", PIN];
        let key = tokens.tool("pkcs11-tool", &[&base[..], &["--list-objects", "--type", "cert"]].concat());
        let id = key.lines().find_map(|line| line.trim().strip_prefix("ID:")).unwrap().trim().to_owned();
        let file = dir.join("wrong.der");
        let write =
            ["--write-object", file.to_str().unwrap(), "--type", "cert", "--label", "muddled", "--id", &id];
        tokens.tool("pkcs11-tool", &[&base[..], &write].concat());
        let muddled = Token::find(&uri("Olga").with_object("muddled")).unwrap();
        let error = muddled.open(PIN).unwrap_err();
        assert!(
            matches!(&error, Error::KeyMismatch { subject } if subject.contains("Somebody Else")),
            "{error}"
        );
    });
}
