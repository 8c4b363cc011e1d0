//! Keys and certificates on real PKCS #11 tokens (SoftHSM 2).
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod common;
#[path = "token/faces.rs"]
mod faces;
#[path = "token/making.rs"]
mod making;
#[path = "token/pins.rs"]
mod pins;
#[path = "token/removal.rs"]
mod removal;
#[path = "token/signing.rs"]
mod signing;
#[path = "common/softhsm.rs"]
mod softhsm;

use common::{NOW, PIN, name, new_ca, new_ec_ca};
use keyferry_custody::ca::Ca;
use keyferry_custody::keyfile::KeyKind;
use keyferry_custody::token::{Token, TokenSigner, TokenUri};
use pki::csr::Csr;
use pki::{Certificate, Role, Signer as _};
use softhsm::{Tokens, module};

fn uri(label: &str) -> TokenUri {
    TokenUri::new(&module(), label)
}

/// A token with a key and its certificate: an operator's card.
struct Issued {
    ca: Ca,
    certificate: Certificate,
    token: Token,
}

fn issue(tokens: &Tokens, label: &str, kind: KeyKind) -> Issued {
    tokens.make(label, PIN);
    let bare = Token::find(&uri(label)).unwrap();
    let signer = bare.make_key(PIN, kind, "card").unwrap();
    let (_, mut ca) = match kind {
        KeyKind::Rsa(_) => new_ca(tokens.folder()),
        KeyKind::P256 => new_ec_ca(tokens.folder()),
    };
    let certificate = certify(&mut ca, &signer, "Olga Operator");
    bare.keep_certificates(PIN, &certificate, &[ca.root().clone()]).unwrap();
    Issued { ca, certificate, token: Token::find(&uri(label)).unwrap() }
}

fn certify(ca: &mut Ca, signer: &TokenSigner, subject: &str) -> Certificate {
    let request = Csr { subject: name(subject), spki: signer.spki_der().to_vec() };
    ca.issue(&request, Role::Operator, 365, NOW).unwrap()
}
