//! [`DeviceStore`] for SQLite.

use wire::{Serial, Slot, Suite};

use super::{SqliteStore, acts, reads};
use crate::{
    CollectionImport, ConfirmOutcome, DeviceRecord, DeviceStore, Dik1Record, Event, KldReport, LoadedKey,
    NewDik1, NewRefusal, NewRksWorkKey, OpenWindows, PutWorking, RefusalEntry, ReportOutcome,
    RksWorkKeyRecord, StoreError, WindowOutcome, WindowRecord, WindowsOutcome, WorkingKind, WorkingOutcome,
    WorkingSlot,
};

impl DeviceStore for SqliteStore {
    async fn put_dik1(&self, dik1: NewDik1, event: Event) -> Result<(), StoreError> {
        self.act(move |tx| acts::rks_keys::put_dik1(tx, &dik1, &event)).await
    }

    async fn dik1(&self, label: &str) -> Result<Option<Dik1Record>, StoreError> {
        self.readers().short(|db| reads::devices::dik1(db, label))
    }

    async fn dik1s(&self) -> Result<Vec<Dik1Record>, StoreError> {
        self.readers().long(reads::devices::dik1s).await
    }

    async fn put_rks_work_key(&self, key: NewRksWorkKey, event: Event) -> Result<(), StoreError> {
        self.act(move |tx| acts::rks_keys::put_work_key(tx, &key, &event)).await
    }

    async fn active_rks_work_key(&self, suite: Suite) -> Result<Option<RksWorkKeyRecord>, StoreError> {
        self.readers().short(|db| reads::devices::active_work_key(db, suite))
    }

    async fn import_kld_report(&self, report: KldReport, event: Event) -> Result<ReportOutcome, StoreError> {
        self.act(move |tx| acts::kld_reports::import(tx, &report, &event)).await
    }

    async fn device(&self, sn: &Serial) -> Result<Option<DeviceRecord>, StoreError> {
        self.readers().short(|db| reads::devices::device(db, sn))
    }

    async fn devices(&self, after: Option<&Serial>, limit: u32) -> Result<Vec<DeviceRecord>, StoreError> {
        let after = after.cloned();
        self.readers().long(move |db| reads::devices::devices(db, after.as_ref(), limit)).await
    }

    async fn working_slot(
        &self,
        sn: &Serial,
        slot: Slot,
        kind: WorkingKind,
    ) -> Result<WorkingSlot, StoreError> {
        self.readers().short(|db| reads::devices::working_slot(db, sn, slot, kind))
    }

    async fn put_working_pending(&self, put: PutWorking, event: Event) -> Result<WorkingOutcome, StoreError> {
        self.act(move |tx| acts::working::put_pending(tx, &put, &event)).await
    }

    async fn confirm_loaded(&self, keys: Vec<LoadedKey>, event: Event) -> Result<ConfirmOutcome, StoreError> {
        self.act(move |tx| acts::working::confirm_loaded(tx, &keys, &event)).await
    }

    async fn put_refusals(
        &self,
        sn: &Serial,
        source: &'static str,
        refusals: Vec<NewRefusal>,
        event: Event,
    ) -> Result<u64, StoreError> {
        let sn = sn.clone();
        self.act(move |tx| acts::refusals::put(tx, &sn, source, &refusals, &event)).await
    }

    async fn refusals(&self, sn: Option<&Serial>, limit: u32) -> Result<Vec<RefusalEntry>, StoreError> {
        let sn = sn.cloned();
        self.readers().long(move |db| reads::refusals::refusals(db, sn.as_ref(), limit)).await
    }

    async fn open_windows(&self, open: OpenWindows, event: Event) -> Result<WindowsOutcome, StoreError> {
        self.act(move |tx| acts::windows::open(tx, &open, &event)).await
    }

    async fn window(&self, sn: &Serial, now: i64) -> Result<Option<WindowRecord>, StoreError> {
        self.readers().short(|db| reads::windows::window(db, sn, now))
    }

    async fn collect_in_window(
        &self,
        window: i64,
        import: CollectionImport,
        event: Event,
    ) -> Result<WindowOutcome, StoreError> {
        self.act(move |tx| acts::windows::collect(tx, window, &import, &event)).await
    }
}
