//! A POSP: an HTTPS client with a certificate of the estate's CA.

use std::{fs, process::Command, sync::Arc, time::Duration};

use serde_json::Value;
use ureq::{
    Agent,
    tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig},
};

use super::{
    estate::Estate,
    folders::edit,
    server::Server,
    tool::{openssl, run},
};

/// The name that its certificate has.
const NAME: &str = "posp-1";

/// Has the server serve POSPs from its next start.
pub(crate) fn serve(estate: &Estate) {
    let section = format!(
        "[posp]\nlisten = \"127.0.0.1:0\"\nclient_root = \"ca/root.pem\"\nclients = [\"{NAME}\"]\n\n[log]"
    );
    edit(&estate.path("keyferry.toml"), &[("[log]", &section)]);
}

/// `ca tls --client` for a new key.
pub(crate) fn certify(estate: &Estate, name: &str) -> Command {
    let file = |end: &str| estate.beside(&format!("{name}.{end}"));
    let mut request: Vec<_> =
        ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-subj"].map(String::from).to_vec();
    request.push(format!("/CN={name}"));
    for (option, end) in [("-keyout", "key"), ("-out", "csr")] {
        request.extend([option.to_owned(), file(end).to_str().unwrap().to_owned()]);
    }
    openssl(request).good();
    let mut command = estate.ca(&["tls", "--client"]);
    command.arg("--request").arg(file("csr")).arg("--out").arg(file("pem"));
    command
}

pub(crate) struct Posp {
    agent: Agent,
    url: String,
}

impl Posp {
    /// One that the server knows; makes its certificate.
    pub(crate) fn new(estate: &Estate, server: &Server) -> Posp {
        run(&mut certify(estate, NAME)).good();
        Posp::with(estate, server, Some(NAME))
    }

    /// With the certificate of this name, or none.
    pub(crate) fn with(estate: &Estate, server: &Server, name: Option<&str>) -> Posp {
        let read = |path| fs::read(path).unwrap();
        let root = Certificate::from_pem(&read(estate.path("ca/root.pem"))).unwrap();
        let client = name.map(|name| {
            let chain = Certificate::from_pem(&read(estate.beside(&format!("{name}.pem")))).unwrap();
            let key = PrivateKey::from_pem(&read(estate.beside(&format!("{name}.key")))).unwrap();
            ClientCert::new_with_certs(&[chain], key)
        });
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(vec![root])))
            .client_cert(client)
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .build();
        let config = Agent::config_builder().tls_config(tls).proxy(None).http_status_as_error(false);
        let agent = config.timeout_global(Some(Duration::from_secs(60))).build().new_agent();
        Posp { agent, url: format!("https://{}", server.posps.as_deref().unwrap()) }
    }

    /// HTTP status and answer; nothing when the server does not speak with it.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Option<(u16, Value)> {
        let request = self.agent.post(format!("{}{path}", self.url)).content_type("application/json");
        let mut answer = request.send(body.to_string()).ok()?;
        let text = answer.body_mut().read_to_string().unwrap();
        Some((answer.status().as_u16(), serde_json::from_str(&text).unwrap_or_default()))
    }
}
