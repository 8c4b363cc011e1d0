//! Production orders: entered with their serials, closed once.

use keyferry_store::{NewOrder, OrderOutcome, Store, StoreError, limits};
use wire::Serial;

use super::{administrator, built_in, event, events, import, one_terminal, operator, package, sn};

pub fn order(name: &str, serials: Option<&[&str]>) -> NewOrder {
    NewOrder {
        order: name.into(),
        vendor: "VENDOR".into(),
        buyer: "acq".into(),
        model: "T-1".into(),
        serials: serials.map(|serials| serials.iter().map(|serial| sn(serial)).collect()),
        package: vec![0x30, 7],
        asked_by: operator(),
        approved_by: administrator(),
    }
}

pub async fn put(store: &impl Store, order: NewOrder) {
    assert_eq!(store.put_order(order, event("order.added")).await, Ok(OrderOutcome::Added));
}

pub async fn an_order_is_entered_and_found(store: &impl Store) {
    let before = events(store).await;
    put(store, order("PO-2", Some(&["SN-2", "SN-1"]))).await;
    put(store, order("PO-1", None)).await;
    assert_eq!(events(store).await, before + 2);
    let found = store.order("PO-2").await.unwrap().unwrap();
    assert_eq!((found.vendor.as_str(), found.buyer.as_str(), found.model.as_str()), ("VENDOR", "acq", "T-1"));
    assert_eq!((found.listed, found.closed_at, found.is_open()), (Some(2), None, true));
    assert_eq!((found.asked_by, found.approved_by), (operator(), administrator()));
    assert_eq!(store.order("PO-3").await.unwrap(), None);
    let names = async |after: Option<&str>, limit| {
        let orders = store.orders(after, limit).await.unwrap();
        orders.into_iter().map(|order| (order.order, order.listed)).collect::<Vec<_>>()
    };
    assert_eq!(names(None, 9).await, [("PO-1".to_owned(), None), ("PO-2".to_owned(), Some(2))]);
    assert_eq!(names(None, 1).await, [("PO-1".to_owned(), None)]);
    assert_eq!(names(Some("PO-1"), 9).await, [("PO-2".to_owned(), Some(2))]);
}

pub async fn the_same_order_again_changes_nothing(store: &impl Store) {
    put(store, order("PO-1", Some(&["SN-1", "SN-2"]))).await;
    let before = events(store).await;
    // Whatever the order of its serials.
    let again = store.put_order(order("PO-1", Some(&["SN-2", "SN-1"])), event("order.added")).await;
    assert_eq!(again, Ok(OrderOutcome::Same));
    assert_eq!(events(store).await, before);
}

pub async fn another_order_of_a_name_is_refused(store: &impl Store) {
    let first = order("PO-1", Some(&["SN-1"]));
    put(store, first.clone()).await;
    let before = events(store).await;
    for other in [
        order("PO-1", Some(&["SN-2"])),
        order("PO-1", Some(&["SN-1", "SN-2"])),
        order("PO-1", None),
        NewOrder { vendor: "OTHER".into(), ..first.clone() },
        NewOrder { buyer: "OTHER".into(), ..first.clone() },
        NewOrder { model: "T-2".into(), ..first.clone() },
    ] {
        assert_eq!(store.put_order(other, event("order.added")).await, Ok(OrderOutcome::Exists));
    }
    assert_eq!(store.close_order("PO-1", event("order.closed")).await, Ok(true));
    // A closed order is not opened again.
    assert_eq!(store.put_order(first, event("order.added")).await, Ok(OrderOutcome::Exists));
    assert_eq!(events(store).await, before + 1);
}

pub async fn a_serial_stands_in_one_open_order(store: &impl Store) {
    put(store, order("PO-1", Some(&["SN-1", "SN-2"]))).await;
    let next = order("PO-2", Some(&["SN-3", "SN-2", "SN-1"]));
    let taken = store.put_order(next.clone(), event("order.added")).await;
    assert_eq!(taken, Ok(OrderOutcome::SerialTaken { sn: sn("SN-2"), order: "PO-1".into() }));
    assert_eq!(store.order("PO-2").await.unwrap(), None);
    assert!(store.order_serials("PO-2", None, 9).await.unwrap().is_empty());
    store.close_order("PO-1", event("order.closed")).await.unwrap();
    put(store, next).await;
    assert_eq!(store.order_serials("PO-2", None, 9).await.unwrap().len(), 3);
}

pub async fn an_order_is_closed_once(store: &impl Store) {
    put(store, order("PO-1", None)).await;
    assert_eq!(store.close_order("PO-2", event("order.closed")).await, Ok(false));
    assert_eq!(store.close_order("PO-1", event("order.closed")).await, Ok(true));
    let before = events(store).await;
    assert_eq!(store.close_order("PO-1", event("order.closed")).await, Ok(false));
    assert_eq!(events(store).await, before);
    assert!(!store.order("PO-1").await.unwrap().unwrap().is_open());
}

pub async fn one_person_enters_no_order(store: &impl Store) {
    let alone = NewOrder { approved_by: operator(), ..order("PO-1", None) };
    assert!(matches!(store.put_order(alone, event("order.added")).await, Err(StoreError::Invalid(_))));
    assert_eq!(store.order("PO-1").await.unwrap(), None);
}

pub async fn an_order_has_its_limits(store: &impl Store) {
    let put = async |order| store.put_order(order, event("order.added")).await;
    let serials = |count: usize| Some((0..count).map(|n| sn(&format!("S{n}"))).collect::<Vec<Serial>>());
    let too_many = NewOrder { serials: serials(limits::ORDER + 1), ..order("PO-1", None) };
    assert!(matches!(put(too_many).await, Err(StoreError::TooMany { .. })));
    let too_long = NewOrder { vendor: "v".repeat(limits::NAME + 1), ..order("PO-1", None) };
    assert!(matches!(put(too_long).await, Err(StoreError::TooLarge { .. })));
    assert!(matches!(put(order("PO-1", Some(&[]))).await, Err(StoreError::Invalid(_))));
    assert!(matches!(put(order("PO-1", Some(&["A", "B", "A"]))).await, Err(StoreError::Invalid(_))));
    assert!(matches!(put(order("", None)).await, Err(StoreError::Invalid(_))));
    let asked = serials(limits::BATCH + 1).unwrap();
    assert!(matches!(store.orders_listing(asked.clone()).await, Err(StoreError::TooMany { .. })));
    assert!(matches!(store.listed_in("PO-1", asked).await, Err(StoreError::TooMany { .. })));
}

pub async fn serials_are_found_in_their_open_order(store: &impl Store) {
    put(store, order("PO-1", Some(&["SN-1", "SN-2"]))).await;
    put(store, NewOrder { model: "T-2".into(), ..order("PO-2", Some(&["SN-3"])) }).await;
    let asked = || vec![sn("SN-3"), sn("SN-9"), sn("SN-1")];
    let found = store.orders_listing(asked()).await.unwrap();
    let found: Vec<_> = found.iter().map(|l| (l.sn.as_str(), l.order.as_str(), l.model.as_str())).collect();
    assert_eq!(found, [("SN-3", "PO-2", "T-2"), ("SN-1", "PO-1", "T-1")]);
    store.close_order("PO-1", event("order.closed")).await.unwrap();
    assert_eq!(store.orders_listing(asked()).await.unwrap().len(), 1);
    // Whether an order lists a serial does not end with it.
    assert_eq!(store.listed_in("PO-1", asked()).await.unwrap(), [sn("SN-1")]);
    assert_eq!(store.listed_in("PO-7", asked()).await.unwrap(), []);
}

pub async fn serials_are_shown_in_pages_with_what_is_collected(store: &impl Store) {
    one_terminal(store).await;
    put(store, order("PO-1", Some(&["SN-3", "SN-1", "SN-2"]))).await;
    import(store, package(2, vec![built_in("SN-3", 3)])).await;
    let page = store.order_serials("PO-1", None, 2).await.unwrap();
    let told: Vec<_> = page.iter().map(|s| (s.sn.as_str(), s.terminal.is_some(), s.last.is_some())).collect();
    assert_eq!(told, [("SN-1", true, false), ("SN-2", false, false)]);
    let first = page[0].terminal.clone().unwrap();
    assert_eq!((first.tk_generation, first.has_tk, first.sent), (1, true, false));
    let rest = store.order_serials("PO-1", Some(&sn("SN-2")), 2).await.unwrap();
    assert_eq!((rest.len(), rest[0].sn.as_str()), (1, "SN-3"));
    assert!(store.order_serials("PO-9", None, 2).await.unwrap().is_empty());
}
