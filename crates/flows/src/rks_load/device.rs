//! The device's role. Certificate, life cycle, sensors, and which keys it wants, are its driver's.

use alloc::{string::String, string::ToString, vec::Vec};
use core::marker::PhantomData;

use wire::{Device, Fields, Frame, Kcv, MessageType, Slot};

use super::{
    Fault, PadRefusal, Reason, RksSuite,
    messages::{RksAuth, RksCert, RksKeys},
};
use crate::{
    Chain, Loaded, Tdes,
    suite::{self, Part},
};

/// What a download from the RKS needs from a PIN pad, one call a message, in each suite that it has.
///
/// The PIN pad trusts nobody outside but for the certificate's check: it is given whole frames, reads and hashes them
/// itself, finds in them what it gave out itself, and takes no digest, place or suite from the application. A step in
/// the wrong order, or with frames that do not fit those before, is a [`PadRefusal`].
///
/// **State is on disk before the call that depends on it returns**, because the message that depends on it leaves right
/// after. A PIN pad that cannot write its state answers [`PadRefusal::Failed`], and nothing leaves.
pub trait IdentityPad<S: RksSuite = Tdes> {
    /// A public key that this PIN pad accepts, out of a certificate that was checked against the RKS root.
    type Key;

    /// Begins a download whose first wanted slot this is, ending any that was open, and gives a fresh opening: in suite
    /// 01 there is none, in suite 02 it is an ephemeral key and a nonce. Without a DIK2, or where the state does not
    /// allow it, nothing leaves.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`].
    fn begin(&mut self, slot: Slot) -> Result<S::Opening, PadRefusal>;

    /// Gives DIK2's factor for the holder of `key`, made anew: in suite 01 DF20 under `key` itself; in suite 02, where
    /// `key` signs, its signature over both frames is checked first, and DF19 is under K(factor). `auth` and `cert` are
    /// the first frames of the context.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong signature; [`PadRefusal`].
    fn factor(&mut self, key: &Self::Key, auth: &Frame, cert: &Frame) -> Result<S::Factor, PadRefusal>;

    /// Checks that `factor` holds its own factor and that `token` proves a server that knows DIK2; gives its own proof.
    /// In suite 01 it opens AT ‖ TK1 under DIK2, whose context is over the three frames before it, makes a TK2 such that
    /// TK = TK1 ⊕ TK2 has no weak or equal parts, and gives DF22: AT ‖ TK2 ‖ SHA-256(TK) under the key that `factor` was
    /// called with. In suite 02 these are MAC_S, compared in constant time, and MAC_T.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a block that does not open or is not in its place, time or use, and for a wrong
    /// MAC.
    fn proof(&mut self, factor: &Frame, token: &Frame) -> Result<S::Proof, PadRefusal>;

    /// Checks that `proof` holds its own proof and opens every block in `keys`, each one's context being over the frames
    /// before and the blocks before it. All of them or none: they are **on disk before it returns** what KEY_CONFIRM is
    /// to say, each new TMK beside the old one. In suite 02 a TMK's load counter is higher than its slot's, and on disk
    /// with it.
    ///
    /// # Errors
    /// [`PadRefusal::KeyRefused`] for a block that does not open, or is not in its place, time or use, and for two keys
    /// for one place and use; [`PadRefusal::NotPermitted`] for another owner's slot.
    fn keys(&mut self, proof: &Frame, keys: &Frame) -> Result<Loaded<S>, PadRefusal>;

    /// Ends the download. In suite 01 DONE is not authenticated: an old TMK stays until the new one has worked once. In
    /// suite 02 it goes once DONE's receipt is verified. What the PIN pad remembers of DONE is on disk before it returns.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a wrong receipt: both keys stay. [`PadRefusal`].
    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;

    /// Wipes every secret of the download, and the server's key. The role calls it at every end that it sees, good or
    /// bad; whoever drives it calls it when the line breaks or the time is over between two steps. Calling it twice does
    /// nothing more.
    fn forget(&mut self);
}

/// What the PIN pad said; after a refusal it has forgotten what it held.
fn or_forget<S: RksSuite, P: IdentityPad<S>, T>(
    pad: &mut P,
    step: impl FnOnce(&mut P) -> Result<T, Fault>,
) -> Result<T, Fault> {
    step(pad).inspect_err(|_| pad.forget())
}

/// A download that has not begun.
#[derive(Debug)]
pub struct Start<S: RksSuite = Tdes> {
    device: Device,
    slot: Slot,
    refusals: Vec<Fields>,
    suite: PhantomData<fn() -> S>,
}

impl Start {
    /// A download in suite 01 into this device's PIN pad, of which this is the first slot wanted.
    pub fn new(device: Device, slot: Slot) -> Start {
        Start::of(device, slot)
    }
}

impl<S: RksSuite> Start<S> {
    /// A download into this device's PIN pad, of which this is the first slot wanted.
    pub fn of(device: Device, slot: Slot) -> Start<S> {
        Start { device, slot, refusals: Vec::new(), suite: PhantomData }
    }

    /// With records of refusals (FF23: DF28, DF29, DF2A each) that RKS_AUTH is to carry along.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Vec<Fields>) -> Self {
        self.refusals = refusals;
        self
    }

    /// Begins: gives RKS_AUTH.
    ///
    /// # Errors
    /// When the PIN pad refuses; 0001 when the refusal records are too many.
    pub fn begin(self, pad: &mut impl IdentityPad<S>) -> Result<(Frame, ExpectCert<S>), Fault> {
        let Start { device, slot, refusals, .. } = self;
        or_forget(pad, |pad| {
            let opening = pad.begin(slot)?;
            let auth = RksAuth::<S> { suite: S::ID, device, slot, opening, refusals }.write()?;
            Ok((auth.clone(), ExpectCert { auth, suite: PhantomData }))
        })
    }
}

/// RKS_AUTH has left; RKS_CERT is to come.
#[derive(Debug)]
pub struct ExpectCert<S: RksSuite = Tdes> {
    auth: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: RksSuite> ExpectCert<S> {
    /// Takes RKS_CERT.
    ///
    /// # Errors
    /// 0002, 0003; the server's ERROR.
    pub fn on_frame(self, pad: &mut impl IdentityPad<S>, frame: &Frame) -> Result<Cert<S>, Fault> {
        or_forget(pad, |_| {
            let RksCert { chain, .. } = RksCert::<S>::read(frame)?;
            Ok(Cert { auth: self.auth, cert: frame.clone(), chain, suite: PhantomData })
        })
    }
}

/// RKS_CERT was read. Nothing of it is believed yet.
#[derive(Debug)]
pub struct Cert<S: RksSuite = Tdes> {
    auth: Frame,
    cert: Frame,
    chain: Chain,
    suite: PhantomData<fn() -> S>,
}

impl<S: RksSuite> Cert<S> {
    /// The server's certificate with its intermediates, for the driver to check against its RKS root only: chain, dates,
    /// role RKS work, key size, revocation.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The certificate is refused: 0005, *server authentication failed*.
    pub fn refused(self, pad: &mut impl IdentityPad<S>, why: String) -> Fault {
        pad.forget();
        Reason::CertificateRefused { why }.into()
    }

    /// The certificate is good and `key` is its key: gives RKS_FACTOR.
    ///
    /// # Errors
    /// When the PIN pad refuses.
    pub fn factor<P: IdentityPad<S>>(
        self,
        pad: &mut P,
        key: &P::Key,
    ) -> Result<(Frame, ExpectToken<S>), Fault> {
        or_forget(pad, |pad| {
            let sealed = pad.factor(key, &self.auth, &self.cert)?;
            let factor = suite::write::<S>(MessageType::RksFactor, |fields| sealed.push(fields))?;
            Ok((factor.clone(), ExpectToken { factor, suite: PhantomData }))
        })
    }
}

/// RKS_FACTOR has left; RKS_TOKEN is to come.
#[derive(Debug)]
pub struct ExpectToken<S: RksSuite = Tdes> {
    factor: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: RksSuite> ExpectToken<S> {
    /// Takes RKS_TOKEN, gives RKS_PROOF.
    ///
    /// # Errors
    /// 0005 for a block that does not open, or a wrong MAC: the server does not know this device's DIK2.
    pub fn on_frame(
        self,
        pad: &mut impl IdentityPad<S>,
        frame: &Frame,
    ) -> Result<(Frame, ExpectKeys<S>), Fault> {
        or_forget(pad, |pad| {
            S::Token::read(&S::read(frame, MessageType::RksToken)?)?;
            let proof = pad.proof(&self.factor, frame)?;
            let proof = suite::write::<S>(MessageType::RksProof, |fields| proof.push(fields))?;
            Ok((proof.clone(), ExpectKeys { proof, suite: PhantomData }))
        })
    }
}

/// RKS_PROOF has left; RKS_KEYS is to come.
#[derive(Debug)]
pub struct ExpectKeys<S: RksSuite = Tdes> {
    proof: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: RksSuite> ExpectKeys<S> {
    /// Takes RKS_KEYS, gives KEY_CONFIRM. All new keys are on disk when this returns.
    ///
    /// # Errors
    /// 0007 when the PIN pad refuses one of the blocks; then it took none. 0001 when it gave another number of check
    /// values than there are keys.
    pub fn on_frame(
        self,
        pad: &mut impl IdentityPad<S>,
        frame: &Frame,
    ) -> Result<(Frame, ExpectDone<S>), Fault> {
        or_forget(pad, |pad| {
            let RksKeys { blocks, more } = RksKeys::read::<S>(frame)?;
            let Loaded { kcvs, confirmation } = pad.keys(&self.proof, frame)?;
            if kcvs.len() != blocks.len() {
                let why = "it did not give one check value for each key".to_string();
                return Err(PadRefusal::Failed { why }.into());
            }
            let confirm = suite::write::<S>(MessageType::KeyConfirm, |fields| confirmation.push(fields))?;
            Ok((confirm.clone(), ExpectDone { kcvs, more, confirm, suite: PhantomData }))
        })
    }
}

/// KEY_CONFIRM has left; DONE is to come. When it does not, the new keys are still there: the RKS may already hold them
/// as the active ones.
#[derive(Debug)]
pub struct ExpectDone<S: RksSuite = Tdes> {
    kcvs: Vec<Kcv>,
    more: bool,
    confirm: Frame,
    suite: PhantomData<fn() -> S>,
}

impl<S: RksSuite> ExpectDone<S> {
    /// Takes DONE. The PIN pad has forgotten every secret of the download when this returns.
    ///
    /// # Errors
    /// When it is no DONE, or the PIN pad refuses.
    pub fn on_frame(self, pad: &mut impl IdentityPad<S>, frame: &Frame) -> Result<Finished, Fault> {
        or_forget(pad, |pad| {
            S::check_done(&S::read(frame, MessageType::Done)?)?;
            Ok(pad.done(&self.confirm, frame)?)
        })?;
        pad.forget();
        Ok(Finished { kcvs: self.kcvs, more: self.more })
    }

    /// The check values of the keys that KEY_CONFIRM told.
    pub fn kcvs(&self) -> &[Kcv] {
        &self.kcvs
    }
}

/// This run of the flow is complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    kcvs: Vec<Kcv>,
    more: bool,
}

impl Finished {
    /// The check values of the keys that were loaded, in the order in which they came.
    pub fn kcvs(&self) -> &[Kcv] {
        &self.kcvs
    }

    /// Whether the RKS has more: run the flow again. The device also looks itself whether its set is complete: `more` is
    /// not authenticated by anything that DONE proves.
    pub fn more(&self) -> bool {
        self.more
    }
}
