//! Suite 01: a DWK for each session, MACs of 4 bytes under it, and a session key (2-wire.md section 4, flow E).

use alloc::{borrow::ToOwned, string::String};

use wire::{Fields, Frame, Malformed, SData, Tag};

use super::{
    Fault,
    tms::{ExpectConfirm, ExpectProof, Hello, Proof},
};
use crate::{Tdes, loading::key_block, suite::Part};

/// Bytes of TAC_1 and SAC_1.
pub const MAC: usize = 4;

/// In TMS_CHALLENGE: DWK and the proof that goes with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TacAndDwk {
    /// TAC_1 (DF36): MAC(DWK, T_DATA).
    pub tac_1: [u8; MAC],
    /// The text of the DWK's key block under DMK (DF37). ASCII and not empty; whether it opens is for the PIN pad.
    pub dwk_1: String,
}

impl Part for TacAndDwk {
    fn read(fields: &Fields) -> Result<TacAndDwk, Malformed> {
        Ok(TacAndDwk { tac_1: fields.exactly(Tag::TAC_1)?, dwk_1: key_block(fields, Tag::DWK_1)? })
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::TAC_1, &self.tac_1)?;
        fields.push(Tag::DWK_1, self.dwk_1.as_bytes())
    }
}

/// In TMS_PROOF: SAC_1 (DF38), MAC(DWK, S_DATA).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sac1(pub [u8; MAC]);

impl Part for Sac1 {
    fn read(fields: &Fields) -> Result<Sac1, Malformed> {
        fields.exactly(Tag::SAC_1).map(Sac1)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::SAC_1, &self.0)
    }
}

/// In TMS_KEY: the text of the session key's block under DWK (DF40).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionBlock(pub String);

impl Part for SessionBlock {
    fn read(fields: &Fields) -> Result<SessionBlock, Malformed> {
        key_block(fields, Tag::KEY_BLOCK).map(SessionBlock)
    }

    fn push(&self, fields: &mut Fields) -> Result<(), Malformed> {
        fields.push(Tag::KEY_BLOCK, self.0.as_bytes())
    }
}

impl Hello<Tdes> {
    /// Gives TMS_CHALLENGE with what the HSM made; see [`Hello::answer`].
    ///
    /// # Errors
    /// As [`Hello::answer`].
    pub fn challenge(
        self,
        tac_1: [u8; MAC],
        s_data: &SData,
        dwk_1: &str,
        operator_demanded: bool,
    ) -> Result<(Frame, ExpectProof), Fault> {
        self.answer(TacAndDwk { tac_1, dwk_1: dwk_1.to_owned() }, s_data, operator_demanded)
    }
}

impl Proof<Tdes> {
    /// SAC_1, for the HSM to check. Zeros from a terminal that failed and sent none.
    pub fn sac_1(&self) -> [u8; MAC] {
        self.proof().map_or([0; MAC], |sac_1| sac_1.0)
    }

    /// Gives TMS_KEY of a program download with the session key's block; the sealed phase begins (`tms_download`).
    ///
    /// # Errors
    /// As [`Proof::begin_program`].
    pub fn open_program(self, session_block: &str) -> Result<Frame, Fault> {
        self.begin_program(SessionBlock(session_block.to_owned()))
    }

    /// Gives TMS_KEY of a key download with the session key's block and TMK's; see [`Proof::load_key`].
    ///
    /// # Errors
    /// As [`Proof::load_key`].
    pub fn open_key(
        self,
        session_block: &str,
        tmk: &str,
        kcv: wire::Kcv,
    ) -> Result<(Frame, ExpectConfirm), Fault> {
        self.load_key(SessionBlock(session_block.to_owned()), tmk, kcv)
    }
}
