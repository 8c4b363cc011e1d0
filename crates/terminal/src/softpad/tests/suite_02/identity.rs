//! Downloads in suite 02 from an independent RKS.

use flows::rks_load::IdentityPad;
use flows::rks_load::messages::SealedFactor;
use flows::{EcAes, Loaded, PadRefusal};
use paycrypto::ec::LoadedKey;
use paycrypto::ec::keys::{Mak, Pik, Tmk};
use pki::Role;
use rstest::rstest;
use wire::{Frame, Kcv, Malformed, Suite, Tag};
use zeroize::Zeroizing;

use super::peers::{EcKey, Rks, acquirer, rks_keys, with};
use super::{changed, code, malformed, off_the_curve, refusals, spoiled};
use crate::softpad::incoming::Incoming;
use crate::softpad::owner::OwnerKind;
use crate::testing::peers::{frame, tlv};
use crate::testing::slot;
use crate::{CheckedSigner, PinPad, Terminal};

const FACTOR: &[u8] = b"KLD-7/20261120/B042";
const PLACE: &str = "SN-1001/03";

/// A terminal with the DIK2 of this RKS, and that RKS.
pub(super) fn identified() -> (Terminal, Rks) {
    let mut terminal = acquirer().terminal();
    let rks = Rks::new();
    identify(&mut terminal, &rks);
    (terminal, rks)
}

fn identify(terminal: &mut Terminal, rks: &Rks) {
    let state = &mut terminal.pad_mut().state;
    let owner = state.owner_by(OwnerKind::Root, Suite::EC_AES, b"root");
    EcAes::put_dik2(state, owner, rks.dik2(FACTOR), Zeroizing::new(FACTOR.to_vec()));
    state.verified_dik2();
}

fn key(terminal: &Terminal) -> CheckedSigner {
    acquirer().checked(terminal, Role::RksSigning, &acquirer().work)
}

/// RKS_AUTH for slot 03.
pub(super) fn begin(terminal: &mut Terminal) -> Frame {
    let opening = IdentityPad::<EcAes>::begin(terminal.pad_mut(), slot(3)).unwrap();
    let fields = [
        tlv(0xDF01, &[2]),
        tlv(0xDF02, b"SN-1001"),
        tlv(0xDF04, &[3]),
        tlv(0xDF13, &opening.point),
        tlv(0xDF14, &opening.nonce),
    ];
    frame(0x11, &fields)
}

pub(super) fn factor(terminal: &mut Terminal, auth: &Frame, cert: &Frame) -> Result<Frame, PadRefusal> {
    let key = key(terminal);
    let SealedFactor(sealed) = IdentityPad::<EcAes>::factor(terminal.pad_mut(), &key, auth, cert)?;
    Ok(with(0x13, 0xDF19, &sealed))
}

pub(super) fn proof(terminal: &mut Terminal, factor: &Frame, token: &Frame) -> Result<Frame, PadRefusal> {
    let mac = IdentityPad::<EcAes>::proof(terminal.pad_mut(), factor, token)?;
    Ok(with(0x15, 0xDF15, &mac.0))
}

fn keys(terminal: &mut Terminal, proof: &Frame, keys: &Frame) -> Result<(Vec<Kcv>, Frame), PadRefusal> {
    let Loaded { kcvs, confirmation } = IdentityPad::<EcAes>::keys(terminal.pad_mut(), proof, keys)?;
    Ok((kcvs, with(0x05, 0xDF17, &confirmation.0)))
}

fn done(terminal: &mut Terminal, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
    IdentityPad::<EcAes>::done(terminal.pad_mut(), confirm, done)
}

/// Up to RKS_FACTOR.
fn until_factor(terminal: &mut Terminal, rks: &mut Rks) -> Frame {
    let auth = begin(terminal);
    let cert = rks.cert(&auth, &acquirer().work);
    factor(terminal, &auth, &cert).unwrap()
}

/// Up to RKS_PROOF.
fn until_proof(terminal: &mut Terminal, rks: &mut Rks) -> Frame {
    let factor = until_factor(terminal, rks);
    let token = rks.token(&factor);
    let proof = proof(terminal, &factor, &token).unwrap();
    rks.take(&proof);
    proof
}

/// A whole download of a TMK.
pub(super) fn fetch(
    terminal: &mut Terminal,
    rks: &mut Rks,
    tmk: &Tmk,
    counter: u64,
) -> Result<(), PadRefusal> {
    let proof = until_proof(terminal, rks);
    let message = rks_keys(&[&rks.tmk(tmk, PLACE, counter, &[])]);
    let (_, confirm) = keys(terminal, &proof, &message)?;
    let end = rks.done(&message, &confirm, &[LoadedKey { index: 3, kcv: tmk.kcv() }]);
    done(terminal, &confirm, &end)
}

#[test]
fn keys_of_two_slots_are_loaded_and_finished_by_dones_receipt() {
    let (mut terminal, mut rks) = identified();
    let (tmk, other) = (Tmk::generate().unwrap(), Tmk::generate().unwrap());
    let (pik, mak) = (Pik::generate().unwrap(), Mak::generate().unwrap());
    let proof = until_proof(&mut terminal, &mut rks);
    let first = rks.tmk(&tmk, PLACE, 1, &[]);
    let second = rks.block(&pik, PLACE, &[&first]);
    let third = rks.block(&mak, PLACE, &[&first, &second]);
    let fourth = rks.tmk(&other, "SN-1001/07", 9, &[&first, &second, &third]);
    let message = rks_keys(&[&first, &second, &third, &fourth]);
    let (kcvs, confirm) = keys(&mut terminal, &proof, &message).unwrap();
    assert_eq!(kcvs, [tmk.kcv(), pik.kcv(), mak.kcv(), other.kcv()].map(Kcv::Aes));
    let loaded = [(3, tmk.kcv()), (3, pik.kcv()), (3, mak.kcv()), (7, other.kcv())]
        .map(|(index, kcv)| LoadedKey { index, kcv });
    let end = rks.done(&message, &confirm, &loaded);
    done(&mut terminal, &confirm, &end).unwrap();
    let status = terminal.pad().slots();
    assert_eq!(
        status.iter().map(|status| (status.slot, status.done)).collect::<Vec<_>>(),
        [(slot(3), true), (slot(7), true)]
    );
    assert_eq!(status[0].working.pik, Some(Kcv::Aes(pik.kcv())));
    assert_eq!(status[0].working.mak, Some(Kcv::Aes(mak.kcv())));
}

#[test]
fn a_terminal_without_a_dik2_of_this_suite_asks_nobody() {
    let mut terminal = acquirer().terminal();
    let refusal = IdentityPad::<EcAes>::begin(terminal.pad_mut(), slot(3)).unwrap_err();
    assert_eq!(code(&refusal), 0x0008);
    assert_eq!(terminal.pad().identity_suite(), Suite::TDES);
}

#[track_caller]
fn assert_cert_not_proven(terminal: &mut Terminal, auth: &Frame, cert: &Frame) {
    let refusal = factor(terminal, auth, cert).unwrap_err();
    assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
    assert!(refusals(terminal).iter().any(|check| check == "RKS_CERT 0005"));
}

#[test]
fn borrowed_certificate_gets_no_factor() {
    let (mut terminal, mut rks) = identified();
    let auth = begin(&mut terminal);
    let cert = rks.cert(&auth, &EcKey::new());
    assert_cert_not_proven(&mut terminal, &auth, &cert);
}

#[test]
fn signature_over_another_transcript_gets_no_factor() {
    let (mut terminal, mut rks) = identified();
    let old = begin(&mut terminal);
    let cert = rks.cert(&old, &acquirer().work);
    let auth = begin(&mut terminal);
    assert_cert_not_proven(&mut terminal, &auth, &cert);
}

#[rstest]
#[case::key(Tag::EPHEMERAL_KEY)]
#[case::nonce(Tag::NONCE)]
#[case::certificate(Tag::CERTIFICATE)]
fn a_certificate_message_changed_on_the_way_gets_no_factor(#[case] tag: Tag) {
    let (mut terminal, mut rks) = identified();
    let auth = begin(&mut terminal);
    let cert = rks.cert(&auth, &acquirer().work);
    let changed = if tag == Tag::CERTIFICATE {
        let leaf = acquirer().certificate(Role::RksSigning, &EcKey::new());
        changed(&cert, |fields| fields[0].1 = leaf.der().to_vec())
    } else {
        spoiled(&cert, tag)
    };
    assert_cert_not_proven(&mut terminal, &auth, &changed);
}

#[test]
fn a_point_off_the_curve_is_malformed_even_when_it_is_signed() {
    let (mut terminal, mut rks) = identified();
    let auth = begin(&mut terminal);
    let cert = off_the_curve(&rks.cert(&auth, &acquirer().work));
    let over = super::peers::th(b'C', &[&auth, &super::peers::bare(&cert)]);
    let signature = acquirer().work.key.sign_transcript(&over).unwrap().to_vec();
    let cert = changed(&cert, |fields| {
        fields.iter_mut().filter(|(tag, _)| *tag == Tag::TRANSCRIPT_SIGNATURE).for_each(|(_, value)| {
            value.clone_from(&signature);
        });
    });
    let refused = Malformed::FieldValue { tag: Tag::EPHEMERAL_KEY };
    assert_eq!(factor(&mut terminal, &auth, &cert), Err(PadRefusal::Malformed(refused)));
}

#[test]
fn messages_that_are_malformed_are_not_gone_on_with() {
    let (mut terminal, mut rks) = identified();
    let auth = begin(&mut terminal);
    let cert = rks.cert(&auth, &acquirer().work);
    for (frame, defect) in malformed(&cert, Some(Tag::TRANSCRIPT_SIGNATURE)) {
        let (mut terminal, _) = identified();
        IdentityPad::<EcAes>::begin(terminal.pad_mut(), slot(3)).unwrap();
        let auth = begin(&mut terminal);
        assert_eq!(factor(&mut terminal, &auth, &frame), Err(PadRefusal::Malformed(defect)));
    }
    let (mut terminal, mut rks) = identified();
    let factor = until_factor(&mut terminal, &mut rks);
    let token = rks.token(&factor);
    for (frame, defect) in malformed(&token, Some(Tag::CONFIRMATION)) {
        let (mut terminal, mut rks) = identified();
        let factor = until_factor(&mut terminal, &mut rks);
        assert_eq!(proof(&mut terminal, &factor, &frame), Err(PadRefusal::Malformed(defect)));
    }
}

/// Another DIK1, and a factor that was changed: both give another DIK2, and another MAC_S.
#[test]
fn a_server_that_does_not_know_dik2_gets_no_proof() {
    let (mut terminal, _) = identified();
    let mut other = Rks::new();
    let factor = until_factor(&mut terminal, &mut other);
    let token = other.token(&factor);
    let refusal = proof(&mut terminal, &factor, &token).unwrap_err();
    assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
    assert!(refusals(&terminal).iter().any(|check| check == "RKS_TOKEN 0005"));
    assert_eq!(code(&proof(&mut terminal, &factor, &token).unwrap_err()), 0x0008, "it was tried once");
}

#[test]
fn a_token_of_another_run_gets_no_proof() {
    let (mut terminal, mut rks) = identified();
    let factor = until_factor(&mut terminal, &mut rks);
    let old = rks.token(&factor);
    let factor = until_factor(&mut terminal, &mut rks);
    assert_eq!(code(&proof(&mut terminal, &factor, &old).unwrap_err()), 0x0005);
}

#[test]
fn replayed_keys_are_refused() {
    let (mut terminal, mut rks) = identified();
    until_proof(&mut terminal, &mut rks);
    let old = rks_keys(&[&rks.tmk(&Tmk::generate().unwrap(), PLACE, 1, &[])]);
    let proof = until_proof(&mut terminal, &mut rks);
    assert_eq!(code(&keys(&mut terminal, &proof, &old).unwrap_err()), 0x0007);
    assert!(terminal.pad().slots().is_empty());
}

/// Keys swapped, doubled, for another PIN pad, without a TMK: all of the message is refused.
#[test]
fn keys_of_one_answer_stay_together_and_in_their_places() {
    let (tmk, pik) = (Tmk::generate().unwrap(), Pik::generate().unwrap());
    let cases: [&dyn Fn(&Rks) -> Frame; 5] = [
        &|rks| {
            let first = rks.tmk(&tmk, PLACE, 1, &[]);
            rks_keys(&[&rks.block(&pik, PLACE, &[&first]), &first])
        },
        &|rks| {
            let first = rks.tmk(&tmk, PLACE, 1, &[]);
            let second = rks.tmk(&Tmk::generate().unwrap(), PLACE, 2, &[&first]);
            rks_keys(&[&first, &second])
        },
        &|rks| rks_keys(&[&rks.tmk(&tmk, "SN-1002/03", 1, &[])]),
        &|rks| rks_keys(&[&rks.block(&pik, PLACE, &[])]),
        &|rks| {
            let first = rks.tmk(&tmk, PLACE, 1, &[]);
            let twin = Mak::from_bytes(tmk.expose().try_into().unwrap());
            rks_keys(&[&first, &rks.block(&twin, PLACE, &[&first])])
        },
    ];
    for (at, make) in cases.into_iter().enumerate() {
        let (mut terminal, mut rks) = identified();
        let proof = until_proof(&mut terminal, &mut rks);
        let refusal = keys(&mut terminal, &proof, &make(&rks)).unwrap_err();
        assert!(matches!(refusal, PadRefusal::KeyRefused { .. }), "{at}: {refusal}");
        assert!(terminal.pad().slots().is_empty());
    }
}

#[test]
fn load_counter_not_higher_or_too_far_is_refused() {
    let (mut terminal, mut rks) = identified();
    fetch(&mut terminal, &mut rks, &Tmk::generate().unwrap(), 7).unwrap();
    for counter in [6, 7, 7 + 65_537] {
        let refusal = fetch(&mut terminal, &mut rks, &Tmk::generate().unwrap(), counter).unwrap_err();
        assert_eq!(code(&refusal), 0x0007, "{counter}: {refusal}");
    }
    fetch(&mut terminal, &mut rks, &Tmk::generate().unwrap(), 7 + 65_536).unwrap();
}

#[test]
fn wrong_receipt_in_done_leaves_both_keys() {
    let (mut terminal, mut rks) = identified();
    let (old, new) = (Tmk::generate().unwrap(), Tmk::generate().unwrap());
    fetch(&mut terminal, &mut rks, &old, 1).unwrap();
    let proof = until_proof(&mut terminal, &mut rks);
    let message = rks_keys(&[&rks.tmk(&new, PLACE, 2, &[])]);
    let (_, confirm) = keys(&mut terminal, &proof, &message).unwrap();
    let end = rks.done(&message, &confirm, &[LoadedKey { index: 3, kcv: new.kcv() }]);
    assert_eq!(code(&done(&mut terminal, &confirm, &spoiled(&end, Tag::RECEIPT)).unwrap_err()), 0x0005);
    let status = terminal.pad().slots();
    assert_eq!((status[0].kcv, status[0].previous), (Kcv::Aes(new.kcv()), Some(Kcv::Aes(old.kcv()))));
}

#[test]
fn a_forgotten_download_goes_on_nowhere() {
    let (mut terminal, mut rks) = identified();
    let factor = until_factor(&mut terminal, &mut rks);
    let token = rks.token(&factor);
    IdentityPad::<EcAes>::forget(terminal.pad_mut());
    assert_eq!(code(&proof(&mut terminal, &factor, &token).unwrap_err()), 0x0008);
}

#[test]
fn another_owners_slot_stays() {
    let (mut terminal, mut rks) = identified();
    let tmk = paycrypto::keys::Tmk::generate().unwrap();
    crate::testing::peers::load(&mut terminal, &tmk, "SN-1001/05", None).unwrap();
    let proof = until_proof(&mut terminal, &mut rks);
    let message = rks_keys(&[&rks.tmk(&Tmk::generate().unwrap(), "SN-1001/05", 1, &[])]);
    assert_eq!(code(&keys(&mut terminal, &proof, &message).unwrap_err()), 0x0008);
    assert_eq!(terminal.pad().slots().len(), 1);
}

/// DIK2 was completed in suite 02, so that suite 01 neither fetches under one nor loads one; nor does it fill a slot that
/// was.
#[test]
fn downgrade_is_0009_for_dik2_and_for_a_slot_that_were_completed_in_suite_02() {
    use crate::testing::peers::load as load_01;
    use crate::testing::suite_01::Suite01;
    let (mut terminal, mut rks) = identified();
    let refusal = Suite01::begin(terminal.pad_mut(), slot(3)).unwrap_err();
    assert!(matches!(refusal, PadRefusal::SuiteNotSupported { .. }), "{refusal}");
    let dik2 = paycrypto::keys::Dik2::generate().unwrap();
    let refusal = load_01(&mut terminal, &dik2, "SN-1001/00", Some(FACTOR)).unwrap_err();
    assert_eq!(code(&refusal), 0x0009);
    fetch(&mut terminal, &mut rks, &Tmk::generate().unwrap(), 1).unwrap();
    let tmk = paycrypto::keys::Tmk::generate().unwrap();
    assert_eq!(code(&load_01(&mut terminal, &tmk, PLACE, None).unwrap_err()), 0x0009);
    assert!(refusals(&terminal).iter().any(|check| check == "suite"));
}

/// A TMK that could not be stored is not confirmed, and the old one works on.
#[test]
fn a_disk_that_takes_nothing_confirms_nothing() {
    let shared = crate::testing::Shared::new();
    let mut terminal = acquirer().terminal_in(&shared);
    let mut rks = Rks::new();
    identify(&mut terminal, &rks);
    let old = Tmk::generate().unwrap();
    fetch(&mut terminal, &mut rks, &old, 1).unwrap();
    let proof = until_proof(&mut terminal, &mut rks);
    let message = rks_keys(&[&rks.tmk(&Tmk::generate().unwrap(), PLACE, 2, &[])]);
    shared.full_after(0);
    assert_eq!(code(&keys(&mut terminal, &proof, &message).unwrap_err()), 0x0001);
    shared.full_after(usize::MAX);
    drop(terminal);
    let terminal = Terminal::open_from(shared).unwrap();
    assert_eq!(terminal.pad().slots()[0].kcv, Kcv::Aes(old.kcv()));
}
