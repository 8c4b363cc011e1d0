//! The part of [`Store`](crate::Store) for a host: sign-ins, working keys in use, zone keys, identities, imports.

use std::future::Future;

use wire::{Serial, Slot};

use crate::{
    ActiveWorking, ConfirmOutcome, EstateImport, Event, ImportedOutcome, MapOutcome, NewZoneKey,
    PendingSignIn, SignInKeys, SignInOutcome, StoreError, TerminalIdentity, WorkingKind, ZoneKeyRecord,
};

/// What a host remembers. The rules of [`Store`](crate::Store) hold for acts here too.
pub trait HostStore: Send + Sync + 'static {
    // --- sign-ins

    /// Makes these keys the slot's pending working keys, in place of any that were pending.
    fn begin_sign_in(
        &self,
        keys: SignInKeys,
        event: Event,
    ) -> impl Future<Output = Result<SignInOutcome, StoreError>> + Send;

    /// The sign-in of a slot that waits for its confirmation, if its TMK is still held.
    fn pending_sign_in(
        &self,
        sn: &Serial,
        slot: Slot,
    ) -> impl Future<Output = Result<Option<PendingSignIn>, StoreError>> + Send;

    /// The terminal confirmed a sign-in with exactly these keys: they become the slot's active ones in place of all
    /// that were, and a TMK that was pending becomes active, all at once. [`ConfirmOutcome::AlreadyActive`] if these
    /// are the slot's active keys already; [`ConfirmOutcome::Gone`] if another sign-in took their place, or the TMK is
    /// not held any more.
    fn confirm_sign_in(
        &self,
        sn: &Serial,
        slot: Slot,
        keys: Vec<i64>,
        event: Event,
    ) -> impl Future<Output = Result<ConfirmOutcome, StoreError>> + Send;

    // --- working keys in use

    /// Active working keys, read at one moment, in the order asked for; at most
    /// [`limits::WORKING_READ`](crate::limits::WORKING_READ). Runs on the caller's thread: a few microseconds each.
    fn active_working(
        &self,
        wanted: Vec<(Serial, Slot, WorkingKind)>,
    ) -> impl Future<Output = Result<Vec<Option<ActiveWorking>>, StoreError>> + Send;

    /// Adds to the uses of working keys, by id; those that are gone are passed over.
    fn count_uses(&self, uses: Vec<(i64, u64)>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes an active working key out of use before its successor comes, and erases it. False, and nothing written, if
    /// it is not in use: another server of the estate did it, or the terminal signed in anew.
    fn stop_working(&self, key: i64, event: Event) -> impl Future<Output = Result<bool, StoreError>> + Send;

    // --- zones

    /// Makes a key the active one of its zone; the one before is retired and its block erased.
    fn put_zone_key(
        &self,
        key: NewZoneKey,
        event: Event,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// A zone's active key: a single indexed read that no writer holds up.
    fn zone_key(&self, zone: &str) -> impl Future<Output = Result<Option<ZoneKeyRecord>, StoreError>> + Send;

    /// The active keys of all zones, by zone.
    fn zone_keys(&self) -> impl Future<Output = Result<Vec<ZoneKeyRecord>, StoreError>> + Send;

    // --- identities

    /// Tells what a POSP calls terminals, in place of what it called them before; at most
    /// [`limits::IMPORT`](crate::limits::IMPORT). `event` speaks for all; the store adds one event `identity.mapped`
    /// for each that is stored.
    fn map_identities(
        &self,
        identities: Vec<TerminalIdentity>,
        event: Event,
    ) -> impl Future<Output = Result<Vec<MapOutcome>, StoreError>> + Send;

    /// What a POSP calls a terminal.
    fn identity(
        &self,
        sn: &Serial,
    ) -> impl Future<Output = Result<Option<TerminalIdentity>, StoreError>> + Send;

    /// Which terminal a POSP calls so.
    fn identity_of_terminal_id(
        &self,
        terminal_id: &str,
    ) -> impl Future<Output = Result<Option<TerminalIdentity>, StoreError>> + Send;

    /// A merchant's terminals in the order of their serials, from the one after `after`, at most `limit` and at most
    /// [`limits::PAGE`](crate::limits::PAGE).
    fn identities_of_merchant(
        &self,
        merchant_id: &str,
        after: Option<&Serial>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<TerminalIdentity>, StoreError>> + Send;

    // --- estates that move in

    /// Enters terminals of another system with their keys, all in one transaction; one bad terminal does not spoil the
    /// others, and one that is known is left as it is, so that an import which broke off is run again from any point.
    /// `event` speaks for all; the store adds one event `import.terminal` for each, with its outcome.
    fn import_estate(
        &self,
        import: EstateImport,
        event: Event,
    ) -> impl Future<Output = Result<Vec<ImportedOutcome>, StoreError>> + Send;
}
