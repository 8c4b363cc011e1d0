//! The station's role; a KMS or MTMS that collects has the same. Cards, packing and upload are its driver's.

use alloc::string::ToString;

use wire::{Frame, Suite};

use super::{
    Fault, Reason,
    messages::{Collect, CollectKey, Collected},
};

/// Bytes of the shortest and longest modulus of this suite: RSA of 2 048 to 4 096 bits (2-wire.md section 4).
const MODULUS: core::ops::RangeInclusive<usize> = 256..=512;

/// A collection that has not begun.
#[derive(Debug, Clone)]
pub struct Start {
    key: CollectKey,
    modulus: usize,
}

impl Start {
    /// A collection under this key, whose RSA modulus has so many bytes.
    pub fn new(key: CollectKey, modulus_bytes: usize) -> Start {
        Start { key, modulus: modulus_bytes }
    }

    /// Begins: gives COLLECT.
    ///
    /// # Errors
    /// 0001 for a modulus that this suite does not have, or certificates that fit into no frame.
    pub fn begin(self) -> Result<(Frame, ExpectCollected), Fault> {
        if !MODULUS.contains(&self.modulus) {
            return Err(
                Reason::Internal { why: "the KMS's RSA key has not 2048 to 4096 bits".to_string() }.into()
            );
        }
        let frame = Collect { suite: Suite::TDES, key: self.key }.write()?;
        Ok((frame, ExpectCollected { modulus: self.modulus }))
    }
}

/// COLLECT has left; COLLECTED is to come.
#[derive(Debug)]
pub struct ExpectCollected {
    modulus: usize,
}

impl ExpectCollected {
    /// Takes COLLECTED.
    ///
    /// # Errors
    /// 0002, also when Ctk_Pu is not as long as the modulus; 0003; the terminal's ERROR as
    /// [`ProtocolError::Peer`](crate::ProtocolError::Peer) with its code and text.
    pub fn on_frame(self, frame: &Frame) -> Result<Collected, Fault> {
        let collected = Collected::read(frame)?;
        let (expected, found) = (self.modulus, collected.ctk_pu.len());
        if found != expected {
            return Err(Reason::CtkPuLength { expected, found }.into());
        }
        Ok(collected)
    }
}
