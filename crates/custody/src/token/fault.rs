//! What a module's return values mean to a person.

use cryptoki::error::{Error as Pkcs11Error, RvError};

use crate::error::Error;

/// Whether this says that the token is not there any more: taken out, exchanged, or its session ended with it
/// (PKCS #11 v2.40 section 5.1.2 and 5.1.3).
pub(super) fn is_gone(error: &Pkcs11Error) -> bool {
    matches!(
        error,
        Pkcs11Error::Pkcs11(
            RvError::DeviceRemoved
                | RvError::TokenNotPresent
                | RvError::TokenNotRecognized
                | RvError::SessionHandleInvalid
                | RvError::SessionClosed
                | RvError::SlotIdInvalid,
            _,
        )
    )
}

/// Whether this says that an object is no longer known by its handle, as after somebody else in this program logged out.
pub(super) fn is_stale(error: &Pkcs11Error) -> bool {
    matches!(
        error,
        Pkcs11Error::Pkcs11(
            RvError::KeyHandleInvalid | RvError::ObjectHandleInvalid | RvError::UserNotLoggedIn,
            _,
        )
    )
}

/// Whether this says that the PIN is not the one, or not any more.
pub(super) fn is_refused_pin(error: &Pkcs11Error) -> bool {
    matches!(
        error,
        Pkcs11Error::Pkcs11(
            RvError::PinIncorrect
                | RvError::PinInvalid
                | RvError::PinLenRange
                | RvError::PinLocked
                | RvError::PinExpired,
            _,
        )
    )
}

/// Turns what a module said, when this was tried, into this crate's error.
pub(super) fn of(token: &str, act: &'static str) -> impl FnOnce(Pkcs11Error) -> Error {
    let token = token.to_owned();
    move |error| {
        if is_gone(&error) {
            Error::TokenMissing { token }
        } else {
            Error::Token { token, act, why: why(&error) }
        }
    }
}

/// The name of the return value alone: the library's own text may quote what was passed.
pub(super) fn why(error: &Pkcs11Error) -> String {
    match error {
        Pkcs11Error::Pkcs11(value, function) => format!("{function} said {value:?}"),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use cryptoki::context::Function;

    use super::{Error, Pkcs11Error, RvError, is_stale, of};

    #[test]
    fn every_way_in_which_a_module_says_that_a_token_went_means_that() {
        for value in [
            RvError::DeviceRemoved,
            RvError::TokenNotPresent,
            RvError::TokenNotRecognized,
            RvError::SessionHandleInvalid,
            RvError::SessionClosed,
            RvError::SlotIdInvalid,
        ] {
            let error = of("T", "sign")(Pkcs11Error::Pkcs11(value, Function::Sign));
            assert!(matches!(&error, Error::TokenMissing { token } if token == "T"), "{error}");
        }
        let error = of("T", "sign")(Pkcs11Error::Pkcs11(RvError::DeviceError, Function::Sign));
        assert!(
            matches!(&error, Error::Token { act: "sign", why, .. } if why.contains("DeviceError")),
            "{error}"
        );
    }

    #[test]
    fn a_stale_handle_is_no_missing_token() {
        for value in [RvError::KeyHandleInvalid, RvError::ObjectHandleInvalid, RvError::UserNotLoggedIn] {
            assert!(is_stale(&Pkcs11Error::Pkcs11(value, Function::SignInit)));
        }
        assert!(!is_stale(&Pkcs11Error::Pkcs11(RvError::DeviceRemoved, Function::SignInit)));
    }
}
