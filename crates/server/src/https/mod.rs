//! The HTTPS endpoint for stations and people: uploads, approvals, work certificate, revocation lists.
//!
//! Nobody is believed for having connected: what changes anything is a CMS package signed by a card.

mod body;
mod listen;
pub(crate) mod posp;
mod routes;

pub(crate) use listen::run;
pub(crate) use routes::router;
