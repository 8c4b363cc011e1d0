//! The PIN pad's part of the sealed phase of a session with the TMS (2-wire.md section 7, 3-hardened.md flow E): whatever
//! the suite, one message at a time, and any failure ends the session.

use flows::PadRefusal;
use flows::tms_download::SealSuite;
use flows::tms_session::SealPad;
use paycrypto::ec::{FrameOpener, FrameSealer, Schedule};
use paycrypto::keys::{Dwk, SessionKey};
use paycrypto::seal::{self, Direction};

use super::SoftPad;
use super::download::Session;
use super::keys::{EcAes, Tdes};
use super::load::{failed, not_permitted, not_proven};

/// The keys of an open session, and how far it went.
pub(super) trait Sealing {
    /// Seals the next message to the TMS.
    fn seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, PadRefusal>;

    /// Opens the next message of the TMS.
    fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, PadRefusal>;

    /// Blocks that the keys may still protect.
    fn blocks_left(&self) -> u64;
}

/// Blocks that were protected, out of those that a suite allows.
struct Blocks {
    used: u64,
    most: u64,
}

impl Blocks {
    fn of<S: SealSuite>() -> Blocks {
        Blocks { used: 0, most: S::MAX_BLOCKS }
    }

    fn left(&self) -> u64 {
        self.most.saturating_sub(self.used)
    }

    /// Counts this many, before anything is done with them.
    fn count(&mut self, blocks: u64) -> Result<(), PadRefusal> {
        if blocks > self.left() {
            return Err(not_permitted(
                "the session's keys have protected all that they may: open a new session",
            ));
        }
        self.used = self.used.saturating_add(blocks);
        Ok(())
    }
}

/// A session of suite 01: DWK, session key, and both directions' numbers.
pub(super) struct Seal {
    dwk: Dwk,
    session: SessionKey,
    sent: u32,
    received: u32,
    blocks: Blocks,
}

impl Seal {
    /// A session in which nothing was sealed yet.
    pub(super) fn new(dwk: Dwk, session: SessionKey) -> Seal {
        Seal { dwk, session, sent: 0, received: 0, blocks: Blocks::of::<Tdes>() }
    }

    /// As if this many blocks were gone.
    #[cfg(test)]
    pub(super) fn set_blocks(&mut self, blocks: u64) {
        self.blocks.used = blocks;
    }
}

impl Sealing for Seal {
    fn seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        self.blocks.count(Tdes::blocks(inner.len()))?;
        let sealed = seal::seal(&self.session, &self.dwk, Direction::FromTerminal, self.sent, inner)
            .map_err(failed)?;
        self.sent = self.sent.checked_add(1).ok_or_else(|| failed("too many messages"))?;
        Ok(sealed)
    }

    fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        self.blocks.count(Tdes::blocks_of(sealed.len()))?;
        let mut inner = seal::open(&self.session, &self.dwk, Direction::FromTms, self.received, sealed)
            .map_err(|error| not_proven(error.to_string()))?;
        self.received = self.received.checked_add(1).ok_or_else(|| failed("too many messages"))?;
        Ok(std::mem::take(&mut *inner))
    }

    fn blocks_left(&self) -> u64 {
        self.blocks.left()
    }
}

/// A session of suite 02: a key for each direction, which counts for itself.
pub(super) struct EcSeal {
    sealer: FrameSealer,
    opener: FrameOpener,
    blocks: Blocks,
}

impl EcSeal {
    /// A session in which nothing was sealed yet.
    pub(super) fn new(schedule: &Schedule) -> Result<EcSeal, PadRefusal> {
        Ok(EcSeal {
            sealer: schedule.frame_terminal().sealing(0).map_err(failed)?,
            opener: schedule.frame_server().opening(0).map_err(failed)?,
            blocks: Blocks::of::<EcAes>(),
        })
    }

    /// One with this key as the terminal's, for worked values.
    #[cfg(test)]
    pub(super) fn with(sealer: FrameSealer, opener: FrameOpener) -> EcSeal {
        EcSeal { sealer, opener, blocks: Blocks::of::<EcAes>() }
    }

    /// As if this many blocks were gone.
    #[cfg(test)]
    pub(super) fn set_blocks(&mut self, blocks: u64) {
        self.blocks.used = blocks;
    }
}

impl Sealing for EcSeal {
    fn seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        self.blocks.count(EcAes::blocks(inner.len()))?;
        self.sealer.seal(inner).map_err(failed)
    }

    fn open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        self.blocks.count(EcAes::blocks_of(sealed.len()))?;
        let mut inner = self.opener.open(sealed).map_err(|error| not_proven(error.to_string()))?;
        Ok(std::mem::take(&mut *inner))
    }

    fn blocks_left(&self) -> u64 {
        self.blocks.left()
    }
}

impl Session {
    /// The seal of an open session with the TMS, if it works.
    fn sealing(&mut self) -> Option<&mut dyn Sealing> {
        match self {
            Session::Tms(session) => session.sealing(),
            Session::TmsEc(session) => session.sealing(),
            _ => None,
        }
    }

    /// Blocks that the open session's keys may still protect.
    fn blocks_left(&self) -> u64 {
        match self {
            Session::Tms(session) => session.blocks_left(),
            Session::TmsEc(session) => session.blocks_left(),
            _ => 0,
        }
    }
}

impl SealPad for SoftPad {
    fn tms_seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        self.sealed_step(|seal| seal.seal(inner))
    }

    fn tms_open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        let opened = self.sealed_step(|seal| seal.open(sealed));
        self.recorded("SEALED", opened)
    }

    fn tms_blocks_left(&self) -> u64 {
        self.session.blocks_left()
    }

    fn tms_forget(&mut self) {
        if matches!(self.session, Session::Tms(_) | Session::TmsEc(_)) {
            self.session = Session::Idle;
        }
    }
}

impl SoftPad {
    /// One message of the seal: the session goes on only if all is well.
    fn sealed_step(
        &mut self,
        act: impl FnOnce(&mut dyn Sealing) -> Result<Vec<u8>, PadRefusal>,
    ) -> Result<Vec<u8>, PadRefusal> {
        let mut session = self.take_session();
        let Some(seal) = session.sealing() else {
            return Err(not_permitted("nothing is sealed: no session with the TMS is open"));
        };
        self.may_load()?;
        let out = act(seal)?;
        self.session = session;
        Ok(out)
    }
}
