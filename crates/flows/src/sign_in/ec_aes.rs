//! Suite 02: a nonce, and MACs of 16 bytes (3-hardened.md, flow F). Nothing here is bound by TH: a TMK is the root of it,
//! as in suite 01.

use wire::{Fields, Malformed, Tag};

use super::host::SignIn;
use crate::{EcAes, suite::Part};

/// Bytes of the nonce.
pub const NONCE: usize = 32;

/// The nonce (DF14).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Nonce(pub [u8; NONCE]);

impl Part for Nonce {
    fn read(fields: &Fields) -> Result<Nonce, Malformed> {
        fields.exactly(Tag::NONCE).map(Nonce)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::NONCE, &self.0)
    }
}

impl AsRef<[u8]> for Nonce {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl SignIn<EcAes> {
    /// The nonce, which both MACs are over.
    pub fn nonce(&self) -> [u8; NONCE] {
        self.fresh().0
    }
}
