//! The part of [`Store`](crate::Store) for production orders and batches of transport keys (2-wire.md section 6).

use std::future::Future;

use wire::Serial;

use crate::{
    BatchImport, BatchOutcome, BatchRecord, Event, ItemResult, Listed, NewBatch, NewOrder, OrderOutcome,
    OrderRecord, OrderSerial, ReceivedBatch, ReceivedBatchSummary, SerialHistory, StoreError, Undelivered,
};

/// What MTMS and KMS remember of orders and batches. The rules of [`Store`](crate::Store) hold for acts here too.
///
/// Lists come in pages of at most [`limits::PAGE`](crate::limits::PAGE), from the one after `after`.
pub trait OrderStore: Send + Sync + 'static {
    // --- orders, at either end

    /// Enters an order with its serials, all at once. No serial stands in two open orders.
    fn put_order(
        &self,
        order: NewOrder,
        event: Event,
    ) -> impl Future<Output = Result<OrderOutcome, StoreError>> + Send;

    /// Closes an order, once and for good. `false`, and nothing is written, if it is not there or closed already.
    fn close_order(&self, order: &str, event: Event)
    -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// One order.
    fn order(&self, order: &str) -> impl Future<Output = Result<Option<OrderRecord>, StoreError>> + Send;

    /// Orders by name.
    fn orders(
        &self,
        after: Option<&str>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<OrderRecord>, StoreError>> + Send;

    /// The serials of an order, with what became of each. Empty where the list was left out.
    fn order_serials(
        &self,
        order: &str,
        after: Option<&Serial>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<OrderSerial>, StoreError>> + Send;

    /// Of these serials, those that an open order lists, in the order asked for. At most
    /// [`limits::BATCH`](crate::limits::BATCH) serials.
    fn orders_listing(
        &self,
        serials: Vec<Serial>,
    ) -> impl Future<Output = Result<Vec<Listed>, StoreError>> + Send;

    /// Of these serials, those that this order lists, open or closed, in the order asked for. At most
    /// [`limits::BATCH`](crate::limits::BATCH) serials.
    fn listed_in(
        &self,
        order: &str,
        serials: Vec<Serial>,
    ) -> impl Future<Output = Result<Vec<Serial>, StoreError>> + Send;

    /// What a serial went through.
    fn serial_history(&self, sn: &Serial) -> impl Future<Output = Result<SerialHistory, StoreError>> + Send;

    // --- at the MTMS

    /// Terminals of an order that are collected and whose TK is in no batch.
    fn undelivered(
        &self,
        order: &str,
        after: Option<&Serial>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<Undelivered>, StoreError>> + Send;

    /// Keeps a batch before it is sent, and gives its number. Each TK goes into one batch, once:
    /// [`StoreError::AlreadyThere`] names the serial of one that is in a batch. The order must be open and list every
    /// terminal, and each TK be the terminal's present one: else [`StoreError::Invalid`].
    fn put_batch(
        &self,
        batch: NewBatch,
        event: Event,
    ) -> impl Future<Output = Result<i64, StoreError>> + Send;

    /// Batches of an order, oldest first, without their receipts.
    fn batches(
        &self,
        order: &str,
        after: Option<i64>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<BatchRecord>, StoreError>> + Send;

    /// Batches of an order that no receipt came for, oldest first: to be sent again before new ones.
    fn unanswered_batches(
        &self,
        order: &str,
        after: Option<i64>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<BatchRecord>, StoreError>> + Send;

    /// One batch, with its receipt.
    fn batch(&self, id: i64) -> impl Future<Output = Result<Option<BatchRecord>, StoreError>> + Send;

    /// The bytes of a batch, as they were sent.
    fn batch_package(&self, id: i64) -> impl Future<Output = Result<Option<Vec<u8>>, StoreError>> + Send;

    /// Which TK of which terminal a batch has, in its order.
    fn batch_items(&self, id: i64) -> impl Future<Output = Result<Vec<(Serial, i64)>, StoreError>> + Send;

    /// Keeps a receipt whose MAC was checked, with what it says of each terminal, in the order of the batch. `false`, and
    /// nothing is written, if the batch is answered already. [`StoreError::Invalid`] if the results are not those of its
    /// terminals.
    fn answer_batch(
        &self,
        id: i64,
        receipt: Vec<u8>,
        results: Vec<ItemResult>,
        event: Event,
    ) -> impl Future<Output = Result<bool, StoreError>> + Send;

    // --- at the KMS

    /// Takes a batch, all in one transaction, with what became of each terminal, so that its receipt can be written again
    /// whenever it is asked for. `event` speaks for the batch; the store adds one event `batch.terminal` for each terminal.
    fn import_batch(
        &self,
        import: BatchImport,
        event: Event,
    ) -> impl Future<Output = Result<BatchOutcome, StoreError>> + Send;

    /// A batch that was taken, by the SHA-256 of its content.
    fn received_batch(
        &self,
        content_digest: [u8; 32],
    ) -> impl Future<Output = Result<Option<ReceivedBatch>, StoreError>> + Send;

    /// Batches that were taken for an order, oldest first.
    fn received_batches(
        &self,
        order: &str,
        after: Option<i64>,
        limit: u32,
    ) -> impl Future<Output = Result<Vec<ReceivedBatchSummary>, StoreError>> + Send;
}
