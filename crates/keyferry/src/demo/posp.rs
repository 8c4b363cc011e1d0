//! The acquirer's POS host, as the demo plays it: an HTTPS client with a certificate of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use base64ct::{Base64, Encoding as _};
use custody::keyfile;
use pki::{Name, csr};
use serde_json::Value;
use ureq::{
    Agent,
    tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, TlsConfig, parse_pem},
};
use zeroize::Zeroizing;

use super::{
    estate::Estate,
    tool::{keyferry, run},
};

/// The name that the server knows it by.
pub(super) const NAME: &str = "posp-demo";
const WAIT: Duration = Duration::from_secs(30);

/// A POSP.
pub(super) struct Posp {
    agent: Agent,
    url: String,
}

/// An answer: HTTP status and JSON.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) json: Value,
}

impl Answer {
    /// A text of it.
    pub(super) fn text(&self, pointer: &str) -> Option<&str> {
        self.json.pointer(pointer).and_then(Value::as_str)
    }
}

/// A client's key and certificate.
pub(super) struct Identity {
    key: Zeroizing<String>,
    certificate: PathBuf,
}

impl Identity {
    /// Makes a key and has it certified, by the estate's CA or by another.
    pub(super) fn make(estate: &Estate, work: &Path, ca: &Path, common_name: &str) -> Result<Self> {
        let pin = "a key of this run only";
        let (signer, pem) = keyfile::generate(keyfile::KeyKind::Rsa(2048), pin)?;
        let request = work.join(format!("{common_name}.csr"));
        let certificate = work.join(format!("{common_name}.pem"));
        fs::write(&request, csr::to_pem(&csr::build(&Name::new(common_name, None)?, &signer)?))?;
        let mut issue = keyferry(["ca", "tls", "--client", "--ca"])?;
        issue.arg(ca).arg("--ca-passphrase-file").arg(estate.secret("ca-passphrase"));
        run(issue.arg("--request").arg(&request).arg("--out").arg(&certificate))?.good()?;
        let der = keyfile::decrypt(&pem, pin)?;
        let mut key = Zeroizing::new(String::from("-----BEGIN PRIVATE KEY-----\n"));
        let text = Zeroizing::new(Base64::encode_string(&der));
        for line in text.as_bytes().chunks(64) {
            key.push_str(&String::from_utf8_lossy(line));
            key.push('\n');
        }
        key.push_str("-----END PRIVATE KEY-----\n");
        Ok(Self { key, certificate })
    }
}

impl Posp {
    /// A client, with or without a certificate.
    pub(super) fn new(estate: &Estate, address: &str, identity: Option<&Identity>) -> Result<Self> {
        let root = fs::read(estate.path("ca/root.pem"))?;
        let roots: Vec<_> = certificates(&root)?;
        let client = match identity {
            Some(identity) => {
                let chain = certificates(&fs::read(&identity.certificate)?)?;
                let key = PrivateKey::from_pem(identity.key.as_bytes())?;
                Some(ClientCert::new_with_certs(&chain, key))
            }
            None => None,
        };
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots)))
            .client_cert(client)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            .proxy(None)
            .http_status_as_error(false)
            .timeout_global(Some(WAIT))
            .build()
            .new_agent();
        Ok(Self { agent, url: format!("https://{address}") })
    }

    /// Asks for something.
    pub(super) fn post(&self, path: &str, body: &Value) -> Result<Answer> {
        let url = format!("{}{path}", self.url);
        let sent = self.agent.post(&url).content_type("application/json").send(body.to_string());
        let mut answer = sent.with_context(|| format!("POST {path}"))?;
        let text = answer.body_mut().read_to_string()?;
        Ok(Answer { status: answer.status().as_u16(), json: serde_json::from_str(&text).unwrap_or_default() })
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<Certificate<'static>>> {
    let mut found = Vec::new();
    for item in parse_pem(pem) {
        if let PemItem::Certificate(certificate) = item? {
            found.push(certificate.to_owned());
        }
    }
    Ok(found)
}
