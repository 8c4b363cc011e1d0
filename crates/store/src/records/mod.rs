//! What goes into the store and what comes out: plain data, no database in it.

pub(crate) mod batch;
pub(crate) mod ceremony;
pub(crate) mod certificate;
pub(crate) mod collection;
pub(crate) mod deployment;
pub(crate) mod device;
pub(crate) mod estate_import;
pub(crate) mod event;
pub(crate) mod key;
pub(crate) mod kld_report;
pub(crate) mod order;
pub(crate) mod overview;
pub(crate) mod package;
pub(crate) mod refusal;
pub(crate) mod sign_in;
pub(crate) mod suite;
pub(crate) mod terminal;
pub(crate) mod window;
pub(crate) mod working;
pub(crate) mod zone;
