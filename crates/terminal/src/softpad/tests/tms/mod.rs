//! A session with the TMS: what is taken, every refusal by name, and the seal.

mod keys;
mod sealed;

use flows::PadRefusal;
use flows::tms_session::{OperatorPassword, PadProof, SealPad};
use paycrypto::TdesKey;
use paycrypto::blocks::{self, BlockRefusal};
use paycrypto::keys::{Dmk, Dwk, SessionKey, Tmk};
use paycrypto::operator::Verifier;
use paycrypto::seal::{self, Direction};
use paycrypto::tk::CheckedTk;
use rstest::rstest;
use wire::{BcdTime, ErrorCode, Frame, Kcv, Malformed, Src, TData, Tag};

use crate::board::SharedBoard;
use crate::softpad::download::Session;
use crate::softpad::owner::OwnerKind;
use crate::softpad::tms::TmsSession;
use crate::testing::peers::{done, frame, key_confirm, load, tlv};
use crate::testing::session_peers::{
    S_DATA, Tms, challenge_of, challenge_with, context, copy, hello, key_of, proof_of,
};
use crate::testing::sessions_01::Sessions01 as _;
use crate::testing::{Kms, Shared, estate, slot};
use crate::{LifeCycle, PinPad, SoftPad, Terminal};

const OWN: &str = "SN-1001/00";
const PLACE: &str = "SN-1001/03";
const UNPROVEN: &str = "the TMS does not hold this terminal's DMK";

fn managed() -> (Terminal, SharedBoard, Tms) {
    let (mut terminal, board) = estate().full_terminal();
    let tms = Tms::of(&mut terminal);
    (terminal, board, tms)
}

fn begin(terminal: &mut Terminal, wants: Option<u8>) -> Frame {
    let when = BcdTime::from_unix(estate().now).unwrap();
    hello(&terminal.pad_mut().tms_begin(Some(when)).unwrap().t_data.bytes(), wants)
}

/// A session up to TMS_PROOF.
fn proven(terminal: &mut Terminal, tms: &mut Tms, wants: Option<u8>) -> Frame {
    let hello = begin(terminal, wants);
    let challenge = tms.challenge(&hello);
    let proof = terminal.pad_mut().tms_prove(&hello, &challenge, None).unwrap();
    tms.proof(&proof.proof.0)
}

/// A session whose seal works.
fn sealed(terminal: &mut Terminal, tms: &mut Tms) {
    let proof = proven(terminal, tms, None);
    assert_eq!(terminal.pad_mut().tms_keys(&proof, &tms.program_key()).unwrap(), None);
}

/// A whole download of a TMK up to KEY_CONFIRM.
fn load_tmk(terminal: &mut Terminal, tms: &mut Tms, index: u8, tmk: &Tmk) -> Result<Kcv, PadRefusal> {
    let proof = proven(terminal, tms, Some(index));
    let key = tms.tmk_key(tmk, &format!("SN-1001/{index:02}"));
    Ok(terminal.pad_mut().tms_keys(&proof, &key)?.unwrap().kcvs[0])
}

fn tmk() -> Tmk {
    Tmk::generate().unwrap()
}

fn refused(refusal: BlockRefusal) -> PadRefusal {
    PadRefusal::KeyRefused { why: refusal.to_string() }
}

fn unproven() -> PadRefusal {
    PadRefusal::ServerNotProven { why: UNPROVEN.into() }
}

fn is_0008<T>(result: Result<T, PadRefusal>) -> bool {
    result.is_err_and(|refusal| matches!(refusal, PadRefusal::NotPermitted { .. }))
}

fn newest(terminal: &Terminal) -> (String, String) {
    let record = terminal.pad().refusals().newest().unwrap();
    (record.check.clone(), record.reading.clone())
}

/// That nothing is open: neither the rest of the handshake nor the seal does anything.
fn assert_ended(pad: &mut SoftPad, tms: &Tms, hello: &Frame, proof: &Frame) {
    assert!(matches!(pad.session, Session::Idle));
    assert!(is_0008(pad.tms_prove(hello, &challenge_of(&[0; 4], "B0016"), None)));
    assert!(is_0008(pad.tms_keys(proof, &tms.program_key())));
    assert!(is_0008(pad.tms_seal(b"inner")));
    assert!(is_0008(pad.tms_open(&[0; 24])));
    assert_eq!(pad.tms_blocks_left(), 0);
}

#[test]
fn worked_values_of_flow_e_pass_through_the_pad() {
    // Origin: vectors/tdes-suite.json, flow_e.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/tdes-suite.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let file = &file["flow_e"];
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    let hex = |value: &serde_json::Value| -> Vec<u8> {
        let text = text(value);
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let key = |name: &str| TdesKey::from_bytes(&hex(&file[name])).unwrap();
    let hello = Frame::from_payload(&hex(&file["hello"])).unwrap();
    assert_eq!(context(hello.bytes(), &[]).to_vec(), hex(&file["context_of_dwk"]));

    let (mut terminal, _) = estate().full_terminal();
    load(&mut terminal, &Dmk::from_key(key("dmk")).unwrap(), OWN, None).unwrap();
    let pad = terminal.pad_mut();
    let t_data = TData::from_bytes(hex(&file["t_data"]).try_into().unwrap()).unwrap();
    pad.session = Session::Tms(Box::new(TmsSession::Begun(t_data)));

    let tac_1 = hex(&file["tac_1"]).try_into().unwrap();
    assert_eq!(hex(&file["s_data"]), S_DATA);
    let operator = &file["operator"];
    let id = text(&operator["id"]).parse().unwrap();
    let password = text(&operator["password"]);
    let operator_password = OperatorPassword { id, password: password.as_bytes() };
    let challenge = challenge_with(&tac_1, &text(&file["dwk_key_block_under_dmk"]), &[tlv(0xDF3F, &[1])]);
    let proof = pad.tms_prove(&hello, &challenge, Some(&operator_password)).unwrap();
    assert_eq!(proof.proof.0.to_vec(), hex(&file["sac_1"]));
    assert_eq!(proof.operator.unwrap().to_vec(), hex(&operator["proof"]));

    let more = [tlv(0xDF3D, b"op7"), tlv(0xDF3E, &proof.operator.unwrap())];
    let proof = proof_of(&proof.proof.0, &more);
    let said = [hello.bytes(), challenge.bytes(), proof.bytes()].concat();
    let dwk = Dwk::from_key(key("dwk")).unwrap();
    let session = SessionKey::from_key(key("session_key")).unwrap();
    let block = blocks::wrap(&dwk, &session, OWN, &context(&said, &[])).unwrap();
    assert_eq!(pad.tms_keys(&proof, &key_of(&block, None)).unwrap(), None);

    // What the pad seals opens with the keys of the file, and it opens what was sealed with them. The vector's own
    // message is one of the terminal's: the IV is random there, so it is opened as the TMS does.
    let message = Frame::from_payload(&hex(&file["sealed"]["message"])).unwrap();
    let inner = hex(&file["sealed"]["inner_payload"]);
    let vector = crate::testing::peers::value(&message, 0xDF4A);
    assert_eq!(seal::open(&session, &dwk, Direction::FromTerminal, 0, &vector).unwrap().as_slice(), inner);
    let own = pad.tms_seal(&inner).unwrap();
    assert_eq!(own.len(), vector.len());
    assert_eq!(seal::open(&session, &dwk, Direction::FromTerminal, 0, &own).unwrap().as_slice(), inner);
    let answer = seal::seal(&session, &dwk, Direction::FromTms, 0, b"answer").unwrap();
    assert_eq!(pad.tms_open(&answer).unwrap(), b"answer");
}

#[test]
fn t_data_has_top_bit_0_its_time_and_is_never_the_same() {
    let (mut terminal, ..) = managed();
    let when = BcdTime::from_unix(estate().now).unwrap();
    let drawn: std::collections::HashSet<[u8; 10]> =
        (0..200).map(|_| terminal.pad_mut().tms_begin(Some(when)).unwrap().t_data.bytes()).collect();
    assert_eq!(drawn.len(), 200);
    assert!(drawn.iter().all(|data| data[0] & 0x80 == 0 && data[4..] == *when.as_bytes()));
    assert_eq!(terminal.pad_mut().tms_begin(None).unwrap().t_data.bytes()[4..], [0; 6]);
}

#[test]
fn no_dmk_is_0008_and_recorded() {
    let (mut terminal, _) = estate().full_terminal();
    assert!(is_0008(terminal.pad_mut().tms_begin(None)));
    assert_eq!(newest(&terminal), ("DMK".into(), "none".into()));
}

#[test]
fn a_wrong_tac_1_and_a_dwk_that_does_not_open_are_the_same_0005_and_end_the_session() {
    for which in 0..6 {
        let (mut terminal, _, mut tms) = managed();
        let hello = begin(&mut terminal, None);
        tms.said = hello.bytes().to_vec();
        let mut tac_1 = tms.dwk.mac(&hello_t_data(&hello));
        let dwk_1 = match which {
            0 => {
                tac_1[3] ^= 1;
                tms.dwk_1(OWN)
            }
            // Another TMS, or one that plays a stranger.
            1 => {
                tms.dmk = Dmk::generate().unwrap();
                tms.dwk_1(OWN)
            }
            2 => tms.dwk_1(PLACE),
            3 => tms.dwk_1("SN-1002/00"),
            // Of another session.
            4 => {
                tms.said.push(0);
                tms.dwk_1(OWN)
            }
            _ => tms.dwk_1(OWN).replacen('E', "F", 1),
        };
        let pad = terminal.pad_mut();
        let refusal = pad.tms_prove(&hello, &challenge_of(&tac_1, &dwk_1), None).unwrap_err();
        assert_eq!(refusal, unproven(), "{which}");
        assert_eq!(refusal.code(), ErrorCode::ServerAuthenticationFailed);
        assert_ended(pad, &tms, &hello, &proof_of(&[0; 4], &[]));
        assert_eq!(newest(&terminal), ("TMS_CHALLENGE 0005".into(), UNPROVEN.into()), "{which}");
    }
}

fn hello_t_data(hello: &Frame) -> Vec<u8> {
    crate::testing::peers::value(hello, 0xDF34)
}

#[test]
fn a_key_with_another_use_is_no_dwk() {
    let (mut terminal, _, mut tms) = managed();
    let hello = begin(&mut terminal, None);
    tms.said = hello.bytes().to_vec();
    // A TMK's block under the DMK's bytes: K1, T, B as a DWK's, but in another place.
    let tac_1 = tms.dwk.mac(&hello_t_data(&hello));
    let twin = Dwk::from_key(TdesKey::from_bytes(tms.dwk.expose()).unwrap()).unwrap();
    let session = blocks::wrap(&twin, &tms.session, OWN, &context(&tms.said, &[])).unwrap();
    let refusal = terminal.pad_mut().tms_prove(&hello, &challenge_of(&tac_1, &session), None).unwrap_err();
    assert_eq!(refusal, unproven());
}

#[test]
fn a_dwk_that_is_the_dmk_is_0007() {
    let (mut terminal, _, mut tms) = managed();
    tms.dwk = Dwk::from_key(TdesKey::from_bytes(tms.dmk.expose()).unwrap()).unwrap();
    let hello = begin(&mut terminal, None);
    let challenge = tms.challenge(&hello);
    let refusal = terminal.pad_mut().tms_prove(&hello, &challenge, None).unwrap_err();
    assert_eq!(refusal, PadRefusal::KeyRefused { why: "the DWK is the same key as the DMK".into() });
}

#[test]
fn s_data_with_the_top_bit_of_t_data_is_0002() {
    let (mut terminal, _, mut tms) = managed();
    let hello = begin(&mut terminal, None);
    let mut payload = tms.challenge(&hello).payload().to_vec();
    let at = payload.windows(10).position(|window| window == S_DATA).unwrap();
    payload[at] &= 0x7F;
    let challenge = Frame::from_payload(&payload).unwrap();
    let refusal = terminal.pad_mut().tms_prove(&hello, &challenge, None).unwrap_err();
    assert_eq!(refusal, PadRefusal::Malformed(Malformed::TopBit { tag: Tag::S_DATA }));
}

#[test]
fn the_pad_finds_its_own_t_data_place_and_suite_in_hello() {
    let changes: [(&[u8], &[u8]); 2] = [(b"SN-1001", b"SN-1002"), (&[0xDF, 1, 1, 1], &[0xDF, 1, 1, 2])];
    for (number, change) in changes.into_iter().map(Some).chain([None]).enumerate() {
        let (mut terminal, _, mut tms) = managed();
        let own = begin(&mut terminal, None);
        let mut payload = own.payload().to_vec();
        match change {
            Some((from, to)) => {
                let at = payload.windows(from.len()).position(|window| window == from).unwrap();
                payload[at..at + to.len()].copy_from_slice(to);
            }
            None => *payload.last_mut().unwrap() ^= 1,
        }
        let said = Frame::from_payload(&payload).unwrap();
        // The answer is right for what was said: the pad must not prove itself to it.
        let challenge = tms.challenge(&said);
        assert!(is_0008(terminal.pad_mut().tms_prove(&said, &challenge, None)), "{number}");
        assert_ended(terminal.pad_mut(), &tms, &own, &proof_of(&[0; 4], &[]));
    }
}

#[test]
fn a_challenge_for_another_terminal_is_0002() {
    let (mut terminal, _, mut tms) = managed();
    let hello = begin(&mut terminal, None);
    let mut payload = tms.challenge(&hello).payload().to_vec();
    let at = payload.windows(7).position(|window| window == b"SN-1001").unwrap();
    payload[at + 6] = b'2';
    let challenge = Frame::from_payload(&payload).unwrap();
    let refusal = terminal.pad_mut().tms_prove(&hello, &challenge, None).unwrap_err();
    assert_eq!(refusal, PadRefusal::Malformed(Malformed::FieldValue { tag: Tag::SERIAL }));
}

#[test]
fn an_src_in_place_of_a_challenge_or_a_key_ends_the_session() {
    let (mut terminal, _, mut tms) = managed();
    let refusing = |kind: u8, stage: u8| {
        frame(
            kind,
            &[
                tlv(0xDF30, b"KF"),
                tlv(0xDF31, b"SIM-1"),
                tlv(0xDF02, b"SN-1001"),
                tlv(0xDF32, b"01.00"),
                tlv(0xDF3A, &[stage]),
                tlv(0xDF3B, Src::AuthenticationFailed.digits().as_bytes()),
            ],
        )
    };
    let hello = begin(&mut terminal, None);
    assert!(is_0008(terminal.pad_mut().tms_prove(&hello, &refusing(0x32, 2), None)));
    let proof = proven(&mut terminal, &mut tms, None);
    assert!(is_0008(terminal.pad_mut().tms_keys(&proof, &refusing(0x34, 4))));
    assert_ended(terminal.pad_mut(), &tms, &hello, &proof);
}

#[test]
fn a_demanded_operator_who_is_not_there_is_0008() {
    let (mut terminal, _, mut tms) = managed();
    let hello = begin(&mut terminal, None);
    tms.said = hello.bytes().to_vec();
    let tac_1 = tms.dwk.mac(&hello_t_data(&hello));
    let challenge = challenge_with(&tac_1, &tms.dwk_1(OWN), &[tlv(0xDF3F, &[1])]);
    let refusal = terminal.pad_mut().tms_prove(&hello, &challenge, None).unwrap_err();
    assert_eq!(refusal, PadRefusal::NotPermitted { why: "the TMS demands an operator".into() });
}

#[test]
fn an_operators_proof_is_over_this_session_and_stands_in_the_proof_unchanged() {
    let (mut terminal, _, mut tms) = managed();
    let operator = OperatorPassword { id: "op7".parse().unwrap(), password: b"correct horse" };
    for change in [false, true] {
        let hello = begin(&mut terminal, None);
        let challenge = tms.challenge(&hello);
        let PadProof { proof: sac_1, operator: proof } =
            terminal.pad_mut().tms_prove(&hello, &challenge, Some(&operator)).unwrap();
        let mut proof = proof.unwrap();
        let t_data = hello_t_data(&hello).try_into().unwrap();
        assert!(Verifier::derive("op7", b"correct horse").proves(&tms.dwk, &t_data, &S_DATA, &proof));
        proof[31] ^= u8::from(change);
        let proof = proof_of(&sac_1.0, &[tlv(0xDF3D, b"op7"), tlv(0xDF3E, &proof)]);
        tms.said.extend(proof.bytes());
        let keys = terminal.pad_mut().tms_keys(&proof, &tms.program_key());
        assert_eq!(keys.is_ok(), !change);
    }
}

#[test]
fn another_proof_than_the_pads_own_is_0008() {
    let (mut terminal, _, mut tms) = managed();
    let own = proven(&mut terminal, &mut tms, None);
    let others = [
        proof_of(&[0; 4], &[]),
        // Somebody else's operator put in.
        proof_of(&tms.dwk.mac(&S_DATA), &[tlv(0xDF3D, b"op7"), tlv(0xDF3E, &[7; 32])]),
    ];
    for other in others {
        proven(&mut terminal, &mut tms, None);
        tms.said.extend(other.bytes());
        assert!(is_0008(terminal.pad_mut().tms_keys(&other, &tms.program_key())));
        assert!(is_0008(terminal.pad_mut().tms_keys(&own, &tms.program_key())));
    }
}

#[test]
fn steps_out_of_order_are_0008() {
    let (mut terminal, _, mut tms) = managed();
    let hello = begin(&mut terminal, None);
    let challenge = tms.challenge(&hello);
    let proof = proof_of(&tms.dwk.mac(&S_DATA), &[]);
    let pad = terminal.pad_mut();
    assert!(is_0008(pad.tms_keys(&proof, &tms.program_key())), "keys before the proof");
    assert!(is_0008(pad.tms_prove(&hello, &challenge, None)), "it ended the session");
    let hello = begin(&mut terminal, None);
    assert!(is_0008(terminal.pad_mut().tms_done(&key_confirm(&[]), &done())), "done before keys");
    let challenge = tms.challenge(&hello);
    assert!(is_0008(terminal.pad_mut().tms_prove(&hello, &challenge, None)));
    proven(&mut terminal, &mut tms, None);
    assert!(is_0008(terminal.pad_mut().tms_seal(b"inner")), "seal before keys");
}

#[test]
fn a_challenge_is_answered_once() {
    let (mut terminal, _, mut tms) = managed();
    let hello = begin(&mut terminal, None);
    let challenge = tms.challenge(&hello);
    terminal.pad_mut().tms_prove(&hello, &challenge, None).unwrap();
    assert!(is_0008(terminal.pad_mut().tms_prove(&hello, &challenge, None)));
}

#[test]
fn the_lid_opened_before_each_step_wipes_and_is_0008() {
    for step in 0..6 {
        let (mut terminal, board, mut tms) = managed();
        terminal.deploy().unwrap();
        let open = || board.change(|readings| readings.lid_openings += 1);
        let result = match step {
            0 => {
                open();
                terminal.pad_mut().tms_begin(None).map(|_| ())
            }
            1 => {
                let hello = begin(&mut terminal, None);
                let challenge = tms.challenge(&hello);
                open();
                terminal.pad_mut().tms_prove(&hello, &challenge, None).map(|_| ())
            }
            2 => {
                let proof = proven(&mut terminal, &mut tms, None);
                open();
                terminal.pad_mut().tms_keys(&proof, &tms.program_key()).map(|_| ())
            }
            3 => {
                let kcv = load_tmk(&mut terminal, &mut tms, 3, &tmk()).unwrap();
                open();
                terminal.pad_mut().tms_done(&key_confirm(&[kcv]), &done())
            }
            4 => {
                sealed(&mut terminal, &mut tms);
                open();
                terminal.pad_mut().tms_seal(b"inner").map(|_| ())
            }
            _ => {
                sealed(&mut terminal, &mut tms);
                open();
                terminal.pad_mut().tms_open(&tms.seal(b"inner")).map(|_| ())
            }
        };
        assert!(is_0008(result), "{step}");
        assert_eq!(terminal.pad().life_cycle(), LifeCycle::Tampered, "{step}");
        assert!(!terminal.pad().state.has_keys() && matches!(terminal.pad().session, Session::Idle));
    }
}
