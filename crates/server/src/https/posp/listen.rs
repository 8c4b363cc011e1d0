use std::{sync::Arc, time::Duration};

use axum::{Extension, Router};
use hsm::Hsm;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use rustls::CertificateError;
use store::Store;
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};

use super::{
    clients::Clients,
    routes::{Peer, router},
    tls::ClientTls,
};
use crate::{config, connections::Connections, kms::Kms};

/// Connections at once: hosts keep theirs open.
const MAX_CONNECTIONS: usize = 512;
/// From one address.
const MAX_CONNECTIONS_PER_ADDRESS: usize = 128;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for the head of a request, idling between two requests included.
const HEAD: Duration = Duration::from_secs(60);
/// After this time a connection ends with the request that it is at: so that a certificate which was revoked meanwhile
/// is noticed.
const CONNECTION: Duration = Duration::from_secs(600);
const DRAIN: Duration = Duration::from_secs(10);
/// Stands for the subject of an audit event about a peer that is no client: no serial, which has other characters.
const UNKNOWN: &str = "(no client)";

/// The POSPs' listener and what every connection on it shares.
pub(crate) struct PospPort<S, H> {
    listener: TcpListener,
    tls: ClientTls,
    clients: Arc<Clients>,
    router: Router,
    kms: Arc<Kms<S, H>>,
}

impl<S: Store, H: Hsm> PospPort<S, H> {
    /// What the settings say, behind this listener.
    pub(crate) fn new(
        listener: TcpListener,
        tls: ClientTls,
        settings: &config::Posp,
        kms: Arc<Kms<S, H>>,
    ) -> Self {
        let clients = Arc::new(Clients::new(&settings.clients, settings.max_requests_per_client));
        let router = router(Arc::clone(&kms), settings.max_body_mib << 20);
        Self { listener, tls, clients, router, kms }
    }

    /// Serves until `stop` says so; then lets running requests end.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let connections = Connections::new(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS);
        let mut running = JoinSet::new();
        loop {
            let (stream, peer) = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok(accepted) => accepted,
                    Err(error) => {
                        tracing::warn!(%error, "cannot accept a connection");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                        continue;
                    }
                },
                () = crate::stopped(&mut stop) => break,
                Some(_) = running.join_next() => continue,
            };
            let address = peer.ip().to_canonical();
            let Some(place) = connections.enter(address) else { continue };
            // Answers are small and each is waited for.
            let _ = stream.set_nodelay(true);
            let tls = self.tls.acceptor(&self.kms.trust.crls());
            let refused = self.kms.refused_posp.clone();
            let (clients, router, mut stop) = (Arc::clone(&self.clients), self.router.clone(), stop.clone());
            running.spawn(async move {
                let _place = place;
                let stream = match timeout(HANDSHAKE, tls.accept(stream)).await {
                    Ok(Ok(stream)) => stream,
                    Ok(Err(error)) => {
                        // Anybody can cause this line; the audit counts it.
                        tracing::debug!(%address, %error, "a POSP's TLS handshake failed");
                        refused.count(address, UNKNOWN, handshake_reason(&error));
                        return;
                    }
                    Err(_) => return,
                };
                let client = clients.of(stream.get_ref().1.peer_certificates());
                if let Err(reason) = &client {
                    refused.count(address, UNKNOWN, *reason);
                }
                let router = router.layer(Extension(Peer { client: client.ok(), address }));
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .header_read_timeout(HEAD)
                    .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
                let mut connection = std::pin::pin!(connection);
                let served = tokio::select! {
                    served = connection.as_mut() => served,
                    () = end(&mut stop) => {
                        connection.as_mut().graceful_shutdown();
                        match timeout(DRAIN, connection).await {
                            Ok(served) => served,
                            Err(_) => return,
                        }
                    }
                };
                if let Err(error) = served {
                    tracing::debug!(%address, %error, "a POSP's connection ended");
                }
            });
        }
        drop(self.listener);
        let _ = timeout(DRAIN, async { while running.join_next().await.is_some() {} }).await;
    }
}

/// Why a handshake failed, as far as the audit tells cases apart.
fn handshake_reason(error: &std::io::Error) -> &'static str {
    match error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>()) {
        Some(rustls::Error::NoCertificatesPresented) => "no client certificate",
        Some(rustls::Error::InvalidCertificate(CertificateError::Revoked)) => "client certificate is revoked",
        Some(rustls::Error::InvalidCertificate(_)) => "client certificate is refused",
        _ => "TLS handshake failed",
    }
}

/// When a connection takes no further request.
async fn end(stop: &mut watch::Receiver<bool>) {
    tokio::select! {
        () = tokio::time::sleep(CONNECTION) => {}
        () = crate::stopped(stop) => {}
    }
}
