//! Suite 02: ephemeral keys, and what both sides' AUK and TEK make of them (3-hardened.md, "A, downloading").

use alloc::vec::Vec;

use wire::{Fields, MessageType, Proof};

use super::{
    Fault,
    kms::{Hello, Reply},
};
use crate::{
    EcAes,
    suite::{Confirmation, Ephemeral, Hole},
};

impl Hello<EcAes> {
    /// The terminal's ephemeral key and nonce, for the HSM.
    pub fn peer(&self) -> &Ephemeral {
        self.opening()
    }

    /// TK_CHALLENGE, in which the HSM makes key, nonce and confirmation.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn hole(&self) -> Result<Hole, Fault> {
        Ok(Hole::new(MessageType::TkChallenge, Fields::new())?)
    }
}

impl Reply<EcAes> {
    /// MAC_T, for the HSM to check.
    pub fn confirmation(&self) -> &Confirmation {
        self.reply()
    }

    /// What MAC_T is over: TK_HELLO, TK_CHALLENGE, and TK_REPLY without it.
    ///
    /// # Errors
    /// None in practice: TK_REPLY was read before.
    pub fn said_bare(&self) -> Result<Vec<u8>, Fault> {
        Ok(self.said_before().with(&self.frame().without(Proof::Confirmation)?))
    }
}
