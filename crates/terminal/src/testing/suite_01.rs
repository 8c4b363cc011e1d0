//! The PIN pad's steps of suite 01 in flows B and C, with plain bytes, so that their tests need not name the suite.

use flows::local_load::LoadPad;
use flows::local_load::messages::Randoms;
use flows::rks_load::IdentityPad;
use flows::rks_load::messages::{RksFactor, RksProof};
use flows::{Loaded, PadRefusal, Tdes};
use wire::{Device, Frame, Kcv, Serial, Slot};

use crate::{CheckedKey, SoftPad};

/// The steps.
pub(crate) trait Suite01 {
    fn accept(&mut self, key: &CheckedKey, connect: &Frame) -> Result<Vec<u8>, PadRefusal>;
    fn load(&mut self, accept: &Frame, key: &Frame) -> Result<Kcv, PadRefusal>;
    fn loaded(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;
    fn begin(&mut self, slot: Slot) -> Result<(), PadRefusal>;
    fn factor(&mut self, key: &CheckedKey, auth: &Frame, cert: &Frame) -> Result<Vec<u8>, PadRefusal>;
    fn proof(&mut self, factor: &Frame, token: &Frame) -> Result<Vec<u8>, PadRefusal>;
    fn keys(&mut self, proof: &Frame, keys: &Frame) -> Result<Vec<Kcv>, PadRefusal>;
    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;
    fn forget(&mut self);
}

impl Suite01 for SoftPad {
    fn accept(&mut self, key: &CheckedKey, connect: &Frame) -> Result<Vec<u8>, PadRefusal> {
        let device = Device::built_in(Serial::parse("SN-1001").unwrap());
        let Randoms { c_rnd1_rnd2 } = LoadPad::<Tdes>::accept(self, key, connect, &device)?;
        Ok(c_rnd1_rnd2)
    }

    fn load(&mut self, accept: &Frame, key: &Frame) -> Result<Kcv, PadRefusal> {
        let Loaded { kcvs, .. } = LoadPad::<Tdes>::load(self, accept, key)?;
        Ok(kcvs[0])
    }

    fn loaded(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        LoadPad::<Tdes>::loaded(self, confirm, done)
    }

    fn begin(&mut self, slot: Slot) -> Result<(), PadRefusal> {
        IdentityPad::<Tdes>::begin(self, slot)
    }

    fn factor(&mut self, key: &CheckedKey, auth: &Frame, cert: &Frame) -> Result<Vec<u8>, PadRefusal> {
        let RksFactor { factor_ciphertext } = IdentityPad::<Tdes>::factor(self, key, auth, cert)?;
        Ok(factor_ciphertext)
    }

    fn proof(&mut self, factor: &Frame, token: &Frame) -> Result<Vec<u8>, PadRefusal> {
        let RksProof { proof_ciphertext } = IdentityPad::<Tdes>::proof(self, factor, token)?;
        Ok(proof_ciphertext)
    }

    fn keys(&mut self, proof: &Frame, keys: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
        Ok(IdentityPad::<Tdes>::keys(self, proof, keys)?.kcvs)
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        IdentityPad::<Tdes>::done(self, confirm, done)
    }

    fn forget(&mut self) {
        IdentityPad::<Tdes>::forget(self);
    }
}
