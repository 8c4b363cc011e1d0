//! A batch of transport keys, from the MTMS to the KMS of its order.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::{canonical, read};
use crate::names::{is_mac, is_name};
use crate::{BatchError, VERSION, limits};

/// The member that a MAC is in, and is not over.
const MAC: &str = "mac";

/// A batch: the content of the CMS package of `POST /v1/batches`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Batch {
    /// [`VERSION`].
    pub version: u32,
    /// Absent in suite 01, 2 in suite 02.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub suite: Option<u8>,
    /// Which production order the terminals belong to.
    pub order: String,
    /// When the batch was put together, RFC 3339.
    pub collected_at: String,
    /// The terminals, each at most once.
    pub terminals: Vec<Entry>,
    /// CMAC under the batch MAC key, upper-case hex: 16 digits in suite 01, 32 in suite 02. Empty until it is made.
    #[serde(default)]
    pub mac: String,
}

/// One terminal of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The terminal's serial.
    pub sn: String,
    /// The PIN pad's serial, where it is external.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_pad_sn: Option<String>,
    /// Vendor id (DF30); with `model`, or not at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Model id (DF31).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// TEK as a key block under PK.
    pub tek: String,
    /// AUK as a key block under PK.
    pub auk: String,
    /// Under which work certificate of the MTMS it was collected: SHA-256, lower-case hex.
    pub work_certificate_sha256: String,
    /// Whether it is to take the place of a TK that the KMS has, once a second person approved it there.
    #[serde(default, skip_serializing_if = "is_false")]
    pub replaces: bool,
    /// The collected TK's fingerprint as station and terminal show it, so that people can still compare.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
    /// Suite 02: the PIN pad's generation counter (DF18), in decimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<String>,
    /// Suite 02: the device certificate that signed the TK, DER in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// A batch as it was read: with the bytes that its MAC is over.
#[derive(Debug)]
pub struct Read {
    /// What it says.
    pub batch: Batch,
    /// The RFC 8785 form of the whole object without `mac`, members that this version does not know included.
    pub covered: Vec<u8>,
}

impl Batch {
    /// Reads a batch strictly, and checks what concerns it as a whole; entries are checked one by one, by whoever takes
    /// them.
    ///
    /// # Errors
    /// [`BatchError::Json`], [`BatchError::Version`], [`BatchError::Member`], [`BatchError::TooMany`].
    pub fn read(content: &[u8]) -> Result<Read, BatchError> {
        let mut value = read(content)?;
        let batch = Batch::deserialize(&value)?;
        if !is_of_objects(&value) {
            return Err(BatchError::member("terminals", "must be objects, by the names of their members"));
        }
        batch.check()?;
        if let Some(object) = value.as_object_mut() {
            object.remove(MAC);
        }
        Ok(Read { batch, covered: canonical(&value)? })
    }

    /// The bytes that the MAC of this batch is over.
    ///
    /// # Errors
    /// [`BatchError::Json`]; none for what can be written at all.
    pub fn covered(&self) -> Result<Vec<u8>, BatchError> {
        without_mac(self)
    }

    /// The content of the CMS package, in canonical form; [`Batch::mac`] must be set before.
    ///
    /// # Errors
    /// What [`Batch::read`] would refuse.
    pub fn content(&self) -> Result<Vec<u8>, BatchError> {
        self.check()?;
        Ok(canonical(self)?)
    }

    /// The suite: 1 where none is named.
    #[must_use]
    pub fn suite(&self) -> u8 {
        self.suite.unwrap_or(1)
    }

    fn check(&self) -> Result<(), BatchError> {
        if self.version != VERSION {
            return Err(BatchError::Version(self.version));
        }
        let digits = match self.suite {
            None | Some(1) => 16,
            Some(2) => 32,
            Some(_) => return Err(BatchError::member("suite", "is none that this program has")),
        };
        if !is_name(&self.order) {
            return Err(BatchError::member("order", "must be 1 to 32 of A-Z a-z 0-9 - . _"));
        }
        if self.terminals.is_empty() {
            return Err(BatchError::member("terminals", "must name at least one"));
        }
        if self.terminals.len() > limits::TERMINALS {
            let found = self.terminals.len();
            return Err(BatchError::TooMany { what: "terminals", found, limit: limits::TERMINALS });
        }
        if !is_mac(&self.mac, digits) {
            return Err(BatchError::member("mac", "must be upper-case hex of the whole MAC"));
        }
        Ok(())
    }
}

/// serde would also take an array in place of an object, its fields by position.
fn is_of_objects(value: &Value) -> bool {
    let entries = value.get("terminals").and_then(Value::as_array);
    value.is_object() && entries.is_some_and(|entries| entries.iter().all(Value::is_object))
}

/// The RFC 8785 form without `mac`.
pub(crate) fn without_mac<T: Serialize>(document: &T) -> Result<Vec<u8>, BatchError> {
    let mut value = serde_json::to_value(document)?;
    if let Some(object) = value.as_object_mut() {
        object.remove(MAC);
    }
    Ok(canonical(&value)?)
}
