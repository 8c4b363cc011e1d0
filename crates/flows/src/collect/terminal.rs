//! The terminal's role. Certificate, life cycle, sensors and latch are its driver's.

use sha2::{Digest, Sha256};
use wire::{Frame, Suite};

use super::{
    CollectSuite, Fault,
    messages::{Collect, CollectKey, Collected},
};
use crate::Tdes;

/// A COLLECT that was read. Nothing of it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ask<S: CollectSuite = Tdes> {
    collect: Collect<S>,
    frame: Frame,
}

impl<S: CollectSuite> Ask<S> {
    /// Takes COLLECT.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn read(frame: &Frame) -> Result<Ask<S>, Fault> {
        Ok(Ask { collect: Collect::read(frame)?, frame: frame.clone() })
    }

    /// The suite asked for. Another than the terminal has is 0009, but only once the certificate proved good.
    pub fn suite(&self) -> Suite {
        self.collect.suite
    }

    /// The public key to use, once it is checked.
    pub fn key(&self) -> &CollectKey {
        &self.collect.key
    }

    /// What makes this collection one of its own.
    pub fn nonce(&self) -> &S::Nonce {
        &self.collect.nonce
    }

    /// COLLECT as it came.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// What the latch compares: SHA-256 over the certificate (without intermediates) or the bare key, with a byte before
    /// it that tells the two apart. The same digest gets the same COLLECTED again, another one 0008.
    pub fn digest(&self) -> [u8; 32] {
        let (kind, bytes) = match &self.collect.key {
            CollectKey::Certificate { leaf, .. } => (0_u8, leaf),
            CollectKey::BareKey(key) => (1, key),
        };
        Sha256::new().chain_update([kind]).chain_update(bytes).finalize().into()
    }

    /// Gives COLLECTED. TK, latch and this frame's bytes are on disk before it leaves, so that a repeated COLLECT gets
    /// the same bytes.
    ///
    /// # Errors
    /// 0001 when it fits into no frame.
    pub fn answer(self, collected: &Collected<S>) -> Result<Frame, Fault> {
        Ok(collected.write()?)
    }
}
