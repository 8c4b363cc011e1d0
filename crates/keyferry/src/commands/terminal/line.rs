//! How a terminal reaches its server: TCP, TLS over it, or a serial line.

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    path::PathBuf,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use terminal::{
    Link, Stream, connect,
    serial::{Serial, SerialAddress},
    tls::{TlsClient, TlsStream},
};
use wire::limits;

use super::read_certificate;

const HANDSHAKE: Duration = Duration::from_secs(limits::IDLE_SECONDS);

/// Where the server is.
#[derive(Args)]
pub(crate) struct Server {
    /// The server's terminal port, HOST:PORT, or a serial line to it, serial:/dev/ttyS0?baud=9600
    #[arg(long = "server", value_name = "ADDRESS", default_value = "127.0.0.1:7801")]
    address: String,
    /// Use TLS 1.3 and trust this root, PEM.
    #[arg(long, value_name = "FILE")]
    tls_root: Option<PathBuf>,
}

/// One of them.
pub(super) enum Line {
    Tcp(TcpStream),
    Tls(Box<TlsStream>),
    Serial(Serial),
}

impl Server {
    /// A new connection.
    pub(super) fn link(&self) -> Result<Link<Line>> {
        Ok(Link::new(self.line()?))
    }

    fn line(&self) -> Result<Line> {
        if SerialAddress::is_meant(&self.address) {
            if self.tls_root.is_some() {
                bail!("TLS goes over HOST:PORT only, not over a serial line");
            }
            let address: SerialAddress = self.address.parse()?;
            let line = Serial::open(&address).with_context(|| format!("cannot open {address}"))?;
            return Ok(Line::Serial(line));
        }
        let stream = connect(self.address.as_str())
            .with_context(|| format!("cannot connect to {}; is the server running there?", self.address))?;
        let Some(root) = &self.tls_root else { return Ok(Line::Tcp(stream)) };
        let root = read_certificate(root)?;
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        let stream = TlsClient::new([&root])?.connect(stream, host, HANDSHAKE)?;
        Ok(Line::Tls(Box::new(stream)))
    }
}

impl Line {
    fn stream(&self) -> &dyn Stream {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.as_ref(),
            Self::Serial(stream) => stream,
        }
    }

    fn stream_mut(&mut self) -> &mut dyn Stream {
        match self {
            Self::Tcp(stream) => stream,
            Self::Tls(stream) => stream.as_mut(),
            Self::Serial(stream) => stream,
        }
    }
}

impl Read for Line {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.stream_mut().read(buffer)
    }
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream_mut().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.stream_mut().flush()
    }
}

impl Stream for Line {
    fn limit(&self, read: Duration, write: Duration) -> io::Result<()> {
        self.stream().limit(read, write)
    }

    fn shut(&mut self, how: Shutdown) {
        self.stream_mut().shut(how);
    }

    fn baud(&self) -> Option<u32> {
        self.stream().baud()
    }
}
