//! A session with the TMS in suite 02: what is taken, every refusal by name, and the seal.

mod sealed;

use flows::suite::Receipt;
use flows::tms_session::{OperatorPassword, PadOpening, PadProof, SealPad, TmsPad};
use flows::{EcAes, Loaded, PadRefusal, Tdes};
use paycrypto::blocks::BlockRefusal;
use paycrypto::ec::keys::{Dmk, Tmk};
use paycrypto::ec::{FrameOpener, FrameSealer};
use paycrypto::operator::Verifier;
use wire::{Frame, Kcv, Malformed, Tag};

use crate::softpad::download::Session;
use crate::testing::peers::{done, frame, tlv, value};
use crate::testing::session_peers::{S_DATA, context};
use crate::testing::session_peers_ec::{EcTms, hello};
use crate::testing::{Shared, estate, slot};
use crate::{PinPad, SoftPad, Terminal};

const PLACE: &str = "SN-1001/03";
const DMK: [u8; 32] = [0x5D; 32];

fn managed() -> Terminal {
    let (mut terminal, _) = estate().full_terminal();
    terminal.pad_mut().give_ec_dmk(Dmk::from_bytes(&DMK));
    terminal
}

fn begin(pad: &mut SoftPad, wants: Option<u8>) -> Frame {
    let PadOpening { t_data, opening } = TmsPad::<EcAes>::tms_begin(pad, None).unwrap();
    hello(&t_data.bytes(), &opening.point, &opening.nonce, wants)
}

fn prove(pad: &mut SoftPad, hello: &Frame, challenge: &Frame) -> Result<[u8; 32], PadRefusal> {
    let PadProof { proof, .. } = TmsPad::<EcAes>::tms_prove(pad, hello, challenge, None)?;
    Ok(proof.0)
}

/// A session up to TMS_PROOF.
fn proven(pad: &mut SoftPad, wants: Option<u8>) -> (EcTms, Frame) {
    let mut tms = EcTms::new(&DMK);
    let hello = begin(pad, wants);
    let challenge = tms.challenge(&hello);
    let confirmation = prove(pad, &hello, &challenge).unwrap();
    let proof = tms.proof(&confirmation, &[]);
    (tms, proof)
}

fn keys(pad: &mut SoftPad, proof: &Frame, key: &Frame) -> Result<Option<Loaded<EcAes>>, PadRefusal> {
    TmsPad::<EcAes>::tms_keys(pad, proof, key)
}

/// A session whose seal works.
fn sealed(pad: &mut SoftPad) -> (FrameSealer, FrameOpener) {
    let (mut tms, proof) = proven(pad, None);
    assert_eq!(keys(pad, &proof, &tms.key(None)).unwrap(), None);
    tms.seal()
}

/// A whole download of a TMK up to KEY_CONFIRM.
fn load(pad: &mut SoftPad, tmk: &Tmk, counter: u64) -> Result<(EcTms, Frame), PadRefusal> {
    let (mut tms, proof) = proven(pad, Some(3));
    let block = tms.tmk_block(tmk, PLACE, counter);
    let key = tms.key(Some(&block));
    let Loaded { kcvs, confirmation: Receipt(receipt) } = keys(pad, &proof, &key)?.unwrap();
    assert_eq!(kcvs, [Kcv::Aes(tmk.kcv())]);
    let confirm = tms.confirm(&receipt, 3, tmk);
    Ok((tms, confirm))
}

fn finish(pad: &mut SoftPad, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
    TmsPad::<EcAes>::tms_done(pad, confirm, done)
}

fn tmk(byte: u8) -> Tmk {
    Tmk::from_bytes(&std::array::from_fn(|at| byte.wrapping_mul(17) ^ u8::try_from(at * 13).unwrap()))
}

fn held(pad: &SoftPad) -> Option<(Kcv, Option<Kcv>)> {
    let keys = pad.state.ec_aes.slots.get(&slot(3))?;
    Some((keys.tmk.kcv(), keys.tmk.previous_kcv()))
}

fn is_0008<T>(result: Result<T, PadRefusal>) -> bool {
    result.is_err_and(|refusal| matches!(refusal, PadRefusal::NotPermitted { .. }))
}

fn is_0005<T>(result: Result<T, PadRefusal>) -> bool {
    result.is_err_and(|refusal| matches!(refusal, PadRefusal::ServerNotProven { .. }))
}

fn refused<T: std::fmt::Debug>(result: Result<T, PadRefusal>, why: BlockRefusal) {
    assert_eq!(result.unwrap_err(), PadRefusal::KeyRefused { why: why.to_string() });
}

/// That nothing is open: neither the rest of the handshake nor the seal does anything.
fn assert_ended(pad: &mut SoftPad) {
    assert!(matches!(pad.session, Session::Idle));
    assert!(is_0008(pad.tms_seal(b"inner")));
    assert!(is_0008(pad.tms_open(&[0; 24])));
    assert!(is_0008(keys(pad, &done(), &done())));
    assert_eq!(pad.tms_blocks_left(), 0);
}

/// A TMS without this DMK, and a challenge of an older session (`dwk-replay` of suite 01).
#[test]
fn a_false_tms_and_a_replayed_challenge_are_0005_and_recorded() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let hello = begin(pad, None);
    let challenge = EcTms::new(&[0x5E; 32]).challenge(&hello);
    assert!(is_0005(prove(pad, &hello, &challenge)));
    assert_eq!(pad.refusals().newest().unwrap().check, "TMS_CHALLENGE 0005");
    assert_ended(pad);
    let older = begin(pad, None);
    let old = EcTms::new(&DMK).challenge(&older);
    let newer = begin(pad, None);
    assert!(is_0005(prove(pad, &newer, &old)));
    let newer = begin(pad, None);
    let mut challenge = EcTms::new(&DMK).challenge(&newer).payload().to_vec();
    let s_data = challenge.windows(10).position(|window| window == S_DATA).unwrap();
    challenge[s_data + 1] ^= 1;
    let challenge = Frame::from_payload(&challenge).unwrap();
    assert!(is_0005(prove(pad, &newer, &challenge)), "S_DATA is in MAC_S");
}

#[test]
fn a_challenge_with_a_dwk_or_mode_01_or_a_point_off_the_curve_is_0002() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let hello = begin(pad, None);
    let challenge = EcTms::new(&DMK).challenge_with(&hello, 1, &[]);
    let mode = PadRefusal::Malformed(Malformed::FieldValue { tag: Tag::DWK_MODE });
    assert_eq!(prove(pad, &hello, &challenge).unwrap_err(), mode);
    assert_ended(pad);
    let hello = begin(pad, None);
    let mut challenge = EcTms::new(&DMK).challenge(&hello).message().unwrap().fields;
    challenge.push(Tag::DWK_1, b"B0016").unwrap();
    let challenge = Frame::new(wire::MessageType::TmsChallenge, &challenge.ascending()).unwrap();
    let dwk = PadRefusal::Malformed(Malformed::UnwantedField { tag: Tag::DWK_1 });
    assert_eq!(prove(pad, &hello, &challenge).unwrap_err(), dwk);
    let hello = begin(pad, None);
    let mut challenge = EcTms::new(&DMK).challenge(&hello).payload().to_vec();
    let point = challenge.windows(3).position(|window| window == [0xDF, 0x13, 65]).unwrap();
    challenge[point + 4] ^= 1;
    let challenge = Frame::from_payload(&challenge).unwrap();
    let off = PadRefusal::Malformed(Malformed::FieldValue { tag: Tag::EPHEMERAL_KEY });
    assert_eq!(prove(pad, &hello, &challenge).unwrap_err(), off);
}

#[test]
fn the_pad_finds_its_own_t_data_key_nonce_pin_pad_and_suite_in_hello() {
    let changes: [fn(&mut flows::tms_session::messages::TmsHello<EcAes>); 4] = [
        |hello| hello.t_data = wire::TData::new([1; 4], None),
        |hello| hello.opening.nonce[0] ^= 1,
        |hello| hello.opening.point = *EcTms::new(&DMK).point(),
        |hello| hello.suite = wire::Suite::TDES,
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut terminal = managed();
        let pad = terminal.pad_mut();
        let hello = begin(pad, None);
        let challenge = EcTms::new(&DMK).challenge(&hello);
        let mut said = flows::tms_session::messages::TmsHello::<EcAes>::read(&hello).unwrap();
        change(&mut said);
        assert!(is_0008(prove(pad, &said.write().unwrap(), &challenge)), "{number}");
        assert_ended(pad);
    }
}

#[test]
fn a_demanded_operator_is_proven_for_this_session_and_is_in_mac_t() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let mut tms = EcTms::new(&DMK);
    let hello = begin(pad, None);
    let challenge = tms.challenge_with(&hello, 2, &[tlv(0xDF3F, &[1])]);
    let operator = OperatorPassword { id: "op7".parse().unwrap(), password: b"correct horse" };
    let PadProof { proof, operator: told } =
        TmsPad::<EcAes>::tms_prove(pad, &hello, &challenge, Some(&operator)).unwrap();
    let t_data: [u8; 10] = value(&hello, 0xDF34).try_into().unwrap();
    let verifier = Verifier::derive("op7", b"correct horse");
    let told = told.unwrap();
    assert!(tms.schedule().operator().proves(&verifier, &t_data, &S_DATA, &told));
    // MAC_T is over the message with both fields: the peer checks that.
    let proof = tms.proof(&proof.0, &[tlv(0xDF3D, b"op7"), tlv(0xDF3E, &told)]);
    assert_eq!(keys(pad, &proof, &tms.key(None)).unwrap(), None);
    let mut tms = EcTms::new(&DMK);
    let hello = begin(pad, None);
    let challenge = tms.challenge_with(&hello, 2, &[tlv(0xDF3F, &[1])]);
    assert!(is_0008(prove(pad, &hello, &challenge)), "demanded and not given");
}

#[test]
fn key_with_a_session_key_block_or_a_wrong_receipt_is_refused_and_stores_nothing() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let (mut tms, proof) = proven(pad, Some(3));
    let block = tms.tmk_block(&tmk(1), PLACE, 1);
    let key = tms.key_with(Some(&block), None, &[tlv(0xDF40, b"B0016")]);
    let unwanted = PadRefusal::Malformed(Malformed::UnwantedField { tag: Tag::KEY_BLOCK });
    assert_eq!(keys(pad, &proof, &key).unwrap_err(), unwanted);
    assert_ended(pad);
    for wants in [None, Some(3)] {
        let (mut tms, proof) = proven(pad, wants);
        let block = wants.map(|_| tms.tmk_block(&tmk(1), PLACE, 1));
        let key = tms.key_with(block.as_deref(), Some([7; 32]), &[]);
        assert!(is_0005(keys(pad, &proof, &key)));
        assert_eq!(pad.refusals().newest().unwrap().check, "TMS_KEY 0005");
        assert_ended(pad);
    }
    assert_eq!(held(pad), None);
}

/// TMS_PROOF is the pad's own, to the byte: the receipt would be over another.
#[test]
fn another_proof_than_the_one_given_out_is_0008() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let (mut tms, proof) = proven(pad, None);
    let mut other = proof.payload().to_vec();
    *other.last_mut().unwrap() ^= 1;
    let key = tms.key(None);
    assert!(is_0008(keys(pad, &Frame::from_payload(&other).unwrap(), &key)));
    assert_ended(pad);
}

#[test]
fn a_tmk_in_another_place_time_or_with_an_old_load_counter_is_0007() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let (tms, confirm) = load(pad, &tmk(1), 5).unwrap();
    finish(pad, &confirm, &tms.done(3, &tmk(1))).unwrap();
    for (place, counter, why) in [
        ("SN-1001/04", 6, BlockRefusal::Place),
        (PLACE, 5, BlockRefusal::LoadCounter),
        (PLACE, 4, BlockRefusal::LoadCounter),
        (PLACE, 5 + 65_537, BlockRefusal::LoadCounter),
    ] {
        let (mut tms, proof) = proven(pad, Some(3));
        let block = tms.tmk_block(&tmk(2), place, counter);
        let key = tms.key(Some(&block));
        refused(keys(pad, &proof, &key), why);
        assert_eq!(pad.refusals().newest().unwrap().check, "TMS_KEY 0007");
    }
    let (mut tms, proof) = proven(pad, Some(3));
    let older = context(&tms.said, &["D0000"]);
    let (kbpk, counter) = (tms.schedule().kbpk(), paycrypto::ec::blocks::LoadCounter::new(6));
    let block = paycrypto::ec::blocks::wrap_tmk(&kbpk, &tmk(2), PLACE, &older, counter).unwrap();
    let key = tms.key(Some(&block));
    refused(keys(pad, &proof, &key), BlockRefusal::Context);
    assert_eq!(held(pad), Some((Kcv::Aes(tmk(1).kcv()), None)));
}

#[test]
fn the_old_tmk_is_given_up_only_after_dones_receipt() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let (tms, confirm) = load(pad, &tmk(1), 1).unwrap();
    finish(pad, &confirm, &tms.done(3, &tmk(1))).unwrap();
    let both = Some((Kcv::Aes(tmk(2).kcv()), Some(Kcv::Aes(tmk(1).kcv()))));
    // A DONE of suite 01, one of the session before, and one that is cut.
    let (_, confirm) = load(pad, &tmk(2), 2).unwrap();
    assert!(matches!(finish(pad, &confirm, &done()), Err(PadRefusal::Malformed(_))));
    assert_eq!(held(pad), both);
    let old = tms.done(3, &tmk(1));
    let (_, confirm) = load(pad, &tmk(2), 3).unwrap();
    assert!(is_0005(finish(pad, &confirm, &old)));
    assert_eq!(pad.refusals().newest().unwrap().check, "DONE 0005");
    assert_eq!(held(pad), both);
    let (tms, confirm) = load(pad, &tmk(2), 4).unwrap();
    finish(pad, &confirm, &tms.done(3, &tmk(2))).unwrap();
    assert_eq!(held(pad), Some((Kcv::Aes(tmk(2).kcv()), None)));
}

#[test]
fn confirm_must_be_the_pads_own() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let (tms, _) = load(pad, &tmk(1), 1).unwrap();
    let other = frame(0x05, &[tlv(0xDF17, &[7; 32])]);
    assert!(is_0008(finish(pad, &other, &tms.done(3, &tmk(1)))));
    assert_ended(pad);
}

/// `slot-thief`.
#[test]
fn a_tms_does_not_fill_a_slot_that_another_owns() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    pad.give_ec_tmk(slot(3), tmk(9));
    let hello = begin(pad, Some(3));
    let challenge = EcTms::new(&DMK).challenge(&hello);
    assert!(is_0008(prove(pad, &hello, &challenge)));
    assert_eq!(pad.refusals().newest().unwrap().check, "owner");
    assert_eq!(held(pad), Some((Kcv::Aes(tmk(9).kcv()), None)));
}

/// `downgrade`: once a flow of suite 02 was completed for a key, suite 01 is 0009 for it until a repair.
#[test]
fn suite_01_is_0009_for_a_slot_that_suite_02_filled() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let (tms, confirm) = load(pad, &tmk(1), 1).unwrap();
    finish(pad, &confirm, &tms.done(3, &tmk(1))).unwrap();
    let refusal = flows::sign_in::SignInPad::<Tdes>::sign_in_begin(pad, slot(3), 0).unwrap_err();
    assert!(matches!(refusal, PadRefusal::SuiteNotSupported { .. }), "{refusal}");
    assert_eq!(pad.refusals().newest().unwrap().check, "suite");
    // There is no DMK of suite 01 at all.
    assert!(TmsPad::<Tdes>::tms_begin(pad, None).is_err());
}

#[test]
fn steps_of_the_other_suite_find_no_session() {
    let mut terminal = managed();
    let pad = terminal.pad_mut();
    let hello = begin(pad, None);
    let challenge = EcTms::new(&DMK).challenge(&hello);
    assert!(is_0008(TmsPad::<Tdes>::tms_prove(pad, &hello, &challenge, None)));
    assert_ended(pad);
}

#[test]
fn without_a_dmk_of_suite_02_nothing_begins() {
    let (mut terminal, _) = estate().full_terminal();
    assert!(is_0008(TmsPad::<EcAes>::tms_begin(terminal.pad_mut(), None)));
    assert_eq!(terminal.pad().tms_suite(), wire::Suite::TDES);
    assert_eq!(managed().pad().tms_suite(), wire::Suite::EC_AES);
}

/// The TMK is on disk before KEY_CONFIRM can leave, with its load counter.
#[test]
fn a_tmk_survives_a_power_cut_right_after_key_confirm() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    terminal.pad_mut().give_ec_dmk(Dmk::from_bytes(&DMK));
    load(terminal.pad_mut(), &tmk(1), 7).unwrap();
    drop(terminal);
    let mut terminal = Terminal::open_from(disk).unwrap();
    let pad = terminal.pad_mut();
    assert_eq!(held(pad), Some((Kcv::Aes(tmk(1).kcv()), None)));
    let (mut tms, proof) = proven(pad, Some(3));
    let block = tms.tmk_block(&tmk(1), PLACE, 7);
    let key = tms.key(Some(&block));
    refused(keys(pad, &proof, &key), BlockRefusal::LoadCounter);
    load(pad, &tmk(1), 8).unwrap();
}
