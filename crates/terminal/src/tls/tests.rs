//! TLS with a server of the estate's CA.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use paycrypto::rsa::PrivateKey;
use pki::issue::{self, Issuer};
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};

use super::*;
use crate::Link;
use crate::testing::{DAY, Key, estate, name, validity};

const WAIT: Duration = Duration::from_secs(5);

/// A TLS server for one connection, which sends one frame back.
fn server(version: &'static SupportedProtocolVersion) -> (TcpStream, std::thread::JoinHandle<bool>) {
    let estate = estate();
    let key = PrivateKey::generate(2048).unwrap();
    let issuer = Issuer::new(&estate.root, &estate.root_key).unwrap();
    let names = ["localhost".parse().unwrap(), "127.0.0.1".parse().unwrap()];
    let dates = validity(estate.now - DAY, 30);
    let certificate = issue::tls_server(&issuer, &name("server"), key.spki_der(), dates, &names).unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.to_pkcs8().to_vec()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(certificate.der().to_vec())], private)
        .unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let thread = std::thread::spawn(move || {
        let (socket, _) = listener.accept().unwrap();
        let mut tls = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), socket);
        let mut frame = [0; 4];
        tls.read_exact(&mut frame).is_ok() && tls.write_all(&frame).and_then(|()| tls.flush()).is_ok()
    });
    (stream, thread)
}

#[test]
fn frames_pass_to_a_server_that_is_believed() {
    for name in ["localhost", "127.0.0.1"] {
        let (stream, thread) = server(&rustls::version::TLS13);
        let tls = TlsClient::new([&estate().root]).unwrap().connect(stream, name, WAIT).unwrap();
        let mut link = Link::new(tls);
        let frame = wire::Frame::from_payload(&[1, 6]).unwrap();
        link.send(&frame).unwrap();
        assert_eq!(link.receive().unwrap(), frame);
        assert!(thread.join().unwrap());
    }
}

#[test]
fn server_of_another_root_is_refused() {
    let key = Key(PrivateKey::generate(2048).unwrap());
    let root = issue::root(&name("Foreign"), &key, validity(estate().now - DAY, 30), 0).unwrap();
    let (stream, thread) = server(&rustls::version::TLS13);
    let refused = TlsClient::new([&root]).unwrap().connect(stream, "localhost", WAIT);
    assert!(matches!(refused, Err(TlsError::Handshake(_))));
    assert!(!thread.join().unwrap());
}

#[test]
fn server_of_another_name_is_refused() {
    let (stream, thread) = server(&rustls::version::TLS13);
    let refused = TlsClient::new([&estate().root]).unwrap().connect(stream, "example.com", WAIT);
    assert!(matches!(refused, Err(TlsError::Handshake(_))));
    assert!(!thread.join().unwrap());
}

#[test]
fn tls_1_2_is_refused() {
    let (stream, thread) = server(&rustls::version::TLS12);
    let refused = TlsClient::new([&estate().root]).unwrap().connect(stream, "localhost", WAIT);
    assert!(matches!(refused, Err(TlsError::Handshake(_))));
    assert!(!thread.join().unwrap());
}

#[test]
fn name_that_is_none_is_refused() {
    let (stream, thread) = server(&rustls::version::TLS13);
    let refused = TlsClient::new([&estate().root]).unwrap().connect(stream, "no name", WAIT);
    assert!(matches!(refused, Err(TlsError::ServerName(_))));
    assert!(!thread.join().unwrap());
}
