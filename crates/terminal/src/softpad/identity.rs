//! The PIN pad's part of a download from the RKS (2-wire.md section 4, flow C).
//!
//! Every call takes the open download out and puts it back only when all was well. TK serves one RKS_KEYS.

use flows::Transcript;
use flows::rks_load::messages::{Done, KeyConfirm, RksAuth, RksCert, RksFactor, RksKeys, RksProof, RksToken};
use flows::rks_load::{IdentityPad, PadRefusal};
use paycrypto::blocks::{self, BlockRefusal, CONTEXT_BYTES};
use paycrypto::keys::{Mak, Pik, RksTk, Tdk, Tmk};
use paycrypto::rsa::PublicKey;
use pki::Role;
use wire::{Frame, Kcv, Place, Slot, Suite};

use super::download::Session;
use super::load::{failed, key_refused, not_permitted, not_proven, own_place, put_tmk, unreadable};
use super::separation::{KeyUse, Named, refuse_twin};
use super::slot_keys::{Held, Owner, OwnerKind, take};
use super::{Denied, PadState, SoftPad};
use crate::life_cycle::Milestone;
use crate::{CheckedKey, PinPad};

/// Where a key block has its usage (X9.143: after version and length).
const USAGE: std::ops::Range<usize> = 5..7;

/// Where an open download is.
pub(super) enum IdentitySession {
    /// It was begun for this slot.
    Begun(Slot),
    /// The factor was given out under this key; over RKS_AUTH and RKS_CERT goes `transcript`.
    Factored { key: PublicKey, df20: Vec<u8>, transcript: Transcript },
    /// AT, TK2 and TK's hash were given out; over the four frames before goes `transcript`.
    Proven { tk: RksTk, df22: Vec<u8>, transcript: Transcript },
    /// The keys are stored.
    Keyed { places: Vec<(Slot, Use)>, kcvs: Vec<Kcv> },
}

/// What a key of RKS_KEYS is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Use {
    Tmk,
    Pik,
    Mak,
    Tdk,
}

/// A key of RKS_KEYS, opened.
enum Opened {
    Tmk(Tmk),
    Pik(Pik),
    Mak(Mak),
    Tdk(Tdk),
}

impl Opened {
    fn used_as(&self) -> Use {
        match self {
            Opened::Tmk(_) => Use::Tmk,
            Opened::Pik(_) => Use::Pik,
            Opened::Mak(_) => Use::Mak,
            Opened::Tdk(_) => Use::Tdk,
        }
    }

    fn named(&self) -> Named<'_> {
        match self {
            Opened::Tmk(key) => (KeyUse::Tmk, key.expose()),
            Opened::Pik(key) => (KeyUse::Pik, key.expose()),
            Opened::Mak(key) => (KeyUse::Mak, key.expose()),
            Opened::Tdk(key) => (KeyUse::Tdk, key.expose()),
        }
    }

    fn kcv(&self) -> Kcv {
        Kcv::Tdes(match self {
            Opened::Tmk(key) => key.kcv(),
            Opened::Pik(key) => key.kcv(),
            Opened::Mak(key) => key.kcv(),
            Opened::Tdk(key) => key.kcv(),
        })
    }
}

impl IdentityPad for SoftPad {
    type Key = CheckedKey;

    fn begin(&mut self, slot: Slot) -> Result<(), PadRefusal> {
        self.session = Session::Idle;
        let owner = self.identity_owner()?;
        self.check_slot(slot, &owner)?;
        self.session = Session::Identity(Box::new(IdentitySession::Begun(slot)));
        Ok(())
    }

    fn factor(&mut self, key: &CheckedKey, auth: &Frame, cert: &Frame) -> Result<Vec<u8>, PadRefusal> {
        let IdentitySession::Begun(slot) = self.take_identity()? else {
            return Err(not_permitted("the factor was given out already"));
        };
        self.identity_owner()?;
        if key.role() != Role::RksWork {
            return Err(self.deny("role", key.role().word(), "this certificate serves no keys").into());
        }
        let said = RksAuth::read(auth).map_err(unreadable)?;
        if said.suite != Suite::TDES || said.device.pin_pad() != self.serial() || said.slot != slot {
            return Err(not_permitted("RKS_AUTH does not say what this PIN pad began"));
        }
        RksCert::read(cert).map_err(unreadable)?;
        let Some(identity) = &self.state.identity else {
            return Err(not_permitted("there is no DIK2"));
        };
        let df20 = key.public_key().oaep_encrypt(&identity.factor).map_err(failed)?;
        let key = PublicKey::from_spki(key.public_key().spki_der()).map_err(failed)?;
        let mut transcript = Transcript::new();
        transcript.push(auth);
        transcript.push(cert);
        let session = IdentitySession::Factored { key, df20: df20.clone(), transcript };
        self.session = Session::Identity(Box::new(session));
        Ok(df20)
    }

    fn proof(&mut self, factor: &Frame, token: &Frame) -> Result<Vec<u8>, PadRefusal> {
        let IdentitySession::Factored { key, df20, mut transcript } = self.take_identity()? else {
            return Err(not_permitted("no factor was given out in this download"));
        };
        self.identity_owner()?;
        if RksFactor::read(factor).map_err(unreadable)?.factor_ciphertext != df20 {
            return Err(not_permitted("RKS_FACTOR does not say what this PIN pad gave"));
        }
        transcript.push(factor);
        let RksToken { at_tk1 } = RksToken::read(token).map_err(unreadable)?;
        let place = Place::new(self.serial().clone(), own_place()?).to_string();
        let Some(identity) = &self.state.identity else {
            return Err(not_permitted("there is no DIK2"));
        };
        let opened = blocks::unwrap_token(&identity.dik2, &at_tk1, &place, transcript.context().as_bytes())
            .map_err(|refusal| not_proven(refusal.to_string()));
        let opened = self.recorded("RKS_TOKEN", opened)?;
        let proof = opened.prove().map_err(failed)?;
        let df22 = key.oaep_encrypt(proof.clear()).map_err(failed)?;
        transcript.push(token);
        let session = IdentitySession::Proven { tk: proof.into_tk(), df22: df22.clone(), transcript };
        self.session = Session::Identity(Box::new(session));
        Ok(df22)
    }

    fn keys(&mut self, proof: &Frame, keys: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
        let IdentitySession::Proven { tk, df22, mut transcript } = self.take_identity()? else {
            return Err(not_permitted("no RKS has proved itself in this download"));
        };
        let owner = self.identity_owner()?;
        if RksProof::read(proof).map_err(unreadable)?.proof_ciphertext != df22 {
            return Err(not_permitted("RKS_PROOF does not say what this PIN pad gave"));
        }
        transcript.push(proof);
        let opened = self.open_all(&tk, &transcript, &owner, keys);
        let opened = self.recorded("RKS_KEYS", opened)?;
        let places: Vec<_> = opened.iter().map(|(slot, key)| (*slot, key.used_as())).collect();
        let kcvs: Vec<_> = opened.iter().map(|(_, key)| key.kcv()).collect();
        // All of them or none: one change of state.
        self.change(|state| store(state, owner, opened)).map_err(Denied::from)?;
        let session = IdentitySession::Keyed { places, kcvs: kcvs.clone() };
        self.session = Session::Identity(Box::new(session));
        Ok(kcvs)
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let IdentitySession::Keyed { places, kcvs } = self.take_identity()? else {
            return Err(not_permitted("no key was loaded in this download"));
        };
        if KeyConfirm::read(confirm).map_err(unreadable)?.kcvs != kcvs {
            return Err(not_permitted("KEY_CONFIRM does not name the keys that were loaded"));
        }
        Done::read(done).map_err(unreadable)?;
        self.may_load()?;
        self.change(|state| {
            state.pass(Milestone::KeyDone);
            for (slot, used_as) in &places {
                finish(state, *slot, *used_as);
            }
        })
        .map_err(Denied::from)?;
        Ok(())
    }

    fn forget(&mut self) {
        if matches!(self.session, Session::Identity(_)) {
            self.session = Session::Idle;
        }
    }
}

impl SoftPad {
    fn take_identity(&mut self) -> Result<IdentitySession, PadRefusal> {
        match self.take_session() {
            Session::Identity(session) => Ok(*session),
            _ => Err(not_permitted("no download from the RKS was begun")),
        }
    }

    /// Whom DIK2 makes the owner of what it brings, if keys may be loaded by it now.
    fn identity_owner(&mut self) -> Result<Owner, Denied> {
        self.may_load()?;
        match &self.state.identity {
            Some(identity) => Ok(self.state.owner_by(OwnerKind::Dik2, Suite::TDES, identity.dik2.expose())),
            None => {
                Err(self.deny("DIK2", "none", "there is no DIK2: a key loading device must load it first"))
            }
        }
    }

    pub(super) fn check_slot(&mut self, slot: Slot, owner: &Owner) -> Result<(), Denied> {
        let held = self.state.slots.get(&slot).map(|keys| keys.owner);
        self.check_owner(held, owner, &format!("slot {slot}"))
    }

    /// Opens every key of RKS_KEYS, and looks at where each is to go.
    fn open_all(
        &mut self,
        tk: &RksTk,
        transcript: &Transcript,
        owner: &Owner,
        keys: &Frame,
    ) -> Result<Vec<(Slot, Opened)>, PadRefusal> {
        let RksKeys { blocks, .. } = RksKeys::read(keys).map_err(unreadable)?;
        let mut before: Vec<&str> = Vec::new();
        let mut opened: Vec<(Slot, Opened)> = Vec::new();
        for block in &blocks {
            let slot = self.slot_of(block)?;
            let key = self.open_key(tk, block, slot, transcript.context_after(&before).as_bytes())?;
            if opened.iter().any(|(other, held)| (*other, held.used_as()) == (slot, key.used_as())) {
                return Err(refused(format!("two keys for slot {slot} and one use")));
            }
            opened.push((slot, key));
            before.push(block);
        }
        for (slot, key) in &opened {
            self.check_slot(*slot, owner)?;
            let with_tmk = self.state.slots.contains_key(slot)
                || opened.iter().any(|(other, held)| other == slot && held.used_as() == Use::Tmk);
            if !with_tmk {
                return Err(refused(format!("a {:?} for slot {slot}, which has no TMK", key.used_as())));
            }
            let beside = opened.iter().filter(|(other, _)| other == slot).map(|(_, key)| key.named());
            refuse_twin(key.named(), self.state.held_beside(Some(*slot)).into_iter().chain(beside))?;
        }
        Ok(opened)
    }

    /// Opens a block by what it says it is.
    fn open_key(
        &self,
        tk: &RksTk,
        block: &str,
        slot: Slot,
        context: &[u8; CONTEXT_BYTES],
    ) -> Result<Opened, PadRefusal> {
        Ok(match block.get(USAGE) {
            Some("K1") => Opened::Tmk(self.unwrap(tk, block, slot, context)?),
            Some("P0") => Opened::Pik(self.unwrap(tk, block, slot, context)?),
            Some("M3") => Opened::Mak(self.unwrap(tk, block, slot, context)?),
            Some("D0") => Opened::Tdk(self.unwrap(tk, block, slot, context)?),
            _ => return Err(key_refused(BlockRefusal::Usage)),
        })
    }
}

fn store(state: &mut PadState, owner: Owner, opened: Vec<(Slot, Opened)>) {
    // TMKs first: a working key needs its slot, whatever the order in the message.
    let (tmks, working): (Vec<_>, Vec<_>) =
        opened.into_iter().partition(|(_, key)| key.used_as() == Use::Tmk);
    for (slot, key) in tmks.into_iter().chain(working) {
        if let Opened::Tmk(tmk) = key {
            put_tmk(state, slot, owner, tmk);
        } else if let Some(keys) = state.slots.get_mut(&slot) {
            match key {
                Opened::Pik(pik) => take(&mut keys.working.pik, pik),
                Opened::Mak(mak) => take(&mut keys.working.mak, mak),
                Opened::Tdk(tdk) => take(&mut keys.working.tdk, tdk),
                Opened::Tmk(_) => {}
            }
        }
    }
}

fn finish(state: &mut PadState, slot: Slot, used_as: Use) {
    let Some(keys) = state.slots.get_mut(&slot) else { return };
    match used_as {
        Use::Tmk => keys.tmk.finish(),
        Use::Pik => keys.working.pik.iter_mut().for_each(Held::finish),
        Use::Mak => keys.working.mak.iter_mut().for_each(Held::finish),
        Use::Tdk => keys.working.tdk.iter_mut().for_each(Held::finish),
    }
}

fn refused(why: String) -> PadRefusal {
    PadRefusal::KeyRefused { why }
}
