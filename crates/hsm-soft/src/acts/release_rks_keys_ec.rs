//! Flow C of suite 02, third step: the device's proof, and its keys.

use hsm::{
    Refusal,
    commands::{MAX_TRANSCRIPT, ReleaseRksKeysEc, ReleasedEc, ReleasedKeyEc, RksKeyKind, RksWantedEc},
};
use paycrypto::ec::{
    Kbpk, LoadedKey,
    blocks::{self, Protects},
    keys::{Mak, Pik},
};

use super::{
    answer_factor::not_of_this_run,
    context::{check_frames, context},
    held_key_ec::{self, HeldEc, KeptEc},
    release_rks_keys::check_wanted,
    release_tmk_ec::{SendTmk, prove},
};
use crate::{
    SoftHsm,
    ec_tickets::Run,
    lmk::Binding,
    process_seal::{Kind, Party},
    soft_hsm::place,
};

pub(crate) fn release_rks_keys_ec(hsm: &SoftHsm, command: &ReleaseRksKeysEc) -> Result<ReleasedEc, Refusal> {
    check_wanted(command.wanted.iter().map(|one| (one.slot, one.kind)))?;
    check_frames(&command.said, MAX_TRANSCRIPT)?;
    check_frames(&command.transcript, MAX_TRANSCRIPT)?;
    let party = Party { kind: Kind::RksFactor, pin_pad: &command.pin_pad, owner: &command.owner };
    let run = hsm.ec_tickets.open_run(party, &command.ticket).map_err(not_of_this_run)?;
    prove(&run, &command.said, &command.confirmation).map_err(|_| not_proven(&run))?;

    let kbpk = run.schedule.kbpk();
    let mut said = command.transcript.clone();
    let keys = command
        .wanted
        .iter()
        .map(|wanted| {
            let released = give(hsm, command, wanted, &kbpk, &said)?;
            said.extend_from_slice(released.wrapped.as_bytes());
            Ok(released)
        })
        .collect::<Result<Vec<_>, Refusal>>()?;
    let loaded: Vec<_> = command
        .wanted
        .iter()
        .zip(&keys)
        .map(|(wanted, key)| LoadedKey { index: wanted.slot, kcv: key.kcv })
        .collect();
    let ticket = hsm.ec_tickets.seal_released(&command.pin_pad, &command.owner, &run.schedule, &loaded)?;
    Ok(ReleasedEc { keys, ticket })
}

fn not_proven(run: &Run) -> Refusal {
    let why = if run.counts {
        "its confirmation is wrong"
    } else {
        "it was given a confirmation whose key no device has"
    };
    Refusal::DeviceNotProven { why: why.into() }
}

fn give(
    hsm: &SoftHsm,
    command: &ReleaseRksKeysEc,
    wanted: &RksWantedEc,
    kbpk: &Kbpk,
    said: &[u8],
) -> Result<ReleasedKeyEc, Refusal> {
    match (wanted.kind, wanted.counter) {
        (RksKeyKind::Tmk, Some(counter)) => {
            let send = SendTmk {
                pin_pad: &command.pin_pad,
                owner: &command.owner,
                slot: wanted.slot,
                counter,
                pending: wanted.pending.as_ref(),
                avoid: &wanted.avoid,
            };
            send.under(hsm, kbpk, said)
        }
        (RksKeyKind::Pik, None) => working::<Pik>(hsm, "the pending PIK", command, wanted, kbpk, said),
        (RksKeyKind::Mak, None) => working::<Mak>(hsm, "the pending MAK", command, wanted, kbpk, said),
        (RksKeyKind::Tmk, None) | (RksKeyKind::Pik | RksKeyKind::Mak, Some(_)) => {
            Err(Refusal::Malformed { what: "a load counter comes with a TMK, and with nothing else".into() })
        }
    }
}

fn working<K: HeldEc + blocks::BlockKey>(
    hsm: &SoftHsm,
    name: &'static str,
    command: &ReleaseRksKeysEc,
    wanted: &RksWantedEc,
    kbpk: &Kbpk,
    said: &[u8],
) -> Result<ReleasedKeyEc, Refusal>
where
    Kbpk: Protects<K>,
{
    let place = place(&command.pin_pad, wanted.slot)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let pending = wanted.pending.as_ref();
    let KeptEc { key, block } = held_key_ec::load_or_make::<K>(hsm, name, bound, pending, &wanted.avoid)?;
    let wrapped = blocks::wrap(kbpk, &key, &place, &context(said))
        .map_err(|e| Refusal::NotMade { why: e.to_string() })?;
    Ok(ReleasedKeyEc { block, kcv: key.check_value(), wrapped })
}
