//! Flow E's second half in suite 02 (3-hardened.md): the session is opened, and the receipt in TMS_KEY.

use hsm::{
    Refusal,
    commands::{OpenTmsSessionEc, TmsReceipt, TmsSessionEc},
};
use paycrypto::{digest, ec::LoadedKey};

use super::{
    ephemeral::th,
    operator,
    release_tmk_ec::{SendTmk, prove},
    said::Said,
};
use crate::{
    SoftHsm,
    process_seal::{Kind, Party},
    tms_sessions_ec::Session,
};

/// TMS_HELLO, TMS_CHALLENGE, TMS_PROOF.
const PROVEN: usize = 3;

pub(crate) fn open_tms_session_ec(
    hsm: &SoftHsm,
    command: &OpenTmsSessionEc,
) -> Result<TmsSessionEc, Refusal> {
    let OpenTmsSessionEc { pin_pad, owner, .. } = command;
    let (said, transcript) = (Said::of(&command.said, PROVEN)?, Said::of(&command.transcript, PROVEN)?);
    if said.first(PROVEN - 1).bytes() != transcript.first(PROVEN - 1).bytes() {
        return Err(Refusal::Malformed { what: "TMS_HELLO or TMS_CHALLENGE is there in two forms".into() });
    }
    let party = Party { kind: Kind::TmsHello, pin_pad, owner };
    let (run, issued) = hsm.ec_tickets.open_run_issued(party, &command.ticket)?;
    prove(&run, said.bytes(), &command.confirmation)?;
    let schedule = run.schedule;
    if let Some(claim) = &command.operator {
        let key = schedule.operator();
        operator::check(hsm, owner, claim, |verifier| {
            key.proves(verifier, &command.t_data, &command.s_data, &claim.proof)
        })?;
    }
    let (mut tmk, mut loaded) = (None, Vec::new());
    if let Some(wanted) = &command.tmk {
        let send = SendTmk {
            pin_pad,
            owner,
            slot: wanted.slot,
            counter: wanted.counter,
            pending: wanted.pending.as_ref(),
            avoid: &wanted.avoid,
        };
        let sent = send.under(hsm, &schedule.kbpk(), transcript.bytes())?;
        loaded.push(LoadedKey { index: wanted.slot, kcv: sent.kcv });
        tmk = Some(sent);
    }
    let ticket = hsm.ec_tickets.seal_released(pin_pad, owner, &schedule, &loaded)?;
    // Last, so that what was refused before is no session.
    let proven = digest::sha256(transcript.bytes());
    let session = hsm.tms_sessions.begin(pin_pad, owner, &Session { schedule, proven }, issued)?;
    Ok(TmsSessionEc { session, tmk, ticket })
}

pub(crate) fn tms_receipt(hsm: &SoftHsm, command: &TmsReceipt) -> Result<[u8; 32], Refusal> {
    let said = Said::of(&command.said, PROVEN + 1)?;
    let session = hsm.tms_sessions.open(&command.session, &command.pin_pad, &command.owner)?;
    if digest::sha256(said.first(PROVEN).bytes()) != session.proven {
        return Err(Refusal::Malformed { what: "the first three frames are not this session's".into() });
    }
    let schedule = &session.schedule;
    Ok(schedule.receipt_server().receipt(&th(schedule.letter(), &[said.bytes()]), &[]))
}
