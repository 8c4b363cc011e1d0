//! The PIN pad's part of a sign-in.

use flows::{
    PadRefusal, Tdes, Transcript,
    sign_in::{
        SignInPad,
        messages::{Mac, RANDOM, Rnd1, SignedIn, WorkingKeys},
    },
};
use paycrypto::{
    blocks,
    keys::{Mak as MacKey, Pik},
    random,
};
use wire::{Frame, Kcv, Slot};

use crate::managed::{Pad, refused};

/// The working keys of a terminal.
#[derive(Default)]
pub(crate) struct Working {
    rnd1: [u8; RANDOM],
    keys: Option<(Pik, MacKey)>,
}

impl Working {
    /// The PIK, once the terminal is signed in.
    pub(crate) fn pik(&self) -> Option<&Pik> {
        self.keys.as_ref().map(|(pik, _)| pik)
    }
}

impl SignInPad for Pad {
    fn sign_in_begin(&mut self, _slot: Slot, _attempt: u8) -> Result<(Rnd1, Kcv), PadRefusal> {
        let mut rnd1 = [0; RANDOM];
        random::fill(&mut rnd1).map_err(|e| refused(&e.to_string()))?;
        rnd1[0] &= 0x7F;
        self.working = Working { rnd1, keys: None };
        Ok((Rnd1(rnd1), Kcv::Tdes(self.terminal.tmk.kcv())))
    }

    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<Mac<8>, PadRefusal> {
        let blocks = WorkingKeys::read::<Tdes>(keys).map_err(|e| refused(&e.to_string()))?.blocks;
        let [pik, mak] = blocks.as_slice() else { return Err(refused("PIK and MAK are wanted")) };
        let mut transcript = Transcript::new();
        transcript.push(sign_in);
        let (tmk, place) = (&self.terminal.tmk, format!("{}/00", self.terminal.sn));
        let failed = |e: blocks::BlockRefusal| refused(&e.to_string());
        let pik_context = transcript.context();
        let mak_context = transcript.context_after(&[pik]);
        let pik: Pik = blocks::unwrap(tmk, pik, &place, pik_context.as_bytes()).map_err(failed)?;
        let mak: MacKey = blocks::unwrap(tmk, mak, &place, mak_context.as_bytes()).map_err(failed)?;
        let said = [b"OK", &self.working.rnd1[..], &pik.kcv(), &mak.kcv()].concat();
        let mac = mak.mac(&said).map_err(|e| refused(&e.to_string()))?;
        self.working.keys = Some((pik, mak));
        Ok(Mac(mac))
    }

    fn sign_in_done(&mut self, _confirm: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
        let SignedIn { mac } = <SignedIn>::read(done).map_err(|e| refused(&e.to_string()))?;
        let Some((pik, mak)) = &self.working.keys else { return Err(refused("no keys came")) };
        if !mak.verifies(&[b"DONE", &self.working.rnd1[..]].concat(), &mac.0) {
            return Err(refused("the host does not hold MAK"));
        }
        Ok([pik.kcv(), mak.kcv()].map(Kcv::Tdes).into())
    }

    fn sign_in_forget(&mut self) {
        self.working = Working::default();
    }
}
