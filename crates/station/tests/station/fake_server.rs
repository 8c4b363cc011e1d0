//! An HTTPS server of one answer: enough to see that the client trusts one CA and reads what it must.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    sync::{Arc, LazyLock, mpsc},
    thread,
};

use custody::keyfile;
use keyferry_station::{Server, ServerSettings};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    pki_types::{CertificateDer, PrivatePkcs8KeyDer},
};

use crate::estate::{ESTATE, Key};

const PIN: &str = "server-passphrase";
static KEY: LazyLock<Key> = LazyLock::new(|| Key::new(PIN));

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    /// Request line and header lines, lower case.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

/// A server that answers every request with this status and body.
pub(crate) fn answering(status: u16, body: &[u8]) -> (Server, mpsc::Receiver<Request>) {
    let body = body.to_vec();
    let (url, requests) = listen(move |_| (status, body.clone()));
    (client(&url), requests)
}

/// A client that trusts the estate's root alone.
pub(crate) fn client(url: &str) -> Server {
    Server::new(&ServerSettings::new(url, ESTATE.root.pem())).unwrap()
}

/// Listens; gives the address and what comes.
pub(crate) fn listen(
    answer: impl Fn(&Request) -> (u16, Vec<u8>) + Send + 'static,
) -> (String, mpsc::Receiver<Request>) {
    let certificate = CertificateDer::from(ESTATE.tls_server(&KEY).der().to_vec());
    let key = PrivatePkcs8KeyDer::from(keyfile::decrypt(&KEY.pem, PIN).unwrap().to_vec());
    let config = ServerConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key.into())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("https://{}", listener.local_addr().unwrap());
    let (sender, requests) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = BufReader::new(StreamOwned::new(connection, stream.unwrap()));
            // A client that does not trust this server says no more.
            let Some(request) = read(&mut stream) else { continue };
            let (status, body) = answer(&request);
            let head =
                format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let stream = stream.get_mut();
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
            stream.conn.send_close_notify();
            let _ = stream.flush();
            let _ = sender.send(request);
        }
    });
    (url, requests)
}

fn read(stream: &mut impl BufRead) -> Option<Request> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if stream.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let head = head.to_ascii_lowercase();
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next());
    let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
    stream.read_exact(&mut body).ok()?;
    Some(Request { head, body })
}
