//! Keys from a distance besides the TMK download: the remote key server, and asking to be collected.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use terminal::{Link, Terminal as Device, ask_over, rks_load, tls::TlsClient};
use wire::{Slot, limits};

use super::{read_certificate, slot};

/// Where the server is.
#[derive(Args)]
pub(crate) struct Server {
    /// The server's terminal port.
    #[arg(long = "server", value_name = "HOST:PORT", default_value = "127.0.0.1:7801")]
    address: String,
    /// Use TLS 1.3 and trust this root, PEM.
    #[arg(long, value_name = "FILE")]
    tls_root: Option<PathBuf>,
}

/// Fetch keys from the remote key server by the device's identity (DIK2).
#[derive(Args)]
pub(crate) struct Rks {
    /// The terminal's folder.
    folder: PathBuf,
    #[command(flatten)]
    server: Server,
    /// A slot to be filled; may be repeated.
    #[arg(long = "slot", value_parser = slot, required = true)]
    slots: Vec<Slot>,
}

/// Ask the server to collect this terminal, inside a window that two people opened for it.
#[derive(Args)]
pub(crate) struct Ask {
    /// The terminal's folder.
    folder: PathBuf,
    #[command(flatten)]
    server: Server,
}

impl Rks {
    pub(crate) fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let stream = self.server.connect()?;
        let loaded = match self.server.tls()? {
            None => rks_load(&mut device, Link::new(stream), &self.slots)?.0,
            Some((tls, host)) => {
                let stream = tls.connect(stream, &host, HANDSHAKE)?;
                rks_load(&mut device, Link::new(stream), &self.slots)?.0
            }
        };
        for kcv in &loaded.kcvs {
            say!("key with check value {kcv}");
        }
        say!("{} keys in {} runs", loaded.kcvs.len(), loaded.runs);
        Ok(())
    }
}

impl Ask {
    pub(crate) fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let stream = self.server.connect()?;
        let answer = match self.server.tls()? {
            None => ask_over(&mut device, Link::new(stream))?.0,
            Some((tls, host)) => {
                let stream = tls.connect(stream, &host, HANDSHAKE)?;
                ask_over(&mut device, Link::new(stream))?.0
            }
        };
        say!("collected, fingerprint {}; the KMS must show the same", answer.fingerprint);
        Ok(())
    }
}

const HANDSHAKE: Duration = Duration::from_secs(limits::IDLE_SECONDS);

impl Server {
    fn connect(&self) -> Result<std::net::TcpStream> {
        terminal::connect(self.address.as_str())
            .with_context(|| format!("cannot connect to {}; is the server running there?", self.address))
    }

    fn tls(&self) -> Result<Option<(TlsClient, String)>> {
        let Some(root) = &self.tls_root else { return Ok(None) };
        let root = read_certificate(root)?;
        let host = self.address.rsplit_once(':').map_or(self.address.as_str(), |(host, _)| host);
        Ok(Some((TlsClient::new([&root])?, host.to_owned())))
    }
}
