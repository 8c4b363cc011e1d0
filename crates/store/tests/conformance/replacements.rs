//! The second person's word: by someone else, on exactly what was looked at, once.

use keyferry_store::{ApprovalOutcome, Person, Store, TkOutcome, TkRecord};

use super::{
    administrator, approval, built_in, event, events, external, fresh, import, one_terminal, operator,
    package, pending, slot, sn, waiting,
};

const APPROVED: ApprovalOutcome = ApprovalOutcome::Approved { tk_generation: 2, dropped: 0, retired: 0 };

pub async fn approval_drops_pending_keys_and_starts_a_new_generation(store: &impl Store) {
    one_terminal(store).await;
    store.set_tk_blocks(&sn("SN-1"), 1, "TEK".into(), "AUK".into(), event("tk.blocks")).await.unwrap();
    let active = pending(store, "SN-1", 0, 1).await;
    store.confirm(active.id, event("tmk.confirmed")).await.unwrap();
    pending(store, "SN-1", 0, 2).await;
    pending(store, "SN-1", 1, 3).await;

    let id = waiting(store, 2, built_in("SN-1", 2)).await;
    // Until it is approved nothing changes.
    let before = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!((before.tk_generation, &*before.fingerprint), (1, "00000000000000000001"));
    let listed = store.replacements_waiting().await.unwrap();
    let [one] = listed.as_slice() else { panic!("one waits: {listed:?}") };
    assert_eq!((one.id, &one.sn, &one.signer), (id, &sn("SN-1"), &operator()));
    assert_eq!(
        (&*one.fingerprint, &*one.current_fingerprint),
        ("00000000000000000002", "00000000000000000001")
    );

    let outcome = store.approve_replacement(approval(id, 2, administrator()), event("approved")).await;
    assert_eq!(outcome, Ok(ApprovalOutcome::Approved { tk_generation: 2, dropped: 2, retired: 0 }));
    let after = store.terminal(&sn("SN-1")).await.unwrap().unwrap();
    assert_eq!((after.tk_generation, &*after.fingerprint), (2, "00000000000000000002"));
    assert!(
        matches!(&after.tk, TkRecord::Ciphertext { ctk_pu, .. } if *ctk_pu == [2; 256]),
        "{:?}",
        after.tk
    );
    // Same PIN pad: the active key lies in it still.
    let record = store.slot(&sn("SN-1"), slot(0)).await.unwrap();
    assert_eq!((record.pending, record.active.map(|k| k.id)), (None, Some(active.id)));
    assert_eq!(store.replacements_waiting().await.unwrap(), []);
    // What was under way with the old TK ends here.
    let late = store.set_tk_blocks(&sn("SN-1"), 1, "T".into(), "A".into(), event("tk.blocks")).await;
    assert_eq!(late, Ok(TkOutcome::StaleTk));
    let late = store.put_pending(fresh("SN-1", 2, 1, 9), event("tmk.pending")).await;
    assert_eq!(late, Ok(keyferry_store::PendingOutcome::StaleTk));
    let said = store.audit_page(events(store).await as i64, 1).await.unwrap();
    assert!(said[0].detail.contains("CN=Adam Administrator"), "{}", said[0].detail);
}

pub async fn another_pin_pad_retires_the_old_ones_keys(store: &impl Store) {
    one_terminal(store).await;
    let active = pending(store, "SN-1", 0, 1).await;
    store.confirm(active.id, event("tmk.confirmed")).await.unwrap();
    let id = waiting(store, 2, external("SN-1", "PP-1", 2)).await;
    let listed = store.replacements_waiting().await.unwrap();
    assert_eq!((listed[0].pin_pad.as_ref(), listed[0].current_pin_pad.as_ref()), (Some(&sn("PP-1")), None));
    let outcome = store.approve_replacement(approval(id, 2, administrator()), event("approved")).await;
    assert_eq!(outcome, Ok(ApprovalOutcome::Approved { tk_generation: 2, dropped: 0, retired: 1 }));
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap().unwrap().pin_pad, Some(sn("PP-1")));
    let record = store.slot(&sn("SN-1"), slot(0)).await.unwrap();
    assert_eq!(record.active, None);
    assert_eq!((record.retired[0].id, &record.retired[0].key_serial), (active.id, &sn("SN-1")));
}

async fn refused_as_same_person(store: &impl Store, approver: Person) {
    one_terminal(store).await;
    let id = waiting(store, 2, built_in("SN-1", 2)).await;
    let before = events(store).await;
    let outcome = store.approve_replacement(approval(id, 2, approver), event("approved")).await;
    assert_eq!(outcome, Ok(ApprovalOutcome::SamePerson));
    assert_eq!(events(store).await, before);
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap().unwrap().tk_generation, 1);
    // It waits on, for someone else.
    let outcome = store.approve_replacement(approval(id, 2, administrator()), event("approved")).await;
    assert_eq!(outcome, Ok(APPROVED));
}

pub async fn the_signer_may_not_approve(store: &impl Store) {
    refused_as_same_person(store, operator()).await;
}

pub async fn another_card_of_the_signer_may_not_approve(store: &impl Store) {
    refused_as_same_person(store, Person { certificate_serial: "FF".into(), ..operator() }).await;
}

pub async fn the_signers_card_under_another_name_may_not_approve(store: &impl Store) {
    let other_case = operator().certificate_serial.to_lowercase();
    refused_as_same_person(store, Person { subject: "CN=Other".into(), certificate_serial: other_case })
        .await;
}

/// 4-requirements.md R13: approval binds what was looked at.
pub async fn approval_binds_the_fingerprint(store: &impl Store) {
    one_terminal(store).await;
    let id = waiting(store, 2, built_in("SN-1", 2)).await;
    let other = approval(id, 3, administrator());
    let outcome = store.approve_replacement(other.clone(), event("approved")).await;
    assert_eq!(outcome, Ok(ApprovalOutcome::OtherFingerprint));
    let outcome = store.reject_replacement(other, event("rejected")).await;
    assert_eq!(outcome, Ok(ApprovalOutcome::OtherFingerprint));
    assert_eq!(store.replacements_waiting().await.unwrap().len(), 1);
}

pub async fn approved_once_only(store: &impl Store) {
    one_terminal(store).await;
    let id = waiting(store, 2, built_in("SN-1", 2)).await;
    let approve = async || {
        store.approve_replacement(approval(id, 2, administrator()), event("approved")).await.unwrap()
    };
    assert_eq!(approve().await, APPROVED);
    let before = events(store).await;
    assert_eq!(approve().await, ApprovalOutcome::NotWaiting);
    assert_eq!(events(store).await, before);
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap().unwrap().tk_generation, 2);
}

pub async fn two_approvers_at_once_one_wins(store: &impl Store) {
    one_terminal(store).await;
    let id = waiting(store, 2, built_in("SN-1", 2)).await;
    let third = Person { subject: "CN=Third".into(), certificate_serial: "0C03".into() };
    let (one, other) = tokio::join!(
        store.approve_replacement(approval(id, 2, administrator()), event("approved")),
        store.approve_replacement(approval(id, 2, third), event("approved")),
    );
    let outcomes = [one.unwrap(), other.unwrap()];
    assert!(outcomes.contains(&APPROVED) && outcomes.contains(&ApprovalOutcome::NotWaiting), "{outcomes:?}");
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap().unwrap().tk_generation, 2);
}

pub async fn a_rejected_one_is_never_approved(store: &impl Store) {
    one_terminal(store).await;
    let id = waiting(store, 2, built_in("SN-1", 2)).await;
    // The signer may withdraw: it gives nobody anything.
    let outcome = store.reject_replacement(approval(id, 2, operator()), event("rejected")).await;
    assert_eq!(outcome, Ok(ApprovalOutcome::Rejected));
    let outcome = store.approve_replacement(approval(id, 2, administrator()), event("approved")).await;
    assert_eq!(outcome, Ok(ApprovalOutcome::NotWaiting));
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap().unwrap().tk_generation, 1);
}

pub async fn a_later_collection_overtakes_a_waiting_one(store: &impl Store) {
    one_terminal(store).await;
    let earlier = waiting(store, 2, built_in("SN-1", 2)).await;
    let later = waiting(store, 3, built_in("SN-1", 3)).await;
    assert_eq!(store.replacements_waiting().await.unwrap().iter().map(|r| r.id).collect::<Vec<_>>(), [later]);
    let outcome = store.approve_replacement(approval(earlier, 2, administrator()), event("approved")).await;
    assert_eq!(outcome, Ok(ApprovalOutcome::NotWaiting));
    let outcome = store.approve_replacement(approval(later, 3, administrator()), event("approved")).await;
    assert_eq!(outcome, Ok(APPROVED));
}

pub async fn waiting_ones_take_no_pin_pad_from_another_terminal(store: &impl Store) {
    one_terminal(store).await;
    let id = waiting(store, 2, external("SN-1", "PP-1", 2)).await;
    // While it waits, another terminal comes with that PIN pad.
    import(store, package(3, vec![external("SN-2", "PP-1", 3)])).await;
    let outcome = store.approve_replacement(approval(id, 2, administrator()), event("approved")).await;
    assert_eq!(outcome, Ok(ApprovalOutcome::SerialPairTaken { by: sn("SN-2") }));
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap().unwrap().pin_pad, None);
}
