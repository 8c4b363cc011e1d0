//! What the KMS answers, and the receipt that the MTMS keeps.

use serde::{Deserialize, Serialize};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use crate::batch::without_mac;
use crate::json::read;
use crate::names::is_mac;
use crate::{BatchError, VERSION};

/// The answer to a batch that was taken: status 200.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// One line for each terminal, in the order of the batch.
    pub results: Vec<Outcome>,
    /// What the MTMS keeps.
    pub receipt: Receipt,
}

/// The answer to a batch that came before: status 409.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// Why it was not taken again.
    pub error: Refused,
    /// The receipt of the first time.
    pub receipt: Receipt,
}

/// Why a batch is refused as a whole; nothing of it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refused {
    /// For programs.
    pub code: String,
    /// For people.
    pub text: String,
}

/// What became of one terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Its serial as the batch has it, cut to 64 characters.
    pub sn: String,
    /// Whether the KMS has it now.
    pub ok: bool,
    /// For programs.
    pub code: String,
    /// For people. Not in a receipt: texts may be put better one day, and a receipt stays the same.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
    /// The fingerprint that the KMS shows for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fingerprint: Option<String>,
}

/// That a KMS has a batch, and what it made of each terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// [`VERSION`].
    pub version: u32,
    /// Which order.
    pub order: String,
    /// SHA-256 of the batch's content (what was signed), lower-case hex.
    pub batch: String,
    /// When it was taken, RFC 3339 by the KMS's clock.
    pub received_at: String,
    /// One line for each terminal, in the order of the batch, without texts and fingerprints.
    pub results: Vec<Outcome>,
    /// CMAC under the batch MAC key over `KF receipt` and the RFC 8785 form of this object without `mac`; the HSM puts the
    /// prefix there, so that no batch's MAC can stand on a receipt. Upper-case hex. Empty until it is made.
    #[serde(default)]
    pub mac: String,
}

impl Receipt {
    /// The bytes that the HSM is given to make or check [`Receipt::mac`]: without the prefix.
    ///
    /// # Errors
    /// [`BatchError::Json`]; none for what can be written at all.
    pub fn covered(&self) -> Result<Vec<u8>, BatchError> {
        without_mac(self)
    }

    /// Reads a KMS's receipt out of its answer, 200 or 409 alike, strictly.
    ///
    /// # Errors
    /// [`BatchError::Json`], [`BatchError::Version`], [`BatchError::Member`].
    pub fn read(answer: &[u8]) -> Result<Receipt, BatchError> {
        #[derive(Deserialize)]
        struct With {
            receipt: Receipt,
        }
        let With { receipt } = With::deserialize(read(answer)?)?;
        if receipt.version != VERSION {
            return Err(BatchError::Version(receipt.version));
        }
        if OffsetDateTime::parse(&receipt.received_at, &Rfc3339).is_err() {
            return Err(BatchError::member("received_at", "must be a time as RFC 3339 writes it"));
        }
        if !(is_mac(&receipt.mac, 16) || is_mac(&receipt.mac, 32)) {
            return Err(BatchError::member("mac", "must be upper-case hex of the whole MAC"));
        }
        Ok(receipt)
    }
}

impl Answer {
    /// Reads the whole answer strictly.
    ///
    /// # Errors
    /// [`BatchError::Json`].
    pub fn read(answer: &[u8]) -> Result<Answer, BatchError> {
        Ok(Answer::deserialize(read(answer)?)?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn read(change: impl Fn(&mut Value)) -> Result<Receipt, BatchError> {
        let mut receipt = json!({
            "version": 1, "order": "PO-1", "batch": "0a".repeat(32), "received_at": "2026-11-21T09:00:00Z",
            "results": [{ "sn": "SN-1", "ok": true, "code": "stored" }], "mac": "0123456789ABCDEF",
        });
        change(&mut receipt);
        Receipt::read(json!({ "receipt": receipt }).to_string().as_bytes())
    }

    fn refused(name: &str, value: &str) -> bool {
        let read = read(|receipt| receipt[name] = value.into());
        matches!(read, Err(BatchError::Member { member, .. }) if member == name)
    }

    #[test]
    fn a_mac_is_upper_case_as_a_batchs_is() {
        read(|_| ()).unwrap();
        read(|receipt| receipt["mac"] = "0123456789ABCDEF".repeat(2).into()).unwrap();
        for mac in ["0123456789abcdef", "0123456789ABCDE", "0123456789ABCDEF0", "0123456789ABCDEG", ""] {
            assert!(refused("mac", mac), "{mac}");
        }
    }

    #[test]
    fn the_time_is_one_of_rfc_3339() {
        for good in ["2026-11-21T09:00:00.123Z", "2026-11-21T10:00:00+01:00"] {
            read(|receipt| receipt["received_at"] = good.into()).unwrap();
        }
        for bad in
            ["", "yesterday", "2026-11-21", "2026-11-21T09:00:00", "2026-02-30T09:00:00Z", "1795251600"]
        {
            assert!(refused("received_at", bad), "{bad}");
        }
    }
}
