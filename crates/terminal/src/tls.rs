//! TLS 1.3 to the server's terminal port, where the line itself is not protected (2-wire.md section 1).

#[cfg(test)]
mod tests;

use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use pki::Certificate;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::Stream;

/// Why there is no TLS connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A root is none that TLS takes.
    #[error("the TLS root of {subject} cannot be used: {source}")]
    Root {
        /// Whom it names.
        subject: String,
        /// Why.
        source: rustls::Error,
    },
    /// The server's name is neither a host name nor an address.
    #[error("{0:?} is neither a host name nor an address")]
    ServerName(String),
    /// The connection cannot be set up.
    #[error("TLS: {0}")]
    Tls(#[from] rustls::Error),
    /// The handshake failed: the server's certificate, or the line.
    #[error("no TLS connection: {0}")]
    Handshake(#[from] io::Error),
}

/// A TLS stream to a server.
#[derive(Debug)]
pub struct TlsStream(StreamOwned<ClientConnection, TcpStream>);

/// What a terminal needs for TLS: the roots that it believes for servers. Made once, used for each connection.
#[derive(Debug, Clone)]
pub struct TlsClient(Arc<ClientConfig>);

impl TlsClient {
    /// Believes servers under these roots.
    ///
    /// # Errors
    /// [`TlsError::Root`], [`TlsError::Tls`].
    pub fn new<'a>(roots: impl IntoIterator<Item = &'a Certificate>) -> Result<TlsClient, TlsError> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store
                .add(CertificateDer::from(root.der()))
                .map_err(|source| TlsError::Root { subject: root.subject().to_string(), source })?;
        }
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let config = ClientConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13])?
            .with_root_certificates(store)
            .with_no_client_auth();
        Ok(TlsClient(Arc::new(config)))
    }

    /// Does the handshake with the server of this name over a connection, waiting at most `wait` for each answer.
    ///
    /// # Errors
    /// [`TlsError::ServerName`], [`TlsError::Handshake`], [`TlsError::Tls`].
    pub fn connect(&self, stream: TcpStream, server: &str, wait: Duration) -> Result<TlsStream, TlsError> {
        let name =
            ServerName::try_from(server.to_owned()).map_err(|_| TlsError::ServerName(server.to_owned()))?;
        Stream::limit(&stream, wait, wait)?;
        let mut stream = StreamOwned::new(ClientConnection::new(Arc::clone(&self.0), name)?, stream);
        // Now, so that a certificate that is refused says so here and not in the first message.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).map_err(silent)?;
        }
        Ok(TlsStream(stream))
    }
}

/// A peer that says nothing in a handshake most often speaks no TLS.
fn silent(error: io::Error) -> io::Error {
    if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) {
        return io::Error::new(
            io::ErrorKind::TimedOut,
            "no answer in time: is TLS switched on at that port?",
        );
    }
    error
}

impl Read for TlsStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer)
    }
}

impl Write for TlsStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

impl Stream for TlsStream {
    fn limit(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.0.sock.limit(read, write)
    }

    fn shut(&mut self, how: Shutdown) {
        if how == Shutdown::Write {
            self.0.conn.send_close_notify();
            // The peer may be gone; then there is nobody to say goodbye to.
            let _ = self.0.flush();
        } else {
            self.0.sock.shut(how);
        }
    }
}
