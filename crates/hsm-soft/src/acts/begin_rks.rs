//! Flow C of suite 02, first step: the server's ephemeral key, signed.

use hsm::{
    Refusal,
    commands::{BeginRks, RksBegun},
};
use paycrypto::ec::{NONCE, Nonces, SharedSecret, TranscriptHash};

use super::ephemeral::{Checked, Ephemeral, th};
use crate::{
    SoftHsm,
    process_seal::{Kind, Party},
    purpose::Purpose,
    soft_hsm::place,
};

/// The flow's letter.
pub(super) const LETTER: u8 = b'C';

pub(crate) fn begin_rks(hsm: &SoftHsm, command: &BeginRks) -> Result<RksBegun, Refusal> {
    let peer = Checked::new(&command.peer, &command.auth)?;
    // The same rule for serials as in the steps that follow.
    place(&command.pin_pad, 0)?;
    let work =
        hsm.key_pairs.open_signing(&hsm.lmk, &command.work_key, Purpose::RksSigning, &command.owner)?;
    let ours = Ephemeral::make()?;
    let th12 = th(LETTER, &[&command.auth, &ours.fill(&command.hole)?]);
    let signature = work.sign_transcript(&th12).map_err(|e| Refusal::NotMade { why: e.to_string() })?;
    let begun = Begun { z: ours.agree(&peer)?, opener: *peer.nonce, answerer: ours.nonce, th12 };
    Ok(RksBegun {
        point: ours.key.public().to_vec(),
        nonce: ours.nonce,
        signature: signature.to_vec(),
        ticket: begun.seal(hsm, &command.pin_pad, &command.owner)?,
    })
}

/// A run whose DIK2 is not known yet.
pub(super) struct Begun {
    pub(super) z: SharedSecret,
    opener: [u8; NONCE],
    answerer: [u8; NONCE],
    pub(super) th12: TranscriptHash,
}

impl Begun {
    fn seal(&self, hsm: &SoftHsm, pin_pad: &str, owner: &str) -> Result<Vec<u8>, Refusal> {
        let parts: [&[u8]; 4] = [self.z.expose(), &self.opener, &self.answerer, &self.th12];
        hsm.ec_tickets.seal(party(pin_pad, owner), &parts)
    }

    pub(super) fn open(hsm: &SoftHsm, ticket: &[u8], pin_pad: &str, owner: &str) -> Result<Self, Refusal> {
        let clear = hsm.ec_tickets.open(party(pin_pad, owner), ticket)?;
        match clear.as_chunks::<32>() {
            ([z, opener, answerer, th12], []) => {
                Ok(Self { z: SharedSecret::from_bytes(z), opener: *opener, answerer: *answerer, th12: *th12 })
            }
            _ => Err(Refusal::NotProven),
        }
    }

    pub(super) fn nonces(&self) -> Nonces<'_> {
        Nonces { opener: &self.opener, answerer: &self.answerer }
    }
}

fn party<'a>(pin_pad: &'a str, owner: &'a str) -> Party<'a> {
    Party { kind: Kind::RksBegun, pin_pad, owner }
}
