//! A POSP: HTTP/1.1 over TLS with a client certificate, connections kept open.

use std::{net::SocketAddr, sync::Arc};

use anyhow::{Context, Result, bail};
use paycrypto::rsa::PrivateKey;
use pki::issue;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use super::POSP;
use crate::{
    children::Children,
    estate::{BITS, Estate, name, validity},
};

/// What connections are made with.
#[derive(Clone)]
pub(super) struct Client {
    config: Arc<ClientConfig>,
    address: SocketAddr,
}

impl Client {
    pub(super) fn new(estate: &Estate, children: &Children) -> Result<Client> {
        let key = PrivateKey::generate(BITS)?;
        let certificate = issue::tls_client(&estate.issuer()?, &name(POSP)?, key.spki_der(), validity())?;
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(estate.root.der().to_vec()))?;
        let chain = vec![CertificateDer::from(certificate.der().to_vec())];
        let key = PrivatePkcs8KeyDer::from(key.to_pkcs8().to_vec());
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_client_auth_cert(chain, key.into())?;
        Ok(Client { config: Arc::new(config), address: children.posp()? })
    }

    pub(super) async fn connect(&self) -> Result<Connection> {
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let name = ServerName::from(self.address.ip());
        Ok(Connection { stream: connector.connect(name, stream).await?, read: Vec::new() })
    }
}

/// An open connection.
pub(super) struct Connection {
    stream: TlsStream<TcpStream>,
    read: Vec<u8>,
}

/// A request, head and body, ready to go.
pub(super) fn request(path: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: benchmark\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n\
         {body}"
    )
    .into_bytes()
}

impl Connection {
    /// Sends a request; gives the body of the answer, which must be 200.
    pub(super) async fn send(&mut self, request: &[u8]) -> Result<&[u8]> {
        self.stream.write_all(request).await?;
        self.stream.flush().await?;
        self.read.clear();
        let (head, length) = loop {
            if let Some(found) = head(&self.read)? {
                break found;
            }
            self.fill().await?;
        };
        while self.read.len() < head + length {
            self.fill().await?;
        }
        let body = self.read.get(head..).unwrap_or_default();
        if !self.read.starts_with(b"HTTP/1.1 200") {
            bail!("a POSP was refused: {}", String::from_utf8_lossy(body));
        }
        Ok(body)
    }

    async fn fill(&mut self) -> Result<()> {
        if self.stream.read_buf(&mut self.read).await? == 0 {
            bail!("the server closed a POSP's connection");
        }
        Ok(())
    }
}

/// Bytes of the head of an answer and of its body, once the head is there.
fn head(read: &[u8]) -> Result<Option<(usize, usize)>> {
    const END: &[u8] = b"\r\n\r\n";
    let Some(end) = read.windows(END.len()).position(|window| window == END) else { return Ok(None) };
    let text = std::str::from_utf8(read.get(..end).unwrap_or_default())?;
    let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
    let length = length.context("an answer says how long it is")?.trim().parse()?;
    Ok(Some((end + END.len(), length)))
}
