//! The first answer of flows A and E in suite 02: the HSM's ephemeral key, nonce and confirmation.

use hsm::{
    KeyBlock, Refusal,
    commands::{AnswerHello, HelloAnswer, HelloFlow, HelloSecret},
};
use paycrypto::ec::{Nonces, Schedule, SharedSecret, StaticSecret, Tk, TranscriptHash, keys::Dmk};

use super::{
    dik1::NOBODY,
    ephemeral::{Checked, Ephemeral, th},
    held_key_ec, transport_key_ec,
};
use crate::{
    HsmSoftError, SoftHsm,
    ec_tickets::Run,
    lmk::{Binding, Lmk},
    process_seal::{Kind, Party},
    purpose::Purpose,
    soft_hsm::place,
};

/// Where the DMK for strangers belongs: to no PIN pad.
const STRANGERS_PLACE: &str = "-/00";

/// A DMK that no terminal has, so that a stranger costs the same work as a terminal.
pub(crate) fn strangers_dmk_ec(lmk: &Lmk) -> Result<KeyBlock, HsmSoftError> {
    let dmk = Dmk::generate().map_err(|e| HsmSoftError::Random(e.to_string()))?;
    let bound = Binding { place: Some(STRANGERS_PLACE), owner: NOBODY, tk_hash: None };
    Ok(lmk.wrap(Purpose::DmkAes, bound, dmk.expose())?)
}

pub(crate) fn answer_hello(hsm: &SoftHsm, command: &AnswerHello) -> Result<HelloAnswer, Refusal> {
    // Looked at before the secret, so that a stranger's bad point is refused as a friend's is.
    let peer = Checked::new(&command.peer, &command.hello)?;
    let place = place(&command.pin_pad, 0)?;
    let ours = Ephemeral::make()?;
    let challenge = ours.fill(&command.hole)?;
    let (secret, counts) = Secret::load(hsm, command, &place)?;
    let z = ours.agree(&peer)?;
    let th12 = th(secret.letter(), &[&command.hello, &challenge]);
    let run = Run { schedule: secret.schedule(&z, &peer.opened(&ours), &th12), counts };
    let kind = match command.flow {
        HelloFlow::Download => Kind::DownloadHello,
        HelloFlow::Tms => Kind::TmsHello,
    };
    let party = Party { kind, pin_pad: &command.pin_pad, owner: &command.owner };
    Ok(HelloAnswer {
        point: ours.key.public().to_vec(),
        nonce: ours.nonce,
        // MAC_S is over the frames up to the one that carries it, without it: the same two.
        confirmation: run.schedule.server_confirm().confirm(&th12),
        ticket: hsm.ec_tickets.seal_run(party, &run)?,
    })
}

/// What a flow's terminal holds, or what none holds.
enum Secret {
    Tk(Tk),
    Dmk(Dmk),
}

impl Secret {
    /// The secret, and whether a terminal has it.
    fn load(hsm: &SoftHsm, command: &AnswerHello, place: &str) -> Result<(Self, bool), Refusal> {
        let dmk = |block, place, owner| {
            let bound = Binding { place: Some(place), owner, tk_hash: None };
            held_key_ec::load(hsm, "the DMK", bound, block).map(Self::Dmk)
        };
        match (command.flow, &command.secret) {
            (HelloFlow::Download, HelloSecret::Tk(blocks)) => {
                let tk = transport_key_ec::load(hsm, blocks, &command.pin_pad, &command.owner)?;
                Ok((Self::Tk(tk), true))
            }
            (HelloFlow::Tms, HelloSecret::Dmk(block)) => Ok((dmk(block, place, &command.owner)?, true)),
            (HelloFlow::Download, HelloSecret::Stranger) => {
                Ok((Self::Tk(transport_key_ec::load_strangers(hsm)?), false))
            }
            (HelloFlow::Tms, HelloSecret::Stranger) => {
                Ok((dmk(&hsm.stranger_dmk_ec, STRANGERS_PLACE, NOBODY)?, false))
            }
            (HelloFlow::Download, HelloSecret::Dmk(_)) | (HelloFlow::Tms, HelloSecret::Tk(_)) => {
                Err(Refusal::Malformed { what: "the secret is not one of this flow".into() })
            }
        }
    }

    const fn letter(&self) -> u8 {
        match self {
            Self::Tk(_) => b'A',
            Self::Dmk(_) => b'E',
        }
    }

    fn schedule(&self, z: &SharedSecret, nonces: &Nonces<'_>, th12: &TranscriptHash) -> Schedule {
        let secret = match self {
            Self::Tk(tk) => StaticSecret::TmkDownload(tk),
            Self::Dmk(dmk) => StaticSecret::TmsSession(dmk),
        };
        Schedule::new(&secret, z, nonces, th12)
    }
}
