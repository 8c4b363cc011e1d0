//! The store in one SQLite file.
//!
//! WAL mode, `synchronous = FULL`, foreign keys on. One thread writes, in groups ([`writer`]); readers are beside
//! it and never wait for it ([`readers`]). The layout is in `migrations/`, and its triggers hold what must never be
//! otherwise, whatever a later version of this program does.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use wire::{Serial, Slot, Suite};

use crate::{
    AcquirerRecord, Approval, ApprovalOutcome, AuditRow, AuditVerdict, CertificateRecord, CollectionImport,
    ConfirmOutcome, Event, ImportOutcome, NewAcquirer, NewCertificate, NewRevocationList, NewWorkKey,
    Overview, PendingOutcome, PutPending, ReplacementRecord, ResendOutcome, RevocationListRecord,
    RevocationOutcome, SlotRecord, Store, StoreError, TerminalRecord, TkOutcome, WorkKeyRecord,
};

mod acts;
mod device_store;
mod error;
mod host_store;
mod open;
mod order_store;
mod readers;
mod reads;
mod rows;
mod suite_store;
mod tms_store;
mod writer;

#[cfg(test)]
mod tests;

pub use reads::audit::verify_audit_file;

use readers::Readers;
use writer::Writer;

/// How a [`SqliteStore`] is opened.
#[derive(Debug, Clone, Copy)]
pub struct SqliteOptions {
    /// Connections for short reads: as many as threads that read at once. At least one is opened.
    pub readers: usize,
    /// How long a batch of acts waits while another process writes, before [`StoreError::Busy`].
    pub busy_wait: Duration,
}

impl Default for SqliteOptions {
    fn default() -> SqliteOptions {
        SqliteOptions { readers: 4, busy_wait: Duration::from_secs(5) }
    }
}

/// The store in one SQLite file. Clones share it; when the last one goes, the queue of acts is finished first.
#[derive(Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

struct Shared {
    // First, so that it is dropped first: the last connection to close tidies the file.
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the store, makes it (mode 0600) if there is none, and brings it to this version's layout.
    ///
    /// Blocks; for the start of a program.
    ///
    /// # Errors
    ///
    /// [`StoreError::CannotOpen`], [`StoreError::Permissions`], [`StoreError::NotAStore`],
    /// [`StoreError::UnknownLayout`], [`StoreError::Busy`], [`StoreError::Damaged`], or what the disk says.
    pub fn open(path: &Path, options: SqliteOptions) -> Result<SqliteStore, StoreError> {
        let connection = open::writer(path, options.busy_wait)?;
        let readers = Readers::open(path, options.readers)?;
        let writer = Writer::start(connection)?;
        Ok(SqliteStore { shared: Arc::new(Shared { readers, writer }) })
    }

    async fn act<T, F>(&self, act: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Fn(&writer::Tx<'_>) -> Result<T, StoreError> + Send + 'static,
    {
        self.shared.writer.act(act).await
    }

    fn readers(&self) -> &Readers {
        &self.shared.readers
    }
}

impl Store for SqliteStore {
    async fn put_acquirer(&self, acquirer: NewAcquirer, event: Event) -> Result<(), StoreError> {
        self.act(move |tx| acts::acquirers::put(tx, &acquirer, &event)).await
    }

    async fn acquirers(&self) -> Result<Vec<AcquirerRecord>, StoreError> {
        self.readers().long(reads::terminals::acquirers).await
    }

    async fn terminal(&self, sn: &Serial) -> Result<Option<TerminalRecord>, StoreError> {
        self.readers().short(|db| reads::terminals::terminal(db, sn))
    }

    async fn terminals(&self, after: Option<&Serial>, limit: u32) -> Result<Vec<TerminalRecord>, StoreError> {
        let after = after.cloned();
        self.readers().long(move |db| reads::terminals::terminals(db, after.as_ref(), limit)).await
    }

    async fn import_collection(
        &self,
        import: CollectionImport,
        event: Event,
    ) -> Result<ImportOutcome, StoreError> {
        self.act(move |tx| acts::collections::import(tx, &import, &event)).await
    }

    async fn replacements_waiting(&self) -> Result<Vec<ReplacementRecord>, StoreError> {
        self.readers().long(reads::terminals::replacements_waiting).await
    }

    async fn replacement_waiting(&self, id: i64) -> Result<Option<ReplacementRecord>, StoreError> {
        self.readers().long(move |db| reads::terminals::replacement_waiting(db, id)).await
    }

    async fn approve_replacement(
        &self,
        approval: Approval,
        event: Event,
    ) -> Result<ApprovalOutcome, StoreError> {
        self.act(move |tx| acts::replacements::approve(tx, &approval, &event)).await
    }

    async fn reject_replacement(
        &self,
        approval: Approval,
        event: Event,
    ) -> Result<ApprovalOutcome, StoreError> {
        self.act(move |tx| acts::replacements::reject(tx, &approval, &event)).await
    }

    async fn set_tk_blocks(
        &self,
        sn: &Serial,
        tk_generation: i64,
        tek: String,
        auk: String,
        event: Event,
    ) -> Result<TkOutcome, StoreError> {
        let sn = sn.clone();
        self.act(move |tx| acts::tks::set_blocks(tx, &sn, tk_generation, &tek, &auk, &event)).await
    }

    async fn slot(&self, sn: &Serial, slot: Slot) -> Result<SlotRecord, StoreError> {
        self.readers().short(|db| reads::slots::slot(db, sn, slot))
    }

    async fn slots(&self, sn: &Serial) -> Result<Vec<(Slot, SlotRecord)>, StoreError> {
        let sn = sn.clone();
        self.readers().long(move |db| reads::slots::slots(db, &sn)).await
    }

    async fn put_pending(&self, put: PutPending, event: Event) -> Result<PendingOutcome, StoreError> {
        self.act(move |tx| acts::tmks::put_pending(tx, &put, &event)).await
    }

    async fn resend_pending(
        &self,
        key_id: i64,
        load_counter: Option<u64>,
        event: Event,
    ) -> Result<ResendOutcome, StoreError> {
        self.act(move |tx| acts::tmks::resend(tx, key_id, load_counter, &event)).await
    }

    async fn confirm(&self, key_id: i64, event: Event) -> Result<ConfirmOutcome, StoreError> {
        self.act(move |tx| acts::tmks::confirm(tx, key_id, &event)).await
    }

    async fn drop_pending(&self, sn: &Serial, event: Event) -> Result<u64, StoreError> {
        let sn = sn.clone();
        self.act(move |tx| acts::tmks::drop_pending(tx, &sn, &event)).await
    }

    async fn put_certificate(&self, certificate: NewCertificate, event: Event) -> Result<(), StoreError> {
        self.act(move |tx| acts::certificates::put(tx, &certificate, &event)).await
    }

    async fn certificate(&self, sha256: &str) -> Result<Option<CertificateRecord>, StoreError> {
        self.readers().short(|db| reads::certificates::certificate(db, sha256))
    }

    async fn put_work_key(&self, key: NewWorkKey, event: Event) -> Result<(), StoreError> {
        self.act(move |tx| acts::certificates::put_work_key(tx, &key, &event)).await
    }

    async fn work_key(&self, certificate_sha256: &str) -> Result<Option<WorkKeyRecord>, StoreError> {
        self.readers().short(|db| reads::certificates::work_key(db, certificate_sha256))
    }

    async fn active_work_key(&self, suite: Suite) -> Result<Option<WorkKeyRecord>, StoreError> {
        self.readers().short(|db| reads::certificates::active_work_key(db, suite))
    }

    async fn put_revocation_list(
        &self,
        list: NewRevocationList,
        event: Event,
    ) -> Result<RevocationOutcome, StoreError> {
        self.act(move |tx| acts::certificates::put_revocation_list(tx, &list, &event)).await
    }

    async fn revocation_lists(&self) -> Result<Vec<RevocationListRecord>, StoreError> {
        self.readers().long(reads::certificates::revocation_lists).await
    }

    async fn audit_append(&self, event: Event) -> Result<i64, StoreError> {
        self.act(move |tx| tx.append(&event)).await
    }

    async fn audit_verify(&self) -> Result<AuditVerdict, StoreError> {
        let path = self.readers().path().to_owned();
        self.readers().apart(move || verify_audit_file(&path)).await
    }

    async fn audit_page(&self, from_seq: i64, limit: u32) -> Result<Vec<AuditRow>, StoreError> {
        self.readers().long(move |db| reads::audit::events(db, from_seq, limit)).await
    }

    async fn overview(&self) -> Result<Overview, StoreError> {
        self.readers().long(reads::status::overview).await
    }
}
