//! A PIN pad of the suite: it hashes the frames that it is shown, and so sees whether both sides heard the same.

use keyferry_flows::{
    Loaded, PadRefusal,
    local_load::LoadPad,
    rks_load::IdentityPad,
    sign_in::{SignInPad, messages::Mac},
    suite::{Confirmation, Part, Receipt},
    tmk_download::{self, DownloadPad},
    tms_session::{OperatorPassword, PadOpening, PadProof, SealPad, TmsPad},
};
use wire::{BcdTime, Device, Frame, Kcv, Slot, TData};

use crate::suite::{CIPHERTEXT, Encapsulate, Encapsulated, Fresh, KEY, Later, ProvenBlock, kcv, toy};

/// What it heard and said so far, and how many keys came to stay.
#[derive(Debug, Default)]
pub(crate) struct Pad {
    pub(crate) said: Vec<u8>,
    pub(crate) kept: usize,
}

impl Pad {
    fn hear(&mut self, frames: &[&Frame]) {
        frames.iter().for_each(|frame| self.said.extend(frame.bytes()));
    }

    /// Whether `proof` is the toy of what was said before the frame that carries it.
    fn check(&self, word: &str, proof: [u8; 32]) -> Result<(), PadRefusal> {
        if proof == toy(word, &self.said) {
            Ok(())
        } else {
            Err(PadRefusal::ServerNotProven { why: word.into() })
        }
    }

    fn load(&mut self) -> Loaded<Later> {
        Loaded { kcvs: vec![kcv()], confirmation: Receipt(toy("receipt t", &self.said)) }
    }

    fn end(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        self.hear(&[confirm]);
        let Receipt(receipt) = Receipt::read(&done.message()?.fields)?;
        self.check("receipt s", receipt)?;
        self.kept += 1;
        Ok(())
    }
}

/// The two errors of PIN pads have the same cases.
fn of_download(refusal: PadRefusal) -> tmk_download::PadRefusal {
    match refusal {
        PadRefusal::Malformed(malformed) => tmk_download::PadRefusal::Malformed(malformed),
        PadRefusal::ServerNotProven { .. } => tmk_download::PadRefusal::ServerNotProven,
        other => tmk_download::PadRefusal::Failed { why: other.to_string() },
    }
}

fn encapsulated(frame: &Frame) -> Result<Encapsulated, PadRefusal> {
    Ok(Part::read(&frame.message()?.fields)?)
}

impl DownloadPad<Later> for Pad {
    fn start(&mut self, _: Slot) -> Result<Encapsulate, tmk_download::PadRefusal> {
        Ok(Encapsulate(vec![7; KEY]))
    }

    fn challenge(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
    ) -> Result<Confirmation, tmk_download::PadRefusal> {
        self.hear(&[hello]);
        let proof = encapsulated(challenge).map_err(of_download)?.proof.0;
        self.check("server", proof).map_err(of_download)?;
        self.hear(&[challenge]);
        Ok(Confirmation(toy("terminal", &self.said)))
    }

    fn key(&mut self, reply: &Frame, key: &Frame) -> Result<Loaded<Later>, tmk_download::PadRefusal> {
        self.hear(&[reply, key]);
        Ok(self.load())
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), tmk_download::PadRefusal> {
        self.end(confirm, done).map_err(of_download)
    }
}

impl LoadPad<Later> for Pad {
    type Key = ();

    fn accept(&mut self, (): &(), connect: &Frame, _: &Device) -> Result<Encapsulated, PadRefusal> {
        self.hear(&[connect]);
        let proof = Confirmation(toy("terminal", &self.said));
        Ok(Encapsulated { ciphertext: vec![8; CIPHERTEXT], proof })
    }

    fn load(&mut self, accept: &Frame, key: &Frame) -> Result<Loaded<Later>, PadRefusal> {
        self.hear(&[accept]);
        let ProvenBlock { proof, .. } = Part::read(&key.message()?.fields)?;
        self.check("server", proof.0)?;
        self.hear(&[key]);
        Ok(Pad::load(self))
    }

    fn loaded(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        self.end(confirm, done)
    }
}

impl IdentityPad<Later> for Pad {
    type Key = ();

    fn begin(&mut self, _: Slot) -> Result<Encapsulate, PadRefusal> {
        Ok(Encapsulate(vec![7; KEY]))
    }

    fn factor(&mut self, (): &(), auth: &Frame, cert: &Frame) -> Result<Encapsulate, PadRefusal> {
        self.hear(&[auth]);
        self.check("server", encapsulated(cert)?.proof.0)?;
        self.hear(&[cert]);
        Ok(Encapsulate(vec![9; KEY]))
    }

    fn proof(&mut self, factor: &Frame, token: &Frame) -> Result<Confirmation, PadRefusal> {
        self.hear(&[factor]);
        let Confirmation(proof) = Part::read(&token.message()?.fields)?;
        self.check("server", proof)?;
        self.hear(&[token]);
        Ok(Confirmation(toy("terminal", &self.said)))
    }

    fn keys(&mut self, proof: &Frame, keys: &Frame) -> Result<Loaded<Later>, PadRefusal> {
        self.hear(&[proof, keys]);
        Ok(Pad::load(self))
    }

    fn done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        self.end(confirm, done)
    }

    fn forget(&mut self) {}
}

impl TmsPad<Later> for Pad {
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening<Later>, PadRefusal> {
        Ok(PadOpening { t_data: TData::new([1; 4], when), opening: Encapsulate(vec![7; KEY]) })
    }

    fn tms_prove(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
        _: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof<Later>, PadRefusal> {
        self.hear(&[hello]);
        self.check("server", encapsulated(challenge)?.proof.0)?;
        self.hear(&[challenge]);
        Ok(PadProof { proof: Confirmation(toy("terminal", &self.said)), operator: None })
    }

    fn tms_keys(&mut self, proof: &Frame, key: &Frame) -> Result<Option<Loaded<Later>>, PadRefusal> {
        self.hear(&[proof]);
        let Receipt(heard) = Part::read(&key.message()?.fields)?;
        self.check("heard", heard)?;
        self.hear(&[key]);
        Ok(Some(Pad::load(self)))
    }

    fn tms_done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        self.end(confirm, done)
    }
}

impl SealPad for Pad {
    fn tms_seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        Ok(inner.to_vec())
    }

    fn tms_open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        Ok(sealed.to_vec())
    }

    fn tms_blocks_left(&self) -> u64 {
        1
    }

    fn tms_forget(&mut self) {}
}

impl SignInPad<Later> for Pad {
    fn sign_in_begin(&mut self, _: Slot, _: u8) -> Result<(Fresh, Kcv), PadRefusal> {
        Ok((Fresh([5; 32]), kcv()))
    }

    fn sign_in_keys(&mut self, sign_in: &Frame, keys: &Frame) -> Result<Mac<16>, PadRefusal> {
        self.hear(&[sign_in, keys]);
        Ok(Mac(half(toy("OK", &self.said))))
    }

    fn sign_in_done(&mut self, _: &Frame, done: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
        let Mac(mac) = Mac::<16>::read(&done.message()?.fields)?;
        if mac != half(toy("DONE", &self.said)) {
            return Err(PadRefusal::ServerNotProven { why: "DONE".into() });
        }
        self.kept += 1;
        Ok(vec![kcv(); 2])
    }

    fn sign_in_forget(&mut self) {}
}

pub(crate) fn half(whole: [u8; 32]) -> [u8; 16] {
    std::array::from_fn(|at| whole[at])
}
