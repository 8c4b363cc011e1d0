//! [`HostStore`] for SQLite.

use wire::{Serial, Slot};

use super::{SqliteStore, acts, reads};
use crate::{
    ActiveWorking, ConfirmOutcome, EstateImport, Event, HostStore, ImportedOutcome, MapOutcome, NewZoneKey,
    PendingSignIn, SignInKeys, SignInOutcome, StoreError, TerminalIdentity, WorkingKind, ZoneKeyRecord,
};

impl HostStore for SqliteStore {
    async fn begin_sign_in(&self, keys: SignInKeys, event: Event) -> Result<SignInOutcome, StoreError> {
        self.act(move |tx| acts::sign_ins::begin(tx, &keys, &event)).await
    }

    async fn pending_sign_in(&self, sn: &Serial, slot: Slot) -> Result<Option<PendingSignIn>, StoreError> {
        self.readers().short(|db| reads::host::pending_sign_in(db, sn, slot))
    }

    async fn confirm_sign_in(
        &self,
        sn: &Serial,
        slot: Slot,
        keys: Vec<i64>,
        event: Event,
    ) -> Result<ConfirmOutcome, StoreError> {
        let sn = sn.clone();
        self.act(move |tx| acts::sign_ins::confirm(tx, (&sn, slot), &keys, &event)).await
    }

    async fn active_working(
        &self,
        wanted: Vec<(Serial, Slot, WorkingKind)>,
    ) -> Result<Vec<Option<ActiveWorking>>, StoreError> {
        self.readers().short(|db| reads::host::active_working(db, &wanted))
    }

    async fn count_uses(&self, uses: Vec<(i64, u64)>) -> Result<(), StoreError> {
        self.act(move |tx| acts::sign_ins::count_uses(tx, &uses)).await
    }

    async fn stop_working(&self, key: i64, event: Event) -> Result<bool, StoreError> {
        self.act(move |tx| acts::working::stop(tx, key, &event)).await
    }

    async fn put_zone_key(&self, key: NewZoneKey, event: Event) -> Result<(), StoreError> {
        self.act(move |tx| acts::zones::put_key(tx, &key, &event)).await
    }

    async fn zone_key(&self, zone: &str) -> Result<Option<ZoneKeyRecord>, StoreError> {
        self.readers().short(|db| reads::host::zone_key(db, zone))
    }

    async fn zone_keys(&self) -> Result<Vec<ZoneKeyRecord>, StoreError> {
        self.readers().long(reads::host::zone_keys).await
    }

    async fn map_identities(
        &self,
        identities: Vec<TerminalIdentity>,
        event: Event,
    ) -> Result<Vec<MapOutcome>, StoreError> {
        self.act(move |tx| acts::zones::map_identities(tx, &identities, &event)).await
    }

    async fn identity(&self, sn: &Serial) -> Result<Option<TerminalIdentity>, StoreError> {
        self.readers().short(|db| reads::host::identity(db, sn))
    }

    async fn identity_of_terminal_id(
        &self,
        terminal_id: &str,
    ) -> Result<Option<TerminalIdentity>, StoreError> {
        self.readers().short(|db| reads::host::identity_of_terminal_id(db, terminal_id))
    }

    async fn identities_of_merchant(
        &self,
        merchant_id: &str,
        after: Option<&Serial>,
        limit: u32,
    ) -> Result<Vec<TerminalIdentity>, StoreError> {
        let (merchant_id, after) = (merchant_id.to_owned(), after.cloned());
        let read = move |db: &_| reads::host::identities_of_merchant(db, &merchant_id, after.as_ref(), limit);
        self.readers().long(read).await
    }

    async fn import_estate(
        &self,
        import: EstateImport,
        event: Event,
    ) -> Result<Vec<ImportedOutcome>, StoreError> {
        self.act(move |tx| acts::estate_imports::import(tx, &import, &event)).await
    }
}
