//! The PIN pad's steps of suite 01 in flows E and F, so that their tests need not name the suite.

use flows::sign_in::SignInPad;
use flows::sign_in::messages::{Mac, Rnd1};
use flows::tms_session::{OperatorPassword, PadOpening, PadProof, TmsPad};
use flows::{Loaded, PadRefusal, Tdes};
use wire::{BcdTime, Frame, Kcv, Slot};

use crate::SoftPad;

/// The steps.
pub(crate) trait Sessions01 {
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening, PadRefusal>;
    fn tms_prove(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof, PadRefusal>;
    fn tms_keys(&mut self, proof: &Frame, key: &Frame) -> Result<Option<Loaded>, PadRefusal>;
    fn tms_done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal>;
    fn sign_in_begin(&mut self, slot: Slot, attempt: u8) -> Result<(Rnd1, Kcv), PadRefusal>;
    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<Mac<8>, PadRefusal>;
    fn sign_in_done(&mut self, confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal>;
    fn sign_in_forget(&mut self);
}

impl Sessions01 for SoftPad {
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening, PadRefusal> {
        TmsPad::<Tdes>::tms_begin(self, when)
    }

    fn tms_prove(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof, PadRefusal> {
        TmsPad::<Tdes>::tms_prove(self, hello, challenge, operator)
    }

    fn tms_keys(&mut self, proof: &Frame, key: &Frame) -> Result<Option<Loaded>, PadRefusal> {
        TmsPad::<Tdes>::tms_keys(self, proof, key)
    }

    fn tms_done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        TmsPad::<Tdes>::tms_done(self, confirm, done)
    }

    fn sign_in_begin(&mut self, slot: Slot, attempt: u8) -> Result<(Rnd1, Kcv), PadRefusal> {
        SignInPad::<Tdes>::sign_in_begin(self, slot, attempt)
    }

    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<Mac<8>, PadRefusal> {
        SignInPad::<Tdes>::sign_in_keys(self, sign_in, keys)
    }

    fn sign_in_done(&mut self, confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
        SignInPad::<Tdes>::sign_in_done(self, confirm, done)
    }

    fn sign_in_forget(&mut self) {
        SignInPad::<Tdes>::sign_in_forget(self);
    }
}
