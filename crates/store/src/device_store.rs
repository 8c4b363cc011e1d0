//! The part of [`Store`](crate::Store) for devices: local loading, the remote key server, refusals, windows.

use std::future::Future;

use wire::{Serial, Slot, Suite};

use crate::{
    CollectionImport, ConfirmOutcome, DeviceRecord, Dik1Record, Event, KldReport, LoadedKey, NewDik1,
    NewRefusal, NewRksWorkKey, OpenWindows, PutWorking, RefusalEntry, ReportOutcome, RksWorkKeyRecord,
    StoreError, WindowOutcome, WindowRecord, WindowsOutcome, WorkingKind, WorkingOutcome, WorkingSlot,
};

/// What the servers remember of devices. The rules of [`Store`](crate::Store) hold for acts here too.
pub trait DeviceStore: Send + Sync + 'static {
    // --- keys of the RKS itself

    /// Enters a DIK1. [`StoreError::AlreadyThere`] if the label is taken.
    fn put_dik1(&self, dik1: NewDik1, event: Event) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A DIK1 by its label.
    fn dik1(&self, label: &str) -> impl Future<Output = Result<Option<Dik1Record>, StoreError>> + Send;

    /// All DIK1s, by label.
    fn dik1s(&self) -> impl Future<Output = Result<Vec<Dik1Record>, StoreError>> + Send;

    /// Keeps a work key of the RKS and makes it the active one of its suite.
    fn put_rks_work_key(
        &self,
        key: NewRksWorkKey,
        event: Event,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// The RKS's active work key of a suite.
    fn active_rks_work_key(
        &self,
        suite: Suite,
    ) -> impl Future<Output = Result<Option<RksWorkKeyRecord>, StoreError>> + Send;

    // --- what is in devices

    /// Takes a KLD's report, all in one transaction: TMKs become active in their slots, DIK2 and DMK are registered. A
    /// terminal that is not known is entered without a TK. `event` speaks for the report; the store adds one event
    /// `kld.terminal` for each terminal, and an alarm for each serial that is compromised.
    fn import_kld_report(
        &self,
        report: KldReport,
        event: Event,
    ) -> impl Future<Output = Result<ReportOutcome, StoreError>> + Send;

    /// One device: a single indexed read that no writer holds up.
    fn device(&self, sn: &Serial) -> impl Future<Output = Result<Option<DeviceRecord>, StoreError>> + Send;

    /// Devices in the order of their serials, from the one after `after`, at most `limit` and at most
    /// [`limits::PAGE`](crate::limits::PAGE).
    fn devices(
        &self,
        after: Option<&Serial>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<DeviceRecord>, StoreError>> + Send;

    /// A slot's working keys of one kind.
    fn working_slot(
        &self,
        sn: &Serial,
        slot: Slot,
        kind: WorkingKind,
    ) -> impl Future<Output = Result<WorkingSlot, StoreError>> + Send;

    /// Makes a fresh working key the pending one, unless one is there.
    fn put_working_pending(
        &self,
        put: PutWorking,
        event: Event,
    ) -> impl Future<Output = Result<WorkingOutcome, StoreError>> + Send;

    /// A device confirmed every key of one message: all become active at once, or none does
    /// ([`ConfirmOutcome::Gone`] when one is neither pending nor active any more).
    fn confirm_loaded(
        &self,
        keys: Vec<LoadedKey>,
        event: Event,
    ) -> impl Future<Output = Result<ConfirmOutcome, StoreError>> + Send;

    // --- refusals

    /// Keeps what a terminal tells of its refusals, and says how many were new: a terminal that is unsure whether a
    /// record arrived sends it again. The oldest go when there are more than
    /// [`limits::REFUSALS_KEPT`](crate::limits::REFUSALS_KEPT). Nothing is written when none is new.
    fn put_refusals(
        &self,
        sn: &Serial,
        source: &'static str,
        refusals: Vec<NewRefusal>,
        event: Event,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Refusals of one terminal or of all, newest first, at most `limit` and at most
    /// [`limits::PAGE`](crate::limits::PAGE).
    fn refusals(
        &self,
        sn: Option<&Serial>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<RefusalEntry>, StoreError>> + Send;

    // --- collection windows

    /// Opens a window for each serial. A window that is open for a serial already stays; the later one counts.
    fn open_windows(
        &self,
        open: OpenWindows,
        event: Event,
    ) -> impl Future<Output = Result<WindowsOutcome, StoreError>> + Send;

    /// The latest window of a serial that is not closed at `now` (Unix milliseconds), used or not.
    fn window(
        &self,
        sn: &Serial,
        now: i64,
    ) -> impl Future<Output = Result<Option<WindowRecord>, StoreError>> + Send;

    /// Takes a collection of the window's one terminal, and uses the window up if it is taken: as
    /// [`Store::import_collection`](crate::Store::import_collection), in the same transaction.
    fn collect_in_window(
        &self,
        window: i64,
        import: CollectionImport,
        event: Event,
    ) -> impl Future<Output = Result<WindowOutcome, StoreError>> + Send;
}
