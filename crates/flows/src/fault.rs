//! How a role ends when it refuses.

use wire::{ErrorCode, ErrorMessage, Fields, Frame, Malformed, MessageType, error_frame_with_refusals};

use crate::PadRefusal;

/// The end of a flow on this side: why, and what the peer is told. The connection closes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {reason}")]
pub struct Fault<R: HasCode> {
    /// The code for the peer; after an ERROR from the peer, the code that it sent.
    pub code: ErrorCode,
    /// The exact reason, for the audit.
    #[source]
    pub reason: R,
}

/// A reason, which has its one code in 2-wire.md section 8.
pub trait HasCode: core::error::Error + 'static {
    /// The code.
    fn code(&self) -> ErrorCode;

    /// The part that every flow has, if the reason is of it.
    fn protocol(&self) -> Option<&ProtocolError>;

    /// Whether the peer already ended the flow in another way than by an ERROR, and so gets none.
    fn peer_has_closed(&self) -> bool {
        false
    }
}

/// What can go wrong in any flow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProtocolError {
    /// The peer's message cannot be read: 0002, or 0003 for a type that no message has.
    #[error("malformed message: {0}")]
    Malformed(#[from] Malformed),
    /// Another message than the one that this state waits for: 0003.
    #[error("{found} came where {expected} was expected")]
    Unexpected {
        /// What the state waits for.
        expected: MessageType,
        /// What came.
        found: MessageType,
    },
    /// The peer ended the flow with an ERROR. It gets no answer; both sides close.
    #[error("the peer refused: {0}")]
    Peer(ErrorMessage),
    /// Nothing came in time: 000A. The driver, which has the clock, says so.
    #[error("nothing came in time")]
    Timeout,
    /// This side's own message cannot be written: 0001.
    #[error("this side's own message cannot be written: {0}")]
    Unwritable(Malformed),
}

impl ProtocolError {
    pub(crate) fn code(&self) -> ErrorCode {
        match self {
            Self::Malformed(malformed) => malformed.code(),
            Self::Unexpected { .. } => ErrorCode::UnexpectedMessage,
            // A code that nobody knows says only that the peer has a trouble of its own.
            Self::Peer(message) => message.known_code().unwrap_or(ErrorCode::Internal),
            Self::Timeout => ErrorCode::Timeout,
            Self::Unwritable(_) => ErrorCode::Internal,
        }
    }
}

impl<R: HasCode> Fault<R> {
    /// The ERROR for the peer, with the code's own text: an exact reason could tell a stranger something. Nothing after
    /// an ERROR from the peer, or another end of its own.
    pub fn answer(&self) -> Option<Frame> {
        self.answer_with(self.code.text())
    }

    /// The ERROR for the peer with a text of the driver's: for a peer who may know more, such as the technician at a
    /// station. Nothing after an ERROR from the peer.
    pub fn answer_with(&self, text: &str) -> Option<Frame> {
        self.answer_with_refusals(text, &[])
    }

    /// As [`Fault::answer_with`], with records of refusals (FF23): how a terminal tells why it does not make or release a
    /// key. Nothing after an ERROR from the peer.
    pub fn answer_with_refusals(&self, text: &str, refusals: &[Fields]) -> Option<Frame> {
        if self.peer_error().is_some() || self.reason.peer_has_closed() {
            return None;
        }
        Some(error_frame_with_refusals(self.code, text, refusals))
    }

    /// The ERROR that the peer sent, if it was the peer who refused.
    pub fn peer_error(&self) -> Option<&ErrorMessage> {
        match self.reason.protocol() {
            Some(ProtocolError::Peer(message)) => Some(message),
            _ => None,
        }
    }
}

impl<R: HasCode> From<R> for Fault<R> {
    fn from(reason: R) -> Fault<R> {
        Fault { code: reason.code(), reason }
    }
}

impl<R: HasCode + From<ProtocolError>> From<ProtocolError> for Fault<R> {
    fn from(error: ProtocolError) -> Fault<R> {
        R::from(error).into()
    }
}

impl<R: HasCode + From<ProtocolError>> From<Malformed> for Fault<R> {
    fn from(malformed: Malformed) -> Fault<R> {
        ProtocolError::from(malformed).into()
    }
}

impl<R: HasCode + From<PadRefusal>> From<PadRefusal> for Fault<R> {
    fn from(refusal: PadRefusal) -> Fault<R> {
        R::from(refusal).into()
    }
}

/// The fields of the one message that a state waits for.
pub(crate) fn expect(frame: &Frame, expected: MessageType) -> Result<Fields, ProtocolError> {
    let found = frame.kind()?;
    if found == MessageType::Error {
        // Even an ERROR with broken fields ends the flow: answering it could go on for ever.
        let fields = frame.message().map(|message| message.fields).unwrap_or_default();
        return Err(ProtocolError::Peer(ErrorMessage::read(&fields)));
    }
    if found != expected {
        return Err(ProtocolError::Unexpected { expected, found });
    }
    Ok(frame.message()?.fields)
}

/// Writes a message of this side.
pub(crate) fn write(
    kind: MessageType,
    fill: impl FnOnce(&mut Fields) -> Result<(), Malformed>,
) -> Result<Frame, ProtocolError> {
    let mut fields = Fields::new();
    fill(&mut fields).and_then(|()| Frame::new(kind, &fields)).map_err(ProtocolError::Unwritable)
}
