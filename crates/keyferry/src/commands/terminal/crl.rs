use std::{fs, path::PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use pki::Crl;
use terminal::Terminal as Device;

/// Give a terminal a revocation list: it believes no certificate in it any more.
#[derive(Args)]
pub(crate) struct InstallCrl {
    /// The terminal's folder.
    folder: PathBuf,
    /// The list, PEM or DER.
    #[arg(long, value_name = "FILE")]
    crl: PathBuf,
}

impl InstallCrl {
    pub(crate) fn run(self) -> Result<()> {
        let path = self.crl.display();
        let bytes = fs::read(&self.crl).with_context(|| format!("cannot read {path}"))?;
        let crl = match std::str::from_utf8(&bytes) {
            Ok(text) if text.contains("-----BEGIN") => Crl::from_pem(text),
            _ => Crl::from_der(&bytes),
        }
        .with_context(|| path.to_string())?;
        let (issuer, number, revoked) = (crl.issuer().to_string(), crl.number(), crl.len());
        Device::open(&self.folder)?.install_crl(crl)?;
        say!("revocation list {number} of {issuer}: {revoked} certificates revoked");
        Ok(())
    }
}
