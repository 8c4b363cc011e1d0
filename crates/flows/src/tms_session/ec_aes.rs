//! Suite 02: ephemeral keys, and what both sides' DMK makes of them; no key travels but the TMK (3-hardened.md, flow E).

use alloc::vec::Vec;

use wire::{Fields, Malformed, MessageType, SData, Tag};

use super::{
    Fault,
    messages::TmsChallenge,
    tms::{Hello, Proof},
};
use crate::{
    EcAes,
    suite::{Confirmation, Ephemeral, Hole, Opened, Part, Receipt},
};

/// In TMS_CHALLENGE: the TMS's ephemeral key and nonce, and MAC_S. A DWK is malformed: this suite has none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer(pub Opened);

impl Part for Answer {
    fn read(fields: &Fields) -> Result<Answer, Malformed> {
        unwanted(fields, Tag::DWK_1)?;
        Opened::read(fields).map(Answer)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        self.0.push(fields)
    }
}

/// In TMS_KEY: the receipt that says that the TMS heard TMS_PROOF and wrote this message (DF17). A session key is
/// malformed: both sides make theirs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard(pub Receipt);

impl Part for Heard {
    fn read(fields: &Fields) -> Result<Heard, Malformed> {
        unwanted(fields, Tag::KEY_BLOCK)?;
        Receipt::read(fields).map(Heard)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        self.0.push(fields)
    }
}

fn unwanted(fields: &Fields, tag: Tag) -> Result<(), Malformed> {
    if fields.get(tag).is_some() { Err(Malformed::UnwantedField { tag }) } else { Ok(()) }
}

impl Hello<EcAes> {
    /// The terminal's ephemeral key and nonce, for the HSM.
    pub fn peer(&self) -> &Ephemeral {
        self.opening()
    }

    /// TMS_CHALLENGE, in which the HSM makes key, nonce and confirmation. [`Hello::answer`] takes the same S_DATA and the
    /// same demand, or MAC_S is over another message.
    ///
    /// # Errors
    /// None in practice: its fields are short.
    pub fn hole(&self, s_data: &SData, operator_demanded: bool) -> Result<Hole, Fault> {
        let mut fields = Fields::new();
        TmsChallenge::<EcAes>::push_common(&mut fields, &self.named(), s_data, operator_demanded)?;
        Ok(Hole::new(MessageType::TmsChallenge, fields)?)
    }
}

impl Proof<EcAes> {
    /// MAC_T, for the HSM to check. Zeros from a terminal that failed and sent none.
    pub fn confirmation(&self) -> Confirmation {
        self.proof().copied().unwrap_or(Confirmation([0; Confirmation::LENGTH]))
    }

    /// What MAC_T is over: TMS_HELLO, TMS_CHALLENGE, and TMS_PROOF without it.
    ///
    /// # Errors
    /// None in practice: TMS_PROOF was read before.
    pub fn said_bare(&self) -> Result<Vec<u8>, Fault> {
        let bare = match self.proof() {
            Some(_) => self.frame().without(wire::Proof::Confirmation)?,
            None => self.frame().clone(),
        };
        Ok(self.said_before().with(&bare))
    }

    /// What TMS_KEY's receipt is over: all before it, and TMS_KEY itself without the receipt, with this TMK in a key
    /// download. The receipt then goes into [`Proof::begin_program`], or with the same TMK into [`Proof::load_key`].
    ///
    /// # Errors
    /// 0001 for a TMK in a program download, and without one in a key download.
    pub fn said_with_key(&self, tmk: Option<&str>) -> Result<Vec<u8>, Fault> {
        Ok(self.said().with(&self.bare_key(tmk)?))
    }
}
