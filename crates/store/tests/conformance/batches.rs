//! Batches at the MTMS: each TK in one of them, kept before it is sent, answered once.

use keyferry_store::{ItemResult, NewBatch, Store, StoreError, limits};

use super::orders::{order, put};
use super::{administrator, approval, built_in, estate, event, events, import, package, sn, waiting};

/// An order of `SN-1` to `SN-3`, of which the first two are collected.
async fn two_collected(store: &impl Store) {
    estate(store).await;
    put(store, order("PO-1", Some(&["SN-1", "SN-2", "SN-3"]))).await;
    import(store, package(1, vec![built_in("SN-1", 1), built_in("SN-2", 2)])).await;
}

fn batch(digest: u8, items: &[(&str, i64)]) -> NewBatch {
    NewBatch {
        order: "PO-1".into(),
        digest: [digest; 32],
        package: vec![0x30, digest],
        items: items.iter().map(|(serial, generation)| (sn(serial), *generation)).collect(),
    }
}

async fn keep(store: &impl Store, digest: u8, items: &[(&str, i64)]) -> i64 {
    store.put_batch(batch(digest, items), event("batch.kept")).await.unwrap()
}

fn result(serial: &str, ok: bool, code: &str) -> ItemResult {
    ItemResult { sn: serial.into(), ok, code: code.into(), text: "why".into(), fingerprint: None }
}

async fn undelivered(store: &impl Store) -> Vec<(String, i64, bool)> {
    let found = store.undelivered("PO-1", None, 9).await.unwrap();
    found.iter().map(|u| (u.terminal.sn.to_string(), u.terminal.tk_generation, u.replaces)).collect()
}

pub async fn what_is_collected_and_in_no_batch_is_undelivered(store: &impl Store) {
    two_collected(store).await;
    let found = store.undelivered("PO-1", None, 1).await.unwrap();
    assert_eq!((found.len(), found[0].terminal.sn.as_str()), (1, "SN-1"));
    assert_eq!(found[0].work_certificate_sha256.as_deref(), Some(super::WORK_CERTIFICATE));
    assert_eq!(found[0].device_generation, None);
    let next = store.undelivered("PO-1", Some(&sn("SN-1")), 9).await.unwrap();
    assert_eq!((next.len(), next[0].terminal.sn.as_str()), (1, "SN-2"));
    keep(store, 1, &[("SN-1", 1)]).await;
    assert_eq!(undelivered(store).await, [("SN-2".to_owned(), 1, false)]);
    keep(store, 2, &[("SN-2", 1)]).await;
    assert_eq!(undelivered(store).await, []);
}

pub async fn the_work_certificate_stays_known_when_a_tk_becomes_blocks(store: &impl Store) {
    two_collected(store).await;
    store.set_tk_blocks(&sn("SN-1"), 1, "TEK".into(), "AUK".into(), event("tk.opened")).await.unwrap();
    let found = store.undelivered("PO-1", None, 1).await.unwrap();
    assert_eq!(found[0].work_certificate_sha256.as_deref(), Some(super::WORK_CERTIFICATE));
}

pub async fn a_tk_goes_into_one_batch_once(store: &impl Store) {
    two_collected(store).await;
    keep(store, 1, &[("SN-1", 1)]).await;
    let before = events(store).await;
    let again = store.put_batch(batch(2, &[("SN-2", 1), ("SN-1", 1)]), event("batch.kept")).await;
    assert!(matches!(&again, Err(StoreError::AlreadyThere { id, .. }) if id == "SN-1"), "{again:?}");
    // Nothing of it was kept.
    assert_eq!(undelivered(store).await, [("SN-2".to_owned(), 1, false)]);
    let twice = store.put_batch(batch(2, &[("SN-2", 1), ("SN-2", 1)]), event("batch.kept")).await;
    assert!(matches!(&twice, Err(StoreError::AlreadyThere { id, .. }) if id == "SN-2"), "{twice:?}");
    let same_bytes = store.put_batch(batch(1, &[("SN-2", 1)]), event("batch.kept")).await;
    assert!(matches!(&same_bytes, Err(StoreError::AlreadyThere { what: "batch", .. })), "{same_bytes:?}");
    assert_eq!(events(store).await, before);
    assert_eq!(store.batches("PO-1", None, 9).await.unwrap().len(), 1);
}

pub async fn many_dispatchers_at_once_send_a_tk_once(store: &impl Store) {
    two_collected(store).await;
    let attempts = (1..9).map(|n| store.put_batch(batch(n, &[("SN-1", 1)]), event("batch.kept")));
    let mut kept = 0;
    for attempt in futures_of(attempts).await {
        kept += usize::from(attempt.is_ok());
    }
    assert_eq!((kept, store.batches("PO-1", None, 9).await.unwrap().len()), (1, 1));
}

/// All at once, on this task: the store queues them.
async fn futures_of<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut waiting: Vec<_> = futures.map(|f| (Box::pin(f), None)).collect();
    std::future::poll_fn(|context| {
        let mut all = true;
        for (future, done) in &mut waiting {
            if done.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(output) => *done = Some(output),
                    std::task::Poll::Pending => all = false,
                }
            }
        }
        if all { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    waiting.into_iter().filter_map(|(_, done)| done).collect()
}

pub async fn a_batch_takes_only_what_its_order_has(store: &impl Store) {
    two_collected(store).await;
    import(store, package(2, vec![built_in("SN-8", 8)])).await;
    let why = async |new: NewBatch| store.put_batch(new, event("batch.kept")).await.unwrap_err();
    assert!(matches!(why(batch(1, &[("SN-8", 1)])).await, StoreError::Invalid(why) if why.contains("list")));
    assert!(
        matches!(why(batch(1, &[("SN-3", 1)])).await, StoreError::Invalid(why) if why.contains("present"))
    );
    assert!(
        matches!(why(batch(1, &[("SN-1", 2)])).await, StoreError::Invalid(why) if why.contains("present"))
    );
    assert!(matches!(why(batch(1, &[])).await, StoreError::Invalid(_)));
    let other = NewBatch { order: "PO-9".into(), ..batch(1, &[("SN-1", 1)]) };
    assert!(matches!(why(other).await, StoreError::NoSuchOrder(_)));
    let many: Vec<_> = (0..=limits::BATCH).map(|_| ("SN-1", 1)).collect();
    assert!(matches!(why(batch(1, &many)).await, StoreError::TooMany { .. }));
    store.close_order("PO-1", event("order.closed")).await.unwrap();
    assert!(
        matches!(why(batch(1, &[("SN-1", 1)])).await, StoreError::Invalid(why) if why.contains("closed"))
    );
}

pub async fn a_batch_is_answered_once(store: &impl Store) {
    two_collected(store).await;
    let first = keep(store, 1, &[("SN-2", 1), ("SN-1", 1)]).await;
    let second = {
        import(store, package(2, vec![built_in("SN-3", 3)])).await;
        keep(store, 2, &[("SN-3", 1)]).await
    };
    let unanswered = async || {
        let found = store.unanswered_batches("PO-1", None, 9).await.unwrap();
        found.iter().map(|b| (b.id, b.terminals)).collect::<Vec<_>>()
    };
    assert_eq!(unanswered().await, [(first, 2), (second, 1)]);
    assert_eq!(store.unanswered_batches("PO-1", Some(first), 9).await.unwrap().len(), 1);
    assert_eq!(store.batch_package(first).await.unwrap(), Some(vec![0x30, 1]));
    assert_eq!(store.batch_items(first).await.unwrap(), [(sn("SN-2"), 1), (sn("SN-1"), 1)]);
    let results = vec![result("SN-2", true, "stored"), result("SN-1", false, "not-in-order")];
    let answer = async || {
        store.answer_batch(first, b"receipt".to_vec(), results.clone(), event("batch.answered")).await
    };
    assert_eq!(answer().await, Ok(true));
    let before = events(store).await;
    assert_eq!(answer().await, Ok(false));
    assert_eq!(events(store).await, before);
    assert_eq!(unanswered().await, [(second, 1)]);
    let kept = store.batch(first).await.unwrap().unwrap();
    assert_eq!((kept.accepted, kept.receipt), (1, Some(b"receipt".to_vec())));
    assert_eq!((kept.order.as_str(), kept.digest, kept.answered_at.is_some()), ("PO-1", [1; 32], true));
    let listed = store.batches("PO-1", None, 9).await.unwrap();
    assert_eq!(listed.iter().map(|b| (b.id, b.accepted)).collect::<Vec<_>>(), [(first, 1), (second, 0)]);
    let serials = store.order_serials("PO-1", None, 9).await.unwrap();
    let told: Vec<_> = serials
        .iter()
        .map(|s| s.last.clone().unwrap())
        .map(|item| (item.batch, item.result.map(|result| result.code)))
        .collect();
    assert_eq!(
        told,
        [(first, Some("not-in-order".to_owned())), (first, Some("stored".to_owned())), (second, None)]
    );
    assert!(serials.iter().all(|s| s.terminal.as_ref().unwrap().sent));
}

pub async fn an_answer_names_the_terminals_of_its_batch(store: &impl Store) {
    two_collected(store).await;
    let id = keep(store, 1, &[("SN-1", 1), ("SN-2", 1)]).await;
    let answer = async |results: Vec<ItemResult>| {
        store.answer_batch(id, vec![1], results, event("batch.answered")).await
    };
    for wrong in [
        vec![result("SN-1", true, "stored")],
        vec![result("SN-2", true, "stored"), result("SN-1", true, "stored")],
        vec![result("SN-1", true, "stored"), result("SN-2", true, "stored"), result("SN-3", true, "stored")],
        vec![],
    ] {
        assert!(matches!(answer(wrong).await, Err(StoreError::Invalid(_))));
    }
    let unknown = store.answer_batch(id + 1, vec![1], vec![], event("batch.answered")).await;
    assert_eq!(unknown, Err(StoreError::NoSuchBatch(id + 1)));
    assert_eq!(store.unanswered_batches("PO-1", None, 9).await.unwrap().len(), 1);
}

pub async fn a_tk_that_was_replaced_goes_out_again(store: &impl Store) {
    two_collected(store).await;
    let first = keep(store, 1, &[("SN-1", 1)]).await;
    let id = waiting(store, 2, built_in("SN-1", 9)).await;
    assert_eq!(undelivered(store).await, [("SN-2".to_owned(), 1, false)]);
    store.approve_replacement(approval(id, 9, administrator()), event("tk.replaced")).await.unwrap();
    assert_eq!(undelivered(store).await, [("SN-1".to_owned(), 2, true), ("SN-2".to_owned(), 1, false)]);
    let second = keep(store, 2, &[("SN-1", 2)]).await;
    let results = vec![result("SN-1", true, "awaits-approval")];
    store.answer_batch(second, vec![1], results, event("batch.answered")).await.unwrap();

    let rejected = waiting(store, 3, built_in("SN-1", 10)).await;
    store.reject_replacement(approval(rejected, 10, administrator()), event("tk.rejected")).await.unwrap();
    let history = store.serial_history(&sn("SN-1")).await.unwrap();
    assert_eq!(history.orders, ["PO-1"]);
    let collections: Vec<_> =
        history.collections.iter().map(|c| (c.tk_generation, c.state.as_str(), c.until.is_some())).collect();
    assert_eq!(
        collections,
        [(Some(1), "replaced", true), (Some(2), "in-force", false), (None, "rejected", true)]
    );
    let sent: Vec<_> = history
        .sent
        .iter()
        .map(|b| (b.item.batch, b.order.as_str(), b.buyer.as_str(), b.item.result.is_some()))
        .collect();
    assert_eq!(sent, [(first, "PO-1", "acq", false), (second, "PO-1", "acq", true)]);
    assert!(history.received.is_empty());
    let unknown = store.serial_history(&sn("SN-77")).await.unwrap();
    assert!(unknown.orders.is_empty() && unknown.collections.is_empty() && unknown.sent.is_empty());
}
