//! The PIN pad's part of collecting in suite 02 (3-hardened.md, "A, collecting").

use flows::collect::messages::Collected;
use flows::collect::{DeviceProof, Reason};
use flows::suite::Signature;
use flows::{BoundTranscript, EcAes, FlowLetter, Suite as _};
use paycrypto::digest::sha256;
use paycrypto::ec::{CollectInfo, Tk};
use wire::Proof;

use super::counters::KeyName;
use super::download::Session;
use super::held_tk::HeldTk;
use super::{PadState, SoftPad, internal};
use crate::pad::{AcceptedPoint, Asked, SignedCollected};
use crate::refusals::ChainedRefusal;
use crate::{Latch, PinPad};

/// What a latch is to hold, and which TK it is of.
struct Made {
    latch: Latch,
    signed: SignedCollected,
    generation: u64,
}

impl SoftPad {
    /// Makes, seals, counts and signs a TK; or answers for the one that is latched.
    pub(super) fn collect_ec(
        &mut self,
        key: &AcceptedPoint,
        asked: &Asked<'_>,
    ) -> Result<SignedCollected, Reason> {
        self.check_tk()?;
        if asked.device.pin_pad() != self.serial() {
            return Err(Reason::Internal { why: "COLLECTED would name another PIN pad".into() });
        }
        if !self.is_certified() {
            let why = "the PIN pad's device key has no certificate: its vendor must certify it first";
            return Err(self.deny("device-certificate", "none", why).into());
        }
        match self.state.latch.clone() {
            Some(latch) if latch.digest == key.digest => self.again(key, asked, latch),
            Some(_) => {
                self.deny("latch", "another certificate", "");
                Err(Reason::OtherCertificate)
            }
            None => self.first(key, asked),
        }
    }

    fn first(&mut self, key: &AcceptedPoint, asked: &Asked<'_>) -> Result<SignedCollected, Reason> {
        self.session = Session::Idle;
        if self.state.has_tk() {
            self.change(PadState::erase_tk).map_err(internal)?;
        }
        let tk = Tk::generate().map_err(internal)?;
        let generation =
            self.state.generation.checked_add(1).ok_or_else(|| internal("no generation is left"))?;
        let made = self.sign(key, asked, &tk, generation)?;
        self.latched(Some(&tk), made)
    }

    fn again(
        &mut self,
        key: &AcceptedPoint,
        asked: &Asked<'_>,
        latch: Latch,
    ) -> Result<SignedCollected, Reason> {
        match latch.signed {
            Some(signed) if signed.collect == sha256(asked.collect.bytes()) => Ok(signed),
            Some(_) => {
                let tk = self.state.ec_tk().map_err(internal)?;
                let tk = tk.ok_or_else(|| internal("the latched transport key is gone"))?;
                let made = self.sign(key, asked, &tk, self.state.generation)?;
                self.latched(None, made)
            }
            // What is latched was made in suite 01.
            None => Err(self
                .deny(
                    "latch",
                    "another suite",
                    "the transport key was sent in suite 01: repair the terminal first",
                )
                .into()),
        }
    }

    /// Seals the TK to the key and signs both messages.
    fn sign(&self, key: &AcceptedPoint, asked: &Asked<'_>, tk: &Tk, generation: u64) -> Result<Made, Reason> {
        let Some((signing, certificate)) = self.state.certified() else {
            return Err(internal("the device key's certificate is gone"));
        };
        let (sn, pin_pad) = (asked.device.sn().as_str(), asked.device.pin_pad().as_str());
        let info = CollectInfo::new(asked.collect.bytes(), sn, pin_pad, generation);
        let ctk_pu = tk.seal(&key.point, &info).map_err(internal)?;
        let (refusals, _) = self.state.refusals.unreported();
        let maker = DeviceProof {
            generation,
            certificate: certificate.to_vec(),
            signature: Signature([0; Signature::LENGTH]),
        };
        let mut collected = Collected::<EcAes> {
            device: asked.device.clone(),
            vendor: asked.vendor.cloned(),
            model: asked.model.cloned(),
            ctk_pu: ctk_pu.clone(),
            maker,
            refusals: refusals.iter().map(ChainedRefusal::fields).collect(),
        };
        let mut transcript = BoundTranscript::new(FlowLetter::Collect);
        transcript.push(asked.collect);
        let unsigned = collected.write().map_err(internal)?;
        let th = transcript.th_without(&unsigned, Proof::Signature).map_err(internal)?;
        collected.maker.signature = Signature(signing.sign_transcript(th.as_bytes()).map_err(internal)?);
        let frame = collected.write().map_err(internal)?;
        let signed = SignedCollected { collect: sha256(asked.collect.bytes()), frame };
        let latch = Latch {
            digest: key.digest,
            collector: key.collector,
            ctk_pu,
            refusals,
            signed: Some(signed.clone()),
        };
        Ok(Made { latch, signed, generation })
    }

    /// Stores it, and looks at the sensors once more before it is given out.
    fn latched(&mut self, tk: Option<&Tk>, made: Made) -> Result<SignedCollected, Reason> {
        let Made { latch, signed, generation } = made;
        self.change(|state| {
            state.generation = generation;
            state.completed.raise(KeyName::Tk, EcAes::ID);
            match tk {
                Some(tk) => state.set_tk(HeldTk::ec_aes(tk), latch),
                None => state.latch = Some(latch),
            }
        })
        .map_err(internal)?;
        self.guard()?;
        Ok(signed)
    }
}
