//! [`SuiteStore`] for SQLite.

use wire::{Serial, Suite};

use super::{SqliteStore, acts, reads};
use crate::{
    AllowOutcome, AllowSuite, CeremonyRecord, DeviceCertificateRecord, Event, NewCeremony, StoreError,
    SuiteRecords, SuiteStore,
};

impl SuiteStore for SqliteStore {
    async fn suite_records(&self, sn: &Serial) -> Result<SuiteRecords, StoreError> {
        self.readers().short(|db| reads::suites::records(db, sn))
    }

    async fn estate_suites(
        &self,
        below: Suite,
        after: Option<&Serial>,
        limit: u32,
    ) -> Result<Vec<SuiteRecords>, StoreError> {
        let after = after.cloned();
        self.readers().long(move |db| reads::suites::estate(db, below, after.as_ref(), limit)).await
    }

    async fn allow_suite(&self, allow: AllowSuite, event: Event) -> Result<AllowOutcome, StoreError> {
        self.act(move |tx| acts::suites::allow(tx, &allow, &event)).await
    }

    async fn put_ceremony(&self, ceremony: NewCeremony, event: Event) -> Result<CeremonyRecord, StoreError> {
        self.act(move |tx| acts::ceremonies::put(tx, &ceremony, &event)).await
    }

    async fn ceremony(&self, nonce: [u8; 32]) -> Result<Option<CeremonyRecord>, StoreError> {
        self.readers().short(|db| reads::suites::ceremony(db, &nonce))
    }

    async fn device_certificate(&self, sn: &Serial) -> Result<Option<DeviceCertificateRecord>, StoreError> {
        self.readers().short(|db| reads::suites::device_certificate(db, sn))
    }
}
