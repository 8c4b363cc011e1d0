//! Flow C's first half inside the HSM of a remote key server (2-wire.md section 4).

use hsm::{
    KeyBlock, Refusal,
    commands::{RksToken, SealRksToken, TokenDoubt},
};
use paycrypto::{Error, TdesKey, blocks, derive::derive_dik2, digest, keys::Dik2};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{dik1, exchange::MAX_FACTOR};
use crate::{
    SoftHsm,
    purpose::Purpose,
    rks_tickets::Token,
    soft_hsm::{check_name, place},
};

/// What the derivation takes where there is no factor to take.
const NO_FACTOR: [u8; 16] = [0; 16];

pub(crate) fn seal_rks_token(hsm: &SoftHsm, command: &SealRksToken) -> Result<RksToken, Refusal> {
    check_name("a DSN", &command.dsn)?;
    let place = place(&command.pin_pad, 0)?;
    let work = hsm.key_pairs.open(&hsm.lmk, &command.work_key, Purpose::RksWork, &command.owner)?;
    let (dik1, stranger) = dik1_of(hsm, command.dik1.as_ref(), &command.owner)?;
    // Whatever is found, all of the work below is done: a stranger's answer comes as late as a friend's.
    let factor = work.oaep_decrypt(&command.df20).ok().filter(|f| (1..=MAX_FACTOR).contains(&f.len()));
    let derived = derive_dik2(&dik1, &command.dsn, factor.as_deref().map_or(&NO_FACTOR, Vec::as_slice));
    let decoy = Dik2::generate().map_err(|e| Refusal::NotMade { why: e.to_string() })?;

    let verdict = registered(factor.as_ref(), command.factor_digest.as_ref());
    let verdict = if stranger { Err(TokenDoubt::Stranger) } else { verdict };
    let (dik2, doubt) = match (verdict, derived) {
        (Ok(()), Ok(dik2)) => (dik2, None),
        (Err(doubt), _) => (decoy, Some(doubt)),
        (Ok(()), Err(Error::Poor(_))) => (decoy, Some(TokenDoubt::PoorDik2)),
        (Ok(()), Err(e)) => return Err(Refusal::NotMade { why: e.to_string() }),
    };
    let token = Token::new(doubt.is_none())?;
    Ok(RksToken {
        df21: blocks::wrap_token(&dik2, &token.at_tk1, &place, &command.context)
            .map_err(|e| Refusal::NotMade { why: e.to_string() })?,
        ticket: hsm.rks_tickets.issue(&command.pin_pad, &command.owner, &token)?,
        doubt,
    })
}

/// The DIK1 to derive from, and whether it is the one for strangers.
fn dik1_of(hsm: &SoftHsm, dik1: Option<&KeyBlock>, owner: &str) -> Result<(TdesKey, bool), Refusal> {
    match dik1 {
        Some(dik1) => Ok((dik1::load(hsm, dik1, owner)?, false)),
        None => Ok((dik1::load(hsm, &hsm.stranger_dik1, dik1::NOBODY)?, true)),
    }
}

pub(super) fn registered(
    factor: Option<&Zeroizing<Vec<u8>>>,
    digest: Option<&[u8; 32]>,
) -> Result<(), TokenDoubt> {
    let factor = factor.ok_or(TokenDoubt::Ciphertext)?;
    let registered = digest.ok_or(TokenDoubt::Unregistered)?;
    if bool::from(digest::sha256(factor).ct_eq(registered)) { Ok(()) } else { Err(TokenDoubt::WrongFactor) }
}
