//! Downloads from an independent RKS: what is taken, and every refusal by name.

use flows::PadRefusal;
use paycrypto::TdesKey;
use paycrypto::keys::{Dik2, Mak, Pik, Tdk, Tmk};
use pki::Role;
use wire::{Frame, Kcv};

use crate::testing::peers::{Rks, checked, done, frame, key_confirm, load, rks_keys, tlv, value};
use crate::testing::suite_01::Suite01;
use crate::testing::{Shared, estate, slot};
use crate::{LifeCycle, PinPad, Terminal};

const FACTOR: &[u8] = b"KLD-7/20261120/B042";
const PLACE: &str = "SN-1001/03";

/// A terminal with the DIK2 of this RKS.
fn identified() -> (Terminal, Rks) {
    let (mut terminal, _) = estate().full_terminal();
    let rks = Rks::new();
    load(&mut terminal, &rks.dik2(FACTOR), "SN-1001/00", Some(FACTOR)).unwrap();
    (terminal, rks)
}

fn auth(index: u8) -> Frame {
    frame(0x11, &[tlv(0xDF01, &[1]), tlv(0xDF02, b"SN-1001"), tlv(0xDF04, &[index])])
}

/// Runs to RKS_FACTOR.
fn factored(terminal: &mut Terminal, rks: &mut Rks) -> Result<Frame, PadRefusal> {
    let key = checked(terminal, Role::RksWork);
    let pad = terminal.pad_mut();
    Suite01::begin(pad, slot(3))?;
    let cert = rks.cert(&auth(3), &estate().certificate(Role::RksWork));
    Ok(frame(0x13, &[tlv(0xDF20, &pad.factor(&key, &auth(3), &cert)?)]))
}

/// Runs to RKS_PROOF, which the RKS has believed.
fn proven(terminal: &mut Terminal, rks: &mut Rks) -> Result<Frame, PadRefusal> {
    let factor = factored(terminal, rks)?;
    let token = rks.token(&factor);
    let proof = frame(0x15, &[tlv(0xDF22, &terminal.pad_mut().proof(&factor, &token)?)]);
    rks.prove(&proof);
    Ok(proof)
}

fn keys(terminal: &mut Terminal, proof: &Frame, keys: &Frame) -> Result<Vec<Kcv>, PadRefusal> {
    Suite01::keys(terminal.pad_mut(), proof, keys)
}

fn finish(terminal: &mut Terminal, kcvs: &[Kcv]) {
    Suite01::done(terminal.pad_mut(), &key_confirm(kcvs), &done()).unwrap();
}

/// What the pad says to RKS_KEYS that this makes; nothing was taken.
fn refused(make: impl FnOnce(&Rks) -> Frame) -> PadRefusal {
    let (mut terminal, mut rks) = identified();
    let proof = proven(&mut terminal, &mut rks).unwrap();
    let refusal = keys(&mut terminal, &proof, &make(&rks)).unwrap_err();
    assert!(terminal.pad().slots().is_empty());
    if matches!(refusal, PadRefusal::KeyRefused { .. }) {
        assert_eq!(terminal.pad().refusals().newest().unwrap().check, "RKS_KEYS 0007");
    }
    refusal
}

fn assert_0007(make: impl FnOnce(&Rks) -> Frame) {
    let refusal = refused(make);
    assert!(matches!(refusal, PadRefusal::KeyRefused { .. }), "{refusal}");
}

#[test]
fn keys_of_several_slots_and_uses_arrive_together() {
    let (mut terminal, mut rks) = identified();
    let proof = proven(&mut terminal, &mut rks).unwrap();
    let (tmk, other) = (Tmk::generate().unwrap(), Tmk::generate().unwrap());
    let (pik, mak, tdk) = (Pik::generate().unwrap(), Mak::generate().unwrap(), Tdk::generate().unwrap());
    let mut blocks: Vec<String> = Vec::new();
    let mut add = |wrap: &dyn Fn(&[&str]) -> String| {
        let block = wrap(&blocks.iter().map(String::as_str).collect::<Vec<_>>());
        blocks.push(block);
    };
    // A working key before its TMK is as good as behind it.
    add(&|before| rks.block(&pik, PLACE, before));
    add(&|before| rks.block(&tmk, PLACE, before));
    add(&|before| rks.block(&mak, PLACE, before));
    add(&|before| rks.block(&tdk, PLACE, before));
    add(&|before| rks.block(&other, "SN-1001/04", before));
    let texts: Vec<_> = blocks.iter().map(String::as_str).collect();
    let kcvs = keys(&mut terminal, &proof, &rks_keys(&texts, false)).unwrap();
    assert_eq!(kcvs, [pik.kcv(), tmk.kcv(), mak.kcv(), tdk.kcv(), other.kcv()].map(Kcv::Tdes));
    assert!(!terminal.pad().slots()[0].done);
    finish(&mut terminal, &kcvs);
    let slots = terminal.pad().slots();
    assert_eq!((slots[0].kcv, slots[1].kcv), (Kcv::Tdes(tmk.kcv()), Kcv::Tdes(other.kcv())));
    assert_eq!(slots[0].working.pik, Some(Kcv::Tdes(pik.kcv())));
    assert_eq!(slots[0].working.mak, Some(Kcv::Tdes(mak.kcv())));
    assert_eq!(slots[0].working.tdk, Some(Kcv::Tdes(tdk.kcv())));
    assert_eq!(terminal.status().slots[0].mak_kcv, Some(Kcv::Tdes(mak.kcv()).to_string()));
    assert!(slots[0].done && slots[1].done);
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Deployed);
}

#[test]
fn df20_is_made_anew_in_each_run() {
    let (mut terminal, mut rks) = identified();
    let first = factored(&mut terminal, &mut rks).unwrap();
    assert_ne!(value(&first, 0xDF20), value(&factored(&mut terminal, &mut rks).unwrap(), 0xDF20));
}

#[test]
fn without_a_dik2_nothing_leaves() {
    let (mut terminal, _) = estate().full_terminal();
    let refusal = Suite01::begin(terminal.pad_mut(), slot(3)).unwrap_err();
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
    assert_eq!(terminal.pad().refusals().newest().unwrap().check, "DIK2");
}

#[test]
fn an_rks_that_does_not_know_dik2_is_0005() {
    let (mut terminal, _) = identified();
    let mut stranger = Rks::new();
    let factor = factored(&mut terminal, &mut stranger).unwrap();
    let token = stranger.token(&factor);
    let refusal = terminal.pad_mut().proof(&factor, &token).unwrap_err();
    assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
    assert_eq!(terminal.pad().refusals().newest().unwrap().check, "RKS_TOKEN 0005");
}

#[test]
fn one_key_for_two_uses_is_0007_by_name() {
    let refusal = refused(|rks| {
        let pik = Pik::from_key(TdesKey::generate16().unwrap()).unwrap();
        let mak = Mak::from_key(TdesKey::from_bytes(pik.expose()).unwrap()).unwrap();
        let first = rks.block(&Tmk::generate().unwrap(), PLACE, &[]);
        let second = rks.block(&pik, PLACE, &[&first]);
        let third = rks.block(&mak, PLACE, &[&first, &second]);
        rks_keys(&[&first, &second, &third], false)
    });
    assert_eq!(refusal, PadRefusal::KeyRefused { why: "the PIK is the same key as the MAK".into() });
}

#[test]
fn a_token_of_another_run_or_changed_is_0005() {
    let (mut terminal, mut rks) = identified();
    let factor = factored(&mut terminal, &mut rks).unwrap();
    let old = rks.token(&factor);
    let factor = factored(&mut terminal, &mut rks).unwrap();
    let refusal = terminal.pad_mut().proof(&factor, &old).unwrap_err();
    assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");

    let factor = factored(&mut terminal, &mut rks).unwrap();
    let mut text = value(&rks.token(&factor), 0xDF21);
    let last = text.last_mut().unwrap();
    *last = if *last == b'0' { b'1' } else { b'0' };
    let changed = frame(0x14, &[tlv(0xDF21, &text)]);
    let refusal = terminal.pad_mut().proof(&factor, &changed).unwrap_err();
    assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
}

#[test]
fn worked_values_of_flow_c_open_as_the_pad_opens_them() {
    // Origin: vectors/tdes-suite.json, flow_c. Its context is of no conversation, so the pad's own step is taken.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/tdes-suite.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let hex = |name: &str| -> Vec<u8> {
        let text = file["flow_c"][name].as_str().unwrap();
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let dik2 = Dik2::from_key(TdesKey::from_bytes(&hex("dik2")).unwrap()).unwrap();
    let block = file["flow_c"]["at_tk1_key_block_under_dik2"].as_str().unwrap();
    let context = hex("context").try_into().unwrap();
    let token = paycrypto::blocks::unwrap_token(&dik2, block, "N7-00012345/00", &context).unwrap();
    let proof = token.prove_with(&hex("tk2").try_into().unwrap()).unwrap();
    assert_eq!(proof.tk.expose().to_vec(), hex("tk"));
    assert_eq!(proof.clear(), [hex("at"), hex("tk2"), hex("tk_sha2")].concat());
}

#[test]
fn a_key_for_another_pin_pad_or_none_at_all_is_0007() {
    assert_0007(|rks| rks_keys(&[&rks.block(&Tmk::generate().unwrap(), "SN-1002/03", &[])], false));
    assert_0007(|_| rks_keys(&["B0000"], false));
}

#[test]
fn blocks_in_another_order_or_cut_out_are_0007() {
    for cut in [false, true] {
        assert_0007(|rks| {
            let first = rks.block(&Tmk::generate().unwrap(), PLACE, &[]);
            let second = rks.block(&Tmk::generate().unwrap(), "SN-1001/04", &[&first]);
            if cut { rks_keys(&[&second], false) } else { rks_keys(&[&second, &first], false) }
        });
    }
}

#[test]
fn keys_of_another_run_are_0007() {
    let (mut terminal, mut rks) = identified();
    proven(&mut terminal, &mut rks).unwrap();
    let old = rks_keys(&[&rks.block(&Tmk::generate().unwrap(), PLACE, &[])], false);
    let proof = proven(&mut terminal, &mut rks).unwrap();
    let refusal = keys(&mut terminal, &proof, &old).unwrap_err();
    assert!(matches!(refusal, PadRefusal::KeyRefused { .. }), "{refusal}");
}

#[test]
fn two_keys_for_one_slot_and_use_are_0007() {
    assert_0007(|rks| {
        let first = rks.block(&Tmk::generate().unwrap(), PLACE, &[]);
        let second = rks.block(&Tmk::generate().unwrap(), PLACE, &[&first]);
        rks_keys(&[&first, &second], false)
    });
}

#[test]
fn a_working_key_for_a_slot_without_tmk_is_0007() {
    assert_0007(|rks| rks_keys(&[&rks.block(&Pik::generate().unwrap(), PLACE, &[])], false));
}

#[test]
fn one_bad_block_and_none_is_taken() {
    assert_0007(|rks| {
        let good = rks.block(&Tmk::generate().unwrap(), PLACE, &[]);
        let bad = rks.block(&Tmk::generate().unwrap(), "SN-1001/04", &[]);
        rks_keys(&[&good, &bad], false)
    });
}

#[test]
fn a_slot_of_another_owner_is_0008() {
    let (mut terminal, mut rks) = identified();
    let kcv = load(&mut terminal, &Tmk::generate().unwrap(), PLACE, None).unwrap();
    let refusal = proven(&mut terminal, &mut rks).unwrap_err();
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
    // Also when the first slot wanted is its own.
    let key = checked(&terminal, Role::RksWork);
    let pad = terminal.pad_mut();
    Suite01::begin(pad, slot(4)).unwrap();
    let cert = rks.cert(&auth(4), &estate().certificate(Role::RksWork));
    let factor = frame(0x13, &[tlv(0xDF20, &pad.factor(&key, &auth(4), &cert).unwrap())]);
    let token = rks.token(&factor);
    let proof = frame(0x15, &[tlv(0xDF22, &pad.proof(&factor, &token).unwrap())]);
    rks.prove(&proof);
    let message = rks_keys(&[&rks.block(&Tmk::generate().unwrap(), PLACE, &[])], false);
    let refusal = keys(&mut terminal, &proof, &message).unwrap_err();
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
    assert_eq!(terminal.pad().slots()[0].kcv, kcv);
}

#[test]
fn a_new_dik2_does_not_inherit_the_old_ones_slots() {
    let (mut terminal, mut rks) = identified();
    let proof = proven(&mut terminal, &mut rks).unwrap();
    let message = rks_keys(&[&rks.block(&Tmk::generate().unwrap(), PLACE, &[])], false);
    let kcvs = keys(&mut terminal, &proof, &message).unwrap();
    finish(&mut terminal, &kcvs);
    let other = Rks::new();
    load(&mut terminal, &other.dik2(b"factor"), "SN-1001/00", Some(b"factor")).unwrap();
    let refusal = Suite01::begin(terminal.pad_mut(), slot(3)).unwrap_err();
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
}

#[test]
fn a_certificate_of_another_role_serves_nothing() {
    let (mut terminal, mut rks) = identified();
    let key = checked(&terminal, Role::Downloader);
    let pad = terminal.pad_mut();
    Suite01::begin(pad, slot(3)).unwrap();
    let cert = rks.cert(&auth(3), &estate().certificate(Role::Downloader));
    let refusal = pad.factor(&key, &auth(3), &cert).unwrap_err();
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
}

#[test]
fn frames_that_the_pad_did_not_give_are_0008() {
    let (mut terminal, mut rks) = identified();
    let key = checked(&terminal, Role::RksWork);
    Suite01::begin(terminal.pad_mut(), slot(3)).unwrap();
    let cert = rks.cert(&auth(4), &estate().certificate(Role::RksWork));
    let wrong_slot = terminal.pad_mut().factor(&key, &auth(4), &cert).unwrap_err();
    assert!(matches!(wrong_slot, PadRefusal::NotPermitted { .. }));

    let factor = factored(&mut terminal, &mut rks).unwrap();
    let token = rks.token(&factor);
    let mut changed = value(&factor, 0xDF20);
    changed[0] ^= 1;
    let wrong_factor = terminal.pad_mut().proof(&frame(0x13, &[tlv(0xDF20, &changed)]), &token).unwrap_err();
    assert!(matches!(wrong_factor, PadRefusal::NotPermitted { .. }));

    let proof = proven(&mut terminal, &mut rks).unwrap();
    let mut changed = value(&proof, 0xDF22);
    changed[0] ^= 1;
    let message = rks_keys(&[&rks.block(&Tmk::generate().unwrap(), PLACE, &[])], false);
    let wrong_proof = keys(&mut terminal, &frame(0x15, &[tlv(0xDF22, &changed)]), &message).unwrap_err();
    assert!(matches!(wrong_proof, PadRefusal::NotPermitted { .. }));
}

#[test]
fn what_is_forgotten_does_not_go_on() {
    let (mut terminal, mut rks) = identified();
    let proof = proven(&mut terminal, &mut rks).unwrap();
    let message = rks_keys(&[&rks.block(&Tmk::generate().unwrap(), PLACE, &[])], false);
    terminal.pad_mut().forget();
    terminal.pad_mut().forget();
    assert!(matches!(keys(&mut terminal, &proof, &message), Err(PadRefusal::NotPermitted { .. })));
}

#[test]
fn a_full_disk_takes_none_of_the_keys_and_the_old_ones_stay() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    let mut rks = Rks::new();
    load(&mut terminal, &rks.dik2(FACTOR), "SN-1001/00", Some(FACTOR)).unwrap();
    let proof = proven(&mut terminal, &mut rks).unwrap();
    let message = rks_keys(&[&rks.block(&Tmk::generate().unwrap(), PLACE, &[])], false);
    disk.full_after(0);
    assert!(matches!(keys(&mut terminal, &proof, &message), Err(PadRefusal::Failed { .. })));
    assert!(terminal.pad().slots().is_empty() && terminal.pad().identity().is_some());
}

#[test]
fn power_cut_before_done_leaves_the_new_key_beside_the_old_one() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    let mut rks = Rks::new();
    load(&mut terminal, &rks.dik2(FACTOR), "SN-1001/00", Some(FACTOR)).unwrap();
    let mut last = Vec::new();
    for round in 0..2 {
        let proof = proven(&mut terminal, &mut rks).unwrap();
        let message = rks_keys(&[&rks.block(&Tmk::generate().unwrap(), PLACE, &[])], false);
        let kcvs = keys(&mut terminal, &proof, &message).unwrap();
        if round == 0 {
            finish(&mut terminal, &kcvs);
        }
        last.extend(kcvs);
    }
    drop(terminal);
    let terminal = Terminal::open_from(disk).unwrap();
    let slots = terminal.pad().slots();
    assert_eq!((slots[0].kcv, slots[0].previous, slots[0].done), (last[1], Some(last[0]), false));
}
