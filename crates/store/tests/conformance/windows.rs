//! Collection windows, and what terminals tell of their refusals.

use keyferry_store::{
    ImportOutcome, NewRefusal, OpenWindows, PerTerminal, Person, Store, WindowOutcome, WindowRecord,
    WindowsOutcome, limits,
};

use super::{
    NOW, administrator, built_in, estate, event, events, external, import, operator, package, replacing, sn,
};

fn open(digest: u8, serials: &[&str]) -> OpenWindows {
    OpenWindows {
        request_digest: [digest; 32],
        serials: serials.iter().map(|serial| sn(serial)).collect(),
        asked_by: operator(),
        opened_by: administrator(),
        expires_at: NOW + 1_000,
    }
}

async fn window(store: &impl Store, serial: &str) -> Option<WindowRecord> {
    store.window(&sn(serial), NOW).await.unwrap()
}

pub async fn two_people_open_a_window_once(store: &impl Store) {
    let same = OpenWindows { opened_by: operator(), ..open(1, &["SN-1"]) };
    let one_card = Person { subject: "CN=Other".into(), ..operator() };
    for refused in [same, OpenWindows { opened_by: one_card, ..open(1, &["SN-1"]) }] {
        assert_eq!(store.open_windows(refused, event("windows")).await, Ok(WindowsOutcome::SamePerson));
    }
    assert_eq!((window(store, "SN-1").await, events(store).await), (None, 0));
    let opened = store.open_windows(open(1, &["SN-1", "SN-2"]), event("windows")).await.unwrap();
    let WindowsOutcome::Opened(ids) = opened else { panic!("{opened:?}") };
    let found = window(store, "SN-2").await.unwrap();
    assert_eq!((found.id, found.used_for, &found.asked_by), (ids[1], None, &operator()));
    assert_eq!(found.opened_by, administrator());
    let again = store.open_windows(open(1, &["SN-3"]), event("windows")).await;
    assert_eq!((again, events(store).await), (Ok(WindowsOutcome::Duplicate), 1));
    assert_eq!(store.window(&sn("SN-1"), NOW + 1_000).await, Ok(None), "it closes");
    assert_eq!(window(store, "SN-3").await, None);
}

pub async fn a_window_takes_one_collection(store: &impl Store) {
    estate(store).await;
    store.open_windows(open(1, &["SN-1"]), event("windows")).await.unwrap();
    let id = window(store, "SN-1").await.unwrap().id;
    let collect = async |window, digest, terminal| {
        store.collect_in_window(window, package(digest, vec![terminal]), event("collected")).await.unwrap()
    };
    assert_eq!(collect(id, 1, built_in("SN-2", 1)).await, WindowOutcome::Closed, "another serial");
    assert_eq!(collect(id + 1, 1, built_in("SN-1", 1)).await, WindowOutcome::Closed, "no such window");
    let stored = ImportOutcome::Stored(vec![PerTerminal::Stored]);
    assert_eq!(collect(id, 1, built_in("SN-1", 1)).await, WindowOutcome::Collected(stored));
    assert_eq!(window(store, "SN-1").await.unwrap().used_for.as_deref(), Some("00000000000000000001"));
    let before = events(store).await;
    assert_eq!(collect(id, 2, replacing(built_in("SN-1", 2))).await, WindowOutcome::Closed, "used");
    assert_eq!(events(store).await, before);
    assert_eq!(store.terminal(&sn("SN-1")).await.unwrap().unwrap().fingerprint, "00000000000000000001");
}

pub async fn a_window_stays_open_for_what_was_not_taken(store: &impl Store) {
    estate(store).await;
    import(store, package(1, vec![external("SN-1", "PP-1", 1)])).await;
    store.open_windows(open(1, &["SN-2"]), event("windows")).await.unwrap();
    let id = window(store, "SN-2").await.unwrap().id;
    let taken = package(2, vec![external("SN-2", "PP-1", 2)]);
    let outcome = store.collect_in_window(id, taken, event("collected")).await.unwrap();
    let pair = ImportOutcome::Stored(vec![PerTerminal::SerialPairTaken { by: sn("SN-1") }]);
    assert_eq!(outcome, WindowOutcome::NotTaken(pair));
    assert_eq!(window(store, "SN-2").await.unwrap().used_for, None);
}

fn refusal(check: &str, occurred_at: Option<i64>) -> NewRefusal {
    NewRefusal { check: check.into(), reading: "open".into(), occurred_at }
}

pub async fn refusals_are_kept_once_and_shown_newest_first(store: &impl Store) {
    let put = async |serial: &str, refusals| {
        store.put_refusals(&sn(serial), "RKS_AUTH", refusals, event("refusals")).await.unwrap()
    };
    assert_eq!(put("SN-1", vec![refusal("lid", Some(NOW)), refusal("voltage", Some(NOW))]).await, 2);
    let before = events(store).await;
    assert_eq!(put("SN-1", vec![refusal("lid", Some(NOW))]).await, 0, "told twice");
    assert_eq!(events(store).await, before);
    assert_eq!(put("SN-2", vec![refusal("lid", Some(NOW)), refusal("lid", None)]).await, 2);
    let checks = async |serial: Option<&str>| {
        let found = store.refusals(serial.map(sn).as_ref(), 10).await.unwrap();
        found.iter().map(|r| format!("{} {}", r.sn, r.refusal.check)).collect::<Vec<_>>()
    };
    assert_eq!(checks(Some("SN-1")).await, ["SN-1 voltage", "SN-1 lid"]);
    assert_eq!(checks(None).await, ["SN-2 lid", "SN-2 lid", "SN-1 voltage", "SN-1 lid"]);
    let newest = store.refusals(None, 1).await.unwrap();
    assert_eq!((newest[0].refusal.occurred_at, newest[0].received_at), (None, NOW));
    assert_eq!(newest[0].source, "RKS_AUTH");
}

pub async fn the_oldest_refusals_go(store: &impl Store) {
    let many = (0..i64::from(limits::REFUSALS_KEPT) + 5).map(|n| refusal("lid", Some(n))).collect();
    store.put_refusals(&sn("SN-1"), "ERROR", many, event("refusals")).await.unwrap();
    let kept = store.refusals(Some(&sn("SN-1")), u32::MAX).await.unwrap();
    assert_eq!(kept.len(), limits::REFUSALS_KEPT.min(limits::PAGE) as usize);
    assert_eq!(kept[0].refusal.occurred_at, Some(i64::from(limits::REFUSALS_KEPT) + 4));
}
