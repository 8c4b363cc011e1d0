//! The terminal's role. Certificate, life cycle and sensors are its driver's.

use alloc::{string::String, vec::Vec};

use wire::{Device, Frame, Kcv, Suite};

use super::{
    Fault, PadRefusal, Reason,
    messages::{Done, KeyConfirm, KldAccept, KldConnect, KldKey},
};
use crate::Chain;

/// What a local loading needs from a PIN pad, one call a message.
///
/// The PIN pad trusts nobody outside but for the certificate's check: it is given whole frames, reads and hashes them
/// itself, finds its own C_rnd1_rnd2 in KLD_ACCEPT, and takes no digest, place or suite from the application. A step in
/// the wrong order, or with frames that do not fit those before, is a [`PadRefusal`].
///
/// **State is on disk before the call that depends on it returns**, because the message that depends on it leaves right
/// after. A PIN pad that cannot write its state answers [`PadRefusal::Failed`], and nothing leaves.
pub trait LoadPad {
    /// A public key that this PIN pad accepts, out of a certificate that was checked against the acquirer root.
    type Key;

    /// Begins a loading, ending any that was open: makes Rnd1 (24 bytes, no weak or equal parts) and Rnd2, and gives
    /// C_rnd1_rnd2 under `key`. `connect` is the first frame of the context.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] where the state does not allow it.
    fn accept(&mut self, key: &Self::Key, connect: &Frame) -> Result<Vec<u8>, PadRefusal>;

    /// Checks that `accept` holds its own C_rnd1_rnd2, takes the type 1 padding off C_ctmk_rnd2 in `key` under the
    /// public key that `accept` was called with, reads [`SignedFields`](super::messages::SignedFields), compares Rnd2'
    /// in constant time, and opens the block under Rnd1: its context is over KLD_CONNECT and KLD_ACCEPT, its usage says
    /// what it is, and the place that it belongs to has no other owner. The new key is **on disk before it returns** the
    /// check value. Rnd1 and Rnd2 are wiped whatever comes out.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a signature, its fields or Rnd2'; [`PadRefusal::KeyRefused`] for a block that
    /// does not open or is not in its place, time or use; [`PadRefusal::NotPermitted`] for another owner.
    fn load(&mut self, accept: &Frame, key: &Frame) -> Result<Kcv, PadRefusal>;

    /// Ends the loading. DONE is not authenticated in this suite. What the PIN pad remembers of it is on disk before it
    /// returns.
    ///
    /// # Errors
    /// [`PadRefusal`].
    fn loaded(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;
}

/// KLD_CONNECT was read. Nothing of it is believed yet.
#[derive(Debug)]
pub struct Connect {
    connect: KldConnect,
    frame: Frame,
}

impl Connect {
    /// Takes KLD_CONNECT.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn read(frame: &Frame) -> Result<Connect, Fault> {
        Ok(Connect { connect: KldConnect::read(frame)?, frame: frame.clone() })
    }

    /// The suite asked for. Another than the terminal has is 0009, but only once the certificate proved good:
    /// [`Connect::accept`] says so.
    pub fn suite(&self) -> Suite {
        self.connect.suite
    }

    /// The KLD's certificate with its intermediates, for the driver to check: chain to the acquirer root, dates, role
    /// downloader, key size, revocation.
    pub fn chain(&self) -> &Chain {
        &self.connect.chain
    }

    /// The certificate is refused: 000D.
    pub fn refused(self, why: String) -> Fault {
        Reason::CertificateRefused { why }.into()
    }

    /// The certificate is good and `key` is its key: gives KLD_ACCEPT.
    ///
    /// # Errors
    /// 0009 for another suite; when the PIN pad refuses.
    pub fn accept<P: LoadPad>(
        self,
        pad: &mut P,
        device: &Device,
        key: &P::Key,
    ) -> Result<(Frame, ExpectKey), Fault> {
        let suite = self.connect.suite;
        if suite != Suite::TDES {
            return Err(Reason::SuiteNotSupported { suite }.into());
        }
        let c_rnd1_rnd2 = pad.accept(key, &self.frame)?;
        let accept = KldAccept { device: device.clone(), c_rnd1_rnd2 }.write()?;
        Ok((accept.clone(), ExpectKey { accept }))
    }
}

/// KLD_ACCEPT has left; KLD_KEY is to come.
#[derive(Debug)]
pub struct ExpectKey {
    accept: Frame,
}

impl ExpectKey {
    /// Takes KLD_KEY, gives KEY_CONFIRM. The new key is on disk when this returns.
    ///
    /// # Errors
    /// 0005 for what is signed wrongly, 0007 for a key block that the PIN pad refuses, 0008 for another owner's place.
    pub fn on_frame(self, pad: &mut impl LoadPad, frame: &Frame) -> Result<(Frame, ExpectDone), Fault> {
        KldKey::read(frame)?;
        let kcv = pad.load(&self.accept, frame)?;
        let confirm = KeyConfirm { kcvs: Vec::from([kcv]) }.write()?;
        Ok((confirm.clone(), ExpectDone { kcv, confirm }))
    }
}

/// KEY_CONFIRM has left; DONE is to come. When it does not, the new key is still there: the KLD may already count it as
/// loaded.
#[derive(Debug)]
pub struct ExpectDone {
    kcv: Kcv,
    confirm: Frame,
}

impl ExpectDone {
    /// Takes DONE.
    ///
    /// # Errors
    /// When it is no DONE, or the PIN pad refuses.
    pub fn on_frame(self, pad: &mut impl LoadPad, frame: &Frame) -> Result<Finished, Fault> {
        Done::read(frame)?;
        pad.loaded(&self.confirm, frame)?;
        Ok(Finished { kcv: self.kcv })
    }

    /// The check value of the key that KEY_CONFIRM told.
    pub fn kcv(&self) -> Kcv {
        self.kcv
    }
}

/// The loading is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finished {
    kcv: Kcv,
}

impl Finished {
    /// The check value of the key that was loaded.
    pub fn kcv(&self) -> Kcv {
        self.kcv
    }
}
