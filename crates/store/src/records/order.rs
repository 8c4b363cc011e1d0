//! Production orders: which terminals a vendor makes for which acquirer.

use wire::Serial;

use super::batch::{BatchItem, HistoryReceived};
use super::collection::Person;

/// An order to be entered, as an operator and an administrator signed it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewOrder {
    /// Its name, unique in the store for good: 1–32 characters.
    pub order: String,
    /// Who makes the terminals.
    pub vendor: String,
    /// Which acquirer bought them.
    pub buyer: String,
    /// The model (DF31).
    pub model: String,
    /// The terminals, each once; `None` at a KMS that leaves the list to the vendor.
    pub serials: Option<Vec<Serial>>,
    /// The CMS package, kept so that the order stays traceable to who signed it.
    pub package: Vec<u8>,
    /// The operator who signed it.
    pub asked_by: Person,
    /// The administrator who signed it; someone else.
    pub approved_by: Person,
}

/// What became of [`OrderStore::put_order`](crate::OrderStore::put_order).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderOutcome {
    /// Entered.
    Added,
    /// The very same order is there and open. Nothing was written.
    Same,
    /// Another order has this name, or it is closed. Nothing was written.
    Exists,
    /// A serial stands in another open order. Nothing was written.
    SerialTaken {
        /// Which serial; the first in the list.
        sn: Serial,
        /// Where it stands.
        order: String,
    },
}

/// An order as kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderRecord {
    /// Its name.
    pub order: String,
    /// Who makes the terminals.
    pub vendor: String,
    /// Which acquirer bought them.
    pub buyer: String,
    /// The model.
    pub model: String,
    /// How many serials it lists; `None` where the list was left out.
    pub listed: Option<u64>,
    /// The operator who signed it.
    pub asked_by: Person,
    /// The administrator who signed it.
    pub approved_by: Person,
    /// When it was entered, Unix milliseconds.
    pub added_at: i64,
    /// When it was closed, Unix milliseconds; `None` while it is open.
    pub closed_at: Option<i64>,
}

impl OrderRecord {
    /// Whether it still takes anything.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.closed_at.is_none()
    }
}

/// The open order that lists a serial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The serial.
    pub sn: Serial,
    /// The order's name.
    pub order: String,
    /// The model that was ordered.
    pub model: String,
}

/// One serial of an order, and how far it has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderSerial {
    /// The serial.
    pub sn: Serial,
    /// The terminal, once it is collected.
    pub terminal: Option<OrderTerminal>,
    /// At an MTMS: the newest batch of this order that it was in.
    pub last: Option<BatchItem>,
    /// At a KMS: the newest batch of this order that brought it, and what was answered of it there.
    pub received: Option<HistoryReceived>,
}

/// What is known of a collected terminal of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderTerminal {
    /// The fingerprint of its TK.
    pub fingerprint: String,
    /// Which of its TKs it is.
    pub tk_generation: i64,
    /// Whether there is a TK at all.
    pub has_tk: bool,
    /// Whether this very TK is in a batch, of whatever order: then it is never sent again.
    pub sent: bool,
    /// When it was collected or its TK changed, Unix milliseconds.
    pub changed_at: i64,
}
