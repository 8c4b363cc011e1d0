//! The station under cards on real PKCS #11 tokens (SoftHSM 2), with fake terminals and a fake server over real sockets.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test that goes wrong stops here"
)]
#![allow(dead_code, reason = "what it borrows from the station's other tests has more")]

#[path = "../station/estate.rs"]
mod estate;
#[path = "../station/fake_server.rs"]
mod fake_server;
#[path = "../station/fake_terminal.rs"]
mod fake_terminal;
#[path = "../station/journals.rs"]
mod journals;
mod lists;
mod opening;
mod removal;
#[path = "../../../custody/tests/common/softhsm.rs"]
mod softhsm;

use custody::keyfile::KeyKind;
use custody::token::{Token, TokenUri};
use keyferry_station::{BothCards, Card, CardSource, Checks, Error};
use pki::{Certificate, Role, Signer as _};

use estate::{ESTATE, valid};
use softhsm::{Tokens, alone, module};

const OLGA_PIN: &str = "271828";
const ADAM_PIN: &str = "314159";

/// Two tokens of two people, each with a key made on it and a certificate of this estate.
struct Readers<'a> {
    tokens: &'a Tokens,
    operator: Made,
    administrator: Made,
}

/// A token with its key.
struct Made {
    label: &'static str,
    pin: &'static str,
    token: Token,
    spki: Vec<u8>,
    certificate: Certificate,
}

impl<'a> Readers<'a> {
    fn good(tokens: &'a Tokens) -> Self {
        Self::of(tokens, (Role::Operator, "Olga Operator"), (Role::Administrator, "Adam Admin"), valid())
    }

    fn of(
        tokens: &'a Tokens,
        operator: (Role, &str),
        administrator: (Role, &str),
        validity: pki::issue::Validity,
    ) -> Self {
        tokens.make("Olga", OLGA_PIN);
        tokens.make("Adam", ADAM_PIN);
        let make = |label: &'static str, pin: &'static str, (role, subject): (Role, &str)| {
            let token = Token::find(&TokenUri::new(&module(), label)).unwrap();
            let spki = token.make_key(pin, KeyKind::Rsa(2048), "card").unwrap().spki_der().to_vec();
            let certificate = ESTATE.leaf_of(role, subject, &spki, validity);
            token.keep_certificates(pin, &certificate, &ESTATE.chain()).unwrap();
            Made { label, pin, token, spki, certificate }
        };
        let operator = make("Olga", OLGA_PIN, operator);
        let administrator = make("Adam", ADAM_PIN, administrator);
        Self { tokens, operator, administrator }
    }

    /// Puts another certificate of the same key on one of them.
    fn certify(&self, made: &Made, role: Role, subject: &str, validity: pki::issue::Validity) -> Certificate {
        let certificate = ESTATE.leaf_of(role, subject, &made.spki, validity);
        made.token.keep_certificates(made.pin, &certificate, &ESTATE.chain()).unwrap();
        certificate
    }

    fn open(&self) -> Result<BothCards, Error> {
        self.open_with(&ESTATE.checks())
    }

    fn open_with(&self, checks: &Checks) -> Result<BothCards, Error> {
        open("Olga", OLGA_PIN, "Adam", ADAM_PIN, checks)
    }
}

fn open(
    operator: &str,
    operator_pin: &str,
    administrator: &str,
    administrator_pin: &str,
    checks: &Checks,
) -> Result<BothCards, Error> {
    BothCards::open(insert(operator)?, operator_pin, insert(administrator)?, administrator_pin, checks)
}

/// A card as the station's settings name it.
fn insert(label: &str) -> Result<Box<dyn Card>, Error> {
    source(label).insert()
}

fn source(label: &str) -> CardSource {
    TokenUri::new(&module(), label).to_string().parse().unwrap()
}
