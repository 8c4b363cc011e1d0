//! The host interface for POSPs: HTTPS with client certificates, JSON, one request or a batch.
//!
//! The client's certificate says who asks; which names are served is in the configuration. What is inside requests
//! (PANs, PIN blocks, messages) goes to the HSM and into no log.

mod answers;
mod clients;
mod listen;
mod openapi;
mod requests;
mod routes;
mod tls;
mod types;

pub(crate) use listen::PospPort;
pub(crate) use tls::ClientTls;
pub use tls::PospError;
