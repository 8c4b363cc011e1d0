//! The one port where terminals connect; the first message names the flow (2-wire.md section 1).

use std::{net::IpAddr, sync::Arc, time::Duration};

use hsm::Hsm;
use store::Store;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinSet,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use wire::{ErrorCode, MessageType, limits::MESSAGE_SECONDS};

use crate::{
    config,
    connections::Connections,
    kms::Kms,
    link::{Link, LinkError},
    rks::Given,
};

/// Time for a TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Time that running flows have to end when the server stops.
const DRAIN: Duration = Duration::from_secs(10);

/// The port and what every connection on it shares.
pub(crate) struct TerminalPort<S, H> {
    pub(crate) listener: TcpListener,
    pub(crate) tls: Option<TlsAcceptor>,
    pub(crate) settings: config::TerminalPort,
    pub(crate) kms: Arc<Kms<S, H>>,
}

impl<S: Store, H: Hsm> TerminalPort<S, H> {
    /// Serves until `stop` says so; then lets running flows end.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let connections =
            Connections::new(self.settings.max_connections, self.settings.max_connections_per_address);
        let idle = Duration::from_secs(self.settings.idle_seconds);
        let mut running = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.listener.accept() => accepted,
                () = crate::stopped(&mut stop) => break,
            };
            // Those that have ended go when another comes: to be woken for each would cost more than to keep the last few.
            while running.try_join_next().is_some() {}
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    // Out of file descriptors, most likely: running connections go on and free some.
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            let address = peer.ip().to_canonical();
            let Some(place) = connections.enter(address) else {
                tracing::debug!(%address, "connection refused: limit reached");
                // Behind TLS a clear ERROR would be no message; a handshake would cost what the limit is to save.
                if self.tls.is_none() {
                    running
                        .spawn(async move { Link::new(stream, idle, idle).end_with(ErrorCode::Busy).await });
                }
                continue;
            };
            let (kms, tls, stop) = (Arc::clone(&self.kms), self.tls.clone(), stop.clone());
            running.spawn(async move {
                let _place = place;
                converse(stream, tls, address, idle, &kms, stop).await;
            });
        }
        drop(self.listener);
        if timeout(DRAIN, async { while running.join_next().await.is_some() {} }).await.is_err() {
            tracing::warn!(open = running.len(), "some terminals were cut off; they get the same key again");
        }
    }
}

async fn converse<S: Store, H: Hsm>(
    stream: TcpStream,
    tls: Option<TlsAcceptor>,
    address: IpAddr,
    idle: Duration,
    kms: &Kms<S, H>,
    stop: watch::Receiver<bool>,
) {
    let message = Duration::from_secs(MESSAGE_SECONDS);
    // Messages are small and each is waited for: delaying them to fill packets only costs time.
    let _ = stream.set_nodelay(true);
    match tls {
        None => serve(Link::new(stream, idle, message), address, kms, stop).await,
        Some(tls) => match timeout(HANDSHAKE, tls.accept(stream)).await {
            Ok(Ok(stream)) => serve(Link::new(stream, idle, message), address, kms, stop).await,
            Ok(Err(error)) => tracing::debug!(%address, %error, "TLS handshake failed"),
            Err(_) => tracing::debug!(%address, "TLS handshake took too long"),
        },
    }
}

/// One flow after another until the peer closes or one fails.
async fn serve<T: AsyncRead + AsyncWrite + Unpin, S: Store, H: Hsm>(
    mut link: Link<T>,
    address: IpAddr,
    kms: &Kms<S, H>,
    mut stop: watch::Receiver<bool>,
) {
    let mut given = Given::default();
    loop {
        let first = tokio::select! {
            biased;
            first = link.receive() => first,
            () = crate::stopped(&mut stop) => return,
        };
        let code = match first {
            Ok(frame) => match frame.kind() {
                // An MTMS collects, and gives nobody a key.
                Ok(kind)
                    if kms.is_mtms() && !matches!(kind, MessageType::CollectAsk | MessageType::Error) =>
                {
                    Some(refused(kms, address, ErrorCode::UnexpectedMessage))
                }
                Ok(MessageType::TkHello) => match kms.download(&mut link, &frame, address).await {
                    Ok(()) => continue,
                    Err(error) => {
                        if error.code() == Some(ErrorCode::Internal) {
                            tracing::error!(%address, %error, "download failed");
                        } else {
                            // Anybody can cause this line; the audit counts it.
                            tracing::debug!(%address, %error, "download ended without a key");
                        }
                        error.code()
                    }
                },
                Ok(MessageType::RksAuth) if kms.rks.serves() => {
                    match kms.load_device(&mut link, &frame, address, &mut given).await {
                        Ok(()) => continue,
                        Err(error) => {
                            tracing::info!(%address, %error, "a device's download ended early");
                            error.code()
                        }
                    }
                }
                Ok(MessageType::CollectAsk) => match kms.collect_asking(&mut link, &frame, address).await {
                    Ok(()) => continue,
                    Err(error) => {
                        tracing::info!(%address, %error, "a terminal that asked was not collected");
                        error.code()
                    }
                },
                Ok(MessageType::TmsHello) if kms.tms.serves() => {
                    match kms.manage(&mut link, &frame, address, &mut stop).await {
                        Ok(()) => continue,
                        Err(end) => {
                            if end.is_failure() {
                                tracing::error!(%address, %end, "a session with the TMS failed");
                            } else {
                                tracing::debug!(%address, %end, "a session with the TMS ended early");
                            }
                            end.code()
                        }
                    }
                }
                Ok(MessageType::SignIn) => match kms.sign_in(&mut link, &frame, address).await {
                    Ok(()) => continue,
                    Err(error) => {
                        if error.code() == Some(ErrorCode::Internal) {
                            tracing::error!(%address, %error, "sign-in failed");
                        } else {
                            tracing::debug!(%address, %error, "sign-in ended without working keys");
                        }
                        error.code()
                    }
                },
                Ok(MessageType::Error) => None,
                Ok(_) => Some(refused(kms, address, ErrorCode::UnexpectedMessage)),
                Err(malformed) => Some(refused(kms, address, malformed.code())),
            },
            Err(LinkError::Malformed(malformed)) => Some(refused(kms, address, malformed.code())),
            Err(LinkError::Silent) => Some(ErrorCode::Timeout),
            Err(LinkError::Closed | LinkError::Broken(_)) => None,
        };
        if let Some(code) = code {
            link.end_with(code).await;
        }
        return;
    }
}

/// Counts a peer whose first message is none, or none that opens a flow here.
fn refused<S: Store, H: Hsm>(kms: &Kms<S, H>, address: IpAddr, code: ErrorCode) -> ErrorCode {
    kms.count_unnamed(address);
    code
}
