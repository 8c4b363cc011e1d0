//! The device key of suite 02: made by the PIN pad at production, certified by a CA.

use std::{fs, path::PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use flows::device_certificate::DevicePad as _;
use pki::{Certificate, csr};
use terminal::Terminal as Device;

use crate::files::write;

/// Write the PIN pad's request for the certificate of its device key.
#[derive(Args)]
pub(crate) struct DeviceRequest {
    /// The terminal's folder.
    folder: PathBuf,
    /// Where the request goes, PKCS #10 in PEM.
    #[arg(long)]
    out: PathBuf,
}

/// Give the PIN pad the certificate of its device key: in production or repair.
#[derive(Args)]
pub(crate) struct DeviceInstall {
    /// The terminal's folder.
    folder: PathBuf,
    /// The certificate, and behind it in the same file those between it and its root, PEM.
    #[arg(long)]
    certificate: PathBuf,
}

impl DeviceRequest {
    pub(crate) fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let request = device.pad_mut().device_request()?;
        write(&self.out, &csr::to_pem(&request), 0o644)?;
        let (out, pin_pad) = (self.out.display(), device.device().pin_pad().clone());
        say!("request {out}; next:");
        say!("  keyferry ca issue --role device --pin-pad {pin_pad} --request {out} --out {pin_pad}.pem");
        say!("  keyferry terminal device-install --certificate {pin_pad}.pem {}", self.folder.display());
        Ok(())
    }
}

impl DeviceInstall {
    pub(crate) fn run(self) -> Result<()> {
        let path = &self.certificate;
        let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        let chain = Certificate::all_from_pem(&text).with_context(|| path.display().to_string())?;
        let Some((leaf, above)) = chain.split_first() else {
            bail!("{} holds no certificate", path.display());
        };
        let above: Vec<_> = above.iter().map(|link| link.der().to_vec()).collect();
        let mut device = Device::open(&self.folder)?;
        device.pad_mut().install_device_certificate(leaf.der(), &above)?;
        say!("{}", leaf.subject());
        Ok(())
    }
}
