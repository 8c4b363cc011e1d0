//! Which key travels in which key block (2-wire.md section 4), and the strict receiver.
//!
//! Key blocks are X9.143 version B, key version `00`, exportability `N`, with exactly the optional blocks
//! `10` (place) and, inside a flow, `11` (context) and, where the standard needs it, `PB`, in this order. The
//! table of section 4 is [`BlockRule`]s, one for each key, and [`Protects`] or, outside a flow,
//! [`ProtectsOutside`] implementations, one for each line's "under": what the table does not have does not
//! compile. AT ‖ TK1, which is no single key, has functions of its own.

mod receive;
mod token;

use std::fmt::Write as _;

use keyblock::{Algorithm, Exportability, Header, Kbpk, Mode, Usage, Version};

use crate::keys::{Auk, Dik2, Dmk, Dwk, Mak, Pik, Pk, RksTk, Rnd1, SessionKey, Tdk, Tek, Tmk};
use crate::{Error, TdesKey, digest};

pub use receive::BlockRefusal;
pub(crate) use receive::Expected;
pub use token::{TOKEN_RULE, unwrap_token, wrap_token};

/// Identifier of the optional block with the place.
pub(crate) const PLACE: &str = "10";
/// Identifier of the optional block with the context.
pub(crate) const CONTEXT: &str = "11";

/// Length of the context in bytes: the first half of a SHA-256 value over the flow's frames.
pub const CONTEXT_BYTES: usize = 16;

/// The context of a block: the first 16 bytes of SHA-256 over `said`, this flow's frames so far with their lengths,
/// followed by the texts of the blocks before it in the same message (2-wire.md section 4).
pub fn context_after(said: &[u8], blocks_before: &[&str]) -> [u8; CONTEXT_BYTES] {
    let mut input =
        Vec::with_capacity(said.len() + blocks_before.iter().map(|text| text.len()).sum::<usize>());
    input.extend_from_slice(said);
    for text in blocks_before {
        input.extend_from_slice(text.as_bytes());
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p, ..] = digest::sha256(&input);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// What the header of a key's block says: one line of section 4's table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlockRule {
    /// Key usage.
    pub usage: Usage,
    /// Algorithm: `T` in suite 01, `A` in suite 02.
    pub algorithm: Algorithm,
    /// Mode of use.
    pub mode: Mode,
}

impl BlockRule {
    const fn tdes(usage: Usage, mode: Mode) -> Self {
        Self { usage, algorithm: Algorithm::TDES, mode }
    }

    pub(crate) const fn aes(usage: Usage, mode: Mode) -> Self {
        Self { usage, algorithm: Algorithm::AES, mode }
    }

    fn bare_header(&self) -> Header {
        Header::new(Version::B, self.usage, self.algorithm, self.mode, Exportability::NOT_EXPORTABLE)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A named key that has a line in the table.
pub trait BlockKey: sealed::Sealed + Sized {
    /// What its block's header says.
    const RULE: BlockRule;

    /// The plain key.
    fn key(&self) -> &TdesKey;

    /// Names a plain key; refuses a wrong length and poor keys.
    ///
    /// # Errors
    /// [`Error::KeyLength`], [`Error::Poor`].
    fn from_key(key: TdesKey) -> Result<Self, Error>;
}

/// A key under which a block of `K` is made inside a flow: the table's column "under".
pub trait Protects<K: BlockKey>: sealed::Sealed {
    /// The plain key.
    fn protection_key(&self) -> &TdesKey;
}

/// A key under which a block of `K` is made outside of any flow (2-wire.md section 6): without context.
pub trait ProtectsOutside<K: BlockKey>: sealed::Sealed {
    /// The plain key.
    fn protection_key(&self) -> &TdesKey;
}

macro_rules! table {
    ($which:ident: $($key:ident under $($under:ident),+: $usage:expr, $mode:expr;)*) => {$(
        impl sealed::Sealed for $key {}

        impl BlockKey for $key {
            const RULE: BlockRule = BlockRule::tdes($usage, $mode);

            fn key(&self) -> &TdesKey {
                self.key()
            }

            fn from_key(key: TdesKey) -> Result<Self, Error> {
                Self::from_key(key)
            }
        }

        table!(@under $which $key: $($under)+);
    )*};
    (@under $which:ident $key:ident: $($under:ident)+) => {$(
        impl $which<$key> for $under {
            fn protection_key(&self) -> &TdesKey {
                self.key()
            }
        }
    )+};
}

impl sealed::Sealed for Rnd1 {}
impl sealed::Sealed for RksTk {}
impl sealed::Sealed for Pk {}

/// Usage `11`, proprietary: DMK.
pub(crate) const DMK: Usage = proprietary(*b"11");
/// Usage `12`, proprietary: DIK2.
pub(crate) const DIK2: Usage = proprietary(*b"12");

/// A usage of two digits. Evaluated when compiled: a wrong one does not build.
pub(crate) const fn proprietary(digits: [u8; 2]) -> Usage {
    match Usage::from_ascii(digits) {
        Ok(usage) => usage,
        Err(_) => unreachable!(),
    }
}

table! {
    Protects:
    Tmk under Tek, RksTk, Rnd1, Dwk: Usage::KEY_BLOCK_PROTECTION, Mode::BOTH;
    Pik under Tmk, RksTk: Usage::PIN_ENCRYPTION, Mode::ENCRYPT;
    Mak under Tmk, RksTk: Usage::MAC_ALGORITHM_3, Mode::GENERATE_AND_VERIFY;
    Tdk under Tmk, RksTk: Usage::DATA_ENCRYPTION, Mode::ENCRYPT;
    Dwk under Dmk: Usage::KEY_BLOCK_PROTECTION, Mode::BOTH;
    SessionKey under Dwk: Usage::DATA_ENCRYPTION, Mode::BOTH;
    Dmk under Rnd1: DMK, Mode::NO_RESTRICTION;
    Dik2 under Rnd1: DIK2, Mode::NO_RESTRICTION;
}

table! {
    ProtectsOutside:
    Tek under Pk: Usage::KEY_BLOCK_PROTECTION, Mode::BOTH;
    Auk under Pk: Usage::DATA_ENCRYPTION, Mode::BOTH;
}

/// Why a block was not made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WrapError {
    /// The place is not `<serial>/<two digits>` with a serial of 1 to 32 of `A-Z a-z 0-9 - . _`.
    #[error("a key's place is the PIN pad's serial, a slash and two digits")]
    Place,
    /// The key block library refused.
    #[error(transparent)]
    Block(#[from] keyblock::Error),
}

/// Makes the block of `key` under `under`, bound to its place and to its flow so far.
///
/// `place` is `<PIN pad serial>/<index as two digits>`; `context` the first 16 bytes of SHA-256 over the
/// flow's frames.
///
/// # Errors
/// [`WrapError`].
pub fn wrap<K: BlockKey, U: Protects<K>>(
    under: &U,
    key: &K,
    place: &str,
    context: &[u8; CONTEXT_BYTES],
) -> Result<String, WrapError> {
    let header = header(&K::RULE, place, Some(context))?;
    Ok(kbpk(under.protection_key())?.wrap(&header, key.key().expose())?)
}

/// Makes the block of `key` under `under` outside of any flow, bound to its place only.
///
/// # Errors
/// [`WrapError`].
pub fn wrap_outside<K: BlockKey, U: ProtectsOutside<K>>(
    under: &U,
    key: &K,
    place: &str,
) -> Result<String, WrapError> {
    let header = header(&K::RULE, place, None)?;
    Ok(kbpk(under.protection_key())?.wrap(&header, key.key().expose())?)
}

/// Opens the block of a key. The receiver's own place and context must be those in the block.
///
/// # Errors
/// [`BlockRefusal`], by name; the header is looked at before the MAC, so what is named there was not
/// authenticated.
pub fn unwrap<K: BlockKey, U: Protects<K>>(
    under: &U,
    block: &str,
    place: &str,
    context: &[u8; CONTEXT_BYTES],
) -> Result<K, BlockRefusal> {
    check_header(&K::RULE, block, place, Some(&hex(context)))?;
    open(under.protection_key(), block)
}

/// Opens the block of a key that was made outside of any flow. The receiver's own place must be that in the
/// block, and a block from inside a flow is refused.
///
/// # Errors
/// As [`unwrap`].
pub fn unwrap_outside<K: BlockKey, U: ProtectsOutside<K>>(
    under: &U,
    block: &str,
    place: &str,
) -> Result<K, BlockRefusal> {
    check_header(&K::RULE, block, place, None)?;
    open(under.protection_key(), block)
}

/// Everything about a block that can be refused before it is opened.
fn check_header(
    rule: &BlockRule,
    block: &str,
    place: &str,
    context: Option<&str>,
) -> Result<(), BlockRefusal> {
    let optional: &[&str] = if context.is_some() { &[PLACE, CONTEXT] } else { &[PLACE] };
    Expected { version: Version::B, rule, optional, place, context }.check(block).map(|_| ())
}

/// Opens a block whose header was checked.
fn open<K: BlockKey>(under: &TdesKey, block: &str) -> Result<K, BlockRefusal> {
    let opened = kbpk(under)?.unwrap(block)?;
    let key = TdesKey::from_bytes(&opened.key).map_err(|_| BlockRefusal::Length)?;
    K::from_key(key).map_err(|error| match error {
        Error::Poor(poor) => BlockRefusal::WeakKey(poor),
        _ => BlockRefusal::Length,
    })
}

/// [`wrap`] of a TMK under TEK: flow A.
///
/// # Errors
/// [`WrapError`].
pub fn wrap_tmk(
    tek: &Tek,
    tmk: &Tmk,
    place: &str,
    context: &[u8; CONTEXT_BYTES],
) -> Result<String, WrapError> {
    wrap(tek, tmk, place, context)
}

/// [`unwrap`] of a TMK under TEK: flow A.
///
/// # Errors
/// [`BlockRefusal`].
pub fn unwrap_tmk(
    tek: &Tek,
    block: &str,
    place: &str,
    context: &[u8; CONTEXT_BYTES],
) -> Result<Tmk, BlockRefusal> {
    unwrap(tek, block, place, context)
}

fn kbpk(under: &TdesKey) -> Result<Kbpk, keyblock::Error> {
    Kbpk::new(Version::B, under.expose())
}

/// The header of a block for this place and, inside a flow, this context.
fn header(rule: &BlockRule, place: &str, context: Option<&[u8; CONTEXT_BYTES]>) -> Result<Header, WrapError> {
    if !is_place(place) {
        return Err(WrapError::Place);
    }
    let header = rule.bare_header().with_optional(PLACE, place)?;
    match context {
        Some(context) => Ok(header.with_optional(CONTEXT, hex(context))?),
        None => Ok(header),
    }
}

/// `<serial>/<two digits>`, 2-wire.md section 2 (DF02) and section 4.
pub(crate) fn is_place(place: &str) -> bool {
    let Some((serial, index)) = place.split_once('/') else {
        return false;
    };
    (1..=32).contains(&serial.len())
        && serial.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte))
        && index.len() == 2
        && index.bytes().all(|byte| byte.is_ascii_digit())
}

/// Upper-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        let _ = write!(text, "{byte:02X}"); // writing to a String cannot fail
        text
    })
}
