//! The other side of a run: frames as the wire has them, an ephemeral key, and what both come to.

use paycrypto::{
    digest,
    ec::{AgreementKey, NONCE, Nonces, POINT, PublicPoint, Schedule, StaticSecret, TranscriptHash},
};

use crate::{
    Refusal,
    commands::{Hole, Peer},
};

/// A terminal or a device in one run.
pub(super) struct Side {
    pub(super) key: AgreementKey,
    pub(super) nonce: [u8; NONCE],
}

/// What the HSM put into its frame.
pub(super) struct Server<'a> {
    pub(super) point: &'a [u8],
    pub(super) nonce: &'a [u8; NONCE],
}

impl Side {
    pub(super) fn new() -> Self {
        let mut nonce = [0; NONCE];
        paycrypto::random::fill(&mut nonce).unwrap();
        Self { key: AgreementKey::generate().unwrap(), nonce }
    }

    /// A frame that carries `before`, the key and the nonce.
    pub(super) fn frame(&self, message: u8, before: &[u8]) -> Vec<u8> {
        fill(&hole(message, before, &[]), self.key.public(), &self.nonce)
    }

    pub(super) fn peer(&self) -> Peer {
        Peer { point: self.key.public().to_vec(), nonce: self.nonce }
    }

    /// The run, where this side spoke first.
    pub(super) fn opened(
        &self,
        secret: &StaticSecret<'_>,
        server: &Server<'_>,
        th12: &TranscriptHash,
    ) -> Schedule {
        let nonces = Nonces { opener: &self.nonce, answerer: server.nonce };
        Schedule::new(secret, &self.agree(server), &nonces, th12)
    }

    /// The run, where this side answered.
    pub(super) fn answered(
        &self,
        secret: &StaticSecret<'_>,
        server: &Server<'_>,
        th12: &TranscriptHash,
    ) -> Schedule {
        let nonces = Nonces { opener: server.nonce, answerer: &self.nonce };
        Schedule::new(secret, &self.agree(server), &nonces, th12)
    }

    pub(super) fn agree(&self, server: &Server<'_>) -> paycrypto::ec::SharedSecret {
        self.key.agree(&PublicPoint::from_bytes(server.point).unwrap()).unwrap()
    }
}

/// A frame with a hole for 103 bytes.
pub(super) fn hole(message: u8, before: &[u8], after: &[u8]) -> Hole {
    let length = u16::try_from(2 + before.len() + 103 + after.len()).unwrap().to_be_bytes();
    Hole { before: [&length, [1, message].as_slice(), before].concat(), after: after.to_vec() }
}

pub(super) fn fill(hole: &Hole, point: &[u8; POINT], nonce: &[u8; NONCE]) -> Vec<u8> {
    let fields = [&[0xDF, 0x13, 0x41], point.as_slice(), &[0xDF, 0x14, 0x20], nonce].concat();
    [hole.before.as_slice(), &fields, &hole.after].concat()
}

/// The frame that the HSM makes around its fields.
pub(super) fn filled(hole: &Hole, server: &Server<'_>) -> Vec<u8> {
    fill(hole, server.point.try_into().unwrap(), server.nonce)
}

/// A frame of these fields.
pub(super) fn frame(message: u8, fields: &[u8]) -> Vec<u8> {
    let length = u16::try_from(2 + fields.len()).unwrap().to_be_bytes();
    [&length, [1, message].as_slice(), fields].concat()
}

/// The frame with a field of 32 bytes behind its others.
pub(super) fn with(bare: &[u8], tag: [u8; 2], value: &[u8; 32]) -> Vec<u8> {
    frame(bare[3], &[&bare[4..], &tag, &[0x20], value.as_slice()].concat())
}

/// TH of a flow's frames.
pub(super) fn th(letter: u8, frames: &[&[u8]]) -> TranscriptHash {
    digest::sha256(&[b"KF2", [letter].as_slice(), &frames.concat()].concat())
}

/// Optional block `11` after these frames.
pub(super) fn context(said: &[u8]) -> [u8; 16] {
    digest::sha256(said)[..16].try_into().unwrap()
}

pub(super) fn malformed(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Malformed { .. })
}
