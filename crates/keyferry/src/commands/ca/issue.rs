//! Certificates for requests: of HSMs, devices, people and TLS.

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use pki::{Role, issue::ServerName};

use super::{Folder, days, issued, must_be_new, read_request, role};
use crate::{files::write, time};

/// Issue a certificate.
#[derive(Args)]
pub(crate) struct Issue {
    #[command(flatten)]
    folder: Folder,
    /// The request, PKCS #10 in PEM or DER.
    #[arg(long)]
    request: PathBuf,
    /// kms-work, downloader, rks-work, operator, administrator, mtms, package-signing, repair-authorisation, device,
    /// rks-signing. In suite 2 mtms is for the work key of the MTMS's HSM; for its card use `ca card --request`.
    #[arg(long, value_parser = role)]
    role: Role,
    /// With the role device: the PIN pad whose key it is. The request must name this very serial.
    #[arg(long, value_name = "SERIAL", required_if_eq("role", "device"))]
    pin_pad: Option<String>,
    /// Days that it is valid.
    #[arg(long, default_value_t = 365, value_parser = days())]
    days: u32,
    /// Where the certificate goes.
    #[arg(long)]
    out: PathBuf,
}

/// Issue a TLS server's or client's certificate.
#[derive(Args)]
pub(crate) struct Tls {
    #[command(flatten)]
    folder: Folder,
    /// The request, PKCS #10 in PEM or DER.
    #[arg(long)]
    request: PathBuf,
    /// Host name or address of a server; may be repeated.
    #[arg(long = "server-name", value_name = "NAME", required_unless_present = "client")]
    names: Vec<String>,
    /// For a client, such as a POSP: the common name in the request is what the server knows it by.
    #[arg(long, conflicts_with = "names")]
    client: bool,
    /// Days that it is valid.
    #[arg(long, default_value_t = 397, value_parser = days())]
    days: u32,
    /// Where the certificate goes.
    #[arg(long)]
    out: PathBuf,
}

impl Issue {
    pub(super) fn run(self) -> Result<()> {
        must_be_new(&self.out)?;
        let request = read_request(&self.request)?;
        let (mut ca, now) = (self.folder.open()?, time::now_seconds());
        let certificate = match (self.role, &self.pin_pad) {
            (Role::Device, Some(pin_pad)) => ca.issue_device(&request, pin_pad, self.days, now)?,
            (Role::Device, None) => bail!("--pin-pad is missing: say whose key it is, as its case says"),
            (_, Some(_)) => bail!("--pin-pad is for the role device"),
            (Role::Mtms, None) => ca.issue_mtms_agreement(&request, self.days, now)?,
            (role, None) => ca.issue(&request, role, self.days, now)?,
        };
        write(&self.out, &certificate.pem(), 0o644)?;
        issued(&certificate, &self.out);
        Ok(())
    }
}

impl Tls {
    pub(super) fn run(self) -> Result<()> {
        must_be_new(&self.out)?;
        let request = read_request(&self.request)?;
        let names = self.names.iter().map(|name| name.parse()).collect::<Result<Vec<ServerName>, _>>()?;
        let mut ca = self.folder.open()?;
        let (subject, spki, now) = (&request.subject, &request.spki, time::now_seconds());
        let certificate = if self.client {
            ca.tls_client(subject, spki, self.days, now)?
        } else {
            ca.tls_server(subject, spki, &names, self.days, now)?
        };
        write(&self.out, &certificate.pem(), 0o644)?;
        issued(&certificate, &self.out);
        Ok(())
    }
}
