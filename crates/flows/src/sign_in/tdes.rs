//! Suite 01: a random number, and MACs of 8 bytes (2-wire.md section 4, flow F).

use wire::{Fields, Malformed, Tag};

use super::host::SignIn;
use crate::{Tdes, suite::Part};

/// Bytes of Rnd1.
pub const RANDOM: usize = 8;

/// Rnd1 (DF05). Its top bit says nothing here: a sign-in has no second challenge that it could be reflected as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rnd1(pub [u8; RANDOM]);

impl Part for Rnd1 {
    fn read(fields: &Fields) -> Result<Rnd1, Malformed> {
        fields.exactly(Tag::RND1).map(Rnd1)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::RND1, &self.0)
    }
}

impl AsRef<[u8]> for Rnd1 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl SignIn<Tdes> {
    /// Rnd1, which both MACs are over.
    pub fn rnd1(&self) -> [u8; RANDOM] {
        self.fresh().0
    }
}
