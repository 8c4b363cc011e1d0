//! PINs: when one is tried, and what comes of it.

use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::{Slot, TokenInfo};
use cryptoki::types::AuthPin;

use crate::error::Error;
use crate::keyfile::{MIN_PIN_CHARS, check_new_pin};

use super::module::Entered;
use super::{PinState, Token, fault};

/// Logs the user in. The token compares the PIN in every case, and none is tried on a locked one.
pub(super) fn user(
    entered: &Entered<'_>,
    slot: Slot,
    session: &Session,
    token: &str,
    pin: &str,
) -> Result<(), Error> {
    let info = entered.info(slot, token)?;
    refuse_untriable(PinState::of(&info), token)?;
    // An empty PIN: the reader with its own keys asks for it.
    let typed_there = pin.is_empty() && info.protected_authentication_path();
    if pin.is_empty() && !typed_there {
        return Err(Error::NoPin { token: token.to_owned() });
    }
    let auth = (!typed_there).then(|| AuthPin::from(pin));
    let log_in = || session.login(UserType::User, auth.as_ref());
    let outcome = match log_in() {
        // Another session of this program is logged in, and this PIN was not looked at. Who does not know the PIN must
        // not pass for that: out, and in again. Other signers then look for their key anew.
        Err(Pkcs11Error::Pkcs11(RvError::UserAlreadyLoggedIn, _)) => {
            session.logout().map_err(fault::of(token, "log out"))?;
            log_in()
        }
        other => other,
    };
    outcome.map_err(|error| refused(entered, slot, token, error))
}

/// Gives the PIN for the one signature that was begun (PKCS #11 v2.40 section 5.6, `CKU_CONTEXT_SPECIFIC`).
pub(super) fn once(session: &Session, pin: Option<&str>) -> Result<(), Pkcs11Error> {
    let auth = pin.map(AuthPin::from);
    session.login(UserType::ContextSpecific, auth.as_ref())
}

/// Whether the token takes this as a new PIN, as far as it tells.
pub(super) fn check_new(token: &Token, new_pin: &str) -> Result<(), Error> {
    let entered = token.module.enter();
    let slot = entered.slot_of(&token.identity)?;
    takes(&entered.info(slot, token.label())?, token.label(), new_pin)
}

fn takes(info: &TokenInfo, token: &str, new_pin: &str) -> Result<(), Error> {
    // C_SetPIN is given both PINs here; the cryptoki crate has no way to leave them to the reader.
    if info.protected_authentication_path() {
        return Err(Error::PinAtReader { token: token.to_owned() });
    }
    fits(token, new_pin, info.min_pin_length(), info.max_pin_length())
}

/// Whether a new PIN is long enough for us and neither too short nor too long for the token, in bytes. A token that tells
/// no maximum says 0, or more than fits (`CK_UNAVAILABLE_INFORMATION`).
pub(super) fn fits(token: &str, new_pin: &str, min: usize, max: usize) -> Result<(), Error> {
    check_new_pin(new_pin, MIN_PIN_CHARS)?;
    let (found, most) = (new_pin.len(), if max == 0 { usize::MAX } else { max });
    if min <= most && !(min..=most).contains(&found) {
        return Err(Error::TokenPinLength { token: token.to_owned(), min, max });
    }
    Ok(())
}

pub(super) fn change_pin(token: &Token, pin: &str, new_pin: &str) -> Result<(), Error> {
    let entered = token.module.enter();
    let slot = entered.slot_of(&token.identity)?;
    let label = token.label();
    let info = entered.info(slot, label)?;
    takes(&info, label, new_pin)?;
    refuse_untriable(PinState::of(&info), label)?;
    if pin.is_empty() {
        return Err(Error::NoPin { token: label.to_owned() });
    }
    let session =
        entered.context().open_rw_session(slot).map_err(fault::of(label, "open a session for writing"))?;
    let changed = session.set_pin(&AuthPin::from(pin), &AuthPin::from(new_pin));
    changed.map_err(|error| refused(&entered, slot, label, error))
}

fn refuse_untriable(state: PinState, token: &str) -> Result<(), Error> {
    match state {
        PinState::Locked => Err(Error::PinLocked { token: token.to_owned() }),
        PinState::NotSet => Err(Error::PinNotSet { token: token.to_owned() }),
        PinState::Untried | PinState::FewLeft | PinState::LastTry => Ok(()),
    }
}

fn refused(entered: &Entered<'_>, slot: Slot, token: &str, error: Pkcs11Error) -> Error {
    match error {
        Pkcs11Error::Pkcs11(RvError::PinLenRange, _) => {
            let range = entered.info(slot, token).map(|info| (info.min_pin_length(), info.max_pin_length()));
            let (min, max) = range.unwrap_or_default();
            Error::TokenPinLength { token: token.to_owned(), min, max }
        }
        Pkcs11Error::Pkcs11(RvError::PinInvalid, _) => Error::TokenPinRefused { token: token.to_owned() },
        Pkcs11Error::Pkcs11(RvError::PinIncorrect, _) => {
            // What is left is the token's to tell; where it cannot be asked any more, the wrong PIN is still that.
            let state = entered.info(slot, token).map_or(PinState::FewLeft, |info| PinState::of(&info));
            Error::WrongTokenPin { token: token.to_owned(), state }
        }
        Pkcs11Error::Pkcs11(RvError::PinLocked, _) => Error::PinLocked { token: token.to_owned() },
        Pkcs11Error::Pkcs11(RvError::UserPinNotInitialized, _) => {
            Error::PinNotSet { token: token.to_owned() }
        }
        other => fault::of(token, "log in")(other),
    }
}

#[cfg(test)]
mod tests {
    use super::{Error, fits};

    #[test]
    fn a_new_pin_is_as_long_as_the_token_and_we_want_it() {
        // A PIV card: 6 to 8.
        assert!(fits("T", "12345678", 6, 8).is_ok());
        assert!(matches!(fits("T", "123456789", 6, 8), Err(Error::TokenPinLength { min: 6, max: 8, .. })));
        assert!(matches!(fits("T", "1234567", 8, 16), Err(Error::TokenPinLength { min: 8, .. })));
        // Bytes, not characters.
        assert!(matches!(fits("T", "äöüäöü", 6, 8), Err(Error::TokenPinLength { .. })));
        assert!(matches!(fits("T", "12345", 4, 8), Err(Error::ShortPin { min: 6 })));
        // Tokens that tell no maximum.
        assert!(fits("T", "123456789", 4, 0).is_ok());
        assert!(fits("T", "123456789", 4, usize::MAX).is_ok());
    }
}
