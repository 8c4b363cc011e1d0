//! The messages of a local loading (2-wire.md section 3, types 21–23, then 05 and 06). A PIN pad reads them from the
//! frames itself. What differs from suite to suite is a [`Part`]; those of suite 01 are in `tdes`, those of suite 02 in
//! `ec_aes`.

use wire::{Device, Frame, MessageType, Tag};

use super::suite::LoadSuite;
use crate::{
    Chain, ProtocolError, Tdes,
    suite::{self, Part},
};

pub use super::ec_aes::{DeviceAnswer, SignedKey};
pub use super::tdes::{KldKey, RND1, RND2, Randoms, SignedFields};
pub use crate::loading::{Done, KeyConfirm};

/// Most bytes of a diversification factor (DF23); the fewest is one.
pub const MAX_FACTOR: usize = 32;

/// Where a key block's header has its usage (X9.143: after version and length).
const USAGE: core::ops::Range<usize> = 5..7;
/// The usage of a DIK2 (2-wire.md section 4).
pub(super) const USAGE_DIK2: &str = "12";

/// What a key block says that it holds.
pub(super) fn usage(block: &str) -> Option<&str> {
    block.get(USAGE)
}

/// KLD_CONNECT: KLD → terminal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KldConnect<S: LoadSuite = Tdes> {
    /// The suite (DF01), which may be one that this side has not.
    pub suite: wire::Suite,
    /// AcquireWCRT and its intermediates (DF0C, DF0D).
    pub chain: Chain,
    /// What the KLD opens with.
    pub opening: S::Opening,
}

impl<S: LoadSuite> KldConnect<S> {
    /// Reads a KLD_CONNECT.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<KldConnect<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::KldConnect)?;
        Ok(KldConnect { suite: fields.suite()?, chain: Chain::read(&fields)?, opening: Part::read(&fields)? })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when the certificates fit into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::KldConnect, |fields| {
            fields.push(Tag::SUITE, &[self.suite.byte()])?;
            self.chain.push(fields)?;
            self.opening.push(fields)
        })
    }
}

/// KLD_ACCEPT: terminal → KLD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KldAccept<S: LoadSuite = Tdes> {
    /// Terminal and PIN pad (DF02, DF03).
    pub device: Device,
    /// What the terminal answers with.
    pub answer: S::Answer,
}

impl<S: LoadSuite> KldAccept<S> {
    /// Reads a KLD_ACCEPT.
    ///
    /// # Errors
    /// When the frame is another message or malformed.
    pub fn read(frame: &Frame) -> Result<KldAccept<S>, ProtocolError> {
        let fields = S::read(frame, MessageType::KldAccept)?;
        let answer = Part::read(&fields)?;
        Ok(KldAccept { device: fields.device()?, answer })
    }

    /// Writes it.
    ///
    /// # Errors
    /// [`ProtocolError::Unwritable`] when it fits into no frame.
    pub fn write(&self) -> Result<Frame, ProtocolError> {
        suite::write::<S>(MessageType::KldAccept, |fields| {
            fields.push_device(&self.device)?;
            self.answer.push(fields)
        })
    }
}
