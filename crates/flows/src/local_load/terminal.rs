//! The terminal's role. Certificate, life cycle and sensors are its driver's.

use alloc::{string::String, string::ToString};
use core::marker::PhantomData;

use wire::{Device, Frame, Kcv, MessageType, Suite};

use super::{
    Fault, LoadSuite, PadRefusal, Reason,
    messages::{KldAccept, KldConnect},
};
use crate::{
    Chain, Loaded, Tdes,
    suite::{self, Part},
};

/// What a local loading needs from a PIN pad, one call a message, in each suite that it has.
///
/// The PIN pad trusts nobody outside but for the certificate's check: it is given whole frames, reads and hashes them
/// itself, finds its own answer in KLD_ACCEPT, and takes no digest, place or suite from the application. A step in
/// the wrong order, or with frames that do not fit those before, is a [`PadRefusal`].
///
/// **State is on disk before the call that depends on it returns**, because the message that depends on it leaves right
/// after. A PIN pad that cannot write its state answers [`PadRefusal::Failed`], and nothing leaves.
pub trait LoadPad<S: LoadSuite = Tdes> {
    /// A public key that this PIN pad accepts, out of a certificate that was checked against the acquirer root.
    type Key;

    /// Begins a loading, ending any that was open, and gives what KLD_ACCEPT says beside `device`. `connect` is the first
    /// frame of the context. In suite 01 it makes Rnd1 (24 bytes, no weak or equal parts) and Rnd2, and gives C_rnd1_rnd2
    /// under `key`. In suite 02 it makes an ephemeral key and a nonce and signs both frames with its device key, KLD_ACCEPT
    /// as it will be for `device`, whose PIN pad it must be.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`] where the state does not allow it.
    fn accept(&mut self, key: &Self::Key, connect: &Frame, device: &Device) -> Result<S::Answer, PadRefusal>;

    /// Checks that `accept` holds its own answer and that the KLD signed what `key` holds, with the key that `accept` was
    /// called with: in suite 01 it takes the type 1 padding off C_ctmk_rnd2, reads
    /// [`SignedFields`](super::messages::SignedFields) and compares Rnd2' in constant time; in suite 02 it verifies DF16
    /// over all three messages. Then it opens the block, in suite 01 under Rnd1, in suite 02 under the flow's own key: its
    /// context is over KLD_CONNECT and KLD_ACCEPT, its usage says what it is, and the place that it belongs to has no other
    /// owner. The new key is **on disk before it returns** what KEY_CONFIRM is to say, in suite 02 a TMK's load counter
    /// with it. What it answered with is wiped whatever comes out.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a signature, its fields or Rnd2'; [`PadRefusal::KeyRefused`] for a block that
    /// does not open or is not in its place, time or use; [`PadRefusal::NotPermitted`] for another owner.
    fn load(&mut self, accept: &Frame, key: &Frame) -> Result<Loaded<S>, PadRefusal>;

    /// Ends the loading. In suite 01 DONE is not authenticated; in suite 02 it is verified, and only then an old key goes.
    /// What the PIN pad remembers of it is on disk before it returns.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong receipt. [`PadRefusal`].
    fn loaded(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;
}

/// KLD_CONNECT was read. Nothing of it is believed yet.
#[derive(Debug)]
pub struct Connect<S: LoadSuite = Tdes> {
    connect: KldConnect<S>,
    frame: Frame,
}

impl Connect {
    /// Takes KLD_CONNECT of suite 01, or of one that nobody has.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn read(frame: &Frame) -> Result<Connect, Fault> {
        Connect::read_of(frame)
    }
}

impl<S: LoadSuite> Connect<S> {
    /// Takes KLD_CONNECT of a suite.
    ///
    /// # Errors
    /// 0002, 0003.
    pub fn read_of(frame: &Frame) -> Result<Connect<S>, Fault> {
        Ok(Connect { connect: KldConnect::read(frame)?, frame: frame.clone() })
    }

    /// The suite asked for. Another than the role's is 0009, but only once the certificate proved good:
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
    pub fn accept<P: LoadPad<S>>(
        self,
        pad: &mut P,
        device: &Device,
        key: &P::Key,
    ) -> Result<(Frame, ExpectKey<S>), Fault> {
        let suite = self.connect.suite;
        if suite != S::ID {
            return Err(Reason::SuiteNotSupported { suite }.into());
        }
        let answer = pad.accept(key, &self.frame, device)?;
        let accept = KldAccept::<S> { device: device.clone(), answer }.write()?;
        Ok((accept.clone(), ExpectKey { accept, suite: PhantomData }))
    }
}

/// KLD_ACCEPT has left; KLD_KEY is to come.
#[derive(Debug)]
pub struct ExpectKey<S: LoadSuite = Tdes> {
    accept: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: LoadSuite> ExpectKey<S> {
    /// Takes KLD_KEY, gives KEY_CONFIRM. The new key is on disk when this returns.
    ///
    /// # Errors
    /// 0005 for what is signed wrongly, 0007 for a key block that the PIN pad refuses, 0008 for another owner's place.
    pub fn on_frame(self, pad: &mut impl LoadPad<S>, frame: &Frame) -> Result<(Frame, ExpectDone<S>), Fault> {
        S::Key::read(&S::read(frame, MessageType::KldKey)?)?;
        let Loaded { kcvs, confirmation } = pad.load(&self.accept, frame)?;
        let [kcv] = kcvs.as_slice() else {
            let why = "it did not give one check value for the one key".to_string();
            return Err(PadRefusal::Failed { why }.into());
        };
        let confirm = suite::write::<S>(MessageType::KeyConfirm, |fields| confirmation.push(fields))?;
        Ok((confirm.clone(), ExpectDone { kcv: *kcv, confirm, suite: PhantomData }))
    }
}

/// KEY_CONFIRM has left; DONE is to come. When it does not, the new key is still there: the KLD may already count it as
/// loaded.
#[derive(Debug)]
pub struct ExpectDone<S: LoadSuite = Tdes> {
    kcv: Kcv,
    confirm: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: LoadSuite> ExpectDone<S> {
    /// Takes DONE.
    ///
    /// # Errors
    /// When it is no DONE, or the PIN pad refuses.
    pub fn on_frame(self, pad: &mut impl LoadPad<S>, frame: &Frame) -> Result<Finished, Fault> {
        S::check_done(&S::read(frame, MessageType::Done)?)?;
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
