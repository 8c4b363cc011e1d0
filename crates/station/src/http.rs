//! The station's client: HTTPS to one server, under one CA.

use std::{io::ErrorKind, sync::Arc, time::Duration};

use serde::Deserialize;
use ureq::{
    Agent, Body,
    http::{Response, Uri},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use crate::{Error, text::printable};

/// Where packages go (2-wire.md section 6).
pub(crate) const COLLECTIONS: &str = "/v1/collections";
/// Longest answer read, bytes: a result of a few hundred bytes for each of the most terminals of a run.
pub(crate) const MAX_ANSWER: u64 = 8 * 1024 * 1024;
/// How much of an error's text is read, bytes.
const MAX_ERROR_TEXT: u64 = 16 * 1024;
/// What a 3xx means here.
const REDIRECTED: &str =
    "the server redirects to another address, which is never followed: enter the address of the KMS itself";
/// Content type of signed packages (RFC 5652; 2-wire.md section 6).
const CMS: &str = "application/cms";

/// Where the server is and how long to wait for it.
#[derive(Debug, Clone)]
pub struct ServerSettings {
    /// `https://host` or `https://host:port`.
    pub url: String,
    /// The CA that issued the server's TLS certificate, PEM. Nothing else is trusted, not even the system's list.
    pub ca_pem: Vec<u8>,
    /// To connect, TLS included.
    pub connect: Duration,
    /// For one request, from its begin to the answer's end.
    pub request: Duration,
    /// The User-Agent: which program this is.
    pub program: String,
}

impl ServerSettings {
    /// The server at `url` under this CA; 10 s to connect, 120 s for a request, in which the KMS opens every Ctk_Pu.
    pub fn new(url: impl Into<String>, ca_pem: impl Into<Vec<u8>>) -> ServerSettings {
        ServerSettings {
            url: url.into(),
            ca_pem: ca_pem.into(),
            connect: Duration::from_secs(10),
            request: Duration::from_secs(120),
            program: concat!("keyferry-station/", env!("CARGO_PKG_VERSION")).to_owned(),
        }
    }

    /// The same for another program than the station, `name/version`.
    #[must_use]
    pub fn of_program(self, program: &str) -> ServerSettings {
        ServerSettings { program: program.to_owned(), ..self }
    }
}

/// A client for the KMS's upload endpoint.
#[derive(Debug)]
pub struct Server {
    agent: Agent,
    url: String,
}

/// An answer: status and body.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

impl Server {
    /// A client. Nothing is sent yet.
    ///
    /// # Errors
    /// [`Error::ServerAddress`], [`Error::ServerCa`].
    pub fn new(settings: &ServerSettings) -> Result<Server, Error> {
        let url =
            base(&settings.url).ok_or_else(|| Error::ServerAddress { url: printable(&settings.url) })?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = TlsConfig::builder()
            .root_certs(RootCerts::Specific(Arc::new(roots(&settings.ca_pem)?)))
            .unversioned_rustls_crypto_provider(provider)
            .build();
        let agent = Agent::config_builder()
            .tls_config(tls)
            .https_only(true)
            // A signed package goes to the KMS itself: not where a redirection or the environment says.
            .max_redirects(0)
            .proxy(None)
            .http_status_as_error(false)
            .timeout_connect(Some(settings.connect))
            .timeout_global(Some(settings.request))
            .user_agent(settings.program.as_str())
            .build()
            .new_agent();
        Ok(Server { agent, url })
    }

    /// Its address, without a path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Sends a package as it is, past the journal, and only tells whether the server took it: for trying what a server
    /// refuses. Collecting goes through [`upload`](crate::upload()), which loses nothing.
    ///
    /// # Errors
    /// The server's refusal: [`Error::Forbidden`], [`Error::Conflict`], [`Error::TooLarge`], …
    pub fn offer(&self, cms: &[u8]) -> Result<(), Error> {
        let answer = self.post_cms(COLLECTIONS, cms)?;
        if answer.status == 200 { Ok(()) } else { Err(answer.refusal()) }
    }

    pub(crate) fn post_cms(&self, path: &str, cms: &[u8]) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.url);
        let sent = self.agent.post(&url).content_type(CMS).send(cms);
        self.answer(sent, MAX_ANSWER)
    }

    pub(crate) fn get(&self, path: &str, max: u64) -> Result<Answer, Error> {
        let url = format!("{}{path}", self.url);
        self.answer(self.agent.get(&url).call(), max)
    }

    fn answer(&self, sent: Result<Response<Body>, ureq::Error>, max: u64) -> Result<Answer, Error> {
        let mut response = sent.map_err(|error| self.failed(&error))?;
        let status = response.status().as_u16();
        // A conflict may say all that the answer of the first time said.
        let max = if matches!(status, 200 | 409) { max } else { max.min(MAX_ERROR_TEXT) };
        match response.body_mut().with_config().limit(max).read_to_vec() {
            Ok(body) => Ok(Answer { status, body }),
            // What an error's text would say is less than what its status says.
            Err(ureq::Error::BodyExceedsLimit(_)) if status != 200 => Ok(Answer { status, body: Vec::new() }),
            Err(ureq::Error::BodyExceedsLimit(max)) => Err(Error::AnswerTooLong { max }),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &ureq::Error) -> Error {
        let server = self.url.clone();
        let mut why = printable(&error.to_string());
        let is_tls = match error {
            ureq::Error::Tls(_) | ureq::Error::Rustls(_) => true,
            // The handshake's own errors come wrapped in one of the socket.
            ureq::Error::Io(io) => {
                io.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
            }
            _ => false,
        };
        if matches!(error, ureq::Error::Io(io) if matches!(io.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset))
        {
            // A server that has read enough may close before its 413 can be read.
            why.push_str(" (the server cut the request off: the package may be larger than it takes)");
        }
        if is_tls {
            Error::ServerNotTrusted { server, why }
        } else {
            Error::ServerUnreachable { server, why }
        }
    }
}

impl Answer {
    /// The error that a status other than 200 stands for.
    pub(crate) fn refusal(&self) -> Error {
        let text = || self.text();
        match self.status {
            403 => Error::Forbidden { text: text() },
            409 => Error::Conflict { text: text() },
            413 => Error::TooLarge,
            status @ (429 | 503) => Error::ServerBusy { status },
            status => Error::ServerStatus { status, text: text() },
        }
    }

    /// What the server wrote for people: the text of its JSON, or the whole body where it wrote something else.
    pub(crate) fn text(&self) -> String {
        if (300..400).contains(&self.status) {
            // Its body says nothing, or what the server in between wants to be read.
            return REDIRECTED.to_owned();
        }
        let text = match serde_json::from_slice(&self.body) {
            Ok(Said::Refused { error: Text { text } } | Said::Done(Text { text })) => printable(&text),
            Err(_) => printable(&String::from_utf8_lossy(&self.body)),
        };
        if text.is_empty() { "no reason was given".to_owned() } else { text }
    }
}

/// The two forms in which the KMS writes for people.
#[derive(Deserialize)]
#[serde(untagged)]
enum Said {
    Refused { error: Text },
    Done(Text),
}

#[derive(Deserialize)]
struct Text {
    text: String,
}

/// The address without a final slash, if it is `https://host[:port]` and no more.
fn base(url: &str) -> Option<String> {
    let uri: Uri = url.parse().ok()?;
    let plain = uri.scheme_str() == Some("https")
        && uri.authority().is_some_and(|authority| !authority.as_str().contains('@'))
        && uri.path() == "/"
        && uri.query().is_none();
    plain.then(|| url.trim_end_matches('/').to_owned())
}

fn roots(pem: &[u8]) -> Result<Vec<ureq::tls::Certificate<'static>>, Error> {
    let mut roots = Vec::new();
    for item in parse_pem(pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => roots.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(Error::ServerCa { why: error.to_string() }),
        }
    }
    if roots.is_empty() {
        return Err(Error::ServerCa { why: "it has no CERTIFICATE block".to_owned() });
    }
    Ok(roots)
}
