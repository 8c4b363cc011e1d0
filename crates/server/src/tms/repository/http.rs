//! A repository of the vendor's that answers range requests (RFC 9110 section 14).
//!
//! A redirection is not followed and a proxy of the environment not used: files come from where the settings say. An
//! answer that is not just the range asked for is refused; what is in a file, signatures and hashes say.

use std::{fs, io::Read as _, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use ureq::{
    Agent, Body,
    http::{HeaderMap, Response, Uri, header},
    tls::{PemItem, RootCerts, TlsConfig, parse_pem},
};

use super::{
    BoxFuture, RepositoryError, path,
    settings::OpenError,
    source::{BLOCK, BLOCK_U64, Fetched, Identity, Permit, Source},
};

/// How long a request may go on after nobody waits for it any more.
const AFTER: Duration = Duration::from_secs(1);
/// Longest header of an answer, bytes.
const MAX_HEADER: usize = 16 * 1024;

/// The vendor's repository.
pub(super) struct Http {
    agent: Agent,
    /// Without a slash at the end.
    base: String,
}

impl Http {
    pub(super) fn new(url: &str, ca: Option<&Path>, timeout: Duration) -> Result<Self, OpenError> {
        let base = base(url, ca.is_some())?;
        let config = Agent::config_builder()
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .http_status_as_error(false)
            .max_response_header_size(MAX_HEADER)
            // The gate gives up first and says so; this ends the work that goes on behind it.
            .timeout_global(Some(timeout + AFTER))
            .accept_encoding("identity")
            .user_agent(concat!("keyferry/", env!("CARGO_PKG_VERSION")));
        let config = match ca {
            None => config,
            Some(ca) => config.https_only(true).tls_config(tls(ca)?),
        };
        Ok(Self { agent: config.build().new_agent(), base })
    }
}

impl Source for Http {
    fn fetch(
        &self,
        path: Arc<str>,
        index: u64,
        permit: Permit,
    ) -> BoxFuture<'_, Result<Fetched, RepositoryError>> {
        let (agent, url) = (self.agent.clone(), address(&self.base, &path));
        Box::pin(async move {
            let work = move || {
                let _permit = permit;
                fetch(&agent, &url?, index)
            };
            tokio::task::spawn_blocking(work).await.map_err(RepositoryError::unavailable)?
        })
    }
}

fn fetch(agent: &Agent, url: &str, index: u64) -> Result<Fetched, RepositoryError> {
    let first = index.saturating_mul(BLOCK_U64);
    let range = format!("bytes={first}-{}", first.saturating_add(BLOCK_U64 - 1));
    let mut answer =
        agent.get(url).header(header::RANGE, &range).call().map_err(RepositoryError::unavailable)?;
    let status = answer.status().as_u16();
    let encoded = answer.headers().get(header::CONTENT_ENCODING).is_some_and(|value| value != "identity");
    match status {
        206 | 200 if encoded => Err(RepositoryError::unavailable("it answers in an encoding")),
        206 => {
            let given = answer.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let given = given.and_then(content_range);
            let Some((from, to, size)) = given.filter(|(from, ..)| *from == first) else {
                return Err(RepositoryError::unavailable("it answers with another range than was asked for"));
            };
            let identity = identity(answer.headers(), size);
            let wanted = identity.block_len(index);
            if to.checked_sub(from).and_then(|last| usize::try_from(last).ok()?.checked_add(1))
                != Some(wanted)
            {
                return Err(RepositoryError::unavailable("it answers with another range than was asked for"));
            }
            Ok(Fetched { bytes: body(&mut answer, wanted)?, identity })
        }
        // The whole file, where that is no more than a block: all the same then.
        200 => {
            let length = answer.body().content_length();
            let Some(size) = length.filter(|size| *size <= BLOCK_U64) else {
                return Err(RepositoryError::unavailable("it does not answer range requests"));
            };
            let identity = identity(answer.headers(), size);
            let bytes = body(&mut answer, identity.block_len(0))?;
            let bytes = if index == 0 { bytes } else { Bytes::new() };
            Ok(Fetched { identity, bytes })
        }
        416 => {
            let given = answer.headers().get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
            let size = given.and_then(|text| text.strip_prefix("bytes */")?.parse().ok());
            match size.filter(|size| *size <= first) {
                Some(size) => Ok(Fetched { identity: identity(answer.headers(), size), bytes: Bytes::new() }),
                None => Err(RepositoryError::unavailable("it refuses a range that the file has")),
            }
        }
        404 | 410 => Err(RepositoryError::Missing),
        429 | 503 => Err(RepositoryError::Busy),
        300..=399 => Err(RepositoryError::unavailable(
            "it redirects: set the address to which it does, if that is the vendor's",
        )),
        status => Err(RepositoryError::unavailable(format_args!("it answers with HTTP status {status}"))),
    }
}

/// Reads a body of `wanted` bytes, no more and no fewer.
fn body(answer: &mut Response<Body>, wanted: usize) -> Result<Bytes, RepositoryError> {
    let limit = u64::try_from(wanted).unwrap_or(u64::MAX).saturating_add(1);
    let mut bytes = Vec::with_capacity(wanted.min(BLOCK).saturating_add(1));
    let reader = answer.body_mut().as_reader();
    reader.take(limit).read_to_end(&mut bytes).map_err(RepositoryError::unavailable)?;
    match bytes.len() {
        found if found == wanted => Ok(bytes.into()),
        found if found < wanted => Err(RepositoryError::unavailable("its answer ends too soon")),
        _ => Err(RepositoryError::unavailable("its answer is longer than the range")),
    }
}

/// `bytes FIRST-LAST/SIZE`.
fn content_range(text: &str) -> Option<(u64, u64, u64)> {
    let (range, size) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let (first, last, size) = (first.parse().ok()?, last.parse().ok()?, size.parse().ok()?);
    (first <= last && last < size).then_some((first, last, size))
}

fn identity(headers: &HeaderMap, size: u64) -> Identity {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let mark = format!("{} {}", text(header::ETAG), text(header::LAST_MODIFIED));
    Identity { size, mark: mark.into() }
}

/// The address without a final slash, if it is a plain one.
fn base(url: &str, has_ca: bool) -> Result<String, OpenError> {
    let wrong = |why: &str| OpenError::Setting { name: "url", why: why.to_owned() };
    let uri: Uri = url.parse().map_err(|error: ureq::http::uri::InvalidUri| wrong(&error.to_string()))?;
    match (uri.scheme_str(), has_ca) {
        (Some("https"), true) | (Some("http"), false) => {}
        (Some("https"), false) => {
            let why =
                "HTTPS needs the PEM file of the CA that issued the repository's certificate".to_owned();
            return Err(OpenError::Setting { name: "ca", why });
        }
        (Some("http"), true) => return Err(wrong("with a CA it must be https://")),
        _ => return Err(wrong("it must begin with https:// or http://")),
    }
    if uri.authority().is_none_or(|authority| authority.as_str().contains('@'))
        || uri.query().is_some()
        || url.contains('#')
    {
        return Err(wrong("it must be host, port and path only"));
    }
    Ok(url.trim_end_matches('/').to_owned())
}

/// The address of a file. Every part is encoded (RFC 3986), so that no part is taken for something else.
fn address(base: &str, path: &str) -> Result<String, RepositoryError> {
    use std::fmt::Write as _;
    let mut url = base.to_owned();
    for part in path::parts(path)? {
        url.push('/');
        for byte in part.bytes() {
            let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~');
            let written = if plain {
                url.push(char::from(byte));
                Ok(())
            } else {
                write!(url, "%{byte:02X}")
            };
            written.map_err(RepositoryError::unavailable)?;
        }
    }
    Ok(url)
}

fn tls(ca: &Path) -> Result<TlsConfig, OpenError> {
    let wrong = |why: String| OpenError::Setting { name: "ca", why: format!("{}: {why}", ca.display()) };
    let pem = fs::read(ca).map_err(|error| wrong(error.to_string()))?;
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        if let PemItem::Certificate(root) = item.map_err(|error| wrong(error.to_string()))? {
            roots.push(root);
        }
    }
    if roots.is_empty() {
        return Err(wrong("it has no CERTIFICATE block".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_ranges_are_read_strictly() {
        assert_eq!(content_range("bytes 0-99/1000"), Some((0, 99, 1000)));
        for text in [
            "",
            "bytes",
            "bytes 0-99",
            "bytes 0-99/*",
            "bytes 9-0/10",
            "bytes 0-10/10",
            "bytes */10",
            "items 0-1/2",
        ] {
            assert_eq!(content_range(text), None, "{text}");
        }
    }

    #[test]
    fn parts_of_a_path_are_encoded() {
        let url = address("http://h/x", "a b/1.2?#%/ä").unwrap();
        assert_eq!(url, "http://h/x/a%20b/1.2%3F%23%25/%C3%A4");
        assert_eq!(address("http://h", "../a"), Err(RepositoryError::Missing));
    }

    #[test]
    fn addresses_that_are_none_are_refused_by_name() {
        for (url, has_ca, name) in [
            ("ftp://h/", false, "url"),
            ("h", false, "url"),
            ("http://u:p@h/", false, "url"),
            ("http://h/?q", false, "url"),
            ("http://h/#f", false, "url"),
            ("http://h/", true, "url"),
            ("https://h/", false, "ca"),
        ] {
            let refused = base(url, has_ca).err();
            assert!(
                matches!(refused, Some(OpenError::Setting { name: n, .. }) if n == name),
                "{url}: {refused:?}"
            );
        }
        assert_eq!(base("https://h:1/x/", true).unwrap(), "https://h:1/x");
    }
}
