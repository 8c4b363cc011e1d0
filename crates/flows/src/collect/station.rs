//! The station's role; a KMS or MTMS that collects has the same. Cards, packing and upload are its driver's.

use alloc::string::ToString;
use core::marker::PhantomData;

use wire::Frame;

use super::{
    CollectSuite, Fault, Reason,
    messages::{Collect, CollectKey, Collected},
};
use crate::Tdes;

/// A collection that has not begun.
#[derive(Debug, Clone)]
pub struct Start<S: CollectSuite = Tdes> {
    key: CollectKey,
    nonce: S::Nonce,
    sealed: usize,
}

impl Start {
    /// A collection in suite 01 under this key, whose RSA modulus has so many bytes.
    pub fn new(key: CollectKey, modulus_bytes: usize) -> Start {
        Start::of(key, (), modulus_bytes)
    }
}

impl<S: CollectSuite> Start<S> {
    /// A collection under this key, which seals a TK in so many bytes (DF09).
    pub fn of(key: CollectKey, nonce: S::Nonce, sealed: usize) -> Start<S> {
        Start { key, nonce, sealed }
    }

    /// Begins: gives COLLECT.
    ///
    /// # Errors
    /// 0001 for a modulus that this suite does not have, or certificates that fit into no frame.
    pub fn begin(self) -> Result<(Frame, ExpectCollected<S>), Fault> {
        if !S::seals_in(self.sealed) {
            let why = "the KMS's key has not this suite's size: RSA has 2048 to 4096 bits".to_string();
            return Err(Reason::Internal { why }.into());
        }
        let Start { key, nonce, sealed } = self;
        let frame = Collect::<S> { suite: S::ID, key, nonce }.write()?;
        Ok((frame, ExpectCollected { sealed, suite: PhantomData }))
    }
}

/// COLLECT has left; COLLECTED is to come.
#[derive(Debug)]
pub struct ExpectCollected<S: CollectSuite = Tdes> {
    sealed: usize,
    suite: PhantomData<fn() -> S>,
}

impl<S: CollectSuite> ExpectCollected<S> {
    /// Takes COLLECTED.
    ///
    /// # Errors
    /// 0002, also when Ctk_Pu is not as long as its key makes it; 0003; the terminal's ERROR as
    /// [`ProtocolError::Peer`](crate::ProtocolError::Peer) with its code and text.
    pub fn on_frame(self, frame: &Frame) -> Result<Collected<S>, Fault> {
        let collected = Collected::read(frame)?;
        let (expected, found) = (self.sealed, collected.ctk_pu.len());
        if found != expected {
            return Err(Reason::CtkPuLength { expected, found }.into());
        }
        Ok(collected)
    }
}
