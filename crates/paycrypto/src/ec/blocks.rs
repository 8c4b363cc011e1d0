//! Which key travels in which key block of suite 02 (3-hardened.md, "Transcript and keys"), and the strict receiver.
//!
//! Key blocks are X9.143 version D, key version `00`, exportability `N`, with exactly the optional blocks `10` (place)
//! and `11` (context) as in suite 01, for a TMK also `12` (the slot's load counter), and `PB` where the standard needs it.
//! Outside of any flow, from an MTMS to a KMS, TEK and AUK travel under PK with `10` alone.
//! What the table does not have does not compile; here, a TMK without its counter:
//! ```compile_fail,E0277
//! use paycrypto::ec::{Kbpk, blocks, keys::Tmk};
//! fn send(kbpk: &Kbpk, tmk: &Tmk) {
//!     let block = blocks::wrap(kbpk, tmk, "SN-1001/03", &[0; 16]);
//! }
//! ```
//! and a key of suite 01:
//! ```compile_fail,E0277
//! use paycrypto::{ec::{Kbpk, blocks}, keys::Pik};
//! fn send(kbpk: &Kbpk, pik: &Pik) {
//!     let block = blocks::wrap(kbpk, pik, "SN-1001/03", &[0; 16]);
//! }
//! ```

use keyblock::{Exportability, Header, Mode, Usage, Version};

use super::keys::{Auk, Dik2, Dmk, Mak, Pik, Pk, Tdk, Tek, Tmk};
use super::purposes::Kbpk;
use crate::blocks::{self as shared, BlockRule, CONTEXT, CONTEXT_BYTES, Expected, PLACE};
use crate::hygiene::refuse_repeated;

pub use crate::blocks::{BlockRefusal, WrapError, context_after};

/// Identifier of the optional block with the load counter.
const LOAD_COUNTER: &str = "12";

/// How far above the stored load counter a block's may be.
const MAX_AHEAD: u64 = 65_536;

/// How often a TMK was sent for a slot: the server stores the next one before every frame that carries a TMK, the
/// terminal takes only a higher one and stores it together with the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct LoadCounter(u64);

impl LoadCounter {
    /// Of a slot for which nothing was sent yet.
    pub const NONE: Self = Self(0);

    /// The counter with this value.
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The value.
    pub const fn value(self) -> u64 {
        self.0
    }

    /// The next one; nothing after the last.
    pub fn next(self) -> Option<Self> {
        self.0.checked_add(1).map(Self)
    }

    /// Whether a terminal that stored `stored` takes this one: higher, and at most 65 536 above.
    pub const fn follows(self, stored: Self) -> bool {
        self.0 > stored.0 && self.0 - stored.0 <= MAX_AHEAD
    }

    /// The text of optional block `12`.
    fn text(self) -> String {
        format!("{:016X}", self.0)
    }

    /// Reads exactly the text that [`LoadCounter::text`] writes.
    fn parse(text: &str) -> Option<Self> {
        let counter = Self(u64::from_str_radix(text, 16).ok()?);
        (counter.text() == text).then_some(counter)
    }
}

mod sealed {
    pub trait Sealed {}
}

/// A key that travels in blocks of this suite.
pub trait BlockKey: sealed::Sealed + Sized {
    /// What its block's header says.
    const RULE: BlockRule;

    #[doc(hidden)]
    fn clear(&self) -> &[u8];

    #[doc(hidden)]
    fn from_clear(clear: &[u8]) -> Option<Self>;
}

/// A key under which a block of `K` is made.
pub trait Protects<K: BlockKey>: sealed::Sealed {
    #[doc(hidden)]
    fn protection_key(&self) -> &[u8];
}

/// A key under which a block of `K` is made outside of any flow: without context.
pub trait ProtectsOutside<K: BlockKey>: sealed::Sealed {
    #[doc(hidden)]
    fn protection_key(&self) -> &[u8];
}

macro_rules! key {
    ($key:ident: $usage:expr, $mode:expr) => {
        impl sealed::Sealed for $key {}

        impl BlockKey for $key {
            const RULE: BlockRule = BlockRule::aes($usage, $mode);

            fn clear(&self) -> &[u8] {
                self.expose()
            }

            fn from_clear(clear: &[u8]) -> Option<Self> {
                clear.try_into().ok().map(Self::from_bytes)
            }
        }
    };
}

macro_rules! table {
    ($which:ident: $($key:ident under $($under:ident),+: $usage:expr, $mode:expr;)*) => {$(
        key!($key: $usage, $mode);

        table!(@under $which $key: $($under)+);
    )*};
    (@under $which:ident $key:ident: $($under:ident)+) => {$(
        impl $which<$key> for $under {
            fn protection_key(&self) -> &[u8] {
                self.expose()
            }
        }
    )+};
}

impl sealed::Sealed for Kbpk {}
impl sealed::Sealed for Pk {}

/// Usage `14`, proprietary: TEK, from which keys are derived.
const TEK: Usage = shared::proprietary(*b"14");
/// Usage `15`, proprietary: AUK, from which keys are derived.
const AUK: Usage = shared::proprietary(*b"15");

key!(Tmk: Usage::KEY_BLOCK_PROTECTION, Mode::BOTH);

table! {
    Protects:
    Pik under Kbpk, Tmk: Usage::PIN_ENCRYPTION, Mode::ENCRYPT;
    Mak under Kbpk, Tmk: Usage::MAC_CMAC, Mode::GENERATE_AND_VERIFY;
    Tdk under Kbpk, Tmk: Usage::DATA_ENCRYPTION, Mode::ENCRYPT;
    Dmk under Kbpk: shared::DMK, Mode::NO_RESTRICTION;
    Dik2 under Kbpk: shared::DIK2, Mode::NO_RESTRICTION;
}

table! {
    ProtectsOutside:
    Tek under Pk: TEK, Mode::NO_RESTRICTION;
    Auk under Pk: AUK, Mode::NO_RESTRICTION;
}

/// Makes the block of `key` under `under`, bound to its place and to its flow so far.
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
    Ok(kbpk(under.protection_key())?.wrap(&header, key.clear())?)
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
    Ok(kbpk(under.protection_key())?.wrap(&header, key.clear())?)
}

/// Makes the block of a TMK with its slot's load counter.
///
/// # Errors
/// [`WrapError`].
pub fn wrap_tmk(
    under: &Kbpk,
    tmk: &Tmk,
    place: &str,
    context: &[u8; CONTEXT_BYTES],
    counter: LoadCounter,
) -> Result<String, WrapError> {
    let header = header(&Tmk::RULE, place, Some(context))?.with_optional(LOAD_COUNTER, counter.text())?;
    Ok(kbpk(under.expose())?.wrap(&header, tmk.expose())?)
}

/// Opens the block of a key. The receiver's own place and context must be those in the block.
///
/// # Errors
/// [`BlockRefusal`], by name; the header is looked at before the MAC, so what is named there was not authenticated.
pub fn unwrap<K: BlockKey, U: Protects<K>>(
    under: &U,
    block: &str,
    place: &str,
    context: &[u8; CONTEXT_BYTES],
) -> Result<K, BlockRefusal> {
    checked::<K>(block, place, Some(context), &[PLACE, CONTEXT])?;
    open(under.protection_key(), block)
}

/// Opens the block of a key that was made outside of any flow. The receiver's own place must be that in the block, and
/// a block from inside a flow is refused.
///
/// # Errors
/// As [`unwrap`].
pub fn unwrap_outside<K: BlockKey, U: ProtectsOutside<K>>(
    under: &U,
    block: &str,
    place: &str,
) -> Result<K, BlockRefusal> {
    checked::<K>(block, place, None, &[PLACE])?;
    open(under.protection_key(), block)
}

/// Opens the block of a TMK for a slot whose stored load counter is `stored`; gives the counter to store together with
/// the key.
///
/// # Errors
/// As [`unwrap`]; [`BlockRefusal::LoadCounter`] for one that does not follow `stored`.
pub fn unwrap_tmk(
    under: &Kbpk,
    block: &str,
    place: &str,
    context: &[u8; CONTEXT_BYTES],
    stored: LoadCounter,
) -> Result<(Tmk, LoadCounter), BlockRefusal> {
    let header = checked::<Tmk>(block, place, Some(context), &[PLACE, CONTEXT, LOAD_COUNTER])?;
    let counter =
        header.optional(LOAD_COUNTER).and_then(LoadCounter::parse).ok_or(BlockRefusal::OptionalBlocks)?;
    let tmk = open(under.expose(), block)?;
    if counter.follows(stored) { Ok((tmk, counter)) } else { Err(BlockRefusal::LoadCounter) }
}

fn checked<K: BlockKey>(
    block: &str,
    place: &str,
    context: Option<&[u8; CONTEXT_BYTES]>,
    optional: &[&str],
) -> Result<Header, BlockRefusal> {
    let context = context.map(|context| shared::hex(context));
    Expected { version: Version::D, rule: &K::RULE, optional, place, context: context.as_deref() }
        .check(block)
}

/// Opens a block whose header was checked.
fn open<K: BlockKey>(under: &[u8], block: &str) -> Result<K, BlockRefusal> {
    let opened = kbpk(under)?.unwrap(block)?;
    let key = K::from_clear(&opened.key).ok_or(BlockRefusal::Length)?;
    refuse_repeated(key.clear()).map_err(BlockRefusal::WeakKey)?;
    Ok(key)
}

fn kbpk(under: &[u8]) -> Result<keyblock::Kbpk, keyblock::Error> {
    keyblock::Kbpk::new(Version::D, under)
}

/// The header of a block for this place and, inside a flow, this context.
fn header(rule: &BlockRule, place: &str, context: Option<&[u8; CONTEXT_BYTES]>) -> Result<Header, WrapError> {
    if !shared::is_place(place) {
        return Err(WrapError::Place);
    }
    let bare = Header::new(Version::D, rule.usage, rule.algorithm, rule.mode, Exportability::NOT_EXPORTABLE);
    let header = bare.with_optional(PLACE, place)?;
    match context {
        Some(context) => Ok(header.with_optional(CONTEXT, shared::hex(context))?),
        None => Ok(header),
    }
}
