//! From answers in the journal to packages: in one go, and after a crash.

use std::sync::mpsc;

use keyferry_station::{
    BothCards, CollectFault, CollectSettings, Error, Journal, Progress, Target, collect,
    journal::{JournalError, Packing},
    pack_collected,
};
use pki::Role;
use wire::Device;

use crate::{
    estate::{BOTH, Cards, ESTATE, Key, OPERATOR_PIN, now, valid},
    fake_terminal::{answering, collected, honest, receive, serial, terminal},
    journals::journal_in,
    suite_02::{EC, EC_CARDS, Pad, STATION, ceremony_until},
};

const NAME: &str = "Counter 7";

fn run(journal: &Journal, cards: &BothCards, targets: &[Target], replaces: bool) {
    let settings = CollectSettings { replaces, ..CollectSettings::default() };
    let run =
        collect(cards, &ESTATE.work_certificate(), targets, &settings, journal, &keyferry_station::Quiet);
    assert_eq!(run.unwrap().collected.len(), targets.len());
}

fn unpacked(journal: &Journal) -> Vec<String> {
    let runs = journal.unpacked();
    runs.iter().flat_map(|run| run.terminals.iter().map(|(sn, _)| sn.to_string())).collect()
}

/// The serials in the packages that were made.
fn packed(journal: &Journal, packing: &Packing) -> Vec<Vec<String>> {
    let serials = |package: &keyferry_station::Package| {
        package.terminals().iter().map(|packed| packed.device.sn().to_string()).collect()
    };
    packing.packed.iter().map(|name| serials(&journal.package(name).unwrap())).collect()
}

#[test]
fn what_was_collected_before_a_crash_is_packed_by_the_same_people() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    run(&journal, &BOTH.1, &[honest("SN-1"), answering(collected("SN-2", Some("PP-2")))], true);
    drop(journal);
    // The program ended here.
    let journal = journal_in(folder.path());
    let mut left = unpacked(&journal);
    left.sort();
    assert_eq!(left, ["SN-1", "SN-2"]);
    assert!(journal.unpacked()[0].replaces);
    assert_eq!(journal.unpacked()[0].operator, BOTH.1.operator().subject().to_string());
    run(&journal, &BOTH.1, &[honest("SN-3")], false);
    let packing = pack_collected(&journal, &BOTH.1, NAME).unwrap();
    assert!(packing.left.is_empty() && packing.withdrawn.is_empty());
    assert_eq!(packed(&journal, &packing), [vec!["SN-1", "SN-2"], vec!["SN-3"]], "a package for each run");
    let content = |at: usize| {
        let package = journal.package(&packing.packed[at]).unwrap();
        let content = pki::cms::open(package.cms()).unwrap().content;
        serde_json::from_slice::<serde_json::Value>(&content).unwrap()
    };
    assert!(content(0)["terminals"].as_array().unwrap().iter().all(|one| one["replaces"] == true));
    assert_eq!(content(1)["terminals"][0].get("replaces"), None);
    assert_eq!(content(0)["station"], NAME);
    assert!(pack_collected(&journal, &BOTH.1, NAME).unwrap().packed.is_empty(), "once");
    assert_eq!(journal.waiting().len(), 2);
}

#[test]
fn r12_what_two_people_collected_is_packed_by_no_others() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    run(&journal, &BOTH.1, &[honest("SN-1")], false);
    let cards = Cards::good();
    let key = Key::new(OPERATOR_PIN);
    cards.write("operator.pem", &key, &ESTATE.leaf(Role::Operator, "Otto Operator", &key, valid()));
    let others = cards.open().unwrap();
    let packing = pack_collected(&journal, &others, NAME).unwrap();
    assert!(packing.packed.is_empty());
    let why = &packing.left[0].why;
    assert!(
        matches!(why, Error::Journal(JournalError::OtherPeople { operator, .. }) if operator.contains("Olga")),
        "{why}"
    );
    assert_eq!(unpacked(&journal), ["SN-1"]);
    // Collected again by the others, it is theirs.
    run(&journal, &others, &[honest("SN-1")], false);
    let packing = pack_collected(&journal, &others, NAME).unwrap();
    assert_eq!(packed(&journal, &packing), [["SN-1"]]);
    assert!(packing.left.is_empty() && unpacked(&journal).is_empty());
}

#[test]
fn a_terminal_collected_again_is_packed_with_its_last_answer() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    run(&journal, &BOTH.1, &[honest("SN-1"), honest("SN-2")], false);
    run(&journal, &BOTH.1, &[honest("SN-1")], false);
    let last = journal.unpacked()[1].terminals[0].1.clone();
    let packing = pack_collected(&journal, &BOTH.1, NAME).unwrap();
    assert_eq!(packed(&journal, &packing), [["SN-2"], ["SN-1"]]);
    assert_eq!(journal.package(&packing.packed[1]).unwrap().terminals()[0].fingerprint, last);
}

/// Ends the run as a crash would, when the second terminal has answered: before answers are compared.
struct Crash;

impl Progress for Crash {
    fn withdrawn(&self, _: &keyferry_station::FailedTerminal) {
        panic!("the station stops here");
    }
}

#[test]
fn answers_that_contradict_each_other_are_packed_neither_in_a_run_nor_after_a_crash() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let targets = [honest("SN-1"), honest("SN-1"), honest("SN-2")];
    let work = ESTATE.work_certificate();
    let crash = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        collect(&BOTH.1, &work, &targets, &CollectSettings::default(), &journal, &Crash)
    }));
    assert!(crash.is_err());
    drop(journal);
    let journal = journal_in(folder.path());
    let packing = pack_collected(&journal, &BOTH.1, NAME).unwrap();
    assert_eq!(packed(&journal, &packing), [["SN-2"]]);
    assert!(unpacked(&journal).is_empty());
    drop(journal);
    assert!(unpacked(&journal_in(folder.path())).is_empty());
}

#[test]
fn the_journal_has_an_answer_before_anybody_is_told() {
    struct Looker<'a>(&'a Journal);
    impl Progress for Looker<'_> {
        fn collected(&self, _: &Target, device: &Device, fingerprint: &str) {
            let runs = self.0.unpacked();
            let kept = runs.iter().flat_map(|run| &run.terminals);
            assert!(kept.into_iter().any(|(sn, kept)| sn == device.sn() && kept == fingerprint));
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let work = ESTATE.work_certificate();
    let targets: Vec<_> = (0..8).map(|n| honest(&format!("SN-{n}"))).collect();
    let run =
        collect(&BOTH.1, &work, &targets, &CollectSettings::default(), &journal, &Looker(&journal)).unwrap();
    assert_eq!(run.collected.len(), 8);
}

#[test]
fn r12_what_was_kept_is_not_packed_with_one_card_gone() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let cards = Cards::good();
    let both = cards.open().unwrap();
    run(&journal, &both, &[honest("SN-1")], false);
    cards.remove("administrator.pem");
    let refused = pack_collected(&journal, &both, NAME);
    assert!(matches!(refused, Err(Error::CardMissing { .. })));
    assert_eq!(unpacked(&journal), ["SN-1"]);
}

#[test]
fn in_suite_02_a_day_that_is_over_is_named_and_the_day_packs_before() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    let settings = CollectSettings::default();
    let quiet = keyferry_station::Quiet;
    let cards = &EC_CARDS.1;
    // A day of some seconds; a longer one where this machine is slow.
    let ends = [2, 6, 20, 60].into_iter().find_map(|seconds| {
        let ends = now() + seconds;
        let work = EC.work_in(ceremony_until(ends)?);
        let run =
            collect(cards, &work, &[Pad::new("SN-1", None).listen()], &settings, &journal, &quiet).ok()?;
        assert_eq!(run.collected.len(), 1, "{:?}", run.failed);
        Some(ends)
    });
    let ends = ends.unwrap();
    drop(journal);
    let journal = journal_in(folder.path());
    assert_eq!(journal.unpacked()[0].ends, Some(ends));
    while now() < ends {
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    let packing = pack_collected(&journal, cards, STATION).unwrap();
    assert!(packing.packed.is_empty());
    assert!(matches!(packing.left[0].why, Error::CeremonyOver { .. }), "{:?}", packing.left);
    // Collected again in today's ceremony, it is packed.
    let again = [Pad::new("SN-1", None).listen(), Pad::new("SN-2", None).listen()];
    collect(cards, &EC.work(), &again, &settings, &journal, &quiet).unwrap();
    drop(journal);
    let journal = journal_in(folder.path());
    // Another station's name is not this ceremony's.
    let packing = pack_collected(&journal, cards, "another").unwrap();
    assert!(matches!(packing.left[0].why, Error::CeremonyOfOtherStation { .. }), "{:?}", packing.left);
    let packing = pack_collected(&journal, cards, STATION).unwrap();
    assert!(packing.left.is_empty());
    assert_eq!(packed(&journal, &packing), [["SN-1", "SN-2"]]);
    assert_eq!(journal.waiting()[0].ends, Some(EC.work().ceremony().expires_at()));
}

#[test]
fn what_is_given_up_is_not_packed() {
    let folder = tempfile::tempdir().unwrap();
    let journal = journal_in(folder.path());
    run(&journal, &BOTH.1, &[honest("SN-1"), honest("SN-2")], false);
    assert_eq!(journal.give_up_terminal(&serial("SN-1"), "scrapped").unwrap(), 1);
    assert_eq!(journal.give_up_terminal(&serial("SN-9"), "scrapped").unwrap(), 0);
    let packing = pack_collected(&journal, &BOTH.1, NAME).unwrap();
    assert_eq!(packed(&journal, &packing), [["SN-2"]]);
}

/// A limit on the length of files stands in for a disk that is full.
#[test]
fn on_a_full_disk_an_answer_does_not_count_and_nobody_else_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let Some(disk) = crate::disk::Disk::mount(&folder.path().join("disk"), "256k") else { return };
    let journal = journal_in(&disk.path().join("journal"));
    let filler = disk.fill();
    let (sender, asked) = mpsc::channel();
    let watched = terminal(move |mut stream| sender.send(receive(&mut stream)).unwrap());
    // Room for the run's own record and no answer: the rest of a page.
    let work = ESTATE.work_certificate();
    let targets = [honest("SN-1"), honest("SN-2"), honest("SN-3"), honest("SN-4"), watched];
    let mut targets = targets.to_vec();
    for n in 10..40 {
        targets.insert(0, honest(&format!("SN-{n}")));
    }
    let settings = CollectSettings { parallel: 1, ..CollectSettings::default() };
    let quiet = keyferry_station::Quiet;
    match collect(&BOTH.1, &work, &targets, &settings, &journal, &quiet) {
        Err(error) => assert!(matches!(error, Error::Journal(JournalError::Write { .. })), "{error}"),
        Ok(run) => {
            let kept = run.failed.iter().all(|failed| matches!(failed.fault(), CollectFault::NotKept { .. }));
            assert!(kept && !run.failed.is_empty(), "{:?}", run.failed);
            let told: Vec<_> = run.collected.iter().map(|one| one.device().sn().to_string()).collect();
            assert_eq!(unpacked(&journal), told, "what counts is in the journal");
        }
    }
    assert!(asked.try_recv().is_err(), "the last was not asked");
    std::fs::remove_file(filler).unwrap();
    // With room again all goes on, in the same process and after opening it anew.
    run(&journal, &BOTH.1, &[honest("SN-1")], false);
    drop(journal);
    let journal = journal_in(&disk.path().join("journal"));
    assert!(unpacked(&journal).contains(&"SN-1".to_owned()));
    journal.check().unwrap();
}
