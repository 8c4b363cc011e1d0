//! Working keys of a sign-in, whichever way its messages travel: over the terminal port or inside a POSP's own.
//!
//! Keys are stored as pending, with their audit event, before they leave; the old ones stay in use until the terminal
//! has shown that it opened the new ones. A TMK that was pending becomes active with them.
//!
//! SIGN_IN proves nothing, and what it says can be heard on the line: somebody who repeats it must not put out the
//! terminal's own. The store keeps the latest offer of a slot; the earlier ones are with whoever carries their messages,
//! and the first that is confirmed wins.

use std::net::IpAddr;

use flows::{
    EcAes, Tdes,
    sign_in::{
        Reason,
        host::{ExpectSignIn, SignIn},
        messages::{SignInConfirm, SignedIn},
    },
};
use hsm::{Hsm, HsmError, KeyBlock};
use serde_json::{Value, json};
use store::{
    ConfirmOutcome, HeldKey, HeldWorkingKey, NewWorking, SignInKeys, SignInOutcome, Store, StoreError,
    TerminalRecord, WorkingKind,
};
use wire::{Frame, Kcv, Serial, Slot, Suite};

use super::{
    items::{NOT_FOUND, Whose},
    refusal::{HostError, HostRefusal},
    sign_in::SignInEnd,
    suite::{Confirming, HostSuite, Making},
};
use crate::{
    flow_end::FlowEnd,
    kms::{Failure, Kms, event},
    slots::Released,
    suite,
};

/// How often an offer that another put out is stored again when its terminal has confirmed it.
const MAX_STORED_AGAIN: usize = 8;

const NO_SIGN_IN: HostRefusal =
    HostRefusal::Malformed("sign_in must be the payload of one SIGN_IN, and nothing else");
const NO_CONFIRMATION: HostRefusal =
    HostRefusal::Malformed("sign_in_confirm must be the payload of one SIGN_IN_CONFIRM, and nothing else");

/// Working keys that are stored as pending and may leave.
#[derive(Clone)]
pub(super) struct Offered {
    /// Their suite.
    suite: Suite,
    /// Their numbers in the store.
    ids: Vec<i64>,
    /// To store them again; nothing for what was read from the store.
    again: Option<Again>,
    kinds: Vec<WorkingKind>,
    /// The blocks under the TMK, in the order of the message.
    pub(super) blocks: Vec<String>,
    confirming: Confirming,
}

/// What storing an offer again needs.
#[derive(Clone)]
struct Again {
    keys: SignInKeys,
    /// The working keys that were in use when it was made, by their numbers: with others another sign-in has won.
    in_use: Vec<i64>,
}

/// Working keys for a POSP's own message.
pub(crate) struct Delivered {
    /// The payload of WORKING_KEYS.
    pub(crate) working_keys: Vec<u8>,
    /// Each key's kind and block under the TMK.
    pub(crate) blocks: Vec<(&'static str, String)>,
}

impl<S: Store, H: Hsm> Kms<S, H> {
    /// Makes working keys for a SIGN_IN. `by` is who carries the messages.
    pub(super) async fn offer_working_keys<U: HostSuite>(
        &self,
        sign_in: &SignIn<U>,
        by: &str,
    ) -> Result<Offered, SignInEnd> {
        let (terminal, tmk) = self.look_up_tmk(sign_in).await?;
        let (sn, slot) = (&terminal.sn, sign_in.slot());
        let mut kinds = vec![WorkingKind::Pik, WorkingKind::Mak];
        if self.host.settings.tdk {
            kinds.push(WorkingKind::Tdk);
        }
        let present = self.in_use(sn, slot).await?;
        let making = Making {
            tmk: KeyBlock::from_text(tmk.block.clone()),
            pin_pad: tmk.key_serial.to_string(),
            owner: self.acquirer.id.clone(),
            slot,
            sign_in: sign_in.frame().bytes().to_vec(),
            settings: self.host.settings,
            avoid: present.iter().map(|key| key.kcv).collect(),
        };
        let made = U::make(&self.hsm, making).await?;
        let confirming = confirming(&made, &kinds, sign_in, &tmk, &self.acquirer.id)?;
        let kcvs: Vec<_> = made.iter().map(|key| key.kcv.to_string()).collect();
        let detail = json!({ "slot": slot.index(), "tmk": tmk.kcv.to_string(), "kcvs": kcvs, "by": by });
        let (keys, blocks) = made
            .into_iter()
            .zip(&kinds)
            .map(|(key, kind)| {
                let new = NewWorking { kind: *kind, block: key.block.into(), kcv: key.kcv };
                (new, key.wrapped)
            })
            .unzip();
        let keys =
            SignInKeys { sn: sn.clone(), slot, tmk: tmk.id, rnd1: sign_in.fresh().as_ref().to_vec(), keys };
        let event = event("sign-in.answered", by, sn.as_str(), detail);
        match self.store.begin_sign_in(keys.clone(), event).await? {
            SignInOutcome::Stored(ids) => {
                let in_use = present.iter().map(|key| key.id).collect();
                Ok(Offered {
                    suite: U::ID,
                    ids,
                    again: Some(Again { keys, in_use }),
                    kinds,
                    blocks,
                    confirming,
                })
            }
            SignInOutcome::Gone => Err(Reason::AnotherWon.into()),
        }
    }

    /// The slot's working keys in use, of every kind.
    async fn in_use(&self, sn: &Serial, slot: Slot) -> Result<Vec<HeldWorkingKey>, StoreError> {
        let wanted = [WorkingKind::Pik, WorkingKind::Mak, WorkingKind::Tdk];
        let wanted = wanted.map(|kind| (sn.clone(), slot, kind)).to_vec();
        Ok(self.store.active_working(wanted).await?.into_iter().flatten().map(|active| active.key).collect())
    }

    /// Takes a confirmation's MAC: the keys become active, and DONE's MAC may leave.
    pub(super) async fn take_confirmation<U: HostSuite>(
        &self,
        offered: Offered,
        mac: U::Mac,
        by: &str,
    ) -> Result<U::Mac, SignInEnd> {
        let (sn, slot) = (offered.confirming.sn.clone(), offered.confirming.slot);
        let shown: Vec<_> = offered.confirming.kcvs.iter().map(ToString::to_string).collect();
        let done = match U::confirm(&self.hsm, offered.confirming, mac).await {
            Ok(done) => done,
            Err(HsmError::Refused(refusal)) if refusal.is_not_proven() => return Err(Reason::WrongMac.into()),
            Err(error) => return Err(error.into()),
        };
        let detail = json!({ "slot": slot.index(), "kcvs": shown, "by": by });
        let mut ids = offered.ids;
        for _ in 0..MAX_STORED_AGAIN {
            let event = event("sign-in.confirmed", sn.as_str(), sn.as_str(), detail.clone());
            match self.store.confirm_sign_in(&sn, slot, ids, event).await? {
                ConfirmOutcome::Activated | ConfirmOutcome::AlreadyActive => return Ok(done),
                ConfirmOutcome::Gone => ids = self.store_again(offered.again.as_ref(), &detail).await?,
            }
        }
        Err(Reason::AnotherWon.into())
    }

    /// Makes an offer that was confirmed, and that another put out, the slot's pending one again; unless a sign-in was
    /// confirmed since it was made.
    async fn store_again(&self, again: Option<&Again>, detail: &Value) -> Result<Vec<i64>, SignInEnd> {
        let another_won = || SignInEnd::from(Reason::AnotherWon);
        let Again { keys, in_use } = again.ok_or_else(another_won)?;
        let now: Vec<_> = self.in_use(&keys.sn, keys.slot).await?.iter().map(|key| key.id).collect();
        if now != *in_use {
            return Err(another_won());
        }
        let event = event("sign-in.offered-again", "server", keys.sn.as_str(), detail.clone());
        match self.store.begin_sign_in(keys.clone(), event).await? {
            SignInOutcome::Stored(ids) => Ok(ids),
            SignInOutcome::Gone => Err(another_won()),
        }
    }

    /// Answers a SIGN_IN's payload that a POSP carries.
    pub(crate) async fn sign_in_for_posp(
        &self,
        payload: &[u8],
        by: &str,
        source: IpAddr,
    ) -> Result<Delivered, HostError> {
        let frame = Frame::from_payload(payload).map_err(|_| NO_SIGN_IN)?;
        match suite::asked(&frame) {
            Suite::EC_AES => self.offer_for_posp::<EcAes>(&frame, by, source).await,
            _ => self.offer_for_posp::<Tdes>(&frame, by, source).await,
        }
    }

    async fn offer_for_posp<U: HostSuite>(
        &self,
        frame: &Frame,
        by: &str,
        source: IpAddr,
    ) -> Result<Delivered, HostError> {
        let sign_in = ExpectSignIn::new().on_frame_of::<U>(frame).map_err(|_| NO_SIGN_IN)?;
        let offered = self.offer_working_keys(&sign_in, by).await.map_err(|end| {
            let error = for_posp(end);
            self.count_posp(&error, sign_in.device().sn().as_str(), source);
            error
        })?;
        let names = offered.kinds.iter().map(|kind| match kind {
            WorkingKind::Pik => "PIK",
            WorkingKind::Mak => "MAK",
            WorkingKind::Tdk => "TDK",
        });
        let blocks = names.zip(offered.blocks.iter().cloned()).collect();
        let (sn, slot) = (sign_in.device().sn().clone(), sign_in.slot());
        let (message, _) = sign_in.deliver(&offered.blocks).map_err(unwritable)?;
        self.host.carried.put(sn, slot, offered);
        Ok(Delivered { working_keys: message.payload().to_vec(), blocks })
    }

    /// Takes a SIGN_IN_CONFIRM's payload that a POSP carries; gives that of DONE.
    pub(crate) async fn confirm_for_posp(
        &self,
        whose: Whose<'_>,
        payload: &[u8],
        by: &str,
        source: IpAddr,
    ) -> Result<Vec<u8>, HostError> {
        let frame = Frame::from_payload(payload).map_err(|_| NO_CONFIRMATION)?;
        // SIGN_IN_CONFIRM names no suite: the length of its MAC tells.
        if let Ok(confirm) = SignInConfirm::<EcAes>::read(&frame) {
            return self.confirm_of(whose, confirm, by, source).await;
        }
        let confirm = SignInConfirm::<Tdes>::read(&frame).map_err(|_| NO_CONFIRMATION)?;
        self.confirm_of(whose, confirm, by, source).await
    }

    async fn confirm_of<U: HostSuite>(
        &self,
        whose: Whose<'_>,
        SignInConfirm { mac }: SignInConfirm<U>,
        by: &str,
        source: IpAddr,
    ) -> Result<Vec<u8>, HostError> {
        let (sn, slot) = match self.place(whose).await? {
            Ok(place) => place,
            Err(refusal) => {
                self.refused_posp.count(source, NOT_FOUND, refusal.code());
                return Err(refusal.into());
            }
        };
        let confirmed = self.take_carried::<U>(&sn, slot, mac, by).await;
        let mac = confirmed.inspect_err(|error| self.count_posp(error, sn.as_str(), source))?;
        Ok(SignedIn::<U> { mac }.write().map_err(unwritable)?.payload().to_vec())
    }

    /// Finds which of the offers that were carried is confirmed: the MAC tells. Where this server remembers none, because
    /// it was started since or another one answered, the store has the latest.
    async fn take_carried<U: HostSuite>(
        &self,
        sn: &Serial,
        slot: Slot,
        mac: U::Mac,
        by: &str,
    ) -> Result<U::Mac, HostError> {
        let mut offers = self.host.carried.of(sn, slot);
        if offers.is_empty() {
            offers.extend(self.pending_offer(sn, slot).await?);
        }
        let mut refusal = HostRefusal::NoSignIn.into();
        for offered in offers.into_iter().filter(|offered| offered.suite == U::ID) {
            match self.take_confirmation::<U>(offered, mac, by).await.map_err(for_posp) {
                Ok(done) => {
                    self.host.carried.forget(sn, slot);
                    return Ok(done);
                }
                Err(HostError::Refused(why)) => refusal = why.into(),
                Err(error) => return Err(error),
            }
        }
        Err(refusal)
    }

    fn count_posp(&self, error: &HostError, sn: &str, source: IpAddr) {
        if let HostError::Refused(refusal) = error {
            self.refused_posp.count(source, sn, refusal.code());
        }
    }

    /// The slot's sign-in that waits, as the store has it.
    async fn pending_offer(&self, sn: &Serial, slot: Slot) -> Result<Option<Offered>, HostError> {
        let Some(terminal) = self.store.terminal(sn).await? else { return Ok(None) };
        let Some(pending) = self.store.pending_sign_in(sn, slot).await? else { return Ok(None) };
        let (kinds, keys): (Vec<_>, Vec<_>) = pending.keys.into_iter().unzip();
        let mak = kinds.iter().zip(&keys).find(|(kind, _)| **kind == WorkingKind::Mak);
        let Some((_, mak)) = mak else { return Ok(None) };
        let confirming = Confirming {
            sn: sn.clone(),
            pin_pad: terminal.key_serial().to_string(),
            owner: self.acquirer.id.clone(),
            slot,
            nonce: pending.rnd1,
            mak: KeyBlock::from_text(mak.block.clone()),
            kcvs: keys.iter().map(|key| key.kcv).collect(),
        };
        let suite = match mak.kcv {
            Kcv::Tdes(_) => Suite::TDES,
            Kcv::Aes(_) => Suite::EC_AES,
        };
        let ids = keys.iter().map(|key| key.id).collect();
        Ok(Some(Offered { suite, ids, again: None, kinds, blocks: Vec::new(), confirming }))
    }

    /// The terminal, and the TMK that it names by its check value.
    async fn look_up_tmk<U: HostSuite>(
        &self,
        sign_in: &SignIn<U>,
    ) -> Result<(TerminalRecord, HeldKey), SignInEnd> {
        let (device, slot, suite) = (sign_in.device(), sign_in.slot(), sign_in.suite());
        if suite != U::ID {
            return Err(Reason::SuiteNotSupported { suite }.into());
        }
        let sn = device.sn();
        let Some(terminal) = self.store.terminal(sn).await? else {
            return Err(Reason::UnknownTerminal { sn: sn.clone() }.into());
        };
        if terminal.pin_pad.as_ref() != device.external_pin_pad() || terminal.acquirer != self.acquirer.id {
            return Err(Reason::WrongPinPad { sn: sn.clone(), pin_pad: device.pin_pad().clone() }.into());
        }
        let held = self.store.slot(sn, slot).await?;
        let named = |key: &HeldKey| key.kcv == sign_in.kcv() && key.key_serial == *device.pin_pad();
        let none = held.pending.is_none() && held.active.is_none();
        match held.pending.into_iter().chain(held.active).find(named) {
            Some(tmk) => Ok((terminal, tmk)),
            None if none => Err(Reason::NoTmk { sn: sn.clone(), slot }.into()),
            None => Err(Reason::OtherTmk { sn: sn.clone(), slot }.into()),
        }
    }
}

/// The HSM's keys are those that were asked for.
fn confirming<U: HostSuite>(
    made: &[Released],
    kinds: &[WorkingKind],
    sign_in: &SignIn<U>,
    tmk: &HeldKey,
    owner: &str,
) -> Result<Confirming, Failure> {
    let mak = made.iter().zip(kinds).find(|(_, kind)| **kind == WorkingKind::Mak);
    let mak = mak.filter(|_| made.len() == kinds.len());
    let (mak, _) = mak.ok_or(HsmError::WrongReply("MakeWorkingKeys"))?;
    Ok(Confirming {
        sn: sign_in.device().sn().clone(),
        pin_pad: tmk.key_serial.to_string(),
        owner: owner.to_owned(),
        slot: sign_in.slot(),
        nonce: sign_in.fresh().as_ref().to_vec(),
        mak: mak.block.clone(),
        kcvs: made.iter().map(|key| key.kcv).collect(),
    })
}

/// What a POSP is told of a sign-in that failed: it has proved who it is, and may know.
fn for_posp(end: SignInEnd) -> HostError {
    match end {
        FlowEnd::Failure(failure) => failure.into(),
        FlowEnd::Fault(fault) => match fault.reason {
            Reason::UnknownTerminal { .. } | Reason::WrongPinPad { .. } => HostRefusal::UnknownTerminal,
            Reason::NoTmk { .. } | Reason::OtherTmk { .. } => HostRefusal::NoTmk,
            Reason::SuiteNotSupported { .. } => HostRefusal::Suite,
            Reason::WrongMac => HostRefusal::NotProven,
            Reason::AnotherWon => HostRefusal::NoSignIn,
            Reason::TooMany => HostRefusal::Busy,
            _ => HostRefusal::Internal,
        }
        .into(),
        // There is no line here.
        FlowEnd::Link(_) => HostRefusal::Internal.into(),
    }
}

fn unwritable(error: impl std::fmt::Display) -> HostRefusal {
    tracing::error!(%error, "a message of a sign-in cannot be written");
    HostRefusal::Internal
}
