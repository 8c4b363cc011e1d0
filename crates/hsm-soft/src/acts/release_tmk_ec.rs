//! Flow A of suite 02: the terminal's proof, and its TMK.

use hsm::{
    KeyBlock, Refusal,
    commands::{CheckAnswerEc, MAX_TRANSCRIPT, ReleaseTmkEc, ReleasedEc, ReleasedKeyEc},
};
use paycrypto::ec::{
    Kbpk, LoadedKey, TranscriptHash,
    blocks::{self, LoadCounter},
    keys::Tmk,
};

use super::{
    context::{check_frames, context},
    ephemeral::th,
    held_key_ec::{self, KeptEc},
};
use crate::{
    SoftHsm,
    ec_tickets::Run,
    lmk::Binding,
    process_seal::{Kind, Party},
    soft_hsm::place,
};

pub(crate) fn check_answer_ec(hsm: &SoftHsm, command: &CheckAnswerEc) -> Result<(), Refusal> {
    check_frames(&command.said, MAX_TRANSCRIPT)?;
    let run = open(hsm, &command.ticket, &command.pin_pad, &command.owner)?;
    prove(&run, &command.said, &command.confirmation)
}

pub(crate) fn release_tmk_ec(hsm: &SoftHsm, command: &ReleaseTmkEc) -> Result<ReleasedEc, Refusal> {
    check_frames(&command.said, MAX_TRANSCRIPT)?;
    check_frames(&command.transcript, MAX_TRANSCRIPT)?;
    let run = open(hsm, &command.ticket, &command.pin_pad, &command.owner)?;
    prove(&run, &command.said, &command.confirmation)?;
    let send = SendTmk {
        pin_pad: &command.pin_pad,
        owner: &command.owner,
        slot: command.slot,
        counter: command.counter,
        pending: command.pending.as_ref(),
        avoid: &command.avoid,
    };
    let key = send.under(hsm, &run.schedule.kbpk(), &command.transcript)?;
    let loaded = LoadedKey { index: command.slot, kcv: key.kcv };
    let ticket = hsm.ec_tickets.seal_released(&command.pin_pad, &command.owner, &run.schedule, &[loaded])?;
    Ok(ReleasedEc { keys: vec![key], ticket })
}

fn open(hsm: &SoftHsm, ticket: &[u8], pin_pad: &str, owner: &str) -> Result<Run, Refusal> {
    hsm.ec_tickets.open_run(Party { kind: Kind::DownloadHello, pin_pad, owner }, ticket)
}

/// Checks MAC_T over what was said. A stranger's is checked as any other.
pub(super) fn prove(run: &Run, said: &[u8], confirmation: &[u8; 32]) -> Result<(), Refusal> {
    if run.proves(&th(run.schedule.letter(), &[said]), confirmation) {
        return Ok(());
    }
    Err(Refusal::NotProven)
}

impl Run {
    /// Whether the peer holds the keys of this run, and may.
    fn proves(&self, th: &TranscriptHash, confirmation: &[u8; 32]) -> bool {
        let right = self.schedule.terminal_confirm().confirms(th, confirmation);
        right & self.counts
    }
}

/// A TMK to send, and its load counter.
pub(super) struct SendTmk<'a> {
    pub(super) pin_pad: &'a str,
    pub(super) owner: &'a str,
    pub(super) slot: u8,
    pub(super) counter: u64,
    pub(super) pending: Option<&'a KeyBlock>,
    pub(super) avoid: &'a [[u8; 5]],
}

impl SendTmk<'_> {
    /// The pending key or a new one under the run's key, bound to what was said.
    pub(super) fn under(&self, hsm: &SoftHsm, kbpk: &Kbpk, said: &[u8]) -> Result<ReleasedKeyEc, Refusal> {
        self.with_key(hsm, kbpk, said).map(|(_, sent)| sent)
    }

    /// As [`SendTmk::under`], with the key itself for who reports it.
    pub(super) fn with_key(
        &self,
        hsm: &SoftHsm,
        kbpk: &Kbpk,
        said: &[u8],
    ) -> Result<(Tmk, ReleasedKeyEc), Refusal> {
        if self.counter == 0 {
            return Err(Refusal::Malformed { what: "a load counter begins with 1".into() });
        }
        let place = place(self.pin_pad, self.slot)?;
        let bound = Binding { place: Some(&place), owner: self.owner, tk_hash: None };
        let KeptEc { key, block } =
            held_key_ec::load_or_make::<Tmk>(hsm, "the pending TMK", bound, self.pending, self.avoid)?;
        let counter = LoadCounter::new(self.counter);
        let wrapped = blocks::wrap_tmk(kbpk, &key, &place, &context(said), counter)
            .map_err(|e| Refusal::NotMade { why: e.to_string() })?;
        let sent = ReleasedKeyEc { block, kcv: key.kcv(), wrapped };
        Ok((key, sent))
    }
}
