//! The PIN pad's part of a download from the RKS in suite 01 (2-wire.md section 4, flow C).
//!
//! Every call takes the open download out and puts it back only when all was well. TK serves one RKS_KEYS.

use flows::rks_load::messages::{Done, KeyConfirm, RksAuth, RksCert, RksFactor, RksKeys, RksProof, RksToken};
use flows::rks_load::{IdentityPad, PadRefusal};
use flows::{Loaded, Tdes, Transcript};
use paycrypto::blocks::{self, BlockRefusal, CONTEXT_BYTES};
use paycrypto::keys::RksTk;
use paycrypto::rsa::PublicKey;
use pki::Role;
use wire::{Frame, Kcv, Place as BlockPlace, Slot, Suite};

use super::counters::KeyName;
use super::download::Session;
use super::incoming::{Brought, Incoming, Place};
use super::load::{failed, key_refused, not_permitted, not_proven, own_place, unreadable};
use super::owner::{Owner, OwnerKind};
use super::{Denied, SoftPad};
use crate::life_cycle::Milestone;
use crate::{CheckedKey, PinPad};

/// Where a key block has its usage (X9.143: after version and length).
pub(super) const USAGE: std::ops::Range<usize> = 5..7;

/// Where an open download is.
pub(super) enum IdentitySession {
    /// It was begun for this slot.
    Begun(Slot),
    /// The factor was given out under this key; over RKS_AUTH and RKS_CERT goes `transcript`.
    Factored { key: PublicKey, df20: Vec<u8>, transcript: Transcript },
    /// AT, TK2 and TK's hash were given out; over the four frames before goes `transcript`.
    Proven { tk: RksTk, df22: Vec<u8>, transcript: Transcript },
    /// The keys are stored.
    Keyed { places: Vec<Place>, kcvs: Vec<Kcv> },
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

    fn factor(&mut self, key: &CheckedKey, auth: &Frame, cert: &Frame) -> Result<RksFactor, PadRefusal> {
        let IdentitySession::Begun(slot) = self.take_identity()? else {
            return Err(not_permitted("the factor was given out already"));
        };
        self.identity_owner()?;
        if key.role() != Role::RksWork {
            return Err(self.deny("role", key.role().word(), "this certificate serves no keys").into());
        }
        let said = RksAuth::<Tdes>::read(auth).map_err(unreadable)?;
        if said.suite != Suite::TDES || said.device.pin_pad() != self.serial() || said.slot != slot {
            return Err(not_permitted("RKS_AUTH does not say what this PIN pad began"));
        }
        RksCert::<Tdes>::read(cert).map_err(unreadable)?;
        let Some(identity) = &self.state.tdes.identity else {
            return Err(not_permitted("there is no DIK2"));
        };
        let df20 = key.public_key().oaep_encrypt(&identity.factor).map_err(failed)?;
        let key = PublicKey::from_spki(key.public_key().spki_der()).map_err(failed)?;
        let mut transcript = Transcript::new();
        transcript.push(auth);
        transcript.push(cert);
        let session = IdentitySession::Factored { key, df20: df20.clone(), transcript };
        self.session = Session::Identity(Box::new(session));
        Ok(RksFactor { factor_ciphertext: df20 })
    }

    fn proof(&mut self, factor: &Frame, token: &Frame) -> Result<RksProof, PadRefusal> {
        let IdentitySession::Factored { key, df20, mut transcript } = self.take_identity()? else {
            return Err(not_permitted("no factor was given out in this download"));
        };
        self.identity_owner()?;
        if RksFactor::read(factor).map_err(unreadable)?.factor_ciphertext != df20 {
            return Err(not_permitted("RKS_FACTOR does not say what this PIN pad gave"));
        }
        transcript.push(factor);
        let RksToken { at_tk1 } = RksToken::read(token).map_err(unreadable)?;
        let place = BlockPlace::new(self.serial().clone(), own_place()?).to_string();
        let Some(identity) = &self.state.tdes.identity else {
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
        Ok(RksProof { proof_ciphertext: df22 })
    }

    fn keys(&mut self, proof: &Frame, keys: &Frame) -> Result<Loaded, PadRefusal> {
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
        let places: Vec<_> = opened.iter().map(Brought::place).collect();
        let kcvs: Vec<_> = opened.iter().map(Brought::kcv).collect();
        // All of them or none: one change of state.
        self.store_brought(owner, opened)?;
        let session = IdentitySession::Keyed { places, kcvs: kcvs.clone() };
        self.session = Session::Identity(Box::new(session));
        Ok(Loaded::of(kcvs))
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
            places.iter().for_each(|place| Tdes::finish(state, *place));
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
    fn identity_owner(&mut self) -> Result<Owner, PadRefusal> {
        self.may_load()?;
        self.check_suite(KeyName::Dik2, Suite::TDES)?;
        match &self.state.tdes.identity {
            Some(identity) => Ok(self.state.owner_by(OwnerKind::Dik2, Suite::TDES, identity.dik2.expose())),
            None => {
                let why = "there is no DIK2: a key loading device must load it first";
                Err(self.deny("DIK2", "none", why).into())
            }
        }
    }

    pub(super) fn check_slot(&mut self, slot: Slot, owner: &Owner) -> Result<(), Denied> {
        let held = self.state.slot_owner(slot);
        self.check_owner(held, owner, &format!("slot {slot}"))
    }

    /// Opens every key of RKS_KEYS, and looks at where each is to go.
    fn open_all(
        &mut self,
        tk: &RksTk,
        transcript: &Transcript,
        owner: &Owner,
        keys: &Frame,
    ) -> Result<Vec<Brought<Tdes>>, PadRefusal> {
        let RksKeys { blocks, .. } = RksKeys::read::<Tdes>(keys).map_err(unreadable)?;
        let mut before: Vec<&str> = Vec::new();
        let mut opened: Vec<Brought<Tdes>> = Vec::new();
        for block in &blocks {
            let slot = self.slot_of(block)?;
            let key = self.open_key(tk, block, slot, transcript.context_after(&before).as_bytes())?;
            refuse_twice(&opened, &key)?;
            opened.push(key);
            before.push(block);
        }
        for key in &opened {
            self.check_place(key, &opened, owner)?;
            self.check_tmk(key.place(), &opened)?;
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
    ) -> Result<Brought<Tdes>, PadRefusal> {
        Ok(match block.get(USAGE) {
            Some("K1") => Brought::Tmk(slot, self.unwrap(tk, block, slot, context)?),
            Some("P0") => Brought::Pik(slot, self.unwrap(tk, block, slot, context)?),
            Some("M3") => Brought::Mak(slot, self.unwrap(tk, block, slot, context)?),
            Some("D0") => Brought::Tdk(slot, self.unwrap(tk, block, slot, context)?),
            _ => return Err(key_refused(BlockRefusal::Usage)),
        })
    }

    /// Refuses a working key for a slot that has no TMK, and gets none with it.
    pub(super) fn check_tmk<S: Incoming>(&self, place: Place, with: &[Brought<S>]) -> Result<(), PadRefusal> {
        let Some(slot) = place.slot() else { return Ok(()) };
        let comes = with.iter().any(|other| other.place() == Place::Tmk(slot));
        if comes || self.state.slot::<S>(slot).is_some() {
            return Ok(());
        }
        Err(refused(format!("a working key for slot {slot}, which has no TMK")))
    }
}

/// Refuses a second key for one place and use.
pub(super) fn refuse_twice<S: Incoming>(before: &[Brought<S>], key: &Brought<S>) -> Result<(), PadRefusal> {
    match key.place() {
        place if before.iter().any(|other| other.place() == place) => {
            Err(refused(format!("two keys for {} and one use", place.name())))
        }
        _ => Ok(()),
    }
}

fn refused(why: String) -> PadRefusal {
    PadRefusal::KeyRefused { why }
}
