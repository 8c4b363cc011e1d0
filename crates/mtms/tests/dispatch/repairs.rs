//! A terminal in repair gets a new TK, which two people approve, one at each end.

use crate::world::{World, serial, serials};

#[test]
fn r12_a_terminal_collected_anew_goes_out_as_a_replacement_that_waits_at_the_kms() {
    let mut world = World::collected(2);
    world.dispatch().unwrap();
    let first = world.at_bank("SN-001").unwrap();
    let repaired = &serials(1);
    world.collect(repaired, true);
    let report = world.report();
    assert_eq!(report.replacement_waiting, ["SN-001"]);
    assert!(!report.is_complete());
    assert_eq!(world.dispatch().unwrap().batches, 0, "a second person has not approved it here");

    assert_eq!(world.approve(&world.store), 1);
    let done = world.dispatch().unwrap();
    assert_eq!((done.batches, done.accepted), (1, 0));
    assert_eq!(done.awaiting, [serial("SN-001")]);
    let report = world.report();
    assert_eq!(report.awaiting_approval, ["SN-001"]);
    assert_eq!((report.accepted, report.replacement_waiting.len()), (1, 0));
    assert_eq!(world.at_bank("SN-001").unwrap(), first, "nothing changed there yet");

    assert_eq!(world.approve(&world.bank_store()), 1);
    let second = world.at_bank("SN-001").unwrap();
    assert_ne!(second.0, first.0);
    assert_eq!(second.1, first.1 + 1);

    let history = world.runtime.block_on(world.mtms().history(&serial("SN-001"))).unwrap();
    assert_eq!(history.orders, ["PO-1"]);
    assert_eq!(history.collections.len(), 2);
    let codes: Vec<_> = history.sent.iter().map(|sent| sent.item.result.clone().unwrap().code).collect();
    assert_eq!(codes, ["stored", "awaits-approval"]);
    assert_eq!(history.sent[1].buyer, "BANK");
}

/// Collected anew before the first TK left: nothing of the first goes out any more.
#[test]
fn a_replacement_that_waits_here_holds_the_old_tk_back() {
    let mut world = World::collected(2);
    world.collect(&serials(1), true);
    let done = world.dispatch().unwrap();
    assert_eq!((done.accepted, done.held_back.len()), (1, 1));
    assert!(done.held_back[0].why.contains("second person"), "{}", done.held_back[0].why);
    assert_eq!(world.at_bank("SN-001"), None);
    world.approve(&world.store);
    // The bank never had another: it is a first one there.
    assert_eq!(world.dispatch().unwrap().accepted, 1);
    world.assert_at_bank(&serials(2));
}
