//! What KLDs report of their runs: CMS by the KLD's operator card. One bad terminal does not spoil the others.

use std::net::IpAddr;

use futures_util::{StreamExt, TryStreamExt, stream};
use hsm::{
    Hsm, HsmError, KeyBlock, Refusal as HsmRefusal,
    commands::{Held, ImportLoaded, Imported},
};
use pki::Role;
use serde::Serialize;
use serde_json::json;
use sha2::{Digest, Sha256};
use store::{
    Dik1Scope, KldReport, PerReported, Refusal, ReportOutcome, ReportedKey, ReportedTerminal, Store, suite_of,
};
use wire::{Device, Kcv, Suite};

pub(crate) use super::report::unix_ms;
use super::report::{Entry, Key, Report, refusal};
use crate::kms::{
    Failure, Kms, event,
    package::{Authentic, UploadRefusal},
};

/// Keys of one terminal at most: every slot, a DMK and a DIK2.
const MAX_KEYS: usize = 102;
/// Imports in the HSM at once for one report.
const IMPORTS_AT_ONCE: usize = 16;

/// One line of the answer.
#[derive(Debug, Serialize)]
pub(crate) struct ReportResult {
    sn: String,
    ok: bool,
    code: String,
    text: String,
}

/// What is the same for all terminals of a report.
struct Frame<'a> {
    under: &'a KeyBlock,
    /// The acquirer's DIK1s.
    dik1s: Vec<KnownDik1>,
}

/// A DIK1 that a report may name, or mean.
struct KnownDik1 {
    label: String,
    suite: Suite,
    /// It is for all devices, whatever their model and batch.
    common: bool,
}

impl Frame<'_> {
    /// The label of the DIK1 that a DIK2 of this suite was derived from: the one that the report names, else the one for
    /// all devices, if there is one only.
    fn dik1(&self, named: Option<&String>, suite: Suite) -> Result<String, Refusal> {
        if let Some(label) = named {
            // Whether there is one of that name the store says.
            let other = self.dik1s.iter().find(|dik1| dik1.label == *label && dik1.suite != suite);
            return match other {
                None => Ok(label.clone()),
                Some(_) => Err(refusal("wrong-suite", "the DIK2's check value is not of its DIK1's suite")),
            };
        }
        let mut common = self.dik1s.iter().filter(|dik1| dik1.common && dik1.suite == suite);
        match (common.next(), common.next()) {
            (Some(dik1), None) => Ok(dik1.label.clone()),
            _ => Err(refusal("unknown-dik1", "the report names no DIK1 for this DIK2 (label)")),
        }
    }
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Takes a KLD's report and answers for each terminal, in order.
    pub(crate) async fn take_kld_report(
        &self,
        package: &[u8],
        source: IpAddr,
    ) -> Result<Vec<ReportResult>, UploadRefusal> {
        let signed = self.authenticate("kld-report", package, Role::Operator, source)?;
        let taken = self.import_report(package, &signed).await;
        if let Err(refusal) = &taken
            && !refusal.is_failure()
        {
            let why = (refusal.code(), refusal.to_string());
            self.audit_refused("kld-report.refused", &signed, signed.digest_hex(), why).await?;
        }
        taken
    }

    async fn import_report(
        &self,
        package: &[u8],
        signed: &Authentic,
    ) -> Result<Vec<ReportResult>, UploadRefusal> {
        let report = signed.read::<Report>()?;
        let (opened_at, closed_at) = report.check()?;
        let under = self.exchange_key(&report)?;
        let dik1s = self.store.dik1s().await.map_err(Failure::from)?;
        let dik1s =
            dik1s.into_iter().map(|record| record.dik1).filter(|dik1| dik1.acquirer == self.acquirer.id);
        let dik1s = dik1s.map(|dik1| KnownDik1 {
            suite: suite_of(dik1.kcv),
            common: dik1.scope == Dik1Scope::Acquirer,
            label: dik1.label,
        });
        let frame = Frame { under, dik1s: dik1s.collect() };
        let imports: Vec<_> =
            report.terminals.iter().map(|entry| self.import_terminal(&frame, entry)).collect();
        let imported: Vec<Result<ReportedTerminal, Refusal>> =
            stream::iter(imports).buffered(IMPORTS_AT_ONCE).try_collect().await?;

        let terminals: Vec<_> = imported.iter().filter_map(|entry| entry.as_ref().ok().cloned()).collect();
        let detail = json!({
            "kld": report.kld,
            "run": report.run,
            "card": signed.signer.certificate_serial,
            "unreadable": imported.len() - terminals.len(),
        });
        let received =
            event("kld-report.received", signed.signer.subject.as_str(), signed.digest_hex(), detail);
        let stored = KldReport {
            content_digest: Sha256::digest(signed.content()).into(),
            digest: signed.digest,
            package: package.to_vec(),
            signer: signed.signer.clone(),
            acquirer: self.acquirer.id.clone(),
            kld: report.kld.clone(),
            run: report.run.clone(),
            opened_at,
            closed_at,
            terminals,
            compromised: report.compromised()?,
        };
        let outcome = self.store.import_kld_report(stored, received).await.map_err(Failure::from)?;
        let ReportOutcome::Stored(outcomes) = outcome else { return Err(UploadRefusal::Duplicate) };
        let mut outcomes = outcomes.into_iter();
        let results = report.terminals.iter().zip(imported).map(|(entry, imported)| match imported {
            Ok(_) => ReportResult::of(entry, outcomes.next()),
            Err(refusal) => ReportResult::refused(entry, refusal),
        });
        Ok(results.collect())
    }

    /// The exchange key that the report names; else that of the KLD's own name; else the only one there is.
    fn exchange_key(&self, report: &Report) -> Result<&KeyBlock, UploadRefusal> {
        let keys = &self.rks.exchange_keys;
        let found = match &report.exchange_key {
            Some(name) => keys.get(name),
            None => keys.get(&report.kld).or_else(|| keys.values().next().filter(|_| keys.len() == 1)),
        };
        found.ok_or_else(|| {
            let name = report.exchange_key.as_ref().unwrap_or(&report.kld);
            let name: String = name.chars().take(64).collect();
            UploadRefusal::Content(format!("this server holds no exchange key {name:?}: [rks] exchange_keys"))
        })
    }

    /// Imports the keys of one terminal. The outer error is ours, the inner one the entry's: not even its serial can be
    /// read. An entry that can be read and is refused goes to the store with its refusal, for the audit.
    async fn import_terminal(
        &self,
        frame: &Frame<'_>,
        entry: &Entry,
    ) -> Result<Result<ReportedTerminal, Refusal>, UploadRefusal> {
        let device = match entry.device() {
            Ok(device) => device,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let mut terminal =
            ReportedTerminal { device, keys: Vec::new(), failed: entry.failed(), refused: None };
        if entry.keys.len() > MAX_KEYS {
            let text = format!("{} keys; a terminal has at most {MAX_KEYS}", entry.keys.len());
            terminal.refused = Some(refusal("malformed", &text));
            return Ok(Ok(terminal));
        }
        for key in entry.keys.iter().filter(|key| !key.unconfirmed) {
            match self.import_key(frame, &terminal.device, key).await? {
                Ok(key) => terminal.keys.push(key),
                Err(refusal) => {
                    terminal.keys.clear();
                    terminal.refused = Some(refusal);
                    break;
                }
            }
        }
        Ok(Ok(terminal))
    }

    async fn import_key(
        &self,
        frame: &Frame<'_>,
        device: &Device,
        key: &Key,
    ) -> Result<Result<ReportedKey, Refusal>, UploadRefusal> {
        let (what, block, kcv) = match key.read() {
            Ok(read) => read,
            Err(refused) => return Ok(Err(refused)),
        };
        let command = ImportLoaded {
            under: frame.under.clone(),
            block: block.to_owned(),
            pin_pad: device.pin_pad().to_string(),
            what,
            owner: self.acquirer.id.clone(),
        };
        let imported = match self.hsm.call(command).await {
            Ok(imported) => imported,
            Err(HsmError::Refused(refused @ (HsmRefusal::Import { .. } | HsmRefusal::Malformed { .. }))) => {
                return Ok(Err(refusal("block-refused", &refused.to_string())));
            }
            Err(failed) => return Err(Failure::from(failed).into()),
        };
        Ok(match (what, imported) {
            (Held::Factor, Imported::Factor { block, digest }) => {
                let named = frame.dik1(key.label.as_ref(), suite_of(kcv));
                named.map(|dik1| ReportedKey::Dik2 { dik1, factor_digest: digest, factor: block.into(), kcv })
            }
            (what, Imported::Key(held)) => key.taken(what, held.block, (held.kcv.into(), kcv)),
            (what, Imported::KeyEc(held)) => key.taken(what, held.block, (Kcv::Aes(held.kcv), kcv)),
            _ => return Err(Failure::from(HsmError::WrongReply("ImportLoaded")).into()),
        })
    }
}

impl ReportResult {
    fn of(entry: &Entry, outcome: Option<PerReported>) -> Self {
        let unconfirmed = entry.keys.iter().filter(|key| key.unconfirmed).count();
        let (ok, code, text) = match outcome {
            Some(PerReported::Taken { new }) if unconfirmed > 0 => (
                true,
                "taken",
                format!("{new} new keys; {unconfirmed} that the terminal did not confirm were left out: load it again"),
            ),
            Some(PerReported::Taken { new }) => (true, "taken", format!("{new} new keys")),
            Some(PerReported::NothingLoaded) => {
                (true, "nothing-loaded", "nothing was loaded; nothing changed".to_owned())
            }
            Some(PerReported::Compromised) => (
                false,
                "compromised",
                "its serial was served twice: nothing of this run is believed; find out which is the true terminal"
                    .to_owned(),
            ),
            Some(PerReported::Overtaken) => {
                (false, "overtaken", "it was loaded or served since; nothing changed".to_owned())
            }
            Some(PerReported::OtherPinPad { recorded }) => {
                (false, "other-pin-pad", format!("the terminal is recorded with PIN pad {recorded}"))
            }
            Some(PerReported::SerialPairTaken { by }) => {
                (false, "pin-pad-taken", format!("the PIN pad is recorded with terminal {by}"))
            }
            Some(PerReported::OtherAcquirer) => {
                (false, "other-acquirer", "the serial is recorded with another acquirer".to_owned())
            }
            Some(PerReported::UnknownDik1 { label }) => {
                (false, "unknown-dik1", format!("there is no DIK1 {label} here"))
            }
            Some(PerReported::Refused(refusal)) => return Self::refused(entry, refusal),
            None => (false, "internal", "the store gave no answer for this terminal".to_owned()),
        };
        Self { sn: entry.sn.clone(), ok, code: code.to_owned(), text }
    }

    fn refused(entry: &Entry, refusal: Refusal) -> Self {
        // Cut, since a malformed serial may be of any length.
        let sn = entry.sn.chars().take(64).collect();
        Self { sn, ok: false, code: refusal.code, text: refusal.text }
    }
}
