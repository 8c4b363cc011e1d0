//! Signing in: what is taken, which TMK goes, and every refusal by name.

mod keys;

use flows::PadRefusal;
use paycrypto::TdesKey;
use paycrypto::blocks::BlockRefusal;
use paycrypto::hygiene::PoorKey;
use paycrypto::keys::{Mak, Pik, Tdk, Tmk};
use wire::{Frame, Kcv};

use crate::board::SharedBoard;
use crate::softpad::download::Session;
use crate::softpad::sign_in::SignInSession;
use crate::testing::peers::{frame, load, tlv};
use crate::testing::session_peers::{Host, confirm, context, copy, sign_in, working_keys_of};
use crate::testing::sessions_01::Sessions01 as _;
use crate::testing::{Shared, estate, slot};
use crate::{LifeCycle, PinPad, SoftPad, Terminal, TransactionPad};

const PLACE: &str = "SN-1001/03";

/// A terminal with a TMK in slot 3, and the host that knows it.
fn loaded() -> (Terminal, SharedBoard, Host) {
    let (mut terminal, board) = estate().full_terminal();
    let tmk = Tmk::generate().unwrap();
    load(&mut terminal, &tmk, PLACE, None).unwrap();
    (terminal, board, Host::new(&tmk))
}

fn begin(pad: &mut SoftPad, attempt: u8) -> Result<Frame, PadRefusal> {
    let (rnd1, kcv) = pad.sign_in_begin(slot(3), attempt)?;
    Ok(sign_in(3, &rnd1.0, kcv.as_bytes()))
}

/// A sign-in up to SIGN_IN_CONFIRM.
fn confirmed(pad: &mut SoftPad, host: &Host, attempt: u8) -> Result<(Frame, Frame), PadRefusal> {
    let sign_in = begin(pad, attempt)?;
    let mac = pad.sign_in_keys(&sign_in, &host.working_keys(&sign_in, PLACE))?;
    assert_eq!(mac.0, host.confirmed(&sign_in), "SIGN_IN_CONFIRM");
    Ok((sign_in, confirm(&mac.0)))
}

/// A whole sign-in.
fn signed_in(pad: &mut SoftPad, host: &Host, attempt: u8) -> Result<Vec<Kcv>, PadRefusal> {
    let (sign_in, confirm) = confirmed(pad, host, attempt)?;
    pad.sign_in_done(&confirm, &host.done(&sign_in))
}

fn is_0008<T>(result: Result<T, PadRefusal>) -> bool {
    result.is_err_and(|refusal| matches!(refusal, PadRefusal::NotPermitted { .. }))
}

fn refused(why: &str) -> PadRefusal {
    PadRefusal::KeyRefused { why: why.to_owned() }
}

fn block_refused(refusal: BlockRefusal) -> PadRefusal {
    refused(&refusal.to_string())
}

/// That these are the keys that the slot works with.
fn assert_works_with(pad: &mut SoftPad, host: &Host) {
    let mac = pad.mac(slot(3), b"data").unwrap();
    assert!(host.mak.verifies(b"data", &mac));
    let track = pad.encrypt_track(slot(3), b"track").unwrap();
    assert_eq!(host.tdk.as_ref().unwrap().decrypt_track(&track).unwrap().as_slice(), b"track");
    let working = pad.slots()[0].working.clone();
    assert_eq!(working.pik, Some(Kcv::Tdes(host.pik.kcv())));
}

#[test]
fn worked_values_of_flow_f_pass_through_the_pad() {
    // Origin: vectors/tdes-suite.json, flow_f.
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../vectors/tdes-suite.json");
    let file: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let text = |name: &str| file["flow_f"][name].as_str().unwrap();
    let hex = |name: &str| -> Vec<u8> {
        let text = text(name);
        (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
    };
    let (mut terminal, _) = estate().full_terminal();
    let tmk = Tmk::from_key(TdesKey::from_bytes(&hex("tmk")).unwrap()).unwrap();
    load(&mut terminal, &tmk, PLACE, None).unwrap();
    let pad = terminal.pad_mut();
    pad.sign_in_begin(slot(3), 0).unwrap();
    let Session::SignIn(session) = &mut pad.session else { panic!("no sign-in") };
    let SignInSession::Begun(begun) = session.as_mut() else { panic!("not begun") };
    begun.set_rnd1(hex("rnd1").try_into().unwrap());

    let sign_in = Frame::from_payload(&hex("sign_in")).unwrap();
    assert_eq!(context(sign_in.bytes(), &[]).to_vec(), hex("context"));
    let (pik, mak) = (text("pik_key_block_under_tmk"), text("mak_key_block_under_tmk"));
    assert_eq!(context(sign_in.bytes(), &[pik]).to_vec(), hex("context_of_mak"));
    let mac = pad.sign_in_keys(&sign_in, &working_keys_of(&[pik, mak])).unwrap();
    assert_eq!(mac.0.to_vec(), hex("confirm_mac"));
    let done = frame(0x06, &[tlv(0xDF52, &hex("done_mac"))]);
    let kcvs = pad.sign_in_done(&confirm(&mac.0), &done).unwrap();
    let kcvs: Vec<String> = kcvs.iter().map(Kcv::to_string).collect();
    assert_eq!(kcvs, [text("pik_kcv"), text("mak_kcv")]);
}

#[test]
fn two_or_three_keys_are_worked_with_after_done_and_not_before() {
    let (mut terminal, _, mut host) = loaded();
    let pad = terminal.pad_mut();
    assert_eq!(signed_in(pad, &host, 0).unwrap(), host.kcvs());
    assert_works_with(pad, &host);
    // The next keys are not worked with until DONE, whatever happens meanwhile.
    let next = Host::new(&host.tmk);
    let (sign_in, confirm) = confirmed(pad, &next, 0).unwrap();
    assert_works_with(pad, &host);
    pad.sign_in_done(&confirm, &next.done(&sign_in)).unwrap();
    assert_works_with(pad, &next);
    // Without a track key the one before it stays, and nothing else does.
    host = Host { tdk: None, ..Host::new(&host.tmk) };
    assert_eq!(signed_in(pad, &host, 0).unwrap().len(), 2);
    let held = pad.slots()[0].working.clone();
    let kcv = |kcv: [u8; 3]| Some(Kcv::Tdes(kcv));
    assert_eq!((held.pik, held.mak), (kcv(host.pik.kcv()), kcv(host.mak.kcv())));
    assert_eq!(held.tdk, kcv(next.tdk.unwrap().kcv()));
}

#[test]
fn rnd1_has_top_bit_0_and_is_never_the_same() {
    let (mut terminal, ..) = loaded();
    let drawn: std::collections::HashSet<[u8; 8]> =
        (0..200).map(|_| terminal.pad_mut().sign_in_begin(slot(3), 0).unwrap().0.0).collect();
    assert_eq!(drawn.len(), 200);
    assert!(drawn.iter().all(|rnd1| rnd1[0] & 0x80 == 0));
}

#[test]
fn a_slot_without_a_tmk_is_0008_and_recorded() {
    let (mut terminal, ..) = loaded();
    assert!(is_0008(terminal.pad_mut().sign_in_begin(slot(4), 0)));
    let record = terminal.pad().refusals().newest().unwrap();
    assert_eq!((record.check.as_str(), record.reading.as_str()), ("TMK", "none"));
    // One TMK is no two.
    assert!(is_0008(terminal.pad_mut().sign_in_begin(slot(3), 1)));
    assert!(is_0008(terminal.pad_mut().sign_in_begin(slot(3), 2)));
}

#[test]
fn the_newest_tmk_comes_first_and_once_it_has_worked_the_older_goes() {
    let (mut terminal, _, old) = loaded();
    let new = Host::new(&Tmk::generate().unwrap());
    load(&mut terminal, &new.tmk, PLACE, None).unwrap();
    let pad = terminal.pad_mut();
    let kcv = |host: &Host| Kcv::Tdes(host.tmk.kcv());
    assert_eq!(pad.sign_in_begin(slot(3), 0).unwrap().1, kcv(&new));
    assert_eq!(pad.sign_in_begin(slot(3), 1).unwrap().1, kcv(&old));
    // The older one works: the newer stays, since the host may know it later.
    signed_in(pad, &old, 1).unwrap();
    assert_eq!((pad.slots()[0].kcv, pad.slots()[0].previous), (kcv(&new), Some(kcv(&old))));
    assert_works_with(pad, &old);
    // Keys without DONE are no proof that it works.
    let (_, lost) = confirmed(pad, &new, 0).unwrap();
    assert_eq!(pad.slots()[0].previous, Some(kcv(&old)));
    drop(lost);
    signed_in(pad, &new, 0).unwrap();
    assert_eq!((pad.slots()[0].kcv, pad.slots()[0].previous), (kcv(&new), None));
    assert!(is_0008(pad.sign_in_begin(slot(3), 1)));
}

#[test]
fn a_tmk_whose_done_was_lost_is_finished_by_its_sign_in() {
    let mut terminal = estate().terminal();
    let kms = estate().collected(&mut terminal);
    let tmk = Tmk::generate().unwrap();
    kms.load_to_confirm(&mut terminal, slot(3), &tmk).unwrap();
    assert!(!terminal.pad().slots()[0].done);
    signed_in(terminal.pad_mut(), &Host::new(&tmk), 0).unwrap();
    assert!(terminal.pad().slots()[0].done);
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Deployed);
}

#[test]
fn the_pad_finds_its_own_rnd1_slot_place_suite_and_tmk_in_sign_in() {
    let (mut terminal, _, host) = loaded();
    let pad = terminal.pad_mut();
    type Change = fn(&mut Vec<u8>);
    let changes: [(&str, Change); 5] = [
        ("suite", |payload| payload[5] = 2),
        ("serial", |payload| payload[15] = b'2'),
        ("slot", |payload| payload[19] = 4),
        ("Rnd1", |payload| payload[30] ^= 1),
        ("TMK", |payload| *payload.last_mut().unwrap() ^= 1),
    ];
    for (name, change) in changes {
        let mut payload = begin(pad, 0).unwrap().payload().to_vec();
        change(&mut payload);
        let said = Frame::from_payload(&payload).unwrap();
        // Right for what was said.
        let keys = host.working_keys(&said, PLACE);
        assert!(is_0008(pad.sign_in_keys(&said, &keys)), "{name}");
    }
}

#[test]
fn a_wrong_done_mac_is_0005_recorded_and_the_old_keys_stay() {
    let wrong: [fn(&Host, &Frame) -> Frame; 3] = [
        |host, sign_in| {
            let mut payload = host.done(sign_in).payload().to_vec();
            *payload.last_mut().unwrap() ^= 1;
            Frame::from_payload(&payload).unwrap()
        },
        // The terminal's own, sent back.
        |host, sign_in| frame(0x06, &[tlv(0xDF52, &host.confirmed(sign_in))]),
        // Another sign-in's.
        |host, sign_in| {
            let mut payload = sign_in.payload().to_vec();
            payload[30] ^= 1;
            host.done(&Frame::from_payload(&payload).unwrap())
        },
    ];
    for make in wrong {
        let (mut terminal, _, host) = loaded();
        let pad = terminal.pad_mut();
        signed_in(pad, &host, 0).unwrap();
        let next = Host::new(&host.tmk);
        let (sign_in, confirm) = confirmed(pad, &next, 0).unwrap();
        let refusal = pad.sign_in_done(&confirm, &make(&next, &sign_in)).unwrap_err();
        assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
        assert!(is_0008(pad.sign_in_done(&confirm, &next.done(&sign_in))), "tried once");
        assert_works_with(pad, &host);
        assert_eq!(pad.refusals().newest().unwrap().check, "DONE 0005");
    }
}

#[test]
fn a_done_without_its_mac_is_0002_and_another_confirm_is_0008() {
    let (mut terminal, _, host) = loaded();
    let pad = terminal.pad_mut();
    let (_, own) = confirmed(pad, &host, 0).unwrap();
    let refusal = pad.sign_in_done(&own, &frame(0x06, &[])).unwrap_err();
    assert!(matches!(refusal, PadRefusal::Malformed(_)), "{refusal}");
    let (sign_in, _) = confirmed(pad, &host, 0).unwrap();
    assert!(is_0008(pad.sign_in_done(&confirm(&[0; 8]), &host.done(&sign_in))));
    assert_eq!(pad.slots()[0].working, crate::WorkingStatus::default());
}

#[test]
fn steps_out_of_order_are_0008() {
    let (mut terminal, _, host) = loaded();
    let pad = terminal.pad_mut();
    let sign_in = begin(pad, 0).unwrap();
    assert!(is_0008(pad.sign_in_done(&confirm(&[0; 8]), &host.done(&sign_in))), "done before keys");
    let keys = host.working_keys(&sign_in, PLACE);
    assert!(is_0008(pad.sign_in_keys(&sign_in, &keys)), "it ended the sign-in");
    let sign_in = begin(pad, 0).unwrap();
    let keys = host.working_keys(&sign_in, PLACE);
    pad.sign_in_keys(&sign_in, &keys).unwrap();
    assert!(is_0008(pad.sign_in_keys(&sign_in, &keys)), "keys twice");
    let (sign_in, own) = confirmed(pad, &host, 0).unwrap();
    pad.sign_in_forget();
    assert!(is_0008(pad.sign_in_done(&own, &host.done(&sign_in))), "forgotten");
}

#[test]
fn the_lid_opened_before_each_step_wipes_and_is_0008() {
    for step in 0..3 {
        let (mut terminal, board, host) = loaded();
        let pad = terminal.pad_mut();
        let open = || board.change(|readings| readings.lid_openings += 1);
        let result = match step {
            0 => {
                open();
                begin(pad, 0).map(|_| ())
            }
            1 => {
                let sign_in = begin(pad, 0).unwrap();
                open();
                pad.sign_in_keys(&sign_in, &host.working_keys(&sign_in, PLACE)).map(|_| ())
            }
            _ => {
                let (sign_in, own) = confirmed(pad, &host, 0).unwrap();
                open();
                pad.sign_in_done(&own, &host.done(&sign_in)).map(|_| ())
            }
        };
        assert!(is_0008(result), "{step}");
        assert_eq!(pad.life_cycle(), LifeCycle::Tampered, "{step}");
        assert!(!pad.state.has_keys() && matches!(pad.session, Session::Idle));
    }
}

#[test]
fn a_power_cut_at_each_step_leaves_the_old_working_keys_or_the_new_ones() {
    for cut in 0..=3 {
        let disk = Shared::new();
        let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
        let host = Host::new(&Tmk::generate().unwrap());
        load(&mut terminal, &host.tmk, PLACE, None).unwrap();
        signed_in(terminal.pad_mut(), &host, 0).unwrap();
        let next = Host::new(&host.tmk);
        let pad = terminal.pad_mut();
        let mut last = None;
        match cut {
            0 => {}
            1 => drop(begin(pad, 0).unwrap()),
            2 => last = Some(confirmed(pad, &next, 0).unwrap()),
            _ => drop(signed_in(pad, &next, 0).unwrap()),
        }
        drop(terminal);
        let mut terminal = Terminal::open_from(disk).unwrap();
        let pad = terminal.pad_mut();
        assert_works_with(pad, if cut == 3 { &next } else { &host });
        if let Some((sign_in, own)) = last {
            // The new keys were in memory only.
            assert!(is_0008(pad.sign_in_done(&own, &next.done(&sign_in))));
        }
        signed_in(pad, &Host { tmk: copy(&host.tmk), ..next }, 0).unwrap();
    }
}

#[test]
fn a_full_disk_keeps_the_old_working_keys_and_the_old_tmk() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    let host = Host::new(&Tmk::generate().unwrap());
    load(&mut terminal, &host.tmk, PLACE, None).unwrap();
    signed_in(terminal.pad_mut(), &host, 0).unwrap();
    let new = Host::new(&Tmk::generate().unwrap());
    load(&mut terminal, &new.tmk, PLACE, None).unwrap();
    let pad = terminal.pad_mut();
    let (sign_in, own) = confirmed(pad, &new, 0).unwrap();
    disk.full_after(0);
    let refusal = pad.sign_in_done(&own, &new.done(&sign_in)).unwrap_err();
    assert!(matches!(refusal, PadRefusal::Failed { .. }), "{refusal}");
    assert_works_with(pad, &host);
    assert_eq!(pad.slots()[0].previous, Some(Kcv::Tdes(host.tmk.kcv())));
    disk.full_after(usize::MAX);
    signed_in(pad, &new, 0).unwrap();
}
