//! What a suite puts into this flow's messages.

use crate::{
    Suite,
    suite::{EcAes, Ephemeral, Opened, Part, Tdes},
};

use super::messages::{Rnd1, TkChallenge, TkReply};

/// A suite of flow A.
pub trait DownloadSuite: Suite {
    /// In TK_HELLO: what the terminal opens with.
    type Opening: Part;
    /// In TK_CHALLENGE: the KMS's own opening, and the proof that it holds AUK.
    type Challenge: Part;
    /// In TK_REPLY: the terminal's proof.
    type Reply: Part;
}

impl DownloadSuite for Tdes {
    type Opening = Rnd1;
    type Challenge = TkChallenge;
    type Reply = TkReply;
}

impl DownloadSuite for EcAes {
    type Opening = Ephemeral;
    type Challenge = Opened;
    type Reply = crate::suite::Confirmation;
}
