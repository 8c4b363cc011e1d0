//! Flow F: PIN translations a second, through the host interface and by the HSM alone.

mod http;
mod pad;
mod setting;
mod translations;

pub(crate) use pad::Working;
pub(crate) use setting::Setting;
pub(crate) use translations::Translations;

/// The one POSP, by the common name of its certificate.
pub(crate) const POSP: &str = "posp-1";
