//! An HTTP server on the loopback that behaves as it is told.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncBufReadExt, AsyncRead, AsyncWrite, AsyncWriteExt, BufReader},
    net::TcpListener,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Manner {
    /// As it should.
    Good,
    /// It takes the request and says nothing, ever.
    Dead,
    /// It sends a byte now and then.
    Dripping,
    /// Another range than was asked for, of the right length.
    WrongRange,
    /// The right range by its header, another by its size.
    WrongSize,
    /// Half of the body, then the connection's end.
    Truncating,
    /// Without a length, more than the range.
    Longer,
    /// To somewhere else, where the file is.
    Redirecting,
    /// The whole file, whatever was asked for.
    Whole,
    /// The range, said to be compressed.
    Encoded,
    /// No file at all, only this status.
    Status(u16),
    /// Nothing that is HTTP.
    Babbling,
}

/// What it has.
pub(super) struct Site {
    pub(super) manner: Manner,
    pub(super) path: &'static str,
    pub(super) content: Vec<u8>,
    pub(super) tag: &'static str,
}

pub(super) struct Server {
    pub(super) url: String,
    pub(super) site: Arc<Mutex<Site>>,
    /// Requests seen.
    pub(super) asked: Arc<AtomicUsize>,
    /// The most that were being answered at one time.
    pub(super) most: Arc<AtomicUsize>,
}

impl Server {
    /// A server of one file, at the path as it stands in a request.
    pub(super) async fn start(manner: Manner, path: &'static str, content: Vec<u8>) -> Self {
        Self::begin(manner, path, content, None).await
    }

    /// The same over TLS.
    pub(super) async fn start_tls(path: &'static str, content: Vec<u8>, tls: ServerConfig) -> Self {
        Self::begin(Manner::Good, path, content, Some(TlsAcceptor::from(Arc::new(tls)))).await
    }

    async fn begin(manner: Manner, path: &'static str, content: Vec<u8>, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let url = format!("{scheme}://{}/files", listener.local_addr().unwrap());
        let site = Arc::new(Mutex::new(Site { manner, path, content, tag: "\"one\"" }));
        let (asked, most, now) = <(Arc<AtomicUsize>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let all = (Arc::clone(&site), Arc::clone(&asked), Arc::clone(&most));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (site, asked, most) = (Arc::clone(&all.0), Arc::clone(&all.1), Arc::clone(&all.2));
                let (now, tls) = (Arc::clone(&now), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serve(stream, site, asked, most, now).await,
                        Some(tls) => serve(tls.accept(stream).await.ok()?, site, asked, most, now).await,
                    }
                });
            }
        });
        Self { url, site, asked, most }
    }

    pub(super) fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Site)) {
        change(&mut self.site.lock().unwrap());
    }
}

async fn serve(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    site: Arc<Mutex<Site>>,
    asked: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    now: Arc<AtomicUsize>,
) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let mut lines = Vec::new();
        loop {
            let mut line = String::new();
            if stream.read_line(&mut line).await.ok()? == 0 {
                return None;
            }
            if line == "\r\n" {
                break;
            }
            lines.push(line.trim_end().to_owned());
        }
        asked.fetch_add(1, Ordering::SeqCst);
        most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        let (answer, manner) = answer(&site.lock().unwrap(), &lines);
        match manner {
            Manner::Dead => std::future::pending().await,
            Manner::Dripping => {
                for byte in answer {
                    stream.write_all(&[byte]).await.ok()?;
                    tokio::time::sleep(Duration::from_millis(300)).await;
                }
            }
            _ => stream.write_all(&answer).await.ok()?,
        }
        now.fetch_sub(1, Ordering::SeqCst);
        if matches!(manner, Manner::Truncating | Manner::Longer | Manner::Babbling) {
            return None;
        }
    }
}

fn answer(site: &Site, lines: &[String]) -> (Vec<u8>, Manner) {
    let path = lines[0].split(' ').nth(1).unwrap().strip_prefix("/files/").unwrap_or_default();
    let range =
        lines.iter().find_map(|line| line.to_lowercase().strip_prefix("range: bytes=").map(str::to_owned));
    let (first, last) = range
        .and_then(|range| {
            let (first, last) = range.split_once('-')?;
            Some((first.parse::<usize>().ok()?, last.parse::<usize>().ok()?))
        })
        .unwrap_or((0, usize::MAX));
    let size = site.content.len();
    let head = |status: &str, length: usize, more: &str| {
        let tag = site.tag;
        format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: {tag}\r\n{more}\r\n").into_bytes()
    };
    let bytes = match site.manner {
        Manner::Status(status) => head(&format!("{status} As told"), 0, ""),
        Manner::Babbling => b"what?\r\n\r\n".to_vec(),
        Manner::Redirecting if !path.starts_with("moved/") => {
            head("302 Found", 0, "Location: /files/moved/a\r\n")
        }
        _ if path != site.path && !path.starts_with("moved/") => head("404 Not Found", 0, ""),
        Manner::Whole => [head("200 OK", size, ""), site.content.clone()].concat(),
        _ if first >= size => {
            head("416 Range Not Satisfiable", 0, &format!("Content-Range: bytes */{size}\r\n"))
        }
        manner => {
            let last = last.min(size - 1);
            let body = &site.content[first..=last];
            let shift = usize::from(manner == Manner::WrongRange);
            let said = size + usize::from(manner == Manner::WrongSize) * 262_144;
            let range = format!("Content-Range: bytes {}-{}/{said}\r\n", first + shift, last + shift);
            match manner {
                Manner::Truncating => {
                    [head("206 Partial Content", body.len(), &range).as_slice(), &body[..body.len() / 2]]
                        .concat()
                }
                Manner::Longer => {
                    let head = format!("HTTP/1.1 206 Partial Content\r\nConnection: close\r\n{range}\r\n");
                    [head.as_bytes(), body, b"more"].concat()
                }
                Manner::Encoded => {
                    let more = format!("{range}Content-Encoding: gzip\r\n");
                    [head("206 Partial Content", body.len(), &more).as_slice(), body].concat()
                }
                _ => [head("206 Partial Content", body.len(), &range).as_slice(), body].concat(),
            }
        }
    };
    (bytes, site.manner)
}
