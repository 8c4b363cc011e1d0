//! The POSPs that are served, by the common name of their certificate, and how much each may ask at once.

use std::{collections::HashMap, sync::Arc, time::Duration};

use pki::Certificate;
use rustls::pki_types::CertificateDer;
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

/// How long a request waits for its place.
const WAIT: Duration = Duration::from_secs(1);

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

    /// A place for one request, if there is one soon: a client that asks for a little much is slowed, not refused.
    pub(crate) async fn enter(&self) -> Option<OwnedSemaphorePermit> {
        timeout(WAIT, Arc::clone(&self.places).acquire_owned()).await.ok()?.ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn each_client_has_its_own_places() {
        let clients = Clients::new(&["posp-1".into(), "posp-2".into()], 2);
        let [one, two] = ["posp-1", "posp-2"].map(|name| clients.0.get(name).unwrap());
        let held = [one.enter().await.unwrap(), one.enter().await.unwrap()];
        assert!(one.clone().enter().await.is_none());
        assert!(two.enter().await.is_some());
        let waiting = tokio::spawn({
            let one = one.clone();
            async move { one.enter().await.is_some() }
        });
        drop(held);
        assert!(waiting.await.unwrap(), "a place that comes free");
        assert!(clients.of(None).is_none());
        assert!(clients.of(Some(&[CertificateDer::from(vec![0x30, 0])])).is_none());
    }
}
