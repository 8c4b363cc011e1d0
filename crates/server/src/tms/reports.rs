//! What a terminal says that it has done.

use flows::tms_download::Report;
use hsm::Hsm;
use serde_json::json;
use store::{OfferState, Store, TmsReport, TmsTerminal};

use super::{
    estate::VendorEstate,
    requests::{clean, names, view},
    results::{self, results},
    sealed::{SealedEnd, Sealing},
};
use crate::{
    clock::now_ms,
    kms::{Kms, event},
};

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Keeps a report, and lets the deployments that it speaks of go on or stop.
    pub(super) async fn answer_report(
        &self,
        sealing: &mut Sealing,
        report: Report,
    ) -> Result<Vec<u8>, SealedEnd> {
        let status = clean(report.status.as_deref())?;
        let estate = self.vendor_estate(sealing).await?;
        let terminal = self.terminal_of(sealing).await?;
        let terminal = TmsTerminal { installed: names(&report.installed), ..terminal };
        let refused = report.status.as_deref().and_then(results::refused);
        let results = results(&view(sealing, &terminal), &estate.packages, report.good, refused.as_deref());
        let installed = terminal.installed;
        let (answer, good, sn) = (report.answer()?, report.good, sealing.sn.clone());
        let detail = json!({ "good": good, "deployments": results.iter().map(told).collect::<Vec<_>>() });
        let event = event("tms.reported", sn.as_str(), sn.as_str(), detail);
        self.keep_refusals(&sn, "TMS_REPORT", &report.refusals).await?;
        let kept = TmsReport { sn, installed, good, status, results, at: now_ms() };
        self.take(kept, event).await?;
        Ok(answer)
    }

    /// Keeps an inventory. What it shows to be installed counts as reported: a report may have been lost.
    pub(super) async fn note_installed(
        &self,
        sealing: &Sealing,
        terminal: &mut TmsTerminal,
        estate: &VendorEstate,
        status: Option<String>,
        at: i64,
    ) -> Result<(), SealedEnd> {
        let results = results(&view(sealing, terminal), &estate.packages, true, None);
        let (sn, installed) = (terminal.sn.clone(), terminal.installed.clone());
        if results.is_empty() {
            return Ok(self.store.note_inventory(&sn, installed, status, at).await?);
        }
        for offer in &mut terminal.offers {
            if results.iter().any(|(deployment, _)| *deployment == offer.deployment) {
                offer.state = OfferState::Installed;
            }
        }
        let detail = json!({ "deployments": results.iter().map(told).collect::<Vec<_>>() });
        let event = event("tms.found-installed", sn.as_str(), sn.as_str(), detail);
        self.take(TmsReport { sn, installed, good: true, status, results, at }, event).await
    }

    async fn take(&self, report: TmsReport, event: store::Event) -> Result<(), SealedEnd> {
        for (deployment, _) in self.store.take_report(report, event).await? {
            self.progress(deployment).await?;
        }
        Ok(())
    }
}

/// A result, for the audit.
fn told((deployment, state): &(i64, OfferState)) -> serde_json::Value {
    let state = match state {
        OfferState::Offered => "offered",
        OfferState::Installed => "installed",
        OfferState::Failed => "failed",
    };
    json!({ "deployment": deployment, "state": state })
}
