//! A PIN pad as cheap as can be: all of the cryptography of flows E and F, nothing on a disk.

use std::sync::Arc;

use flows::{
    Loaded, PadRefusal, Transcript,
    tms_download::{MAX_SEALED_BLOCKS, sealed::ciphertext_blocks},
    tms_session::{
        OperatorPassword, PadOpening, PadProof, SealPad, TmsPad,
        messages::{Sac1, TacAndDwk, TmsChallenge, TmsKey},
    },
};
use paycrypto::{
    blocks,
    keys::{Dwk, SessionKey},
    random,
    seal::{self, Direction},
};
use wire::{BcdTime, Frame, TData};

use super::fleet::Managed;
use crate::pins::Working;

/// IV and tag of a sealed message, in blocks.
const AROUND: u64 = 2;
const BLOCK: usize = 8;

/// The PIN pad of one terminal.
pub(crate) struct Pad {
    pub(crate) terminal: Arc<Managed>,
    state: State,
    /// What a sign-in brought.
    pub(crate) working: Working,
}

enum State {
    Idle,
    Begun(TData),
    Proven { dwk: Dwk, transcript: Transcript },
    Sealed(Box<Seal>),
}

struct Seal {
    dwk: Dwk,
    session: SessionKey,
    sent: u32,
    received: u32,
    blocks: u64,
}

impl Pad {
    pub(crate) fn new(terminal: &Arc<Managed>) -> Pad {
        Pad { terminal: Arc::clone(terminal), state: State::Idle, working: Working::default() }
    }

    /// Counts an answer that is not opened.
    pub(crate) fn skip(&mut self, sealed: &[u8]) {
        if let State::Sealed(seal) = &mut self.state {
            seal.received += 1;
            seal.blocks += blocks_of(sealed);
        }
    }

    fn place(&self) -> String {
        format!("{}/00", self.terminal.sn)
    }

    fn sealed(&mut self) -> Result<&mut Seal, PadRefusal> {
        match &mut self.state {
            State::Sealed(seal) => Ok(seal),
            _ => Err(refused("no session is open")),
        }
    }
}

impl TmsPad for Pad {
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening, PadRefusal> {
        let mut bytes = [0; 4];
        random::fill(&mut bytes).map_err(|e| refused(&e.to_string()))?;
        let t_data = TData::new(bytes, when);
        self.state = State::Begun(t_data);
        Ok(PadOpening { t_data, opening: () })
    }

    fn tms_prove(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
        _operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof, PadRefusal> {
        let State::Begun(t_data) = self.state else { return Err(refused("no session was begun")) };
        let answer = <TmsChallenge>::read(challenge).map_err(|e| refused(&e.to_string()))?.answer;
        let said = answer.map_err(|src| refused(&src.to_string()))?;
        let TacAndDwk { tac_1, dwk_1 } = said.proof;
        let mut transcript = Transcript::new();
        transcript.push(hello);
        let context = transcript.context();
        let dwk: Dwk = blocks::unwrap(&self.terminal.dmk, &dwk_1, &self.place(), context.as_bytes())
            .map_err(|e| refused(&e.to_string()))?;
        if !dwk.verifies(&t_data.bytes(), &tac_1) {
            return Err(refused("the TMS does not hold DMK"));
        }
        transcript.push(challenge);
        let proof = Sac1(dwk.mac(&said.s_data.bytes()));
        self.state = State::Proven { dwk, transcript };
        Ok(PadProof { proof, operator: None })
    }

    fn tms_keys(&mut self, proof: &Frame, key: &Frame) -> Result<Option<Loaded>, PadRefusal> {
        let State::Proven { dwk, mut transcript } = std::mem::replace(&mut self.state, State::Idle) else {
            return Err(refused("no TMS has proved itself"));
        };
        transcript.push(proof);
        let answer = <TmsKey>::read(key).map_err(|e| refused(&e.to_string()))?.answer;
        let keys = answer.map_err(|src| refused(&src.to_string()))?;
        let context = transcript.context();
        let session: SessionKey = blocks::unwrap(&dwk, &keys.key.0, &self.place(), context.as_bytes())
            .map_err(|e| refused(&e.to_string()))?;
        self.state = State::Sealed(Box::new(Seal { dwk, session, sent: 0, received: 0, blocks: 0 }));
        Ok(None)
    }

    fn tms_done(&mut self, _confirm: &Frame, _done: &Frame) -> Result<(), PadRefusal> {
        Err(refused("these terminals load no keys by flow E"))
    }
}

impl SealPad for Pad {
    fn tms_seal(&mut self, inner: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        let seal = self.sealed()?;
        let sealed = seal::seal(&seal.session, &seal.dwk, Direction::FromTerminal, seal.sent, inner)
            .map_err(|e| refused(&e.to_string()))?;
        seal.sent += 1;
        seal.blocks += ciphertext_blocks(inner.len());
        Ok(sealed)
    }

    fn tms_open(&mut self, sealed: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        let seal = self.sealed()?;
        let inner = seal::open(&seal.session, &seal.dwk, Direction::FromTms, seal.received, sealed)
            .map_err(|e| refused(&e.to_string()))?;
        seal.received += 1;
        seal.blocks += blocks_of(sealed);
        Ok(inner.to_vec())
    }

    fn tms_blocks_left(&self) -> u64 {
        match &self.state {
            State::Sealed(seal) => MAX_SEALED_BLOCKS.saturating_sub(seal.blocks),
            _ => 0,
        }
    }

    fn tms_forget(&mut self) {
        self.state = State::Idle;
    }
}

fn blocks_of(sealed: &[u8]) -> u64 {
    u64::try_from(sealed.len() / BLOCK).unwrap_or(u64::MAX).saturating_sub(AROUND)
}

/// What ends the benchmark: its terminals are good, and so is the server.
pub(crate) fn refused(why: &str) -> PadRefusal {
    PadRefusal::Failed { why: why.to_owned() }
}
