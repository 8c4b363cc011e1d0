//! The PIN pad's part of a download from the RKS in suite 02 (3-hardened.md, "C").
//!
//! Every call takes the open download out and puts it back only when all was well. What was agreed serves one RKS_KEYS.

use flows::rks_load::messages::{RksAuth, RksCert, RksKeys, SealedFactor};
use flows::rks_load::{IdentityPad, PadRefusal};
use flows::suite::{Confirmation, Ephemeral, Part};
use flows::{BoundTranscript, EcAes, FlowLetter, Loaded, Suite as _};
use paycrypto::blocks::{BlockRefusal, CONTEXT_BYTES};
use paycrypto::ec::{FactorKey, Kbpk, Schedule, StaticSecret};
use pki::Role;
use wire::{Frame, MessageType, Proof, Slot, Suite};

use super::SoftPad;
use super::download::Session;
use super::ephemeral::OwnEphemeral;
use super::identity::{USAGE, refuse_twice};
use super::incoming::{Brought, message};
use super::load::{failed, key_refused, not_permitted, not_proven, unreadable};
use super::load_ec::{Receipted, receipted};
use super::owner::{Owner, OwnerKind};
use crate::{CheckedSigner, PinPad};

/// Where an open download of suite 02 is.
pub(super) enum EcIdentitySession {
    /// It was begun for this slot.
    Begun { slot: Slot, own: OwnEphemeral },
    /// The factor was given out, in this RKS_FACTOR; over RKS_AUTH and RKS_CERT goes `transcript`.
    Factored { schedule: Schedule, factor: Frame, transcript: BoundTranscript },
    /// The RKS proved itself, and this RKS_PROOF was given out; over the four frames before goes `transcript`.
    Proven { schedule: Schedule, proof: Frame, transcript: BoundTranscript },
    /// The keys are stored.
    Keyed(Receipted),
}

impl IdentityPad<EcAes> for SoftPad {
    type Key = CheckedSigner;

    fn begin(&mut self, slot: Slot) -> Result<Ephemeral, PadRefusal> {
        self.session = Session::Idle;
        let owner = self.ec_identity_owner()?;
        self.check_slot(slot, &owner)?;
        let own = OwnEphemeral::generate()?;
        let opening = own.public();
        self.keep_identity(EcIdentitySession::Begun { slot, own });
        Ok(opening)
    }

    fn factor(
        &mut self,
        key: &CheckedSigner,
        auth: &Frame,
        cert: &Frame,
    ) -> Result<SealedFactor, PadRefusal> {
        let EcIdentitySession::Begun { slot, own } = self.take_ec_identity()? else {
            return Err(not_permitted("the factor was given out already"));
        };
        self.ec_identity_owner()?;
        if key.role() != Role::RksSigning {
            return Err(self.deny("role", key.role().word(), "this certificate serves no keys").into());
        }
        let said = RksAuth::<EcAes>::read(auth).map_err(unreadable)?;
        let own_words = said.suite == EcAes::ID
            && said.device.pin_pad() == self.serial()
            && said.slot == slot
            && said.opening == own.public();
        if !own_words {
            return Err(not_permitted("RKS_AUTH does not say what this PIN pad began"));
        }
        let RksCert { answer, .. } = RksCert::<EcAes>::read(cert).map_err(unreadable)?;
        let mut transcript = BoundTranscript::new(FlowLetter::RksLoad);
        transcript.push(auth);
        let th12 = transcript.th_without(cert, Proof::Signature)?;
        let signed = key.signed(th12.as_bytes(), &answer.signature.0);
        let proven = signed.then_some(()).ok_or_else(|| {
            not_proven("RKS_CERT is not signed by the certificate's key over this download".into())
        });
        self.recorded("RKS_CERT", proven)?;
        transcript.push(cert);
        let z = own.agree(&answer.ephemeral)?;
        let nonces = own.opening(&answer.ephemeral);
        let Some(identity) = &self.state.ec_aes.identity else {
            return Err(not_permitted("there is no DIK2"));
        };
        let (dik2, factor) = identity.in_use();
        let sealed = FactorKey::derive(&z, &nonces, th12.as_bytes()).seal(factor).map_err(failed)?;
        let schedule = Schedule::new(&StaticSecret::RksLoad(dik2), &z, &nonces, th12.as_bytes());
        let sealed = SealedFactor(sealed);
        let factor = message(MessageType::RksFactor, &sealed).map_err(failed)?;
        self.keep_identity(EcIdentitySession::Factored { schedule, factor, transcript });
        Ok(sealed)
    }

    fn proof(&mut self, factor: &Frame, token: &Frame) -> Result<Confirmation, PadRefusal> {
        let EcIdentitySession::Factored { schedule, factor: own, mut transcript } =
            self.take_ec_identity()?
        else {
            return Err(not_permitted("no factor was given out in this download"));
        };
        self.ec_identity_owner()?;
        if *factor != own {
            return Err(not_permitted("RKS_FACTOR does not say what this PIN pad gave"));
        }
        transcript.push(factor);
        let told = Confirmation::read(&EcAes::read(token, MessageType::RksToken).map_err(unreadable)?)?;
        let th = transcript.th_without(token, Proof::Confirmation)?;
        let confirmed = schedule.server_confirm().confirms(th.as_bytes(), &told.0);
        let proven = confirmed.then_some(()).ok_or_else(|| {
            not_proven("RKS_TOKEN's confirmation is wrong: the server does not know DIK2".into())
        });
        self.recorded("RKS_TOKEN", proven)?;
        transcript.push(token);
        let bare = message(MessageType::RksProof, &()).map_err(failed)?;
        let th = transcript.th_before_proof(&bare);
        let confirmation = Confirmation(schedule.terminal_confirm().confirm(th.as_bytes()));
        let proof = message(MessageType::RksProof, &confirmation).map_err(failed)?;
        self.keep_identity(EcIdentitySession::Proven { schedule, proof, transcript });
        Ok(confirmation)
    }

    fn keys(&mut self, proof: &Frame, keys: &Frame) -> Result<Loaded<EcAes>, PadRefusal> {
        let EcIdentitySession::Proven { schedule, proof: own, mut transcript } = self.take_ec_identity()?
        else {
            return Err(not_permitted("no RKS has proved itself in this download"));
        };
        let owner = self.ec_identity_owner()?;
        if *proof != own {
            return Err(not_permitted("RKS_PROOF does not say what this PIN pad gave"));
        }
        transcript.push(proof);
        let opened = self.open_every(&schedule.kbpk(), &transcript, &owner, keys);
        let brought = self.recorded("RKS_KEYS", opened)?;
        transcript.push(keys);
        let (receipted, loaded) = receipted(schedule, transcript, &brought)?;
        // All of them or none: one change of state.
        self.store_brought(owner, brought)?;
        self.keep_identity(EcIdentitySession::Keyed(receipted));
        Ok(loaded)
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let EcIdentitySession::Keyed(receipted) = self.take_ec_identity()? else {
            return Err(not_permitted("no key was loaded in this download"));
        };
        self.end(receipted, confirm, done)
    }

    fn forget(&mut self) {
        if matches!(self.session, Session::IdentityEc(_)) {
            self.session = Session::Idle;
        }
    }
}

impl SoftPad {
    fn keep_identity(&mut self, session: EcIdentitySession) {
        self.session = Session::IdentityEc(Box::new(session));
    }

    fn take_ec_identity(&mut self) -> Result<EcIdentitySession, PadRefusal> {
        match self.take_session() {
            Session::IdentityEc(session) => Ok(*session),
            _ => Err(not_permitted("no download from the RKS was begun")),
        }
    }

    /// Whom DIK2 makes the owner of what it brings, if keys may be loaded by it now.
    fn ec_identity_owner(&mut self) -> Result<Owner, PadRefusal> {
        self.may_load()?;
        match &self.state.ec_aes.identity {
            Some(identity) => {
                let (dik2, _) = identity.in_use();
                Ok(self.state.owner_by(OwnerKind::Dik2, Suite::EC_AES, dik2.expose()))
            }
            None => {
                let why = "there is no DIK2 of suite 02: a key loading device must load it first";
                Err(self.deny("DIK2", "none", why).into())
            }
        }
    }

    /// Opens every key of RKS_KEYS, and looks at where each is to go.
    fn open_every(
        &mut self,
        kbpk: &Kbpk,
        transcript: &BoundTranscript,
        owner: &Owner,
        keys: &Frame,
    ) -> Result<Vec<Brought<EcAes>>, PadRefusal> {
        let RksKeys { blocks, .. } = RksKeys::read::<EcAes>(keys).map_err(unreadable)?;
        let mut before: Vec<&str> = Vec::new();
        let mut brought: Vec<Brought<EcAes>> = Vec::new();
        for block in &blocks {
            let slot = self.slot_of(block)?;
            let key =
                self.open_by_usage(kbpk, block, slot, transcript.context_after(&before).as_bytes(), owner)?;
            refuse_twice(&brought, &key)?;
            brought.push(key);
            before.push(block);
        }
        for key in &brought {
            self.check_place(key, &brought, owner)?;
            self.check_tmk(key.place(), &brought)?;
        }
        Ok(brought)
    }

    /// Opens a block by what it says it is.
    fn open_by_usage(
        &self,
        kbpk: &Kbpk,
        block: &str,
        slot: Slot,
        context: &[u8; CONTEXT_BYTES],
        owner: &Owner,
    ) -> Result<Brought<EcAes>, PadRefusal> {
        Ok(match block.get(USAGE) {
            Some("K1") => Brought::Tmk(slot, self.unwrap_tmk(kbpk, block, slot, context, owner)?),
            Some("P0") => Brought::Pik(slot, self.unwrap_ec(kbpk, block, slot, context)?),
            Some("M6") => Brought::Mak(slot, self.unwrap_ec(kbpk, block, slot, context)?),
            Some("D0") => Brought::Tdk(slot, self.unwrap_ec(kbpk, block, slot, context)?),
            _ => return Err(key_refused(BlockRefusal::Usage)),
        })
    }
}
