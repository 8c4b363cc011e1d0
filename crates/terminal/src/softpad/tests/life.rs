//! Repair, privatisation, retirement; and any sequence of events.

use flows::PadRefusal;
use flows::repair::messages::Repair;
use paycrypto::keys::{Dik2, Dmk, Tmk};
use paycrypto::rsa::PrivateKey;
use pki::Role;
use proptest::prelude::*;
use wire::{BcdTime, Device};

use crate::board::SharedBoard;
use crate::testing::peers::{checked, foreign, load, repair_frame};
use crate::testing::{DAY, Shared, collect_frame, estate, slot};
use crate::{Error, LifeCycle, PinPad, RepairAuthorisation, Terminal, TrustedRoot, collect};

const OWN: &str = "SN-1001/00";

/// Hands REPAIR to the PIN pad as the listener does.
fn repair(terminal: &mut Terminal, frame: &wire::Frame, now: i64) -> Result<(), PadRefusal> {
    let key = checked(terminal, Role::RepairAuthorisation);
    let device = terminal.device().clone();
    let Repair { expiry, signature, .. } = Repair::read(frame).unwrap();
    let authorisation =
        RepairAuthorisation { key: &key, device: &device, expiry, signature: &signature, now };
    terminal.pad_mut().repair(&authorisation)
}

/// A repair that is in order.
fn repaired(terminal: &mut Terminal) -> Result<(), PadRefusal> {
    let challenge = terminal.pad_mut().repair_challenge()?;
    let frame = repair_frame(&challenge, "SN-1001", estate().now + DAY);
    repair(terminal, &frame, estate().now)
}

fn deployed() -> (Terminal, SharedBoard) {
    let (mut terminal, board) = estate().full_terminal();
    load(&mut terminal, &Tmk::generate().unwrap(), "SN-1001/03", None).unwrap();
    (terminal, board)
}

#[test]
fn r18_a_repair_wipes_everything_and_lifts_owners_and_a_tk_may_be_made_again() {
    let (mut terminal, _) = deployed();
    load(&mut terminal, &Dmk::generate().unwrap(), OWN, None).unwrap();
    repaired(&mut terminal).unwrap();
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Repair);
    assert!(!terminal.pad().state.has_keys());
    // The slot that was the acquirer root's is the new TK's now.
    let kms = estate().collected(&mut terminal);
    kms.load(&mut terminal, slot(3), &Tmk::generate().unwrap()).unwrap();
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Deployed);
}

#[test]
fn a_tampered_terminal_is_repaired_with_its_lid_open() {
    let (mut terminal, board) = deployed();
    board.change(|readings| readings.lid_open = true);
    repaired(&mut terminal).unwrap();
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Repair);
    // But no TK is made with it open.
    collect::answer(&mut terminal, &estate().collect()).unwrap_err();
    board.change(|readings| readings.lid_open = false);
    estate().collected(&mut terminal);
}

#[test]
fn a_challenge_is_kept_until_it_is_used_and_survives_a_power_cut() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    terminal.deploy().unwrap();
    let challenge = terminal.pad_mut().repair_challenge().unwrap();
    drop(terminal);
    let mut terminal = Terminal::open_from(disk.clone()).unwrap();
    assert_eq!(terminal.pad_mut().repair_challenge().unwrap(), challenge);
    let frame = repair_frame(&challenge, "SN-1001", estate().now + DAY);
    repair(&mut terminal, &frame, estate().now).unwrap();
    // Used once, also after the next deployment and after a power cut.
    terminal.deploy().unwrap();
    drop(terminal);
    let mut terminal = Terminal::open_from(disk).unwrap();
    assert_eq!(terminal.pad().open_challenge(), None);
    let refusal = repair(&mut terminal, &frame, estate().now).unwrap_err();
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
    assert_ne!(terminal.pad_mut().repair_challenge().unwrap(), challenge);
    let refusal = repair(&mut terminal, &frame, estate().now).unwrap_err();
    assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
}

#[test]
fn full_disk_leaves_the_terminal_deployed_with_its_keys_and_its_challenge() {
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    load(&mut terminal, &Tmk::generate().unwrap(), "SN-1001/03", None).unwrap();
    let challenge = terminal.pad_mut().repair_challenge().unwrap();
    let frame = repair_frame(&challenge, "SN-1001", estate().now + DAY);
    disk.full_after(0);
    let refusal = repair(&mut terminal, &frame, estate().now).unwrap_err();
    assert!(matches!(refusal, PadRefusal::Failed { .. }), "{refusal}");
    assert_eq!((terminal.pad().life_cycle(), terminal.pad().slots().len()), (LifeCycle::Deployed, 1));
    disk.full_after(usize::MAX);
    repair(&mut terminal, &frame, estate().now).unwrap();
}

#[test]
fn a_signature_for_another_terminal_challenge_or_expiry_or_of_another_key_is_0005() {
    let (mut terminal, _) = deployed();
    let challenge = terminal.pad_mut().repair_challenge().unwrap();
    let (now, until) = (estate().now, estate().now + DAY);
    let mut other = challenge;
    other[15] ^= 1;
    let mut later = Repair::read(&repair_frame(&challenge, "SN-1001", until)).unwrap();
    later.expiry = BcdTime::from_unix(until + 1).unwrap();
    let mut stranger = Repair::read(&repair_frame(&challenge, "SN-1001", until)).unwrap();
    stranger.signature = PrivateKey::generate(2048).unwrap().sign_pss_sha256(b"x").unwrap();
    for frame in [
        repair_frame(&challenge, "SN-1002", until),
        repair_frame(&other, "SN-1001", until),
        later.write().unwrap(),
        stranger.write().unwrap(),
    ] {
        let refusal = repair(&mut terminal, &frame, now).unwrap_err();
        assert!(matches!(refusal, PadRefusal::ServerNotProven { .. }), "{refusal}");
    }
    assert_eq!((terminal.pad().life_cycle(), terminal.pad().slots().len()), (LifeCycle::Deployed, 1));
    assert_eq!(terminal.pad().open_challenge(), Some(challenge));
}

#[test]
fn an_authorisation_holds_to_its_last_second() {
    let (mut terminal, _) = deployed();
    let challenge = terminal.pad_mut().repair_challenge().unwrap();
    let frame = repair_frame(&challenge, "SN-1001", estate().now);
    let refusal = repair(&mut terminal, &frame, estate().now + 1).unwrap_err();
    assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
    repair(&mut terminal, &frame, estate().now).unwrap();
}

#[test]
fn a_certificate_of_another_role_or_a_device_with_another_pin_pad_repairs_nothing() {
    let (mut terminal, _) = deployed();
    let challenge = terminal.pad_mut().repair_challenge().unwrap();
    let frame = repair_frame(&challenge, "SN-1001", estate().now + DAY);
    let Repair { expiry, signature, .. } = Repair::read(&frame).unwrap();
    let other = Device::built_in("SN-1002".parse().unwrap());
    let own = terminal.device().clone();
    for (role, device) in [(Role::Downloader, &own), (Role::RepairAuthorisation, &other)] {
        let key = checked(&terminal, role);
        let now = estate().now;
        let authorisation = RepairAuthorisation { key: &key, device, expiry, signature: &signature, now };
        let refusal = terminal.pad_mut().repair(&authorisation).unwrap_err();
        assert!(matches!(refusal, PadRefusal::NotPermitted { .. }), "{refusal}");
    }
}

#[test]
fn what_was_never_deployed_or_is_in_repair_or_retired_gives_no_challenge() {
    let (mut terminal, _) = estate().full_terminal();
    assert!(terminal.pad_mut().repair_challenge().is_err());
    terminal.deploy().unwrap();
    repaired(&mut terminal).unwrap();
    assert!(terminal.pad_mut().repair_challenge().is_err());
    terminal.retire().unwrap();
    assert!(terminal.pad_mut().repair_challenge().is_err());
}

#[test]
fn r18_retired_is_final() {
    let (mut terminal, _) = deployed();
    terminal.retire().unwrap();
    terminal.retire().unwrap();
    assert_eq!(terminal.pad().life_cycle(), LifeCycle::Retired);
    assert!(!terminal.pad().state.has_keys());
    assert!(terminal.deploy().is_err());
    assert!(load(&mut terminal, &Tmk::generate().unwrap(), "SN-1001/03", None).is_err());
    assert!(collect::answer(&mut terminal, &estate().collect()).is_err());
    assert!(terminal.install_root(&TrustedRoot::of_acquirer(estate().root.clone())).is_err());
}

#[test]
fn another_acquirers_root_is_taken_before_the_first_key_or_in_repair_only() {
    let (root, leaf) = foreign(Role::KmsWork);
    let root = TrustedRoot::of_acquirer(root);
    let (mut terminal, _) = estate().full_terminal();
    terminal.install_root(&root).unwrap();
    // The old one is refused from now on, the new one believed, and the vendor's roles stay.
    collect::answer(&mut terminal, &estate().collect()).unwrap_err();
    let mtms = collect_frame(&estate().certificate(Role::Mtms));
    collect::answer(&mut terminal, &mtms).unwrap();
    let refused = terminal.install_root(&root).unwrap_err();
    assert!(matches!(refused, Error::PinPad(PadRefusal::NotPermitted { .. })), "{refused}");
    assert!(terminal.pad().latch().is_some());

    let (mut terminal, _) = deployed();
    assert!(terminal.install_root(&root).is_err());
    repaired(&mut terminal).unwrap();
    load_in_repair(&mut terminal);
    terminal.install_root(&root).unwrap();
    assert!(!terminal.pad().state.has_keys());
    collect::answer(&mut terminal, &collect_frame(&leaf)).unwrap();
}

/// A key whose DONE does not come, so that the terminal stays in repair.
fn load_in_repair(terminal: &mut Terminal) {
    use crate::testing::suite_01::Suite01;
    let (kld, accept) = crate::testing::peers::accepted(terminal).unwrap();
    let block = kld.block(&Tmk::generate().unwrap(), "SN-1001/03");
    let key = crate::testing::peers::kld_key(&kld.fields(&block, None));
    Suite01::load(terminal.pad_mut(), &accept, &key).unwrap();
    assert!(terminal.pad().state.has_keys());
}

#[test]
fn a_root_is_exchanged_for_good_and_not_for_the_vendors_roles() {
    let (root, leaf) = foreign(Role::KmsWork);
    let disk = Shared::new();
    let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
    for role in [Role::Mtms, Role::RepairAuthorisation, Role::Operator] {
        let wrong = TrustedRoot { certificate: root.clone(), roles: vec![role] };
        assert!(matches!(terminal.install_root(&wrong), Err(Error::VendorRole { .. })));
    }
    let no_ca = TrustedRoot::of_acquirer(leaf.clone());
    assert!(matches!(terminal.install_root(&no_ca), Err(Error::NotARoot { .. })));
    terminal.install_root(&TrustedRoot::of_acquirer(root)).unwrap();
    drop(terminal);
    let mut terminal = Terminal::open_from(disk).unwrap();
    collect::answer(&mut terminal, &collect_frame(&leaf)).unwrap();
}

#[test]
fn power_cut_at_each_write_of_collecting_in_repair_leaves_no_tk_or_a_latched_one() {
    // Repair wiped the old TK: each write after it is either not there, or there with its latch.
    for writes in 0..3 {
        let disk = Shared::new();
        let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
        estate().collected(&mut terminal);
        terminal.deploy().unwrap();
        repaired(&mut terminal).unwrap();
        let collect = estate().collect();
        disk.full_after(writes);
        let answered = collect::answer(&mut terminal, &collect);
        drop(terminal);
        disk.full_after(usize::MAX);
        let mut terminal = Terminal::open_from(disk).unwrap();
        let state = &terminal.pad().state;
        assert_eq!(state.has_tk(), state.latch.is_some(), "{writes}");
        // What left is what is stored.
        if let Ok(answer) = answered {
            assert_eq!(collect::answer(&mut terminal, &collect).unwrap().frame, answer.frame, "{writes}");
        }
    }
}

/// What may happen to a terminal.
#[derive(Debug, Clone, Copy)]
enum Happening {
    OpenLid,
    CloseLid,
    Volts(i32),
    Celsius(i32),
    SensorsFail,
    Poll,
    Collect(bool),
    Download(bool),
    LoadTmk,
    LoadDik2,
    LoadDmk,
    Deploy,
    Repair,
    Root,
    PowerCut,
    Retire,
}

fn happening() -> impl Strategy<Value = Happening> {
    use Happening::*;
    prop_oneof![
        2 => Just(OpenLid),
        3 => Just(CloseLid),
        1 => (2000..4400).prop_map(Volts),
        1 => (-40..100).prop_map(Celsius),
        1 => Just(SensorsFail),
        2 => Just(Volts(3300)),
        2 => Just(Celsius(20)),
        1 => Just(Poll),
        4 => any::<bool>().prop_map(Collect),
        4 => any::<bool>().prop_map(Download),
        2 => Just(LoadTmk),
        2 => Just(LoadDik2),
        1 => Just(LoadDmk),
        1 => Just(Deploy),
        3 => Just(Repair),
        1 => Just(Root),
        1 => Just(PowerCut),
        1 => prop_oneof![9 => Just(Poll), 1 => Just(Retire)],
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_sequence_leads_to_a_key_in_a_tampered_terminal_or_to_a_tk_outside_production_and_repair(
        happenings in proptest::collection::vec(happening(), 1..24),
    ) {
        let (disk, board) = (Shared::new(), SharedBoard::default());
        let mut terminal = Terminal::new_in(disk.clone(), estate().new_full_terminal()).unwrap();
        terminal.set_board(board.clone());
        let collects = [estate().collect(), collect_frame(&estate().certificate(Role::Mtms))];
        let mut kms = None;
        for happening in happenings {
            let before = (terminal.pad().life_cycle(), terminal.pad().latch().cloned());
            match happening {
                Happening::OpenLid => board.change(|readings| readings.lid_open = true),
                Happening::CloseLid => board.change(|readings| readings.lid_open = false),
                Happening::Volts(volts) => board.change(|readings| readings.millivolts = volts),
                Happening::Celsius(celsius) => board.change(|readings| readings.celsius = celsius),
                // Fails until somebody changes a reading; the count of openings stays as it was known.
                Happening::SensorsFail => {
                    let known = terminal.pad().state.lid_openings;
                    board.fail("bus error");
                    let _ = load(&mut terminal, &Tmk::generate().unwrap(), "SN-1001/05", None);
                    board.change(|readings| readings.lid_openings = known);
                }
                Happening::Poll => { let _ = terminal.poll(); }
                Happening::Collect(other) => {
                    if let Ok(answer) = collect::answer(&mut terminal, &collects[usize::from(other)]) {
                        kms = Some(crate::testing::Kms::of(&answer.frame));
                    }
                }
                Happening::Download(whole) => {
                    if let Some(kms) = &kms {
                        let tmk = Tmk::generate().unwrap();
                        if whole {
                            let _ = kms.load(&mut terminal, slot(3), &tmk);
                        } else {
                            let _ = kms.load_to_confirm(&mut terminal, slot(3), &tmk);
                        }
                    }
                }
                Happening::LoadTmk => { let _ = load(&mut terminal, &Tmk::generate().unwrap(), "SN-1001/05", None); }
                Happening::LoadDik2 => { let _ = load(&mut terminal, &Dik2::generate().unwrap(), OWN, Some(b"f")); }
                Happening::LoadDmk => { let _ = load(&mut terminal, &Dmk::generate().unwrap(), OWN, None); }
                Happening::Deploy => { let _ = terminal.deploy(); }
                Happening::Repair => { let _ = repaired(&mut terminal); }
                Happening::Root => {
                    let _ = terminal.install_root(&TrustedRoot::of_acquirer(estate().root.clone()));
                }
                Happening::PowerCut => {
                    drop(terminal);
                    terminal = Terminal::open_from(disk.clone()).unwrap();
                    terminal.set_board(board.clone());
                }
                Happening::Retire => { let _ = terminal.retire(); }
            }
            let pad = terminal.pad();
            let state = pad.life_cycle();
            if matches!(state, LifeCycle::Tampered | LifeCycle::Retired) {
                prop_assert!(!pad.state.has_keys() && pad.latch().is_none(), "a key in a {} terminal", state);
            }
            if pad.latch().cloned() != before.1 && pad.latch().is_some() {
                prop_assert!(before.0.may_make_tk(), "a TK was made in {}", before.0);
            }
            prop_assert_eq!(pad.state.has_tk(), pad.latch().is_some());
            prop_assert!(before.0 != LifeCycle::Retired || state == LifeCycle::Retired);
            prop_assert!(pad.refusals().verify());
        }
    }
}
