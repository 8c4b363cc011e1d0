use serde::{Deserialize, Serialize};

use super::TransportKeyBlocks;
use crate::KeyBlock;

/// Answers the first message of flow A or E in suite 02: makes the server's ephemeral key and nonce, agrees with the
/// terminal's, and confirms (DF15 = MAC_S). The ephemeral key is gone when it returns.
///
/// A stranger is answered alike in form and after the same work under a secret that no terminal has; his ticket proves
/// nothing. A point that is not on the curve is [`FromTerminal`](crate::Refusal::FromTerminal), known terminal or not;
/// a hole or a hello that does not fit is [`Malformed`](crate::Refusal::Malformed).
///
/// Whoever may call this as often as he likes gets confirmations that each belong to a new ephemeral key: none of them
/// is good for another hello.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct AnswerHello {
    /// What the terminal must hold.
    pub secret: HelloSecret,
    /// The flow.
    pub flow: HelloFlow,
    /// The PIN pad it must belong to.
    pub pin_pad: String,
    /// The acquirer it must belong to.
    pub owner: String,
    /// The first message as it came, with its length; at most [`MAX_FRAME`](super::MAX_FRAME).
    pub hello: Vec<u8>,
    /// DF13 and DF14 of that message.
    pub peer: Peer,
    /// The second message, without DF15.
    pub hole: Hole,
}

/// What server and terminal both hold.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum HelloSecret {
    /// Flow A: both parts of TK.
    Tk(TransportKeyBlocks),
    /// Flow E: the device master key.
    Dmk(KeyBlock),
    /// Nothing: the serial is not known.
    Stranger,
}

/// The flows that a hello opens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum HelloFlow {
    /// A, downloading.
    Download,
    /// E.
    Tms,
}

/// Ephemeral key and nonce of the peer, as they stand in its frame one behind the other.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// DF13: an uncompressed point, 65 bytes.
    pub point: Vec<u8>,
    /// DF14.
    pub nonce: [u8; 32],
}

/// A frame whose DF13 and DF14 the HSM makes: `before ‖ DF13 41 <point> ‖ DF14 20 <nonce> ‖ after`. It begins with its
/// length, which counts the hole too, and has neither DF15 nor DF16.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// The bytes before DF13, from the frame's length on.
    pub before: Vec<u8>,
    /// The bytes behind DF14.
    pub after: Vec<u8>,
}

/// What goes into the second message, and what proves the third.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HelloAnswer {
    /// DF13, 65 bytes.
    pub point: Vec<u8>,
    /// DF14.
    pub nonce: [u8; 32],
    /// DF15, MAC_S.
    pub confirmation: [u8; 32],
    /// What the next step needs, sealed for this HSM process alone.
    pub ticket: Vec<u8>,
}
