//! The audit chain, as far as it shows through the trait. What tampering looks like is each database's own test.

use keyferry_store::{Event, Store, StoreError, limits};
use serde_json::json;

use super::{NOW, event, events, fresh, one_terminal, slot, sn};

pub async fn events_are_numbered_without_gaps(store: &impl Store) {
    for expected in 1..=5 {
        assert_eq!(store.audit_append(event("login")).await, Ok(expected));
    }
    assert_eq!(events(store).await, 5);
}

pub async fn detail_is_canonical_and_chained(store: &impl Store) {
    let detail = json!({ "b": 1, "a": { "d": [true, null], "c": "ü" } });
    store.audit_append(Event::new(NOW, "first", "who", "whom", detail)).await.unwrap();
    store.audit_append(event("second")).await.unwrap();
    let rows = store.audit_page(1, 10).await.unwrap();
    let [first, second] = rows.as_slice() else { panic!("two events: {rows:?}") };
    assert_eq!(first.detail, r#"{"a":{"c":"ü","d":[true,null]},"b":1}"#);
    assert_eq!((first.at, &*first.kind, &*first.actor, &*first.subject), (NOW, "first", "who", "whom"));
    assert_eq!(first.prev_hash, [0; 32]);
    assert_eq!(second.prev_hash, first.hash);
}

pub async fn pages_go_on_where_the_last_one_ended(store: &impl Store) {
    for _ in 0..7 {
        store.audit_append(event("login")).await.unwrap();
    }
    let mut seen = Vec::new();
    let mut from = 1;
    loop {
        let page = store.audit_page(from, 3).await.unwrap();
        assert!(page.len() <= 3);
        let Some(last) = page.last() else { break };
        from = last.seq + 1;
        seen.extend(page.iter().map(|row| row.seq));
    }
    assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7]);
}

pub async fn verify_finds_a_good_chain_good(store: &impl Store) {
    let empty = store.audit_verify().await.unwrap();
    assert_eq!((empty.events, empty.broken_at), (0, None));
    one_terminal(store).await;
    let verdict = store.audit_verify().await.unwrap();
    assert_eq!(verdict.broken_at, None);
    assert_eq!(verdict.events, events(store).await);
    let last = store.audit_page(verdict.events as i64, 1).await.unwrap();
    let hex: String = last[0].hash.iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(verdict.head_hash_hex, hex);
}

/// An act whose audit event cannot be written does not happen (4-requirements.md R30).
pub async fn an_event_that_is_too_large_stops_its_act(store: &impl Store) {
    one_terminal(store).await;
    let before = events(store).await;
    let long = |n: usize| "x".repeat(n);
    let refused = [
        Event { kind: long(limits::EVENT_TEXT + 1).into(), ..event("k") },
        Event { actor: long(limits::EVENT_TEXT + 1), ..event("k") },
        Event { subject: long(limits::EVENT_TEXT + 1), ..event("k") },
        Event { detail: json!(long(limits::EVENT_DETAIL)), ..event("k") },
    ];
    for too_large in refused {
        let outcome = store.put_pending(fresh("SN-1", 0, 1, 1), too_large).await;
        assert!(matches!(outcome, Err(StoreError::TooLarge { .. })), "{outcome:?}");
    }
    assert_eq!(store.slot(&sn("SN-1"), slot(0)).await.unwrap(), Default::default());
    assert_eq!(events(store).await, before);
    // At the limits it is taken: two quotes are part of the detail's JSON.
    let largest = Event {
        kind: long(limits::EVENT_TEXT).into(),
        detail: json!(long(limits::EVENT_DETAIL - 2)),
        ..event("k")
    };
    store.audit_append(largest).await.unwrap();
}
