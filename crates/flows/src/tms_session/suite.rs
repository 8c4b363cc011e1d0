//! What a suite puts into this flow's messages.

use super::{
    ec_aes::{Answer, Heard},
    tdes::{Sac1, SessionBlock, TacAndDwk},
};
use crate::{
    Suite,
    suite::{Confirmation, EcAes, Ephemeral, Part, Tdes},
};

/// A suite of flow E.
pub trait TmsSuite: Suite {
    /// DF39 of TMS_CHALLENGE: how the DWK travels.
    const DWK_MODE: u8;
    /// In TMS_HELLO: what the terminal opens with beside T_DATA.
    type Opening: Part;
    /// In TMS_CHALLENGE: the proof that the TMS holds DMK, and what the session's keys come from.
    type Challenge: Part;
    /// In TMS_PROOF: the terminal's proof.
    type Proof: Part;
    /// In TMS_KEY, beside a TMK: what begins the sealed phase.
    type Key: Part;
}

impl TmsSuite for Tdes {
    /// An X9.143 key block.
    const DWK_MODE: u8 = 0x01;
    type Opening = ();
    type Challenge = TacAndDwk;
    type Proof = Sac1;
    type Key = SessionBlock;
}

impl TmsSuite for EcAes {
    /// There is none.
    const DWK_MODE: u8 = 0x02;
    type Opening = Ephemeral;
    type Challenge = Answer;
    type Proof = Confirmation;
    type Key = Heard;
}
