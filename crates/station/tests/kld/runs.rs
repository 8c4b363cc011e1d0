//! Runs: under both cards, on disk, once for each serial.

use std::{fs, net::TcpListener, path::PathBuf, thread};

use flows::local_load::Reason;
use keyferry_station::{
    Checks, Error,
    kld::{KldError, LoadFault},
};
use pki::{CrlSet, Role, TrustList};
use wire::Suite;

use crate::estate::{BOTH, Cards, ESTATE};
use crate::independent::{self, Quirk};
use crate::world::{World, files, listed, load, open_run, what};

#[test]
fn a_crash_loses_nothing_and_no_serial_is_served_twice() {
    let world = World::ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1\nSN-2\nSN-3", &["tmk:0"]);
    let (address, terminal) = independent::start("SN-1", None, Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    terminal.join().unwrap();
    let (address, terminal) = independent::start("SN-2", None, Quirk::CutAfterKey);
    load(&mut kld, &mut run, address).unwrap_err();
    terminal.join().unwrap();
    let before = run.status();
    drop((run, kld));

    let mut kld = world.kld();
    let mut run = kld.current_run().unwrap();
    assert_eq!(run.status(), before);
    let (address, terminal) = independent::start("SN-3", None, Quirk::None);
    load(&mut kld, &mut run, address).unwrap();
    terminal.join().unwrap();
    let (address, terminal) = independent::start("SN-2", None, Quirk::None);
    let failure = load(&mut kld, &mut run, address).unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::Flow(Reason::AlreadyServed { .. })), "{failure}");
    assert_eq!(terminal.join().unwrap().kcvs.len(), 0);
    drop((run, kld));
    let run = world.kld().current_run().unwrap();
    assert!(run.status().stopped.is_some(), "a stop outlives the process too");
}

#[test]
fn the_journal_says_that_a_serial_is_served_before_its_key_leaves() {
    let world = World::ready();
    let mut kld = world.kld();
    let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
    let path = journal(&world);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let terminal = thread::spawn(move || {
        let mut stream = listener.accept().unwrap().0;
        independent::serve(&mut stream, "SN-1", None, Quirk::CutAfterKey);
        // KLD_KEY has come, the KLD waits: this is what a crash would leave.
        fs::read_to_string(path).unwrap()
    });
    load(&mut kld, &mut run, address).unwrap_err();
    let left = terminal.join().unwrap();
    assert!(left.contains(r#""event":"handed-out""#), "{left}");
    assert!(!left.contains(r#""event":"failed""#), "{left}");
}

/// The journal of the only run.
fn journal(world: &World) -> PathBuf {
    let is_journal = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "journal");
    files(&world.path()).into_iter().map(|(path, _)| path).find(is_journal).unwrap()
}

#[test]
fn a_changed_journal_is_refused() {
    let world = World::ready();
    let kld = world.kld();
    open_run(&kld, "SN-1\nSN-2", &["tmk:0"]);
    let path = journal(&world);
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("SN-2", "SN-9")).unwrap();
    assert!(matches!(kld.current_run(), Err(KldError::JournalDamaged { line: 1, .. })));
}

#[test]
fn a_closed_run_loads_nothing() {
    let world = World::ready();
    let mut kld = world.kld();
    assert!(matches!(kld.current_run(), Err(KldError::NoRun)));
    let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
    kld.close_run(&BOTH.1).unwrap();
    assert!(matches!(kld.current_run(), Err(KldError::NoRun)));
    assert!(matches!(kld.close_run(&BOTH.1), Err(KldError::NoRun)), "it has its report");
    run = kld.newest_run().unwrap().unwrap_or(run);
    let failure =
        kld.load(&mut run, &BOTH.1, &ESTATE.checks(), None, || panic!("nobody is called")).unwrap_err();
    assert!(matches!(*failure.fault, LoadFault::Kld(KldError::RunClosed { .. })), "{failure}");
}

#[test]
fn a_terminal_may_be_served_again_in_another_run_with_another_key() {
    let world = World::ready();
    let mut kld = world.kld();
    let mut kcvs = Vec::new();
    let mut names = Vec::new();
    for _ in 0..2 {
        let mut run = open_run(&kld, "SN-1", &["tmk:0"]);
        names.push(run.name().to_owned());
        let (address, terminal) = independent::start("SN-1", None, Quirk::None);
        load(&mut kld, &mut run, address).unwrap();
        kcvs.extend(terminal.join().unwrap().kcvs);
        kld.close_run(&BOTH.1).unwrap();
    }
    assert_ne!(kcvs[0], kcvs[1]);
    assert!(names[0] < names[1], "{names:?}");
    let runs: Vec<_> = kld.all_runs().unwrap().iter().map(|run| run.name().to_owned()).collect();
    assert_eq!(runs, names);
}

#[test]
fn a_run_needs_both_cards_to_open_and_to_close() {
    let world = World::ready();
    let kld = world.kld();
    for file in ["operator.pem", "administrator.pem"] {
        let cards = Cards::good();
        let both = cards.open().unwrap();
        cards.remove(file);
        let taken_out = |result: Result<(), KldError>| match result {
            Err(KldError::Station(Error::CardMissing { card })) => assert!(card.ends_with(file), "{card}"),
            other => panic!("{other:?}"),
        };
        taken_out(
            kld.open_run(Suite::TDES, &both, &ESTATE.checks(), &listed("SN-1"), &what(&["dmk"])).map(drop),
        );
        assert!(matches!(kld.current_run(), Err(KldError::NoRun)));
        open_run(&kld, "SN-1", &["dmk"]);
        taken_out(kld.close_run(&both).map(drop));
        assert!(kld.current_run().is_ok(), "still open");
        kld.close_run(&BOTH.1).unwrap();
    }
}

#[test]
fn a_card_that_was_revoked_since_opens_no_run() {
    let world = World::ready();
    let kld = world.kld();
    let cards = Cards::good();
    let both = cards.open().unwrap();
    let checks = ESTATE.checks_revoking(&[both.administrator()]);
    let refused = cards.open_with(&checks).unwrap_err();
    assert!(matches!(refused, Error::CardRefused { role: Role::Administrator, .. }), "{refused}");
    let foreign = TrustList::new();
    let refused = cards.open_with(&Checks::without_required_lists(foreign, CrlSet::new())).unwrap_err();
    assert!(matches!(refused, Error::CardRefused { role: Role::Operator, .. }), "{refused}");
    assert!(kld.newest_run().unwrap().is_none());
}
