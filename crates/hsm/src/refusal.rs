use serde::{Deserialize, Serialize};

/// Why the HSM would not carry out a command. Exact, for the audit; a peer on the wire gets a coarse code only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Refusal {
    /// The key block is not a block, was changed, or is under another LMK.
    #[error(
        "key block of {what} does not open under this LMK: was the database moved without its HSM folder?"
    )]
    UnknownKey {
        /// Which key of the command.
        what: String,
    },
    /// The key opens, but its usage, algorithm, mode or purpose is not the one this command takes.
    #[error("{what} may not be used here: it is {found}")]
    WrongUse {
        /// Which key of the command.
        what: String,
        /// What the key says that it is.
        found: String,
    },
    /// The key belongs to another PIN pad or slot.
    #[error("{what} belongs to place {found}, not to {wanted}: were two rows of the database swapped?")]
    WrongPlace {
        /// Which key of the command.
        what: String,
        /// The place the command asked for.
        wanted: String,
        /// The place in the block.
        found: String,
    },
    /// The key belongs to another acquirer.
    #[error("{what} belongs to owner {found}, not to {wanted}")]
    WrongOwner {
        /// Which key of the command.
        what: String,
        /// The owner the command asked for.
        wanted: String,
        /// The owner in the block.
        found: String,
    },
    /// A collected transport key does not open, or is not one that may be used. Which is told by `defect` for the
    /// audit of a signed upload; nothing of it goes to a terminal.
    #[error("collected transport key refused: {defect}")]
    TransportKey {
        /// What is wrong with it.
        defect: String,
    },
    /// The peer's answer to the challenge is wrong, or the ticket or the session is not of this challenge and party.
    #[error("the terminal did not prove that it holds its key")]
    NotProven,
    /// The operator at a terminal did not prove that he knows his password, or is not known (flow E).
    #[error("the operator did not prove himself")]
    OperatorNotProven,
    /// A device's proof to the remote key server is wrong (flow C).
    #[error("the device did not prove itself: {why}")]
    DeviceNotProven {
        /// What is wrong, for the audit; the peer gets 0006 whatever it is.
        why: String,
    },
    /// What a terminal sent does not open or must not be used: to a KLD (flow B), or a point off the curve (suite 02).
    #[error("what the terminal sent is refused: {defect}")]
    FromTerminal {
        /// What is wrong with it.
        defect: String,
    },
    /// A key block under an exchange key does not open, is not what it should be, or holds a key that must not be used.
    #[error("the key to import is refused: {defect}")]
    Import {
        /// What is wrong with it.
        defect: String,
    },
    /// The MAC of a batch or of a receipt is not the one of this text and partner.
    #[error(
        "the MAC does not fit: the text was changed, or it is under another MAK; compare MAK's check values"
    )]
    BatchMac,
    /// The challenge was given too long ago.
    #[error("the challenge is too old; the terminal starts again")]
    TicketExpired,
    /// A value in the command is out of its range.
    #[error("{what}")]
    Malformed {
        /// Which value, and what its range is.
        what: String,
    },
    /// Making a key failed: random numbers are not good, or no acceptable key came out of many.
    #[error("no key was made: {why}")]
    NotMade {
        /// What failed.
        why: String,
    },
    /// This HSM is not there for such a command: a server's is not a KLD's.
    #[error("{command} is no command of an HSM on duty as {duty}: ask the one that is there for it")]
    NotOnDuty {
        /// The command.
        command: String,
        /// What this HSM is there for.
        duty: String,
    },
    /// The HSM refuses everything: a self-test failed.
    #[error("the HSM is out of service: {why}")]
    OutOfService {
        /// The failed test.
        why: String,
    },
    /// A session of flow E that the HSM no longer counts: it keeps the newest ones (suite 02).
    #[error("the session is over: the HSM keeps no more of them; the terminal begins another")]
    SessionOver,
}

impl Refusal {
    /// Whether the peer failed to prove itself, for whichever reason: 0006 on the wire.
    #[must_use]
    pub fn is_not_proven(&self) -> bool {
        matches!(self, Self::NotProven | Self::DeviceNotProven { .. } | Self::TicketExpired)
    }
}

/// Why a command gave no reply.
#[derive(Debug, thiserror::Error)]
pub enum HsmError {
    /// The HSM answered, and refused.
    #[error("the HSM refused: {0}")]
    Refused(#[from] Refusal),
    /// The HSM cannot be reached.
    #[error("cannot reach the HSM at {path}: {source}; is `keyferry hsm` running, as the same user?")]
    Connect {
        /// The socket's path.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The process behind the socket runs as another user.
    #[error("the process behind {path} runs as user {found}, not as this one ({wanted}): not trusted")]
    ForeignPeer {
        /// The socket's path.
        path: String,
        /// The uid that was expected.
        wanted: u32,
        /// The uid behind the socket.
        found: u32,
    },
    /// The HSM speaks another version of the protocol.
    #[error("the HSM speaks protocol {found}, this program {wanted}: use the same release of both")]
    Protocol {
        /// Ours.
        wanted: u32,
        /// The HSM's.
        found: u32,
    },
    /// The connection ended before the answer came.
    #[error("the HSM is gone: its process ended or closed the socket")]
    Gone,
    /// The answer is not one to this command.
    #[error("the HSM's answer does not fit the command {0}")]
    WrongReply(&'static str),
    /// A command or a reply is larger than the protocol allows.
    #[error("message of {0} bytes is larger than the HSM protocol allows")]
    TooLarge(usize),
}
