//! The servers of an acquirer: the terminal port and the upload endpoint, in one process that holds no clear key.
//!
//! Keys are key blocks here; whatever needs one in clear is a command to the HSM's own process. The crate graph says
//! so: this crate cannot reach the clear-key crate (`cargo tree -p keyferry-server -e normal`).

mod clock;
mod collect_ask;
pub mod config;
mod connections;
mod flow_end;
pub mod host;
mod https;
pub mod import;
mod kms;
mod link;
pub mod partners;
mod process;
mod refusals;
mod rks;
mod slots;
mod suite;
mod terminal_port;
mod tls;
pub mod tms;
mod trust;
mod windows;

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use hsm::{
    Hsm, HsmError, KeyBlock,
    commands::{CheckWorkKey, EcKeyKind, WorkKeyOf},
};
use store::{Event, Store};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle, time::Instant};
use wire::Suite;

pub use config::{Config, ConfigError};
pub use https::posp::PospError;
pub use process::no_core_dumps;
pub use rks::{RksError, exchange_key};
pub use tls::TlsError;
pub use trust::{Believed, TrustError, believed};

/// How often refusals of strangers go to the audit (2-wire.md section 8).
const STRANGERS_EVERY: Duration = Duration::from_secs(60);

/// A running server.
pub struct Running {
    /// Where terminals connect.
    pub terminal_port: SocketAddr,
    /// Where stations connect.
    pub https: SocketAddr,
    /// Where POSPs connect, if they are served.
    pub posp: Option<SocketAddr>,
    stop: watch::Sender<bool>,
    tasks: Vec<JoinHandle<()>>,
    report: Box<dyn FnOnce() -> JoinHandle<()> + Send>,
}

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be bound.
    #[error("cannot listen on {address} ({name}): {source}")]
    Listen {
        /// The setting.
        name: &'static str,
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The TLS files cannot be used.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The trust settings cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The settings of the remote key server cannot be used.
    #[error(transparent)]
    Rks(#[from] RksError),
    /// A partner's keys cannot be used.
    #[error(transparent)]
    Partner(#[from] partners::PartnerError),
    /// The settings for POSPs cannot be used.
    #[error(transparent)]
    Posp(#[from] PospError),
    /// The store cannot be read, or the audit cannot be written: nothing may be done.
    #[error("the store cannot be used: {0}")]
    Store(#[from] store::StoreError),
    /// The HSM does not open an active work key, or it is not its certificate's: nothing collected would open.
    #[error("an active work key cannot be used: {0}")]
    WorkKey(#[source] HsmError),
}

/// Starts serving.
///
/// # Errors
/// [`StartError`], before anything is served.
pub async fn start<S: Store, H: Hsm + Clone>(
    config: &Config,
    store: Arc<S>,
    hsm: H,
) -> Result<Running, StartError> {
    let trust = trust::Trust::load(config)?;
    let rks = rks::Rks::load(config)?;
    let partners = partners::partners(config)?;
    partners::check(&hsm, config, &partners).await?;
    let (certificate, key) = (config.path(&config.https.certificate), config.path(&config.https.key));
    let mut keys = Vec::new();
    for (suite, of) in
        [(Suite::TDES, WorkKeyOf::Kms), (Suite::EC_AES, WorkKeyOf::Ec(EcKeyKind::KmsAgreement))]
    {
        let record = store.active_work_key(suite).await?;
        keys.extend(record.map(|record| (of, record.private_block, record.spki)));
    }
    for (suite, of) in [(Suite::TDES, WorkKeyOf::Rks), (Suite::EC_AES, WorkKeyOf::Ec(EcKeyKind::RksSigning))]
    {
        let record = store.active_rks_work_key(suite).await?;
        keys.extend(record.map(|record| (of, record.key.private_block, record.key.spki)));
    }
    for (of, private, public) in keys {
        let (work_key, owner) = (KeyBlock::from_text(private), config.acquirer.id.clone());
        hsm.call(CheckWorkKey { work_key, public, owner, of }).await.map_err(StartError::WorkKey)?;
    }
    let tls::Tls { terminals: terminal_tls, https: https_tls, identity } =
        tls::acceptors(&certificate, &key, &hsm, &config.acquirer.id).await?;
    let posp = match &config.posp {
        Some(settings) => {
            let tls = https::posp::ClientTls::new(config, settings, identity, trust.crls())?;
            Some((settings, tls, listen("posp.listen", settings.listen).await?))
        }
        None => None,
    };
    let terminals = listen("terminal_port.listen", config.terminal_port.listen).await?;
    let people = listen("https.listen", config.https.listen).await?;
    let detail = serde_json::json!({ "version": env!("CARGO_PKG_VERSION") });
    store
        .audit_append(Event::new(
            clock::now_ms(),
            "server.started",
            "server",
            config.acquirer.id.as_str(),
            detail,
        ))
        .await?;

    let (stop, stopping) = watch::channel(false);
    let duties = kms::Duties {
        rks,
        host: host::Host::new(config.host),
        tms: tms::Tms::new(config.tms.clone()),
        exchange: kms::Exchange::new(partners),
        mtms: config.mtms.is_some(),
    };
    let kms = Arc::new(kms::Kms::new(store, hsm, config.acquirer.clone(), trust, duties));
    let (terminal_port, https) = (local(&terminals), local(&people));
    let port = terminal_port::TerminalPort {
        listener: terminals,
        tls: config.terminal_port.tls.then_some(terminal_tls),
        settings: config.terminal_port.clone(),
        kms: Arc::clone(&kms),
    };
    let router = https::router(Arc::clone(&kms), config.https.max_body_mib << 20);
    let mut tasks = vec![
        tokio::spawn(port.run(stopping.clone())),
        tokio::spawn(https::run(people, https_tls, router, stopping.clone())),
        tokio::spawn(report_strangers(Arc::clone(&kms), stopping.clone())),
        tokio::spawn(flush_uses(Arc::clone(&kms), stopping.clone())),
    ];
    let mut posp_address = None;
    if let Some((settings, tls, listener)) = posp {
        posp_address = Some(local(&listener));
        let port = https::posp::PospPort::new(listener, tls, settings, Arc::clone(&kms));
        tasks.push(tokio::spawn(port.run(stopping)));
    }
    let report = Box::new(move || tokio::spawn(async move { kms.stopped().await }));
    Ok(Running { terminal_port, https, posp: posp_address, stop, tasks, report })
}

impl Running {
    /// Stops: no new connections, running flows end, the last refusals go to the audit.
    pub async fn stop(self) {
        let _ = self.stop.send(true);
        for task in self.tasks {
            // A task that panicked has said so in the log; the others still stop in order.
            let _ = task.await;
        }
        let _ = (self.report)().await;
    }
}

/// Checks a certificate for a role as a running server with this configuration would.
///
/// # Errors
/// [`CheckError`], with the exact reason.
pub fn check_certificate(
    config: &Config,
    certificate: &pki::Certificate,
    role: pki::Role,
) -> Result<(), CheckError> {
    check_chain(config, certificate, &[], role).map(|_| ())
}

/// The same for a certificate that comes with intermediates, nearest to it first. What comes back tells which of a role's
/// uses the certificate is for.
///
/// # Errors
/// [`CheckError`], with the exact reason.
pub fn check_chain(
    config: &Config,
    certificate: &pki::Certificate,
    intermediates: &[pki::Certificate],
    role: pki::Role,
) -> Result<pki::Verified, CheckError> {
    Ok(trust::Trust::load(config)?.verify(certificate, intermediates, role)?)
}

/// Why a certificate does not pass.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// The trust settings cannot be used.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// The certificate is refused.
    #[error("the certificate is refused: {0}")]
    Refused(#[from] pki::CertificateRefusal),
}

async fn report_strangers<S: Store, H: Hsm>(kms: Arc<kms::Kms<S, H>>, mut stop: watch::Receiver<bool>) {
    kms.end_deployments().await;
    // Not at once, as a plain interval: what is counted in the first minute belongs together.
    let mut every = tokio::time::interval_at(Instant::now() + STRANGERS_EVERY, STRANGERS_EVERY);
    loop {
        tokio::select! {
            _ = every.tick() => {
                kms.report_strangers().await;
                kms.end_deployments().await;
            }
            () = crate::stopped(&mut stop) => return,
        }
    }
}

async fn flush_uses<S: Store, H: Hsm>(kms: Arc<kms::Kms<S, H>>, stop: watch::Receiver<bool>) {
    kms.flush_uses(stop).await;
}

/// Returns when the server is to stop.
pub(crate) async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone: the server's owner dropped it, so it stops as well.
    let _ = stop.wait_for(|stop| *stop).await;
}

async fn listen(name: &'static str, address: SocketAddr) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Listen { name, address, source })
}

fn local(listener: &TcpListener) -> SocketAddr {
    // A bound listener has an address.
    listener.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0)))
}
