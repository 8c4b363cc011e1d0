//! Keys from a distance besides the TMK download: the remote key server, and asking to be collected.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use terminal::{Terminal as Device, ask_over, rks_load};
use wire::Slot;

use super::{line::Server, slot};

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
        let (loaded, _) = rks_load(&mut device, self.server.link()?, &self.slots)?;
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
        let (answer, _) = ask_over(&mut device, self.server.link()?)?;
        say!("collected, fingerprint {}; the KMS must show the same", answer.fingerprint);
        Ok(())
    }
}
