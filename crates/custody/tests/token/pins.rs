//! PINs: a token counts wrong ones, and none is tried in vain.

use keyferry_custody::Error;
use keyferry_custody::keyfile::KeyKind;
use keyferry_custody::token::{PinState, Token};
use pki::{Scheme, Signer as _};

use crate::common::PIN;
use crate::softhsm::{SO_PIN, Tokens, alone, module};
use crate::{issue, uri};

/// Flags of CK_TOKEN_INFO (PKCS #11 v2.40 section 3.2).
const COUNT_LOW: u64 = 0x0001_0000;
const FINAL_TRY: u64 = 0x0002_0000;
const LOCKED: u64 = 0x0004_0000;
const PROTECTED_PATH: u64 = 0x0000_0100;

#[test]
fn a_wrong_pin_is_counted_and_a_right_one_forgets_it() {
    alone(|tokens| {
        let token = issue(tokens, "Olga", KeyKind::Rsa(2048)).token;
        assert_eq!(token.pin_state().unwrap(), PinState::Untried);
        let error = token.open("wrong-secret").unwrap_err();
        assert!(matches!(&error, Error::WrongTokenPin { state: PinState::FewLeft, .. }), "{error}");
        assert!(!format!("{error} {error:?}").contains("wrong-secret"));
        assert_eq!(token.pin_state().unwrap(), PinState::FewLeft);
        token.open(PIN).unwrap();
        assert_eq!(token.pin_state().unwrap(), PinState::Untried);
    });
}

#[test]
fn what_a_token_tells_of_its_pin_is_told() {
    alone(|tokens| {
        let states = [
            ("low", COUNT_LOW, PinState::FewLeft),
            ("last", COUNT_LOW | FINAL_TRY, PinState::LastTry),
            ("locked", COUNT_LOW | FINAL_TRY | LOCKED, PinState::Locked),
        ];
        for (label, flags, _) in states {
            let before = tokens.stored();
            tokens.make(label, PIN);
            let made = tokens.stored().into_iter().find(|stored| !before.contains(stored)).unwrap();
            Tokens::set_flags(&made, flags);
        }
        for (label, _, state) in states {
            assert_eq!(Token::find(&uri(label)).unwrap().pin_state().unwrap(), state);
        }
    });
}

/// SoftHSM never locks itself: its file is made to say so. It would take the right PIN all the same, so a refusal shows
/// that none was tried.
#[test]
fn no_pin_is_tried_on_a_locked_token() {
    alone(|tokens| {
        tokens.make("Olga", PIN);
        Tokens::set_flags(&tokens.stored()[0], LOCKED);
        let token = Token::find(&uri("Olga")).unwrap();
        assert_eq!(token.pin_state().unwrap(), PinState::Locked);
        for error in [
            token.open(PIN).unwrap_err(),
            token.change_pin(PIN, "314159").unwrap_err(),
            token.make_key(PIN, KeyKind::P256, "card").unwrap_err(),
        ] {
            assert!(matches!(&error, Error::PinLocked { token } if token == "Olga"), "{error}");
        }
    });
}

#[test]
fn a_token_without_a_pin_says_so() {
    alone(|tokens| {
        let module = module();
        let args =
            ["--module", module.to_str().unwrap(), "--init-token", "--label", "Olga", "--so-pin", SO_PIN];
        tokens.tool("pkcs11-tool", &args);
        let token = Token::find(&uri("Olga")).unwrap();
        assert_eq!(token.pin_state().unwrap(), PinState::NotSet);
        let error = token.open(PIN).unwrap_err();
        assert!(matches!(&error, Error::PinNotSet { .. }), "{error}");
    });
}

/// A login holds for the whole program (PKCS #11 v2.40 section 5.6): a second one is not looked at by the module.
#[test]
fn an_open_token_is_no_way_round_its_pin() {
    alone(|tokens| {
        let token = issue(tokens, "Olga", KeyKind::Rsa(2048)).token;
        let first = token.open(PIN).unwrap();
        assert!(first.is_open());
        let error = token.open("000000").unwrap_err();
        assert!(matches!(&error, Error::WrongTokenPin { .. }), "{error}");
        assert!(!first.is_open());
        // And whoever guessed wrong closed it for all.
        let refused = first.sign(Scheme::Pkcs1Sha256, b"text").unwrap_err();
        assert!(refused.reason().contains("logged out"), "{refused}");
    });
}

#[test]
fn two_signers_of_one_token_do_not_disturb_each_other() {
    alone(|tokens| {
        let token = issue(tokens, "Olga", KeyKind::Rsa(2048)).token;
        let first = token.open(PIN).unwrap();
        let second = token.open(PIN).unwrap();
        first.sign(Scheme::Pkcs1Sha256, b"text").unwrap();
        second.sign(Scheme::Pkcs1Sha256, b"text").unwrap();
        drop(first);
        second.sign(Scheme::Pkcs1Sha256, b"text").unwrap();
    });
}

#[test]
fn a_token_with_a_new_pin_is_the_same_token() {
    alone(|tokens| {
        let token = issue(tokens, "Olga", KeyKind::Rsa(2048)).token;
        let error = token.change_pin(PIN, "12345").unwrap_err();
        assert!(matches!(&error, Error::ShortPin { min: 6 }), "{error}");
        let error = token.change_pin("000000", "314159").unwrap_err();
        assert!(matches!(&error, Error::WrongTokenPin { .. }), "{error}");
        token.change_pin(PIN, "314159").unwrap();
        assert!(token.present());
        let error = token.open(PIN).unwrap_err();
        assert!(matches!(&error, Error::WrongTokenPin { .. }), "{error}");
        token.open("314159").unwrap();
    });
}

#[test]
fn an_empty_pin_is_refused_before_the_token_counts_it() {
    alone(|tokens| {
        let token = issue(tokens, "Olga", KeyKind::P256).token;
        for error in [
            token.open("").unwrap_err(),
            token.make_key("", KeyKind::P256, "new").unwrap_err(),
            token.change_pin("", "314159").unwrap_err(),
        ] {
            assert!(matches!(&error, Error::NoPin { token } if token == "Olga"), "{error}");
        }
        assert_eq!(token.pin_state().unwrap(), PinState::Untried);
    });
}

#[test]
fn a_pin_that_is_typed_at_the_reader_is_not_changed_here_and_costs_no_try() {
    alone(|tokens| {
        tokens.make("Olga", PIN);
        Tokens::set_flags(&tokens.stored()[0], PROTECTED_PATH);
        let token = Token::find(&uri("Olga")).unwrap();
        assert!(token.asks_pin_itself().unwrap());
        for old in ["", PIN, "000000"] {
            let error = token.change_pin(old, "314159").unwrap_err();
            assert!(matches!(&error, Error::PinAtReader { token } if token == "Olga"), "{error}");
        }
        assert_eq!(token.pin_state().unwrap(), PinState::Untried);
    });
}

#[test]
fn a_pin_too_long_for_the_token_is_not_called_wrong() {
    alone(|tokens| {
        let token = issue(tokens, "Olga", KeyKind::P256).token;
        let error = token.change_pin(PIN, &"1".repeat(256)).unwrap_err();
        assert!(matches!(&error, Error::TokenPinLength { min: 4, max: 255, .. }), "{error}");
        assert_eq!(token.pin_state().unwrap(), PinState::Untried);
        token.open(PIN).unwrap();
    });
}
