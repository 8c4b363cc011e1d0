//! AT ‖ TK1 under DIK2, the one block that holds no single key (2-wire.md section 4, flow C).
//!
//! Its 48 bytes go under algorithm `T`: for numeric usages the length is not compared with the algorithm.

use keyblock::{Kbpk, Mode, Usage, Version};

use super::{BlockRefusal, BlockRule, CONTEXT_BYTES, WrapError, check_header, header, hex, proprietary};
use crate::keys::Dik2;
use crate::rks::AtTk1;

/// Usage `10`, proprietary: AT ‖ TK1.
const USAGE: Usage = proprietary(*b"10");

/// What the header of its block says.
pub const TOKEN_RULE: BlockRule = BlockRule::tdes(USAGE, Mode::NO_RESTRICTION);

/// Makes the block (DF21). `place` is `<PIN pad serial>/00`; `context` is over RKS_AUTH, RKS_CERT and RKS_FACTOR.
///
/// # Errors
/// [`WrapError`].
pub fn wrap_token(
    dik2: &Dik2,
    token: &AtTk1,
    place: &str,
    context: &[u8; CONTEXT_BYTES],
) -> Result<String, WrapError> {
    let header = header(&TOKEN_RULE, place, Some(context))?;
    Ok(Kbpk::new(Version::B, dik2.expose())?.wrap(&header, &token.to_clear())?)
}

/// Opens the block. The receiver's own place and context must be those in the block.
///
/// # Errors
/// [`BlockRefusal`], by name; the header is looked at before the MAC, so what is named there was not authenticated.
pub fn unwrap_token(
    dik2: &Dik2,
    block: &str,
    place: &str,
    context: &[u8; CONTEXT_BYTES],
) -> Result<AtTk1, BlockRefusal> {
    check_header(&TOKEN_RULE, block, place, Some(&hex(context)))?;
    let opened = Kbpk::new(Version::B, dik2.expose())?.unwrap(block)?;
    AtTk1::from_clear(&opened.key).ok_or(BlockRefusal::Length)
}
