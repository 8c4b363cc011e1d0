use serde::{Deserialize, Serialize};

use crate::KeyBlock;

/// Answers a terminal's TMS_HELLO: makes a DWK, proves with TAC_1 that it holds the terminal's DMK, and challenges the
/// terminal with S_DATA (2-wire.md section 4, flow E).
///
/// A stranger is no refusal: he gets an answer of the same form and length under a DMK that no terminal has, after the
/// same work, and a ticket that no proof fits (section 8).
///
/// Whoever may call this as often as he likes gets MACs of ten bytes of his choice, each under a key that is new and
/// that only the holder of the DMK opens: nothing that fits any other session.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnswerTms {
    /// The terminal's DMK; `None` for a stranger.
    pub dmk: Option<KeyBlock>,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
    /// T_DATA of the hello. One whose top bit is set is refused: it is a server's S_DATA (reflection).
    pub t_data: [u8; 10],
    /// Now, BCD YYMMDDhhmmss UTC: the date in S_DATA.
    pub when: [u8; 6],
    /// The frame of TMS_HELLO with its length: the DWK's context is over it. At most
    /// [`MAX_FRAME`](super::MAX_FRAME).
    pub hello: Vec<u8>,
}

/// What goes back to the terminal, and what proves its answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TmsAnswer {
    /// DF36: MAC of T_DATA under the new DWK.
    pub tac_1: [u8; 4],
    /// DF35: four random bytes with the top bit set, and the date.
    pub s_data: [u8; 10],
    /// DF37: the DWK as a key block under the DMK.
    pub dwk_1: String,
    /// The DWK, T_DATA and S_DATA, sealed for this HSM process alone. Goes back with the terminal's proof.
    pub ticket: Vec<u8>,
}
