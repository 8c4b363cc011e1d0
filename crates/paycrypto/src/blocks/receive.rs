//! The strict receiver's look at a block's header, and every reason to refuse a block.

use keyblock::{Exportability, FIXED_HEADER_LENGTH, Header, KeyContext, KeyVersion, OptionalBlock, Version};

use super::{BlockRule, CONTEXT, PLACE};
use crate::hygiene::PoorKey;

/// Characters of an optional block's identifier and length.
const OPTIONAL_OVERHEAD: usize = 4;

/// Why a receiver refuses a key block (2-wire.md section 4). Never carries key material.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockRefusal {
    /// Not the suite's version of X9.143: B in suite 01, D in suite 02.
    #[error("the key block's version is not the one of this suite")]
    Version,
    /// Not key version `00`.
    #[error("the key block's key version is not 00")]
    KeyVersion,
    /// Another usage than this key's.
    #[error("the key block is for another key: its usage is not the one of this key")]
    Usage,
    /// Another algorithm.
    #[error("the key block's algorithm is not the one of this key")]
    Algorithm,
    /// Another mode of use.
    #[error("the key block's mode of use is not the one of this key")]
    Mode,
    /// Not exportability `N`.
    #[error("the key block's exportability is not N")]
    Exportability,
    /// A key context other than `0`.
    #[error("the key block's key context is not 0")]
    KeyContext,
    /// Not exactly `10`, inside a flow `11`, in suite 02 a TMK's `12`, and, where needed, `PB`, in this order and in
    /// their shortest form.
    #[error(
        "the key block's optional blocks are not exactly those of its place, of its flow, and their padding"
    )]
    OptionalBlocks,
    /// The place is another PIN pad's or another slot's.
    #[error("the key block belongs to another PIN pad or slot")]
    Place,
    /// The context is not this flow so far: an old block, or another conversation's.
    #[error("the key block belongs to another conversation")]
    Context,
    /// Suite 02: the load counter is not above the stored one, or too far above.
    #[error("the key block's load counter is not a next one: an old block, or another slot's count")]
    LoadCounter,
    /// The block does not open: another protection key, or changed.
    #[error("the key block does not open: another protection key, or it was changed")]
    Mac,
    /// The key in the block has a length that this key does not have.
    #[error("the key in the block has a wrong length")]
    Length,
    /// The key in the block is weak or has equal parts.
    #[error("the key in the block is refused: {0}")]
    WeakKey(PoorKey),
    /// The text is no key block.
    #[error("this is no key block: {0}")]
    Malformed(keyblock::Error),
}

impl From<keyblock::Error> for BlockRefusal {
    fn from(error: keyblock::Error) -> Self {
        use keyblock::Error as E;
        match error {
            E::UnknownVersion => Self::Version,
            E::Usage => Self::Usage,
            E::Algorithm => Self::Algorithm,
            E::Mode => Self::Mode,
            E::KeyVersion => Self::KeyVersion,
            E::Exportability => Self::Exportability,
            E::KeyContext => Self::KeyContext,
            E::OptionalBlockCount
            | E::OptionalBlockId { .. }
            | E::OptionalBlockLength { .. }
            | E::OptionalBlockLengthOfLength { .. }
            | E::OptionalBlockLengthOfLengthZero { .. }
            | E::OptionalBlockLengthTooSmall { .. }
            | E::OptionalBlockTruncated { .. }
            | E::OptionalBlockText { .. }
            | E::OptionalBlockRepeated { .. }
            | E::PaddingBlockNotLast { .. } => Self::OptionalBlocks,
            E::NotAuthentic => Self::Mac,
            other => Self::Malformed(other),
        }
    }
}

/// What a receiver expects of a block's header.
pub(crate) struct Expected<'a> {
    /// The suite's version.
    pub(crate) version: Version,
    /// The key's line in the suite's table.
    pub(crate) rule: &'a BlockRule,
    /// Which optional blocks there are, in this order, besides `PB`.
    pub(crate) optional: &'a [&'a str],
    /// Text of `10`.
    pub(crate) place: &'a str,
    /// Text of `11`, where there is one.
    pub(crate) context: Option<&'a str>,
}

impl Expected<'_> {
    /// Everything about a block that can be refused before it is opened. The texts of other optional blocks are in the
    /// header that this gives.
    pub(crate) fn check(&self, block: &str) -> Result<Header, BlockRefusal> {
        let (header, length) = Header::parse(block)?;
        let refused = [
            (header.version != self.version, BlockRefusal::Version),
            (header.usage != self.rule.usage, BlockRefusal::Usage),
            (header.algorithm != self.rule.algorithm, BlockRefusal::Algorithm),
            (header.mode != self.rule.mode, BlockRefusal::Mode),
            (header.key_version != KeyVersion::UNUSED, BlockRefusal::KeyVersion),
            (header.exportability != Exportability::NOT_EXPORTABLE, BlockRefusal::Exportability),
            (header.key_context != KeyContext::Unspecified, BlockRefusal::KeyContext),
        ];
        if let Some((_, refusal)) = refused.into_iter().find(|(wrong, _)| *wrong) {
            return Err(refusal);
        }
        if !header.optional.iter().map(OptionalBlock::id).eq(self.optional.iter().copied()) {
            return Err(BlockRefusal::OptionalBlocks);
        }
        if header.optional(PLACE) != Some(self.place) {
            return Err(BlockRefusal::Place);
        }
        if header.optional(CONTEXT) != self.context {
            return Err(BlockRefusal::Context);
        }
        if length != padded_length(self.version, header.optional.iter().map(OptionalBlock::text)) {
            return Err(BlockRefusal::OptionalBlocks);
        }
        Ok(header)
    }
}

/// Length of a header with these texts in short form and `PB` only where, and only as long as, X9.143 6.3.6
/// needs it.
fn padded_length<'a>(version: Version, texts: impl Iterator<Item = &'a str>) -> usize {
    let multiple = version.cipher_block();
    let bare = FIXED_HEADER_LENGTH + texts.map(|text| OPTIONAL_OVERHEAD + text.len()).sum::<usize>();
    match bare % multiple {
        0 => bare,
        over if multiple - over >= OPTIONAL_OVERHEAD => bare + multiple - over,
        over => bare + 2 * multiple - over,
    }
}
