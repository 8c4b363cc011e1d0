//! The KMS: takes collected transport keys in, gives TMKs out (1-systems.md A).

mod allowances;
pub(crate) mod answer_grid;
mod approvals;
mod batches;
mod ceremonies;
pub(crate) mod collections;
mod download;
pub(crate) mod open_hellos;
mod orders;
pub(crate) mod package;
pub(crate) mod strangers;

use std::sync::Arc;

use hsm::{Hsm, HsmError};
use store::{Event, Store, StoreError};

pub(crate) use allowances::AllowanceRefusal;
pub(crate) use approvals::ApprovalRefusal;
pub(crate) use batches::{BatchRefusal, Exchange};
pub(crate) use orders::OrderRefusal;
pub(crate) use package::UploadRefusal;

use crate::{clock::now_ms, config::Acquirer, host::Host, rks::Rks, tms::Tms, trust::Trust};

/// What all downloads and uploads of one acquirer share.
pub(crate) struct Kms<S, H> {
    pub(crate) store: Arc<S>,
    pub(crate) hsm: H,
    pub(crate) acquirer: Acquirer,
    pub(crate) trust: Trust,
    open_hellos: open_hellos::OpenHellos,
    pub(crate) strangers: strangers::Strangers,
    pub(crate) refused_uploads: strangers::Strangers,
    pub(crate) rks: Rks,
    pub(crate) host: Host,
    pub(crate) tms: Tms,
    pub(crate) refused_posp: strangers::Strangers,
    exchange: Exchange,
    mtms: bool,
}

/// What a server does beside giving TMKs out, as its configuration says.
pub(crate) struct Duties {
    pub(crate) rks: Rks,
    pub(crate) host: Host,
    pub(crate) tms: Tms,
    pub(crate) exchange: Exchange,
    /// Whether it is a vendor's MTMS.
    pub(crate) mtms: bool,
}

/// Something behind the KMS failed: nobody's fault who asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Hsm(#[from] HsmError),
    #[error("{0}")]
    Store(#[from] StoreError),
    #[error("a certificate in the store cannot be read: {0}")]
    Certificate(#[from] pki::Error),
    #[error("the system gives no random numbers")]
    Random,
    #[error("no work key {0} is in the store: install one first")]
    NoWorkKey(String),
    #[error("[[partners]] has no keys with {0} any more, and its receipts cannot be made without them")]
    NoPartner(String),
}

impl<S: Store, H: Hsm> Kms<S, H> {
    pub(crate) fn new(store: Arc<S>, hsm: H, acquirer: Acquirer, trust: Trust, duties: Duties) -> Self {
        let Duties { rks, host, tms, exchange, mtms } = duties;
        Self {
            store,
            hsm,
            exchange,
            mtms,
            acquirer,
            trust,
            rks,
            open_hellos: open_hellos::OpenHellos::default(),
            strangers: strangers::Strangers::new("terminal.refused"),
            refused_uploads: strangers::Strangers::new("upload.refused"),
            host,
            tms,
            refused_posp: strangers::Strangers::new("posp.refused"),
        }
    }

    /// Whether this is a vendor's MTMS: it collects what orders list, and gives nobody a key.
    pub(crate) fn is_mtms(&self) -> bool {
        self.mtms
    }

    /// Whether store and HSM answer.
    pub(crate) async fn healthy(&self) -> Result<(), Failure> {
        self.store.active_work_key(wire::Suite::TDES).await?;
        self.hsm.call(hsm::commands::Status {}).await?;
        Ok(())
    }

    /// The last entries before the end.
    pub(crate) async fn stopped(&self) {
        self.report_strangers().await;
        self.flush_uses_now().await;
        let stopped = event("server.stopped", "server", self.acquirer.id.as_str(), serde_json::json!({}));
        if let Err(error) = self.store.audit_append(stopped).await {
            tracing::error!(%error, "the stop could not be written to the audit");
        }
    }

    /// Writes what was counted of strangers to the audit.
    pub(crate) async fn report_strangers(&self) {
        let counted = [&self.strangers, &self.refused_uploads, &self.refused_posp];
        for event in counted.into_iter().flat_map(strangers::Strangers::take) {
            if let Err(error) = self.store.audit_append(event).await {
                tracing::error!(%error, "refusals of the last minute could not be written to the audit");
            }
        }
    }
}

/// An event of now.
pub(crate) fn event(
    kind: &'static str,
    actor: impl Into<String>,
    subject: impl Into<String>,
    detail: serde_json::Value,
) -> Event {
    Event::new(now_ms(), kind, actor, subject, detail)
}
