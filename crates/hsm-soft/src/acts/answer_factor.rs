//! Flow C of suite 02, second step: the factor, DIK2, and the server's confirmation under it.

use hsm::{
    KeyBlock, Refusal,
    commands::{AnswerFactor, FactorAnswer, MAX_TRANSCRIPT, TokenDoubt},
};
use paycrypto::ec::{
    FactorKey, Schedule, StaticSecret, derive_dik2,
    keys::{Dik1, Dik2},
};

use super::{
    begin_rks::{Begun, LETTER},
    context::check_frames,
    dik1::NOBODY,
    dik1_ec,
    ephemeral::th,
    exchange::MAX_FACTOR,
    seal_rks_token::registered,
};
use crate::{
    SoftHsm,
    ec_tickets::Run,
    process_seal::{Kind, Party},
    soft_hsm::check_name,
};

/// What the derivation takes where there is no factor to take.
const NO_FACTOR: [u8; 16] = [0; 16];

pub(crate) fn answer_factor(hsm: &SoftHsm, command: &AnswerFactor) -> Result<FactorAnswer, Refusal> {
    check_name("a DSN", &command.dsn)?;
    check_frames(&command.said, MAX_TRANSCRIPT)?;
    let begun =
        Begun::open(hsm, &command.ticket, &command.pin_pad, &command.owner).map_err(not_of_this_run)?;
    let (dik1, stranger) = dik1_of(hsm, command.dik1.as_ref(), &command.owner)?;
    // Whatever is found, all of the work below is done: a stranger's answer comes as late as a friend's.
    let key = FactorKey::derive(&begun.z, &begun.nonces(), &begun.th12);
    let factor = key.open(&command.df19).ok().filter(|f| (1..=MAX_FACTOR).contains(&f.len()));
    let not_made = |e: paycrypto::Error| Refusal::NotMade { why: e.to_string() };
    let derived = derive_dik2(&dik1, &command.dsn, factor.as_deref().map_or(&NO_FACTOR, Vec::as_slice));
    let (derived, decoy) = (derived.map_err(not_made)?, Dik2::generate().map_err(not_made)?);

    let verdict = registered(factor.as_ref(), command.factor_digest.as_ref());
    let doubt = if stranger { Some(TokenDoubt::Stranger) } else { verdict.err() };
    let dik2 = if doubt.is_none() { derived } else { decoy };
    let schedule = Schedule::new(&StaticSecret::RksLoad(&dik2), &begun.z, &begun.nonces(), &begun.th12);
    let run = Run { schedule, counts: doubt.is_none() };
    let party = Party { kind: Kind::RksFactor, pin_pad: &command.pin_pad, owner: &command.owner };
    Ok(FactorAnswer {
        confirmation: run.schedule.server_confirm().confirm(&th(LETTER, &[&command.said])),
        ticket: hsm.ec_tickets.seal_run(party, &run)?,
        doubt,
    })
}

/// The audit is told what a ticket's refusal means in this flow.
pub(super) fn not_of_this_run(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::NotProven => {
            Refusal::DeviceNotProven { why: "the ticket is not one of this device and this process".into() }
        }
        other => other,
    }
}

/// The DIK1 to derive from, and whether it is the one for strangers.
fn dik1_of(hsm: &SoftHsm, dik1: Option<&KeyBlock>, owner: &str) -> Result<(Dik1, bool), Refusal> {
    match dik1 {
        Some(dik1) => Ok((dik1_ec::load(hsm, dik1, owner)?, false)),
        None => Ok((dik1_ec::load(hsm, &hsm.stranger_dik1_ec, NOBODY)?, true)),
    }
}
