//! HTTP/1.1 over TLS, byte by byte, one request a connection.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Duration,
};

use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned, SupportedProtocolVersion,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
    version::{TLS12, TLS13},
};
use serde_json::Value;

use super::estate::ESTATE;

pub(crate) const CMS: &str = "application/cms";

/// What the server answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: String,
    /// `Null` when the body is no JSON.
    pub(crate) json: Value,
}

impl Answer {
    /// The code of a refusal.
    pub(crate) fn code(&self) -> &str {
        self.json["error"]["code"].as_str().unwrap_or_default()
    }
}

/// A TLS connection that believes the estate's root, with these versions only.
pub(crate) fn tls(
    address: SocketAddr,
    versions: &[&'static SupportedProtocolVersion],
) -> StreamOwned<ClientConnection, TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(ESTATE.root.der().to_vec())).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(address.ip().to_string()).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    StreamOwned::new(ClientConnection::new(Arc::new(config), name).unwrap(), stream)
}

pub(crate) fn post(address: SocketAddr, path: &str, media: &str, body: &[u8]) -> Answer {
    request(address, &format!("POST {path}"), &format!("content-type: {media}\r\n"), body)
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, &format!("GET {path}"), "", &[])
}

fn request(address: SocketAddr, line: &str, headers: &str, body: &[u8]) -> Answer {
    let mut stream = tls(address, &[&TLS13, &TLS12]);
    let head = format!(
        "{line} HTTP/1.1\r\nhost: 127.0.0.1\r\nconnection: close\r\ncontent-length: {}\r\n{headers}\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    // A server that refuses a body may close before it has come whole.
    let _ = stream.write_all(body).and_then(|()| stream.flush());
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no HTTP answer: {answer:?}"));
    Answer {
        status: head.split(' ').nth(1).unwrap().parse().unwrap(),
        body: body.to_owned(),
        json: serde_json::from_str(body).unwrap_or_default(),
    }
}
