//! What somebody inside a vendor's house would try, with the true card and the true HSM: batches that are signed well and
//! are not what the MTMS sent.

use std::path::Path;

use anyhow::{Context as _, Result};
use batch::{Batch, Entry};
use custody::card;
use hsm::{
    Client, Hsm as _, KeyBlock,
    commands::{BatchText, MacBatch},
};
use pki::cms;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{estate::Estate, factory::VENDOR};
use crate::time;

/// The true batch, and what is needed to make others like it.
pub(super) struct Forger<'a> {
    pub(super) vendor: &'a Estate,
    /// Whom it is for.
    pub(super) buyer: &'a str,
    pub(super) package: &'a [u8],
    pub(super) runtime: &'a Runtime,
}

impl Forger<'_> {
    /// One byte of a terminal's key block changed; the signature is the old one.
    pub(super) fn one_byte_changed(&self) -> Result<Vec<u8>> {
        let mark = b"\"tek\":\"";
        let found = self.package.windows(mark.len()).position(|window| window == mark);
        let at = found.context("the batch holds no terminal")? + mark.len() + 40;
        let mut changed = self.package.to_vec();
        let byte = changed.get_mut(at).context("the batch is short")?;
        *byte = if *byte == b'A' { b'B' } else { b'A' };
        Ok(changed)
    }

    /// Signed by the true card, with a MAC that nobody with MAK made.
    pub(super) fn wrong_mac(&self) -> Result<Vec<u8>> {
        let mut batch = self.batch()?;
        let first = if batch.mac.starts_with('0') { "1" } else { "0" };
        batch.mac.replace_range(..1, first);
        self.sign(&batch)
    }

    /// Signed and authenticated, for an order that the acquirer never placed.
    pub(super) fn wrong_order(&self) -> Result<Vec<u8>> {
        let mut batch = self.batch()?;
        batch.order = "PO-OTHER".into();
        self.authenticate(batch)
    }

    /// Signed and authenticated, with one terminal twice.
    pub(super) fn serial_twice(&self) -> Result<Vec<u8>> {
        let mut batch = self.batch()?;
        let first: Entry = batch.terminals.first().context("the batch holds no terminal")?.clone();
        batch.terminals.push(first);
        self.authenticate(batch)
    }

    fn batch(&self) -> Result<Batch> {
        Ok(Batch::read(&cms::open(self.package)?.content)?.batch)
    }

    /// Has the vendor's own HSM make the MAC, as an insider could.
    fn authenticate(&self, mut batch: Batch) -> Result<Vec<u8>> {
        let text = std::fs::read_to_string(self.vendor.path("partners/mak.json"))?;
        let key: Value = serde_json::from_str(&text)?;
        let block = key.get("block").and_then(Value::as_str).context("no MAK")?;
        let command = MacBatch {
            mak: KeyBlock::from_text(block.to_owned()),
            partner: self.buyer.to_owned(),
            owner: VENDOR.to_owned(),
            what: BatchText::Batch,
            text: batch.covered()?,
        };
        let socket = self.vendor.path("run/hsm.sock");
        let mac = self.runtime.block_on(async { Client::connect(&socket).await?.call(command).await })?;
        batch.mac = mac.iter().map(|byte| format!("{byte:02X}")).collect();
        self.sign(&batch)
    }

    fn sign(&self, batch: &Batch) -> Result<Vec<u8>> {
        let pin = std::fs::read_to_string(self.vendor.secret("mtms-pin"))?;
        let path: &Path = &self.vendor.path("cards/mtms.pem");
        let card = card::read_card(path, pin.trim_end())?;
        Ok(cms::sign(&batch.content()?, &card.signer, &card.certificate, &card.chain, time::now_seconds())?)
    }
}
