//! The server's TLS: 1.3 for terminals, 1.3 or 1.2 with rustls's own list of suites for stations.

use std::{
    fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    version::{TLS12, TLS13},
};
use tokio_rustls::TlsAcceptor;

/// Why TLS cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The private key's file is open to others.
    #[error("{path} can be read by others (mode {mode:o}); make it private: chmod 600")]
    NotPrivate {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file holds no certificate or key that can be used.
    #[error("{path} holds no {what} that can be used")]
    Content {
        /// The file.
        path: PathBuf,
        /// `certificate` or `private key`.
        what: &'static str,
    },
    /// Certificate and key do not fit together, or rustls refuses them.
    #[error("TLS certificate and key cannot be used: {0}")]
    Refused(#[from] rustls::Error),
}

/// Acceptors from one certificate: for terminals, and for HTTPS.
pub(crate) fn acceptors(certificate: &Path, key: &Path) -> Result<(TlsAcceptor, TlsAcceptor), TlsError> {
    let meta = fs::metadata(key).map_err(|source| TlsError::Read { path: key.into(), source })?;
    let mode = meta.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TlsError::NotPrivate { path: key.into(), mode });
    }
    let no = |path: &Path, what| TlsError::Content { path: path.into(), what };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|_| no(certificate, "certificate"))?;
    let private = || PrivateKeyDer::from_pem_file(key).map_err(|_| no(key, "private key"));
    let provider = Arc::new(aws_lc_rs::default_provider());
    let build =
        |versions: &[&'static rustls::SupportedProtocolVersion], alpn: &[&[u8]]| -> Result<_, TlsError> {
            let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
                .with_protocol_versions(versions)?
                .with_no_client_auth()
                .with_single_cert(chain.clone(), private()?)?;
            config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
            Ok(TlsAcceptor::from(Arc::new(config)))
        };
    Ok((build(&[&TLS13], &[])?, build(&[&TLS13, &TLS12], &[b"http/1.1"])?))
}
