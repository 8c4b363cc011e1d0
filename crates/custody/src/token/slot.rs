//! Which slot a token is in, asked anew for each act: slots change when readers are plugged in, and some modules number
//! them anew.

use cryptoki::session::Session;
use cryptoki::slot::{Slot, TokenInfo};

use crate::error::Error;

use super::TokenUri;
use super::fault;
use super::module::Entered;

/// Slots looked at, at most.
const MAX_SLOTS: usize = 256;

/// What tells one token from every other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) label: String,
    pub(super) serial: String,
    manufacturer: String,
    model: String,
}

impl Identity {
    #[cfg(test)]
    pub(super) fn new(label: &str, serial: &str, manufacturer: &str, model: &str) -> Self {
        let [label, serial, manufacturer, model] = [label, serial, manufacturer, model].map(str::to_owned);
        Self { label, serial, manufacturer, model }
    }

    pub(super) fn of(info: &TokenInfo) -> Self {
        Self {
            label: info.label().to_owned(),
            serial: info.serial_number().to_owned(),
            manufacturer: info.manufacturer_id().to_owned(),
            model: info.model().to_owned(),
        }
    }

    fn fits(&self, uri: &TokenUri) -> bool {
        self.label == uri.label() && self.fits_unlabelled(uri)
    }

    /// Whether it is the device that the URI names, whatever its label: a blank one has none.
    pub(super) fn fits_unlabelled(&self, uri: &TokenUri) -> bool {
        let fits = |wanted: Option<&str>, found: &str| wanted.is_none_or(|wanted| wanted == found);
        fits(uri.serial(), &self.serial)
            && fits(uri.manufacturer(), &self.manufacturer)
            && fits(uri.model(), &self.model)
    }
}

impl Entered<'_> {
    /// The one token that a URI names.
    pub(super) fn find(&self, uri: &TokenUri) -> Result<(Slot, Identity), Error> {
        self.only(uri.label(), |found| found.fits(uri))
    }

    /// Where this very token is now.
    pub(super) fn slot_of(&self, identity: &Identity) -> Result<Slot, Error> {
        self.only(&identity.label, |found| found == identity).map(|(slot, _)| slot)
    }

    /// The tokens that are there and answer, initialised or not. One broken reader does not hide the others.
    pub(super) fn tokens(&self) -> Result<Vec<(Slot, TokenInfo)>, Error> {
        let slots = self.context().get_slots_with_token().map_err(|error| Error::TokenModule {
            module: self.path().to_owned(),
            why: fault::why(&error),
        })?;
        let answers = |slot: Slot| {
            let there = self.context().get_slot_info(slot).is_ok_and(|info| info.token_present());
            if there { self.context().get_token_info(slot).ok().map(|info| (slot, info)) } else { None }
        };
        Ok(slots.into_iter().take(MAX_SLOTS).filter_map(answers).collect())
    }

    pub(super) fn info(&self, slot: Slot, token: &str) -> Result<TokenInfo, Error> {
        self.context().get_token_info(slot).map_err(fault::of(token, "read what it tells"))
    }

    /// A session for reading.
    pub(super) fn session(&self, slot: Slot) -> Result<Session, cryptoki::error::Error> {
        self.context().open_ro_session(slot)
    }

    fn only(&self, label: &str, fits: impl Fn(&Identity) -> bool) -> Result<(Slot, Identity), Error> {
        let mut fitting = self
            .tokens()?
            .into_iter()
            .filter(|(_, info)| info.token_initialized())
            .map(|(slot, info)| (slot, Identity::of(&info)))
            .filter(|(_, identity)| fits(identity));
        match (fitting.next(), fitting.next()) {
            (None, _) => Err(Error::TokenMissing { token: label.to_owned() }),
            (Some(found), None) => Ok(found),
            (Some((_, one)), Some((_, other))) => Err(Error::TokenAmbiguous {
                token: label.to_owned(),
                what: format!("tokens (serials {} and {})", one.serial, other.serial),
                by: "serial",
            }),
        }
    }
}
