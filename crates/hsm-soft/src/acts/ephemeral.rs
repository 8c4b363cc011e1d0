//! Ephemeral keys and nonces of suite 02, the frames that carry them, and TH (3-hardened.md, "Transcript and keys").

use hsm::{
    Refusal,
    commands::{Hole, Peer},
};
use paycrypto::{
    digest,
    ec::{AgreementKey, NONCE, Nonces, POINT, PublicPoint, SharedSecret, TranscriptHash},
};

use super::context::check_frame;

/// What every transcript begins with.
const PREFIX: &[u8] = b"KF2";
/// DF13 and its length.
const POINT_FIELD: [u8; 3] = [0xDF, 0x13, 0x41];
/// DF14 and its length.
const NONCE_FIELD: [u8; 3] = [0xDF, 0x14, 0x20];
/// Bytes of a frame's length.
const LENGTH: usize = 2;

/// TH: the digest of a flow's frames, lengths included, in order.
pub(super) fn th(letter: u8, frames: &[&[u8]]) -> TranscriptHash {
    digest::sha256(&[&[PREFIX, &[letter]], frames].concat().concat())
}

/// This side's key and nonce for one run. The key is never stored but in a ticket.
pub(super) struct Ephemeral {
    pub(super) key: AgreementKey,
    pub(super) nonce: [u8; NONCE],
}

impl Ephemeral {
    pub(super) fn make() -> Result<Self, Refusal> {
        #[cfg(test)]
        if let Some(fixed) = fixed::take() {
            return Ok(fixed);
        }
        let not_made = |e: paycrypto::Error| Refusal::NotMade { why: e.to_string() };
        let mut nonce = [0; NONCE];
        paycrypto::random::fill(&mut nonce).map_err(not_made)?;
        Ok(Self { key: AgreementKey::generate().map_err(not_made)?, nonce })
    }

    /// DF13 and DF14 as a frame carries them.
    pub(super) fn fields(&self) -> Vec<u8> {
        fields(self.key.public(), &self.nonce)
    }

    /// The frame around them, of which the caller gave what stands before and behind.
    pub(super) fn fill(&self, hole: &Hole) -> Result<Vec<u8>, Refusal> {
        let frame = [hole.before.as_slice(), &self.fields(), &hole.after].concat();
        check_whole(&frame)?;
        Ok(frame)
    }

    /// Refuses a frame that does not carry them.
    pub(super) fn check_in(&self, frame: &[u8]) -> Result<(), Refusal> {
        check_whole(frame)?;
        carries(frame, &self.fields())
    }

    /// Z.
    pub(super) fn agree(&self, with: &Checked<'_>) -> Result<SharedSecret, Refusal> {
        self.key.agree(&with.point).map_err(|e| from_terminal(&e))
    }
}

/// A peer whose point is on the curve and whose frame carries what the command says.
pub(super) struct Checked<'a> {
    point: PublicPoint,
    pub(super) nonce: &'a [u8; NONCE],
}

impl<'a> Checked<'a> {
    /// `frame` is the peer's message, with its length.
    pub(super) fn new(peer: &'a Peer, frame: &[u8]) -> Result<Self, Refusal> {
        check_whole(frame)?;
        let point = PublicPoint::from_bytes(&peer.point).map_err(|e| from_terminal(&e))?;
        carries(frame, &fields(point.as_bytes(), &peer.nonce))?;
        Ok(Self { point, nonce: &peer.nonce })
    }

    /// Both nonces where the peer opened the flow.
    pub(super) fn opened(&self, by: &'a Ephemeral) -> Nonces<'a> {
        Nonces { opener: self.nonce, answerer: &by.nonce }
    }
}

/// Refuses what is not one frame with its own length in front.
pub(super) fn check_whole(frame: &[u8]) -> Result<(), Refusal> {
    check_frame(frame)?;
    let said = frame.first_chunk::<LENGTH>().map(|length| usize::from(u16::from_be_bytes(*length)));
    if said == Some(frame.len() - LENGTH) {
        return Ok(());
    }
    Err(Refusal::Malformed { what: "a frame's length is not that of its bytes".into() })
}

fn carries(frame: &[u8], fields: &[u8]) -> Result<(), Refusal> {
    if frame.windows(fields.len()).any(|window| window == fields) {
        return Ok(());
    }
    Err(Refusal::Malformed { what: "DF13 and DF14 are not those of the frame".into() })
}

fn fields(point: &[u8; POINT], nonce: &[u8; NONCE]) -> Vec<u8> {
    [POINT_FIELD.as_slice(), point, &NONCE_FIELD, nonce].concat()
}

fn from_terminal(defect: &dyn std::fmt::Display) -> Refusal {
    Refusal::FromTerminal { defect: defect.to_string() }
}

/// Worked values have ephemeral keys of their own.
#[cfg(test)]
pub(crate) mod fixed {
    use std::cell::RefCell;

    use super::{AgreementKey, Ephemeral, NONCE};

    thread_local! {
        static NEXT: RefCell<Option<Ephemeral>> = const { RefCell::new(None) };
    }

    /// The next ephemeral key and nonce that this thread makes.
    pub(crate) fn next(scalar: &[u8; 32], nonce: [u8; NONCE]) {
        let key = AgreementKey::from_scalar(scalar).unwrap();
        NEXT.with(|next| next.replace(Some(Ephemeral { key, nonce })));
    }

    pub(super) fn take() -> Option<Ephemeral> {
        NEXT.with(RefCell::take)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_is_filled_where_it_is_and_one_that_is_cut_is_refused() {
        let ephemeral = Ephemeral::make().unwrap();
        let hole = Hole { before: vec![0, 2 + 103 + 3, 1, 2], after: vec![0xDF, 0x31, 0] };
        let frame = ephemeral.fill(&hole).unwrap();
        assert_eq!(frame, [&hole.before[..], &ephemeral.fields(), &hole.after].concat());
        let cut = [
            Hole { before: hole.before[..3].to_vec(), ..hole.clone() },
            Hole { after: hole.after[1..].to_vec(), ..hole.clone() },
            Hole { before: vec![], after: vec![] },
            Hole { before: [hole.before.as_slice(), &[0]].concat(), ..hole },
        ];
        for hole in cut {
            assert!(matches!(ephemeral.fill(&hole), Err(Refusal::Malformed { .. })), "{hole:?}");
        }
    }

    #[test]
    fn a_peer_is_the_one_of_its_frame() {
        let theirs = Ephemeral::make().unwrap();
        let frame = theirs.fill(&Hole { before: vec![0, 105, 1, 1], after: vec![] }).unwrap();
        let peer = Peer { point: theirs.key.public().to_vec(), nonce: theirs.nonce };
        assert!(Checked::new(&peer, &frame).is_ok());
        let other = Ephemeral::make().unwrap();
        for wrong in [
            Peer { point: other.key.public().to_vec(), ..peer.clone() },
            Peer { nonce: other.nonce, ..peer.clone() },
        ] {
            assert!(matches!(Checked::new(&wrong, &frame), Err(Refusal::Malformed { .. })));
        }
        let mut off = peer.clone();
        off.point[64] ^= 1;
        assert!(matches!(Checked::new(&off, &frame), Err(Refusal::FromTerminal { .. })));
        assert!(matches!(Checked::new(&peer, &frame[..frame.len() - 1]), Err(Refusal::Malformed { .. })));
    }
}
