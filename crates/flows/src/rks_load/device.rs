//! The device's role. Certificate, life cycle, sensors, and which keys it wants, are its driver's.

use alloc::{string::String, string::ToString, vec::Vec};

use wire::{Device, Fields, Frame, Kcv, Slot, Suite};

use super::{
    Fault, PadRefusal, Reason,
    messages::{Done, KeyConfirm, RksAuth, RksCert, RksFactor, RksKeys, RksProof, RksToken},
};
use crate::Chain;

/// What a download from the RKS needs from a PIN pad, one call a message.
///
/// The PIN pad trusts nobody outside but for the certificate's check: it is given whole frames, reads and hashes them
/// itself, finds its own DF20 and DF22 in them, and takes no digest, place or suite from the application. A step in the
/// wrong order, or with frames that do not fit those before, is a [`PadRefusal`].
///
/// **State is on disk before the call that depends on it returns**, because the message that depends on it leaves right
/// after. A PIN pad that cannot write its state answers [`PadRefusal::Failed`], and nothing leaves.
pub trait IdentityPad {
    /// A public key that this PIN pad accepts, out of a certificate that was checked against the RKS root.
    type Key;

    /// Begins a download whose first wanted slot this is, ending any that was open. Without a DIK2, or where the state
    /// does not allow it, nothing leaves.
    ///
    /// # Errors
    /// [`PadRefusal::NotPermitted`].
    fn begin(&mut self, slot: Slot) -> Result<(), PadRefusal>;

    /// Gives DF20: DIK2's factor under `key`, made anew. `auth` and `cert` are the first frames of the context.
    ///
    /// # Errors
    /// [`PadRefusal`].
    fn factor(&mut self, key: &Self::Key, auth: &Frame, cert: &Frame) -> Result<Vec<u8>, PadRefusal>;

    /// Checks that `factor` holds its own DF20, opens AT ‖ TK1 in `token` under DIK2, whose context is over the three
    /// frames before it, makes a TK2 such that TK = TK1 ⊕ TK2 has no weak or equal parts, and gives DF22: AT ‖ TK2 ‖
    /// SHA-256(TK) under the key that `factor` was called with.
    ///
    /// # Errors
    /// [`PadRefusal::ServerNotProven`] for a block that does not open or is not in its place, time or use.
    fn proof(&mut self, factor: &Frame, token: &Frame) -> Result<Vec<u8>, PadRefusal>;

    /// Checks that `proof` holds its own DF22 and opens every block in `keys` under TK, each one's context being over
    /// the frames before and the blocks before it. All of them or none: they are **on disk before it returns** their
    /// check values, in their order, each new TMK beside the old one.
    ///
    /// # Errors
    /// [`PadRefusal::KeyRefused`] for a block that does not open, or is not in its place, time or use, and for two keys
    /// for one place and use; [`PadRefusal::NotPermitted`] for another owner's slot.
    fn keys(&mut self, proof: &Frame, keys: &Frame) -> Result<Vec<Kcv>, PadRefusal>;

    /// Ends the download. DONE is not authenticated in this suite: an old TMK stays until the new one has worked once.
    /// What the PIN pad remembers of DONE is on disk before it returns.
    ///
    /// # Errors
    /// [`PadRefusal`].
    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;

    /// Wipes AT, TK and the server's key. The role calls it at every end that it sees, good or bad; whoever drives it
    /// calls it when the line breaks or the time is over between two steps. Calling it twice does nothing more.
    fn forget(&mut self);
}

/// What the PIN pad said; after a refusal it has forgotten what it held.
fn or_forget<P: IdentityPad, T>(
    pad: &mut P,
    step: impl FnOnce(&mut P) -> Result<T, Fault>,
) -> Result<T, Fault> {
    step(pad).inspect_err(|_| pad.forget())
}

/// A download that has not begun.
#[derive(Debug)]
pub struct Start {
    device: Device,
    slot: Slot,
    refusals: Vec<Fields>,
}

impl Start {
    /// A download into this device's PIN pad, of which this is the first slot wanted.
    pub fn new(device: Device, slot: Slot) -> Start {
        Start { device, slot, refusals: Vec::new() }
    }

    /// With records of refusals (FF23: DF28, DF29, DF2A each) that RKS_AUTH is to carry along.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Vec<Fields>) -> Start {
        self.refusals = refusals;
        self
    }

    /// Begins: gives RKS_AUTH.
    ///
    /// # Errors
    /// When the PIN pad refuses; 0001 when the refusal records are too many.
    pub fn begin(self, pad: &mut impl IdentityPad) -> Result<(Frame, ExpectCert), Fault> {
        let Start { device, slot, refusals } = self;
        or_forget(pad, |pad| {
            pad.begin(slot)?;
            let auth = RksAuth { suite: Suite::TDES, device, slot, refusals }.write()?;
            Ok((auth.clone(), ExpectCert { auth }))
        })
    }
}

/// RKS_AUTH has left; RKS_CERT is to come.
#[derive(Debug)]
pub struct ExpectCert {
    auth: Frame,
}

impl ExpectCert {
    /// Takes RKS_CERT.
    ///
    /// # Errors
    /// 0002, 0003; the server's ERROR.
    pub fn on_frame(self, pad: &mut impl IdentityPad, frame: &Frame) -> Result<Cert, Fault> {
        or_forget(pad, |_| {
            let RksCert { chain } = RksCert::read(frame)?;
            Ok(Cert { auth: self.auth, cert: frame.clone(), chain })
        })
    }
}

/// RKS_CERT was read. Nothing of it is believed yet.
#[derive(Debug)]
pub struct Cert {
    auth: Frame,
    cert: Frame,
    chain: Chain,
}

impl Cert {
    /// The server's certificate with its intermediates, for the driver to check against its RKS root only: chain, dates,
    /// role RKS work, key size, revocation.
    pub fn chain(&self) -> &Chain {
        &self.chain
    }

    /// The certificate is refused: 0005, *server authentication failed*.
    pub fn refused(self, pad: &mut impl IdentityPad, why: String) -> Fault {
        pad.forget();
        Reason::CertificateRefused { why }.into()
    }

    /// The certificate is good and `key` is its key: gives RKS_FACTOR.
    ///
    /// # Errors
    /// When the PIN pad refuses.
    pub fn factor<P: IdentityPad>(self, pad: &mut P, key: &P::Key) -> Result<(Frame, ExpectToken), Fault> {
        or_forget(pad, |pad| {
            let factor_ciphertext = pad.factor(key, &self.auth, &self.cert)?;
            let factor = RksFactor { factor_ciphertext }.write()?;
            Ok((factor.clone(), ExpectToken { factor }))
        })
    }
}

/// RKS_FACTOR has left; RKS_TOKEN is to come.
#[derive(Debug)]
pub struct ExpectToken {
    factor: Frame,
}

impl ExpectToken {
    /// Takes RKS_TOKEN, gives RKS_PROOF.
    ///
    /// # Errors
    /// 0005 for a block that does not open: the server does not know this device's DIK2.
    pub fn on_frame(self, pad: &mut impl IdentityPad, frame: &Frame) -> Result<(Frame, ExpectKeys), Fault> {
        or_forget(pad, |pad| {
            RksToken::read(frame)?;
            let proof_ciphertext = pad.proof(&self.factor, frame)?;
            let proof = RksProof { proof_ciphertext }.write()?;
            Ok((proof.clone(), ExpectKeys { proof }))
        })
    }
}

/// RKS_PROOF has left; RKS_KEYS is to come.
#[derive(Debug)]
pub struct ExpectKeys {
    proof: Frame,
}

impl ExpectKeys {
    /// Takes RKS_KEYS, gives KEY_CONFIRM. All new keys are on disk when this returns.
    ///
    /// # Errors
    /// 0007 when the PIN pad refuses one of the blocks; then it took none. 0001 when it gave another number of check
    /// values than there are keys.
    pub fn on_frame(self, pad: &mut impl IdentityPad, frame: &Frame) -> Result<(Frame, ExpectDone), Fault> {
        or_forget(pad, |pad| {
            let RksKeys { blocks, more } = RksKeys::read(frame)?;
            let kcvs = pad.keys(&self.proof, frame)?;
            if kcvs.len() != blocks.len() {
                let why = "it did not give one check value for each key".to_string();
                return Err(PadRefusal::Failed { why }.into());
            }
            let confirm = KeyConfirm { kcvs: kcvs.clone() }.write()?;
            Ok((confirm.clone(), ExpectDone { kcvs, more, confirm }))
        })
    }
}

/// KEY_CONFIRM has left; DONE is to come. When it does not, the new keys are still there: the RKS may already hold them
/// as the active ones.
#[derive(Debug)]
pub struct ExpectDone {
    kcvs: Vec<Kcv>,
    more: bool,
    confirm: Frame,
}

impl ExpectDone {
    /// Takes DONE. The PIN pad has forgotten AT, TK and the server's key when this returns.
    ///
    /// # Errors
    /// When it is no DONE, or the PIN pad refuses.
    pub fn on_frame(self, pad: &mut impl IdentityPad, frame: &Frame) -> Result<Finished, Fault> {
        or_forget(pad, |pad| {
            Done::read(frame)?;
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
