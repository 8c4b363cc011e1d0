//! The lid and the sensors at every step of every flow.

use flows::tmk_download::DownloadPad;
use flows::{PadRefusal, tmk_download};
use paycrypto::keys::{Dmk, Tmk};
use pki::Role;
use wire::{ErrorCode, ErrorMessage};

use super::{challenged, key_frame};
use crate::board::{Board, BoardError, Readings, SharedBoard};
use crate::testing::peers::{Rks, accepted, checked, done, frame, key_confirm, kld_key, load, rks_keys, tlv};
use crate::testing::suite_01::Suite01;
use crate::testing::{Kms, Shared, estate, slot};
use crate::{LifeCycle, PinPad, Terminal, collect};

const FACTOR: &[u8] = b"factor";

/// A terminal in the field with a key in every kind of place.
fn deployed() -> (Terminal, SharedBoard, Kms, Rks) {
    let (mut terminal, board) = estate().full_terminal();
    let kms = estate().collected(&mut terminal);
    let rks = Rks::new();
    kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    load(&mut terminal, &rks.dik2(FACTOR), "SN-1001/00", Some(FACTOR)).unwrap();
    load(&mut terminal, &Dmk::generate().unwrap(), "SN-1001/00", None).unwrap();
    (terminal, board, kms, rks)
}

fn assert_wiped(terminal: &Terminal, what: &str) {
    let pad = terminal.pad();
    assert_eq!(pad.life_cycle(), LifeCycle::Tampered, "{what}");
    assert!(!pad.state.has_keys() && pad.latch().is_none(), "{what}");
    assert!(pad.identity().is_none() && pad.dmk().is_none() && pad.slots().is_empty(), "{what}");
    let log = pad.refusals();
    assert!(log.verify() && log.records().any(|record| record.check == "lid"), "{what}");
}

fn code_of(refusal: &tmk_download::PadRefusal) -> bool {
    matches!(refusal, tmk_download::PadRefusal::NotPermitted { .. })
}

#[test]
fn r17_lid_opened_before_each_step_of_a_download_wipes_and_is_0008() {
    for step in 0..4 {
        let (mut terminal, board, kms, _) = deployed();
        let open = || board.change(|readings| readings.lid_open = true);
        let refusal = if step == 0 {
            open();
            DownloadPad::<flows::Tdes>::start(terminal.pad_mut(), slot(3)).unwrap_err()
        } else if step == 1 {
            let device = terminal.device().clone();
            let (hello, _) =
                tmk_download::terminal::Start::new(device, slot(3)).begin(terminal.pad_mut()).unwrap();
            let (challenge, _) = kms.challenge(&hello).unwrap();
            open();
            DownloadPad::<flows::Tdes>::challenge(terminal.pad_mut(), &hello, &challenge).unwrap_err()
        } else {
            let said = challenged(&mut terminal, &kms, 3);
            let key = key_frame(&kms, &Tmk::generate().unwrap(), "SN-1001/03", &said);
            if step == 2 {
                open();
                DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &said.reply, &key).unwrap_err()
            } else {
                let kcvs =
                    DownloadPad::<flows::Tdes>::key(terminal.pad_mut(), &said.reply, &key).unwrap().kcvs;
                open();
                DownloadPad::<flows::Tdes>::done(terminal.pad_mut(), &key_confirm(&kcvs), &done())
                    .unwrap_err()
            }
        };
        assert!(code_of(&refusal), "{step}: {refusal}");
        assert_wiped(&terminal, &format!("step {step}"));
    }
}

#[test]
fn r17_lid_opened_before_each_step_of_a_loading_wipes_and_is_0008() {
    for step in 0..3 {
        let (mut terminal, board, ..) = deployed();
        let open = || board.change(|readings| readings.lid_open = true);
        let refusal = if step == 0 {
            open();
            accepted(&mut terminal).err().unwrap()
        } else {
            let (kld, accept) = accepted(&mut terminal).unwrap();
            let key = kld_key(&kld.fields(&kld.block(&Tmk::generate().unwrap(), "SN-1001/05"), None));
            if step == 1 {
                open();
                Suite01::load(terminal.pad_mut(), &accept, &key).unwrap_err()
            } else {
                let kcv = Suite01::load(terminal.pad_mut(), &accept, &key).unwrap();
                open();
                terminal.pad_mut().loaded(&key_confirm(&[kcv]), &done()).unwrap_err()
            }
        };
        assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{step}: {refusal}");
        assert_wiped(&terminal, &format!("step {step}"));
    }
}

#[test]
fn r17_lid_opened_before_each_step_of_the_rks_wipes_and_is_0008() {
    for step in 0..5 {
        let (mut terminal, board, _, mut rks) = deployed();
        let refusal = rks_until(&mut terminal, &mut rks, step, &board).unwrap_err();
        assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{step}: {refusal}");
        assert_wiped(&terminal, &format!("step {step}"));
    }
}

/// A download from the RKS in which the lid opens before this step.
fn rks_until(
    terminal: &mut Terminal,
    rks: &mut Rks,
    step: usize,
    board: &SharedBoard,
) -> Result<(), PadRefusal> {
    let key = checked(terminal, Role::RksWork);
    let pad = terminal.pad_mut();
    let open = |now: usize| {
        if now == step {
            board.change(|readings| readings.lid_open = true);
        }
    };
    let auth = frame(0x11, &[tlv(0xDF01, &[1]), tlv(0xDF02, b"SN-1001"), tlv(0xDF04, &[7])]);
    let cert = rks.cert(&auth, &estate().certificate(Role::RksWork));
    open(0);
    Suite01::begin(pad, slot(7))?;
    open(1);
    let factor = frame(0x13, &[tlv(0xDF20, &pad.factor(&key, &auth, &cert)?)]);
    let token = rks.token(&factor);
    open(2);
    let proof = frame(0x15, &[tlv(0xDF22, &pad.proof(&factor, &token)?)]);
    rks.prove(&proof);
    let message = rks_keys(&[&rks.block(&Tmk::generate().unwrap(), "SN-1001/07", &[])], false);
    open(3);
    let kcvs = Suite01::keys(pad, &proof, &message)?;
    open(4);
    Suite01::done(pad, &key_confirm(&kcvs), &done())
}

#[test]
fn r17_a_wiped_terminal_says_0008_to_everything() {
    let (mut terminal, board, ..) = deployed();
    board.change(|readings| readings.lid_open = true);
    terminal.poll().unwrap_err();
    board.change(|readings| readings.lid_open = false);
    assert_wiped(&terminal, "poll");
    assert!(code_of(&DownloadPad::<flows::Tdes>::start(terminal.pad_mut(), slot(3)).unwrap_err()));
    assert!(matches!(accepted(&mut terminal), Err(PadRefusal::NotPermitted { .. })));
    let begun = Suite01::begin(terminal.pad_mut(), slot(3));
    assert!(matches!(begun, Err(PadRefusal::NotPermitted { .. })));
    let refusal = collect::answer(&mut terminal, &estate().collect()).unwrap_err();
    assert_eq!(refusal.fault.code, ErrorCode::NotPermittedNow);
    assert!(refusal.text.contains("repair authorisation"), "{}", refusal.text);
    terminal.deploy().unwrap_err();
}

#[test]
fn a_hot_car_is_no_attack() {
    let (mut terminal, board, kms, _) = deployed();
    let before = terminal.status();
    for change in [(|readings| readings.celsius = 80) as fn(&mut Readings), |readings| {
        *readings = Readings { millivolts: 2500, ..Readings::NOMINAL }
    }] {
        board.change(change);
        terminal.poll().unwrap();
        assert!(code_of(&DownloadPad::<flows::Tdes>::start(terminal.pad_mut(), slot(3)).unwrap_err()));
        assert_eq!(terminal.status().slots, before.slots);
    }
    let log = terminal.pad().refusals();
    let said: Vec<_> = log.records().map(|record| (record.check.as_str(), record.reading.as_str())).collect();
    assert_eq!(said, [("temperature", "80 C"), ("voltage", "2500 mV")]);
    board.change(|readings| *readings = Readings::NOMINAL);
    kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
}

#[test]
fn r17_each_tamper_range_wipes_a_deployed_terminal() {
    for change in [
        (|readings| readings.celsius = 96) as fn(&mut Readings),
        |readings| readings.celsius = -36,
        |readings| readings.millivolts = 2199,
        |readings| readings.millivolts = 4201,
        |readings| readings.lid_openings = 1,
    ] {
        let (mut terminal, board, ..) = deployed();
        board.change(change);
        terminal.poll().unwrap_err();
        assert_eq!(terminal.pad().life_cycle(), LifeCycle::Tampered);
        assert!(!terminal.pad().state.has_keys());
        assert_eq!(terminal.pad().refusals().total(), 1);
        // Found once, recorded once.
        let _ = terminal.poll();
        assert_eq!(terminal.pad().refusals().total(), 1);
    }
}

#[test]
fn sensors_that_cannot_be_read_stop_everything_and_wipe_nothing() {
    let (mut terminal, board, ..) = deployed();
    board.fail("bus error");
    terminal.poll().unwrap();
    assert!(code_of(&DownloadPad::<flows::Tdes>::start(terminal.pad_mut(), slot(3)).unwrap_err()));
    assert!(terminal.pad().state.has_keys());
    assert_eq!(terminal.pad().refusals().newest().unwrap().check, "board");
}

#[test]
fn in_production_the_lid_wipes_tk_and_lifts_the_latch_and_it_begins_again() {
    let (mut terminal, board) = estate().full_terminal();
    let collect = estate().collect();
    let first = collect::answer(&mut terminal, &collect).unwrap();
    board.change(|readings| readings.lid_open = true);
    let refusal = collect::answer(&mut terminal, &collect).unwrap_err();
    assert_eq!(refusal.fault.code, ErrorCode::NotPermittedNow);
    // The ERROR says why.
    let fields = refusal.frame().unwrap().message().unwrap().fields;
    let [record] = &ErrorMessage::read(&fields).refusals[..] else { panic!("no record") };
    assert_eq!(flows::RefusalRecord::read(record).unwrap().check, "lid");
    assert_eq!((terminal.pad().latch(), terminal.pad().state.has_tk()), (None, false));
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Production);

    board.change(|readings| readings.lid_open = false);
    let second = collect::answer(&mut terminal, &collect).unwrap();
    assert!(!second.again && second.fingerprint != first.fingerprint);
    // What happened before is in what the station gets, and stays the same when it asks again.
    let carried = <flows::collect::Collected>::read(&second.frame).unwrap().refusals;
    assert_eq!(carried.len(), 1);
    let again = collect::answer(&mut terminal, &collect).unwrap();
    assert_eq!((again.again, again.frame), (true, second.frame));
}

#[test]
fn in_production_a_key_of_the_acquirers_root_survives_the_lid_and_one_of_the_tk_does_not() {
    let (mut terminal, board) = estate().full_terminal();
    let kms = estate().collected(&mut terminal);
    kms.load_to_confirm(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    let (kld, accept) = accepted(&mut terminal).unwrap();
    let key = kld_key(&kld.fields(&kld.block(&Tmk::generate().unwrap(), "SN-1001/05"), None));
    Suite01::load(terminal.pad_mut(), &accept, &key).unwrap();
    board.change(|readings| readings.lid_open = true);
    terminal.poll().unwrap_err();
    let slots: Vec<_> = terminal.pad().slots().iter().map(|status| status.slot).collect();
    assert_eq!(slots, [slot(5)]);
}

#[test]
fn r17_a_lid_opened_without_power_is_found_when_the_terminal_is_opened() {
    let folder = tempfile::tempdir().unwrap();
    let mut terminal = Terminal::new(folder.path(), estate().new_full_terminal()).unwrap();
    let kms = estate().collected(&mut terminal);
    kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    drop(terminal);
    let board = crate::board::SimulatedBoard::of(folder.path());
    board.change(|readings| readings.lid_open = true).unwrap();
    board.change(|readings| readings.lid_open = false).unwrap();
    let terminal = Terminal::open(folder.path()).unwrap();
    assert_wiped(&terminal, "open");
    drop(terminal);
    // And once: the next time it is known.
    let terminal = Terminal::open(folder.path()).unwrap();
    assert_eq!(terminal.pad().refusals().total(), 1);
}

#[test]
fn r17_a_disk_that_takes_nothing_does_not_keep_a_key_usable() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    let board = SharedBoard::default();
    terminal.set_board(board.clone());
    let kms = estate().collected(&mut terminal);
    kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    disk.full_after(0);
    board.change(|readings| readings.lid_open = true);
    terminal.poll().unwrap_err();
    assert!(!terminal.pad().state.has_keys());
    // Nor does a record that cannot be stored bring it back from there.
    terminal.pad_mut().refuse("certificate", "expired");
    assert!(!terminal.pad().state.has_keys());
    board.change(|readings| readings.lid_open = false);
    let refusal = DownloadPad::<flows::Tdes>::start(terminal.pad_mut(), slot(3)).unwrap_err();
    assert!(matches!(refusal, tmk_download::PadRefusal::Failed { .. }), "{refusal}");
    // With room again the wipe is stored before anything else.
    disk.full_after(usize::MAX);
    assert!(code_of(&DownloadPad::<flows::Tdes>::start(terminal.pad_mut(), slot(3)).unwrap_err()));
    drop(terminal);
    let mut terminal = Terminal::open_from(disk).unwrap();
    terminal.set_board(board);
    assert_wiped(&terminal, "after the power cut");
}

#[test]
fn r17_a_power_cut_before_a_wipe_could_be_stored_finds_the_lid_again() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    let board = SharedBoard::default();
    terminal.set_board(board.clone());
    let kms = estate().collected(&mut terminal);
    kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    disk.full_after(0);
    board.change(|readings| readings.lid_open = true);
    board.change(|readings| readings.lid_open = false);
    terminal.poll().unwrap_err();
    drop(terminal);
    disk.full_after(usize::MAX);
    let mut terminal = Terminal::open_from(disk).unwrap();
    terminal.set_board(board);
    terminal.poll().unwrap_err();
    assert_wiped(&terminal, "after the power cut");
}

/// A board whose lid opens at a certain look at it.
struct OpensAt {
    look: usize,
    at: usize,
}

impl Board for OpensAt {
    fn readings(&mut self) -> Result<Readings, BoardError> {
        self.look += 1;
        let open = self.look >= self.at;
        Ok(Readings { lid_open: open, lid_openings: open.into(), ..Readings::NOMINAL })
    }
}

/// A whole flow, which says whether it came to its end.
type Flow = fn(&mut Terminal, &Kms, &mut Rks, &SharedBoard) -> bool;

/// More looks than any flow takes.
const LOOKS: usize = 40;

#[test]
fn lid_opened_at_any_look_while_a_tk_is_made_gives_no_tk_out() {
    let collect = estate().collect();
    let mut answered = 0;
    for at in 1..LOOKS {
        let (mut terminal, _) = estate().full_terminal();
        terminal.set_board(OpensAt { look: 0, at });
        let answer = collect::answer(&mut terminal, &collect);
        // Whatever left is still there; whatever was refused is wiped.
        assert_eq!(answer.is_ok(), terminal.pad().state.has_tk(), "look {at}");
        answered += usize::from(answer.is_ok());
    }
    // It looks before, and once more when the TK is made.
    assert!(answered > 0 && answered < LOOKS - 3, "{answered}");
}

#[test]
fn r17_lid_opened_at_any_look_of_any_flow_leaves_no_key_in_the_field() {
    let flows: [Flow; 3] = [
        |terminal, kms, _, _| kms.load(terminal, slot(3), &Tmk::generate().unwrap()).is_ok(),
        |terminal, _, _, _| load(terminal, &Tmk::generate().unwrap(), "SN-1001/05", None).is_ok(),
        |terminal, _, rks, never| rks_until(terminal, rks, usize::MAX, never).is_ok(),
    ];
    for (number, flow) in flows.into_iter().enumerate() {
        let mut whole = false;
        for at in 1..LOOKS {
            let (mut terminal, board, kms, mut rks) = deployed();
            terminal.set_board(OpensAt { look: 0, at });
            whole = flow(&mut terminal, &kms, &mut rks, &board);
            if whole {
                break;
            }
            assert_wiped(&terminal, &format!("flow {number}, look {at}"));
        }
        assert!(whole, "flow {number} takes more looks");
    }
}
