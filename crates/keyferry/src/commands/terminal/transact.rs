//! What a terminal does each day: signing in, PINs, MACs.

use std::{fs, path::PathBuf};

use anyhow::{Context as _, Result};
use clap::Args;
use serde_json::json;
use terminal::{
    PinPad as _, Terminal as Device, TransactionPad as _,
    pinblock::{Format, Pan, Pin},
    sign_in::{SignInError, sign_in},
};
use wire::{Kcv, Slot};

use super::{line::Server, slot};
use crate::secret::Source;

/// Sign in to the host: fetch working keys under the TMK of a slot.
#[derive(Args)]
pub(crate) struct SignIn {
    /// The terminal's folder.
    folder: PathBuf,
    #[command(flatten)]
    server: Server,
    /// The TMK's slot, 0–99.
    #[arg(long, value_parser = slot)]
    slot: Slot,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Enter a PIN at the PIN pad and show its PIN block, as it goes to the host.
#[derive(Args)]
pub(crate) struct EnterPin {
    /// The terminal's folder.
    folder: PathBuf,
    /// The slot whose PIN key encrypts it, 0–99.
    #[arg(long, value_parser = slot)]
    slot: Slot,
    /// ISO 9564 format: 0 or 3 under a TDES key, 4 under an AES key [default: 0 or 4, by the slot's PIN key].
    #[arg(long, value_parser = clap::value_parser!(u8).range(0..=4))]
    format: Option<u8>,
    /// Read the card number from this file (mode 0600) instead of asking for it.
    #[arg(long, value_name = "FILE")]
    pan_file: Option<PathBuf>,
    /// Read the PIN from this file (mode 0600) instead of asking for it.
    #[arg(long, value_name = "FILE")]
    pin_file: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

/// Make a MAC over a file, as over a message to the host.
#[derive(Args)]
pub(crate) struct MakeMac {
    /// The terminal's folder.
    folder: PathBuf,
    /// The slot whose MAC key makes it, 0–99.
    #[arg(long, value_parser = slot)]
    slot: Slot,
    /// The message.
    #[arg(long, value_name = "FILE")]
    data: PathBuf,
    /// As JSON.
    #[arg(long)]
    json: bool,
}

impl SignIn {
    pub(super) fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let signed_in =
            sign_in(&mut device, || self.server.link().map_err(Failed), self.slot).map_err(|e| e.0)?;
        let kcvs: Vec<_> = signed_in.kcvs.iter().map(ToString::to_string).collect();
        if self.json {
            say!("{}", json!({ "slot": signed_in.slot.index(), "kcvs": kcvs }));
        } else {
            for (name, kcv) in ["PIN key", "MAC key", "track key"].iter().zip(&kcvs) {
                say!("slot {:02}: {name} with check value {kcv}", signed_in.slot.index());
            }
        }
        Ok(())
    }
}

/// An error on either side of the sign-in: of the flow, or of the connection.
struct Failed(anyhow::Error);

impl From<SignInError> for Failed {
    fn from(error: SignInError) -> Self {
        Self(error.into())
    }
}

impl EnterPin {
    pub(super) fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let pan = Pan::new(&Source::file(self.pan_file).read("card number")?)?;
        let pin = Pin::new(&Source::file(self.pin_file).read("PIN")?)?;
        let format = Format::from_number(self.format.unwrap_or_else(|| usual_format(&device, self.slot)))?;
        let block = device.pad_mut().pin_block(self.slot, pin, &pan, format)?;
        shown("pin_block", &block, self.json);
        Ok(())
    }
}

impl MakeMac {
    pub(super) fn run(self) -> Result<()> {
        let mut device = Device::open(&self.folder)?;
        let data = fs::read(&self.data).with_context(|| format!("cannot read {}", self.data.display()))?;
        let mac = device.pad_mut().mac(self.slot, &data)?;
        shown("mac", &mac, self.json);
        Ok(())
    }
}

/// Format 4 for an AES key, 0 for a TDES key.
fn usual_format(device: &Device, slot: Slot) -> u8 {
    let status = device.pad().slots().into_iter().find(|status| status.slot == slot);
    if status.is_some_and(|status| matches!(status.working.pik, Some(Kcv::Aes(_)))) { 4 } else { 0 }
}

fn shown(name: &str, value: &[u8], as_json: bool) {
    let hex: String = value.iter().map(|byte| format!("{byte:02X}")).collect();
    if as_json { say!("{}", json!({ name: hex })) } else { say!("{hex}") }
}
