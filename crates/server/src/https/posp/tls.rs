//! TLS towards POSPs: they prove who they are with a certificate of the acquirer's root for clients.
//!
//! rustls's own verifier checks chain, dates, purpose and revocation, in the handshake: who has no such certificate is
//! heard no further.

use std::{
    fs,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use pki::{Certificate, Crl, CrlSet};
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, CertificateRevocationListDer},
    server::{NoServerSessionStorage, VerifierBuilderError, WebPkiClientVerifier},
    sign::SingleCertAndKey,
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsAcceptor;

use crate::config::{self, Config};

/// Why POSPs cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum PospError {
    /// The root cannot be read.
    #[error("posp.client_root: cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file holds no root certificate.
    #[error("posp.client_root: {path}: {source}")]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: pki::Error,
    },
    /// Revoked clients could not be told from others.
    #[error(
        "trust.crls has no revocation list of {root}, which issues the POSPs' certificates, and trust.crl_required \
         asks for one: `keyferry ca crl` makes it"
    )]
    NoRevocationList {
        /// The root's name.
        root: String,
    },
    /// rustls does not take root or lists.
    #[error("posp.client_root and trust.crls cannot be used: {0}")]
    Verifier(#[from] VerifierBuilderError),
    /// rustls does not take the settings.
    #[error("TLS for POSPs cannot be served: {0}")]
    Refused(#[from] rustls::Error),
}

/// Accepts connections of POSPs, by the revocation lists of the moment.
pub(crate) struct ClientTls {
    root: Certificate,
    identity: Arc<SingleCertAndKey>,
    provider: Arc<CryptoProvider>,
    crl_required: bool,
    /// The lists that the acceptor was made with.
    current: Mutex<(Arc<CrlSet>, TlsAcceptor)>,
}

impl ClientTls {
    /// Reads the root and tries all of it out.
    pub(crate) fn new(
        config: &Config,
        settings: &config::Posp,
        identity: Arc<SingleCertAndKey>,
        crls: Arc<CrlSet>,
    ) -> Result<Self, PospError> {
        let path = config.path(&settings.client_root);
        let text =
            fs::read_to_string(&path).map_err(|source| PospError::Read { path: path.clone(), source })?;
        let root = Certificate::from_pem(&text)
            .and_then(|root| root.must_be_for(config.trust.production).map(|()| root))
            .map_err(|source| PospError::Content { path, source })?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let crl_required = config.trust.crl_required;
        let acceptor = build(&root, &identity, &provider, crl_required, &crls)?;
        Ok(Self { root, identity, provider, crl_required, current: Mutex::new((crls, acceptor)) })
    }

    /// The acceptor for one connection, now.
    pub(crate) fn acceptor(&self, crls: &Arc<CrlSet>) -> TlsAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&current.0, crls) {
            match build(&self.root, &self.identity, &self.provider, self.crl_required, crls) {
                Ok(acceptor) => *current = (Arc::clone(crls), acceptor),
                // The lists that were good before stay in force.
                Err(error) => tracing::error!(%error, "new revocation lists cannot be used for POSPs"),
            }
        }
        current.1.clone()
    }
}

fn build(
    root: &Certificate,
    identity: &Arc<SingleCertAndKey>,
    provider: &Arc<CryptoProvider>,
    crl_required: bool,
    crls: &CrlSet,
) -> Result<TlsAcceptor, PospError> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root.der().to_vec()))?;
    let newest = newest(root, crls);
    // Without any list rustls would check no revocation at all, whatever else it is told.
    if crl_required && !newest.iter().any(|crl| crl.issuer() == root.subject()) {
        return Err(PospError::NoRevocationList { root: root.subject().to_string() });
    }
    let lists = newest.iter().map(|crl| CertificateRevocationListDer::from(crl.der().to_vec()));
    let mut verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(provider))
        .with_crls(lists)
        .enforce_revocation_expiration();
    if !crl_required {
        verifier = verifier.allow_unknown_revocation_status();
    }
    let mut server = ServerConfig::builder_with_provider(Arc::clone(provider))
        .with_protocol_versions(&[&TLS13, &TLS12])?
        .with_client_cert_verifier(verifier.build()?)
        .with_cert_resolver(Arc::<SingleCertAndKey>::clone(identity));
    server.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A resumed session would bring back a client without a look at its certificate, revoked since or not.
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.send_tls13_tickets = 0;
    Ok(TlsAcceptor::from(Arc::new(server)))
}

/// The list with the highest number of each issuer: rustls takes the first that it finds. Of those in the root's name
/// only ones that the root signed.
fn newest<'a>(root: &Certificate, crls: &'a CrlSet) -> Vec<&'a Crl> {
    let mut newest: Vec<&Crl> = Vec::new();
    for crl in crls.iter() {
        if crl.issuer() == root.subject() && crl.verify(root).is_err() {
            continue;
        }
        match newest.iter_mut().find(|known| known.issuer() == crl.issuer()) {
            Some(known) if known.number() < crl.number() => *known = crl,
            Some(_) => {}
            None => newest.push(crl),
        }
    }
    newest
}
