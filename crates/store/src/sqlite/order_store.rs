//! [`OrderStore`] for SQLite.

use wire::Serial;

use super::{SqliteStore, acts, reads};
use crate::{
    BatchImport, BatchOutcome, BatchRecord, Event, ItemResult, Listed, NewBatch, NewOrder, OrderOutcome,
    OrderRecord, OrderSerial, OrderStore, ReceivedBatch, ReceivedBatchSummary, SerialHistory, StoreError,
    Undelivered,
};

impl OrderStore for SqliteStore {
    async fn put_order(&self, order: NewOrder, event: Event) -> Result<OrderOutcome, StoreError> {
        self.act(move |tx| acts::orders::put(tx, &order, &event)).await
    }

    async fn close_order(&self, order: &str, event: Event) -> Result<bool, StoreError> {
        let order = order.to_owned();
        self.act(move |tx| acts::orders::close(tx, &order, &event)).await
    }

    async fn order(&self, order: &str) -> Result<Option<OrderRecord>, StoreError> {
        self.readers().short(|db| reads::orders::order(db, order))
    }

    async fn orders(&self, after: Option<&str>, limit: u32) -> Result<Vec<OrderRecord>, StoreError> {
        let after = after.map(str::to_owned);
        self.readers().long(move |db| reads::orders::orders(db, after.as_deref(), limit)).await
    }

    async fn order_serials(
        &self,
        order: &str,
        after: Option<&Serial>,
        limit: u32,
    ) -> Result<Vec<OrderSerial>, StoreError> {
        let (order, after) = (order.to_owned(), after.cloned());
        self.readers().long(move |db| reads::orders::serials(db, &order, after.as_ref(), limit)).await
    }

    async fn orders_listing(&self, serials: Vec<Serial>) -> Result<Vec<Listed>, StoreError> {
        self.readers().long(move |db| reads::orders::listing(db, &serials)).await
    }

    async fn listed_in(&self, order: &str, serials: Vec<Serial>) -> Result<Vec<Serial>, StoreError> {
        let order = order.to_owned();
        self.readers().long(move |db| reads::orders::listed_in(db, &order, &serials)).await
    }

    async fn serial_history(&self, sn: &Serial) -> Result<SerialHistory, StoreError> {
        let sn = sn.clone();
        self.readers().long(move |db| reads::orders::history(db, &sn)).await
    }

    async fn undelivered(
        &self,
        order: &str,
        after: Option<&Serial>,
        limit: u32,
    ) -> Result<Vec<Undelivered>, StoreError> {
        let (order, after) = (order.to_owned(), after.cloned());
        self.readers().long(move |db| reads::batches::undelivered(db, &order, after.as_ref(), limit)).await
    }

    async fn put_batch(&self, batch: NewBatch, event: Event) -> Result<i64, StoreError> {
        self.act(move |tx| acts::batches::put(tx, &batch, &event)).await
    }

    async fn batches(
        &self,
        order: &str,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<BatchRecord>, StoreError> {
        let order = order.to_owned();
        self.readers().long(move |db| reads::batches::batches(db, &order, after, limit)).await
    }

    async fn unanswered_batches(
        &self,
        order: &str,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<BatchRecord>, StoreError> {
        let order = order.to_owned();
        self.readers().long(move |db| reads::batches::unanswered(db, &order, after, limit)).await
    }

    async fn batch(&self, id: i64) -> Result<Option<BatchRecord>, StoreError> {
        self.readers().long(move |db| reads::batches::batch(db, id)).await
    }

    async fn batch_package(&self, id: i64) -> Result<Option<Vec<u8>>, StoreError> {
        self.readers().long(move |db| reads::batches::package(db, id)).await
    }

    async fn batch_items(&self, id: i64) -> Result<Vec<(Serial, i64)>, StoreError> {
        self.readers().long(move |db| reads::batches::items(db, id)).await
    }

    async fn answer_batch(
        &self,
        id: i64,
        receipt: Vec<u8>,
        results: Vec<ItemResult>,
        event: Event,
    ) -> Result<bool, StoreError> {
        self.act(move |tx| acts::batches::answer(tx, id, &receipt, &results, &event)).await
    }

    async fn import_batch(&self, import: BatchImport, event: Event) -> Result<BatchOutcome, StoreError> {
        self.act(move |tx| acts::received_batches::import(tx, &import, &event)).await
    }

    async fn received_batch(&self, content_digest: [u8; 32]) -> Result<Option<ReceivedBatch>, StoreError> {
        self.readers().long(move |db| reads::batches::received(db, &content_digest)).await
    }

    async fn received_batches(
        &self,
        order: &str,
        after: Option<i64>,
        limit: u32,
    ) -> Result<Vec<ReceivedBatchSummary>, StoreError> {
        let order = order.to_owned();
        self.readers().long(move |db| reads::batches::received_for(db, &order, after, limit)).await
    }
}
