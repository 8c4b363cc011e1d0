//! The trait that every database stands behind.

use std::future::Future;

use wire::{Serial, Slot, Suite};

use crate::{
    AcquirerRecord, Approval, ApprovalOutcome, AuditRow, AuditVerdict, CertificateRecord, CollectionImport,
    ConfirmOutcome, DeviceStore, Event, HostStore, ImportOutcome, NewAcquirer, NewCertificate,
    NewRevocationList, NewWorkKey, OrderStore, Overview, PendingOutcome, PutPending, ReplacementRecord,
    ResendOutcome, RevocationListRecord, RevocationOutcome, SlotRecord, StoreError, SuiteStore,
    TerminalRecord, TkOutcome, TmsStore, WorkKeyRecord,
};

/// What the servers remember.
///
/// Acts (everything that takes an [`Event`]) answer `Ok` only when act and event are durable; on `Err` neither
/// happened ([`StoreError::Unanswered`] apart). Outcomes that say "nothing was written" wrote no event either:
/// whoever wants the refusal in the audit appends it with [`Store::audit_append`].
///
/// Dropping the future of an act does not undo it: once handed over it runs to its end.
pub trait Store: DeviceStore + TmsStore + HostStore + SuiteStore + OrderStore {
    // --- acquirers and terminals

    /// Enters an acquirer. [`StoreError::AlreadyThere`] if the id is taken.
    fn put_acquirer(
        &self,
        acquirer: NewAcquirer,
        event: Event,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// All acquirers, by id.
    fn acquirers(&self) -> impl Future<Output = Result<Vec<AcquirerRecord>, StoreError>> + Send;

    /// One terminal: a single indexed read that no writer holds up.
    fn terminal(
        &self,
        sn: &Serial,
    ) -> impl Future<Output = Result<Option<TerminalRecord>, StoreError>> + Send;

    /// Terminals in the order of their serials, from the one after `after`, at most `limit` and at most
    /// [`limits::PAGE`](crate::limits::PAGE).
    fn terminals(
        &self,
        after: Option<&Serial>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<TerminalRecord>, StoreError>> + Send;

    // --- collections (2-wire.md section 6)

    /// Takes a collection, all in one transaction. `event` speaks for the package; the store adds one event
    /// `collection.terminal` for each terminal, by the same actor at the same time, with its outcome.
    fn import_collection(
        &self,
        import: CollectionImport,
        event: Event,
    ) -> impl Future<Output = Result<ImportOutcome, StoreError>> + Send;

    /// Replacements that wait for a second person, oldest first, at most [`limits::PAGE`](crate::limits::PAGE).
    fn replacements_waiting(&self)
    -> impl Future<Output = Result<Vec<ReplacementRecord>, StoreError>> + Send;

    /// One replacement, if it waits.
    fn replacement_waiting(
        &self,
        id: i64,
    ) -> impl Future<Output = Result<Option<ReplacementRecord>, StoreError>> + Send;

    /// Lets a waiting replacement take effect: the terminal's pending keys are dropped, its TK becomes the new
    /// ciphertext, its generation goes up by one. With another PIN pad, active keys are retired too: they lie in
    /// the old one. Only by someone other than the collection's signer, and once.
    fn approve_replacement(
        &self,
        approval: Approval,
        event: Event,
    ) -> impl Future<Output = Result<ApprovalOutcome, StoreError>> + Send;

    /// Throws a waiting replacement away. Anyone entitled may, its signer too: it gives nobody anything.
    fn reject_replacement(
        &self,
        approval: Approval,
        event: Event,
    ) -> impl Future<Output = Result<ApprovalOutcome, StoreError>> + Send;

    // --- keys

    /// Puts TEK and AUK blocks in place of the ciphertext that they were opened from.
    fn set_tk_blocks(
        &self,
        sn: &Serial,
        tk_generation: i64,
        tek: String,
        auk: String,
        event: Event,
    ) -> impl Future<Output = Result<TkOutcome, StoreError>> + Send;

    /// One slot: a single indexed read that no writer holds up. An unknown terminal's slots are empty.
    fn slot(&self, sn: &Serial, slot: Slot) -> impl Future<Output = Result<SlotRecord, StoreError>> + Send;

    /// All slots of a terminal that hold or held a key, by number.
    fn slots(&self, sn: &Serial) -> impl Future<Output = Result<Vec<(Slot, SlotRecord)>, StoreError>> + Send;

    /// Makes a fresh key the slot's pending one, unless one of its suite is there: never two, over all servers. One of
    /// another suite is dropped: the terminal that proved itself cannot open it. The load counter is kept in the same
    /// transaction.
    fn put_pending(
        &self,
        put: PutPending,
        event: Event,
    ) -> impl Future<Output = Result<PendingOutcome, StoreError>> + Send;

    /// Counts that a pending key is about to be sent again, with its next load counter in suite 02; both are durable
    /// before it leaves.
    fn resend_pending(
        &self,
        key_id: i64,
        load_counter: Option<u64>,
        event: Event,
    ) -> impl Future<Output = Result<ResendOutcome, StoreError>> + Send;

    /// The terminal confirmed the key: pending becomes active, the old active one retired, the slot's suite goes up to
    /// the key's, all at once.
    fn confirm(
        &self,
        key_id: i64,
        event: Event,
    ) -> impl Future<Output = Result<ConfirmOutcome, StoreError>> + Send;

    /// Drops all pending keys of a terminal (tamper report, repair), and says how many. Their blocks are erased.
    /// The event is written even if there were none.
    fn drop_pending(&self, sn: &Serial, event: Event)
    -> impl Future<Output = Result<u64, StoreError>> + Send;

    // --- certificates, work keys, revocation lists

    /// Keeps a certificate. The same one again changes nothing but writes its event.
    fn put_certificate(
        &self,
        certificate: NewCertificate,
        event: Event,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A certificate by its SHA-256, lower-case hex.
    fn certificate(
        &self,
        sha256: &str,
    ) -> impl Future<Output = Result<Option<CertificateRecord>, StoreError>> + Send;

    /// Keeps a work key. An active one makes the active one of its suite before it opening-only.
    fn put_work_key(
        &self,
        key: NewWorkKey,
        event: Event,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A work key by its certificate's SHA-256, lower-case hex.
    fn work_key(
        &self,
        certificate_sha256: &str,
    ) -> impl Future<Output = Result<Option<WorkKeyRecord>, StoreError>> + Send;

    /// The work key that new collections of a suite use.
    fn active_work_key(
        &self,
        suite: Suite,
    ) -> impl Future<Output = Result<Option<WorkKeyRecord>, StoreError>> + Send;

    /// Keeps a revocation list if its number is higher than that of the issuer's list here.
    fn put_revocation_list(
        &self,
        list: NewRevocationList,
        event: Event,
    ) -> impl Future<Output = Result<RevocationOutcome, StoreError>> + Send;

    /// The newest list of each issuer.
    fn revocation_lists(&self) -> impl Future<Output = Result<Vec<RevocationListRecord>, StoreError>> + Send;

    // --- audit

    /// Writes an event for something that changes nothing in the store, and gives its number.
    fn audit_append(&self, event: Event) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Checks the whole chain, in pages, beside running acts.
    fn audit_verify(&self) -> impl Future<Output = Result<AuditVerdict, StoreError>> + Send;

    /// Events from number `from_seq` on, at most `limit` and at most [`limits::PAGE`](crate::limits::PAGE).
    fn audit_page(
        &self,
        from_seq: i64,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<AuditRow>, StoreError>> + Send;

    // --- status

    /// How many of what.
    fn overview(&self) -> impl Future<Output = Result<Overview, StoreError>> + Send;
}
