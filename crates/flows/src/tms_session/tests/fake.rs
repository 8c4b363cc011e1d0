//! A PIN pad and a TMS's HSM that need no cryptography: a key is one byte, a key block is text that names the key it is
//! under, and a MAC folds its input.

use std::{format, string::String, string::ToString, vec::Vec};

use wire::{BcdTime, Device, Frame, Kcv, OperatorId, SData, Serial, Slot, Src, TData};

use crate::{
    Context, Loaded, PadRefusal, Transcript,
    tms_session::{
        Fault, Identification, OperatorPassword, PadOpening, PadProof, SealPad, TmsPad, Transaction,
        messages::{Sac1, TmsChallenge, TmsHello, TmsKey},
        terminal::{ExpectChallenge, ExpectKey, Keyed, Start},
        tms::{ExpectConfirm, ExpectHello, ExpectProof, Hello, Proof},
    },
};

/// DMK of SN-1001 and of nobody.
const DMK: u8 = 0x0F;
const NOBODYS_DMK: u8 = 0xEE;
/// The TMK that a key download brings.
pub(super) const TMK: u8 = 0xBA;
/// The password that the TMS knows `op7` by.
pub(super) const PASSWORD: &[u8] = b"correct horse";

pub(super) fn identification() -> Identification {
    Identification {
        vendor: "KF".parse().unwrap(),
        model: "SIM-1".parse().unwrap(),
        device: Device::built_in(Serial::parse("SN-1001").unwrap()),
    }
}

pub(super) fn slot() -> Slot {
    Slot::new(3).unwrap()
}

pub(super) fn key_download() -> Transaction {
    Transaction::KeyDownload { slot: slot() }
}

pub(super) fn when() -> BcdTime {
    BcdTime::from_bytes([0x26, 0x11, 0x20, 0x12, 0x34, 0x56]).unwrap()
}

pub(super) fn kcv(key: u8) -> Kcv {
    Kcv::Tdes([key; 3])
}

fn mac(key: u8, data: &[u8]) -> [u8; 4] {
    let mut mac = [key; 4];
    data.iter().enumerate().for_each(|(at, byte)| mac[at % 4] = mac[at % 4].rotate_left(1) ^ byte);
    mac
}

fn operator_proof(dwk: u8, password: &[u8]) -> [u8; 32] {
    [password.iter().fold(dwk, |sum, byte| sum.rotate_left(1) ^ byte); 32]
}

fn key_block(place: &str, context: Context, under: u8, key: u8) -> String {
    format!("{place} {context} {under:02X} {key:02X}")
}

/// The key in a toy block, or what is wrong with it.
fn open(block: &str, place: &str, context: Context, under: u8) -> Result<u8, &'static str> {
    let parts: Vec<&str> = block.split(' ').collect();
    let [found_place, time, found_under, key] = parts[..] else { return Err("form") };
    if found_place != place {
        Err("place")
    } else if time != context.to_hex() {
        Err("context")
    } else if found_under != format!("{under:02X}") {
        Err("MAC")
    } else {
        u8::from_str_radix(key, 16).map_err(|_| "key")
    }
}

/// The terminal's side.
#[derive(Debug, Default)]
pub(super) struct Pad {
    pub(super) has_no_dmk: bool,
    pub(super) foreign_owner: bool,
    pub(super) disk_is_full: bool,
    pub(super) answers_for_nobody: bool,
    pub(super) loads_nothing: bool,
    /// The new TMK, as a restart would find it.
    pub(super) disk: Option<u8>,
    pub(super) calls: Vec<&'static str>,
    /// DWK: what must not stay.
    pub(super) dwk: Option<u8>,
    pub(super) sessions: u8,
    pub(super) t_data: Option<TData>,
    pub(super) transcript: Transcript,
}

fn not_proven() -> PadRefusal {
    PadRefusal::ServerNotProven { why: "DWK or TAC_1".to_string() }
}

impl TmsPad for Pad {
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening, PadRefusal> {
        self.calls.push("begin");
        if self.has_no_dmk {
            return Err(PadRefusal::NotPermitted { why: "no DMK".to_string() });
        }
        self.sessions += 1;
        self.transcript = Transcript::new();
        let t_data = *self.t_data.insert(TData::new([0x5E, 0xAD, 0xBE, self.sessions], when));
        Ok(PadOpening { t_data, opening: () })
    }

    fn tms_prove(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof, PadRefusal> {
        self.calls.push("prove");
        let t_data = <TmsHello>::read(hello).unwrap().t_data;
        if Some(t_data) != self.t_data {
            return Err(PadRefusal::NotPermitted { why: "another TMS_HELLO".to_string() });
        }
        self.transcript.push(hello);
        let challenge_read = <TmsChallenge>::read(challenge).unwrap().answer.unwrap();
        let context = self.transcript.context();
        let dwk = open(&challenge_read.proof.dwk_1, "SN-1001/00", context, DMK).map_err(|_| not_proven())?;
        if challenge_read.proof.tac_1 != mac(dwk, &t_data.bytes()) {
            return Err(not_proven());
        }
        self.transcript.push(challenge);
        self.dwk = Some(dwk);
        let operator = operator.filter(|_| !self.answers_for_nobody);
        Ok(PadProof {
            proof: Sac1(mac(dwk, &challenge_read.s_data.bytes())),
            operator: operator.map(|operator| operator_proof(dwk, operator.password)),
        })
    }

    fn tms_keys(&mut self, proof: &Frame, key: &Frame) -> Result<Option<Loaded>, PadRefusal> {
        self.calls.push("keys");
        let refused = |why: &str| PadRefusal::KeyRefused { why: why.to_string() };
        let dwk = self.dwk.unwrap();
        self.transcript.push(proof);
        let keys = <TmsKey>::read(key).unwrap().answer.unwrap();
        open(&keys.key.0, "SN-1001/00", self.transcript.context(), dwk).map_err(refused)?;
        let Some(tmk) = keys.tmk.filter(|_| !self.loads_nothing) else { return Ok(None) };
        let context = self.transcript.context_after(&[&keys.key.0]);
        let tmk = open(&tmk, "SN-1001/03", context, dwk).map_err(refused)?;
        if self.foreign_owner {
            return Err(PadRefusal::NotPermitted { why: "owner".to_string() });
        }
        if self.disk_is_full {
            return Err(PadRefusal::Failed { why: "disk full".to_string() });
        }
        self.disk = Some(tmk);
        Ok(Some(Loaded::of([kcv(tmk)].into())))
    }

    fn tms_done(&mut self, _confirm: &Frame, _done: &Frame) -> Result<(), PadRefusal> {
        self.calls.push("done");
        Ok(())
    }
}

impl SealPad for Pad {
    fn tms_seal(&mut self, _inner: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        unreachable!("the session seals nothing")
    }

    fn tms_open(&mut self, _sealed: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        unreachable!("the session opens nothing")
    }

    fn tms_blocks_left(&self) -> u64 {
        0
    }

    fn tms_forget(&mut self) {
        self.calls.push("forget");
        self.dwk = None;
    }
}

/// The TMS's driver with HSM and store.
#[derive(Debug, Default)]
pub(super) struct Tms {
    pub(super) knows_nobody: bool,
    pub(super) demands_operator: bool,
    pub(super) sessions: u8,
    pub(super) t_data: Option<TData>,
    pub(super) s_data: Option<SData>,
}

impl Tms {
    fn dwk(&self) -> u8 {
        0x90 + self.sessions
    }

    /// As the HSM does: makes a DWK, in the same form whoever asks.
    pub(super) fn challenge(&mut self, hello: Hello) -> (Frame, ExpectProof) {
        self.sessions += 1;
        self.t_data = Some(hello.t_data());
        let s_data = *self.s_data.insert(SData::new([0x4A, 0xFE, 0xF0, self.sessions], Some(when())));
        let mut transcript = Transcript::new();
        transcript.push(hello.frame());
        let dmk = if self.knows_nobody { NOBODYS_DMK } else { DMK };
        let dwk_1 = key_block("SN-1001/00", transcript.context(), dmk, self.dwk());
        let tac_1 = mac(self.dwk(), &hello.t_data().bytes());
        hello.challenge(tac_1, &s_data, &dwk_1, self.demands_operator).unwrap()
    }

    /// As the HSM does: checks SAC_1, then the operator.
    fn check(&self, proof: &Proof) -> Result<(), Src> {
        let right = mac(self.dwk(), &self.s_data.unwrap().bytes());
        if self.knows_nobody || !proof.good() || proof.sac_1() != right {
            return Err(Src::AuthenticationFailed);
        }
        let known = OperatorId::parse("op7").unwrap();
        let expected = operator_proof(self.dwk(), PASSWORD);
        match (proof.operator_demanded(), proof.operator()) {
            (false, _) => Ok(()),
            (true, Some((id, given))) if *id == known && *given == expected => Ok(()),
            (true, _) => Err(Src::OperatorRefused),
        }
    }

    fn contexts(&self, proof: &Proof) -> (String, String) {
        let mut transcript = Transcript::new();
        let mut rest = proof.frames();
        while let Some((header, _)) = rest.split_first_chunk::<2>() {
            let (frame, after) = rest.split_at(2 + usize::from(u16::from_be_bytes(*header)));
            transcript.push(&Frame::from_bytes(frame).unwrap());
            rest = after;
        }
        let session = key_block("SN-1001/00", transcript.context(), self.dwk(), 0x51);
        let tmk = key_block("SN-1001/03", transcript.context_after(&[&session]), self.dwk(), TMK);
        (session, tmk)
    }

    pub(super) fn open_program(&self, proof: Proof) -> Result<Frame, Fault> {
        match self.check(&proof) {
            Ok(()) => {
                let (session, _) = self.contexts(&proof);
                proof.open_program(&session)
            }
            Err(src) => proof.refuse(src),
        }
    }

    pub(super) fn open_key(&self, proof: Proof) -> Result<(Frame, ExpectConfirm), Fault> {
        self.check(&proof).expect("this terminal proves itself");
        let (session, tmk) = self.contexts(&proof);
        proof.open_key(&session, &tmk, kcv(TMK))
    }
}

pub(super) fn start(transaction: Transaction) -> Start {
    Start::new(identification(), transaction, Some(when()))
}

/// Both roles up to the point where TMS_CHALLENGE is to be taken.
pub(super) fn until_challenge(
    pad: &mut Pad,
    tms: &mut Tms,
    transaction: Transaction,
) -> (ExpectChallenge, ExpectProof, [Frame; 2]) {
    let (hello, terminal) = start(transaction).begin(pad).unwrap();
    let (challenge, server) = tms.challenge(ExpectHello::new().on_frame(&hello).unwrap());
    (terminal, server, [hello, challenge])
}

/// Both roles up to the point where TMS_KEY is to come.
pub(super) fn until_proof(
    pad: &mut Pad,
    tms: &mut Tms,
    transaction: Transaction,
) -> (ExpectKey, Proof, [Frame; 3]) {
    let (terminal, server, [hello, challenge]) = until_challenge(pad, tms, transaction);
    let (proof, terminal) = terminal.on_frame(pad, &challenge, None).unwrap();
    let proven = server.on_frame(&proof).unwrap();
    (terminal, proven, [hello, challenge, proof])
}

/// Both roles up to the point where KEY_CONFIRM is to come.
pub(super) fn until_confirm(
    pad: &mut Pad,
    tms: &mut Tms,
) -> (crate::tms_session::terminal::ExpectDone, ExpectConfirm, Vec<Frame>) {
    let (terminal, proven, frames) = until_proof(pad, tms, key_download());
    let (key, server) = tms.open_key(proven).unwrap();
    let Keyed::Key { confirm, expect } = terminal.on_frame(pad, &key).unwrap() else {
        panic!("a key was asked for")
    };
    (expect, server, frames.into_iter().chain([key, confirm]).collect())
}
