//! Collected packages, uploaded as a station does: CMS in one POST over TLS.

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    time::Instant,
};

use anyhow::{Context, Result, ensure};
use base64ct::{Base64, Encoding};
use paycrypto::rsa::PublicKey;
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName},
};
use serde_json::{Value, json};

use crate::{
    children::Children,
    estate::{Estate, now},
    measure::Rate,
    report::Report,
    terminals::Terminal,
};

/// Terminals in one package.
pub(crate) const PER_PACKAGE: usize = 500;

/// A signed package, ready to go.
pub(crate) struct Package {
    pub(crate) cms: Vec<u8>,
    pub(crate) terminals: usize,
}

impl Package {
    pub(crate) fn of(estate: &Estate, terminals: &[Terminal]) -> Result<Package> {
        let work = PublicKey::from_spki(estate.work.spki_der())?;
        let certificate = estate.work.sha256_hex();
        let entries = terminals.iter().map(|terminal| {
            Ok(json!({
                "sn": terminal.sn.as_str(),
                "vendor": "KF",
                "model": "SIM-1",
                "ctk_pu": Base64::encode_string(&terminal.ciphertext(&work)?),
                "work_certificate_sha256": certificate,
            }))
        });
        let content = json!({
            "version": 1,
            "station": "benchmark",
            "collected_at": "2026-01-02T03:04:05Z",
            "terminals": entries.collect::<Result<Vec<_>>>()?,
        });
        let content = content.to_string();
        let cms = pki::cms::sign(content.as_bytes(), &estate.operator_key, &estate.operator, &[], now())?;
        Ok(Package { cms, terminals: terminals.len() })
    }
}

/// Terminals taken a second, one package after another.
pub(crate) async fn measure(
    estate: &Estate,
    children: &Children,
    seconds: u64,
    report: &mut Report,
) -> Result<()> {
    // As many as take about the time, if they are opened at the speed that was just measured.
    let expected = report.opened.per_second() * std::time::Duration::from_secs(seconds).as_secs_f64();
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of packages")]
    let count = (expected as usize / PER_PACKAGE).max(1);
    let packages = (0..count).map(|package| {
        let terminal = |n| Terminal::new(&format!("UP-{package}-{n}"));
        Package::of(estate, &(0..PER_PACKAGE).map(terminal).collect::<Result<Vec<_>>>()?)
    });
    for package in packages.collect::<Result<Vec<_>>>()? {
        let (terminals, started) = (u64::try_from(package.terminals)?, Instant::now());
        send(estate, children, package).await?;
        report.uploads.add(Rate { done: terminals, time: started.elapsed() });
    }
    Ok(())
}

/// Uploads a package whose terminals must all be taken.
pub(crate) async fn send(estate: &Estate, children: &Children, package: Package) -> Result<()> {
    let (address, root) = (children.https()?, estate.root.der().to_vec());
    tokio::task::spawn_blocking(move || post(address, root, &package)).await?
}

fn post(address: SocketAddr, root: Vec<u8>, package: &Package) -> Result<()> {
    let body = request(address, root, "/v1/collections", &package.cms)?;
    let results = body["results"].as_array().context("an upload is answered by results")?;
    let taken = results.iter().filter(|result| result["ok"] == json!(true)).count();
    ensure!(taken == package.terminals, "{taken} of {} terminals were taken: {body}", package.terminals);
    Ok(())
}

/// POSTs a CMS, which must be taken; gives the answer.
pub(crate) fn request(address: SocketAddr, root: Vec<u8>, path: &str, cms: &[u8]) -> Result<Value> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(root))?;
    let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::from(address.ip());
    let stream = TcpStream::connect(address)?;
    stream.set_nodelay(true)?;
    let mut stream = StreamOwned::new(ClientConnection::new(Arc::new(config), name)?, stream);
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\ncontent-type: application/cms\r\n\
         content-length: {}\r\n\r\n",
        cms.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(cms)?;
    stream.flush()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("the server answered no HTTP")?;
    ensure!(head.starts_with("HTTP/1.1 200"), "the upload was refused: {answer}");
    Ok(serde_json::from_str(body)?)
}
