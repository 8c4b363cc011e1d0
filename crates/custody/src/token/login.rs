//! PINs: when one is tried, and what comes of it.

use cryptoki::error::{Error as Pkcs11Error, RvError};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
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

pub(super) fn change_pin(token: &Token, pin: &str, new_pin: &str) -> Result<(), Error> {
    check_new_pin(new_pin, MIN_PIN_CHARS)?;
    let entered = token.module.enter();
    let slot = entered.slot_of(&token.identity)?;
    let label = token.label();
    refuse_untriable(PinState::of(&entered.info(slot, label)?), label)?;
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
        Pkcs11Error::Pkcs11(RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange, _) => {
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
