//! What proven terminals tell of their own refusals (FF23), kept for people.

use flows::RefusalRecord;
use hsm::Hsm;
use serde_json::json;
use store::{NewRefusal, Store, StoreError};
use wire::{Fields, Serial};

use crate::kms::{Kms, event};

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Keeps these records. The caller has the terminal's proof, or an open window for it.
    pub(crate) async fn keep_refusals(
        &self,
        sn: &Serial,
        source: &'static str,
        records: &[Fields],
    ) -> Result<(), StoreError> {
        // A record with a date that does not exist is worth as little as none.
        let told: Vec<_> = records.iter().filter_map(|record| RefusalRecord::read(record).ok()).collect();
        if told.is_empty() {
            return Ok(());
        }
        let refusals = told
            .into_iter()
            .map(|RefusalRecord { check, reading, when }| NewRefusal {
                check,
                reading,
                occurred_at: when.map(|when| when.unix() * 1000),
            })
            .collect();
        let event = event("terminal.refusals-told", sn.as_str(), sn.as_str(), json!({ "in": source }));
        self.store.put_refusals(sn, source, refusals, event).await?;
        Ok(())
    }
}
