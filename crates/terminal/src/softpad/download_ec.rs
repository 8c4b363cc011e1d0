//! The PIN pad's part of a TMK download in suite 02 (3-hardened.md, "A, downloading").
//!
//! As in suite 01 each step is tried once, and a refusal ends the download. Ephemeral key and nonce serve one challenge.

use flows::suite::{Confirmation, Ephemeral, Opened, Part};
use flows::tmk_download::messages::{TkHello, TkKey};
use flows::tmk_download::{DownloadPad, PadRefusal};
use flows::{BoundTranscript, EcAes, FlowLetter, Loaded, Suite as _};
use paycrypto::ec::{Schedule, StaticSecret, Tk};
use wire::{Fields, Frame, MessageType, Proof, Slot, Suite};

use super::counters::KeyName;
use super::download::Session;
use super::ephemeral::OwnEphemeral;
use super::incoming::{Brought, message};
use super::load::{failed, not_permitted, not_proven, unreadable};
use super::load_ec::{Receipted, receipted};
use super::owner::{Owner, OwnerKind};
use super::{PadState, SoftPad};
use crate::PinPad;

/// Where an open download of suite 02 is.
pub(super) enum DownloadSession {
    /// Ephemeral key and nonce were given out.
    Started { slot: Slot, own: OwnEphemeral },
    /// The KMS proved itself.
    Challenged(Box<Challenged>),
    /// The key is stored.
    Keyed(Box<Receipted>),
}

/// What TK_HELLO and TK_CHALLENGE agreed.
pub(super) struct Challenged {
    slot: Slot,
    owner: Owner,
    schedule: Schedule,
    /// Over TK_HELLO and TK_CHALLENGE.
    transcript: BoundTranscript,
    /// TK_REPLY as it leaves.
    reply: Frame,
}

impl DownloadPad<EcAes> for SoftPad {
    fn start(&mut self, slot: Slot) -> Result<Ephemeral, PadRefusal> {
        self.session = Session::Idle;
        self.ec_tk_for(slot)?;
        let own = OwnEphemeral::generate()?;
        let public = own.public();
        self.session = Session::DownloadEc(DownloadSession::Started { slot, own });
        Ok(public)
    }

    fn challenge(&mut self, hello: &Frame, challenge: &Frame) -> Result<Confirmation, PadRefusal> {
        let Session::DownloadEc(DownloadSession::Started { slot, own }) = self.take_session() else {
            return Err(not_permitted("no download was started").into());
        };
        let said = TkHello::<EcAes>::read(hello).map_err(unreadable)?;
        let is_own = said.suite == EcAes::ID
            && said.device.pin_pad() == self.serial()
            && said.slot == slot
            && said.opening == own.public();
        if !is_own {
            return Err(not_permitted("TK_HELLO does not say what this PIN pad began").into());
        }
        let (tk, owner) = self.ec_tk_for(slot)?;
        let proven = prove(&own, &tk, hello, challenge);
        let (schedule, transcript) = self.recorded("TK_CHALLENGE", proven)?;
        let bare = EcAes::write(MessageType::TkReply, Fields::new()).map_err(failed)?;
        let th = transcript.th_before_proof(&bare);
        let proof = Confirmation(schedule.terminal_confirm().confirm(th.as_bytes()));
        let reply = message(MessageType::TkReply, &proof).map_err(failed)?;
        let open = Challenged { slot, owner, schedule, transcript, reply };
        self.session = Session::DownloadEc(DownloadSession::Challenged(Box::new(open)));
        Ok(proof)
    }

    fn key(&mut self, reply: &Frame, key: &Frame) -> Result<Loaded<EcAes>, PadRefusal> {
        let Session::DownloadEc(DownloadSession::Challenged(open)) = self.take_session() else {
            return Err(not_permitted("no KMS has proved itself in this download").into());
        };
        let Challenged { slot, owner, schedule, mut transcript, reply: own } = *open;
        if *reply != own {
            return Err(not_permitted("TK_REPLY is not the answer that this PIN pad gave").into());
        }
        transcript.push(reply);
        let block = TkKey::read::<EcAes>(key).map_err(unreadable)?.block;
        // TK is checked at each use, and the slot may have got another owner since.
        self.ec_tk_for(slot)?;
        let context = transcript.context();
        let opened = self.unwrap_tmk(&schedule.kbpk(), &block, slot, context.as_bytes(), &owner);
        let brought = Brought::Tmk(slot, self.recorded("TK_KEY", opened)?);
        let kept = self.check_place(&brought, &[], &owner);
        self.recorded("TK_KEY", kept)?;
        transcript.push(key);
        let (receipted, loaded) = receipted(schedule, transcript, std::slice::from_ref(&brought))?;
        self.store_brought(owner, vec![brought])?;
        self.session = Session::DownloadEc(DownloadSession::Keyed(Box::new(receipted)));
        Ok(loaded)
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        let Session::DownloadEc(DownloadSession::Keyed(receipted)) = self.take_session() else {
            return Err(not_permitted("no key was loaded in this download").into());
        };
        Ok(self.end(*receipted, confirm, done)?)
    }
}

impl SoftPad {
    /// The TK of suite 02, checked for this use, if it may fill this slot; and whose it makes the slot.
    fn ec_tk_for(&mut self, slot: Slot) -> Result<(Tk, Owner), PadRefusal> {
        self.may_load()?;
        self.check_suite(KeyName::Slot(slot), EcAes::ID)?;
        let tk = match self.state.ec_tk() {
            Ok(Some(tk)) => tk,
            Ok(None) => {
                let why = "there is no transport key of suite 02: collect the terminal first";
                return Err(self.deny("transport-key", "none", why).into());
            }
            Err(defect) => return Err(PadRefusal::Failed { why: defect.to_string() }),
        };
        let owner = owner(&self.state, &tk);
        self.check_owner(self.state.slot_owner(slot), &owner, &format!("slot {slot}"))?;
        Ok((tk, owner))
    }
}

fn owner(state: &PadState, tk: &Tk) -> Owner {
    state.owner_by(OwnerKind::Tk, Suite::EC_AES, tk.tek().expose())
}

/// Checks MAC_S: the schedule, and the transcript of both messages.
fn prove(
    own: &OwnEphemeral,
    tk: &Tk,
    hello: &Frame,
    challenge: &Frame,
) -> Result<(Schedule, BoundTranscript), flows::PadRefusal> {
    let fields = EcAes::read(challenge, MessageType::TkChallenge).map_err(unreadable)?;
    let Opened { ephemeral, confirmation } = Opened::read(&fields)?;
    let z = own.agree(&ephemeral)?;
    let mut transcript = BoundTranscript::new(FlowLetter::TmkDownload);
    transcript.push(hello);
    let th12 = transcript.th_without(challenge, Proof::Confirmation)?;
    let schedule =
        Schedule::new(&StaticSecret::TmkDownload(tk), &z, &own.opening(&ephemeral), th12.as_bytes());
    if !schedule.server_confirm().confirms(th12.as_bytes(), &confirmation.0) {
        return Err(not_proven("MAC_S is wrong: the server does not hold this transport key".into()));
    }
    transcript.push(challenge);
    Ok((schedule, transcript))
}
