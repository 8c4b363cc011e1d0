//! Handshakes: operators, return codes, servers that prove nothing, clocks, keys.

use paycrypto::operator::Verifier;
use wire::{ErrorCode, Src};

use super::*;
use crate::testing::slot;
use crate::{Clock as _, FixedClock, PinPad as _, SystemClock};

fn operator(password: &[u8]) -> OperatorPassword<'_> {
    OperatorPassword { id: "anna".parse().unwrap(), password }
}

fn as_operator(
    (terminal, tms): &mut (Terminal, Arc<TestTms>),
    password: Option<&[u8]>,
) -> Result<Updated, TmsError> {
    let mut areas = Areas::in_memory().unwrap();
    let options = UpdateOptions { operator: password.map(operator), ..UpdateOptions::default() };
    update(terminal, &mut areas, &mut tms.connect(None), options)
}

#[test]
fn an_operator_who_is_demanded_must_be_there_and_right() {
    let mut both = terminal();
    both.1.conduct().operator = Some(Verifier::derive("anna", b"correct horse"));
    as_operator(&mut both, Some(b"correct horse")).unwrap();
    let missing = as_operator(&mut both, None).unwrap_err();
    assert!(missing.to_string().contains("operator"), "{missing}");
    let wrong = as_operator(&mut both, Some(b"wrong horse")).unwrap_err();
    assert!(wrong.to_string().contains("SRC 07"), "{wrong}");
    assert!(!format!("{:?}", operator(b"correct horse")).contains("correct"));
}

#[test]
fn an_operator_whom_nobody_demands_proves_nothing() {
    let mut both = terminal();
    as_operator(&mut both, Some(b"correct horse")).unwrap();
}

#[test]
fn a_tms_with_another_dmk_is_0005_and_told() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    tms.conduct().stranger = true;
    let error = run(&mut terminal, &mut areas, &tms).unwrap_err();
    assert!(error.to_string().starts_with("0005"), "{error}");
    while tms.heard().errors.is_empty() {
        std::thread::yield_now();
    }
    assert_eq!(tms.heard().errors, [(ErrorCode::ServerAuthenticationFailed, true)]);
    assert_eq!(terminal.pad().refusals().total(), 1, "in the log of refusals");
}

#[test]
fn every_return_code_is_told_and_gets_no_answer() {
    for src in Src::ALL.iter().filter(|src| **src != Src::Good) {
        let (mut terminal, tms) = terminal();
        let mut areas = Areas::in_memory().unwrap();
        tms.conduct().refuse = Some(*src);
        let error = run(&mut terminal, &mut areas, &tms).unwrap_err();
        assert!(error.to_string().contains(&src.to_string()), "{error}");
        assert_eq!(tms.heard().errors, []);
    }
}

#[test]
fn a_terminal_without_vendor_model_or_dmk_says_nothing_on_the_line() {
    let (mut nameless, tms) = terminal();
    (nameless.device.vendor, nameless.device.model) = (None, None);
    let mut keyless = estate().full_terminal().0;
    for terminal in [&mut nameless, &mut keyless] {
        let mut areas = Areas::in_memory().unwrap();
        let error = run(terminal, &mut areas, &tms).unwrap_err();
        assert!(error.to_string().contains("model") || error.to_string().contains("DMK"), "{error}");
    }
    assert_eq!(tms.heard().hellos, 0);
}

#[test]
fn the_time_of_a_proven_tms_is_learnt_forward_only() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    terminal.set_clock(FixedClock(0));
    let known = terminal.status().last_known_time;
    for (when, learnt) in [(known + 3_600, known + 3_600), (known - 3_600, known + 3_600)] {
        tms.conduct().when = Some(when);
        run(&mut terminal, &mut areas, &tms).unwrap();
        assert_eq!(terminal.status().last_known_time, learnt);
    }
    // One that proves nothing teaches nothing.
    tms.conduct().stranger = true;
    tms.conduct().when = Some(SystemClock.now() + 1_000_000);
    run(&mut terminal, &mut areas, &tms).unwrap_err();
    assert_eq!(terminal.status().last_known_time, known + 3_600);
}

/// The time never goes back, so one wrong clock of a server must not end every certificate for good.
#[test]
fn a_time_that_is_too_far_ahead_is_not_learnt_and_recorded() {
    const DAY: i64 = 24 * 60 * 60;
    let known = SystemClock.now();
    for (clock, ahead, learnt) in [
        (known, 30 * DAY, true),
        (known, 32 * DAY, false),
        // One without a clock, and one whose clock stood still while the time was known.
        (0, 4 * 366 * DAY, true),
        (0, 6 * 366 * DAY, false),
        (known - 400 * DAY, 4 * 366 * DAY, true),
        (known - 400 * DAY, 6 * 366 * DAY, false),
    ] {
        let (mut terminal, tms) = terminal();
        let mut areas = Areas::in_memory().unwrap();
        terminal.set_clock(FixedClock(clock));
        let before = terminal.status().last_known_time;
        tms.conduct().when = Some(known + ahead);
        for _ in 0..2 {
            run(&mut terminal, &mut areas, &tms).unwrap();
        }
        let now = terminal.status().last_known_time;
        assert_eq!(now > before + DAY, learnt, "{clock} {ahead}");
        assert_eq!(
            terminal.pad().refusals().newest().is_some_and(|newest| newest.check == "TMS time"),
            !learnt
        );
    }
}

#[test]
fn refusals_are_told_with_tms_hello_and_once() {
    let (mut terminal, tms) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    terminal.pad.refuse("lid", "ajar");
    run(&mut terminal, &mut areas, &tms).unwrap();
    assert_eq!(terminal.status().refusals.reported, 1);
}

#[test]
fn a_key_of_transaction_0001_is_in_its_slot() {
    let (mut terminal, tms) = terminal();
    let link = tms.connect(None)().unwrap();
    let (key, _) = load_key(&mut terminal, link, slot(4), None).unwrap();
    assert_eq!((key.slot, key.kcv), (slot(4), wire::Kcv::Tdes(tms.tmk.kcv())));
    let slots = terminal.pad().slots();
    assert_eq!((slots[0].slot, slots[0].kcv, slots[0].done), (slot(4), key.kcv, true));
}

#[test]
fn no_connection_is_said_so() {
    let (mut terminal, _) = terminal();
    let mut areas = Areas::in_memory().unwrap();
    let mut connect = || -> std::io::Result<crate::Link<std::net::TcpStream>> {
        Err(std::io::ErrorKind::ConnectionRefused.into())
    };
    let error = update(&mut terminal, &mut areas, &mut connect, UpdateOptions::default()).unwrap_err();
    assert!(matches!(error, TmsError::Connect(_)), "{error}");
}
