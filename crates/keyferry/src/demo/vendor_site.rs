//! The web site where the demo's vendor keeps its packages: a real HTTP server that answers range requests.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom},
    net::{SocketAddr, TcpListener},
    path::{Path, PathBuf},
};

use anyhow::Result;
use axum::{
    Router,
    extract::{Path as Asked, State},
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio::runtime::Runtime;

/// A site that serves a folder until the demo ends.
pub(super) struct VendorSite {
    folder: PathBuf,
    address: SocketAddr,
}

impl VendorSite {
    pub(super) fn open(runtime: &Runtime, folder: &Path) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let listener = TcpListener::bind("127.0.0.1:0")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let router = Router::new().route("/{name}", get(file)).with_state(folder.to_owned());
        runtime.spawn(async move { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await });
        Ok(Self { folder: folder.to_owned(), address })
    }

    /// Its address, as a repository is configured.
    pub(super) fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Where a file of this name lies.
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

async fn file(State(folder): State<PathBuf>, Asked(name): Asked<String>, headers: HeaderMap) -> Response {
    // A name with a slash in it matches no route; what is left cannot leave the folder but by this.
    if name == ".." {
        return StatusCode::NOT_FOUND.into_response();
    }
    match part(&folder.join(name), &headers) {
        Ok(response) => response,
        Err(_) => StatusCode::NOT_FOUND.into_response(),
    }
}

fn part(path: &Path, headers: &HeaderMap) -> Result<Response> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    let range = headers.get(header::RANGE).and_then(|value| value.to_str().ok());
    let range = range.and_then(|range| range.strip_prefix("bytes=")?.split_once('-'));
    let bounds = range.and_then(|(first, last)| {
        let first = first.parse::<u64>().ok()?;
        let last = if last.is_empty() { length.checked_sub(1)? } else { last.parse().ok()? };
        (first <= last && first < length).then(|| (first, last.min(length - 1)))
    });
    let (first, count) = match (range, bounds) {
        (None, _) => (0, length),
        (Some(_), Some((first, last))) => (first, last - first + 1),
        (Some(_), None) => {
            let whole = [(header::CONTENT_RANGE, format!("bytes */{length}"))];
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, whole).into_response());
        }
    };
    file.seek(SeekFrom::Start(first))?;
    let mut body = Vec::new();
    file.take(count).read_to_end(&mut body)?;
    if range.is_none() {
        return Ok(([(header::ACCEPT_RANGES, "bytes".to_owned())], body).into_response());
    }
    let range = format!("bytes {first}-{}/{length}", first + count - 1);
    Ok((StatusCode::PARTIAL_CONTENT, [(header::CONTENT_RANGE, range)], body).into_response())
}
