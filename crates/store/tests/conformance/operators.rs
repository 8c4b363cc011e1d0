//! Operators, who prove themselves at terminals.

use keyferry_store::{Store, StoreError, limits};

use super::{event, events};

async fn entered(store: &impl Store) {
    store.put_operator("olga", vec![1; 60], event("operator.enrolled")).await.unwrap();
}

async fn fail(store: &impl Store) -> u32 {
    store.operator_failed("olga", event("operator.failed")).await.unwrap()
}

pub async fn five_wrong_proofs_in_a_row_lock(store: &impl Store) {
    entered(store).await;
    for n in 1..limits::OPERATOR_FAILURES {
        assert_eq!(fail(store).await, n);
    }
    assert!(!store.operator("olga").await.unwrap().unwrap().locked);
    assert_eq!(store.operator_passed("olga").await, Ok(true));
    assert_eq!(store.operator("olga").await.unwrap().unwrap().failures, 0);
    for _ in 0..limits::OPERATOR_FAILURES {
        fail(store).await;
    }
    let olga = store.operator("olga").await.unwrap().unwrap();
    assert_eq!((olga.locked, olga.failures, olga.sealed), (true, limits::OPERATOR_FAILURES, vec![1; 60]));
}

/// A session that looked before the lock fell and proves after it: its proof does not count.
pub async fn a_right_proof_after_the_lock_does_not_count(store: &impl Store) {
    entered(store).await;
    for _ in 0..limits::OPERATOR_FAILURES {
        fail(store).await;
    }
    assert_eq!(store.operator_passed("olga").await, Ok(false));
    let olga = store.operator("olga").await.unwrap().unwrap();
    assert_eq!((olga.locked, olga.failures), (true, limits::OPERATOR_FAILURES));
}

pub async fn a_person_unlocks(store: &impl Store) {
    entered(store).await;
    assert_eq!(store.unlock_operator("olga", event("operator.unlocked")).await, Ok(false));
    for _ in 0..limits::OPERATOR_FAILURES {
        fail(store).await;
    }
    assert_eq!(store.unlock_operator("olga", event("operator.unlocked")).await, Ok(true));
    let olga = store.operator("olga").await.unwrap().unwrap();
    assert_eq!((olga.locked, olga.failures), (false, 0));
    assert_eq!(fail(store).await, 1);
    // A new password unlocks as well.
    for _ in 0..limits::OPERATOR_FAILURES {
        fail(store).await;
    }
    store.put_operator("olga", vec![2; 60], event("operator.enrolled")).await.unwrap();
    let olga = store.operator("olga").await.unwrap().unwrap();
    assert_eq!((olga.locked, olga.failures, olga.sealed), (false, 0, vec![2; 60]));
}

pub async fn an_unknown_operator_leaves_no_trace(store: &impl Store) {
    assert_eq!(store.operator("nobody").await.unwrap(), None);
    let before = events(store).await;
    assert_eq!(store.operator_failed("nobody", event("operator.failed")).await, Ok(0));
    assert_eq!(store.operator_passed("nobody").await, Ok(false));
    assert_eq!(store.unlock_operator("nobody", event("operator.unlocked")).await, Ok(false));
    assert_eq!(events(store).await, before);
    let long = vec![0; limits::SEALED + 1];
    let refused = store.put_operator("olga", long, event("operator.enrolled")).await;
    assert!(matches!(refused, Err(StoreError::TooLarge { .. })), "{refused:?}");
}
