//! Why a link gave no frame, or took none.

use std::{fmt, io};

use wire::{Malformed, MessageType};

/// Why a link gave no frame, or took none.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The name has no address, or no address accepted the connection.
    #[error("cannot be reached: {0}")]
    Unreachable(io::Error),
    /// Nothing is at the path of a serial line.
    #[error("nothing is plugged in at {path}")]
    NothingPlugged {
        /// The path.
        path: String,
    },
    /// The path is no line.
    #[error("{path} is no serial line: name a serial port or a pseudo-terminal")]
    NoLine {
        /// The path.
        path: String,
    },
    /// Another program has the line.
    #[error("another program uses the line {path}")]
    LineInUse {
        /// The path.
        path: String,
    },
    /// A serial line cannot be opened or set.
    #[error("cannot use the line {path}: {source}")]
    Line {
        /// The path.
        path: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// Something sends on the line without being asked, and does not stop.
    #[error("{path} does not fall silent: something sends without being asked")]
    NeverQuiet {
        /// The path.
        path: String,
    },
    /// A serial line was there and is gone, or its other end is.
    #[error("{port} was unplugged {step}")]
    Unplugged {
        /// Which line.
        port: String,
        /// How far the exchange had come.
        step: Step,
    },
    /// No byte for too long, or one message took too long (code 000A).
    #[error("timeout: nothing, or too little, arrived in time")]
    Timeout,
    /// The peer closed before its message.
    #[error("closed the connection without an answer")]
    Closed,
    /// The peer closed inside its message.
    #[error("closed the connection in the middle of its answer")]
    Cut,
    /// The line broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// What came is no frame.
    #[error("sent no frame of this protocol: {0}")]
    Malformed(#[from] Malformed),
}

impl LinkError {
    /// Whether an exchange had begun and then the line itself went away: the same may be asked again when it is back.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        matches!(self, Self::Unplugged { .. } | Self::Closed | Self::Cut | Self::Broken(_))
    }
}

/// How far an exchange had come when its line went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Nothing had been said.
    BeforeAsking,
    /// In the middle of this message of ours.
    Sending(MessageType),
    /// All of this message had left, and nothing of an answer had come.
    Waiting(MessageType),
    /// In the middle of the answer to this message.
    Answering(MessageType),
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeAsking => f.write_str("before the terminal was asked"),
            Self::Sending(message) => write!(f, "in the middle of {message}"),
            Self::Waiting(message) => write!(f, "after {message} had left, before its answer"),
            Self::Answering(message) => write!(f, "in the middle of the answer to {message}"),
        }
    }
}
