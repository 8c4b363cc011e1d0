//! From Z to one key for each purpose and direction (3-hardened.md, "Transcript and keys").

use zeroize::Zeroizing;

use super::agreement::SharedSecret;
use super::frame::{FrameServer, FrameTerminal};
use super::hkdf::Prk;
use super::keys::{Dik2, Dmk};
use super::purposes::{
    FactorKey, Kbpk, Operator, ReceiptServer, ReceiptTerminal, ServerConfirm, TerminalConfirm,
};
use super::{NONCE, Secret32, Tk, TranscriptHash, secret};
use crate::digest::SHA256;

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

/// Bytes of a [`Schedule`] that is kept between two steps: `flow letter (1) ‖ PRK (32) ‖ TH(1, 2) (32)`.
pub const KEPT_SCHEDULE: usize = 1 + 2 * SHA256;

/// What the keys of one run of a flow come from. Wiped when dropped.
pub struct Schedule {
    prk: Secret32,
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
        Self { prk: secret(&Prk::extract_bytes(&salt, ikm)), letter, th12: *th12 }
    }

    /// The schedule in clear, for sealing it between two steps of its flow: every key of the run comes out of it.
    pub fn keep(&self) -> Zeroizing<[u8; KEPT_SCHEDULE]> {
        let mut kept = Zeroizing::new([0; KEPT_SCHEDULE]);
        let parts = [self.letter].into_iter().chain(self.prk.iter().copied()).chain(self.th12);
        kept.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        kept
    }

    /// Takes back what [`Schedule::keep`] gave. The caller wipes its copy. Nothing for another length, or for a letter
    /// that no flow with a schedule has.
    pub fn from_kept(kept: &[u8]) -> Option<Self> {
        let (letter, rest) = kept.split_first()?;
        let (prk, th12) = rest.split_first_chunk::<SHA256>()?;
        let th12 = th12.try_into().ok()?;
        b"ABCE".contains(letter).then(|| Self { prk: secret(prk), letter: *letter, th12 })
    }

    /// The letter of the schedule's flow.
    pub fn letter(&self) -> u8 {
        self.letter
    }

    /// TH(1, 2): names the run, since both nonces and ephemeral keys are in it. Not secret.
    pub fn th12(&self) -> &TranscriptHash {
        &self.th12
    }

    /// K(p).
    fn key(&self, purpose: &str) -> Secret32 {
        let info: [&[u8]; 5] = [PREFIX, &[self.letter], b" ", purpose.as_bytes(), &self.th12];
        Box::new(Prk::of(&self.prk).expand(&info))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_that_was_kept_gives_the_same_keys_and_nothing_else_is_one() {
        let (z, nonces) =
            (SharedSecret::from_bytes(&[1; 32]), Nonces { opener: &[2; 32], answerer: &[3; 32] });
        let dmk = Dmk::from_bytes(&[4; 32]);
        let schedule = Schedule::new(&StaticSecret::TmsSession(&dmk), &z, &nonces, &[5; 32]);
        let kept = schedule.keep();
        let again = Schedule::from_kept(&*kept).unwrap();
        assert_eq!(again.letter(), b'E');
        assert_eq!(again.keep(), kept);
        let th = [6; 32];
        assert_eq!(again.server_confirm().confirm(&th), schedule.server_confirm().confirm(&th));
        for length in 0..KEPT_SCHEDULE {
            assert!(Schedule::from_kept(&kept[..length]).is_none(), "{length} bytes");
        }
        let mut other = kept.clone();
        for letter in 0..=u8::MAX {
            other[0] = letter;
            assert_eq!(Schedule::from_kept(&*other).is_some(), b"ABCE".contains(&letter), "{letter}");
        }
    }
}
