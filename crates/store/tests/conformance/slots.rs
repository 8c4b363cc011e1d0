//! TMK slots: every state × event of `Empty → Pending → Active → Retired`.

use keyferry_store::{ConfirmOutcome, PendingOutcome, ResendOutcome, SlotRecord, Store, StoreError, limits};

use super::{event, events, fresh, kcv, one_terminal, pending, slot, sn};

pub async fn pending_then_active_then_retired(store: &impl Store) {
    one_terminal(store).await;
    let read = async || store.slot(&sn("SN-1"), slot(3)).await.unwrap();
    assert_eq!(read().await, SlotRecord::default());

    let first = pending(store, "SN-1", 3, 1).await;
    assert_eq!((&first.key_serial, first.kcv, first.sent_count), (&sn("SN-1"), kcv(1), 1));
    assert_eq!(
        read().await,
        SlotRecord { pending: Some(first.clone()), active: None, retired: vec![], load_counter: 0 }
    );

    assert_eq!(store.confirm(first.id, event("tmk.confirmed")).await, Ok(ConfirmOutcome::Activated));
    assert_eq!(
        read().await,
        SlotRecord { pending: None, active: Some(first.clone()), retired: vec![], load_counter: 0 }
    );

    // The old one stays usable until the new one is confirmed.
    let second = pending(store, "SN-1", 3, 2).await;
    let both = SlotRecord {
        pending: Some(second.clone()),
        active: Some(first.clone()),
        retired: vec![],
        load_counter: 0,
    };
    assert_eq!(read().await, both);

    assert_eq!(store.confirm(second.id, event("tmk.confirmed")).await, Ok(ConfirmOutcome::Activated));
    assert_eq!(
        read().await,
        SlotRecord { pending: None, active: Some(second), retired: vec![first.clone()], load_counter: 0 }
    );
    assert_eq!(store.confirm(first.id, event("tmk.confirmed")).await, Ok(ConfirmOutcome::Gone));
    assert_eq!(store.resend_pending(first.id, None, event("tmk.resent")).await, Ok(ResendOutcome::Gone));
}

pub async fn a_second_pending_key_loses(store: &impl Store) {
    one_terminal(store).await;
    let first = pending(store, "SN-1", 0, 1).await;
    let before = events(store).await;
    let second = store.put_pending(fresh("SN-1", 0, 1, 2), event("tmk.pending")).await;
    assert_eq!(second, Ok(PendingOutcome::Lost(first)));
    assert_eq!(events(store).await, before);
}

/// 4-requirements.md R37: issued exactly once, however many ask at once.
pub async fn many_requests_at_once_leave_one_pending_key(store: &impl Store) {
    one_terminal(store).await;
    let asks = (1..=32).map(|n| store.put_pending(fresh("SN-1", 5, 1, n), event("tmk.pending")));
    let outcomes = all(asks).await;
    let stored: Vec<_> = outcomes.iter().filter(|o| matches!(o, Ok(PendingOutcome::Stored(_)))).collect();
    assert_eq!(stored.len(), 1);
    let held = store.slot(&sn("SN-1"), slot(5)).await.unwrap().pending.unwrap();
    for outcome in &outcomes {
        match outcome {
            Ok(PendingOutcome::Stored(key) | PendingOutcome::Lost(key)) => assert_eq!(*key, held),
            other => panic!("stored or lost: {other:?}"),
        }
    }
}

pub async fn many_confirmations_at_once_activate_once(store: &impl Store) {
    one_terminal(store).await;
    let key = pending(store, "SN-1", 5, 1).await;
    let before = events(store).await;
    let outcomes = all((0..16).map(|_| store.confirm(key.id, event("tmk.confirmed")))).await;
    let count = |wanted| outcomes.iter().filter(|o| **o == Ok(wanted)).count();
    assert_eq!((count(ConfirmOutcome::Activated), count(ConfirmOutcome::AlreadyActive)), (1, 15));
    assert_eq!(events(store).await, before + 1);
}

pub async fn a_key_of_an_older_tk_is_refused(store: &impl Store) {
    one_terminal(store).await;
    for generation in [0, 2] {
        let put = store.put_pending(fresh("SN-1", 0, generation, 1), event("tmk.pending")).await;
        assert_eq!(put, Ok(PendingOutcome::StaleTk));
    }
    assert_eq!(store.slot(&sn("SN-1"), slot(0)).await.unwrap(), SlotRecord::default());
}

pub async fn an_unknown_terminal_has_no_slots(store: &impl Store) {
    let put = store.put_pending(fresh("SN-9", 0, 1, 1), event("tmk.pending")).await;
    assert_eq!(put, Err(StoreError::NoSuchTerminal(sn("SN-9"))));
    assert_eq!(
        store.drop_pending(&sn("SN-9"), event("tamper")).await,
        Err(StoreError::NoSuchTerminal(sn("SN-9")))
    );
    assert_eq!(store.slot(&sn("SN-9"), slot(0)).await.unwrap(), SlotRecord::default());
    assert_eq!(store.slots(&sn("SN-9")).await.unwrap(), []);
    assert_eq!(events(store).await, 0);
}

pub async fn a_pending_key_is_sent_again_and_counted(store: &impl Store) {
    one_terminal(store).await;
    let key = pending(store, "SN-1", 0, 1).await;
    for sent in 2..=4 {
        match store.resend_pending(key.id, None, event("tmk.resent")).await.unwrap() {
            ResendOutcome::Counted(again) => {
                assert_eq!((again.sent_count, again.block, again.id), (sent, key.block.clone(), key.id));
            }
            other => panic!("it is pending: {other:?}"),
        }
    }
    assert_eq!(store.slot(&sn("SN-1"), slot(0)).await.unwrap().pending.unwrap().sent_count, 4);
}

pub async fn a_confirmed_key_confirms_again_without_change(store: &impl Store) {
    one_terminal(store).await;
    let key = pending(store, "SN-1", 0, 1).await;
    store.confirm(key.id, event("tmk.confirmed")).await.unwrap();
    let before = (store.slot(&sn("SN-1"), slot(0)).await.unwrap(), events(store).await);
    assert_eq!(store.confirm(key.id, event("tmk.confirmed")).await, Ok(ConfirmOutcome::AlreadyActive));
    assert_eq!(store.resend_pending(key.id, None, event("tmk.resent")).await, Ok(ResendOutcome::Gone));
    assert_eq!((store.slot(&sn("SN-1"), slot(0)).await.unwrap(), events(store).await), before);
}

pub async fn a_dropped_key_is_gone(store: &impl Store) {
    one_terminal(store).await;
    let active = pending(store, "SN-1", 0, 1).await;
    store.confirm(active.id, event("tmk.confirmed")).await.unwrap();
    let dropped = [pending(store, "SN-1", 0, 2).await, pending(store, "SN-1", 1, 3).await];
    assert_eq!(store.drop_pending(&sn("SN-1"), event("tamper")).await, Ok(2));
    for key in dropped {
        assert_eq!(store.confirm(key.id, event("tmk.confirmed")).await, Ok(ConfirmOutcome::Gone));
        assert_eq!(store.resend_pending(key.id, None, event("tmk.resent")).await, Ok(ResendOutcome::Gone));
    }
    let slots = store.slots(&sn("SN-1")).await.unwrap();
    let [(number, record)] = slots.as_slice() else { panic!("slot 0 alone: {slots:?}") };
    assert_eq!((*number, record.pending.as_ref()), (slot(0), None));
    assert_eq!(record.active.as_ref().map(|k| k.id), Some(active.id));
    // Nothing pending: the event is written all the same.
    let before = events(store).await;
    assert_eq!(store.drop_pending(&sn("SN-1"), event("tamper")).await, Ok(0));
    assert_eq!(events(store).await, before + 1);
}

/// 2-wire.md section 4, Flow F: no two TMKs held for a slot share a check value.
pub async fn check_values_in_a_slot_differ(store: &impl Store) {
    one_terminal(store).await;
    for n in [1, 2] {
        let key = pending(store, "SN-1", 0, n).await;
        store.confirm(key.id, event("tmk.confirmed")).await.unwrap();
    }
    for retired_or_active in [1, 2] {
        let put = store.put_pending(fresh("SN-1", 0, 1, retired_or_active), event("tmk.pending")).await;
        assert_eq!(put, Ok(PendingOutcome::SameCheckValue));
    }
    // Another slot may.
    pending(store, "SN-1", 1, 1).await;
    store.drop_pending(&sn("SN-1"), event("tamper")).await.unwrap();
    // Not a dropped key's successor: what confirmed the one would confirm the other.
    let put = store.put_pending(fresh("SN-1", 1, 1, 1), event("tmk.pending")).await;
    assert_eq!(put, Ok(PendingOutcome::SameCheckValue));
    pending(store, "SN-1", 1, 2).await;
}

pub async fn ids_are_never_used_again(store: &impl Store) {
    one_terminal(store).await;
    let mut last = 0;
    for n in 1..=4 {
        let key = pending(store, "SN-1", 0, n).await;
        assert!(key.id > last);
        last = key.id;
        store.drop_pending(&sn("SN-1"), event("tamper")).await.unwrap();
    }
}

pub async fn slots_are_apart(store: &impl Store) {
    one_terminal(store).await;
    let far = pending(store, "SN-1", 99, 1).await;
    let near = pending(store, "SN-1", 0, 2).await;
    store.confirm(far.id, event("tmk.confirmed")).await.unwrap();
    let slots = store.slots(&sn("SN-1")).await.unwrap();
    let numbers: Vec<_> = slots.iter().map(|(number, _)| number.index()).collect();
    assert_eq!(numbers, [0, 99]);
    assert_eq!(store.slot(&sn("SN-1"), slot(0)).await.unwrap().pending, Some(near));
    assert_eq!(store.slot(&sn("SN-1"), slot(99)).await.unwrap().active.map(|k| k.id), Some(far.id));
}

pub async fn retired_keys_are_shown_newest_first_up_to_the_limit(store: &impl Store) {
    one_terminal(store).await;
    let mut ids = Vec::new();
    for n in (0_u32..).take(limits::RETIRED_SHOWN as usize + 3) {
        let key = pending(store, "SN-1", 0, n).await;
        store.confirm(key.id, event("tmk.confirmed")).await.unwrap();
        ids.push(key.id);
    }
    let waiting = pending(store, "SN-1", 0, 1_000).await;
    let active = ids.pop();
    ids.reverse();
    ids.truncate(limits::RETIRED_SHOWN as usize);
    let one = store.slot(&sn("SN-1"), slot(0)).await.unwrap();
    assert_eq!(one.retired.iter().map(|k| k.id).collect::<Vec<_>>(), ids);
    assert_eq!((one.active.as_ref().map(|k| k.id), one.pending.as_ref()), (active, Some(&waiting)));
    assert_eq!(store.slots(&sn("SN-1")).await.unwrap(), [(slot(0), one)]);
}

/// Polls all futures at once, so that they meet in the store.
pub async fn all<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    let mut outputs: Vec<Option<F::Output>> = futures.iter().map(|_| None).collect();
    std::future::poll_fn(|context| {
        for (future, output) in futures.iter_mut().zip(&mut outputs) {
            if output.is_none()
                && let std::task::Poll::Ready(value) = future.as_mut().poll(context)
            {
                *output = Some(value);
            }
        }
        if outputs.iter().all(Option::is_some) {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}
