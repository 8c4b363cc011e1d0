//! Local loading in suite 02 by an independent KLD.

use flows::local_load::LoadPad;
use flows::local_load::messages::{DeviceAnswer, KldAccept};
use flows::{EcAes, Loaded, PadRefusal};
use paycrypto::ec::LoadedKey;
use paycrypto::ec::keys::{Dik2, Dmk, Mak, Tmk};
use pki::Role;
use rstest::rstest;
use wire::{Device, Frame, Kcv, Malformed, Serial, Suite, Tag};

use super::peers::{EcKey, Kld, acquirer, with};
use super::{changed, code, malformed, off_the_curve, refusals, spoiled};
use crate::softpad::counters::KeyName;
use crate::testing::slot;
use crate::{PinPad, Terminal};

const PLACE: &str = "SN-1001/03";
const OWN: &str = "SN-1001/00";
const FACTOR: &[u8] = b"KLD-7/20261120/B042";

fn device() -> Device {
    Device::built_in(Serial::parse("SN-1001").unwrap())
}

pub(super) fn accept(terminal: &mut Terminal, connect: &Frame) -> Result<Frame, PadRefusal> {
    let key = acquirer().checked(terminal, Role::Downloader, &acquirer().work);
    let answer: DeviceAnswer = LoadPad::<EcAes>::accept(terminal.pad_mut(), &key, connect, &device())?;
    Ok(KldAccept::<EcAes> { device: device(), answer }.write().unwrap())
}

/// A loading up to KLD_ACCEPT.
pub(super) fn accepted(terminal: &mut Terminal) -> (Kld, Frame) {
    let mut kld = Kld::new();
    let accept = accept(terminal, &kld.connect).unwrap();
    kld.take(&accept);
    (kld, accept)
}

fn load(terminal: &mut Terminal, accept: &Frame, key: &Frame) -> Result<(Kcv, Frame), PadRefusal> {
    let Loaded { kcvs, confirmation } = LoadPad::<EcAes>::load(terminal.pad_mut(), accept, key)?;
    Ok((kcvs[0], with(0x05, 0xDF17, &confirmation.0)))
}

fn loaded(terminal: &mut Terminal, confirm: &Frame, done: &Frame) -> Result<(), PadRefusal> {
    LoadPad::<EcAes>::loaded(terminal.pad_mut(), confirm, done)
}

/// A whole loading of a TMK into slot 03.
fn load_tmk(terminal: &mut Terminal, tmk: &Tmk, counter: u64) -> Result<Kcv, PadRefusal> {
    let (kld, accept) = accepted(terminal);
    let key = kld.key(&kld.tmk(tmk, PLACE, counter), None);
    let (kcv, confirm) = load(terminal, &accept, &key)?;
    let done = kld.done(&key, &confirm, LoadedKey { index: 3, kcv: tmk.kcv() });
    loaded(terminal, &confirm, &done)?;
    Ok(kcv)
}

#[test]
fn a_tmk_is_loaded_with_its_counter_and_finished_by_dones_receipt() {
    let mut terminal = acquirer().terminal();
    let (first, second) = (Tmk::generate().unwrap(), Tmk::generate().unwrap());
    assert_eq!(load_tmk(&mut terminal, &first, 1), Ok(Kcv::Aes(first.kcv())));
    assert_eq!(load_tmk(&mut terminal, &second, 7), Ok(Kcv::Aes(second.kcv())));
    let status = terminal.pad().slots();
    let [only] = status.as_slice() else { panic!("one slot was filled") };
    assert_eq!((only.slot, only.kcv, only.suite), (slot(3), Kcv::Aes(second.kcv()), Suite::EC_AES));
    assert!(only.done && only.previous.is_none(), "the one before is given up");
}

#[test]
fn dmk_and_dik2_go_to_places_of_their_own() {
    let mut terminal = acquirer().terminal();
    let (dmk, dik2) = (Dmk::generate().unwrap(), Dik2::generate().unwrap());
    for (kcv, is_dik2) in [(dmk.kcv(), false), (dik2.kcv(), true)] {
        let (kld, accept) = accepted(&mut terminal);
        let key = if is_dik2 {
            kld.key(&kld.block(&dik2, OWN), Some(FACTOR))
        } else {
            kld.key(&kld.block(&dmk, OWN), None)
        };
        let (told, confirm) = load(&mut terminal, &accept, &key).unwrap();
        assert_eq!(told, Kcv::Aes(kcv));
        let done = kld.done(&key, &confirm, LoadedKey { index: 0, kcv });
        loaded(&mut terminal, &confirm, &done).unwrap();
    }
    let pad = terminal.pad();
    assert_eq!(pad.dmk().map(|place| (place.kcv, place.done)), Some((Kcv::Aes(dmk.kcv()), true)));
    assert_eq!(pad.identity().map(|place| (place.kcv, place.done)), Some((Kcv::Aes(dik2.kcv()), true)));
    assert_eq!(pad.identity_suite(), Suite::EC_AES);
    assert!(pad.slots().is_empty());
}

#[test]
fn a_device_key_without_a_certificate_answers_no_kld() {
    let mut terminal = acquirer().uncertified();
    let refusal = accept(&mut terminal, &Kld::new().connect).unwrap_err();
    assert_eq!(code(&refusal), 0x0008);
    assert!(refusal.to_string().contains("no certificate"), "{refusal}");
    assert!(refusals(&terminal).iter().any(|check| check == "device-certificate"));
}

#[test]
fn a_certificate_of_another_role_and_another_pin_pad_answer_nothing() {
    let mut terminal = acquirer().terminal();
    let connect = Kld::new().connect;
    let key = acquirer().checked(&terminal, Role::RksSigning, &acquirer().work);
    let pad = terminal.pad_mut();
    assert_eq!(code(&LoadPad::<EcAes>::accept(pad, &key, &connect, &device()).unwrap_err()), 0x0008);
    let key = acquirer().checked(&terminal, Role::Downloader, &acquirer().work);
    let other = Device::built_in(Serial::parse("SN-1002").unwrap());
    let refusal = LoadPad::<EcAes>::accept(terminal.pad_mut(), &key, &connect, &other).unwrap_err();
    assert_eq!(code(&refusal), 0x0008);
}

#[test]
fn a_connect_that_is_malformed_is_not_answered() {
    let good = Kld::new().connect;
    for (frame, defect) in malformed(&good, None) {
        let mut terminal = acquirer().terminal();
        assert_eq!(accept(&mut terminal, &frame), Err(PadRefusal::Malformed(defect)));
    }
    let off = accept(&mut acquirer().terminal(), &off_the_curve(&good));
    assert_eq!(off, Err(PadRefusal::Malformed(Malformed::FieldValue { tag: Tag::EPHEMERAL_KEY })));
}

#[test]
fn a_key_that_is_malformed_is_not_taken() {
    let (kld, _) = accepted(&mut acquirer().terminal());
    let tmk = Tmk::generate().unwrap();
    for (_, defect) in malformed(&kld.key(&kld.tmk(&tmk, PLACE, 1), None), Some(Tag::TRANSCRIPT_SIGNATURE)) {
        let mut terminal = acquirer().terminal();
        let (kld, accept) = accepted(&mut terminal);
        let good = kld.key(&kld.tmk(&tmk, PLACE, 1), None);
        let all = malformed(&good, Some(Tag::TRANSCRIPT_SIGNATURE));
        let (frame, _) = all.into_iter().find(|(_, other)| *other == defect).unwrap();
        assert_eq!(load(&mut terminal, &accept, &frame), Err(PadRefusal::Malformed(defect)));
        assert!(terminal.pad().slots().is_empty());
    }
}

#[track_caller]
fn assert_not_proven(terminal: &mut Terminal, accept: &Frame, key: &Frame) {
    let refusal = load(terminal, accept, key).unwrap_err();
    assert!(
        matches!(&refusal, PadRefusal::ServerNotProven { why } if why.contains("not signed")),
        "{refusal}"
    );
    assert!(refusals(terminal).iter().any(|check| check == "KLD_KEY 0005"));
    assert!(terminal.pad().slots().is_empty());
}

#[test]
fn borrowed_certificate_loads_nothing() {
    let mut terminal = acquirer().terminal();
    let (kld, accept) = accepted(&mut terminal);
    let key = kld.signed(&EcKey::new(), &kld.tmk(&Tmk::generate().unwrap(), PLACE, 1), None);
    assert_not_proven(&mut terminal, &accept, &key);
}

#[test]
fn signature_over_another_transcript_loads_nothing() {
    let mut terminal = acquirer().terminal();
    let (old, accept) = accepted(&mut terminal);
    let old_key = old.key(&old.tmk(&Tmk::generate().unwrap(), PLACE, 1), None);
    load(&mut terminal, &accept, &old_key).unwrap();

    let mut terminal = acquirer().terminal();
    let (_, accept) = accepted(&mut terminal);
    assert_not_proven(&mut terminal, &accept, &old_key);
}

/// Block and factor are signed with everything before them.
#[rstest]
#[case::block(Tag::KEY_ENTRY)]
#[case::factor(Tag::FACTOR)]
#[case::signature(Tag::TRANSCRIPT_SIGNATURE)]
fn a_key_changed_on_the_way_loads_nothing(#[case] tag: Tag) {
    let mut terminal = acquirer().terminal();
    let (kld, accept) = accepted(&mut terminal);
    let key = kld.key(&kld.block(&Dik2::generate().unwrap(), OWN), Some(FACTOR));
    assert_not_proven(&mut terminal, &accept, &spoiled(&key, tag));
    assert!(terminal.pad().identity().is_none());
}

#[test]
fn what_was_agreed_serves_one_key() {
    let mut terminal = acquirer().terminal();
    let (kld, accept) = accepted(&mut terminal);
    let good = kld.key(&kld.tmk(&Tmk::generate().unwrap(), PLACE, 1), None);
    load(&mut terminal, &accept, &spoiled(&good, Tag::TRANSCRIPT_SIGNATURE)).unwrap_err();
    assert_eq!(code(&load(&mut terminal, &accept, &good).unwrap_err()), 0x0008);
}

#[test]
fn another_accept_than_its_own_is_not_gone_on_with() {
    let mut terminal = acquirer().terminal();
    let (kld, accept) = accepted(&mut terminal);
    let key = kld.key(&kld.tmk(&Tmk::generate().unwrap(), PLACE, 1), None);
    let longer = changed(&accept, |fields| fields.push((Tag::new(0xDF7F).unwrap(), vec![])));
    assert_eq!(code(&load(&mut terminal, &longer, &key).unwrap_err()), 0x0008);
}

/// Makes a block for this KLD's loading, or for another's.
type Make<'a> = &'a dyn Fn(&Kld, &Kld) -> String;

/// Signed by a true KLD, and in another place, time or use than the block may be.
#[test]
fn a_block_out_of_its_place_time_or_use_is_refused() {
    let tmk = Tmk::generate().unwrap();
    let cases: [Make<'_>; 5] = [
        &|kld, _| kld.tmk(&tmk, "SN-1002/03", 1),
        &|kld, _| kld.block(&Dmk::generate().unwrap(), PLACE),
        &|kld, _| kld.block(&Mak::generate().unwrap(), PLACE),
        &|kld, _| kld.tmk(&tmk, PLACE, 1).replacen("AB00", "AE00", 1),
        &|_, other| other.tmk(&tmk, PLACE, 1),
    ];
    for (at, make) in cases.into_iter().enumerate() {
        let mut other = acquirer().terminal();
        let (foreign, _) = accepted(&mut other);
        let mut terminal = acquirer().terminal();
        let (kld, accept) = accepted(&mut terminal);
        let key = kld.key(&make(&kld, &foreign), None);
        let refusal = load(&mut terminal, &accept, &key).unwrap_err();
        assert!(matches!(refusal, PadRefusal::KeyRefused { .. }), "{at}: {refusal}");
        assert!(terminal.pad().slots().is_empty() && terminal.pad().dmk().is_none());
    }
}

#[test]
fn load_counter_not_higher_or_too_far_is_refused() {
    let mut terminal = acquirer().terminal();
    load_tmk(&mut terminal, &Tmk::generate().unwrap(), 7).unwrap();
    for counter in [0, 6, 7, 7 + 65_537, u64::MAX] {
        let refusal = load_tmk(&mut terminal, &Tmk::generate().unwrap(), counter).unwrap_err();
        assert!(matches!(refusal, PadRefusal::KeyRefused { .. }), "{counter}: {refusal}");
    }
    load_tmk(&mut terminal, &Tmk::generate().unwrap(), 7 + 65_536).unwrap();
}

/// DONE with a wrong receipt gives nothing up and raises nothing.
#[test]
fn wrong_receipt_in_done_leaves_both_keys() {
    let mut terminal = acquirer().terminal();
    let (old, new) = (Tmk::generate().unwrap(), Tmk::generate().unwrap());
    load_tmk(&mut terminal, &old, 1).unwrap();
    let (kld, accept) = accepted(&mut terminal);
    let key = kld.key(&kld.tmk(&new, PLACE, 2), None);
    let (_, confirm) = load(&mut terminal, &accept, &key).unwrap();
    let good = kld.done(&key, &confirm, LoadedKey { index: 3, kcv: new.kcv() });
    let refusal = loaded(&mut terminal, &confirm, &spoiled(&good, Tag::RECEIPT)).unwrap_err();
    assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
    assert!(refusals(&terminal).iter().any(|check| check == "DONE 0005"));
    let status = terminal.pad().slots();
    assert_eq!((status[0].kcv, status[0].previous), (Kcv::Aes(new.kcv()), Some(Kcv::Aes(old.kcv()))));
    assert_eq!(code(&loaded(&mut terminal, &confirm, &good).unwrap_err()), 0x0008, "it was tried once");
}

#[test]
fn receipt_of_the_terminal_sent_back_finishes_nothing() {
    let mut terminal = acquirer().terminal();
    let (kld, accept) = accepted(&mut terminal);
    let key = kld.key(&kld.tmk(&Tmk::generate().unwrap(), PLACE, 1), None);
    let (_, confirm) = load(&mut terminal, &accept, &key).unwrap();
    let back = with(0x06, 0xDF17, &crate::testing::peers::value(&confirm, 0xDF17));
    assert_eq!(code(&loaded(&mut terminal, &confirm, &back).unwrap_err()), 0x0005);
    assert!(!terminal.pad().slots()[0].done);
}

/// After a completed loading of suite 02 there is no way back for that key, and for others there is.
#[test]
fn downgrade_is_0009_for_a_key_that_was_completed_in_suite_02() {
    use crate::testing::peers::load as load_01;
    let mut terminal = acquirer().terminal();
    load_tmk(&mut terminal, &Tmk::generate().unwrap(), 1).unwrap();
    let tmk = paycrypto::keys::Tmk::generate().unwrap();
    let refusal = load_01(&mut terminal, &tmk, PLACE, None).unwrap_err();
    assert!(matches!(refusal, PadRefusal::SuiteNotSupported { .. }), "{refusal}");
    load_01(&mut terminal, &tmk, "SN-1001/04", None).unwrap();
    assert!(terminal.pad().state.completed.allows(KeyName::Slot(slot(4)), Suite::TDES));
}

#[test]
fn another_owners_slot_stays() {
    use crate::testing::peers::load as load_01;
    let mut terminal = acquirer().terminal();
    let tmk = paycrypto::keys::Tmk::generate().unwrap();
    let kcv = load_01(&mut terminal, &tmk, PLACE, None).unwrap();
    let refusal = load_tmk(&mut terminal, &Tmk::generate().unwrap(), 1).unwrap_err();
    assert_eq!(code(&refusal), 0x0008);
    assert_eq!(terminal.pad().slots()[0].kcv, kcv);
}

#[test]
fn a_key_that_serves_another_use_is_refused() {
    let mut terminal = acquirer().terminal();
    let dmk = Dmk::generate().unwrap();
    let dik2 = Dik2::from_bytes(dmk.expose());
    for (at, expected) in [(0, None), (1, Some(0x0007))] {
        let (kld, accept) = accepted(&mut terminal);
        let key = match at {
            0 => kld.key(&kld.block(&dmk, OWN), None),
            _ => kld.key(&kld.block(&dik2, OWN), Some(FACTOR)),
        };
        assert_eq!(load(&mut terminal, &accept, &key).err().map(|refusal| code(&refusal)), expected);
    }
}
