//! What the KMS answers, and the receipt that the MTMS keeps.

use serde::{Deserialize, Serialize};

use crate::batch::without_mac;
use crate::json::read;
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
    /// [`BatchError::Json`], [`BatchError::Version`].
    pub fn read(answer: &[u8]) -> Result<Receipt, BatchError> {
        #[derive(Deserialize)]
        struct With {
            receipt: Receipt,
        }
        let With { receipt } = With::deserialize(read(answer)?)?;
        if receipt.version != VERSION {
            return Err(BatchError::Version(receipt.version));
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
