//! Batches at the KMS: taken once, with a receipt that is always the same.

use keyferry_store::{
    ApprovalOutcome, AskingBatch, BatchEntry, BatchImport, BatchOutcome, CollectedTerminal, CollectedTk,
    NewAcquirer, NewOrder, Person, ReceivedBatch, Refusal, Store, StoreError, TkRecord,
};
use wire::Suite;

use super::orders::{order, put};
use super::{
    NOW, administrator, approval, built_in, estate, event, events, external, import, one_terminal, package,
    replacing, sn,
};

fn mtms() -> Person {
    Person { subject: "CN=Vendor MTMS".into(), certificate_serial: "0C03".into() }
}

/// A terminal as a batch of suite 01 brings it.
fn sent(terminal: CollectedTerminal) -> CollectedTerminal {
    // One key for each n.
    let digest = terminal.tk.digest().unwrap();
    CollectedTerminal {
        tk: CollectedTk::Opened { tek: "D0144TEK".into(), auk: "D0144AUK".into(), digest },
        work_certificate_sha256: "5a".repeat(32),
        ..terminal
    }
}

fn entry(serial: &str, n: u8) -> BatchEntry {
    BatchEntry::Terminal(Box::new(sent(built_in(serial, n))))
}

fn batch(digest: u8, entries: Vec<BatchEntry>) -> BatchImport {
    BatchImport {
        digest: [digest; 32],
        content_digest: [digest ^ 0xFF; 32],
        package: vec![0x30, digest],
        signer: mtms(),
        acquirer: "acq".into(),
        partner: "VENDOR".into(),
        order: "PO-1".into(),
        collected_at: NOW - 500,
        entries,
    }
}

async fn take(store: &impl Store, import: BatchImport) -> ReceivedBatch {
    match store.import_batch(import, event("batch.received")).await.unwrap() {
        BatchOutcome::Stored(batch) => batch,
        other => panic!("should be stored: {other:?}"),
    }
}

fn codes(batch: &ReceivedBatch) -> Vec<(&str, bool, &str)> {
    batch.results.iter().map(|r| (r.sn.as_str(), r.ok, r.code.as_str())).collect()
}

pub async fn a_batch_brings_terminals_that_can_download(store: &impl Store) {
    estate(store).await;
    put(store, order("PO-1", Some(&["SN-1", "SN-2"]))).await;
    let before = events(store).await;
    let external = BatchEntry::Terminal(Box::new(sent(external("SN-2", "PP-2", 2))));
    let taken = take(store, batch(1, vec![entry("SN-1", 1), external])).await;
    assert_eq!(codes(&taken), [("SN-1", true, "stored"), ("SN-2", true, "stored")]);
    assert_eq!((taken.order.as_str(), taken.partner.as_str(), taken.received_at), ("PO-1", "VENDOR", NOW));
    let terminal = store.terminal(&sn("SN-2")).await.unwrap().unwrap();
    assert_eq!(terminal.tk, TkRecord::Blocks { tek: "D0144TEK".into(), auk: "D0144AUK".into() });
    assert_eq!((terminal.key_serial().as_str(), terminal.suite), ("PP-2", Suite::TDES));
    assert_eq!(store.suite_records(&sn("SN-2")).await.unwrap().keys.len(), 1);
    let rows = store.audit_page(before as i64 + 1, 10).await.unwrap();
    let told: Vec<_> = rows.iter().map(|r| (&*r.kind, &*r.subject)).collect();
    assert_eq!(told, [("batch.received", "subject"), ("batch.terminal", "SN-1"), ("batch.terminal", "SN-2")]);
    let shown = store.order_serials("PO-1", None, 9).await.unwrap();
    let received: Vec<_> = shown.iter().map(|s| s.received.as_ref().unwrap()).collect();
    assert_eq!(received.iter().map(|r| (r.batch, r.result.ok)).collect::<Vec<_>>(), [(taken.id, true); 2]);
    assert!(shown.iter().all(|serial| serial.last.is_none() && serial.terminal.as_ref().unwrap().has_tk));
    let history = store.serial_history(&sn("SN-1")).await.unwrap();
    assert_eq!((history.received.len(), history.received[0].batch), (1, taken.id));
    assert_eq!(history.collections[0].signer, mtms());
    let listed = store.received_batches("PO-1", None, 9).await.unwrap();
    assert_eq!(
        listed.iter().map(|b| (b.id, b.terminals, b.accepted)).collect::<Vec<_>>(),
        [(taken.id, 2, 2)]
    );
    assert!(store.received_batches("PO-1", Some(taken.id), 9).await.unwrap().is_empty());
}

pub async fn the_same_batch_again_has_the_same_receipt(store: &impl Store) {
    estate(store).await;
    put(store, order("PO-1", Some(&["SN-1"]))).await;
    let first = take(store, batch(1, vec![entry("SN-1", 1), entry("SN-9", 9)])).await;
    assert_eq!(codes(&first), [("SN-1", true, "stored"), ("SN-9", false, "not-in-order")]);
    let before = events(store).await;
    let mut later = event("batch.received");
    later.at += 5_000;
    // Signed by another card it is the same batch, and so it is when the order was closed since.
    let mut resigned = batch(2, vec![entry("SN-1", 1)]);
    resigned.content_digest = first.content_digest;
    for again in [batch(1, vec![entry("SN-1", 1)]), resigned] {
        let outcome = store.import_batch(again, later.clone()).await;
        assert_eq!(outcome, Ok(BatchOutcome::Duplicate(first.clone())));
    }
    assert_eq!(events(store).await, before);
    store.close_order("PO-1", event("order.closed")).await.unwrap();
    let outcome = store.import_batch(batch(1, vec![entry("SN-1", 1)]), later).await;
    assert_eq!(outcome, Ok(BatchOutcome::Duplicate(first.clone())));
    assert_eq!(store.received_batch(first.content_digest).await.unwrap(), Some(first));
    assert_eq!(store.received_batch([9; 32]).await.unwrap(), None);
}

pub async fn a_batch_of_no_open_order_of_this_vendor_is_refused(store: &impl Store) {
    estate(store).await;
    put(store, order("PO-1", None)).await;
    put(store, order("PO-2", None)).await;
    put(store, NewOrder { vendor: "OTHER".into(), ..order("PO-3", None) }).await;
    put(store, NewOrder { buyer: "OTHER".into(), ..order("PO-4", None) }).await;
    store.close_order("PO-2", event("order.closed")).await.unwrap();
    let before = events(store).await;
    for name in ["PO-0", "PO-2", "PO-3", "PO-4"] {
        let of = BatchImport { order: name.into(), ..batch(1, vec![entry("SN-1", 1)]) };
        let outcome = store.import_batch(of, event("batch.received")).await;
        assert_eq!(outcome, Ok(BatchOutcome::WrongOrder), "{name}");
    }
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap(), None);
    assert_eq!((events(store).await, store.overview().await.unwrap().collections), (before, 0));
    take(store, batch(1, vec![entry("SN-1", 1)])).await;
}

pub async fn an_order_without_a_list_takes_any_serial(store: &impl Store) {
    estate(store).await;
    put(store, order("PO-1", None)).await;
    let taken = take(store, batch(1, vec![entry("ANY", 1)])).await;
    assert_eq!(codes(&taken), [("ANY", true, "stored")]);
}

/// A batch with these terminals for an order of a vendor.
fn of(vendor: &str, name: &str, digest: u8, terminals: Vec<CollectedTerminal>) -> BatchImport {
    let entries = terminals.into_iter().map(|t| BatchEntry::Terminal(Box::new(sent(t)))).collect();
    BatchImport { partner: vendor.into(), order: name.into(), ..batch(digest, entries) }
}

fn others(name: &str, serials: Option<&[&str]>) -> NewOrder {
    NewOrder { vendor: "OTHER".into(), ..order(name, serials) }
}

pub async fn a_serial_of_another_open_order_is_not_taken(store: &impl Store) {
    estate(store).await;
    put(store, order("PO-1", Some(&["SN-1", "SN-2"]))).await;
    put(store, order("PO-2", None)).await;
    put(store, others("PO-3", None)).await;
    put(store, others("PO-4", Some(&["SN-7"]))).await;
    let terminals = || vec![built_in("SN-1", 9), external("SN-8", "SN-2", 9), external("SN-7", "SN-1", 9)];
    for (digest, vendor, name) in [(1, "VENDOR", "PO-2"), (2, "OTHER", "PO-3"), (3, "OTHER", "PO-4")] {
        let taken = take(store, of(vendor, name, digest, terminals())).await;
        assert!(taken.results.iter().all(|r| !r.ok && r.code == "not-in-order"), "{name}: {taken:?}");
        assert!(
            taken.results.iter().all(|one| !one.text.contains("PO-")),
            "whose it is stays here: {taken:?}"
        );
        assert!(name == "PO-4" || taken.results[1].text.contains("SN-2"), "{taken:?}");
    }
    for serial in ["SN-1", "SN-7", "SN-8"] {
        assert_eq!(store.terminal(&sn(serial)).await.unwrap(), None);
    }
    let taken = take(store, of("VENDOR", "PO-1", 4, vec![built_in("SN-1", 1)])).await;
    assert_eq!(codes(&taken), [("SN-1", true, "stored")]);
    // What a closed order lists is free.
    store.close_order("PO-1", event("order.closed")).await.unwrap();
    let taken = take(store, of("OTHER", "PO-3", 5, vec![external("SN-8", "SN-2", 9)])).await;
    assert_eq!(codes(&taken), [("SN-8", true, "stored")]);
}

pub async fn another_vendor_replaces_no_key(store: &impl Store) {
    one_terminal(store).await;
    import(store, package(7, vec![built_in("SN-2", 2)])).await;
    put(store, order("PO-1", Some(&["SN-2"]))).await;
    put(store, order("PO-2", None)).await;
    let taken = take(store, of("VENDOR", "PO-2", 10, vec![built_in("SN-3", 3)])).await;
    assert_eq!(codes(&taken), [("SN-3", true, "stored")]);
    // The vendor's own replacement of what our station collected waits; its order is closed since.
    let taken = take(store, of("VENDOR", "PO-1", 11, vec![replacing(built_in("SN-2", 9))])).await;
    assert_eq!(codes(&taken), [("SN-2", true, "awaits-approval")]);
    let waiting = store.replacements_waiting().await.unwrap();
    store.close_order("PO-1", event("order.closed")).await.unwrap();
    put(store, others("PO-3", None)).await;
    put(store, others("PO-4", Some(&["SN-2", "SN-3"]))).await;
    for (digest, name) in [(12, "PO-3"), (13, "PO-4")] {
        let theirs = || replacing(built_in("SN-3", 8));
        if name == "PO-4" {
            let both = vec![theirs(), replacing(built_in("SN-2", 8))];
            let taken = take(store, of("OTHER", name, digest, both)).await;
            assert_eq!(codes(&taken), [("SN-3", false, "other-vendor"), ("SN-2", false, "other-vendor")]);
            assert!(taken.results.iter().all(|r| !r.text.contains("VENDOR")), "{taken:?}");
        } else {
            // As another's order lists it, the order's list is what is told first.
            let taken = take(store, of("OTHER", name, digest, vec![theirs()])).await;
            assert_eq!(codes(&taken), [("SN-3", false, "not-in-order")]);
        }
    }
    assert_eq!(store.replacements_waiting().await.unwrap(), waiting);
    store.close_order("PO-4", event("order.closed")).await.unwrap();
    let taken = take(store, of("OTHER", "PO-3", 14, vec![replacing(built_in("SN-3", 8))])).await;
    assert_eq!(codes(&taken), [("SN-3", false, "other-vendor")]);
    let taken = take(store, of("VENDOR", "PO-2", 15, vec![replacing(built_in("SN-3", 19))])).await;
    assert_eq!(codes(&taken), [("SN-3", true, "awaits-approval")]);
}

pub async fn only_an_order_that_lists_it_replaces_a_key_of_our_stations(store: &impl Store) {
    one_terminal(store).await;
    put(store, order("PO-1", None)).await;
    let taken = take(store, of("VENDOR", "PO-1", 2, vec![replacing(built_in("SN-1", 9))])).await;
    assert_eq!(codes(&taken), [("SN-1", false, "not-in-order")]);
    assert!(store.replacements_waiting().await.unwrap().is_empty());
    put(store, order("PO-2", Some(&["SN-1"]))).await;
    let taken = take(store, of("VENDOR", "PO-2", 3, vec![replacing(built_in("SN-1", 9))])).await;
    assert_eq!(codes(&taken), [("SN-1", true, "awaits-approval")]);
}

pub async fn one_bad_terminal_does_not_spoil_the_others(store: &impl Store) {
    one_terminal(store).await;
    store.put_acquirer(NewAcquirer { id: "b".into(), name: "B".into() }, event("acquirer")).await.unwrap();
    put(store, order("PO-1", None)).await;
    let mut others = package(2, vec![built_in("SN-B", 17)]);
    others.acquirer = "b".into();
    import(store, others).await;
    let refusal = Refusal { code: "key-refused".into(), text: "it does not open".into() };
    let closed = CollectedTerminal {
        tk: CollectedTk::None(Suite::TDES),
        refused: Some(refusal.clone()),
        ..built_in("SN-5", 5)
    };
    let malformed = BatchEntry::Malformed {
        sn: "no serial".into(),
        refusal: Refusal { code: "malformed".into(), text: "sn is no serial".into() },
    };
    let taken = take(
        store,
        batch(
            3,
            vec![
                entry("SN-1", 9),
                BatchEntry::Terminal(Box::new(sent(external("SN-6", "SN-1", 6)))),
                entry("SN-B", 8),
                BatchEntry::Terminal(Box::new(closed)),
                malformed,
                entry("SN-7", 7),
            ],
        ),
    )
    .await;
    assert_eq!(
        codes(&taken),
        [
            ("SN-1", false, "already-known"),
            ("SN-6", false, "pin-pad-taken"),
            ("SN-B", false, "other-acquirer"),
            ("SN-5", false, "key-refused"),
            ("no serial", false, "malformed"),
            ("SN-7", true, "stored"),
        ]
    );
    assert_eq!(store.received_batch(taken.content_digest).await.unwrap(), Some(taken));
    assert_eq!(store.terminal(&sn("SN-5")).await.unwrap(), None);
}

pub async fn a_replacement_by_batch_waits_for_a_second_person(store: &impl Store) {
    one_terminal(store).await;
    put(store, order("PO-1", Some(&["SN-1"]))).await;
    let replacing = sent(replacing(built_in("SN-1", 9)));
    let taken = take(store, batch(3, vec![BatchEntry::Terminal(Box::new(replacing))])).await;
    assert_eq!(codes(&taken), [("SN-1", true, "awaits-approval")]);
    let waiting = store.replacements_waiting().await.unwrap();
    assert_eq!((waiting.len(), waiting[0].signer.clone()), (1, mtms()));
    assert_eq!(waiting[0].station, "batch of VENDOR for PO-1");
    assert_eq!(waiting[0].batch, Some(AskingBatch { order: "PO-1".into(), vendor: "VENDOR".into() }));
    let by = |person| approval(waiting[0].id, 9, person);
    let own = store.approve_replacement(by(mtms()), event("tk.replaced")).await;
    assert_eq!(own, Ok(ApprovalOutcome::SamePerson));
    let approved = store.approve_replacement(by(administrator()), event("tk.replaced")).await.unwrap();
    assert!(matches!(approved, ApprovalOutcome::Approved { tk_generation: 2, .. }));
    let terminal = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!(terminal.tk, TkRecord::Blocks { tek: "D0144TEK".into(), auk: "D0144AUK".into() });
    assert_eq!(terminal.fingerprint, format!("{:020X}", 9));
}

pub async fn what_cannot_be_a_batch_is_refused(store: &impl Store) {
    estate(store).await;
    put(store, order("PO-1", None)).await;
    let why = async |import| store.import_batch(import, event("batch.received")).await.unwrap_err();
    assert!(matches!(why(batch(1, vec![])).await, StoreError::Invalid(_)));
    let nobodys = BatchImport { acquirer: "none".into(), ..batch(1, vec![entry("SN-1", 1)]) };
    assert!(matches!(why(nobodys).await, StoreError::NoSuchAcquirer(_)));
    // The same bytes as a collection are no batch.
    import(store, package(7, vec![built_in("SN-4", 4)])).await;
    assert!(matches!(why(batch(7, vec![entry("SN-1", 1)])).await, StoreError::Invalid(_)));
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap(), None);
}
