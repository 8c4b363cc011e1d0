//! The RKS's role. Between messages the driver asks HSM and store with what the state gives it. The role behaves the same
//! for a stranger as for a known device, until RKS_PROOF.

use alloc::{string::String, string::ToString, vec::Vec};

use wire::{Device, Fields, Frame, Kcv, MessageType, Slot, Suite};

use super::{
    Fault, Reason, RksSuite,
    messages::{RksAuth, RksCert, RksKeys},
};
use crate::{
    Chain, Context, Said, Tdes, loading,
    suite::{self, Part},
};

/// A connection on which RKS_AUTH is to come.
#[derive(Debug, Default)]
pub struct ExpectAuth;

impl ExpectAuth {
    /// The start of the role.
    pub fn new() -> ExpectAuth {
        ExpectAuth
    }

    /// Takes RKS_AUTH of suite 01, or of one that nobody has.
    ///
    /// # Errors
    /// 0002, also for DF03 equal to DF02 and for a slot above 99; 0003.
    pub fn on_frame(self, frame: &Frame) -> Result<Auth, Fault> {
        self.on_frame_of(frame)
    }

    /// Takes RKS_AUTH of a suite.
    ///
    /// # Errors
    /// 0002, also for DF03 equal to DF02 and for a slot above 99; 0003.
    pub fn on_frame_of<S: RksSuite>(self, frame: &Frame) -> Result<Auth<S>, Fault> {
        let auth = RksAuth::read(frame)?;
        let mut said = Said::new();
        said.push(frame);
        Ok(Auth { auth, said })
    }
}

/// RKS_AUTH was read; nobody has proved anything yet.
#[derive(Debug)]
pub struct Auth<S: RksSuite = Tdes> {
    auth: RksAuth<S>,
    said: Said,
}

impl<S: RksSuite> Auth<S> {
    /// The suite that the device asks for. Another than the role's is refused with 0009 once it is proven:
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

    /// What the device opens with.
    pub fn opening(&self) -> &S::Opening {
        &self.auth.opening
    }

    /// Records of refusals (FF23: DF28, DF29, DF2A), unproved like everything here.
    pub fn refusals(&self) -> &[Fields] {
        &self.auth.refusals
    }

    /// RKS_AUTH.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// Gives RKS_CERT with the RKS's work certificate and the RKS's opening, to known devices and strangers alike.
    ///
    /// # Errors
    /// 0001 for certificates that fit into no frame.
    pub fn answer(self, chain: Chain, answer: S::Answer) -> Result<(Frame, ExpectFactor<S>), Fault> {
        let frame = RksCert::<S> { chain, answer }.write()?;
        let Auth { auth, mut said } = self;
        said.push(&frame);
        Ok((frame, ExpectFactor { auth, said }))
    }
}

/// RKS_CERT has left; RKS_FACTOR is to come.
#[derive(Debug)]
pub struct ExpectFactor<S: RksSuite = Tdes> {
    auth: RksAuth<S>,
    said: Said,
}

impl<S: RksSuite> ExpectFactor<S> {
    /// Takes RKS_FACTOR.
    ///
    /// # Errors
    /// 0002, 0003; the device's ERROR.
    pub fn on_frame(self, frame: &Frame) -> Result<Factor<S>, Fault> {
        let factor = S::Factor::read(&S::read(frame, MessageType::RksFactor)?)?;
        let ExpectFactor { auth, mut said } = self;
        said.push(frame);
        Ok(Factor { auth, factor, said })
    }
}

/// RKS_FACTOR was read. The HSM now opens it, derives DIK2 and makes the token: in suite 01 AT ‖ TK1, in suite 02 MAC_S.
/// For a stranger, a wrong factor and a bad ciphertext it makes one of the same form that no device takes, and this role
/// cannot tell.
#[derive(Debug)]
pub struct Factor<S: RksSuite = Tdes> {
    auth: RksAuth<S>,
    factor: S::Factor,
    said: Said,
}

impl<S: RksSuite> Factor<S> {
    /// Device and PIN pad.
    pub fn device(&self) -> &Device {
        &self.auth.device
    }

    /// DIK2's factor, for the HSM to open.
    pub fn factor(&self) -> &S::Factor {
        &self.factor
    }

    /// RKS_AUTH, RKS_CERT and RKS_FACTOR.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// The context that a block in RKS_TOKEN must carry: over RKS_AUTH, RKS_CERT and RKS_FACTOR.
    pub fn context(&self) -> Context {
        self.said.context()
    }

    /// Gives RKS_TOKEN with the token that the HSM made.
    ///
    /// # Errors
    /// 0001 for a token that fits into no frame.
    pub fn answer(self, token: &S::Token) -> Result<(Frame, ExpectProof<S>), Fault> {
        let frame = suite::write::<S>(MessageType::RksToken, |fields| token.push(fields))?;
        let Factor { auth, mut said, .. } = self;
        said.push(&frame);
        Ok((frame, ExpectProof { auth, said }))
    }
}

/// RKS_TOKEN has left; RKS_PROOF is to come.
#[derive(Debug)]
pub struct ExpectProof<S: RksSuite = Tdes> {
    auth: RksAuth<S>,
    said: Said,
}

impl<S: RksSuite> ExpectProof<S> {
    /// Takes RKS_PROOF.
    ///
    /// # Errors
    /// 0002, 0003; the device's ERROR, 0005 where it did not take the token.
    pub fn on_frame(self, frame: &Frame) -> Result<Proof<S>, Fault> {
        let proof = S::Proof::read(&S::read(frame, MessageType::RksProof)?)?;
        let ExpectProof { auth, said: before } = self;
        let mut said = before.clone();
        said.push(frame);
        Ok(Proof { auth, proof, frame: frame.clone(), before, said })
    }
}

/// RKS_PROOF was read. The HSM now checks it and makes the key blocks in one act; a driver that has blocks for
/// [`Proof::deliver`] has therefore a proven device. When the HSM refuses, [`Proof::not_proven`] ends the flow.
#[derive(Debug)]
pub struct Proof<S: RksSuite = Tdes> {
    auth: RksAuth<S>,
    proof: S::Proof,
    frame: Frame,
    before: Said,
    said: Said,
}

impl<S: RksSuite> Proof<S> {
    /// Device and PIN pad.
    pub fn device(&self) -> &Device {
        &self.auth.device
    }

    /// The first slot wanted.
    pub fn slot(&self) -> Slot {
        self.auth.slot
    }

    /// What RKS_PROOF held, for the HSM to check.
    pub fn proof(&self) -> &S::Proof {
        &self.proof
    }

    /// RKS_PROOF as it came.
    pub fn frame(&self) -> &Frame {
        &self.frame
    }

    /// RKS_AUTH to RKS_TOKEN.
    pub fn said_before(&self) -> &Said {
        &self.before
    }

    /// RKS_AUTH to RKS_PROOF, for an HSM that makes several blocks in one act: each one's context is over these frames
    /// and the blocks before it. At most five frames long, and some 2 KiB with what honest devices send; fields that
    /// nobody reads count, so the driver must expect its HSM to refuse too many.
    pub fn said(&self) -> &Said {
        &self.said
    }

    /// The context that a key block must carry which stands behind these in RKS_KEYS, given as their texts: over RKS_AUTH
    /// to RKS_PROOF and those.
    pub fn context_after(&self, blocks: &[&str]) -> Context {
        self.said.context_after(blocks)
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
    pub fn deliver(self, keys: &[(String, Kcv)], more: bool) -> Result<(Frame, ExpectConfirm<S>), Fault> {
        let internal = |why: &str| Reason::Internal { why: why.to_string() };
        let suite = self.auth.suite;
        if suite != S::ID {
            return Err(Reason::SuiteNotSupported { suite }.into());
        }
        if keys.is_empty() {
            return Err(internal("there is no key to deliver").into());
        }
        if !keys.iter().all(|(_, kcv)| S::has_kcv(*kcv)) {
            return Err(internal("a key's check value is of another suite").into());
        }
        let blocks = keys.iter().map(|(block, _)| block.clone()).collect();
        let frame = RksKeys { blocks, more }.write::<S>()?;
        let mut said = self.said;
        said.push(&frame);
        let kcvs: Vec<Kcv> = keys.iter().map(|(_, kcv)| *kcv).collect();
        Ok((frame, ExpectConfirm::after(said, kcvs)))
    }
}

/// RKS_KEYS has left.
pub type ExpectConfirm<S = Tdes> = loading::ExpectConfirm<Reason, S>;
/// KEY_CONFIRM was read.
pub type Told<S = Tdes> = loading::Told<Reason, S>;
/// What KEY_CONFIRM of suite 01 showed. When one check value is wrong, every key of the message stays pending.
pub type Confirm = loading::Confirm<Reason>;
/// The device holds the keys.
pub type Confirmed<S = Tdes> = loading::Confirmed<Reason, S>;
