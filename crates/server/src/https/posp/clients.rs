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

    /// The client whose certificate this is, which the handshake has checked, or why it is none: for the audit.
    ///
    /// The handshake takes a certificate that says nothing of its use for a client's too. Here it must say so: another
    /// of the same root with such a name, made for something else, is nobody who asks for PINs.
    pub(crate) fn of(&self, certificates: Option<&[CertificateDer<'_>]>) -> Result<Client, &'static str> {
        let certificate = certificates.and_then(|chain| Certificate::from_der(chain.first()?).ok());
        let certificate = certificate.ok_or("its certificate cannot be read")?;
        if !certificate.is_for_tls_clients() {
            return Err("its certificate is not for TLS clients");
        }
        let name = certificate.subject().common_name();
        let client = name.and_then(|name| self.0.get(name)).cloned();
        client.ok_or("its common name is not on the list")
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
        assert!(clients.of(None).is_err());
        assert!(clients.of(Some(&[CertificateDer::from(vec![0x30, 0])])).is_err());
    }

    /// Both of `posp-1`, and alike but for the extended key usage clientAuth.
    const FOR_CLIENTS: &str = "-----BEGIN CERTIFICATE-----
MIIBiTCCAS+gAwIBAgIUG88UG30BjvLjqBfPL2O9vLNwPr0wCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGcG9zcC0xMB4XDTI2MTEyMTAxNDAzOVoXDTM2MTExODAxNDAz
OVowETEPMA0GA1UEAwwGcG9zcC0xMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
z4EVruBpr+W6/rm+8oEi13JvVhGJKb8iwdkwgHp6YdHJ3Y3OVeH+TxjLve0SaM9c
MEY61POJj2pvDAGAxlMj+6NlMGMwHQYDVR0OBBYEFPkqO+glTO1VANxREVkXSZot
7XnTMB8GA1UdIwQYMBaAFPkqO+glTO1VANxREVkXSZot7XnTMAwGA1UdEwEB/wQC
MAAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwCgYIKoZIzj0EAwIDSAAwRQIhAIJP6u6F
kBj6cKnGiadkHXHNS96vCgum3+OjWAPhanpQAiA7yVKqFCfg5MSkvRiXI+iBwm+e
WP8CVSKG//7YMC1Smg==
-----END CERTIFICATE-----
";
    const FOR_ANYTHING: &str = "-----BEGIN CERTIFICATE-----
MIIBdDCCARqgAwIBAgIUCJqBRvxBt5dUNwFH6iEsM+CNUMwwCgYIKoZIzj0EAwIw
ETEPMA0GA1UEAwwGcG9zcC0xMB4XDTI2MTEyMTAxNDAzOVoXDTM2MTExODAxNDAz
OVowETEPMA0GA1UEAwwGcG9zcC0xMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
bf4ZbrrDVKJvSPc3jL+ow51nj332S5ODUhFtHR21aTZMSDc8f06lfeD0fGF4rDd2
MZu9c8I0K6L9OYnffvVTtaNQME4wHQYDVR0OBBYEFHBHpNO6XfuOT3iVefl4Ztvr
PTk0MB8GA1UdIwQYMBaAFHBHpNO6XfuOT3iVefl4ZtvrPTk0MAwGA1UdEwEB/wQC
MAAwCgYIKoZIzj0EAwIDSAAwRQIhAPvOx8Z3huKVUM48gTzqrEmp4B80iXRV2q7V
B6lZ+yZpAiA49w1wt40QYyyvHpIgvPjw7oIeJ/QSNw1ytYbQbkQliw==
-----END CERTIFICATE-----
";

    #[test]
    fn a_certificate_must_say_that_it_is_for_tls_clients() {
        let clients = Clients::new(&["posp-1".into()], 1);
        let of = |pem: &str| {
            let der = Certificate::from_pem(pem).unwrap().der().to_vec();
            clients.of(Some(&[CertificateDer::from(der)])).map(|client| client.name().to_owned())
        };
        assert_eq!(of(FOR_CLIENTS), Ok("posp-1".to_owned()));
        assert_eq!(of(FOR_ANYTHING), Err("its certificate is not for TLS clients"));
        let others = Clients::new(&["posp-2".into()], 1);
        let der = Certificate::from_pem(FOR_CLIENTS).unwrap().der().to_vec();
        let unknown = others.of(Some(&[CertificateDer::from(der)]));
        assert_eq!(unknown.err(), Some("its common name is not on the list"));
    }
}
