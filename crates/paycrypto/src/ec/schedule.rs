//! From Z to one key for each purpose and direction (3-hardened.md, "Transcript and keys").

use super::agreement::SharedSecret;
use super::frame::{FrameServer, FrameTerminal};
use super::hkdf::Prk;
use super::keys::{Dik2, Dmk};
use super::purposes::{
    FactorKey, Kbpk, Operator, ReceiptServer, ReceiptTerminal, ServerConfirm, TerminalConfirm,
};
use super::{NONCE, Secret32, Tk, TranscriptHash};

/// In front of every label.
const PREFIX: &[u8] = b"KF2 ";

/// Letter of flow C, whose first key has no static secret.
const RKS_LOAD: u8 = b'C';

/// Both sides' DF14, each in its place.
#[derive(Debug, Clone, Copy)]
pub struct Nonces<'a> {
    /// Of the message that opens the flow.
    pub opener: &'a [u8; NONCE],
    /// Of the message that answers it.
    pub answerer: &'a [u8; NONCE],
}

/// What both sides held before: it names the flow, so that no flow runs on another's secret.
#[derive(Debug, Clone, Copy)]
pub enum StaticSecret<'a> {
    /// Flow A, downloading: TK.
    TmkDownload(&'a Tk),
    /// Flow B: nothing, the two signatures authenticate.
    LocalLoad,
    /// Flow C: DIK2.
    RksLoad(&'a Dik2),
    /// Flow E: DMK.
    TmsSession(&'a Dmk),
}

impl StaticSecret<'_> {
    const fn letter(&self) -> u8 {
        match self {
            Self::TmkDownload(_) => b'A',
            Self::LocalLoad => b'B',
            Self::RksLoad(_) => RKS_LOAD,
            Self::TmsSession(_) => b'E',
        }
    }
}

/// What the keys of one run of a flow come from. aws-lc wipes it when it is dropped.
pub struct Schedule {
    prk: Prk,
    letter: u8,
    th12: TranscriptHash,
}

impl std::fmt::Debug for Schedule {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Schedule({})", char::from(self.letter))
    }
}

impl Schedule {
    /// PRK of a run of a flow. `th12` is TH over its first two messages.
    pub fn new(
        secret: &StaticSecret<'_>,
        z: &SharedSecret,
        nonces: &Nonces<'_>,
        th12: &TranscriptHash,
    ) -> Self {
        let z = z.expose();
        let letter = secret.letter();
        match secret {
            StaticSecret::TmkDownload(tk) => {
                Self::of(&[tk.auk().expose(), tk.tek().expose(), z], nonces, letter, th12)
            }
            StaticSecret::LocalLoad => Self::of(&[z], nonces, letter, th12),
            StaticSecret::RksLoad(dik2) => Self::of(&[dik2.expose(), z], nonces, letter, th12),
            StaticSecret::TmsSession(dmk) => Self::of(&[dmk.expose(), z], nonces, letter, th12),
        }
    }

    fn of(ikm: &[&[u8]], nonces: &Nonces<'_>, letter: u8, th12: &TranscriptHash) -> Self {
        let mut salt = [0; 2 * NONCE];
        for (to, from) in salt.iter_mut().zip(nonces.opener.iter().chain(nonces.answerer)) {
            *to = *from;
        }
        Self { prk: Prk::extract(&salt, ikm), letter, th12: *th12 }
    }

    /// K(p).
    fn key(&self, purpose: &str) -> Secret32 {
        let info: [&[u8]; 5] = [PREFIX, &[self.letter], b" ", purpose.as_bytes(), &self.th12];
        Box::new(self.prk.expand(&info))
    }

    /// K(server): MAC_S.
    pub fn server_confirm(&self) -> ServerConfirm {
        ServerConfirm::new(self.key("server"))
    }

    /// K(terminal): MAC_T.
    pub fn terminal_confirm(&self) -> TerminalConfirm {
        TerminalConfirm::new(self.key("terminal"))
    }

    /// K(kbpk): key blocks.
    pub fn kbpk(&self) -> Kbpk {
        Kbpk::new(self.key("kbpk"))
    }

    /// K(receipt t): the terminal's receipt.
    pub fn receipt_terminal(&self) -> ReceiptTerminal {
        ReceiptTerminal::new(self.key("receipt t"))
    }

    /// K(receipt s): the server's receipt.
    pub fn receipt_server(&self) -> ReceiptServer {
        ReceiptServer::new(self.key("receipt s"))
    }

    /// K(frame t): sealed messages of the terminal.
    pub fn frame_terminal(&self) -> FrameTerminal {
        FrameTerminal::new(self.key("frame t"))
    }

    /// K(frame s): sealed messages of the server.
    pub fn frame_server(&self) -> FrameServer {
        FrameServer::new(self.key("frame s"))
    }

    /// K(operator): what an operator's proof is bound to.
    pub fn operator(&self) -> Operator {
        Operator::new(self.key("operator"))
    }
}

impl FactorKey {
    /// K(factor) of flow C: derived before DIK2 is known, so from no static secret, and in a way of its own so that
    /// nothing else is ever derived without one.
    pub fn derive(z: &SharedSecret, nonces: &Nonces<'_>, th12: &TranscriptHash) -> Self {
        Self::new(Schedule::of(&[z.expose()], nonces, RKS_LOAD, th12).key("factor"))
    }
}
