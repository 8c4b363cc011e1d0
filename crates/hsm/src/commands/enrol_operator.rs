use serde::{Deserialize, Serialize};

use crate::Sensitive;

/// The longest password, in bytes.
pub const MAX_PASSWORD: usize = 128;

/// Derives an operator's verifier from his password and seals it under the LMK, bound to operator and owner: a stolen
/// database does not give passwords, not even to be tried (2-wire.md section 7).
///
/// Replies with the sealed verifier, for [`OperatorClaim`](super::OperatorClaim). It may be moved to a new generation
/// of the LMK like any block.
///
/// Whoever may call this can name operators, which the store's owner can anyway; he learns nothing of one that is there.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct EnrolOperator {
    /// The acquirer the operator works for.
    pub owner: String,
    /// Operator id: 1–16 of `A-Z a-z 0-9 - . _`.
    pub operator: String,
    /// 1 to [`MAX_PASSWORD`] bytes. What makes a good one is the caller's to say.
    pub password: Sensitive<Vec<u8>>,
}
