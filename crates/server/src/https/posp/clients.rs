//! The POSPs that are served, by the common name of their certificate, and how much each may ask at once.

use std::{collections::HashMap, sync::Arc};

use pki::Certificate;
use rustls::pki_types::CertificateDer;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Every client of `[posp].clients`.
pub(crate) struct Clients(HashMap<String, Client>);

/// One of them.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    name: Arc<str>,
    places: Arc<Semaphore>,
}

impl Clients {
    /// These names, with so many requests at once for each.
    pub(crate) fn new(names: &[String], at_once: usize) -> Self {
        let at_once = at_once.min(Semaphore::MAX_PERMITS);
        let client = |name: &String| {
            (name.clone(), Client { name: name.as_str().into(), places: Arc::new(Semaphore::new(at_once)) })
        };
        Self(names.iter().map(client).collect())
    }

    /// The client whose certificate this is, which the handshake has checked; nothing when it is not on the list.
    pub(crate) fn of(&self, certificates: Option<&[CertificateDer<'_>]>) -> Option<Client> {
        let certificate = Certificate::from_der(certificates?.first()?).ok()?;
        self.0.get(certificate.subject().common_name()?).cloned()
    }
}

impl Client {
    /// What its certificate calls it.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// A place for one request, if there is one.
    pub(crate) fn enter(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_client_has_its_own_places() {
        let clients = Clients::new(&["posp-1".into(), "posp-2".into()], 2);
        let [one, two] = ["posp-1", "posp-2"].map(|name| clients.0.get(name).unwrap());
        let held: Vec<_> = (0..2).map(|_| one.enter().unwrap()).collect();
        assert!(one.clone().enter().is_none());
        assert!(two.enter().is_some());
        drop(held);
        assert!(one.enter().is_some());
        assert!(clients.of(None).is_none());
        assert!(clients.of(Some(&[CertificateDer::from(vec![0x30, 0])])).is_none());
    }
}
