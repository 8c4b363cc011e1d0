//! The server's TLS: 1.3 for terminals, 1.3 or 1.2 with rustls's own list of suites for stations.

use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

use hsm::{
    Hsm, HsmError, KeyBlock,
    commands::{SignTls, TlsScheme},
};
use pki::Scheme;
use rustls::{
    InconsistentKeys, ServerConfig, SignatureAlgorithm, SignatureScheme, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, Signer, SigningKey, SingleCertAndKey},
    version::{TLS12, TLS13},
};
use tokio::runtime::{Handle, RuntimeFlavor};
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
    /// The HSM does not sign with the key block.
    #[error("the TLS key cannot be used: {0}")]
    Hsm(#[from] HsmError),
}

/// What one certificate is served with.
pub(crate) struct Tls {
    /// For terminals.
    pub(crate) terminals: TlsAcceptor,
    /// For stations and people.
    pub(crate) https: TlsAcceptor,
    /// The certificate and its key, for whoever builds an acceptor of his own.
    pub(crate) identity: Arc<SingleCertAndKey>,
}

/// Acceptors from one certificate.
///
/// The key's file holds a key block of the HSM's, or the key itself as PKCS #8 in PEM.
pub(crate) async fn acceptors<H: Hsm + Clone>(
    certificate: &Path,
    key: &Path,
    hsm: &H,
    owner: &str,
) -> Result<Tls, TlsError> {
    let no = |path: &Path, what| TlsError::Content { path: path.into(), what };
    let chain: Vec<_> = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect)
        .map_err(|_| no(certificate, "certificate"))?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let text = read_private(key)?;
    let signing: Arc<dyn SigningKey> = if text.starts_with("-----BEGIN") {
        let der = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_| no(key, "private key"))?;
        provider.key_provider.load_private_key(der)?
    } else {
        let block = KeyBlock::from_text(text.trim().to_owned());
        try_out(hsm, &block, owner, chain.first()).await?;
        Arc::new(HsmKey { hsm: hsm.clone(), block, owner: owner.to_owned() })
    };
    let certified = CertifiedKey::new(chain, signing);
    match certified.keys_match() {
        // A key in the HSM was tried out.
        Ok(()) | Err(rustls::Error::InconsistentKeys(InconsistentKeys::Unknown)) => {}
        Err(error) => return Err(error.into()),
    }
    let resolver = Arc::new(SingleCertAndKey::from(certified));
    let build = |versions: &[&'static SupportedProtocolVersion], alpn: &[&[u8]]| -> Result<_, TlsError> {
        let mut config = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(versions)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::<SingleCertAndKey>::clone(&resolver));
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        Ok(TlsAcceptor::from(Arc::new(config)))
    };
    let (terminals, https) = (build(&[&TLS13], &[])?, build(&[&TLS13, &TLS12], &[b"http/1.1"])?);
    Ok(Tls { terminals, https, identity: resolver })
}

/// Has the HSM sign once, so that a key that is another certificate's or another HSM's is noticed at the start and not
/// by the first station.
async fn try_out<H: Hsm>(
    hsm: &H,
    block: &KeyBlock,
    owner: &str,
    certificate: Option<&CertificateDer<'_>>,
) -> Result<(), TlsError> {
    let message = b"keyferry: does this key belong to this certificate?".to_vec();
    let sign = SignTls {
        key: block.clone(),
        owner: owner.to_owned(),
        scheme: TlsScheme::PssSha256,
        message: message.clone(),
    };
    let signature = hsm.call(sign).await?;
    // Certificates from elsewhere may hold what is not read here; rustls will judge them.
    let Some(Ok(certificate)) = certificate.map(|der| pki::Certificate::from_der(der)) else { return Ok(()) };
    pki::verify_signature(certificate.spki_der(), Scheme::PssSha256, &message, &signature)
        .map_err(|_| rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch).into())
}

fn read_private(path: &Path) -> Result<String, TlsError> {
    let failed = |source| TlsError::Read { path: path.into(), source };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(TlsError::NotPrivate { path: path.into(), mode });
    }
    fs::read_to_string(path).map_err(failed)
}

/// A TLS key that lives in the HSM: each handshake is one command to it.
struct HsmKey<H> {
    hsm: H,
    block: KeyBlock,
    owner: String,
}

struct HsmSigner<H> {
    hsm: H,
    block: KeyBlock,
    owner: String,
    scheme: TlsScheme,
}

impl<H: Hsm + Clone> SigningKey for HsmKey<H> {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        let schemes = [
            (SignatureScheme::RSA_PSS_SHA256, TlsScheme::PssSha256),
            (SignatureScheme::RSA_PKCS1_SHA256, TlsScheme::Pkcs1Sha256),
        ];
        let (_, scheme) = schemes.into_iter().find(|(scheme, _)| offered.contains(scheme))?;
        let (hsm, block, owner) = (self.hsm.clone(), self.block.clone(), self.owner.clone());
        Some(Box::new(HsmSigner { hsm, block, owner, scheme }))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::RSA
    }
}

impl<H: Hsm + Clone> Signer for HsmSigner<H> {
    /// rustls asks for the signature in line; the worker that drives the handshake waits for the HSM, and the
    /// runtime moves its other work away.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        let failed = |why: String| rustls::Error::General(why);
        let runtime = Handle::try_current().map_err(|e| failed(e.to_string()))?;
        if runtime.runtime_flavor() != RuntimeFlavor::MultiThread {
            return Err(failed("a TLS key in the HSM needs the multi-threaded runtime".into()));
        }
        let command = SignTls {
            key: self.block.clone(),
            owner: self.owner.clone(),
            scheme: self.scheme,
            message: message.to_vec(),
        };
        let signed = tokio::task::block_in_place(|| runtime.block_on(self.hsm.call(command)));
        signed.map_err(|e| failed(e.to_string()))
    }

    fn scheme(&self) -> SignatureScheme {
        match self.scheme {
            TlsScheme::PssSha256 => SignatureScheme::RSA_PSS_SHA256,
            TlsScheme::Pkcs1Sha256 => SignatureScheme::RSA_PKCS1_SHA256,
        }
    }
}

impl<H> fmt::Debug for HsmKey<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HsmKey({:?})", self.block)
    }
}

impl<H> fmt::Debug for HsmSigner<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "HsmSigner({:?}, {:?})", self.block, self.scheme)
    }
}
