//! The RKS's role. Between messages the driver asks HSM and store with what the state gives it. The role behaves the same
//! for a stranger as for a known device, until RKS_PROOF.

use alloc::{string::String, string::ToString, vec::Vec};

use wire::{Device, Fields, Frame, Kcv, Slot, Suite};

use super::{
    Fault, Reason,
    messages::{Done, KeyConfirm, RksAuth, RksCert, RksFactor, RksKeys, RksProof, RksToken},
};
use crate::{Chain, Context, Transcript};

/// What was said so far: as a digest, and as the bytes of it, from which the HSM computes the contexts of several blocks.
#[derive(Debug, Default)]
struct Said {
    transcript: Transcript,
    frames: Vec<u8>,
}

impl Said {
    fn push(&mut self, frame: &Frame) {
        self.transcript.push(frame);
        self.frames.extend_from_slice(frame.bytes());
    }
}

/// A connection on which RKS_AUTH is to come.
#[derive(Debug, Default)]
pub struct ExpectAuth;

impl ExpectAuth {
    /// The start of the role.
    pub fn new() -> ExpectAuth {
        ExpectAuth
    }

    /// Takes RKS_AUTH.
    ///
    /// # Errors
    /// 0002, also for DF03 equal to DF02 and for a slot above 99; 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Auth, Fault> {
        let auth = RksAuth::read(frame)?;
        let mut said = Said::default();
        said.push(frame);
        Ok(Auth { auth, said })
    }
}

/// RKS_AUTH was read; nobody has proved anything yet.
#[derive(Debug)]
pub struct Auth {
    auth: RksAuth,
    said: Said,
}

impl Auth {
    /// The suite that the device asks for. Another than [`Suite::TDES`] is refused with 0009 once it is proven:
    /// [`Proof::deliver`] does. Before that it must learn nothing.
    pub fn suite(&self) -> Suite {
        self.auth.suite
    }

    /// Device and PIN pad, as they call themselves.
    pub fn device(&self) -> &Device {
        &self.auth.device
    }

    /// The first slot wanted.
    pub fn slot(&self) -> Slot {
        self.auth.slot
    }

    /// Records of refusals (FF23: DF28, DF29, DF2A), unproved like everything here.
    pub fn refusals(&self) -> &[Fields] {
        &self.auth.refusals
    }

    /// Gives RKS_CERT with the RKS's work certificate, to known devices and strangers alike.
    ///
    /// # Errors
    /// 0001 for certificates that fit into no frame.
    pub fn certificate(
        self,
        leaf: Vec<u8>,
        intermediates: Vec<Vec<u8>>,
    ) -> Result<(Frame, ExpectFactor), Fault> {
        let frame = RksCert { chain: Chain { leaf, intermediates } }.write()?;
        let Auth { auth, mut said } = self;
        said.push(&frame);
        Ok((frame, ExpectFactor { auth, said }))
    }
}

/// RKS_CERT has left; RKS_FACTOR is to come.
#[derive(Debug)]
pub struct ExpectFactor {
    auth: RksAuth,
    said: Said,
}

impl ExpectFactor {
    /// Takes RKS_FACTOR.
    ///
    /// # Errors
    /// 0002, 0003; the device's ERROR.
    pub fn on_frame(self, frame: &Frame) -> Result<Factor, Fault> {
        let RksFactor { factor_ciphertext } = RksFactor::read(frame)?;
        let ExpectFactor { auth, mut said } = self;
        said.push(frame);
        Ok(Factor { auth, said, df20: factor_ciphertext })
    }
}

/// RKS_FACTOR was read. The HSM now opens it, derives DIK2 and makes AT ‖ TK1; for a stranger, a wrong factor and a bad
/// ciphertext it makes a block of the same form that nothing opens, and this role cannot tell.
#[derive(Debug)]
pub struct Factor {
    auth: RksAuth,
    said: Said,
    df20: Vec<u8>,
}

impl Factor {
    /// Device and PIN pad.
    pub fn device(&self) -> &Device {
        &self.auth.device
    }

    /// The factor under the certificate's key (DF20), for the HSM.
    pub fn df20(&self) -> &[u8] {
        &self.df20
    }

    /// The context that RKS_TOKEN's block must carry: over RKS_AUTH, RKS_CERT and RKS_FACTOR.
    pub fn context(&self) -> Context {
        self.said.transcript.context()
    }

    /// Gives RKS_TOKEN with the block that the HSM made for [`Factor::context`].
    ///
    /// # Errors
    /// 0001 for a block that fits into no frame.
    pub fn token(self, block: String) -> Result<(Frame, ExpectProof), Fault> {
        let frame = RksToken { at_tk1: block }.write()?;
        let Factor { auth, mut said, .. } = self;
        said.push(&frame);
        Ok((frame, ExpectProof { auth, said }))
    }
}

/// RKS_TOKEN has left; RKS_PROOF is to come.
#[derive(Debug)]
pub struct ExpectProof {
    auth: RksAuth,
    said: Said,
}

impl ExpectProof {
    /// Takes RKS_PROOF.
    ///
    /// # Errors
    /// 0002, 0003; the device's ERROR, 0005 where the token did not open.
    pub fn on_frame(self, frame: &Frame) -> Result<Proof, Fault> {
        let RksProof { proof_ciphertext } = RksProof::read(frame)?;
        let ExpectProof { auth, mut said } = self;
        said.push(frame);
        Ok(Proof { auth, said, df22: proof_ciphertext })
    }
}

/// RKS_PROOF was read. The HSM now checks AT and the hash of TK and makes the key blocks in one act; a driver that has
/// blocks for [`Proof::deliver`] has therefore a proven device. When the HSM refuses, [`Proof::not_proven`] ends the flow.
#[derive(Debug)]
pub struct Proof {
    auth: RksAuth,
    said: Said,
    df22: Vec<u8>,
}

impl Proof {
    /// Device and PIN pad.
    pub fn device(&self) -> &Device {
        &self.auth.device
    }

    /// The first slot wanted.
    pub fn slot(&self) -> Slot {
        self.auth.slot
    }

    /// AT ‖ TK2 ‖ SHA-256(TK) under the certificate's key (DF22), for the HSM.
    pub fn df22(&self) -> &[u8] {
        &self.df22
    }

    /// The context that a key block must carry which stands behind these in RKS_KEYS, given as their texts: over RKS_AUTH
    /// to RKS_PROOF and those.
    pub fn context_after(&self, blocks: &[&str]) -> Context {
        self.said.transcript.context_after(blocks)
    }

    /// The bytes that [`Proof::context_after`] hashes before the blocks: the frames RKS_AUTH to RKS_PROOF, lengths
    /// included, for an HSM that makes several blocks in one act. At most five frames long, and some 2 KiB with what
    /// honest devices send; fields that nobody reads count, so the driver must expect its HSM to refuse too many.
    pub fn frames(&self) -> &[u8] {
        &self.said.frames
    }

    /// The HSM says that nothing is proved, or the device was a stranger from the start: 0006.
    pub fn not_proven(self, why: String) -> Fault {
        Reason::NotProven { why }.into()
    }

    /// The device is proven, and there is nothing for it: 000C.
    pub fn no_key(self) -> Fault {
        Reason::NoKey { slot: self.auth.slot }.into()
    }

    /// Gives RKS_KEYS with the blocks that the HSM made, each for [`Proof::context_after`] those before it, and their
    /// check values, which do not travel here. The pending keys must be in the store before. With `more` the device runs
    /// the flow again afterwards.
    ///
    /// # Errors
    /// 0009 when the device, proven now, had asked for another suite; 0001 for no keys, for more than fit into a frame,
    /// and for a check value of another suite.
    pub fn deliver(self, keys: &[(String, Kcv)], more: bool) -> Result<(Frame, ExpectConfirm), Fault> {
        let internal = |why: &str| Reason::Internal { why: why.to_string() };
        let suite = self.auth.suite;
        if suite != Suite::TDES {
            return Err(Reason::SuiteNotSupported { suite }.into());
        }
        if keys.is_empty() {
            return Err(internal("there is no key to deliver").into());
        }
        if !keys.iter().all(|(_, kcv)| matches!(kcv, Kcv::Tdes(_))) {
            return Err(internal("a key's check value is none of TDES").into());
        }
        let blocks = keys.iter().map(|(block, _)| block.clone()).collect();
        let frame = RksKeys { blocks, more }.write()?;
        Ok((frame, ExpectConfirm { kcvs: keys.iter().map(|(_, kcv)| *kcv).collect(), more }))
    }
}

/// RKS_KEYS has left; KEY_CONFIRM is to come. When it does not, the keys stay pending and are sent again next time.
#[derive(Debug)]
pub struct ExpectConfirm {
    kcvs: Vec<Kcv>,
    more: bool,
}

impl ExpectConfirm {
    /// Takes KEY_CONFIRM.
    ///
    /// # Errors
    /// 0002, also when it confirms another number of keys; 0003; the device's ERROR. A wrong check value is no error here
    /// but [`Confirm::WrongCheckValue`], so that it cannot be overlooked.
    pub fn on_frame(self, frame: &Frame) -> Result<Confirm, Fault> {
        let confirm = { let confirm = KeyConfirm::read(frame)?; <crate::Tdes as crate::Suite>::confirms(&confirm, self.kcvs.len())?; confirm };
        if confirm.is_of(&self.kcvs) {
            Ok(Confirm::Opened(Confirmed { kcvs: self.kcvs, more: self.more }))
        } else {
            Ok(Confirm::WrongCheckValue(Reason::WrongCheckValue.into()))
        }
    }
}

/// What KEY_CONFIRM showed.
#[derive(Debug)]
#[must_use]
pub enum Confirm {
    /// The device opened every block: the pending keys may become active.
    Opened(Confirmed),
    /// It told another check value for one: every key of the message stays pending, the audit gets an alarm, the peer
    /// this fault (0007).
    WrongCheckValue(Fault),
}

/// The device holds the keys. The store makes them active before [`Confirmed::done`] leaves.
#[derive(Debug)]
pub struct Confirmed {
    kcvs: Vec<Kcv>,
    more: bool,
}

impl Confirmed {
    /// The check values that both sides have, in the order sent.
    pub fn kcvs(&self) -> &[Kcv] {
        &self.kcvs
    }

    /// Whether the device was told that there is more, so that it runs the flow again.
    pub fn more(&self) -> bool {
        self.more
    }

    /// Gives DONE, the end. AT and TK are already gone: the HSM let go of them with the keys.
    ///
    /// # Errors
    /// None in practice: it has a fixed size.
    pub fn done(self) -> Result<Frame, Fault> {
        Ok(Done.write()?)
    }
}
