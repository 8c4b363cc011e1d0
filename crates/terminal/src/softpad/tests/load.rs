//! Local loading by an independent KLD: what is taken, and every refusal by name.

use flows::PadRefusal;
use paycrypto::TdesKey;
use paycrypto::keys::{Dik2, Dmk, Mak, Pik, Rnd1, Tmk};
use paycrypto::rsa::{PrivateKey, PublicKey};
use pki::Role;
use rstest::rstest;
use wire::{Frame, Kcv};

use crate::softpad::download::Session;
use crate::softpad::load::Accepted;
use crate::softpad::owner::OwnerKind;
use crate::testing::peers::{Kld, accepted, checked, done, foreign, frame, key_confirm, kld_key, load, tlv};
use crate::testing::suite_01::Suite01;
use crate::testing::{Shared, estate, slot};
use crate::{LifeCycle, PinPad, Terminal};

const PLACE: &str = "SN-1001/03";
const OWN: &str = "SN-1001/00";
const FACTOR: &[u8] = b"KLD-7/20261120/B042";

fn terminal() -> Terminal {
    estate().full_terminal().0
}

fn tmk() -> Tmk {
    Tmk::generate().unwrap()
}

/// What the pad says to these signed bytes, which may depend on the loading.
fn answer(make: impl FnOnce(&Kld) -> Vec<u8>) -> (Terminal, PadRefusal) {
    let mut terminal = terminal();
    let (kld, accept) = accepted(&mut terminal).unwrap();
    let key = kld_key(&make(&kld));
    let refusal = Suite01::load(terminal.pad_mut(), &accept, &key).unwrap_err();
    assert!(!terminal.pad().state.has_keys());
    // Rnd1 and Rnd2 served one KLD_KEY, good or bad.
    let good = kld_key(&kld.fields(&kld.block(&tmk(), PLACE), None));
    let again = Suite01::load(terminal.pad_mut(), &accept, &good).unwrap_err();
    assert!(matches!(again, PadRefusal::NotPermitted { .. }));
    (terminal, refusal)
}

fn assert_0005(make: impl FnOnce(&Kld) -> Vec<u8>) {
    let (_, refusal) = answer(make);
    assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
}

fn assert_0007(make: impl FnOnce(&Kld) -> Vec<u8>) {
    let (_, refusal) = answer(make);
    assert!(matches!(refusal, PadRefusal::KeyRefused { .. }), "{refusal}");
}

#[test]
fn a_tmk_a_dmk_and_a_dik2_each_reach_their_place() {
    let mut terminal = terminal();
    let (tmk, dmk, dik2) = (tmk(), Dmk::generate().unwrap(), Dik2::generate().unwrap());
    assert_eq!(load(&mut terminal, &tmk, PLACE, None).unwrap(), Kcv::Tdes(tmk.kcv()));
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Deployed);
    load(&mut terminal, &dmk, OWN, None).unwrap();
    load(&mut terminal, &dik2, OWN, Some(FACTOR)).unwrap();
    let pad = terminal.pad();
    assert_eq!((pad.slots()[0].slot, pad.slots()[0].done), (slot(3), true));
    assert_eq!(pad.dmk().unwrap().kcv, Kcv::Tdes(dmk.kcv()));
    assert_eq!(pad.identity().unwrap().kcv, Kcv::Tdes(dik2.kcv()));
    assert_eq!(pad.state.tdes.identity.as_ref().unwrap().factor.as_slice(), FACTOR);
    let status = terminal.status();
    assert!(status.dik2.unwrap().done && status.dmk.unwrap().done);
}

#[test]
fn the_old_tmk_stays_beside_the_new_one() {
    let mut terminal = terminal();
    let old = load(&mut terminal, &tmk(), PLACE, None).unwrap();
    let new = load(&mut terminal, &tmk(), PLACE, None).unwrap();
    let slots = terminal.pad().slots();
    assert_eq!((slots[0].kcv, slots[0].previous), (new, Some(old)));
}

#[test]
fn rnd1_and_rnd2_are_never_the_same() {
    let mut terminal = terminal();
    let drawn: std::collections::HashSet<(Vec<u8>, Vec<u8>)> = (0..20)
        .map(|_| accepted(&mut terminal).unwrap().0)
        .map(|kld| (kld.rnd1().expose().to_vec(), kld.rnd2))
        .collect();
    assert_eq!(drawn.len(), 20);
}

#[test]
fn another_rnd2_is_0005() {
    assert_0005(|kld| {
        let block = kld.block(&tmk(), PLACE);
        let mut rnd2 = kld.rnd2.clone();
        rnd2[7] ^= 1;
        [tlv(0xDF40, block.as_bytes()), tlv(0xDF06, &rnd2)].concat()
    });
}

#[test]
fn bytes_behind_the_signed_fields_are_0005() {
    assert_0005(|kld| [kld.fields(&kld.block(&tmk(), PLACE), None), vec![0]].concat());
    assert_0005(|kld| [kld.fields(&kld.block(&tmk(), PLACE), None), tlv(0xDF04, &[3])].concat());
}

#[test]
fn signed_fields_in_another_order_or_missing_are_0005() {
    assert_0005(|kld| {
        let block = kld.block(&tmk(), PLACE);
        [tlv(0xDF06, &kld.rnd2), tlv(0xDF40, block.as_bytes())].concat()
    });
    assert_0005(|kld| tlv(0xDF40, kld.block(&tmk(), PLACE).as_bytes()));
    assert_0005(|kld| tlv(0xDF06, &kld.rnd2));
    assert_0005(|_| Vec::new());
}

#[test]
fn a_factor_stands_exactly_with_a_dik2_else_0005() {
    assert_0005(|kld| kld.fields(&kld.block(&tmk(), PLACE), Some(FACTOR)));
    assert_0005(|kld| kld.fields(&kld.block(&Dmk::generate().unwrap(), OWN), Some(FACTOR)));
    assert_0005(|kld| kld.fields(&kld.block(&Dik2::generate().unwrap(), OWN), None));
    for factor in [&[][..], &[7; 33]] {
        assert_0005(|kld| kld.fields(&kld.block(&Dik2::generate().unwrap(), OWN), Some(factor)));
    }
}

#[test]
fn a_signature_of_another_key_is_0005() {
    let mut terminal = terminal();
    let (kld, accept) = accepted(&mut terminal).unwrap();
    let signed = kld.fields(&kld.block(&tmk(), PLACE), None);
    let stranger = PrivateKey::generate(2048).unwrap().type1_sign(&signed).unwrap();
    let key = frame(0x23, &[tlv(0xDF11, &stranger)]);
    let refusal = Suite01::load(terminal.pad_mut(), &accept, &key).unwrap_err();
    assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
}

#[rstest]
#[case::other_pin_pad("SN-1002/03")]
#[case::longer_serial("SN-10010/03")]
fn a_block_for_another_place_is_0007(#[case] place: &str) {
    assert_0007(|kld| kld.fields(&kld.block(&tmk(), place), None));
}

#[test]
fn dmk_and_dik2_go_to_their_own_place_only_else_0007() {
    assert_0007(|kld| kld.fields(&kld.block(&Dmk::generate().unwrap(), PLACE), None));
    assert_0007(|kld| kld.fields(&kld.block(&Dik2::generate().unwrap(), PLACE), Some(FACTOR)));
}

#[test]
fn a_block_of_another_loading_is_0007() {
    let mut terminal = terminal();
    let (old, _) = accepted(&mut terminal).unwrap();
    let context = old.context();
    let (kld, accept) = accepted(&mut terminal).unwrap();
    let block = paycrypto::blocks::wrap(kld.rnd1(), &tmk(), PLACE, &context).unwrap();
    let refusal =
        Suite01::load(terminal.pad_mut(), &accept, &kld_key(&kld.fields(&block, None))).unwrap_err();
    assert!(matches!(refusal, PadRefusal::KeyRefused { .. }), "{refusal}");
}

#[test]
fn a_replayed_kld_key_is_0005() {
    let mut terminal = terminal();
    let (kld, accept) = accepted(&mut terminal).unwrap();
    let key = kld_key(&kld.fields(&kld.block(&tmk(), PLACE), None));
    Suite01::load(terminal.pad_mut(), &accept, &key).unwrap();
    let (_, accept) = accepted(&mut terminal).unwrap();
    let refusal = Suite01::load(terminal.pad_mut(), &accept, &key).unwrap_err();
    assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
}

#[test]
fn keys_that_flow_b_does_not_bring_are_0007() {
    // PIK and MAK travel under TMK: here one takes Rnd1 for it.
    assert_0007(|kld| {
        let under = Tmk::from_key(TdesKey::from_bytes(kld.rnd1().expose()).unwrap()).unwrap();
        let pik = Pik::generate().unwrap();
        let block = paycrypto::blocks::wrap(&under, &pik, PLACE, &kld.context()).unwrap();
        kld.fields(&block, None)
    });
    assert_0007(|kld| {
        let under = Tmk::from_key(TdesKey::from_bytes(kld.rnd1().expose()).unwrap()).unwrap();
        let mak = Mak::generate().unwrap();
        kld.fields(&paycrypto::blocks::wrap(&under, &mak, PLACE, &kld.context()).unwrap(), None)
    });
}

#[test]
fn a_block_under_another_rnd1_is_0007() {
    assert_0007(|kld| {
        let block =
            paycrypto::blocks::wrap(&Rnd1::generate().unwrap(), &tmk(), PLACE, &kld.context()).unwrap();
        kld.fields(&block, None)
    });
}

#[test]
fn what_the_pad_did_not_give_is_0008() {
    let mut terminal = terminal();
    for change in 0..2 {
        let (kld, accept) = accepted(&mut terminal).unwrap();
        let mut c = crate::testing::peers::value(&accept, 0xDF10);
        let mut sn = b"SN-1001".to_vec();
        if change == 0 {
            c[0] ^= 1;
        } else {
            sn[6] = b'2';
        }
        let changed = frame(0x22, &[tlv(0xDF02, &sn), tlv(0xDF10, &c)]);
        let key = kld_key(&kld.fields(&kld.block(&tmk(), PLACE), None));
        let refusal = Suite01::load(terminal.pad_mut(), &changed, &key).unwrap_err();
        assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{change}: {refusal}");
    }
}

#[test]
fn a_certificate_of_another_role_loads_nothing() {
    let mut terminal = terminal();
    for role in [Role::RksWork, Role::RepairAuthorisation] {
        let key = checked(&terminal, role);
        let kld = Kld::new(&estate().certificate(role));
        let refusal = terminal.pad_mut().accept(&key, &kld.connect).unwrap_err();
        assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
        assert_eq!(terminal.pad().refusals().newest().unwrap().check, "role");
    }
}

#[test]
fn a_slot_of_the_tk_is_not_the_acquirers_root_and_the_reverse() {
    let mut terminal = terminal();
    let kms = estate().collected(&mut terminal);
    kms.load(&mut terminal, slot(3), &tmk()).unwrap();
    let refusal = load(&mut terminal, &tmk(), PLACE, None).unwrap_err();
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
    assert_eq!(terminal.pad().refusals().newest().unwrap().check, "owner");

    load(&mut terminal, &tmk(), "SN-1001/04", None).unwrap();
    let fault = kms.load(&mut terminal, slot(4), &tmk()).unwrap_err();
    assert_eq!(fault.code, wire::ErrorCode::NotPermittedNow);
}

#[test]
fn another_acquirers_root_does_not_replace_dmk_or_dik2() {
    let (root, leaf) = foreign(Role::Downloader);
    let mut new = estate().new_full_terminal();
    new.roots.push(crate::TrustedRoot { certificate: root, roles: vec![Role::Downloader] });
    let mut terminal = Terminal::in_memory(new).unwrap();
    load(&mut terminal, &Dmk::generate().unwrap(), OWN, None).unwrap();
    load(&mut terminal, &Dik2::generate().unwrap(), OWN, Some(FACTOR)).unwrap();

    let chain = flows::Chain { leaf: leaf.der().to_vec(), intermediates: Vec::new() };
    for dik2 in [false, true] {
        let key = crate::certificate::checked(
            &chain,
            Role::Downloader,
            crate::certificate::LOADING,
            &terminal.device,
            estate().now,
        )
        .unwrap()
        .0;
        let mut kld = Kld::new(&leaf);
        let c = terminal.pad_mut().accept(&key, &kld.connect).unwrap();
        let accept = frame(0x22, &[tlv(0xDF02, b"SN-1001"), tlv(0xDF10, &c)]);
        kld.accept(&accept);
        let signed = if dik2 {
            kld.fields(&kld.block(&Dik2::generate().unwrap(), OWN), Some(FACTOR))
        } else {
            kld.fields(&kld.block(&Dmk::generate().unwrap(), OWN), None)
        };
        let refusal = Suite01::load(terminal.pad_mut(), &accept, &kld_key(&signed)).unwrap_err();
        assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
    }
}

#[test]
fn steps_out_of_order_are_0008() {
    let mut terminal = terminal();
    let kcv = Kcv::Tdes([1, 2, 3]);
    let lost = terminal.pad_mut().loaded(&key_confirm(&[kcv]), &done()).unwrap_err();
    assert!(matches!(lost, PadRefusal::NotPermitted { .. }));
    let (kld, accept) = accepted(&mut terminal).unwrap();
    let key = kld_key(&kld.fields(&kld.block(&tmk(), PLACE), None));
    Suite01::load(terminal.pad_mut(), &accept, &key).unwrap();
    let other = terminal.pad_mut().loaded(&key_confirm(&[kcv]), &done()).unwrap_err();
    assert!(matches!(other, PadRefusal::NotPermitted { .. }));
    // A key without DONE deploys nothing.
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Production);
    assert!(!terminal.pad().slots()[0].done);
}

#[test]
fn worked_values_of_flow_b_pass_through_the_pad() {
    // Origin: vectors/tdes-suite.json, flow_b and rsa_test_key.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/tdes-suite.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let bytes = |text: &str| -> Vec<u8> {
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let hex = |names: &[&str]| -> Vec<u8> {
        bytes(names.iter().fold(&file["flow_b"], |value, name| &value[name]).as_str().unwrap())
    };
    let spki = rsa_spki(&bytes(file["rsa_test_key"]["n"].as_str().unwrap()));
    for dik2 in [false, true] {
        let mut terminal = terminal();
        let pad = terminal.pad_mut();
        let (connect, accept) = (
            Frame::from_payload(&hex(&["connect"])).unwrap(),
            Frame::from_payload(&hex(&["accept"])).unwrap(),
        );
        let mut transcript = flows::Transcript::new();
        transcript.push(&connect);
        let owner = pad.state.owner_by(OwnerKind::Root, wire::Suite::TDES, b"root");
        pad.session = Session::LoadAccepted(Box::new(Accepted {
            key: PublicKey::from_spki(&spki).unwrap(),
            owner,
            rnd1: Rnd1::from_key(TdesKey::from_bytes(&hex(&["rnd1"])).unwrap()).unwrap(),
            rnd2: zeroize::Zeroizing::new(hex(&["rnd2"]).try_into().unwrap()),
            c_rnd1_rnd2: hex(&["c_rnd1_rnd2"]),
            transcript,
        }));
        let signed = if dik2 { hex(&["with_dik2", "c_ctmk_rnd2"]) } else { hex(&["c_ctmk_rnd2"]) };
        let kcv = Suite01::load(pad, &accept, &frame(0x23, &[tlv(0xDF11, &signed)])).unwrap();
        let key = if dik2 { hex(&["with_dik2", "dik2"]) } else { hex(&["tmk"]) };
        assert_eq!(kcv, Kcv::Tdes(TdesKey::from_bytes(&key).unwrap().kcv()));
        if dik2 {
            let factor = &pad.state.tdes.identity.as_ref().unwrap().factor;
            assert_eq!(factor.as_slice(), hex(&["with_dik2", "factor"]));
        }
    }
}

/// SubjectPublicKeyInfo of an RSA key of 2048 bits with the exponent 65537.
fn rsa_spki(modulus: &[u8]) -> Vec<u8> {
    let der = |tag: u8, value: &[u8]| {
        let mut out = vec![tag];
        match value.len() {
            length @ ..128 => out.push(u8::try_from(length).unwrap()),
            length => {
                out.push(0x82);
                out.extend(u16::try_from(length).unwrap().to_be_bytes());
            }
        }
        out.extend(value);
        out
    };
    let key = der(0x30, &[der(2, &[&[0], modulus].concat()), der(2, &[1, 0, 1])].concat());
    let algorithm = [0x30, 13, 6, 9, 0x2A, 0x86, 0x48, 0x86, 0xF7, 13, 1, 1, 1, 5, 0];
    der(0x30, &[&algorithm[..], &der(3, &[&[0], &key[..]].concat())].concat())
}

#[test]
fn power_cut_at_each_step_leaves_the_old_key_or_the_new_one() {
    for cut in 0..4 {
        let disk = Shared::new();
        let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
        let old = load(&mut terminal, &tmk(), PLACE, None).unwrap();
        let (kld, accept) = accepted(&mut terminal).unwrap();
        let new = tmk();
        let key = kld_key(&kld.fields(&kld.block(&new, PLACE), None));
        let kcv = Kcv::Tdes(new.kcv());
        if cut == 1 {
            // The disk is full when the key comes: nothing leaves.
            disk.full_after(0);
            let refusal = Suite01::load(terminal.pad_mut(), &accept, &key).unwrap_err();
            assert!(matches!(refusal, PadRefusal::Failed { .. }), "{refusal}");
            disk.full_after(usize::MAX);
        } else if cut > 1 {
            Suite01::load(terminal.pad_mut(), &accept, &key).unwrap();
        }
        if cut == 3 {
            terminal.pad_mut().loaded(&key_confirm(&[kcv]), &done()).unwrap();
        }
        drop(terminal);
        let mut terminal = Terminal::open_from(disk).unwrap();
        let slots = terminal.pad().slots();
        let expected = if cut < 2 { (old, None, true) } else { (kcv, Some(old), cut == 3) };
        assert_eq!((slots[0].kcv, slots[0].previous, slots[0].done), expected, "cut {cut}");
        // A cut ended the loading: what was to follow is refused, and the next one works.
        let lost = Suite01::load(terminal.pad_mut(), &accept, &key);
        assert!(matches!(lost, Err(PadRefusal::NotPermitted { .. })), "cut {cut}");
        load(&mut terminal, &new, PLACE, None).unwrap();
        assert_eq!(terminal.pad().slots()[0].previous, Some(old), "cut {cut}");
    }
}

#[test]
fn a_broken_loading_of_dik2_is_mended_by_the_next() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    let old = load(&mut terminal, &Dik2::generate().unwrap(), OWN, Some(b"old")).unwrap();
    let (kld, accept) = accepted(&mut terminal).unwrap();
    let dik2 = Dik2::generate().unwrap();
    let key = kld_key(&kld.fields(&kld.block(&dik2, OWN), Some(FACTOR)));
    disk.full_after(0);
    Suite01::load(terminal.pad_mut(), &accept, &key).unwrap_err();
    disk.full_after(usize::MAX);
    assert_eq!(terminal.pad().identity().unwrap().kcv, old);
    // KEY_CONFIRM may leave: then key and factor are there together, though DONE never comes.
    let (kld, accept) = accepted(&mut terminal).unwrap();
    let key = kld_key(&kld.fields(&kld.block(&dik2, OWN), Some(FACTOR)));
    Suite01::load(terminal.pad_mut(), &accept, &key).unwrap();
    drop(terminal);
    let terminal = Terminal::open_from(disk).unwrap();
    let held = terminal.pad().state.tdes.identity.as_ref().unwrap();
    assert_eq!((held.dik2.kcv(), held.factor.as_slice(), held.done), (dik2.kcv(), FACTOR, false));
}

#[test]
fn a_refused_kld_key_leaves_a_record_with_its_check_and_reading_and_no_key() {
    let records = |terminal: &Terminal| -> Vec<(String, String)> {
        let log = terminal.pad().refusals();
        log.records().map(|record| (record.check.clone(), record.reading.clone())).collect()
    };
    let (terminal, _) = answer(|kld| {
        let mut rnd2 = kld.rnd2.clone();
        rnd2[7] ^= 1;
        [tlv(0xDF40, kld.block(&tmk(), PLACE).as_bytes()), tlv(0xDF06, &rnd2)].concat()
    });
    let own = ("KLD_KEY 0005".to_owned(), "Rnd2' is not this PIN pad's Rnd2".to_owned());
    assert_eq!(records(&terminal), [own]);

    let key = tmk();
    let (terminal, _) = answer(|kld| kld.fields(&kld.block(&key, "SN-1002/03"), None));
    let [(check, reading)] = &records(&terminal)[..] else { panic!("not one record") };
    assert_eq!(
        (check.as_str(), reading.as_str()),
        ("KLD_KEY 0007", "the key block belongs to another PIN pad or slot")
    );
    let log = terminal.pad().refusals();
    assert!(log.verify());
    // It is on disk and goes to the next server.
    assert_eq!(log.unreported().0.len(), 1);
}

#[test]
fn a_key_that_is_held_for_something_else_is_0007_by_name() {
    let mut terminal = terminal();
    let dmk = Dmk::generate().unwrap();
    load(&mut terminal, &dmk, OWN, None).unwrap();
    let again = || TdesKey::from_bytes(dmk.expose()).unwrap();
    let twin = Tmk::from_key(again()).unwrap();
    assert_eq!(
        key_refused(&load(&mut terminal, &twin, PLACE, None).unwrap_err()),
        "the TMK is the same key as the DMK"
    );
    let twin = Dik2::from_key(again()).unwrap();
    assert_eq!(
        key_refused(&load(&mut terminal, &twin, OWN, Some(FACTOR)).unwrap_err()),
        "the DIK2 is the same key as the DMK"
    );
    assert!(terminal.pad().slots().is_empty() && terminal.pad().identity().is_none());
    // The same DMK again is no twin of itself.
    load(&mut terminal, &Dmk::from_key(again()).unwrap(), OWN, None).unwrap();
}

fn key_refused(refusal: &PadRefusal) -> String {
    match refusal {
        PadRefusal::KeyRefused { why } => why.clone(),
        other => panic!("{other}"),
    }
}
