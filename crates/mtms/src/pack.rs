//! Packing a page of an order: from TKs under the vendor's own key to a signed batch under the buyer's.

use std::collections::HashSet;

use batch::{Batch, Entry};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hsm::{
    Hsm, HsmError, KeyBlock, Refusal,
    commands::{BatchText, MacBatch, TkSource, TranslateTk, TransportKeyBlocks, TravellingTk},
};
use store::{Store, SuiteStore, TerminalRecord, TkRecord, Undelivered};
use wire::{Serial, Suite};

use crate::{
    Error, Partner, SigningCard, clock,
    receipt::{base64, digest},
};

/// Terminals whose TK the HSM translates at once: enough to keep its pool of RSA operations busy.
const TRANSLATED_AT_ONCE: usize = 16;

/// A batch that is ready to be stored, and then sent.
pub(crate) struct Packed {
    /// The CMS bytes.
    pub(crate) package: Vec<u8>,
    /// SHA-256 of its content.
    pub(crate) digest: [u8; 32],
    /// The terminals in it, each with the generation of its TK.
    pub(crate) items: Vec<(Serial, i64)>,
}

/// A terminal that is in no batch, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldBack {
    /// The terminal.
    pub sn: Serial,
    /// Why, for people.
    pub why: String,
}

/// What packing needs beside the terminals.
pub(crate) struct Packing<'a, S, H> {
    pub(crate) store: &'a S,
    pub(crate) hsm: &'a H,
    /// The vendor: whose keys these are.
    pub(crate) owner: &'a str,
    pub(crate) order: &'a str,
    pub(crate) card: &'a SigningCard,
    /// Terminals whose TK is about to be replaced here: the old one goes nowhere any more.
    pub(crate) waiting: &'a HashSet<Serial>,
}

/// A terminal on its way into a batch.
enum Translated {
    Entry(Box<Entry>, (Serial, i64)),
    HeldBack(HeldBack),
}

impl<S: Store + SuiteStore, H: Hsm> Packing<'_, S, H> {
    /// Packs these terminals, whose TKs are of the suite that was agreed with the partner. There is no batch when every one
    /// of them is held back.
    pub(crate) async fn pack(
        &self,
        partner: &Partner,
        terminals: &[Undelivered],
    ) -> Result<(Option<Packed>, Vec<HeldBack>), Error> {
        let (mut entries, mut items, mut held) = (Vec::new(), Vec::new(), Vec::new());
        let work = terminals.iter().map(|one| self.entry(partner, one));
        let translated: Vec<_> =
            stream::iter(work.collect::<Vec<_>>()).buffered(TRANSLATED_AT_ONCE).try_collect().await?;
        for one in translated {
            match one {
                Translated::Entry(entry, item) => {
                    entries.push(*entry);
                    items.push(item);
                }
                Translated::HeldBack(terminal) => held.push(terminal),
            }
        }
        if entries.is_empty() {
            return Ok((None, held));
        }
        let mut batch = Batch {
            version: batch::VERSION,
            suite: (partner.suite == Suite::EC_AES).then_some(2),
            order: self.order.to_owned(),
            collected_at: clock::rfc3339(clock::now_ms()),
            terminals: entries,
            mac: String::new(),
        };
        let mac = self.hsm.call(MacBatch {
            mak: partner.mak.clone(),
            partner: partner.name.clone(),
            owner: self.owner.to_owned(),
            what: BatchText::Batch,
            text: batch.covered()?,
        });
        batch.mac = mac.await?.iter().map(|byte| format!("{byte:02X}")).collect();
        let content = batch.content()?;
        let package = self.card.sign(&content)?;
        Ok((Some(Packed { package, digest: digest(&content), items }), held))
    }

    async fn entry(&self, partner: &Partner, undelivered: &Undelivered) -> Result<Translated, Error> {
        let terminal = &undelivered.terminal;
        let held = |why: String| Translated::HeldBack(HeldBack { sn: terminal.sn.clone(), why });
        if self.waiting.contains(&terminal.sn) {
            return Ok(held("its TK was collected anew, which a second person has not approved yet".into()));
        }
        let (generation, device) = match (terminal.suite, undelivered.device_generation) {
            (Suite::EC_AES, Some(generation)) => {
                let Some(record) = self.store.device_certificate(&terminal.sn).await? else {
                    return Ok(held("no device certificate is on record with it".into()));
                };
                // The certificate of the TK that is sent, not of one that came since.
                if record.generation != generation {
                    return Ok(held(
                        "the device certificate on record belongs to another generation of its TK".into(),
                    ));
                }
                (Some(generation.to_string()), Some(base64(&record.certificate.der)))
            }
            (Suite::EC_AES, None) => return Ok(held("no generation is on record with its TK".into())),
            _ => (None, None),
        };
        let Some(tk) = self.source(terminal).await? else { return Ok(held("it has no TK".into())) };
        let work_certificate_sha256 = self.work_certificate(undelivered).await?;
        let tk = match self.translate(partner, terminal, tk).await {
            Ok(tk) => tk,
            Err(Error::Hsm(HsmError::Refused(refusal @ Refusal::TransportKey { .. }))) => {
                return Ok(held(refusal.to_string()));
            }
            Err(error) => return Err(error),
        };
        let entry = Entry {
            sn: terminal.sn.to_string(),
            pin_pad_sn: terminal.pin_pad.as_ref().map(ToString::to_string),
            vendor: terminal.vendor.clone(),
            model: terminal.model.clone(),
            tek: tk.tek,
            auk: tk.auk,
            work_certificate_sha256,
            replaces: undelivered.replaces,
            fingerprint: Some(terminal.fingerprint.clone()),
            generation,
            device,
        };
        Ok(Translated::Entry(Box::new(entry), (terminal.sn.clone(), terminal.tk_generation)))
    }

    async fn translate(
        &self,
        partner: &Partner,
        terminal: &TerminalRecord,
        tk: TkSource,
    ) -> Result<TravellingTk, Error> {
        let command = TranslateTk {
            tk,
            pin_pad: terminal.key_serial().to_string(),
            owner: self.owner.to_owned(),
            pk: partner.pk.clone(),
            partner: partner.name.clone(),
        };
        Ok(self.hsm.call(command).await?)
    }

    /// Where the TK is.
    async fn source(&self, terminal: &TerminalRecord) -> Result<Option<TkSource>, Error> {
        Ok(match &terminal.tk {
            TkRecord::Ciphertext { ctk_pu, work_certificate_sha256: sha256 } => {
                let record = self.store.work_key(sha256).await?;
                let record = record.ok_or_else(|| no_work_key(terminal, sha256))?;
                let work_key = KeyBlock::from_text(record.private_block);
                Some(TkSource::Collected { work_key, ctk_pu: ctk_pu.clone() })
            }
            TkRecord::Blocks { tek, auk } => Some(TkSource::Held(TransportKeyBlocks {
                tek: KeyBlock::from_text(tek.clone()),
                auk: KeyBlock::from_text(auk.clone()),
            })),
            TkRecord::None => None,
        })
    }

    /// Under which work certificate it was collected: where nothing says it any more, the one that this MTMS collects with
    /// now.
    async fn work_certificate(&self, undelivered: &Undelivered) -> Result<String, Error> {
        if let Some(sha256) = &undelivered.work_certificate_sha256 {
            return Ok(sha256.clone());
        }
        let terminal = &undelivered.terminal;
        let active = self.store.active_work_key(terminal.suite).await?;
        Ok(active.ok_or_else(|| no_work_key(terminal, "of its suite"))?.certificate_sha256)
    }
}

fn no_work_key(terminal: &TerminalRecord, sha256: &str) -> Error {
    Error::NoWorkKey { sn: terminal.sn.to_string(), certificate_sha256: sha256.to_owned() }
}
