//! Suite 02. The cryptography is a toy again: a proof is a digest of what it is over, behind the name of its purpose. So
//! what is tested is what each proof is over, and who refuses what.

use std::{string::ToString, vec::Vec};

use wire::{BcdTime, ErrorCode, Fields, Frame, Kcv, Malformed, MessageType, SData, TData, Tag};

use super::fake::{identification, key_download, slot, when};
use crate::{
    EcAes, FlowLetter, Loaded, PadRefusal, ProtocolError, Said, Suite as _, Tdes, Th,
    suite::{Confirmation, Ephemeral, Opened, Receipt},
    testing::assert_malformed,
    tms_session::{
        Fault, OperatorPassword, PadOpening, PadProof, Reason, SealPad, TmsPad, Transaction,
        messages::{Answer, Heard, TmsChallenge, TmsHello, TmsKey, TmsProof},
        terminal::{ExpectChallenge, ExpectDone, ExpectKey, Keyed, Start},
        tms::{ExpectConfirm, ExpectHello, ExpectProof, Proof},
    },
};

const KCV: Kcv = Kcv::Aes([7; 5]);

fn mac(purpose: &str, said: &[u8]) -> [u8; 32] {
    *Th::of(&[purpose.as_bytes(), &[FlowLetter::TmsSession.byte()], said]).as_bytes()
}

fn ephemeral(whose: u8) -> Ephemeral {
    Ephemeral { point: [whose; 65], nonce: [whose; 32] }
}

/// The terminal's side: what it has heard and said.
#[derive(Default)]
struct Pad {
    said: Said,
    forgot: bool,
    disk: Option<Kcv>,
    had_done: bool,
}

fn not_proven() -> PadRefusal {
    PadRefusal::ServerNotProven { why: "MAC".to_string() }
}

impl TmsPad<EcAes> for Pad {
    fn tms_begin(&mut self, when: Option<BcdTime>) -> Result<PadOpening<EcAes>, PadRefusal> {
        Ok(PadOpening { t_data: TData::new([0x5E; 4], when), opening: ephemeral(1) })
    }

    fn tms_prove(
        &mut self,
        hello: &Frame,
        challenge: &Frame,
        operator: Option<&OperatorPassword<'_>>,
    ) -> Result<PadProof<EcAes>, PadRefusal> {
        self.said.push(hello);
        let bare = challenge.without(wire::Proof::Confirmation).unwrap();
        let proof = TmsChallenge::<EcAes>::read(challenge).unwrap().answer.unwrap().proof.0;
        if proof.confirmation.0 != mac("server", &self.said.with(&bare)) {
            return Err(not_proven());
        }
        self.said.push(challenge);
        let named = TmsHello::<EcAes>::read(hello).unwrap().named();
        let operator = operator.map(|operator| (operator.id.clone(), [9; 32]));
        let bare = TmsProof::<EcAes> { named, good: true, proof: None, operator: operator.clone() };
        let proof = Confirmation(mac("terminal", &self.said.with(&bare.write().unwrap())));
        Ok(PadProof { proof, operator: operator.map(|(_, proof)| proof) })
    }

    fn tms_keys(&mut self, proof: &Frame, key: &Frame) -> Result<Option<Loaded<EcAes>>, PadRefusal> {
        self.said.push(proof);
        let bare = key.without(wire::Proof::Receipt).unwrap();
        let keys = TmsKey::<EcAes>::read(key).unwrap().answer.unwrap();
        if keys.key.0.0 != mac("receipt s", &self.said.with(&bare)) {
            return Err(not_proven());
        }
        self.said.push(key);
        if keys.tmk.is_none() {
            return Ok(None);
        }
        self.disk = Some(KCV);
        let confirmation = Receipt(mac("receipt t", self.said.bytes()));
        Ok(Some(Loaded { kcvs: [KCV].into(), confirmation }))
    }

    fn tms_done(&mut self, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
        self.said.push(confirm);
        let told = EcAes::read(done, MessageType::Done).unwrap();
        if told.get(Tag::RECEIPT) != Some(&mac("receipt s", self.said.bytes())[..]) {
            return Err(not_proven());
        }
        self.had_done = true;
        Ok(())
    }
}

impl SealPad for Pad {
    fn tms_seal(&mut self, _: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        unreachable!("the session seals nothing")
    }

    fn tms_open(&mut self, _: &[u8]) -> Result<Vec<u8>, PadRefusal> {
        unreachable!("the session opens nothing")
    }

    fn tms_blocks_left(&self) -> u64 {
        0
    }

    fn tms_forget(&mut self) {
        self.forgot = true;
    }
}

fn s_data() -> SData {
    SData::new([0x4A; 4], Some(when()))
}

fn until_challenge(
    pad: &mut Pad,
    transaction: Transaction,
) -> (ExpectChallenge<EcAes>, ExpectProof<EcAes>, [Frame; 2]) {
    let start = Start::<EcAes>::of(identification(), transaction, Some(when()));
    let (hello, terminal) = start.begin(pad).unwrap();
    let asked = ExpectHello::new().on_frame_of::<EcAes>(&hello).unwrap();
    assert_eq!((asked.suite(), asked.peer()), (EcAes::ID, &ephemeral(1)));
    // As the HSM does: it puts its own into the hole, hashes that and makes the proof.
    let hole = asked.hole(&s_data(), false).unwrap();
    let mut own = Fields::new();
    own.push(Tag::EPHEMERAL_KEY, &ephemeral(2).point).unwrap();
    own.push(Tag::NONCE, &ephemeral(2).nonce).unwrap();
    let bare = [hole.before, own.encode().unwrap(), hole.after].concat();
    let confirmation = Confirmation(mac("server", &[hello.bytes(), &bare].concat()));
    let opened = Opened { ephemeral: ephemeral(2), confirmation };
    let (challenge, server) = asked.answer(Answer(opened), &s_data(), false).unwrap();
    assert_eq!(challenge.without(wire::Proof::Confirmation).unwrap().bytes(), bare, "the hole's frame");
    (terminal, server, [hello, challenge])
}

fn until_proof(pad: &mut Pad, transaction: Transaction) -> (ExpectKey<EcAes>, Proof<EcAes>) {
    let (terminal, server, [_, challenge]) = until_challenge(pad, transaction);
    let (proof, terminal) = terminal.on_frame(pad, &challenge, None).unwrap();
    let proven = server.on_frame(&proof).unwrap();
    assert_eq!(proven.confirmation().0, mac("terminal", &proven.said_bare().unwrap()));
    (terminal, proven)
}

fn receipt(proven: &Proof<EcAes>, tmk: Option<&str>) -> Heard {
    Heard(Receipt(mac("receipt s", &proven.said_with_key(tmk).unwrap())))
}

fn key(proven: Proof<EcAes>) -> (Frame, ExpectConfirm<EcAes>) {
    let receipt = receipt(&proven, Some("D"));
    proven.load_key(receipt, "D", KCV).unwrap()
}

fn until_confirm(pad: &mut Pad) -> (ExpectDone<EcAes>, ExpectConfirm<EcAes>, Frame) {
    let (terminal, proven) = until_proof(pad, key_download());
    let (frame, server) = key(proven);
    let Keyed::Key { confirm, expect } = terminal.on_frame(pad, &frame).unwrap() else { panic!("a key") };
    (expect, server, confirm)
}

#[track_caller]
fn assert_not_proven<T: core::fmt::Debug>(result: Result<T, Fault>) {
    let fault = result.unwrap_err();
    assert_eq!(fault.reason, Reason::Pad(not_proven()));
    assert_eq!(fault.code, ErrorCode::ServerAuthenticationFailed);
}

#[test]
fn program_download_opens_the_session() {
    let mut pad = Pad::default();
    let (terminal, proven) = until_proof(&mut pad, Transaction::ProgramDownload);
    let receipt = receipt(&proven, None);
    let frame = proven.begin_program(receipt).unwrap();
    assert!(matches!(terminal.on_frame(&mut pad, &frame), Ok(Keyed::Program(told)) if told == s_data()));
    assert_eq!((pad.disk, pad.forgot), (None, false));
}

#[test]
fn key_download_is_confirmed_by_receipts_both_ways() {
    let mut pad = Pad::default();
    let (terminal, server, confirm) = until_confirm(&mut pad);
    assert_eq!((pad.disk, terminal.kcv()), (Some(KCV), KCV));
    let told = server.on_frame(&confirm).unwrap();
    assert_eq!(told.told().0, mac("receipt t", told.said_before().bytes()));
    assert_eq!(told.sent(), [KCV]);
    let receipt = Receipt(mac("receipt s", told.said().bytes()));
    let done = told.acknowledged(receipt).done().unwrap();
    let finished = terminal.on_frame(&mut pad, &done).unwrap();
    assert_eq!((finished.slot(), finished.kcv()), (slot(), KCV));
    assert!(pad.had_done && pad.forgot, "the session's keys are not needed any more");
}

/// The same message with one field put in, ascending.
fn with(frame: &Frame, tag: Tag, value: &[u8]) -> Frame {
    let message = frame.message().unwrap();
    let mut fields = Fields::new();
    for field in message.fields.iter().filter(|field| field.tag() != tag) {
        match field.value() {
            wire::Value::Bytes(bytes) => fields.push(field.tag(), bytes).unwrap(),
            wire::Value::Template(inside) => fields.push_template(field.tag(), inside.clone()).unwrap(),
        }
    }
    fields.push(tag, value).unwrap();
    EcAes::write(message.kind, fields).unwrap()
}

#[test]
fn challenge_that_says_that_the_dwk_is_a_key_block_is_0002() {
    let mut pad = Pad::default();
    let (terminal, _, [_, challenge]) = until_challenge(&mut pad, key_download());
    let result = terminal.on_frame(&mut pad, &with(&challenge, Tag::DWK_MODE, &[1]), None);
    assert_malformed(result, Malformed::FieldValue { tag: Tag::DWK_MODE });
    assert!(pad.forgot);
}

#[test]
fn challenge_with_a_dwk_is_0002() {
    let mut pad = Pad::default();
    let (terminal, _, [_, challenge]) = until_challenge(&mut pad, key_download());
    let result = terminal.on_frame(&mut pad, &with(&challenge, Tag::DWK_1, b"B0016"), None);
    assert_malformed(result, Malformed::UnwantedField { tag: Tag::DWK_1 });
}

#[test]
fn key_with_a_session_key_is_0002() {
    let mut pad = Pad::default();
    let (terminal, proven) = until_proof(&mut pad, key_download());
    let (frame, _) = key(proven);
    let result = terminal.on_frame(&mut pad, &with(&frame, Tag::KEY_BLOCK, b"B0016"));
    assert_malformed(result, Malformed::UnwantedField { tag: Tag::KEY_BLOCK });
    assert_eq!((pad.disk, pad.forgot), (None, true));
}

#[test]
fn key_without_its_receipt_or_with_another_is_refused() {
    let mut pad = Pad::default();
    let (terminal, proven) = until_proof(&mut pad, key_download());
    let (frame, _) = key(proven);
    let result = terminal.on_frame(&mut pad, &frame.without(wire::Proof::Receipt).unwrap());
    assert_malformed(result, Malformed::MissingField { tag: Tag::RECEIPT });
    let mut pad = Pad::default();
    let (terminal, proven) = until_proof(&mut pad, key_download());
    let (frame, _) = key(proven);
    assert_not_proven(terminal.on_frame(&mut pad, &with(&frame, Tag::RECEIPT, &[7; 32])));
    assert_eq!((pad.disk, pad.forgot), (None, true));
}

/// Nobody turns a session of one transaction into one of the other, nor changes what TMS_KEY brings.
#[test]
fn receipt_is_over_the_key_that_travels() {
    let mut pad = Pad::default();
    let (terminal, proven) = until_proof(&mut pad, key_download());
    let other = receipt(&proven, Some("E"));
    let (frame, _) = proven.load_key(other, "D", KCV).unwrap();
    assert_not_proven(terminal.on_frame(&mut pad, &frame));
    let (_, proven) = until_proof(&mut Pad::default(), key_download());
    assert_eq!(proven.said_with_key(None).unwrap_err().code, ErrorCode::Internal);
    let (_, proven) = until_proof(&mut Pad::default(), Transaction::ProgramDownload);
    assert_eq!(proven.said_with_key(Some("D")).unwrap_err().code, ErrorCode::Internal);
}

#[test]
fn false_tms_and_a_challenge_of_another_session_are_0005() {
    let mut pad = Pad::default();
    let (terminal, _, [_, challenge]) = until_challenge(&mut pad, key_download());
    assert_not_proven(terminal.on_frame(&mut pad, &with(&challenge, Tag::CONFIRMATION, &[0; 32]), None));
    let mut pad = Pad::default();
    let (_, _, [_, old]) = until_challenge(&mut pad, Transaction::ProgramDownload);
    let (terminal, ..) = until_challenge(&mut pad, key_download());
    assert_not_proven(terminal.on_frame(&mut pad, &old, None));
}

/// DONE of suite 01, which is not authenticated, and one of another session.
#[test]
fn done_without_its_receipt_or_with_another_is_refused() {
    let mut pad = Pad::default();
    let (terminal, ..) = until_confirm(&mut pad);
    let bare = crate::Done.write().unwrap();
    assert_malformed(terminal.on_frame(&mut pad, &bare), Malformed::MissingField { tag: Tag::RECEIPT });
    let mut pad = Pad::default();
    let (terminal, ..) = until_confirm(&mut pad);
    assert_not_proven(terminal.on_frame(&mut pad, &with(&bare, Tag::RECEIPT, &[7; 32])));
    assert!(!pad.had_done);
}

#[test]
fn another_proof_beside_the_one_of_a_message_is_0002() {
    let mut pad = Pad::default();
    let (terminal, server, [_, challenge]) = until_challenge(&mut pad, key_download());
    let (proof, _) = terminal.on_frame(&mut pad, &challenge, None).unwrap();
    let result = server.on_frame(&with(&proof, Tag::RECEIPT, &[7; 32]));
    assert_malformed(result, Malformed::UnwantedField { tag: Tag::RECEIPT });
}

#[test]
fn fields_in_another_order_are_0002() {
    let (hello, _) =
        Start::<EcAes>::of(identification(), key_download(), None).begin(&mut Pad::default()).unwrap();
    let message = hello.message().unwrap();
    let mut turned = Fields::new();
    let mut fields: Vec<_> = message.fields.iter().collect();
    fields.reverse();
    for field in fields {
        let wire::Value::Bytes(bytes) = field.value() else { panic!("no templates here") };
        turned.push(field.tag(), bytes).unwrap();
    }
    let turned = Frame::new(message.kind, &turned).unwrap();
    let result = ExpectHello::new().on_frame_of::<EcAes>(&turned);
    assert!(matches!(
        result.unwrap_err().reason,
        Reason::Protocol(ProtocolError::Malformed(Malformed::FieldOrder { .. }))
    ));
}

/// A terminal of suite 02 is never answered with the messages of suite 01, nor the reverse.
#[test]
fn messages_of_the_other_suite_are_0002() {
    let mut pad = Pad::default();
    let (terminal, ..) = until_challenge(&mut pad, key_download());
    let (mut old_pad, mut old_tms) = (super::fake::Pad::default(), super::fake::Tms::default());
    let (old_terminal, _, [_, old]) =
        super::fake::until_challenge(&mut old_pad, &mut old_tms, key_download());
    assert_eq!(terminal.on_frame(&mut pad, &old, None).unwrap_err().code, ErrorCode::Malformed);
    let (.., [hello, challenge]) = until_challenge(&mut Pad::default(), key_download());
    let result = old_terminal.on_frame(&mut old_pad, &challenge, None);
    assert_malformed(result, Malformed::FieldValue { tag: Tag::DWK_MODE });
    // Read as suite 01 it names a suite that the role has not: 0009, once it is proven.
    assert_eq!(ExpectHello::new().on_frame(&hello).unwrap().suite(), EcAes::ID);
    assert_ne!(EcAes::ID, Tdes::ID);
}

#[test]
fn check_value_of_suite_01_is_0001() {
    let (_, proven) = until_proof(&mut Pad::default(), key_download());
    let receipt = receipt(&proven, Some("D"));
    let fault = proven.load_key(receipt, "D", Kcv::Tdes([1; 3])).unwrap_err();
    assert_eq!(fault.code, ErrorCode::Internal);
}

/// It may leave its proof out, and then gets no key.
#[test]
fn terminal_that_failed_gets_no_key() {
    let (_, server, [hello, _]) = until_challenge(&mut Pad::default(), Transaction::ProgramDownload);
    let named = TmsHello::<EcAes>::read(&hello).unwrap().named();
    let failed = TmsProof::<EcAes> { named, good: false, proof: None, operator: None };
    let proof = server.on_frame(&failed.write().unwrap()).unwrap();
    assert_eq!(proof.confirmation(), Confirmation([0; 32]));
    assert_eq!(proof.said_bare().unwrap(), proof.said().bytes());
    let receipt = receipt(&proof, None);
    assert_eq!(proof.begin_program(receipt).unwrap_err().reason, Reason::TerminalFailed);
}
