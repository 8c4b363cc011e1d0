//! `keyferry mtms`: dispatches that are killed at any moment, and what people are told.

use std::{process::Stdio, thread, time::Duration};

use serde_json::json;

use crate::support::{
    estate::ACQUIRER,
    factory::{Factory, VENDOR, taken},
    server::Server,
    tool::{run, wait},
};

const ORDER: &str = "PO-7";
/// Terminals of the order that is killed on its way, and how many leave at once.
const MANY: usize = 300;
const BATCH: &str = "10";
/// A dispatch that was killed so often would never end.
const MOST_ROUNDS: u32 = 200;

fn serials(count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("FAB-{n:04}")).collect()
}

/// Milliseconds after which a dispatch is killed: from before it has read anything to after some batches; later with each
/// round, so that it comes to its end on any machine.
fn moment(round: u32) -> Duration {
    let mut random = [0; 2];
    paycrypto::random::fill(&mut random).unwrap();
    Duration::from_millis(u64::from(u16::from_be_bytes(random)) % (u64::from(round) * 60 + 300))
}

#[test]
fn r37_a_dispatch_killed_again_and_again_gives_the_kms_each_terminal_once() {
    let factory = Factory::new();
    let (mtms, mut kms) = (Server::start(&factory.vendor), factory.start_bank());
    let all = serials(MANY);
    factory.order(ORDER, &all);
    factory.collect(&all);

    let mut killed = 0;
    let ended = (0..MOST_ROUNDS).any(|round| {
        let mut dispatch = factory.dispatch(ORDER, &["--batch-size", BATCH, "--json"]);
        let mut child = dispatch.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        thread::sleep(moment(round));
        if round % 5 == 4 {
            // The KMS too, in the middle of whatever it takes.
            kms.kill_in_place();
            kms = factory.start_bank();
        }
        if let Some(status) = child.try_wait().unwrap() {
            return status.success();
        }
        child.kill().unwrap();
        wait(&mut child).unwrap();
        killed += 1;
        false
    });
    assert!(ended, "it never came to its end");
    assert!(killed > 3, "it was killed {killed} times only: the test shows nothing");

    let report = factory.report(ORDER).json();
    assert_eq!((&report["accepted"], &report["unanswered"]), (&json!(MANY), &json!(0)), "{report}");
    let taken = taken(&factory.bank.path("keyferry.db"));
    assert_eq!(taken.len(), MANY);
    assert!(taken.values().all(|times| *times == 1), "{taken:?}");
    factory.vendor.verify_audit().good();
    factory.bank.verify_audit().good();
    drop(mtms);
}

#[test]
fn an_order_is_dispatched_reported_and_looked_back_at() {
    let factory = Factory::new();
    let (_mtms, kms) = (Server::start(&factory.vendor), factory.start_bank());
    let all = serials(3);
    factory.order(ORDER, &all);
    factory.collect(&all[..2]);

    kms.kill();
    let away = run(&mut factory.dispatch(ORDER, &["--tries", "1"])).refused();
    assert!(away.contains("the batch stays in the database; run mtms dispatch again"), "{away}");
    assert!(!away.contains("upload") && !away.contains("journal"), "{away}");
    let _kms = factory.start_bank();
    let said = run(&mut factory.dispatch(ORDER, &[])).good();
    assert!(said.contains("1 batches answered, 1 of them sent again; 2 terminals accepted"), "{said}");
    assert!(said.contains("missing:\n  FAB-0003"), "{said}");

    let report = factory.report(ORDER).json();
    assert_eq!(report["missing"], json!(["FAB-0003"]));
    assert_eq!((&report["listed"], &report["sent"], &report["accepted"]), (&json!(3), &json!(2), &json!(2)));
    let history = run(&mut factory.vendor.configured(&["mtms", "history", "FAB-0001"])).good();
    for part in ["orders that list it: PO-7", "collected", "batch 1 of order PO-7", "stored"] {
        assert!(history.contains(part), "{part:?} is not in {history}");
    }
    run(&mut factory.dispatch("PO-9", &[])).refused_with("there is no order PO-9");
}

#[test]
fn another_card_than_the_mtms_own_asks_for_no_pin() {
    let factory = Factory::new();
    let (_mtms, _kms) = (Server::start(&factory.vendor), factory.start_bank());
    factory.order(ORDER, &serials(1));
    let mut dispatch = factory.vendor.configured(&["mtms", "dispatch", ORDER]);
    dispatch.arg("--card").arg(factory.vendor.path("cards/operator.pem"));
    run(dispatch.args(["--card-pin-file", "/no/such/file"])).refused_with("operator");
}

/// One batch that the KMS does not want is told by its name and its code, and the dispatch does not end well.
#[test]
fn a_batch_refused_as_a_whole_is_told_by_name_and_ends_with_exit_code_1() {
    let factory = Factory::new();
    let (_mtms, _kms) = (Server::start(&factory.vendor), factory.start_bank());
    factory.order(ORDER, &serials(1));
    // What another order lists is told of as that, and as nothing else.
    let list = factory.vendor.path("order.list");
    let mut again =
        factory.at_bank(&["add", "PO-8", "--vendor", VENDOR, "--buyer", ACQUIRER, "--model", "M1"]);
    let taken = run(again.arg("--serials").arg(&list)).refused();
    assert!(taken.contains(ORDER) && !taken.contains("replacement"), "{taken}");

    run(&mut factory.at_bank(&["close", ORDER])).good();
    factory.collect(&serials(1));
    let ran = run(&mut factory.dispatch(ORDER, &[]));
    assert_eq!(ran.code, Some(1), "{ran:?}");
    assert!(ran.out.contains("1 batches REFUSED by the KMS as a whole"), "{}", ran.out);
    let ran = run(&mut factory.dispatch(ORDER, &["--json"]));
    let told: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    let refused = &told["refused_batches"][0];
    assert_eq!(
        (ran.code, &refused["code"], &refused["terminals"]),
        (Some(1), &json!("wrong-order"), &json!(1))
    );
    assert_eq!(told["report"]["unanswered"], json!(1));
}
