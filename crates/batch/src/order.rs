//! Production orders: what both cards sign so that an MTMS collects for an order, and a KMS takes batches for it.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};
use wire::{ModelId, Serial};

use crate::json::read;
use crate::names::is_name;
use crate::{BatchError, VERSION, limits};

/// The content of the CMS package of `POST /v1/orders`, signed by an operator and an administrator.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Order {
    /// Enters an order.
    Order(NewOrder),
    /// Closes one: no further serial is collected for it, no further batch taken.
    Close(Close),
}

/// An order to be entered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// [`VERSION`].
    pub version: u32,
    /// The order's name: 1–32 of DF02's characters.
    pub order: String,
    /// Who makes the terminals.
    pub vendor: String,
    /// Which acquirer bought them.
    pub buyer: String,
    /// The model (DF31) that was ordered.
    pub model: String,
    /// The terminals. A KMS may be told none: then it takes any serial that the vendor's batches for the order have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serials: Option<Vec<String>>,
}

/// An order to be closed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Close {
    /// [`VERSION`].
    pub version: u32,
    /// Which.
    pub order: String,
}

/// The serials of an order, checked: each is one, and stands there once.
pub type Serials = Vec<Serial>;

impl Order {
    /// Reads an order strictly and checks it, serials included.
    ///
    /// # Errors
    /// [`BatchError`], by its variant.
    pub fn read(content: &[u8]) -> Result<Order, BatchError> {
        let value = read(content)?;
        if !value.is_object() {
            return Err(BatchError::member("the document", "must be an object"));
        }
        let order = Order::deserialize(value)?;
        match &order {
            Order::Order(new) => new.check()?,
            Order::Close(close) => close.check()?,
        }
        Ok(order)
    }

    /// The content to be signed.
    ///
    /// # Errors
    /// What [`Order::read`] would refuse.
    pub fn content(&self) -> Result<Vec<u8>, BatchError> {
        match self {
            Order::Order(new) => new.check()?,
            Order::Close(close) => close.check()?,
        }
        Ok(serde_json::to_vec(self)?)
    }

    /// The order's name.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Order::Order(new) => &new.order,
            Order::Close(close) => &close.order,
        }
    }
}

impl NewOrder {
    /// The serials as such; none where the list was left out.
    ///
    /// # Errors
    /// [`BatchError::Member`], [`BatchError::SerialTwice`], [`BatchError::TooMany`].
    pub fn serials(&self) -> Result<Option<Serials>, BatchError> {
        let Some(list) = &self.serials else { return Ok(None) };
        if list.is_empty() {
            return Err(BatchError::member("serials", "must name at least one, or be left out"));
        }
        if list.len() > limits::SERIALS {
            let found = list.len();
            return Err(BatchError::TooMany { what: "serials", found, limit: limits::SERIALS });
        }
        let mut seen = HashSet::with_capacity(list.len());
        let serials = list.iter().map(|text| {
            let serial = Serial::parse(text);
            let serial =
                serial.map_err(|_| BatchError::member("serials", "must be serials of 1 to 32 characters"))?;
            if seen.insert(text.as_str()) { Ok(serial) } else { Err(BatchError::SerialTwice(text.clone())) }
        });
        serials.collect::<Result<_, _>>().map(Some)
    }

    fn check(&self) -> Result<(), BatchError> {
        version(self.version)?;
        let names = [("order", &self.order), ("vendor", &self.vendor), ("buyer", &self.buyer)];
        for (member, text) in names {
            name(member, text)?;
        }
        if ModelId::parse(&self.model).is_err() {
            return Err(BatchError::member("model", "must be a model id of 1 to 20 characters"));
        }
        self.serials().map(|_| ())
    }
}

impl Close {
    fn check(&self) -> Result<(), BatchError> {
        version(self.version)?;
        name("order", &self.order)
    }
}

fn version(version: u32) -> Result<(), BatchError> {
    if version == VERSION { Ok(()) } else { Err(BatchError::Version(version)) }
}

fn name(member: &'static str, text: &str) -> Result<(), BatchError> {
    if is_name(text) {
        return Ok(());
    }
    Err(BatchError::member(member, "must be 1 to 32 of A-Z a-z 0-9 - . _"))
}
