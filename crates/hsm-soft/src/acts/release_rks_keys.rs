//! Flow C's second half inside the HSM of a remote key server (2-wire.md section 4).

use hsm::{
    Refusal,
    commands::{MAX_RKS_KEYS, MAX_TRANSCRIPT, ReleaseRksKeys, ReleasedKey, RksKeyKind, RksWanted},
};
use paycrypto::{
    blocks::{self, BlockKey, CONTEXT_BYTES, Protects},
    keys::{Mak, Pik, RksTk, Tmk},
    rsa::PrivateKey,
};

use super::{
    context::{check_frames, context},
    held_key::{self, Length, Which},
};
use crate::{SoftHsm, lmk::Binding, purpose::Purpose, rks_tickets::Token, soft_hsm::place};

pub(crate) fn release_rks_keys(hsm: &SoftHsm, command: &ReleaseRksKeys) -> Result<Vec<ReleasedKey>, Refusal> {
    check_wanted(command.wanted.iter().map(|one| (one.slot, one.kind)))?;
    check_frames(&command.transcript, MAX_TRANSCRIPT)?;
    let work = hsm.key_pairs.open(&hsm.lmk, &command.work_key, Purpose::RksWork, &command.owner)?;
    let token = hsm.rks_tickets.open(&command.ticket, &command.pin_pad, &command.owner)?;
    let tk = prove(&work, &command.df22, &token)?;

    let mut said = command.transcript.clone();
    command
        .wanted
        .iter()
        .map(|wanted| {
            let released = give(hsm, command, wanted, &tk, &context(&said))?;
            said.extend_from_slice(released.under_tk.as_bytes());
            Ok(released)
        })
        .collect()
}

/// Checks the proof and gives TK. AT and what was decrypted are wiped on every way out.
fn prove(work: &PrivateKey, df22: &[u8], token: &Token) -> Result<RksTk, Refusal> {
    let not_proven = |why: &dyn std::fmt::Display| Refusal::DeviceNotProven { why: why.to_string() };
    // Opened before the token is looked at: the RSA operation is most of the time that this takes.
    let opened = work.oaep_decrypt(df22);
    if !token.counts {
        return Err(not_proven(&"it was given a token that nothing opens"));
    }
    let clear = opened.map_err(|_| not_proven(&"its proof does not open under the work key"))?;
    token.at_tk1.check(&clear).map_err(|defect| not_proven(&defect))
}

fn give(
    hsm: &SoftHsm,
    command: &ReleaseRksKeys,
    wanted: &RksWanted,
    tk: &RksTk,
    context: &[u8; CONTEXT_BYTES],
) -> Result<ReleasedKey, Refusal> {
    let place = place(&command.pin_pad, wanted.slot)?;
    let bound = Binding { place: Some(&place), owner: &command.owner, tk_hash: None };
    let to = Destination { hsm, wanted, tk, place: &place, bound, context };
    match wanted.kind {
        RksKeyKind::Tmk => to.give::<Tmk>("the pending TMK", Purpose::Tmk, Length::Triple),
        RksKeyKind::Pik => to.give::<Pik>("the pending PIK", Purpose::Pik, Length::Triple),
        RksKeyKind::Mak => to.give::<Mak>("the pending MAK", Purpose::Mak, Length::Double),
    }
}

struct Destination<'a> {
    hsm: &'a SoftHsm,
    wanted: &'a RksWanted,
    tk: &'a RksTk,
    place: &'a str,
    bound: Binding<'a>,
    context: &'a [u8; CONTEXT_BYTES],
}

impl Destination<'_> {
    fn give<K: BlockKey>(
        &self,
        name: &'static str,
        purpose: Purpose,
        length: Length,
    ) -> Result<ReleasedKey, Refusal>
    where
        RksTk: Protects<K>,
    {
        let which = Which { name, purpose, bound: self.bound };
        let pending = self.wanted.pending.as_ref();
        let kept = held_key::load_or_make::<K>(self.hsm, which, pending, length, &self.wanted.avoid)?;
        let under_tk = blocks::wrap(self.tk, &kept.key, self.place, self.context)
            .map_err(|e| Refusal::NotMade { why: e.to_string() })?;
        Ok(ReleasedKey { block: kept.block, kcv: kept.key.key().kcv(), under_tk })
    }
}

/// Refuses no keys, too many, and one kind of key twice for a slot.
pub(super) fn check_wanted(wanted: impl Iterator<Item = (u8, RksKeyKind)>) -> Result<(), Refusal> {
    let wanted: Vec<_> = wanted.take(MAX_RKS_KEYS + 1).collect();
    if wanted.is_empty() || wanted.len() > MAX_RKS_KEYS {
        return Err(Refusal::Malformed {
            what: format!("no keys or too many: one answer carries 1 to {MAX_RKS_KEYS}"),
        });
    }
    for (index, one) in wanted.iter().enumerate() {
        if wanted.iter().skip(index + 1).any(|other| other == one) {
            return Err(Refusal::Malformed {
                what: format!("slot {} asks for one kind of key twice", one.0),
            });
        }
    }
    Ok(())
}
