//! The PIN pad's part of a local loading in suite 01 (2-wire.md section 4, flow B).
//!
//! Every call takes the open loading out and puts it back only when all was well. Rnd1 and Rnd2 serve one KLD_KEY, good
//! or bad.

use flows::local_load::messages::{
    Done, KeyConfirm, KldAccept, KldConnect, KldKey, RND1, RND2, Randoms, SignedFields,
};
use flows::local_load::{LoadPad, PadRefusal};
use flows::{Loaded, ProtocolError, Tdes, Transcript};
use paycrypto::blocks::{self, BlockKey, BlockRefusal, Protects};
use paycrypto::keys::Rnd1;
use paycrypto::rsa::PublicKey;
use pki::Role;
use subtle::ConstantTimeEq;
use wire::{Device, Frame, Kcv, Place as BlockPlace, Slot, Suite};
use zeroize::Zeroizing;

use super::download::Session;
use super::incoming::{Brought, Incoming, Place};
use super::owner::{Owner, OwnerKind};
use super::{Denied, SoftPad};
use crate::life_cycle::Milestone;
use crate::{CheckedKey, PinPad};

/// Index of the places that are no slots: DMK's and DIK2's (2-wire.md section 4).
const OWN_PLACE: u8 = 0;

/// C_rnd1_rnd2 was given out.
pub(super) struct Accepted {
    pub(super) key: PublicKey,
    pub(super) owner: Owner,
    pub(super) rnd1: Rnd1,
    pub(super) rnd2: Zeroizing<[u8; RND2]>,
    pub(super) c_rnd1_rnd2: Vec<u8>,
    pub(super) transcript: Transcript,
}

impl LoadPad for SoftPad {
    type Key = CheckedKey;

    fn accept(&mut self, key: &CheckedKey, connect: &Frame, _: &Device) -> Result<Randoms, PadRefusal> {
        self.session = Session::Idle;
        self.may_load()?;
        if key.role() != Role::Downloader {
            return Err(self.deny("role", key.role().word(), "this certificate loads no keys").into());
        }
        if KldConnect::<Tdes>::read(connect).map_err(unreadable)?.suite != Suite::TDES {
            return Err(not_permitted("KLD_CONNECT names another suite"));
        }
        let rnd1 = Rnd1::generate().map_err(failed)?;
        let mut rnd2 = Zeroizing::new([0; RND2]);
        paycrypto::random::fill(rnd2.as_mut_slice()).map_err(failed)?;
        let mut clear = Zeroizing::new(Vec::with_capacity(RND1 + RND2));
        clear.extend_from_slice(rnd1.expose());
        clear.extend_from_slice(rnd2.as_slice());
        let c_rnd1_rnd2 = key.public_key().oaep_encrypt(&clear).map_err(failed)?;
        let mut transcript = Transcript::new();
        transcript.push(connect);
        let owner = self.state.owner_by(OwnerKind::Root, Suite::TDES, &key.root());
        let key = PublicKey::from_spki(key.public_key().spki_der()).map_err(failed)?;
        let c = c_rnd1_rnd2.clone();
        self.session =
            Session::LoadAccepted(Box::new(Accepted { key, owner, rnd1, rnd2, c_rnd1_rnd2, transcript }));
        Ok(Randoms { c_rnd1_rnd2: c })
    }

    fn load(&mut self, accept: &Frame, key: &Frame) -> Result<Loaded, PadRefusal> {
        let Session::LoadAccepted(open) = self.take_session() else {
            return Err(not_permitted("no loading was begun"));
        };
        self.may_load()?;
        let loaded = self.open_and_keep(*open, accept, key);
        let (place, kcv) = self.recorded("KLD_KEY", loaded)?;
        self.session = Session::LoadDone { place, kcv };
        Ok(Loaded::of(vec![kcv]))
    }

    fn loaded(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let Session::LoadDone { place, kcv } = self.take_session() else {
            return Err(not_permitted("no key was loaded"));
        };
        if KeyConfirm::read(confirm).map_err(unreadable)?.kcvs != [kcv] {
            return Err(not_permitted("KEY_CONFIRM does not name the key that was loaded"));
        }
        Done::read(done).map_err(unreadable)?;
        self.may_load()?;
        let finish = |state: &mut super::PadState| {
            state.pass(Milestone::KeyDone);
            Tdes::finish(state, place);
        };
        Ok(self.change(finish).map_err(Denied::from)?)
    }
}

impl SoftPad {
    /// Sensors and life cycle, for loading by a KLD or from the RKS.
    pub(super) fn may_load(&mut self) -> Result<(), Denied> {
        self.guard()?;
        let state = self.state.life_cycle;
        if state.may_load_keys() {
            return Ok(());
        }
        Err(self.deny("life-cycle", &state.to_string(), &format!("the terminal is {state}")))
    }

    /// Checks KLD_KEY, opens what it brings and keeps it.
    fn open_and_keep(
        &mut self,
        open: Accepted,
        accept: &Frame,
        key: &Frame,
    ) -> Result<(Place, Kcv), PadRefusal> {
        let Accepted { key: kld, owner, rnd1, rnd2, c_rnd1_rnd2, mut transcript } = open;
        let said = KldAccept::<Tdes>::read(accept).map_err(unreadable)?;
        if said.device.pin_pad() != self.serial() || said.answer.c_rnd1_rnd2 != c_rnd1_rnd2 {
            return Err(not_permitted("KLD_ACCEPT does not say what this PIN pad gave"));
        }
        transcript.push(accept);
        let KldKey { c_ctmk_rnd2 } = KldKey::read(key).map_err(unreadable)?;
        let recovered = kld.type1_recover(&c_ctmk_rnd2).map_err(|error| not_proven(error.to_string()))?;
        let signed = SignedFields::read(&recovered)?;
        if !bool::from(signed.rnd2.ct_eq(rnd2.as_slice())) {
            return Err(not_proven("Rnd2' is not this PIN pad's Rnd2".into()));
        }
        let brought = self.open_brought(&rnd1, signed, transcript.context().as_bytes())?;
        self.check_place(&brought, &[], &owner)?;
        let (place, kcv) = (brought.place(), brought.kcv());
        self.store_brought(owner, vec![brought])?;
        Ok((place, kcv))
    }

    /// Opens the block by what it says it is.
    fn open_brought(
        &self,
        rnd1: &Rnd1,
        signed: SignedFields,
        context: &[u8; blocks::CONTEXT_BYTES],
    ) -> Result<Brought<Tdes>, PadRefusal> {
        let usage = signed.usage().map(str::to_owned);
        let SignedFields { block, factor, .. } = signed;
        Ok(match (usage.as_deref(), factor) {
            (Some("K1"), None) => {
                let slot = self.slot_of(&block)?;
                Brought::Tmk(slot, self.unwrap(rnd1, &block, slot, context)?)
            }
            (Some("11"), None) => Brought::Dmk(self.unwrap(rnd1, &block, own_place()?, context)?),
            (Some("12"), Some(factor)) => {
                Brought::Dik2(self.unwrap(rnd1, &block, own_place()?, context)?, Zeroizing::new(factor))
            }
            _ => return Err(key_refused(BlockRefusal::Usage)),
        })
    }

    /// The slot that a block names in its place, which must be one of this PIN pad's.
    pub(super) fn slot_of(&self, block: &str) -> Result<Slot, PadRefusal> {
        let (header, _) = keyblock::Header::parse(block).map_err(|error| key_refused(error.into()))?;
        let index = header.optional.first().and_then(|place| {
            place.text().strip_prefix(self.serial().as_str())?.strip_prefix('/')?.parse().ok()
        });
        index.and_then(|index: u8| Slot::new(index).ok()).ok_or_else(|| key_refused(BlockRefusal::Place))
    }

    /// Opens a block for a place of this PIN pad.
    pub(super) fn unwrap<K: BlockKey, U: Protects<K>>(
        &self,
        under: &U,
        block: &str,
        slot: Slot,
        context: &[u8; blocks::CONTEXT_BYTES],
    ) -> Result<K, PadRefusal> {
        let place = BlockPlace::new(self.serial().clone(), slot).to_string();
        blocks::unwrap(under, block, &place, context).map_err(key_refused)
    }
}

/// Index 00, where DMK, DIK2 and AT ‖ TK1 belong.
pub(super) fn own_place() -> Result<Slot, PadRefusal> {
    Ok(Slot::new(OWN_PLACE)?)
}

pub(super) fn not_permitted(why: impl Into<String>) -> PadRefusal {
    PadRefusal::NotPermitted { why: why.into() }
}

pub(super) fn not_proven(why: String) -> PadRefusal {
    PadRefusal::ServerNotProven { why }
}

pub(super) fn key_refused(refusal: BlockRefusal) -> PadRefusal {
    PadRefusal::KeyRefused { why: refusal.to_string() }
}

pub(super) fn failed(error: impl std::fmt::Display) -> PadRefusal {
    PadRefusal::Failed { why: error.to_string() }
}

/// A frame that is not the message of its step: malformed, or handed in by an application that lost its order.
pub(super) fn unreadable(error: ProtocolError) -> PadRefusal {
    match error {
        ProtocolError::Malformed(malformed) => PadRefusal::Malformed(malformed),
        other => not_permitted(other.to_string()),
    }
}
