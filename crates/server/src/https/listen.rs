use std::time::Duration;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{net::TcpListener, sync::watch, task::JoinSet, time::timeout};
use tokio_rustls::TlsAcceptor;

use crate::connections::Connections;

use super::routes::Source;

/// Connections at once: stations and people, not terminals.
const MAX_CONNECTIONS: usize = 256;
/// From one address: a slow sender cannot hold all of them.
const MAX_CONNECTIONS_PER_ADDRESS: usize = 64;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time for the head of a request: a peer that sends it drop by drop is let go.
const HEAD: Duration = Duration::from_secs(15);
/// Time for one whole connection, uploads and idling included.
const CONNECTION: Duration = Duration::from_secs(300);
const DRAIN: Duration = Duration::from_secs(10);

/// Serves until `stop` says so; then lets running requests end.
pub(crate) async fn run(
    listener: TcpListener,
    tls: TlsAcceptor,
    router: Router,
    mut stop: watch::Receiver<bool>,
) {
    let connections = Connections::new(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_ADDRESS);
    let mut running = JoinSet::new();
    loop {
        let (stream, peer) = tokio::select! {
            accepted = listener.accept() => match accepted {
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
        let Some(place) = connections.enter(peer.ip().to_canonical()) else { continue };
        let (tls, mut stop) = (tls.clone(), stop.clone());
        let router = router.clone().layer(Extension(Source(peer.ip().to_canonical())));
        running.spawn(async move {
            let _place = place;
            let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await else { return };
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD)
                .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
            let mut connection = std::pin::pin!(connection);
            let served = timeout(CONNECTION, async {
                tokio::select! {
                    served = connection.as_mut() => return served,
                    () = crate::stopped(&mut stop) => connection.as_mut().graceful_shutdown(),
                }
                connection.as_mut().await
            });
            if let Ok(Err(error)) = served.await {
                tracing::debug!(%error, "HTTPS connection ended");
            }
        });
    }
    drop(listener);
    let _ = timeout(DRAIN, async { while running.join_next().await.is_some() {} }).await;
}
