//! What a suite puts into this flow's messages.

use wire::{Fields, Malformed, Tag};

use super::{ec_aes::Nonce, tdes::Rnd1};
use crate::{
    Suite,
    suite::{EcAes, Part, Tdes},
};

/// A suite of flow F.
pub trait SignInSuite: Suite {
    /// In SIGN_IN: what makes it fresh. Both MACs are over it, so it is as bytes, too.
    type Fresh: Part + Copy + AsRef<[u8]>;
    /// In SIGN_IN_CONFIRM and in DONE: a MAC of the new MAK.
    type Mac: Part + Copy + AsRef<[u8]>;
}

impl SignInSuite for Tdes {
    type Fresh = Rnd1;
    type Mac = Mac<8>;
}

impl SignInSuite for EcAes {
    type Fresh = Nonce;
    type Mac = Mac<16>;
}

/// A message MAC (DF52) of a suite whose MACs have `N` bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mac<const N: usize>(pub [u8; N]);

impl<const N: usize> Part for Mac<N> {
    fn read(fields: &Fields) -> Result<Mac<N>, Malformed> {
        fields.exactly(Tag::MESSAGE_MAC).map(Mac)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::MESSAGE_MAC, &self.0)
    }
}

impl<const N: usize> AsRef<[u8]> for Mac<N> {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}
