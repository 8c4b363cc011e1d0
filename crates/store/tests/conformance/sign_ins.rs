//! Sign-ins and working keys in use.

use keyferry_store::{
    ConfirmOutcome, HeldKey, LoadedKey, NewWorking, PendingSignIn, PutWorking, SignInKeys, SignInOutcome,
    Store, StoreError, WorkingKind, WorkingOutcome, limits,
};

use super::devices::{dmk, loaded, report, tmk as tmk_of_kld};
use super::{
    NOW, administrator, approval, built_in, event, events, external, import, kcv, one_terminal, package,
    pending, slot, sn, waiting,
};

const KINDS: [WorkingKind; 3] = [WorkingKind::Pik, WorkingKind::Mak, WorkingKind::Tdk];

/// The first `count` kinds of keys, numbered from `n`.
fn keys(tmk: i64, count: usize, n: u32) -> SignInKeys {
    let keys = (n..)
        .zip(&KINDS[..count])
        .map(|(n, kind)| NewWorking { kind: *kind, block: format!("D0080W{n}"), kcv: kcv(n) })
        .collect();
    SignInKeys { sn: sn("SN-1"), slot: slot(0), tmk, rnd1: vec![1, 2, 3, 4, 5, 6, 7, 8], keys }
}

async fn begin(store: &impl Store, keys: SignInKeys) -> Vec<i64> {
    match store.begin_sign_in(keys, event("sign-in.answered")).await.unwrap() {
        SignInOutcome::Stored(ids) => ids,
        SignInOutcome::Gone => panic!("the TMK is held"),
    }
}

async fn confirm(store: &impl Store, keys: &[i64]) -> ConfirmOutcome {
    let event = event("sign-in.confirmed");
    store.confirm_sign_in(&sn("SN-1"), slot(0), keys.to_vec(), event).await.unwrap()
}

/// The estate with `SN-1` and an active TMK in its slot 0.
async fn with_tmk(store: &impl Store) -> HeldKey {
    one_terminal(store).await;
    let tmk = pending(store, "SN-1", 0, 1).await;
    store.confirm(tmk.id, event("tmk.confirmed")).await.unwrap();
    tmk
}

async fn pending_one(store: &impl Store) -> Option<PendingSignIn> {
    store.pending_sign_in(&sn("SN-1"), slot(0)).await.unwrap()
}

/// The ids of the slot's active PIK, MAK and TDK.
async fn active(store: &impl Store) -> [Option<i64>; 3] {
    let wanted = KINDS.map(|kind| (sn("SN-1"), slot(0), kind)).to_vec();
    let found = store.active_working(wanted).await.unwrap();
    let ids: Vec<_> = found.into_iter().map(|key| key.map(|key| key.key.id)).collect();
    ids.try_into().unwrap()
}

pub async fn keys_become_active_when_confirmed(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let ids = begin(store, keys(tmk.id, 3, 10)).await;
    let waits = pending_one(store).await.unwrap();
    assert_eq!((waits.tmk, waits.rnd1, waits.created_at), (tmk.id, vec![1, 2, 3, 4, 5, 6, 7, 8], NOW));
    let sent: Vec<_> = waits.keys.iter().map(|(kind, key)| (*kind, key.id, key.kcv)).collect();
    let expected: Vec<_> =
        KINDS.into_iter().zip(&ids).zip(10..).map(|((k, id), n)| (k, *id, kcv(n))).collect();
    assert_eq!(sent, expected);
    assert_eq!(active(store).await, [None; 3]);
    let before = events(store).await;
    // The order in which they are named does not matter.
    assert_eq!(confirm(store, &[ids[2], ids[0], ids[1]]).await, ConfirmOutcome::Activated);
    assert_eq!(active(store).await, [Some(ids[0]), Some(ids[1]), Some(ids[2])]);
    assert_eq!(pending_one(store).await, None);
    assert_eq!(confirm(store, &ids).await, ConfirmOutcome::AlreadyActive);
    assert_eq!(events(store).await, before + 1);
}

pub async fn old_keys_work_until_the_new_ones_are_confirmed(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let first = begin(store, keys(tmk.id, 3, 10)).await;
    confirm(store, &first).await;
    let second = begin(store, keys(tmk.id, 2, 20)).await;
    assert_eq!(active(store).await, [Some(first[0]), Some(first[1]), Some(first[2])]);
    assert_eq!(confirm(store, &second).await, ConfirmOutcome::Activated);
    // The track key had no successor.
    assert_eq!(active(store).await, [Some(second[0]), Some(second[1]), None]);
}

pub async fn a_later_sign_in_takes_an_earlier_ones_place(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let first = begin(store, keys(tmk.id, 3, 10)).await;
    let second = begin(store, keys(tmk.id, 2, 20)).await;
    let before = events(store).await;
    assert_eq!(confirm(store, &first).await, ConfirmOutcome::Gone);
    assert_eq!(events(store).await, before);
    assert_eq!(pending_one(store).await.unwrap().keys.len(), 2);
    assert_eq!(confirm(store, &second).await, ConfirmOutcome::Activated);
}

pub async fn exactly_the_keys_that_were_sent_are_confirmed(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let ids = begin(store, keys(tmk.id, 2, 10)).await;
    for wrong in [&[][..], &ids[..1], &[ids[0], ids[0]], &[ids[0], ids[1], ids[1] + 1]] {
        assert_eq!(confirm(store, wrong).await, ConfirmOutcome::Gone, "{wrong:?}");
    }
    let elsewhere = store.confirm_sign_in(&sn("SN-1"), slot(1), ids.clone(), event("confirmed")).await;
    assert_eq!(elsewhere, Ok(ConfirmOutcome::Gone));
    let nobody = store.confirm_sign_in(&sn("SN-9"), slot(0), ids.clone(), event("confirmed")).await;
    assert_eq!(nobody, Ok(ConfirmOutcome::Gone));
    assert_eq!(confirm(store, &[]).await, ConfirmOutcome::Gone);
    assert_eq!(active(store).await, [None; 3]);
    assert_eq!(confirm(store, &ids).await, ConfirmOutcome::Activated);
}

/// 2-wire.md section 4, Flow F: a pending TMK that signs in and confirms becomes active.
pub async fn a_pending_tmk_becomes_active_with_its_sign_in(store: &impl Store) {
    let old = with_tmk(store).await;
    let new = pending(store, "SN-1", 0, 2).await;
    let ids = begin(store, keys(new.id, 2, 10)).await;
    let held = store.slot(&sn("SN-1"), slot(0)).await.unwrap();
    assert_eq!((held.pending.map(|k| k.id), held.active.map(|k| k.id)), (Some(new.id), Some(old.id)));
    assert_eq!(confirm(store, &ids).await, ConfirmOutcome::Activated);
    let held = store.slot(&sn("SN-1"), slot(0)).await.unwrap();
    assert_eq!((held.pending, held.active.map(|k| k.id)), (None, Some(new.id)));
    assert_eq!(held.retired.iter().map(|k| k.id).collect::<Vec<_>>(), [old.id]);
}

pub async fn a_tmk_that_is_not_held_signs_nobody_in(store: &impl Store) {
    let old = with_tmk(store).await;
    let new = pending(store, "SN-1", 0, 2).await;
    let ids = begin(store, keys(old.id, 2, 10)).await;
    // The download is confirmed in between: the sign-in's TMK is retired.
    store.confirm(new.id, event("tmk.confirmed")).await.unwrap();
    assert_eq!(pending_one(store).await, None);
    assert_eq!(confirm(store, &ids).await, ConfirmOutcome::Gone);
    let before = events(store).await;
    let other_slot = SignInKeys { slot: slot(1), ..keys(new.id, 2, 20) };
    for gone in [keys(old.id, 2, 20), other_slot, keys(new.id + 1, 2, 20)] {
        let outcome = store.begin_sign_in(gone, event("sign-in.answered")).await;
        assert_eq!(outcome, Ok(SignInOutcome::Gone));
    }
    assert_eq!(events(store).await, before);
    let stranger = SignInKeys { sn: sn("SN-9"), ..keys(new.id, 2, 20) };
    let outcome = store.begin_sign_in(stranger, event("sign-in.answered")).await;
    assert_eq!(outcome, Err(StoreError::NoSuchTerminal(sn("SN-9"))));
}

pub async fn a_sign_in_has_keys_one_of_a_kind(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let mut twice = keys(tmk.id, 2, 10);
    twice.keys[1].kind = WorkingKind::Pik;
    for refused in [twice, keys(tmk.id, 0, 10)] {
        let outcome = store.begin_sign_in(refused, event("sign-in.answered")).await;
        assert!(matches!(outcome, Err(StoreError::Invalid(_))), "{outcome:?}");
    }
    let mut four = keys(tmk.id, 3, 10);
    four.keys.push(four.keys[0].clone());
    let refused = store.begin_sign_in(four, event("sign-in.answered")).await;
    let limit = limits::SIGN_IN_KEYS;
    assert_eq!(refused, Err(StoreError::TooMany { what: "keys of a sign-in", limit }));
    assert_eq!(pending_one(store).await, None);
}

/// 2-wire.md section 4, Confirming: a tamper report or a repair drops what waits. What is in use goes on.
pub async fn dropping_pending_keys_drops_sign_ins(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let used = begin(store, keys(tmk.id, 2, 10)).await;
    confirm(store, &used).await;
    let waits = begin(store, keys(tmk.id, 3, 20)).await;
    assert_eq!(store.drop_pending(&sn("SN-1"), event("tamper")).await, Ok(0), "TMKs are counted");
    assert_eq!(pending_one(store).await, None);
    assert_eq!(confirm(store, &waits).await, ConfirmOutcome::Gone);
    for kind in KINDS {
        let held = store.working_slot(&sn("SN-1"), slot(0), kind).await.unwrap();
        assert_eq!(held.pending, None);
    }
    assert_eq!(active(store).await, [Some(used[0]), Some(used[1]), None]);
    let rows = store.audit_page(1, 1_000).await.unwrap();
    assert!(rows.last().unwrap().detail.contains(r#""dropped_working":3"#), "{:?}", rows.last());
}

pub async fn a_new_tk_drops_sign_ins(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let used = begin(store, keys(tmk.id, 2, 10)).await;
    confirm(store, &used).await;
    begin(store, keys(tmk.id, 2, 20)).await;
    let id = waiting(store, 2, built_in("SN-1", 2)).await;
    store.approve_replacement(approval(id, 2, administrator()), event("approved")).await.unwrap();
    assert_eq!(pending_one(store).await, None);
    assert_eq!(active(store).await, [Some(used[0]), Some(used[1]), None], "the PIN pad still holds them");
    // With another PIN pad, keys in use are of no use.
    begin(store, keys(tmk.id, 2, 30)).await;
    let id = waiting(store, 3, external("SN-1", "PP-9", 3)).await;
    store.approve_replacement(approval(id, 3, administrator()), event("approved")).await.unwrap();
    assert_eq!((pending_one(store).await, active(store).await), (None, [None; 3]));
}

/// 2-wire.md section 4, Confirming: another DIK2 or DMK drops what waits; a TMK that a KLD loaded drops what waits in its
/// slot, where the terminal now holds another key.
pub async fn what_a_kld_loads_drops_sign_ins(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let second = pending(store, "SN-1", 1, 2).await;
    let both = async || {
        begin(store, keys(tmk.id, 2, 10)).await;
        begin(store, SignInKeys { slot: slot(1), ..keys(second.id, 2, 20) }).await;
    };
    let waits = async || {
        let other = store.pending_sign_in(&sn("SN-1"), slot(1)).await.unwrap();
        (pending_one(store).await.is_some(), other.is_some())
    };
    let load = async |n: u8, key| {
        let report = report(n, vec![loaded("SN-1", vec![key])]);
        store.import_kld_report(report, event("kld.reported")).await.unwrap();
    };
    both().await;
    load(2, tmk_of_kld(0, 8)).await;
    assert_eq!(waits().await, (false, true));
    let tmk = store.slot(&sn("SN-1"), slot(0)).await.unwrap().active.unwrap();
    begin(store, keys(tmk.id, 2, 30)).await;
    assert_eq!(waits().await, (true, true));
    load(3, dmk(9)).await;
    assert_eq!(waits().await, (false, false));
    begin(store, keys(tmk.id, 2, 40)).await;
    load(4, dmk(9)).await;
    assert_eq!(waits().await, (true, false), "the same DMK changes nothing");
}

pub async fn keys_of_the_rks_and_of_sign_ins_share_a_slot(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let put = |n: u32| {
        let (sn, slot, kind) = (sn("SN-1"), slot(0), WorkingKind::Mak);
        PutWorking { sn, slot, kind, block: format!("D0080R{n}"), kcv: kcv(n) }
    };
    let made = store.put_working_pending(put(5), event("working-key.made")).await.unwrap();
    let WorkingOutcome::Stored(of_rks) = made else { panic!("the slot was empty") };
    let ids = begin(store, keys(tmk.id, 2, 10)).await;
    let late = vec![LoadedKey::Working(of_rks.id)];
    assert_eq!(store.confirm_loaded(late, event("rks.confirmed")).await, Ok(ConfirmOutcome::Gone));
    let second = store.put_working_pending(put(6), event("working-key.made")).await.unwrap();
    assert!(matches!(second, WorkingOutcome::Lost(key) if key.id == ids[1]));
    assert_eq!(confirm(store, &ids).await, ConfirmOutcome::Activated);
    // And the RKS's take the place of a sign-in's.
    let made = store.put_working_pending(put(7), event("working-key.made")).await.unwrap();
    let WorkingOutcome::Stored(of_rks) = made else { panic!("nothing is pending") };
    store.confirm_loaded(vec![LoadedKey::Working(of_rks.id)], event("rks.confirmed")).await.unwrap();
    assert_eq!(active(store).await, [Some(ids[0]), Some(of_rks.id), None]);
}

pub async fn keys_in_use_are_found_in_the_order_asked_for(store: &impl Store) {
    let tmk = with_tmk(store).await;
    import(store, package(2, vec![external("SN-2", "PP-2", 2)])).await;
    let second = pending(store, "SN-2", 3, 1).await;
    let ids = begin(store, keys(tmk.id, 2, 10)).await;
    confirm(store, &ids).await;
    let at = keyferry_store::Event { at: NOW + 9, ..event("sign-in.confirmed") };
    let other = SignInKeys { sn: sn("SN-2"), slot: slot(3), ..keys(second.id, 1, 20) };
    let others = begin(store, other).await;
    store.confirm_sign_in(&sn("SN-2"), slot(3), others.clone(), at).await.unwrap();
    let wanted = vec![
        (sn("SN-2"), slot(3), WorkingKind::Pik),
        (sn("SN-1"), slot(0), WorkingKind::Mak),
        (sn("SN-1"), slot(0), WorkingKind::Tdk),
        (sn("SN-2"), slot(0), WorkingKind::Pik),
        (sn("SN-9"), slot(0), WorkingKind::Pik),
        (sn("SN-2"), slot(3), WorkingKind::Pik),
    ];
    let found = store.active_working(wanted).await.unwrap();
    let ids_found: Vec<_> = found.iter().map(|key| key.as_ref().map(|key| key.key.id)).collect();
    assert_eq!(ids_found, [Some(others[0]), Some(ids[1]), None, None, None, Some(others[0])]);
    let pik = found[0].as_ref().unwrap();
    assert_eq!((pik.key.block.as_str(), pik.key.kcv, pik.key.created_at), ("D0080W20", kcv(20), NOW));
    assert_eq!((pik.key_serial.as_str(), pik.activated_at, pik.uses), ("PP-2", NOW + 9, 0));
    let many = vec![(sn("SN-1"), slot(0), WorkingKind::Pik); limits::WORKING_READ + 1];
    let refused = store.active_working(many).await;
    assert_eq!(refused, Err(StoreError::TooMany { what: "working keys", limit: limits::WORKING_READ }));
}

pub async fn uses_are_counted(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let ids = begin(store, keys(tmk.id, 2, 10)).await;
    confirm(store, &ids).await;
    let before = events(store).await;
    store.count_uses(vec![(ids[0], 3), (ids[1], 1), (ids[1] + 9, 7)]).await.unwrap();
    store.count_uses(vec![(ids[0], 40)]).await.unwrap();
    let uses = async || {
        let wanted = [WorkingKind::Pik, WorkingKind::Mak].map(|kind| (sn("SN-1"), slot(0), kind)).to_vec();
        let found = store.active_working(wanted).await.unwrap();
        found.into_iter().map(|key| key.unwrap().uses).collect::<Vec<_>>()
    };
    assert_eq!(uses().await, [43, 1]);
    assert_eq!(events(store).await, before);
    // New keys begin at none.
    let ids = begin(store, keys(tmk.id, 2, 20)).await;
    confirm(store, &ids).await;
    assert_eq!(uses().await, [0, 0]);
}

pub async fn a_key_in_use_is_stopped_once(store: &impl Store) {
    let tmk = with_tmk(store).await;
    let ids = begin(store, keys(tmk.id, 2, 10)).await;
    let before = events(store).await;
    let stop = async |id| store.stop_working(id, event("alarm.wrong-pin-blocks")).await.unwrap();
    assert!(!stop(ids[0]).await, "it is not in use yet");
    confirm(store, &ids).await;
    assert!(stop(ids[0]).await);
    assert!(!stop(ids[0]).await && !stop(ids[1] + 9).await, "there is nothing to stop");
    assert_eq!(active(store).await, [None, Some(ids[1]), None]);
    assert_eq!(events(store).await, before + 2, "the confirmation and one stop");
    let ids = begin(store, keys(tmk.id, 2, 20)).await;
    assert_eq!(confirm(store, &ids).await, ConfirmOutcome::Activated, "a new sign-in mends it");
    assert_eq!(active(store).await, [Some(ids[0]), Some(ids[1]), None]);
}
