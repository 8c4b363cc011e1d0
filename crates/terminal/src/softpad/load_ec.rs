//! The PIN pad's part of a local loading in suite 02 (3-hardened.md, "B").
//!
//! Every call takes the open loading out and puts it back only when all was well. What was agreed serves one KLD_KEY, good
//! or bad.

use flows::local_load::messages::{DeviceAnswer, KldAccept, KldConnect, SignedKey};
use flows::local_load::{LoadPad, PadRefusal};
use flows::suite::{Part, Receipt, Signature};
use flows::{BoundTranscript, EcAes, FlowLetter, Loaded, Suite as _};
use paycrypto::blocks::BlockRefusal;
use paycrypto::ec::blocks::{self, BlockKey, LoadCounter, Protects};
use paycrypto::ec::{Kbpk, LoadedKey, Schedule, StaticSecret, keys};
use pki::Role;
use wire::{Device, Frame, Kcv, MessageType, Place as BlockPlace, Proof, Slot, Suite};
use zeroize::Zeroizing;

use super::download::Session;
use super::ephemeral::OwnEphemeral;
use super::incoming::{Brought, Incoming, Place, key_confirm};
use super::load::{failed, key_refused, not_permitted, not_proven, own_place, unreadable};
use super::owner::{Owner, OwnerKind};
use super::{Denied, SoftPad};
use crate::life_cycle::Milestone;
use crate::{CheckedSigner, PinPad};

/// Where an open loading of suite 02 is.
pub(super) enum LoadSession {
    /// KLD_ACCEPT was signed.
    Accepted(Accepted),
    /// The key is stored.
    Keyed(Receipted),
}

/// What KLD_ACCEPT agreed.
pub(super) struct Accepted {
    kld: CheckedSigner,
    owner: Owner,
    schedule: Schedule,
    /// KLD_ACCEPT as it leaves.
    accept: Frame,
    /// Over KLD_CONNECT.
    transcript: BoundTranscript,
}

/// Keys that were stored and confirmed; DONE's receipt is to come.
pub(super) struct Receipted {
    pub(super) schedule: Schedule,
    /// Over all frames before KEY_CONFIRM.
    pub(super) transcript: BoundTranscript,
    /// KEY_CONFIRM as it leaves.
    pub(super) confirm: Frame,
    pub(super) places: Vec<Place>,
    pub(super) loaded: Vec<LoadedKey>,
}

impl LoadPad<EcAes> for SoftPad {
    type Key = CheckedSigner;

    fn accept(
        &mut self,
        key: &CheckedSigner,
        connect: &Frame,
        device: &Device,
    ) -> Result<DeviceAnswer, PadRefusal> {
        self.session = Session::Idle;
        self.may_load()?;
        if key.role() != Role::Downloader {
            return Err(self.deny("role", key.role().word(), "this certificate loads no keys").into());
        }
        if device.pin_pad() != self.serial() {
            return Err(not_permitted("KLD_ACCEPT would name another PIN pad"));
        }
        let said = KldConnect::<EcAes>::read(connect).map_err(unreadable)?;
        if said.suite != EcAes::ID {
            return Err(not_permitted("KLD_CONNECT names another suite"));
        }
        let own = OwnEphemeral::generate()?;
        let z = own.agree(&said.opening)?;
        let Some((signing, certificate)) = self.state.certified() else {
            let why = "the PIN pad's device key has no certificate: its vendor must certify it first";
            return Err(self.deny("device-certificate", "none", why).into());
        };
        let mut transcript = BoundTranscript::new(FlowLetter::LocalLoad);
        transcript.push(connect);
        let bare = DeviceAnswer::bare(device, &own.public(), certificate).map_err(failed)?;
        let th12 = transcript.th_before_proof(&bare);
        let signature = Signature(signing.sign_transcript(th12.as_bytes()).map_err(failed)?);
        let answer = DeviceAnswer { ephemeral: own.public(), certificate: certificate.to_vec(), signature };
        let accept =
            KldAccept::<EcAes> { device: device.clone(), answer: answer.clone() }.write().map_err(failed)?;
        let nonces = own.answering(&said.opening);
        let schedule = Schedule::new(&StaticSecret::LocalLoad, &z, &nonces, th12.as_bytes());
        let owner = self.state.owner_by(OwnerKind::Root, Suite::EC_AES, &key.root());
        let open = Accepted { kld: key.clone(), owner, schedule, accept, transcript };
        self.session = Session::LoadEc(Box::new(LoadSession::Accepted(open)));
        Ok(answer)
    }

    fn load(&mut self, accept: &Frame, key: &Frame) -> Result<Loaded<EcAes>, PadRefusal> {
        let Session::LoadEc(session) = self.take_session() else {
            return Err(not_permitted("no loading was begun"));
        };
        let LoadSession::Accepted(open) = *session else {
            return Err(not_permitted("this loading has its key already"));
        };
        self.may_load()?;
        if *accept != open.accept {
            return Err(not_permitted("KLD_ACCEPT does not say what this PIN pad gave"));
        }
        let opened = self.open_signed(&open, key);
        let brought = self.recorded("KLD_KEY", opened)?;
        let Accepted { owner, schedule, accept, mut transcript, .. } = open;
        transcript.push(&accept);
        transcript.push(key);
        let kept = self.check_place(&brought, &[], &owner);
        self.recorded("KLD_KEY", kept)?;
        let (receipted, loaded) = receipted(schedule, transcript, std::slice::from_ref(&brought))?;
        self.store_brought(owner, vec![brought])?;
        self.session = Session::LoadEc(Box::new(LoadSession::Keyed(receipted)));
        Ok(loaded)
    }

    fn loaded(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let Session::LoadEc(session) = self.take_session() else {
            return Err(not_permitted("no loading was begun"));
        };
        let LoadSession::Keyed(receipted) = *session else {
            return Err(not_permitted("no key was loaded"));
        };
        self.end(receipted, confirm, done)
    }
}

impl SoftPad {
    /// Verifies the KLD's signature over all three messages, and opens the block by what it says it is.
    fn open_signed(&self, open: &Accepted, key: &Frame) -> Result<Brought<EcAes>, PadRefusal> {
        let mut transcript = open.transcript.clone();
        transcript.push(&open.accept);
        let fields = EcAes::read(key, MessageType::KldKey).map_err(unreadable)?;
        let signed = SignedKey::read(&fields)?;
        let th = transcript.th_without(key, Proof::Signature)?;
        if !open.kld.signed(th.as_bytes(), &signed.signature.0) {
            return Err(not_proven(
                "KLD_KEY is not signed by the certificate's key over this loading".into(),
            ));
        }
        let (kbpk, context) = (open.schedule.kbpk(), transcript.context());
        let usage = signed.usage().map(str::to_owned);
        let SignedKey { factor, block, .. } = signed;
        Ok(match (usage.as_deref(), factor) {
            (Some("K1"), None) => {
                let slot = self.slot_of(&block)?;
                Brought::Tmk(slot, self.unwrap_tmk(&kbpk, &block, slot, context.as_bytes(), &open.owner)?)
            }
            (Some("11"), None) => {
                Brought::Dmk(self.unwrap_ec(&kbpk, &block, own_place()?, context.as_bytes())?)
            }
            (Some("12"), Some(factor)) => {
                let dik2 = self.unwrap_ec(&kbpk, &block, own_place()?, context.as_bytes())?;
                Brought::Dik2(dik2, Zeroizing::new(factor))
            }
            _ => return Err(key_refused(BlockRefusal::Usage)),
        })
    }

    /// Opens a block of suite 02 for a place of this PIN pad.
    pub(super) fn unwrap_ec<K: BlockKey, U: Protects<K>>(
        &self,
        under: &U,
        block: &str,
        slot: Slot,
        context: &[u8; paycrypto::blocks::CONTEXT_BYTES],
    ) -> Result<K, PadRefusal> {
        let place = BlockPlace::new(self.serial().clone(), slot).to_string();
        blocks::unwrap(under, block, &place, context).map_err(key_refused)
    }

    /// Opens a TMK's block, whose load counter must follow the one that this owner's last key for the slot had.
    pub(super) fn unwrap_tmk(
        &self,
        kbpk: &Kbpk,
        block: &str,
        slot: Slot,
        context: &[u8; paycrypto::blocks::CONTEXT_BYTES],
        owner: &Owner,
    ) -> Result<(keys::Tmk, LoadCounter), PadRefusal> {
        let place = BlockPlace::new(self.serial().clone(), slot).to_string();
        let opened = |stored| blocks::unwrap_tmk(kbpk, block, &place, context, stored);
        opened(self.state.load_counter(slot, owner))
            .or_else(|refusal| match self.state.counters.left_by_another(slot, owner) {
                Some(left) => opened(left),
                None => Err(refusal),
            })
            .map_err(key_refused)
    }

    /// Verifies DONE's receipt; only then the keys before these go, and no lower suite is taken for them any more.
    pub(super) fn end(&mut self, keyed: Receipted, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let Receipted { schedule, mut transcript, confirm: own, places, loaded } = keyed;
        if *confirm != own {
            return Err(not_permitted("KEY_CONFIRM does not say what this PIN pad gave"));
        }
        transcript.push(confirm);
        let receipt = Receipt::read(&EcAes::read(done, MessageType::Done).map_err(unreadable)?)?;
        self.may_load()?;
        let th = transcript.th();
        let right = schedule.receipt_server().acknowledges(th.as_bytes(), &loaded, &receipt.0);
        let proven = right.then_some(()).ok_or_else(|| {
            not_proven("DONE's receipt is wrong: the other side has not heard KEY_CONFIRM".into())
        });
        self.recorded("DONE", proven)?;
        self.change(|state| {
            state.pass(Milestone::KeyDone);
            places.iter().for_each(|place| EcAes::finish(state, *place));
        })
        .map_err(Denied::from)?;
        Ok(())
    }
}

/// The receipt for keys that are about to be stored, over a transcript that ends with the message that brought them.
pub(super) fn receipted(
    schedule: Schedule,
    transcript: BoundTranscript,
    brought: &[Brought<EcAes>],
) -> Result<(Receipted, Loaded<EcAes>), PadRefusal> {
    let kcvs: Vec<Kcv> = brought.iter().map(Brought::kcv).collect();
    let loaded: Vec<LoadedKey> = brought
        .iter()
        .map(|key| match key.kcv() {
            Kcv::Aes(kcv) => Ok(LoadedKey { index: key.place().index(), kcv }),
            Kcv::Tdes(_) => Err(failed("a key of suite 02 has a check value of suite 01")),
        })
        .collect::<Result<_, _>>()?;
    let receipt = schedule.receipt_terminal().receipt(transcript.th().as_bytes(), &loaded);
    let confirm = key_confirm(receipt).map_err(failed)?;
    let places = brought.iter().map(Brought::place).collect();
    let receipted = Receipted { schedule, transcript, confirm, places, loaded };
    Ok((receipted, Loaded { kcvs, confirmation: Receipt(receipt) }))
}
